//! What errors say: one line each, with what can be done where something can.

use super::ErrorKind;
use std::fmt;

/// What can be done about damage.
const WAYS_ON: &str =
    "open the store with OnDamage::Skip, to look and change nothing with Store::open_salvage";

fn name(f: &mut fmt::Formatter<'_>, what: &str, name: &[u8]) -> fmt::Result {
    write!(f, "{what} \"{}\"", name.escape_ascii())
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Open => f.write_str("cannot open the store"),
            ErrorKind::PermissionDenied => f.write_str("permission denied"),
            ErrorKind::Locked { holder } if holder.is_empty() => {
                f.write_str("the store is open elsewhere; close it there first")
            }
            ErrorKind::Locked { holder } => {
                write!(f, "the store is open in {holder}; close it there first")
            }
            ErrorKind::NotALog => {
                f.write_str("the directory is not empty and holds no store; choose another one")
            }
            ErrorKind::UnsupportedVersion { found, supported } => write!(
                f,
                "format version {found} is newer than the supported {supported}; use a newer \
                 streamlog"
            ),
            ErrorKind::Corrupt { what, ids: None } => {
                write!(f, "damaged: {what}; to go on without it {WAYS_ON}")
            }
            ErrorKind::Corrupt { what, ids: Some((from, to)) } => write!(
                f,
                "damaged: {what}, entries from {from} to {to}; to go on without them {WAYS_ON}"
            ),
            ErrorKind::GroupStateLost => write!(
                f,
                "damaged: the state journal has a gap for this stream; to go on with the state \
                 before it {WAYS_ON}"
            ),
            ErrorKind::Closed => f.write_str("the store is closed"),
            ErrorKind::Poisoned { cause } => write!(
                f,
                "nothing more is written since an earlier failure ({cause}); close the store, mend \
                 what failed and open it again"
            ),
            ErrorKind::ForkedProcess => {
                f.write_str("this handle belongs to the parent process; open the store after fork")
            }
            ErrorKind::ReadOnly => f.write_str("the store is open for reading only"),
            ErrorKind::StorageFull { needed: 0 } => {
                f.write_str("the disk is full, nothing was changed; free some space and try again")
            }
            ErrorKind::StorageFull { needed } => write!(
                f,
                "the disk is full, nothing was changed; free at least {needed} bytes and try again"
            ),
            ErrorKind::TooManyFiles => f.write_str(
                "no file descriptor is left, or no memory for one; raise the limit or close files",
            ),
            ErrorKind::TooManyMappings => {
                f.write_str("no memory map is left; raise vm.max_map_count or close streams")
            }
            ErrorKind::TimedOut => f.write_str("the time given for the wait is over"),
            ErrorKind::Io { op } => write!(f, "cannot {op}"),
            input => input.of_input(f),
        }
    }
}

impl ErrorKind {
    /// The texts of what a caller asked for and cannot have.
    fn of_input(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::InvalidConfig { field, value, allowed } => {
                write!(f, "{field} = {value} is not allowed; it must be {allowed}")
            }
            ErrorKind::InvalidName { what, len } => {
                write!(f, "the {what} name has {len} bytes; at most 255 are allowed")
            }
            ErrorKind::InvalidId { text, reason } => {
                write!(f, "\"{}\" is not an entry ID: {reason}", text.escape_debug())
            }
            ErrorKind::IdZero => f.write_str("the ID of an entry must be greater than 0-0"),
            ErrorKind::IdNotGreater { index: None, given, last } => {
                write!(f, "the ID {given} is not greater than the stream's last ID {last}")
            }
            ErrorKind::IdNotGreater { index: Some(index), given, last } => write!(
                f,
                "entry {index} of the batch: the ID {given} is not greater than the last ID {last}"
            ),
            ErrorKind::IdExhausted => f.write_str(
                "the stream has given out the last possible ID and takes no more entries",
            ),
            ErrorKind::NoFields => f.write_str("an entry needs at least one field"),
            ErrorKind::EntryTooLarge { size, max } => {
                write!(f, "the entry has {size} bytes or more; at most {max} are allowed")
            }
            ErrorKind::BatchTooLarge { size, max } => {
                write!(f, "the batch needs {size} bytes; one segment takes {max}")
            }
            other => other.of_things(f),
        }
    }

    /// The texts of things that are not there, or there already, and of arguments.
    fn of_things(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::NoStream { name: n } => {
                f.write_str("there is no ")?;
                name(f, "stream", n)
            }
            ErrorKind::NoGroup { name: n } => {
                f.write_str("there is no ")?;
                name(f, "group", n)
            }
            ErrorKind::GroupExists { name: n } => {
                f.write_str("there is already a ")?;
                name(f, "group", n)
            }
            ErrorKind::NoEntry { id } => write!(f, "there is no entry {id}"),
            ErrorKind::IidTaken { id } => {
                write!(f, "the producer has the entry {id} under this idempotent ID")
            }
            ErrorKind::InvalidArgument { argument, reason } => {
                write!(f, "invalid {argument}: {reason}")
            }
            ErrorKind::InvalidTrim { reason } => write!(f, "invalid trim: {reason}"),
            ErrorKind::SetIdTooSmall { reason } => write!(f, "cannot set the last ID: {reason}"),
            // The others have their texts above.
            other => write!(f, "{other:?}"),
        }
    }
}

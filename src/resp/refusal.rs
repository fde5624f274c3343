//! Why a command was refused: the text of an error reply, in Redis's words where Redis has some.

use crate::error::{Error, ErrorKind};
use std::borrow::Cow;

/// The full text of an error reply, with its code and without the `-` in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Cow<'static, str>);

impl Refusal {
    pub(crate) const SYNTAX: Refusal = Refusal::of("ERR syntax error");
    pub(crate) const NOT_AN_INTEGER: Refusal =
        Refusal::of("ERR value is not an integer or out of range");
    pub(crate) const INVALID_ID: Refusal =
        Refusal::of("ERR Invalid stream ID specified as stream command argument");
    pub(crate) const NO_SUCH_KEY: Refusal = Refusal::of("ERR no such key");
    pub(crate) const BUSY_GROUP: Refusal =
        Refusal::of("BUSYGROUP Consumer Group name already exists");
    pub(crate) const EXEC_ABORT: Refusal =
        Refusal::of("EXECABORT Transaction discarded because of previous errors.");
    pub(crate) const NO_AUTH: Refusal = Refusal::of("NOAUTH Authentication required.");
    pub(crate) const WRONG_PASS: Refusal =
        Refusal::of("WRONGPASS invalid username-password pair or user is disabled.");
    pub(crate) const NO_PROTO: Refusal = Refusal::of("NOPROTO unsupported protocol version");
    pub(crate) const UNBLOCKED: Refusal =
        Refusal::of("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    /// Names in database 0 that would be taken for those of another one.
    pub(crate) const RESERVED_NAME: Refusal =
        Refusal::of("ERR keys that begin with these bytes are streamlog's own");
    /// What each command of Redis gets that has no place here: of other types of data, of
    /// pub/sub.
    pub(crate) const NOT_OURS: Refusal =
        Refusal::of("ERR streamlog serves streams only, and does not have this command");

    /// A text that is known beforehand.
    pub(crate) const fn of(text: &'static str) -> Refusal {
        Refusal(Cow::Borrowed(text))
    }

    /// A text with words of the caller's in it. Those must have gone through [`shown`].
    pub(crate) fn new(text: String) -> Refusal {
        Refusal(Cow::Owned(text))
    }

    /// The arity error, for a command (`xadd`) or one of its parts (`xgroup|create`).
    pub(crate) fn arity(name: &str) -> Refusal {
        Refusal::new(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// A part of a command that the table does not have.
    pub(crate) fn unknown_subcommand(command: &[u8], sub: &[u8]) -> Refusal {
        let upper = shown(command).to_uppercase();
        let sub = shown(&sub[..sub.len().min(128)]);
        Refusal::new(format!("ERR unknown subcommand '{sub}'. Try {upper} HELP."))
    }

    /// What a handler says of a part of its command that has the wrong words.
    pub(crate) fn unknown_or_wrong(command: &str, sub: &[u8]) -> Refusal {
        let sub = shown(&sub[..sub.len().min(128)]);
        Refusal::new(format!(
            "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {command} HELP."
        ))
    }

    pub(crate) fn no_group(key: &[u8], group: &[u8]) -> Refusal {
        let (key, group) = (shown(key), shown(group));
        Refusal::new(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
    }

    pub(crate) fn no_group_to_read(key: &[u8], group: &[u8]) -> Refusal {
        let Refusal(text) = Refusal::no_group(key, group);
        Refusal::new(format!("{text} in XREADGROUP with GROUP option"))
    }

    pub(crate) fn no_group_of_key(key: &[u8], group: &[u8]) -> Refusal {
        let (key, group) = (shown(key), shown(group));
        Refusal::new(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
    }

    /// The code, for the counts of `INFO errorstats`.
    pub(crate) fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or("ERR")
    }
}

/// A word of a client's as it stands in an error text: up to its first NUL byte. Line ends become
/// blanks when the reply is written, as they would end it.
pub(crate) fn shown(word: &[u8]) -> Cow<'_, str> {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end])
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error.kind() {
            ErrorKind::InvalidId { .. } => Refusal::INVALID_ID,
            ErrorKind::IdZero => {
                Refusal::of("ERR The ID specified in XADD must be greater than 0-0")
            }
            ErrorKind::IdNotGreater { .. } => Refusal::of(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ),
            ErrorKind::IdExhausted => Refusal::of(
                "ERR The stream has exhausted the last possible ID, unable to add more items",
            ),
            ErrorKind::EntryTooLarge { .. } | ErrorKind::BatchTooLarge { .. } => {
                Refusal::of("ERR Elements are too large to be stored")
            }
            ErrorKind::GroupExists { .. } => Refusal::BUSY_GROUP,
            ErrorKind::NoStream { .. } => Refusal::NO_SUCH_KEY,
            ErrorKind::ReadOnly => {
                Refusal::of("READONLY You can't write against a store that is open for reading.")
            }
            // Redis's code for a write that its disk has refused. What it says of the cause has
            // paths in it, and where the store lies is no matter of a client's.
            ErrorKind::Poisoned { .. } => Refusal::of(
                "MISCONF nothing more is written since an earlier failure; whoever has the store \
                 has to mend what failed and open it again",
            ),
            kind @ ErrorKind::StorageFull { .. } => Refusal::new(format!("MISCONF {kind}")),
            // For the same reason without the error's path and what was below it.
            kind => Refusal::new(format!("ERR {kind}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::Path;

    /// Fails if an error is shown whole.
    #[test]
    fn clients_do_not_learn_where_the_store_lies() {
        let path = Path::new("hidden/log");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            let error = Error::io("write", path, kind.into());
            assert!(error.to_string().contains("hidden"));
            let stopped = Error::poisoned(&error);
            assert!(stopped.to_string().contains("hidden"));
            let said = Refusal::from(stopped);
            assert_eq!(said.code(), "MISCONF");
            assert!(!said.0.contains("hidden"), "{}", said.0);
            let said = Refusal::from(error);
            assert!(!said.0.contains("hidden"), "{}", said.0);
        }
    }

    #[test]
    fn words_of_a_client_end_at_their_first_nul() {
        assert_eq!(
            Refusal::no_group(b"k\0x", b"g").0,
            "NOGROUP No such key 'k' or consumer group 'g'"
        );
        assert_eq!(Refusal::no_group(b"k", b"g").code(), "NOGROUP");
    }
}

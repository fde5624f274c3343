//! The one error type: what went wrong, in which file and where, and what can be done.

use crate::id::EntryId;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

// The models of interleavings compile this file in from elsewhere.
#[path = "error/text.rs"]
mod text;

/// What every fallible call of the crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. One pointer wide; [`Error::kind`] tells which case it is.
///
/// `Display` is one line, names the file and the offset where there are any, says what to do where
/// something can be done, and never prints what entries contain.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// The call that it ended changed nothing.
    refused: bool,
    path: Option<PathBuf>,
    offset: Option<u64>,
    source: Option<Arc<io::Error>>,
}

/// The cases of [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store's directory could not be opened or made.
    Open,
    /// The operating system refused access.
    PermissionDenied,
    /// Another handle, of this process or another one, has the store open for writing.
    Locked {
        /// What the lock file says of the holder: process ID and host.
        holder: String,
    },
    /// The directory holds something, but no store.
    NotALog,
    /// A file was written by a version of the format that this crate does not know.
    UnsupportedVersion {
        /// The version in the file.
        found: u16,
        /// The newest version that this crate reads.
        supported: u16,
    },
    /// Bytes that were known to be durable do not pass their checks.
    Corrupt {
        /// What is wrong.
        what: &'static str,
        /// The IDs between which entries are affected, if known.
        ids: Option<(EntryId, EntryId)>,
    },
    /// The state journal has a gap that this stream is, or may be, part of: its groups, deletions
    /// and trims are not certain.
    GroupStateLost,
    /// A setting lies outside what is allowed.
    InvalidConfig {
        /// The setting.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// What would be accepted.
        allowed: &'static str,
    },
    /// A stream, group or consumer name is longer than 255 bytes.
    InvalidName {
        /// Which kind of name.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// A text is no entry ID.
    InvalidId {
        /// The text, cut after 128 characters.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `0-0` cannot be the ID of an entry.
    IdZero,
    /// The ID is not greater than the stream's last one.
    IdNotGreater {
        /// The position in the batch, if there was one.
        index: Option<usize>,
        /// The ID that was asked for.
        given: EntryId,
        /// The last ID of the stream.
        last: EntryId,
    },
    /// The stream has given out the largest possible ID.
    IdExhausted,
    /// An entry needs at least one field.
    NoFields,
    /// The entry is larger than the stream allows.
    EntryTooLarge {
        /// Its size in bytes, as far as it was counted.
        size: u64,
        /// The largest size allowed.
        max: u64,
    },
    /// The batch does not fit into one segment.
    BatchTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size allowed.
        max: u64,
    },
    /// There is no stream of this name, or the one that this handle stood for was removed.
    NoStream {
        /// The name.
        name: Vec<u8>,
    },
    /// There is no group of this name in the stream.
    NoGroup {
        /// The name.
        name: Vec<u8>,
    },
    /// A group of this name exists already.
    GroupExists {
        /// The name.
        name: Vec<u8>,
    },
    /// No entry with this ID lives in the stream.
    NoEntry {
        /// The ID.
        id: EntryId,
    },
    /// The producer has appended another entry under this idempotent ID.
    IidTaken {
        /// That entry's ID.
        id: EntryId,
    },
    /// An argument lies outside what the call accepts.
    InvalidArgument {
        /// The argument.
        argument: &'static str,
        /// Why it was refused.
        reason: &'static str,
    },
    /// The parts of a trim contradict each other.
    InvalidTrim {
        /// How.
        reason: &'static str,
    },
    /// A stream's last ID or counters cannot be set to these values.
    SetIdTooSmall {
        /// Which condition was not met.
        reason: &'static str,
    },
    /// The store was closed.
    Closed,
    /// An earlier sync failed, and what it covered is not known to be on disk; or there is nobody
    /// left to sync, as a thread of the store panicked.
    Poisoned {
        /// The first failure, as it was reported then.
        cause: String,
    },
    /// The handle was inherited by a forked child; only the parent may use it. What the child has
    /// borrowed or copied stays readable there, and dropping handles does nothing. Calls that give
    /// no error say that there is nothing and that the store is closed. It keeps the
    /// store's lock if the parent dies without closing the store.
    ForkedProcess,
    /// The store was opened for reading only.
    ReadOnly,
    /// The disk (or a quota, or a file size limit) is full. Nothing was changed.
    StorageFull {
        /// How many bytes were asked for.
        needed: u64,
    },
    /// The process has no file descriptor left.
    TooManyFiles,
    /// The process has no memory map left.
    TooManyMappings,
    /// The time given for a wait was over before what it waited for.
    TimedOut,
    /// An operation on a file failed.
    Io {
        /// The operation.
        op: &'static str,
    },
}

const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
/// The operations that need a descriptor.
const OPENS: [&str; 4] = ["open", "create", "lock", "read directory"];

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Error {
        Error(Box::new(Inner { kind, refused: false, path: None, offset: None, source: None }))
    }

    /// An error of the operating system, sorted by what the caller can do about it.
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Error {
        use io::ErrorKind as K;
        let errno = source.raw_os_error().filter(|_| cfg!(unix)).unwrap_or(0);
        let no_descriptor = matches!(errno, ENFILE | EMFILE);
        let kind = match source.kind() {
            // To sync a directory it is opened first; if it cannot be, nothing has failed for good.
            _ if no_descriptor && op != "sync" => ErrorKind::TooManyFiles,
            // A failed sync is one whatever its cause: what it was to write may be lost, so a full
            // disk (which a file system may notice only now) is not "nothing was changed".
            _ if op.starts_with("sync") => ErrorKind::Io { op },
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => {
                ErrorKind::StorageFull { needed: 0 }
            }
            K::PermissionDenied | K::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
            _ if errno == ENOMEM && op == "map" => ErrorKind::TooManyMappings,
            _ if errno == ENOMEM && OPENS.contains(&op) => ErrorKind::TooManyFiles,
            _ => ErrorKind::Io { op },
        };
        Error::new(kind).at(path).because(source)
    }

    /// Whether what a sync was to write may be lost.
    pub(crate) fn is_failed_sync(&self) -> bool {
        matches!(self.kind(), ErrorKind::Io { op } if op.starts_with("sync"))
    }

    /// What is wrong, without what to do about it.
    pub(crate) fn reason(&self) -> String {
        match self.kind() {
            ErrorKind::Corrupt { what, .. } => (*what).to_owned(),
            _ => self.to_string(),
        }
    }

    /// Whether a file was to be opened that is not there.
    pub(crate) fn is_missing_file(&self) -> bool {
        self.0.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether there was no space for something.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.kind(), ErrorKind::StorageFull { .. })
    }

    /// Whether a descriptor or a map was wanted and there was none.
    pub(crate) fn is_shortage(&self) -> bool {
        matches!(self.kind(), ErrorKind::TooManyFiles | ErrorKind::TooManyMappings)
    }

    pub(crate) fn corrupt(what: &'static str) -> Error {
        Error::new(ErrorKind::Corrupt { what, ids: None })
    }

    #[must_use]
    pub(crate) fn at(mut self, path: &Path) -> Error {
        self.0.path = Some(path.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn offset(mut self, offset: u64) -> Error {
        self.0.offset = Some(offset);
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, source: io::Error) -> Error {
        self.0.source = Some(Arc::new(source));
        self
    }

    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Error {
        self.0.kind = kind;
        self
    }

    /// The call changed nothing: what failed was in its way.
    #[must_use]
    pub(crate) fn refused(mut self) -> Error {
        self.0.refused = true;
        self
    }

    /// What is told of a failure that has stopped something.
    pub(crate) fn poisoned(first: &Error) -> Error {
        let cause = match first.kind() {
            // The store's poison handed down to a stream names the cause already.
            ErrorKind::Poisoned { cause } => cause.clone(),
            _ => first.to_string(),
        };
        Error::new(ErrorKind::Poisoned { cause })
    }

    /// Which case it is.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The file and, where known, the offset in it.
    #[must_use]
    pub fn location(&self) -> Option<(&Path, Option<u64>)> {
        self.0.path.as_deref().map(|path| (path, self.0.offset))
    }

    /// Whether the same call may succeed later without anything being repaired by hand.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::StorageFull { .. }
                | ErrorKind::TooManyFiles
                | ErrorKind::TooManyMappings
                | ErrorKind::TimedOut
                | ErrorKind::Locked { .. }
        )
    }

    /// Whether what the call should have written may be there after the store is opened again. It
    /// is not where the call was refused from the start: by a stream that had been stopped before,
    /// or because its time was over while it waited for its turn to write.
    #[must_use]
    pub fn is_indeterminate(&self) -> bool {
        !self.0.refused && matches!(self.kind(), ErrorKind::Poisoned { .. } | ErrorKind::Io { .. })
    }

    /// Whether bytes on disk are damaged.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self.kind(), ErrorKind::Corrupt { .. } | ErrorKind::GroupStateLost)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)?;
        if let Some(path) = &self.0.path {
            write!(f, ": {}", path.display())?;
        }
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("path", &self.0.path)
            .field("offset", &self.0.offset)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// Refuses a name of more than 255 bytes.
pub(crate) fn check_name(what: &'static str, name: &[u8]) -> Result<()> {
    if name.len() > 255 {
        return Err(Error::new(ErrorKind::InvalidName { what, len: name.len() }));
    }
    Ok(())
}

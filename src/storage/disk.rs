//! The seam: everything the crate asks of the outside world, in one small trait.
//!
//! Files, names, the clock and randomness enter here and nowhere else, so that a simulator can
//! stand in for all of them. Three implementations exist: [`real`](super::real) (the operating
//! system), [`mem`](super::mem) (the heap, for `Store::in_memory`), and the power-loss simulator
//! of the tests.
//!
//! Rules every implementation keeps:
//! * Stores into a [`Region`] and [`DiskFile::write_at`] act on the same bytes at once.
//! * A new file's name, a rename and a removal are durable after [`Disk::sync_dir`] of the parent;
//!   a file's bytes and length after [`DiskFile::sync`].
//! * [`DiskFile::allocate`] takes real space: storing into allocated bytes never runs out of disk.
//!   New bytes read as zero. On failure the length is unchanged.
//! * A file is never shrunk. After it grew, maps made before it may no longer show what is written
//!   by other means: whoever grows a file stops writing through its old maps first.

use super::region::Region;
use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A file that must not exist yet, for reading and writing.
    CreateNew,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    File,
    Dir,
    /// A symbolic link, a socket or the like: never ours.
    Other,
}

/// A lock that is held until it is dropped.
pub(crate) trait DiskLock: Send + Sync + Debug {}

/// The outside world.
pub(crate) trait Disk: Send + Sync + Debug {
    /// Makes a directory whose parent exists. `AlreadyExists` is an error here.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The disk that this one only reads, if it is such a one.
    fn below(&self) -> Option<Arc<dyn Disk>> {
        None
    }
    /// Lists a directory, in any order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(std::ffi::OsString, NameKind)>>;
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Replaces `to` if it exists.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything on the file system that holds `path` durable, in one call; `Unsupported`
    /// where there is no such call.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on a file (made if missing), without waiting: `WouldBlock` if
    /// someone has it. `holder` is written into the file for people to read.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn DiskLock>>;
    /// Takes a lock like that on an existing file besides. Somebody may remove the lock file while
    /// it is held, and the next process makes another one: this lock tells it that the first is
    /// there. `None` where nothing of the kind is to be had.
    fn lock_besides(&self, _path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(None)
    }
    /// Who last took the lock at `path`, as a number that tells one from the next; `None` while it
    /// is held. Asking is in nobody's way.
    fn last_writer(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok(Some(0))
    }
    /// What to write into a lock file: this process, for people to find it.
    fn holder(&self) -> String {
        format!("process {}", std::process::id())
    }
    /// Milliseconds since 1970; 0 if the clock says an earlier time.
    fn now_ms(&self) -> u64;
    /// A clock that never goes back, from any origin.
    fn monotonic(&self) -> Duration;
    /// Eight unpredictable bytes.
    fn random(&self) -> u64;
    /// Whether maps that are not needed should be given up, and small files be copied instead.
    fn is_short_of_maps(&self) -> bool {
        false
    }
    /// Whether [`Disk::step`] does anything.
    fn has_steps(&self) -> bool {
        false
    }
    /// A point between two steps of the writer at which a simulator may stop the world.
    fn step(&self, _what: &'static str) {}
}

/// What is written over bytes that are to be zero, as much of it as there are.
pub(crate) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// An open file.
pub(crate) trait DiskFile: Send + Sync + Debug {
    fn len(&self) -> io::Result<u64>;
    /// Extends the file to `len` bytes of allocated space, which read as zero.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Reads exactly `buf.len()` bytes.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// The next bytes at or behind `from` that may be something else than zero, as far as the
    /// system knows without reading; `None` if there are none.
    fn data_from(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(from..u64::MAX))
    }
    /// Writes all bytes, within the file's length.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Has the file system write these blocks, whole ones, where there are only zeros: what is
    /// stored there later is synced sooner. Changes no byte; does nothing where that is of no use.
    fn ready_blocks(&self, _from: u64, _to: u64) -> io::Result<()> {
        Ok(())
    }
    /// Makes bytes and length durable. Any error is final: the caller must not try again.
    fn sync(&self) -> io::Result<()>;
    /// Maps the first `len` bytes, all of which are allocated.
    fn map(&self, len: u64, writable: bool) -> io::Result<Region>;
}

//! What a peer must do to be measured, and the list of peers.
//!
//! To add one: a module beside this one that implements [`Peer`] as the peer's own documentation
//! recommends, a line in [`ROWS`], and a line in `benches/README.md` on what is not comparable.
//! Methods that the peer cannot serve stay out, and its `serves` says so.

mod clock;
pub mod limit_map;
mod raft_engine;
mod streamlog;

use crate::measure::{self, Order};
use crate::memory;
use crate::payload::Payloads;
use crate::workload::{Level, Task};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Peers fail in many ways, all of which end the measurement.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The place of an entry, as the peer that gave it out understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64, pub u64);

/// A log that can be measured. Loops over it are compiled for each peer, so no call goes through a
/// table of functions.
pub trait Peer: Sized + Sync {
    /// What one thread keeps between its calls, such as a batch that is used again.
    type Lane: Send;

    /// Makes the store in an empty directory, or opens the one that is there.
    fn open(dir: &Path, level: Level) -> Outcome<Self>;

    /// The state of thread number `lane`.
    fn lane(&self, lane: usize) -> Outcome<Self::Lane>;

    /// Appends one entry with the field `data`.
    fn append(&self, lane: &mut Self::Lane, payload: &[u8]) -> Outcome<Id>;

    /// Appends entries in one call; the last one's ID.
    fn append_batch(&self, lane: &mut Self::Lane, payloads: &[&[u8]]) -> Outcome<Id>;

    /// Appends until then without waiting for each: `window` of this thread's appends are under way
    /// at once. When it returns, all are on the disk; how many.
    fn append_in_flight(
        &self,
        _lane: &mut Self::Lane,
        _payloads: &mut Payloads,
        _window: usize,
        _until: Instant,
    ) -> Outcome<u64> {
        Err("waits for each append".into())
    }

    /// When it returns, all entries are on the disk.
    fn sync(&self) -> Outcome<()>;

    /// Hands each entry's payload to `each`, in order, after its checksum was checked; how many.
    fn scan(&self, _each: impl FnMut(&[u8])) -> Outcome<u64> {
        Err("cannot scan".into())
    }

    /// The same for at most `count` entries from `id` on.
    fn read_from(&self, _id: Id, _count: usize, _each: impl FnMut(&[u8])) -> Outcome<u64> {
        Err("cannot seek".into())
    }

    /// Whether there is a last entry and it passes its checks.
    fn has_last(&self) -> Outcome<bool>;

    /// Reads and acknowledges new entries as one consumer, `batch` at a time, until `stop` says so
    /// (it is told how many after each batch) or none is left.
    fn read_and_ack(
        &self,
        _batch: usize,
        _each: impl FnMut(&[u8]),
        _stop: impl FnMut(u64) -> bool,
    ) -> Outcome<()> {
        Err("has no groups".into())
    }

    /// Ends in the orderly way.
    fn close(self) -> Outcome<()>;

    /// The files of a closed store that are finished: no more is ever appended to them.
    fn finished(dir: &Path) -> Outcome<Vec<PathBuf>>;
}

/// A peer in the list.
pub struct Row {
    pub name: &'static str,
    /// The package whose version `Cargo.lock` tells.
    pub package: Option<&'static str>,
    pub serves: fn(&Task) -> bool,
    pub run: fn(&Order) -> Outcome<()>,
}

impl Row {
    /// Whether it can be measured by this task.
    pub fn measures(&self, task: &Task) -> bool {
        match task {
            Task::Alone(task) => task.serves(self.name),
            Task::InFlight { .. } => IN_FLIGHT.contains(&self.name),
            task => (self.serves)(task),
        }
    }
}

const fn row<P: Peer>(
    name: &'static str,
    package: Option<&'static str>,
    serves: fn(&Task) -> bool,
) -> Row {
    Row {
        name,
        package,
        serves,
        run: measure::run::<P>,
    }
}

/// The name of the row that all others are compared with.
pub const OURS: &str = "streamlog";

/// The rows with [`Peer::append_in_flight`].
const IN_FLIGHT: &[&str] = &[];

/// All rows, in the order in which they are interleaved.
pub const ROWS: &[Row] = &[
    Row {
        name: "limit: memory",
        package: None,
        serves: |task| matches!(task, Task::Memory),
        run: memory::run,
    },
    row::<limit_map::LimitMap>(crate::workload::LIMIT_MAP, None, |task| match task {
        Task::Append { level, .. } => *level == Level::Unsynced,
        Task::Scan | Task::Seek { .. } | Task::Disk => true,
        _ => false,
    }),
    row::<streamlog::Streamlog>(OURS, Some("streamlog"), |task| {
        !matches!(task, Task::Memory)
    }),
    row::<raft_engine::RaftEngine>("raft-engine", Some("raft-engine"), |task| {
        !matches!(task, Task::Memory | Task::Group { .. })
    }),
];

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

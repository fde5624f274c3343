//! What a peer must do to be measured, and the list of peers.
//!
//! To add one: a module beside this one that implements [`Peer`] as the peer's own documentation
//! recommends, a line in [`ROWS`], and a line in `benches/README.md` on what is not comparable.
//! Methods that the peer cannot serve stay out, and its `serves` says so.

mod clock;
mod commitlog;
mod fjall;
mod frame;
pub mod limit_map;
mod limit_write;
mod lmdb;
#[cfg(feature = "okaywal")]
mod okaywal;
mod raft_engine;
#[cfg(feature = "redb")]
mod redb;
pub mod redis;
#[cfg(feature = "rocks")]
mod rocksdb;
#[cfg(feature = "sled")]
mod sled;
mod sqlite;
mod streamlog;
#[cfg(feature = "walrus")]
mod walrus;
mod yaque;

use crate::measure::{self, Order};
use crate::memory;
use crate::payload::Payloads;
use crate::workload::{LIMIT_MAP, LIMIT_WRITE, Level, Task};
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

    /// Whether the files are the same whether entries were appended one by one or in batches. If
    /// so, a store that is made to be read is filled in batches, as slow peers recommend.
    const SAME_IN_BATCHES: bool = false;

    /// Makes the store in an empty directory, or opens the one that is there.
    fn open(dir: &Path, level: Level) -> Outcome<Self>;

    /// Called after opening and before the clock starts, unless it is opening that is measured:
    /// what the row's name promises of that moment.
    fn prepare(&self) -> Outcome<()> {
        Ok(())
    }

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

    /// The process that does the work, if it is not this one: its memory counts.
    fn other_process(&self) -> Option<u32> {
        None
    }

    /// Called before this process ends without running destructors.
    fn abandon(&self) {}

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
    /// Whether it is waited for until it has written the whole volume of a workload.
    pub patient: bool,
    /// Why it cannot run on this machine.
    pub missing: fn() -> Option<String>,
    pub run: fn(&Order) -> Outcome<()>,
}

impl Row {
    const fn patient(mut self) -> Row {
        self.patient = true;
        self
    }

    const fn unless(mut self, missing: fn() -> Option<String>) -> Row {
        self.missing = missing;
        self
    }

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
    Row { name, package, serves, patient: false, missing: || None, run: measure::run::<P> }
}

/// The name of the row that all others are compared with.
pub const OURS: &str = "streamlog";

/// What a store of keys and values or a table can do: all but groups, and a scan that notices a
/// damaged frame.
fn all_but_groups(task: &Task) -> bool {
    !matches!(task, Task::Memory | Task::Group { .. } | Task::Blind)
}

/// The same for one that cannot sync.
fn unsynced(task: &Task) -> bool {
    let durable = matches!(task, Task::Append { level, .. } if *level == Level::Durable);
    !durable && all_but_groups(task)
}
/// The rows with [`Peer::append_in_flight`].
const IN_FLIGHT: &[&str] = &[OURS];

/// All rows, in the order in which they are interleaved.
pub const ROWS: &[Row] = &[
    Row {
        name: "limit: memory",
        package: None,
        serves: |task| matches!(task, Task::Memory),
        patient: false,
        missing: || None,
        run: memory::run,
    },
    row::<limit_map::LimitMap>(LIMIT_MAP, None, |task| match task {
        Task::Append { level, .. } => *level == Level::Unsynced,
        Task::Memory | Task::Blind => false,
        _ => true,
    })
    .patient(),
    row::<limit_map::LimitMap<true>>(
        "limit: mmap, a batch at once",
        None,
        |task| matches!(task, Task::Append { level: Level::Unsynced, batch, .. } if *batch > 1),
    )
    .patient(),
    row::<limit_write::LimitWrite>(LIMIT_WRITE, None, |task| matches!(task, Task::Append { .. })),
    row::<streamlog::Streamlog>(OURS, Some("streamlog"), |task| !matches!(task, Task::Memory))
        .patient(),
    row::<raft_engine::RaftEngine>("raft-engine", Some("raft-engine"), |task| {
        !matches!(task, Task::Memory | Task::Group { .. })
    }),
    row::<commitlog::Commitlog>("commitlog", Some("commitlog"), unsynced),
    row::<yaque::Yaque>("yaque", Some("yaque"), |task| {
        let appends = matches!(task, Task::Append { level: Level::Unsynced, .. });
        appends || matches!(task, Task::Scan | Task::Group { .. } | Task::Disk)
    }),
    row::<fjall::Fjall>("fjall", Some("fjall"), all_but_groups),
    row::<lmdb::Lmdb>("LMDB", Some("heed"), all_but_groups),
    row::<sqlite::Sqlite>("SQLite", Some("rusqlite"), all_but_groups),
    row::<redis::Redis>("Redis", Some("redis"), |task| {
        matches!(task, Task::Group { .. }) || all_but_groups(task)
    })
    .unless(redis::missing),
    #[cfg(feature = "okaywal")]
    row::<okaywal::Okaywal>("okaywal", Some("okaywal"), |task| {
        matches!(task, Task::Append { level: Level::Durable, .. })
    }),
    #[cfg(feature = "walrus")]
    row::<walrus::Walrus>("walrus-rust", Some("walrus-rust"), |task| {
        matches!(task, Task::Append { .. } | Task::Disk)
    }),
    #[cfg(feature = "rocks")]
    row::<rocksdb::RocksDb>("RocksDB", Some("rocksdb"), all_but_groups),
    #[cfg(feature = "sled")]
    row::<sled::Sled>("sled", Some("sled"), unsynced),
    #[cfg(feature = "redb")]
    row::<redb::Redb>("redb", Some("redb"), all_but_groups),
];

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

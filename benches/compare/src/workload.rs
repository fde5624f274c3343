//! The workloads as data: what is asked of every peer, how much of it, and which limit it is
//! measured against. The numbers W1 to W10 are those of the project's performance budgets.
//!
//! A workload with a `fill` is done in two processes: one writes the store and ends, the other
//! opens it and measures. A workload without one measures the writing itself.

use crate::alone::{self, Alone};
use crate::curves;
use std::time::Duration;

/// What must be true of an entry when its append returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing but that readers see it: no sync is asked for.
    Unsynced,
    /// It is on the disk.
    Durable,
}

/// How a writing workload ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// This much payload was written; `cap` ends a peer that is too slow for that, in a full and
    /// in a quick run.
    Bytes { full: u64, quick: u64, cap: (Duration, Duration) },
    /// This much time has passed.
    Time { full: Duration, quick: Duration },
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Appends by `lanes` threads at once, `batch` entries a call.
    Append { level: Level, lanes: usize, batch: usize, until: Until },
    /// Durable appends by `lanes` threads that do not wait for each: `window` are under way at once.
    InFlight { lanes: usize, window: usize },
    /// Every entry in order, each checked.
    Scan,
    /// To a random ID, then read `count` entries.
    Seek { count: usize },
    /// From nothing to the last entry, and what memory that took.
    Reopen { cold: bool },
    /// Read `batch` entries as a consumer of a group and acknowledge them, to the end.
    Group { batch: usize },
    /// How many bytes the entries take.
    Disk,
    /// A store with a damaged frame in the middle of a sealed segment: who reads it on opening?
    Blind,
    /// How fast memory is read: no peer, the machine.
    Memory,
    /// What no peer is asked for.
    Alone(Alone),
}

/// The store that a workload begins with.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub full: u64,
    pub quick: u64,
    /// Entries a call.
    pub batch: usize,
    /// Whether the writing process closes the store or just ends after its last sync.
    pub closes: bool,
}

/// One workload.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub id: &'static str,
    pub title: &'static str,
    /// Bytes of the one field `data`.
    pub payload: usize,
    pub fill: Option<Fill>,
    pub task: Task,
    /// The figure that the table compares, as the measuring process names it.
    pub metric: &'static str,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// The row that ratios are taken to.
    pub limit: Option<&'static str>,
    /// Whether it is run when nothing is asked for by name.
    pub by_default: bool,
}

/// The rows that ratios are taken to.
pub const LIMIT_MAP: &str = "limit: mmap, pages touched";
pub const LIMIT_WRITE: &str = "limit: write(2)";

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const VOLUME: Until = Until::Bytes {
    full: 2 * GIB,
    quick: 256 * MIB,
    cap: (Duration::from_millis(2500), Duration::from_millis(700)),
};
const SHORT: Until =
    Until::Time { full: Duration::from_secs(2), quick: Duration::from_millis(500) };

/// Payload bytes and entry counts of a full and a quick run. The small store is the same in both.
const SMALL: (usize, u64, u64) = (1024, 64 << 10, 64 << 10);
const LARGE: (usize, u64, u64) = (1024, 1 << 20, 256 << 10);

const fn append(
    id: &'static str,
    title: &'static str,
    (level, lanes, batch): (Level, usize, usize),
    until: Until,
) -> Workload {
    Workload {
        id,
        title,
        payload: 100,
        fill: None,
        task: Task::Append { level, lanes, batch, until },
        metric: "entries_per_s",
        more_is_better: true,
        limit: match level {
            Level::Unsynced => Some(LIMIT_MAP),
            Level::Durable => Some(LIMIT_WRITE),
        },
        by_default: false,
    }
}

const fn read(id: &'static str, title: &'static str, batch: usize, task: Task) -> Workload {
    Workload {
        id,
        title,
        payload: 100,
        fill: Some(Fill { full: 1_000_000, quick: 250_000, batch, closes: true }),
        task,
        metric: "entries_per_s",
        more_is_better: true,
        limit: Some(LIMIT_MAP),
        by_default: false,
    }
}

const fn reopen(
    id: &'static str,
    title: &'static str,
    (payload, full, quick): (usize, u64, u64),
    cold: bool,
) -> Workload {
    Workload {
        id,
        title,
        payload,
        fill: Some(Fill { full, quick, batch: 100, closes: true }),
        task: Task::Reopen { cold },
        metric: "open_ms",
        more_is_better: false,
        limit: Some(LIMIT_MAP),
        by_default: false,
    }
}

impl Workload {
    const fn default_run(mut self) -> Workload {
        self.by_default = true;
        self
    }

    const fn killed(mut self) -> Workload {
        if let Some(fill) = &mut self.fill {
            fill.closes = false;
        }
        self
    }

    const fn in_flight(mut self, window: usize) -> Workload {
        if let Task::Append { lanes, .. } = self.task {
            self.task = Task::InFlight { lanes, window };
        }
        self
    }

    const fn without_limit(mut self) -> Workload {
        self.limit = None;
        self
    }

    const fn blind(mut self) -> Workload {
        self.task = Task::Blind;
        self.by("opened", true).without_limit()
    }

    const fn by(mut self, metric: &'static str, more_is_better: bool) -> Workload {
        self.metric = metric;
        self.more_is_better = more_is_better;
        self
    }

    /// How often it is measured at most if nobody asks for more.
    pub fn repetitions(&self, quick: bool) -> u32 {
        match self.task {
            Task::Alone(task) => task.repetitions(quick),
            _ => u32::MAX,
        }
    }

    /// How many entries the store holds that it begins with.
    pub fn filled(&self, quick: bool) -> u64 {
        self.fill.map_or(0, |fill| if quick { fill.quick } else { fill.full })
    }
}

use Level::{Durable, Unsynced};

/// All of them, in the order in which they are run within a repetition.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        id: "M",
        title: "reading memory in sequence",
        payload: 100,
        fill: None,
        task: Task::Memory,
        metric: "sum_bytes_per_s",
        more_is_better: true,
        limit: None,
        by_default: true,
    },
    append("W1", "append, one thread, no sync", (Unsynced, 1, 1), VOLUME).default_run(),
    append("W2", "append in batches of 100, no sync", (Unsynced, 1, 100), VOLUME).default_run(),
    append("W3", "append, eight threads, no sync", (Unsynced, 8, 1), VOLUME).default_run(),
    append("W4", "append, one thread, durable", (Durable, 1, 1), SHORT).default_run(),
    append("W5", "append, 64 threads, durable", (Durable, 64, 1), SHORT).default_run(),
    append("W5b", "append, 10,000 under way from two threads, durable", (Durable, 2, 1), SHORT)
        .in_flight(10_000)
        .default_run(),
    read("W6", "full scan of entries appended one by one", 1, Task::Scan).default_run(),
    read("W6b", "full scan of entries appended in batches of 100", 100, Task::Scan).default_run(),
    read("W7", "seek to a random ID and read the next 10", 1, Task::Seek { count: 10 })
        .by("seeks_per_s", true)
        .default_run(),
    reopen("W8s", "reopen 64 MiB of 1 KiB entries, files not in memory", SMALL, true).default_run(),
    reopen("W8", "reopen 1 GiB of 1 KiB entries, files not in memory", LARGE, true).default_run(),
    reopen("W8ws", "reopen 64 MiB of 1 KiB entries, files in memory", SMALL, false).default_run(),
    reopen("W8w", "reopen 1 GiB of 1 KiB entries, files in memory", LARGE, false).default_run(),
    reopen("W8k", "reopen 1 GiB of 1 KiB entries after a kill, files not in memory", LARGE, true)
        .killed()
        .default_run(),
    reopen("W8m", "reopen 1 M entries of 100 B: memory", (100, 1_000_000, 1_000_000), false)
        .by("anon_after_seeks_kib", false)
        .default_run(),
    reopen("W8b", "reopen over a damaged frame in a sealed segment", LARGE, false)
        .blind()
        .default_run(),
    read("W9", "group read and acknowledge, one by one", 1, Task::Group { batch: 1 }).default_run(),
    read("W9b", "group read and acknowledge, batches of 100", 1, Task::Group { batch: 100 })
        .default_run(),
    read("W10", "disk bytes an entry, appended one by one", 1, Task::Disk)
        .by("used_bytes_per_entry", false)
        .default_run(),
    read("W10b", "disk bytes an entry, appended in batches of 100", 100, Task::Disk)
        .by("used_bytes_per_entry", false)
        .default_run(),
];

/// All workloads: those above, those that no peer is asked for, and the points of the curves.
pub fn all() -> impl Iterator<Item = &'static Workload> {
    let points = curves::FAMILIES.iter().flat_map(|family| family.points);
    WORKLOADS.iter().chain(alone::WORKLOADS).chain(points)
}

/// The workload of this name.
pub fn find(id: &str) -> Option<&'static Workload> {
    all().find(|workload| workload.id.eq_ignore_ascii_case(id))
}

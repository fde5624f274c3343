//! What things cost as there are more of them. A curve is a family of workloads, one a point; the
//! size stands behind an `@` in the workload's name.

use crate::alone::{Alone, Sizes, filled, workload};
use crate::workload::{Fill, Level, Task, Until, Workload};
use std::time::Duration;

/// One kind of growth.
pub struct Family {
    pub id: &'static str,
    pub title: &'static str,
    /// What there are more of, for the axis.
    pub of: &'static str,
    pub points: &'static [Workload],
    /// The largest size of a quick run, and of one that is not asked to be huge.
    pub most: (u64, u64),
    /// What is drawn of it.
    pub figures: &'static [Figure],
}

/// A figure that is drawn over the sizes.
pub struct Figure {
    pub metric: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
}

const fn figure(metric: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure { metric, title, unit }
}

/// The size in the name of a point.
pub fn size(id: &str) -> Option<u64> {
    id.split_once('@')?.1.parse().ok()
}

/// Points that are not run unless a curve is asked for.
const fn point(mut workload: Workload) -> Workload {
    workload.by_default = false;
    workload
}

/// Bytes of payload that a point of entry sizes writes at most, and the time it has.
const fn until(full_ms: u64, quick_ms: u64) -> Until {
    Until::Time { full: Duration::from_millis(full_ms), quick: Duration::from_millis(quick_ms) }
}

const fn threads(id: &'static str, level: Level, lanes: usize) -> Workload {
    Workload {
        id,
        title: "append by threads",
        payload: 100,
        fill: None,
        task: Task::Append { level, lanes, batch: 1, until: until(700, 200) },
        metric: "entries_per_s",
        more_is_better: true,
        limit: None,
        by_default: false,
    }
}

const fn sized(id: &'static str, payload: usize) -> Workload {
    let mut workload = threads(id, Level::Unsynced, 1);
    workload.payload = payload;
    workload.title = "append by size of the entry";
    workload
}

/// A scan of 64 MiB, or of a quarter of a million entries if that is less.
const fn scanned(id: &'static str, payload: usize) -> Workload {
    let mut workload = sized(id, payload);
    let most = (64 << 20) / payload as u64;
    let entries = if most < 250_000 { most } else { 250_000 };
    workload.fill = Some(Fill { full: entries, quick: entries / 4, batch: 1, closes: true });
    workload.task = Task::Scan;
    workload.title = "scan by size of the entry";
    workload
}

macro_rules! points {
    ($name:literal, $make:expr, [$($size:literal),+]) => {
        &[$(point($make(concat!($name, "@", $size), $size))),+]
    };
}

const fn entries(id: &'static str, entries: u64) -> Workload {
    let workload = workload(id, "one stream of entries", Alone::Entries, ("append_ns", false));
    filled(workload, entries, entries)
}

const fn streams(id: &'static str, streams: u64) -> Workload {
    let task = Alone::Streams(Sizes::of(streams));
    filled(workload(id, "small streams in a store", task, ("append_us", false)), 0, 0)
}

const fn groups(id: &'static str, groups: u64) -> Workload {
    crate::alone::group_workload(id, "groups on a stream", groups)
}

const fn consumers(id: &'static str, consumers: u64) -> Workload {
    let task = Alone::Consumers(consumers);
    filled(workload(id, "consumers of a group", task, ("read_ack_ns", false)), 200_000, 50_000)
}

const fn blocked(id: &'static str, threads: usize) -> Workload {
    workload(id, "threads that wait for an entry", Alone::Blocked(threads), ("append_us", false))
}

const fn readers(id: &'static str, threads: usize) -> Workload {
    let task = Alone::Readers(threads);
    filled(
        workload(id, "threads that scan a stream", task, ("entries_per_s", true)),
        500_000,
        100_000,
    )
}

const fn unsynced(id: &'static str, lanes: usize) -> Workload {
    threads(id, Level::Unsynced, lanes)
}

const fn durable(id: &'static str, lanes: usize) -> Workload {
    threads(id, Level::Durable, lanes)
}

const OPEN: Figure = figure("open_ms", "open", "ms");
const MEMORY: Figure = figure("anon_kib", "anonymous memory", "KiB");
const RATE: Figure = figure("entries_per_s", "entries a second", "1/s");
const READ_ACK: Figure = figure("read_ack_ns", "read and acknowledge one", "ns");
const APPEND: Figure = figure("append_ns", "append", "ns");
const ANY: (u64, u64) = (u64::MAX, u64::MAX);

/// All curves.
pub const FAMILIES: &[Family] = &[
    Family {
        id: "C-entries",
        title: "One stream with more and more entries of 100 B",
        of: "entries",
        points: points!("C-entries", entries, [10000, 100000, 1000000, 10000000, 100000000]),
        most: (1_000_000, 10_000_000),
        figures: &[APPEND, figure("seek_ns", "seek, read 10", "ns"), OPEN, MEMORY],
    },
    Family {
        id: "C-groups",
        title: "One stream of 10,000 entries with more and more groups",
        of: "groups",
        points: points!("C-groups", groups, [1, 10, 100, 1000]),
        most: ANY,
        figures: &[APPEND, READ_ACK, OPEN, MEMORY, figure("state_kib", "state on disk", "KiB")],
    },
    Family {
        id: "C-streams",
        title: "One store with more and more streams of one entry",
        of: "streams",
        points: points!("C-streams", streams, [1, 10, 100, 1000, 10000]),
        most: (1_000, u64::MAX),
        figures: &[
            OPEN,
            figure("append_us", "append to each in turn", "us"),
            figure("first_append_us", "first append to each", "us"),
            figure("anon_bytes_per_stream", "memory of an unused one", "B"),
            figure("used_anon_bytes_per_stream", "memory of a used one", "B"),
            figure("disk_bytes_per_stream", "disk of one", "B"),
        ],
    },
    Family {
        id: "C-consumers",
        title: "One group with more and more consumers, ten entries each in turn",
        of: "consumers",
        points: points!("C-consumers", consumers, [1, 10, 100, 1000]),
        most: ANY,
        figures: &[READ_ACK, figure("summary_us", "summary of the group", "us"), OPEN, MEMORY],
    },
    Family {
        id: "C-blocked",
        title: "More and more threads that wait for an entry",
        of: "waiting threads",
        points: points!("C-blocked", blocked, [1, 10, 100, 1000]),
        most: ANY,
        figures: &[
            figure("append_us", "append that wakes all", "us"),
            figure("all_woken_us", "until all have the entry", "us"),
            figure("group_append_us", "append that wakes one of a group", "us"),
            figure("one_woken_us", "until that one has it", "us"),
            figure("other_stream_append_us", "append that wakes none", "us"),
        ],
    },
    Family {
        id: "C-threads",
        title: "More and more threads that append 100 B, no sync",
        of: "threads",
        points: points!("C-threads", unsynced, [1, 2, 4, 8, 16, 32, 64]),
        most: ANY,
        figures: &[RATE],
    },
    Family {
        id: "C-durable",
        title: "More and more threads that append 100 B, durable",
        of: "threads",
        points: points!("C-durable", durable, [1, 2, 4, 8, 16, 32, 64]),
        most: ANY,
        figures: &[RATE],
    },
    Family {
        id: "C-size",
        title: "Larger and larger entries, appended by one thread, no sync",
        of: "bytes of payload",
        points: points!("C-size", sized, [16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576]),
        most: ANY,
        figures: &[RATE],
    },
    Family {
        id: "C-scan",
        title: "Larger and larger entries, scanned",
        of: "bytes of payload",
        points: points!(
            "C-scan",
            scanned,
            [16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576]
        ),
        most: ANY,
        figures: &[RATE],
    },
    Family {
        id: "C-readers",
        title: "More and more threads that each scan all of a stream",
        of: "threads",
        points: points!("C-readers", readers, [1, 2, 4, 8, 16]),
        most: ANY,
        figures: &[RATE],
    },
];

/// The rows that are drawn: ours, and the limits that have such a point.
pub fn shows(row: &str) -> bool {
    row == crate::peer::OURS || row.starts_with("limit: ") && row != "limit: memory"
}

/// The points of a run: small ones for a quick look, the largest only if asked for.
pub fn points(quick: bool, huge: bool) -> Vec<&'static Workload> {
    let most = |family: &Family| match (quick, huge) {
        (true, _) => family.most.0,
        (false, false) => family.most.1,
        (false, true) => u64::MAX,
    };
    let of = |family: &'static Family| {
        let most = most(family);
        family.points.iter().filter(move |point| size(point.id).is_some_and(|size| size <= most))
    };
    FAMILIES.iter().flat_map(of).collect()
}

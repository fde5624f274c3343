//! The budgets as data. A ratio to `limit: write(2)`, to the best peer or to one by name is taken
//! once that row is in a run; until then the line is not run.

use super::Better::{Less, More};
use super::Measure::{Growth, Ours, To, ToBest, Within};
use super::{Line, Metric, Unit};
use crate::workload::LIMIT_MAP;

const LIMIT_WRITE: &str = "limit: write(2)";
const RATE: &str = "entries_per_s";

const BYTES: Unit = Unit::Of("B", 1.0);
const MICROS: Unit = Unit::Of("us", 1.0);
const MILLIS: Unit = Unit::Of("ms", 1.0);
const SECONDS: Unit = Unit::Of("s", 1000.0);
const MIB: Unit = Unit::Of("MiB", 1024.0);
const KIB: Unit = Unit::Of("KiB", 1024.0);
const PAGES: Unit = Unit::Of("pages", 4096.0);

const fn metric(workload: &'static str, name: &'static str) -> Metric {
    Metric { workload, name }
}

type Bounds = (Option<f64>, Option<f64>);

const fn line(
    (id, what): (&'static str, &'static str),
    measure: super::Measure,
    (better, unit): (super::Better, Unit),
    (floor, goal): Bounds,
) -> Line {
    Line { id, what, measure, better, floor, goal, unit }
}

/// A rate as a part of the limit's.
const fn limit(text: (&'static str, &'static str), row: &'static str, bounds: (f64, f64)) -> Line {
    let bounds = (Some(bounds.0), Some(bounds.1));
    line(text, To(row, metric(text.0, RATE)), (More, Unit::Times), bounds)
}

/// A rate as a multiple of the best peer's.
const fn best(text: (&'static str, &'static str), floor: f64) -> Line {
    line(text, ToBest(metric(text.0, RATE)), (More, Unit::Times), (Some(floor), None))
}

/// A rate as a multiple of a peer's.
const fn peer(text: (&'static str, &'static str), row: &'static str, bounds: Bounds) -> Line {
    line(text, To(row, metric(text.0, RATE)), (More, Unit::Times), bounds)
}

/// A figure of our own that has to be small.
const fn small(text: (&'static str, &'static str), of: Metric, unit: Unit, bounds: Bounds) -> Line {
    line(text, Ours(of), (Less, unit), bounds)
}

const fn both(floor: f64, goal: f64) -> Bounds {
    (Some(floor), Some(goal))
}

/// What must not grow faster than the number of groups.
const OF_GROUPS: &[&str] = &["append_ns", "read_ack_ns", "open_ms", "anon_kib", "state_kib"];

/// All lines, in the order of the budgets.
pub const LINES: &[Line] = &[
    limit(("W1", "append, one thread, no sync, to the limit"), LIMIT_MAP, (0.5, 0.9)),
    best(("W1", "the same, to the best peer"), 5.0),
    limit(("W2", "append in batches of 100, to the limit"), LIMIT_MAP, (1.0, 2.0)),
    best(("W2", "the same, to the best peer"), 2.0),
    limit(("W3", "append, eight threads, to the limit"), LIMIT_MAP, (0.5, 0.9)),
    best(("W3", "the same, to the best peer"), 3.0),
    limit(("W4", "durable, one thread, to the limit"), LIMIT_WRITE, (0.8, 1.0)),
    limit(("W5", "durable, 64 threads, to the limit"), LIMIT_WRITE, (0.6, 1.0)),
    peer(("W5", "the same, to raft-engine"), "raft-engine", both(1.0, 1.3)),
    line(
        ("W5b", "durable, 10,000 in flight from few threads, to W5"),
        Within(metric("W5b", RATE), metric("W5", RATE)),
        (More, Unit::Times),
        (None, Some(3.0)),
    ),
    limit(("W6", "full scan, checksums verified, to the limit"), LIMIT_MAP, (0.6, 1.0)),
    peer(("W6", "the same, to commitlog"), "commitlog", (Some(1.0), None)),
    line(
        ("W7", "seek to a random ID, next 10, to the limit"),
        To(LIMIT_MAP, metric("W7", "seeks_per_s")),
        (More, Unit::Times),
        both(0.7, 1.2),
    ),
    line(
        ("W7", "the same, to the best peer"),
        ToBest(metric("W7", "seeks_per_s")),
        (More, Unit::Times),
        (Some(1.0), None),
    ),
    line(
        ("W8", "reopen 1 GiB, files in memory: time, to the limit"),
        To(LIMIT_MAP, metric("W8w", "open_ms")),
        (Less, Unit::Times),
        both(3.0, 1.0),
    ),
    line(
        ("W8", "reopen 1 GiB, files not in memory: time, to the limit"),
        To(LIMIT_MAP, metric("W8", "open_ms")),
        (Less, Unit::Times),
        both(3.0, 1.0),
    ),
    small(("W8", "the same: anonymous memory"), metric("W8", "anon_kib"), MIB, both(8.0, 2.0)),
    limit(("W9", "group read and acknowledge, one by one, to the limit"), LIMIT_MAP, (0.4, 0.8)),
    peer(("W9", "the same, to yaque"), "yaque", both(1.0, 3.0)),
    limit(("W9b", "the same in batches of 100, to the limit"), LIMIT_MAP, (0.4, 0.8)),
    peer(("W9b", "the same, to yaque"), "yaque", both(1.0, 3.0)),
    small(
        ("W10", "disk an entry of 100 B, appended one by one"),
        metric("W10", "used_bytes_per_entry"),
        BYTES,
        both(136.0, 128.0),
    ),
    small(
        ("W10", "the same, in batches of 100"),
        metric("W10b", "used_bytes_per_entry"),
        BYTES,
        (None, Some(112.0)),
    ),
    small(
        ("W11", "memory of a pending entry"),
        metric("W11", "anon_bytes_per_pending"),
        BYTES,
        both(64.0, 32.0),
    ),
    small(
        ("W11", "the same after a reopening, all of the store's"),
        metric("W11", "reopened_bytes_per_pending"),
        BYTES,
        both(64.0, 32.0),
    ),
    // Not of the budgets: what is promised of checkpoints beside them.
    small(
        ("W11p", "longest wait for a checkpoint of 1 M pending"),
        metric("W11p", "longest_wait_ms"),
        MILLIS,
        (Some(1.0), None),
    ),
    small(
        ("W12", "append at 200,000/s, a sync each 10 ms: p50"),
        metric("W12", "p50_us"),
        MICROS,
        both(0.3, 0.2),
    ),
    small(("W12", "the same: p99"), metric("W12", "p99_us"), MICROS, both(10.0, 1.0)),
    small(("W12", "the same: p99.9"), metric("W12", "p99.9_us"), MICROS, both(100.0, 10.0)),
    // The goal is one page and what a file system writes besides: an entry in 32 lies in two
    // pages, and a journal's commit comes now and then.
    small(
        ("W13", "written to the device an append at Always"),
        metric("W13", "device_bytes_per_append"),
        PAGES,
        both(3.0, 1.125),
    ),
    small(
        ("W13", "the same at Interval, one append a sync"),
        metric("W13i", "device_bytes_per_append"),
        PAGES,
        both(3.0, 1.125),
    ),
    line(
        ("W14", "append at 200,000/s, four readers, to none: p50"),
        Ours(metric("W14", "p50_to_alone")),
        (Less, Unit::Times),
        both(1.5, 1.2),
    ),
    line(
        ("W14", "the same: p99"),
        Ours(metric("W14", "p99_to_alone")),
        (Less, Unit::Times),
        both(1.5, 1.2),
    ),
    small(
        ("W14", "how far the readers are behind at most"),
        metric("W14", "lag_max_ms"),
        MILLIS,
        (Some(100.0), None),
    ),
    // Linear is tenfold; a tenth more is what one repetition differs from another.
    line(
        ("W15", "1,000 groups to 100: the cost that grows most"),
        Growth { from: "W15g100", to: "W15g1000", metrics: OF_GROUPS },
        (Less, Unit::Times),
        (Some(11.0), None),
    ),
    small(
        ("W15", "disk of an idle stream of 10,000"),
        metric("W15s", "disk_bytes_per_stream"),
        KIB,
        both(64.0, 12.0),
    ),
    small(
        ("W15", "memory of one that was not used yet"),
        metric("W15s", "anon_bytes_per_stream"),
        KIB,
        both(4.0, 1.0),
    ),
    small(
        ("W15", "memory of one that was used and is idle"),
        metric("W15s", "used_anon_bytes_per_stream"),
        KIB,
        both(4.0, 1.0),
    ),
    small(
        ("W15", "a sync of 10,000 streams, 1,024 descriptors"),
        metric("W15p", "pass_ms"),
        SECONDS,
        both(0.5, 0.1),
    ),
    // What is done each second must not take longer than one.
    small(
        ("W15", "an append to each of them and that sync"),
        metric("W15p", "round_ms"),
        SECONDS,
        (Some(1.0), None),
    ),
];

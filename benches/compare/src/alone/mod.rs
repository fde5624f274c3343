//! What no peer is asked for, or none could answer: how much a pending entry costs, how late single
//! appends are, what a durable one writes, and what there may be many of. The limit stands beside
//! streamlog where there is one.

mod device;
mod groups;
mod growth;
mod latency;
mod pauses;
mod pending;
mod streams;
mod waiting;

use crate::measure::Order;
use crate::payload::Payloads;
use crate::peer::{OURS, Outcome};
use crate::workload::{Fill, LIMIT_MAP, Task, Workload};
use std::process::{Command, Stdio};
use std::time::Duration;
use streamlog::{Durability, NewEntries, Store, Stream};

/// One of these measurements.
#[derive(Clone, Copy, Debug)]
pub enum Alone {
    /// Memory of entries that were delivered and not acknowledged.
    Pending,
    /// How long calls take while checkpoints of such entries are written.
    Pauses,
    /// How long single appends take, at a fixed rate, while a sync runs each 10 ms.
    Paced,
    /// Bytes that reach the device for an append that is durable.
    Device { level: Timing },
    /// How long single appends take while four readers follow.
    Tailing,
    /// One stream with so many groups.
    Groups(u64),
    /// One group with so many consumers.
    Consumers(u64),
    /// One store with so many small streams.
    Streams(Sizes),
    /// One sync of so many streams, each with something to sync.
    Pass(Sizes),
    /// One stream with so many entries.
    Entries,
    /// So many threads that read all of a stream.
    Readers(usize),
    /// So many threads that wait for an entry.
    Blocked(usize),
}

/// When a sync comes.
#[derive(Clone, Copy, Debug)]
pub enum Timing {
    /// With each append.
    Always,
    /// Each 10 ms, with one append between two.
    Interval,
}

/// How many there are in a full and in a quick run.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    full: u64,
    quick: u64,
}

impl Sizes {
    /// The same in both.
    pub const fn of(size: u64) -> Sizes {
        Sizes { full: size, quick: size }
    }

    fn get(self, order: &Order) -> u64 {
        choose(order, self.full, self.quick)
    }
}

/// A sync each 10 ms, and no append that waits for one.
const TEN_MS: Durability =
    Durability::Interval { every: Duration::from_millis(10), max_unsynced_bytes: 1 << 30 };
const FIELD: &str = "data";
const PAYLOAD: usize = 100;
/// Entries a call where a stream is filled for speed alone.
const BATCH: usize = 100;
const NAME: &str = "entries";
const MANY: Sizes = Sizes { full: 10_000, quick: 1_000 };

impl Alone {
    /// Whether this row can be measured.
    pub fn serves(self, row: &str) -> bool {
        row == OURS || (row == LIMIT_MAP && matches!(self, Alone::Paced))
    }

    /// How often it is measured at most if nobody asks for more: what takes long is done thrice, and
    /// a quick look is one.
    pub fn repetitions(self, quick: bool) -> u32 {
        match self {
            _ if quick => 1,
            Alone::Streams(_) | Alone::Pass(_) => 3,
            _ => u32::MAX,
        }
    }

    /// Carries out an order.
    pub fn run(self, row: &str, order: &Order) -> Outcome<()> {
        std::fs::create_dir_all(order.store())?;
        match self {
            Alone::Pending => pending::run(order),
            Alone::Pauses => pauses::run(order),
            Alone::Paced if row == LIMIT_MAP => latency::limit(order),
            Alone::Paced => latency::paced(order),
            Alone::Device { level } => device::run(order, level),
            Alone::Tailing => latency::tailing(order),
            Alone::Groups(groups) => groups::groups(order, groups),
            Alone::Consumers(consumers) => groups::consumers(order, consumers),
            Alone::Streams(sizes) => streams::run(order, sizes.get(order)),
            Alone::Pass(sizes) => streams::pass(order, sizes.get(order)),
            Alone::Entries => growth::entries(order),
            Alone::Readers(threads) => growth::readers(order, threads),
            Alone::Blocked(threads) => waiting::run(order, threads),
        }
    }
}

/// A workload of this kind.
pub const fn workload(
    id: &'static str,
    title: &'static str,
    task: Alone,
    (metric, more_is_better): (&'static str, bool),
) -> Workload {
    let limit = if matches!(task, Alone::Paced) { Some(LIMIT_MAP) } else { None };
    Workload {
        id,
        title,
        payload: PAYLOAD,
        fill: None,
        task: Task::Alone(task),
        metric,
        more_is_better,
        limit,
        by_default: true,
    }
}

/// The same, with a process of its own that writes the store and so many entries first.
pub const fn filled(mut workload: Workload, full: u64, quick: u64) -> Workload {
    workload.fill = Some(Fill { full, quick, batch: BATCH, closes: true });
    workload
}

/// All of them but the points of the curves. The numbers are those of the budgets.
pub const WORKLOADS: &[Workload] = &[
    filled(
        workload(
            "W11",
            "memory of an entry that is delivered and not acknowledged",
            Alone::Pending,
            ("anon_bytes_per_pending", false),
        ),
        1_000_000,
        1_000_000,
    ),
    filled(
        workload(
            "W11p",
            "claims among 1 M entries that are pending, beside checkpoints",
            Alone::Pauses,
            ("longest_wait_ms", false),
        ),
        1_000_000,
        1_000_000,
    ),
    workload(
        "W12",
        "appends at an offered 200,000/s, a sync each 10 ms",
        Alone::Paced,
        ("p99_us", false),
    ),
    workload(
        "W13",
        "bytes to the device for an append at Always, 160 MiB into the stream",
        Alone::Device { level: Timing::Always },
        ("device_bytes_per_append", false),
    ),
    workload(
        "W13i",
        "the same at Interval, one append between two syncs",
        Alone::Device { level: Timing::Interval },
        ("device_bytes_per_append", false),
    ),
    workload(
        "W14",
        "appends at an offered 200,000/s, with and without four readers that follow",
        Alone::Tailing,
        ("with_readers_p99_us", false),
    ),
    group_workload("W15g10", "10 groups on one stream", 10),
    group_workload("W15g100", "100 groups on one stream", 100),
    group_workload("W15g1000", "1,000 groups on one stream", 1_000),
    filled(
        workload(
            "W15s",
            "10,000 small streams in one store (quick: 1,000)",
            Alone::Streams(MANY),
            ("disk_bytes_per_stream", false),
        ),
        0,
        0,
    ),
    filled(
        workload(
            "W15p",
            "a sync of 10,000 streams (quick: 1,000) with an append each, 1,024 descriptors",
            Alone::Pass(MANY),
            ("pass_ms", false),
        ),
        0,
        0,
    ),
];

/// Groups on one stream of some entries.
pub const fn group_workload(id: &'static str, title: &'static str, groups: u64) -> Workload {
    filled(workload(id, title, Alone::Groups(groups), ("read_ack_ns", false)), 10_000, 10_000)
}

fn choose<T>(order: &Order, full: T, quick: T) -> T {
    if order.quick { quick } else { full }
}

/// The store of an order.
fn open(order: &Order, level: Durability) -> Outcome<(Store, Stream)> {
    let store = Store::options().durability(level).open(order.store())?;
    let stream = store.stream(NAME)?;
    Ok((store, stream))
}

/// Appends entries in batches; `each` is told the last ID of each batch.
fn fill(
    stream: &Stream,
    payload: usize,
    entries: u64,
    mut each: impl FnMut(streamlog::EntryId),
) -> Outcome<()> {
    let (mut batch, mut payloads) = (NewEntries::new(), Payloads::new(payload, 0));
    let mut left = entries;
    while left > 0 {
        batch.clear();
        for _ in 0..left.min(BATCH as u64) {
            batch.push([(FIELD, payloads.next())])?;
        }
        left -= batch.len() as u64;
        let (_, last) = stream.append_batch(&batch)?.ok_or("an empty batch")?;
        each(last);
    }
    Ok(())
}

/// Runs the second part of a measurement in a fresh process, which prints its figures to the same
/// place.
fn again(order: &Order) -> Outcome<()> {
    let size = choose(order, "full", "quick");
    let done = Command::new(std::env::current_exe()?)
        .args(["child", "again", order.workload.id, OURS, size])
        .arg(&order.dir)
        .stdin(Stdio::null())
        .status()?;
    if !done.success() {
        return Err(format!("the second part ended with {done}").into());
    }
    Ok(())
}

/// Nanoseconds of each of `count` calls, on average.
fn nanos_each(count: u64, mut call: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let start = std::time::Instant::now();
    for _ in 0..count {
        call()?;
    }
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}

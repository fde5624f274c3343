//! The measuring process: one step of one workload on one peer. It prints each figure as a line
//! `name value`, and fails if the peer did not do what the workload asks for.

use crate::map;
use crate::payload::{Payloads, Random};
use crate::peer::{Id, Outcome, Peer};
use crate::process::{self, Counters};
use crate::workload::{Fill, Level, Task, Until, Workload};
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the measuring process is told.
pub struct Order {
    pub workload: &'static Workload,
    pub quick: bool,
    /// Whether the row is waited for until it has written the whole volume.
    pub patient: bool,
    /// Whether to write the store that the workload begins with, instead of measuring.
    pub fills: bool,
    /// Only append so many entries, for others to count the calls of this process.
    pub appends: Option<u64>,
    /// Whether it is the second part of a measurement, in a process of its own.
    pub again: bool,
    /// A directory of this measurement's own.
    pub dir: PathBuf,
}

impl Order {
    /// One of what a workload asks for in a full and in a quick run.
    fn choose<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// When a row is stopped that has not written the whole volume.
    fn cap(&self, (full, quick): (Duration, Duration)) -> Duration {
        if self.patient { PATIENCE } else { self.choose(full, quick) }
    }

    /// The peer's part of the directory.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Where the filling process leaves IDs for the measuring one.
    pub fn ids(&self) -> PathBuf {
        self.dir.join("ids")
    }
}

const WARM_UP: Duration = Duration::from_millis(200);
/// How many IDs the filling process leaves: enough to be random, too few to fill a cache.
const SEEK_IDS: u64 = 65_536;
const REOPEN_IDS: u64 = 1_000;
/// Bytes of payload between two syncs of a store that will be killed.
const SYNC_EVERY: u64 = 8 << 20;

/// Entries a call where a store is filled in batches for speed alone.
const BATCH: usize = 100;
/// When a consumer stops that has not reached the end, in a full and in a quick run.
const GROUP_CAP: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(1));
/// How long a row that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reports one figure to the parent.
pub fn figure(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Carries out an order.
pub fn run<P: Peer>(order: &Order) -> Outcome<()> {
    fs::create_dir_all(order.store())?;
    if let Some(entries) = order.appends {
        return just_append::<P>(order, entries);
    }
    if order.fills {
        let fill = order.workload.fill.ok_or("nothing to fill")?;
        return write_store::<P>(order, fill);
    }
    match order.workload.task {
        Task::Append { level, lanes, batch, until } => {
            append::<P>(order, level, (lanes, batch), until)
        }
        Task::InFlight { lanes, window } => in_flight::<P>(order, lanes, window),
        Task::Scan => scan::<P>(order),
        Task::Seek { count } => seek::<P>(order, count),
        Task::Reopen { cold } => reopen::<P>(order, cold),
        Task::Group { batch } => group::<P>(order, batch),
        Task::Disk => disk(order),
        Task::Blind => blind::<P>(order),
        Task::Memory | Task::Alone(_) => Err("no peer's task".into()),
    }
}

/// Appends entries one by one, at the level of the workload, and ends at once.
fn just_append<P: Peer>(order: &Order, entries: u64) -> Outcome<()> {
    let Task::Append { level, .. } = order.workload.task else {
        return Err("does not append".into());
    };
    let peer = P::open(&order.store(), level)?;
    let mut lane = peer.lane(0)?;
    let mut payloads = Payloads::new(order.workload.payload, 0);
    for _ in 0..entries {
        peer.append(&mut lane, payloads.next())?;
    }
    peer.abandon();
    std::process::exit(0);
}

fn write_store<P: Peer>(order: &Order, mut fill: Fill) -> Outcome<()> {
    if P::SAME_IN_BATCHES {
        fill.batch = fill.batch.max(BATCH);
    }
    let peer = P::open(&order.store(), Level::Unsynced)?;
    let mut lane = peer.lane(0)?;
    let mut payloads = Payloads::new(order.workload.payload, 0);
    let entries = order.workload.filled(order.quick);
    let calls = entries / fill.batch as u64;
    let wanted = match order.workload.task {
        Task::Seek { .. } => SEEK_IDS,
        Task::Reopen { .. } => REOPEN_IDS,
        _ => 0,
    };
    let every = calls.checked_div(wanted).unwrap_or(u64::MAX).max(1);
    // A store that will be killed was synced now and then, as an application's is.
    let sync_every = (SYNC_EVERY / (order.workload.payload * fill.batch) as u64).max(1);
    let mut ids = Vec::new();
    for call in 0..calls {
        let id = write_call(&peer, &mut lane, &mut payloads, fill.batch)?;
        if !fill.closes && (call + 1) % sync_every == 0 {
            peer.sync()?;
        }
        // Behind the last few there are not as many entries as a seek reads.
        if call % every == 0 && call + 16 < calls && wanted > 0 {
            ids.extend_from_slice(&id.0.to_le_bytes());
            ids.extend_from_slice(&id.1.to_le_bytes());
        }
    }
    let rest = (entries % fill.batch as u64) as usize;
    if rest > 0 {
        write_call(&peer, &mut lane, &mut payloads, rest)?;
    }
    fs::write(order.ids(), ids)?;
    peer.sync()?;
    if !fill.closes {
        // No destructor runs: for the store this is the end that a kill brings.
        peer.abandon();
        std::process::exit(0);
    }
    drop(lane);
    peer.close()
}

#[inline]
fn write_call<P: Peer>(
    peer: &P,
    lane: &mut P::Lane,
    payloads: &mut Payloads,
    batch: usize,
) -> Outcome<Id> {
    if batch == 1 {
        return peer.append(lane, payloads.next());
    }
    let mut parts = Vec::with_capacity(batch);
    payloads.batch(&mut parts, batch);
    peer.append_batch(lane, &parts)
}

/// What one thread of writers did.
struct Lane {
    start: Instant,
    end: Instant,
    processor: Duration,
    entries: u64,
    /// Nanoseconds of each call, under [`Level::Durable`] alone: reading the clock twice is
    /// nothing beside a sync, and a fifth of an append without one.
    waits: Vec<u64>,
}

/// Makes calls until there were enough, or until the time is over.
fn write_lane<P: Peer>(
    (peer, lane, payloads): (&P, &mut P::Lane, &mut Payloads),
    (batch, timed): (usize, bool),
    (calls, time): (u64, Duration),
) -> Outcome<Lane> {
    let (start, worked) = (Instant::now(), process::thread_time());
    let mut waits = Vec::new();
    let mut done = 0;
    while done < calls {
        let called = timed.then(Instant::now);
        write_call(peer, lane, payloads, batch)?;
        done += 1;
        if let Some(called) = called {
            waits.push(called.elapsed().as_nanos() as u64);
        }
        if (timed || done % 256 == 0) && start.elapsed() >= time {
            break;
        }
    }
    Ok(Lane {
        start,
        end: Instant::now(),
        processor: process::thread_time() - worked,
        entries: done * batch as u64,
        waits,
    })
}

fn append<P: Peer>(
    order: &Order,
    level: Level,
    (lanes, batch): (usize, usize),
    until: Until,
) -> Outcome<()> {
    let (bytes, time) = match until {
        Until::Bytes { full, quick, cap } => (order.choose(full, quick), order.cap(cap)),
        Until::Time { full, quick } => (u64::MAX, order.choose(full, quick)),
    };
    // Records are longer than what they hold.
    let warm = match until {
        Until::Bytes { .. } => Some(map::Warm::new(bytes / 4 * 7)?),
        Until::Time { .. } => None,
    };
    let share = bytes.div_ceil((order.workload.payload * batch * lanes) as u64);
    let peer = P::open(&order.store(), level)?;
    peer.prepare()?;
    let timed = level == Level::Durable;
    let gate = Barrier::new(lanes);
    let work = |number: usize| {
        let mut payloads = Payloads::new(order.workload.payload, number);
        let begun = peer.lane(number).and_then(|mut lane| {
            let who = (&peer, &mut lane, &mut payloads);
            write_lane(who, (batch, timed), (u64::MAX, WARM_UP))?;
            Ok(lane)
        });
        // A thread that failed must still come here, or the others would wait for it for ever.
        gate.wait();
        let who = (&peer, &mut begun?, &mut payloads);
        write_lane(who, (batch, timed), (share, time))
    };
    let ended = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let (work, ended) = (&work, &ended);
        let warm = warm.map(|warm| scope.spawn(move || process::replace_taken(warm, ended)));
        let threads: Vec<_> = (0..lanes).map(|n| scope.spawn(move || work(n))).collect();
        let joined: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        ended.store(true, Ordering::Relaxed);
        warm.map_or(Ok(Ok(())), |warm| warm.join()).map_err(|_| "no memory was given")??;
        let lanes = joined.into_iter().map(|lane| lane.map_err(|_| "a writer panicked")?);
        lanes.collect::<Outcome<Vec<Lane>>>()
    })?;
    if !peer.has_last()? {
        return Err("what was appended is not there".into());
    }
    report_append(&done)?;
    figure("files", process::count(&order.store())? as f64);
    // The store is thrown away, so it need not be closed, which would wait for the disk.
    peer.abandon();
    std::process::exit(0);
}

/// Each thread has its share of what is under way.
fn in_flight<P: Peer>(order: &Order, lanes: usize, window: usize) -> Outcome<()> {
    let peer = P::open(&order.store(), Level::Durable)?;
    let time = Duration::from_millis(if order.quick { 500 } else { 2000 });
    let gate = Barrier::new(lanes);
    let work = |number: usize| -> Outcome<Lane> {
        let mut payloads = Payloads::new(order.workload.payload, number);
        let begun = peer.lane(number).and_then(|mut lane| {
            let until = Instant::now() + WARM_UP;
            peer.append_in_flight(&mut lane, &mut payloads, window / lanes, until)?;
            Ok(lane)
        });
        gate.wait();
        let (start, worked) = (Instant::now(), process::thread_time());
        let (until, lane) = (start + time, &mut begun?);
        let entries = peer.append_in_flight(lane, &mut payloads, window / lanes, until)?;
        let processor = process::thread_time() - worked;
        Ok(Lane { start, end: Instant::now(), processor, entries, waits: Vec::new() })
    };
    let done = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..lanes).map(|n| scope.spawn(move || work(n))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|lane| lane.map_err(|_| "a writer panicked")?).collect::<Outcome<Vec<Lane>>>()
    })?;
    report_append(&done)?;
    std::process::exit(0);
}

fn report_append(lanes: &[Lane]) -> Outcome<()> {
    let start = lanes.iter().map(|lane| lane.start).min().ok_or("no writer")?;
    let end = lanes.iter().map(|lane| lane.end).max().ok_or("no writer")?;
    let entries: u64 = lanes.iter().map(|lane| lane.entries).sum();
    figure("entries_per_s", entries as f64 / (end - start).as_secs_f64());
    figure("entries", entries as f64);
    let processor: Duration = lanes.iter().map(|lane| lane.processor).sum();
    figure("processor_ns_per_entry", processor.as_nanos() as f64 / entries as f64);
    let mut waits: Vec<u64> = lanes.iter().flat_map(|lane| lane.waits.iter().copied()).collect();
    waits.sort_unstable();
    for (name, part) in [("p50_us", 500), ("p99_us", 990), ("p99.9_us", 999)] {
        if let Some(wait) = waits.get(waits.len() * part / 1000) {
            figure(name, *wait as f64 / 1000.0);
        }
    }
    Ok(())
}

/// How long the measured part lasts at least where a pass can be repeated.
fn long_enough(order: &Order) -> Duration {
    Duration::from_millis(if order.quick { 500 } else { 1000 })
}

fn scan<P: Peer>(order: &Order) -> Outcome<()> {
    let peer = P::open(&order.store(), Level::Unsynced)?;
    peer.prepare()?;
    let expected = order.workload.filled(order.quick);
    let pass = || -> Outcome<Duration> {
        let (start, mut bytes) = (Instant::now(), 0);
        let entries = peer.scan(|payload| bytes += black_box(payload).len() as u64)?;
        let time = start.elapsed();
        if entries != expected || bytes != expected * order.workload.payload as u64 {
            return Err(format!("scanned {entries} of {expected} entries, {bytes} bytes").into());
        }
        Ok(time)
    };
    // The first pass maps the pages; it is told apart.
    figure("first_pass_entries_per_s", expected as f64 / pass()?.as_secs_f64());
    let (mut passes, mut time, worked) = (0, Duration::ZERO, process::thread_time());
    while time < long_enough(order) {
        time += pass()?;
        passes += 1;
    }
    let entries = (expected * passes) as f64;
    let processor = (process::thread_time() - worked).as_nanos() as f64;
    figure("entries_per_s", entries / time.as_secs_f64());
    figure("processor_ns_per_entry", processor / entries);
    peer.close()
}

/// The IDs that the filling process left.
pub fn load_ids(path: &Path) -> Outcome<Vec<Id>> {
    let bytes = fs::read(path)?;
    let (words, _) = bytes.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let id = |[ms, seq]: &[[u8; 8]; 2]| Id(u64::from_le_bytes(*ms), u64::from_le_bytes(*seq));
    Ok(pairs.iter().map(id).collect())
}

fn seek<P: Peer>(order: &Order, count: usize) -> Outcome<()> {
    let peer = P::open(&order.store(), Level::Unsynced)?;
    peer.prepare()?;
    let ids = load_ids(&order.ids())?;
    let mut random = Random::new(7);
    let mut spell = |long: Duration| -> Outcome<f64> {
        let (start, mut seeks) = (Instant::now(), 0u64);
        while seeks % 64 != 0 || start.elapsed() < long {
            let id = ids[random.below(ids.len() as u64) as usize];
            let read = peer.read_from(id, count, |payload| {
                black_box(payload);
            })?;
            if read != count as u64 {
                return Err(format!("read {read} entries behind {id:?}").into());
            }
            seeks += 1;
        }
        Ok(seeks as f64 / start.elapsed().as_secs_f64())
    };
    spell(WARM_UP)?;
    figure("seeks_per_s", spell(long_enough(order))?);
    peer.close()
}

fn reopen<P: Peer>(order: &Order, cold: bool) -> Outcome<()> {
    let ids = load_ids(&order.ids())?;
    if cold {
        process::forget(&order.store())?;
    }
    let (before, start) = (Counters::now()?, Instant::now());
    let peer = P::open(&order.store(), Level::Unsynced)?;
    if !peer.has_last()? {
        return Err("the last entry is not there".into());
    }
    let time = start.elapsed();
    let opened = Counters::with(peer.other_process())?;
    figure("open_ms", time.as_secs_f64() * 1000.0);
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    figure("device_kib", kib(opened.read_from_device - before.read_from_device));
    figure("read_calls_kib", kib(opened.read_by_calls - before.read_by_calls));
    figure("faults", (opened.faults - before.faults) as f64);
    figure("anon_kib", opened.anon_kib.saturating_sub(before.anon_kib) as f64);
    if cold {
        report_resident::<P>(&order.store())?;
    }
    for id in ids {
        if peer.read_from(id, 10, |payload| _ = black_box(payload))? == 0 {
            return Err(format!("nothing behind {id:?}").into());
        }
    }
    let after = Counters::with(peer.other_process())?.anon_kib;
    figure("anon_after_seeks_kib", after.saturating_sub(before.anon_kib) as f64);
    peer.close()
}

/// How much of the finished files opening has brought into memory, where nothing of them was.
fn report_resident<P: Peer>(store: &Path) -> Outcome<()> {
    let (mut bytes, mut resident) = (0, 0);
    for path in P::finished(store)? {
        bytes += path.metadata()?.len();
        resident += map::resident(&path)?;
    }
    figure("finished_kib", bytes as f64 / 1024.0);
    figure("finished_resident_kib", resident as f64 / 1024.0);
    Ok(())
}

fn group<P: Peer>(order: &Order, batch: usize) -> Outcome<()> {
    let peer = P::open(&order.store(), Level::Unsynced)?;
    peer.prepare()?;
    let expected = order.workload.filled(order.quick);
    let (start, mut acknowledged, mut bytes) = (Instant::now(), 0, 0);
    let long = order.choose(GROUP_CAP.0, GROUP_CAP.1);
    peer.read_and_ack(
        batch,
        |payload| bytes += black_box(payload).len() as u64,
        |more| {
            acknowledged += more;
            acknowledged % 64 == 0 && start.elapsed() > long
        },
    )?;
    let time = start.elapsed();
    let all = acknowledged == expected || time > long;
    if !all || bytes != acknowledged * order.workload.payload as u64 {
        return Err(format!("{acknowledged} of {expected} acknowledged, {bytes} bytes").into());
    }
    figure("entries_per_s", acknowledged as f64 / time.as_secs_f64());
    figure("entries", acknowledged as f64);
    peer.close()
}

fn disk(order: &Order) -> Outcome<()> {
    let room = process::room(&order.store())?;
    let entries = order.workload.filled(order.quick) as f64;
    figure("used_bytes_per_entry", room.used as f64 / entries);
    figure("allocated_bytes_per_entry", room.allocated as f64 / entries);
    figure("files", room.files as f64);
    Ok(())
}

/// Overwrites bytes in the middle of the largest finished file, where only entries are.
fn damage<P: Peer>(store: &Path) -> Outcome<()> {
    let length = |path: &PathBuf| path.metadata().map_or(0, |about| about.len());
    let victim = P::finished(store)?.into_iter().max_by_key(length).ok_or("no finished file")?;
    let file = File::options().write(true).open(&victim)?;
    file.write_all_at(&[0xa5; 64], length(&victim) / 2)?;
    Ok(file.sync_all()?)
}

/// Damages a frame that lies in a sealed segment, opens, reads the last entry, then scans. Opening
/// that reads such frames fails; a scan that does not fail shows that no frame was damaged.
fn blind<P: Peer>(order: &Order) -> Outcome<()> {
    damage::<P>(&order.store())?;
    let opened = P::open(&order.store(), Level::Unsynced).and_then(|peer| {
        let last = peer.has_last()?;
        Ok((peer, last))
    });
    let (peer, last) = match opened {
        Ok(found) => found,
        Err(error) => {
            eprintln!("opening noticed the damage: {error}");
            figure("opened", 0.0);
            return Ok(());
        }
    };
    let noticed = peer.scan(|payload| _ = black_box(payload)).is_err();
    if !last || !noticed {
        return Err("the scan did not notice the damage, so this shows nothing".into());
    }
    figure("opened", 1.0);
    Ok(())
}

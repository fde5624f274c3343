//! Many small streams in one store: idle ones, and all of them with something to sync.

use super::{FIELD, PAYLOAD};
use crate::measure::{Order, figure};
use crate::payload::Payloads;
use crate::peer::Outcome;
use crate::process::Counters;
use crate::usage;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;
use streamlog::{Durability, EntryId, Store};

/// The descriptors that a process gets here: what a shell gives by default.
const DESCRIPTORS: u64 = 1024;
const ROUNDS: usize = 3;
/// Appends that are enough for an average.
const ROUND: u64 = 10_000;
/// Threads that use streams for the first time.
const WRITERS: usize = 32;

fn name(number: u64) -> String {
    format!("stream-{number}")
}

/// One entry to each; the ID that the last one got.
fn append_to_each(store: &Store, payloads: &mut Payloads, streams: u64) -> Outcome<EntryId> {
    let mut last = EntryId::MIN;
    for number in 0..streams {
        last = store.stream(name(number))?.append([(FIELD, payloads.next())])?;
    }
    Ok(last)
}

/// The same by some threads: the first use of a stream waits for the disk, which serves many at
/// once better than one by one.
fn first_to_each(store: &Store, streams: u64) -> Outcome<()> {
    let next = AtomicU64::new(0);
    let work = || -> Outcome<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= streams {
                return Ok(());
            }
            store.stream(name(number))?.append([(FIELD, "the first")])?;
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS).map(|_| scope.spawn(work)).collect();
        let mut joined = threads.into_iter().map(|thread| thread.join());
        joined.try_for_each(|done| done.map_err(|_| "a writer panicked")?)
    })
}

fn write(order: &Order, streams: u64) -> Outcome<Store> {
    let store = Store::options().durability(Durability::Manual).open(order.store())?;
    let start = Instant::now();
    store.stream(name(0))?;
    figure("create_one_us", start.elapsed().as_micros() as f64);
    let start = Instant::now();
    first_to_each(&store, streams)?;
    figure("create_us", start.elapsed().as_micros() as f64 / streams as f64);
    Ok(store)
}

/// The store is thrown away, so that it need not be closed, which takes two syncs a stream.
fn leave() -> ! {
    std::process::exit(0)
}

fn report_memory(what: &str, before: Counters, streams: u64) -> Outcome<()> {
    let grown = Counters::now()?.anon_kib.saturating_sub(before.anon_kib);
    figure(&format!("{what}anon_bytes_per_stream"), grown as f64 * 1024.0 / streams as f64);
    figure(&format!("{what}descriptors"), usage::descriptors()? as f64);
    figure(&format!("{what}maps"), usage::maps()? as f64);
    Ok(())
}

/// What so many streams cost that hold one entry each: on disk, to open, in memory when none was
/// used and when each was used once.
pub fn run(order: &Order, streams: u64) -> Outcome<()> {
    if order.fills {
        return Ok(write(order, streams)?.close()?);
    }
    let disk = usage::allocated(&order.store().join("streams"))?;
    figure("disk_bytes_per_stream", disk as f64 / streams as f64);
    // The payloads' own memory, 1 MiB, counts for no stream: it is there before and stays.
    let mut payloads = Payloads::new(PAYLOAD, 0);
    let (before, start) = (Counters::now()?, Instant::now());
    let store = Store::options().durability(Durability::Manual).open(order.store())?;
    let found = store.names().len() as u64;
    figure("open_ms", start.elapsed().as_secs_f64() * 1000.0);
    if found != streams {
        return Err(format!("{found} of {streams} streams are there").into());
    }
    report_memory("", before, streams)?;
    let start = Instant::now();
    append_to_each(&store, &mut payloads, streams)?;
    figure("first_append_us", start.elapsed().as_micros() as f64 / streams as f64);
    // Few streams are gone through often, or one slow call would be all that is seen.
    let rounds = (ROUND / streams).max(1);
    let start = Instant::now();
    for _ in 0..rounds {
        append_to_each(&store, &mut payloads, streams)?;
    }
    figure("append_us", start.elapsed().as_micros() as f64 / (rounds * streams) as f64);
    store.sync()?;
    report_memory("used_", before, streams)?;
    leave()
}

/// Which part of the streams has nothing to sync; a hundredth of them is asked.
fn synced_part(store: &Store, streams: u64) -> Outcome<f64> {
    let (mut synced, mut asked) = (0.0, 0.0);
    for number in (0..streams).step_by((streams / 100).max(1) as usize) {
        let stream = store.stream(name(number))?;
        synced += f64::from(u8::from(stream.durable_id()? == stream.info()?.last_id));
        asked += 1.0;
    }
    Ok(synced / asked)
}

/// An append to each stream, and then a sync of all, under `Interval` with its second. The sync is
/// called for, since the start of one that comes by itself is not seen from outside. A store keeps
/// few streams open and syncs those that it closes, so that some are on disk already when the call
/// comes: which part is told, and the whole round is measured besides, which has to fit into its
/// second.
pub fn pass(order: &Order, streams: u64) -> Outcome<()> {
    if order.fills {
        write(order, streams)?.sync()?;
        leave();
    }
    let most = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), ..most })?;
    let store = Store::open(order.store())?;
    first_to_each(&store, streams)?;
    store.sync()?;
    let mut payloads = Payloads::new(PAYLOAD, 0);
    let (mut pass, mut round) = (Vec::new(), Vec::new());
    let (mut synced, mut descriptors) = (1.0, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let last = append_to_each(&store, &mut payloads, streams)?;
        let appended = start.elapsed();
        descriptors = descriptors.max(usage::descriptors()?);
        synced = synced_part(&store, streams)?.min(synced);
        let start = Instant::now();
        store.sync()?;
        let called = start.elapsed();
        if store.stream(name(streams - 1))?.durable_id()? < last {
            return Err("a stream was left out".into());
        }
        pass.push(called.as_secs_f64() * 1000.0);
        round.push((appended + called).as_secs_f64() * 1000.0);
    }
    let most = |times: Vec<f64>| times.into_iter().fold(0.0, f64::max);
    figure("pass_ms", most(pass));
    figure("round_ms", most(round));
    figure("synced_before_part", synced);
    figure("descriptors", descriptors as f64);
    figure("maps", usage::maps()? as f64);
    leave()
}

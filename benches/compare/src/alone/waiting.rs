//! Many threads that wait for an entry: what an append costs that wakes all of them, or one of a
//! group, or none.

use super::{FIELD, PAYLOAD, choose, nanos_each, open};
use crate::measure::{Order, figure};
use crate::payload::Payloads;
use crate::peer::Outcome;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use streamlog::{Durability, EntryId, GroupReadOptions, ReadOptions, Start, Stream};

/// Each is one of a thousand.
const STACK: usize = 128 << 10;
const STOP: &[u8] = b"no more";
const PATIENCE: Duration = Duration::from_secs(30);

/// Median microseconds of the append, and until all that it woke had the entry.
struct Woken {
    append: f64,
    all: f64,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Waits until this many entries were received in all.
fn until(received: &AtomicU64, count: u64) -> Outcome<()> {
    let start = Instant::now();
    while received.load(Ordering::Acquire) < count {
        if start.elapsed() > PATIENCE {
            return Err("not all who waited were woken".into());
        }
        thread::yield_now();
    }
    Ok(())
}

/// Appends again and again when all are asleep; each append wakes `wakes` of them.
fn rounds(order: &Order, stream: &Stream, received: &AtomicU64, wakes: u64) -> Outcome<Woken> {
    let mut payloads = Payloads::new(PAYLOAD, 0);
    let (mut append, mut all) = (Vec::new(), Vec::new());
    for round in 1..=choose(order, 40, 10) {
        // There is no telling that a thread sleeps; this is long enough for all to come there.
        thread::sleep(Duration::from_millis(5) + Duration::from_micros(20) * wakes as u32);
        let start = Instant::now();
        stream.append([(FIELD, payloads.next())])?;
        append.push(start.elapsed().as_nanos() as f64 / 1000.0);
        until(received, round * wakes)?;
        all.push(start.elapsed().as_nanos() as f64 / 1000.0);
    }
    Ok(Woken { append: median(&mut append), all: median(&mut all) })
}

/// Runs `wait` on so many threads, and `work` beside them; `stop` makes them end.
fn beside(
    threads: usize,
    wait: impl Fn(usize) -> Outcome<()> + Sync,
    work: impl FnOnce() -> Outcome<()>,
    stop: impl FnOnce() -> Outcome<()>,
) -> Outcome<()> {
    thread::scope(|scope| {
        let wait = &wait;
        let spawn = |number| {
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || wait(number))
        };
        let waiting = (0..threads).map(spawn).collect::<std::io::Result<Vec<_>>>();
        // All have to sleep before the first entry comes.
        thread::sleep(Duration::from_millis(20) + Duration::from_micros(100) * threads as u32);
        let done = if waiting.is_ok() { work() } else { Ok(()) };
        // Those that were started wait, even if there were not threads enough.
        stop()?;
        for thread in waiting? {
            thread.join().map_err(|_| "a waiting thread panicked")??;
        }
        done
    })
}

fn readers(order: &Order, stream: &Stream, threads: usize) -> Outcome<()> {
    let (received, begin) = (AtomicU64::new(0), stream.info()?.last_id);
    let wait = |_| -> Outcome<()> {
        let (mut after, options) = (begin, ReadOptions::new().block_forever());
        loop {
            let batch = stream.read(Start::After(after), options)?;
            after = batch.last_id().unwrap_or(after);
            if batch.iter().any(|entry| entry.get(FIELD) == Some(STOP)) {
                return Ok(());
            }
            received.fetch_add(batch.len() as u64, Ordering::Release);
        }
    };
    let work = || {
        let woken = rounds(order, stream, &received, threads as u64)?;
        figure("append_us", woken.append);
        figure("all_woken_us", woken.all);
        Ok(())
    };
    beside(threads, wait, work, || Ok(stream.append([(FIELD, STOP)]).map(drop)?))
}

fn group(order: &Order, (stream, idle): (&Stream, &Stream), threads: usize) -> Outcome<()> {
    let (received, group) = (AtomicU64::new(0), stream.create_group("workers", Start::Last)?);
    let wait = |number: usize| -> Outcome<()> {
        let consumer = group.consumer(format!("{number}"))?;
        let options = GroupReadOptions::new().count(1).block_forever();
        loop {
            let delivery = consumer.read(options)?;
            let stops = delivery.iter().any(|entry| entry.get(FIELD) == Some(STOP));
            delivery.ack_all()?;
            if stops {
                return Ok(());
            }
            received.fetch_add(1, Ordering::Release);
        }
    };
    let work = || {
        let woken = rounds(order, stream, &received, 1)?;
        figure("group_append_us", woken.append);
        figure("one_woken_us", woken.all);
        let mut payloads = Payloads::new(PAYLOAD, 0);
        let nanos = nanos_each(choose(order, 100_000, 20_000), || {
            Ok(idle.append([(FIELD, payloads.next())]).map(drop)?)
        })?;
        figure("other_stream_append_us", nanos / 1000.0);
        Ok(())
    };
    let stop = || {
        for _ in 0..threads {
            stream.append([(FIELD, STOP)])?;
        }
        Ok(())
    };
    beside(threads, wait, work, stop)
}

/// Measures it.
pub fn run(order: &Order, threads: usize) -> Outcome<()> {
    let (store, stream) = open(order, Durability::Manual)?;
    let idle = store.stream("idle")?;
    idle.append([(FIELD, "the first")])?;
    if stream.info()?.last_id != EntryId::MIN {
        return Err("the store is not new".into());
    }
    readers(order, &stream, threads)?;
    group(order, (&stream, &idle), threads)?;
    Ok(store.close()?)
}

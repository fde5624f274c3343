//! One stream that gets longer, and one that many threads read.

use super::{FIELD, NAME, PAYLOAD, choose, fill, nanos_each, open};
use crate::measure::{Order, figure, load_ids};
use crate::payload::{Payloads, Random};
use crate::peer::Outcome;
use crate::process::Counters;
use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use streamlog::{Durability, EntryId, Snapshot, Store, Stream};

/// How many IDs the filling process leaves to seek for.
const IDS: u64 = 65_536;
const NEXT: usize = 10;

fn write(order: &Order) -> Outcome<()> {
    let (store, stream) = open(order, Durability::Manual)?;
    let entries = order.workload.filled(order.quick);
    let every = (entries / super::BATCH as u64).div_ceil(IDS);
    let (mut ids, mut batches, start) = (Vec::new(), 0, Instant::now());
    fill(&stream, order.workload.payload, entries, |id| {
        if batches % every == 0 {
            ids.extend_from_slice(&id.ms.to_le_bytes());
            ids.extend_from_slice(&id.seq.to_le_bytes());
        }
        batches += 1;
    })?;
    figure("fill_ns", start.elapsed().as_nanos() as f64 / entries as f64);
    fs::write(order.ids(), ids)?;
    Ok(store.close()?)
}

/// Opening, seeking, appending and memory where there are so many entries already.
pub fn entries(order: &Order) -> Outcome<()> {
    if order.fills {
        return write(order);
    }
    let ids = load_ids(&order.ids())?;
    let (before, start) = (Counters::now()?, Instant::now());
    let store = Store::options().durability(Durability::Manual).open(order.store())?;
    let stream = store.get(NAME)?.ok_or("the stream is gone")?;
    if stream.snapshot()?.range(..).next_back().transpose()?.is_none() {
        return Err("the last entry is gone".into());
    }
    figure("open_ms", start.elapsed().as_secs_f64() * 1000.0);
    let mut random = Random::new(7);
    let mut seek = || -> Outcome<()> {
        let id = ids[random.below(ids.len() as u64) as usize];
        let snapshot = stream.snapshot()?;
        for entry in snapshot.range(EntryId::from((id.0, id.1))..).take(NEXT) {
            black_box(entry?.id());
        }
        Ok(())
    };
    let seeks = choose(order, 200_000, 50_000);
    // The first seeks bring indexes and pages into memory.
    nanos_each(seeks / 10, &mut seek)?;
    figure("seek_ns", nanos_each(seeks, &mut seek)?);
    figure("append_ns", append_nanos(order, &stream)?);
    let grown = Counters::now()?.anon_kib.saturating_sub(before.anon_kib);
    figure("anon_kib", grown as f64);
    Ok(store.close()?)
}

fn append_nanos(order: &Order, stream: &Stream) -> Outcome<f64> {
    let mut payloads = Payloads::new(PAYLOAD, 1);
    nanos_each(choose(order, 500_000, 100_000), || {
        stream.append([(FIELD, payloads.next())])?;
        Ok(())
    })
}

fn pass(snapshot: &Snapshot) -> Outcome<u64> {
    let mut entries = 0;
    for entry in snapshot.range(..) {
        black_box(entry?.get(FIELD).ok_or("an entry without its field")?);
        entries += 1;
    }
    Ok(entries)
}

/// Entries a second of so many threads together that each read all of the stream.
pub fn readers(order: &Order, threads: usize) -> Outcome<()> {
    let (store, stream) = open(order, Durability::Manual)?;
    let expected = order.workload.filled(order.quick);
    if order.fills {
        fill(&stream, order.workload.payload, expected, |_| ())?;
        return Ok(store.close()?);
    }
    pass(&stream.snapshot()?)?;
    let (over, start) = (AtomicBool::new(false), Instant::now());
    let read = || -> Outcome<u64> {
        let mut entries = 0;
        while !over.load(Ordering::Relaxed) {
            let seen = pass(&stream.snapshot()?)?;
            if seen != expected {
                return Err(format!("{seen} of {expected} entries").into());
            }
            entries += seen;
        }
        Ok(entries)
    };
    let entries = thread::scope(|scope| -> Outcome<u64> {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        thread::sleep(Duration::from_millis(choose(order, 1000, 300)));
        over.store(true, Ordering::Relaxed);
        let joined = readers.into_iter().map(|reader| reader.join());
        joined.map(|entries| entries.map_err(|_| "a reader panicked")?).sum()
    })?;
    figure("entries_per_s", entries as f64 / start.elapsed().as_secs_f64());
    Ok(store.close()?)
}

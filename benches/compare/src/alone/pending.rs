//! W11: what an entry costs that a consumer has and has not acknowledged.

use super::{NAME, again, fill, open};
use crate::measure::{Order, figure};
use crate::peer::Outcome;
use crate::process::Counters;
use std::hint::black_box;
use std::time::Instant;
use streamlog::{Durability, GroupReadOptions, Start, Store};

const GROUP: &str = "workers";
const COUNT: usize = 100;

/// Measures it after the reading, and after a reopening in another process.
pub fn run(order: &Order) -> Outcome<()> {
    if order.again {
        return reopened(order);
    }
    let (store, stream) = open(order, Durability::Manual)?;
    let entries = order.workload.filled(order.quick);
    if order.fills {
        fill(&stream, order.workload.payload, entries, |_| ())?;
        return Ok(store.close()?);
    }
    // What reading a stream takes for itself is in memory before the counting begins.
    for entry in stream.snapshot()?.range(..) {
        black_box(entry?.id());
    }
    let consumer = stream.group(GROUP, Start::First)?.consumer("only")?;
    let (before, start, mut read) = (Counters::now()?, Instant::now(), 0);
    while read < entries {
        let delivery = consumer.read(GroupReadOptions::new().count(COUNT))?;
        if delivery.is_empty() {
            return Err(format!("{read} of {entries} entries were delivered").into());
        }
        read += delivery.len() as u64;
    }
    let time = start.elapsed();
    store.sync()?;
    let after = Counters::now()?;
    figure("anon_bytes_per_pending", grown(before, after) / entries as f64);
    figure("entries_per_s", entries as f64 / time.as_secs_f64());
    store.close()?;
    again(order)
}

fn reopened(order: &Order) -> Outcome<()> {
    let (before, start) = (Counters::now()?, Instant::now());
    let store = Store::options().durability(Durability::Manual).open(order.store())?;
    let stream = store.get(NAME)?.ok_or("the stream is gone")?;
    let group = stream.get_group(GROUP)?.ok_or("the group is gone")?;
    let (pending, entries) = (group.pending()?.count, order.workload.filled(order.quick));
    let time = start.elapsed();
    if pending != entries {
        return Err(format!("{pending} of {entries} entries are pending").into());
    }
    figure("reopened_bytes_per_pending", grown(before, Counters::now()?) / entries as f64);
    figure("reopen_ms", time.as_secs_f64() * 1000.0);
    Ok(store.close()?)
}

/// Bytes of anonymous memory that came.
fn grown(before: Counters, after: Counters) -> f64 {
    after.anon_kib.saturating_sub(before.anon_kib) as f64 * 1024.0
}

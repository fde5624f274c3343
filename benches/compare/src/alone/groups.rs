//! Many groups on one stream, many consumers in one group.

use super::{FIELD, NAME, choose, fill, nanos_each, open};
use crate::measure::{Order, figure};
use crate::payload::Payloads;
use crate::peer::Outcome;
use crate::process::{self, Counters};
use std::time::Instant;
use streamlog::{Durability, Group, GroupReadOptions, Start, Store, Stream};

/// As long for many as for few.
fn name(number: u64) -> String {
    format!("{number:08}")
}

/// Opens the store up to where its last group and its last entry are known; reports what that took.
fn reopen(order: &Order) -> Outcome<(Store, Stream)> {
    let (before, start) = (Counters::now()?, Instant::now());
    let store = Store::options().durability(Durability::Manual).open(order.store())?;
    let stream = store.get(NAME)?.ok_or("the stream is gone")?;
    if stream.info()?.groups == 0 {
        return Err("the groups are gone".into());
    }
    figure("open_ms", start.elapsed().as_secs_f64() * 1000.0);
    let after = Counters::now()?;
    figure("anon_kib", after.anon_kib.saturating_sub(before.anon_kib) as f64);
    Ok((store, stream))
}

/// The bytes of what is kept of groups, without the zeros that its files end with.
fn report_state(order: &Order) -> Outcome<()> {
    let room = process::room(&order.store().join("state"))?;
    figure("state_kib", room.used as f64 / 1024.0);
    Ok(())
}

fn append_nanos(stream: &Stream, count: u64) -> Outcome<f64> {
    let mut payloads = Payloads::new(super::PAYLOAD, 0);
    nanos_each(count, || {
        stream.append([(FIELD, payloads.next())])?;
        Ok(())
    })
}

/// So many groups, each at the start of the stream: what it costs to append, to read and
/// acknowledge one by one in one of them, and to open.
pub fn groups(order: &Order, groups: u64) -> Outcome<()> {
    if order.fills {
        let (store, stream) = open(order, Durability::Manual)?;
        fill(&stream, super::PAYLOAD, order.workload.filled(order.quick), |_| ())?;
        for number in 0..groups {
            stream.create_group(name(number), Start::First)?;
        }
        return Ok(store.close()?);
    }
    report_state(order)?;
    let (store, stream) = reopen(order)?;
    figure("append_ns", append_nanos(&stream, choose(order, 200_000, 50_000))?);
    let group = stream.get_group(name(groups / 2))?.ok_or("the group is gone")?;
    let consumer = group.consumer("only")?;
    let one = GroupReadOptions::new().count(1);
    let read = choose(order, 50_000, 20_000);
    let nanos = nanos_each(read, || match consumer.read(one)?.ack_all()? {
        1 => Ok(()),
        count => Err(format!("{count} entries instead of one").into()),
    })?;
    figure("read_ack_ns", nanos);
    Ok(store.close()?)
}

/// All entries by so many consumers in turn, ten at a time.
fn take_turns(group: &Group, consumers: u64, mut left: u64) -> Outcome<()> {
    const COUNT: u64 = 10;
    let handles = (0..consumers).map(|number| group.consumer(name(number)));
    let handles = handles.collect::<streamlog::Result<Vec<_>>>()?;
    for consumer in handles.iter().cycle() {
        if left == 0 {
            break;
        }
        let delivery = consumer.read(GroupReadOptions::new().count(COUNT as usize))?;
        left -= match delivery.ack_all()? {
            0 => return Err("no entry is left".into()),
            count => count.min(left),
        };
    }
    Ok(())
}

/// So many consumers of one group.
pub fn consumers(order: &Order, consumers: u64) -> Outcome<()> {
    if order.fills {
        let (store, stream) = open(order, Durability::Manual)?;
        fill(&stream, super::PAYLOAD, order.workload.filled(order.quick), |_| ())?;
        let group = stream.create_group(name(0), Start::First)?;
        for number in 0..consumers {
            group.create_consumer(name(number))?;
        }
        return Ok(store.close()?);
    }
    report_state(order)?;
    let (store, stream) = reopen(order)?;
    let group = stream.get_group(name(0))?.ok_or("the group is gone")?;
    let (entries, start) = (order.workload.filled(order.quick), Instant::now());
    take_turns(&group, consumers, entries)?;
    figure("read_ack_ns", start.elapsed().as_nanos() as f64 / entries as f64);
    figure("summary_us", nanos_each(100, || Ok(group.pending().map(drop)?))? / 1000.0);
    Ok(store.close()?)
}

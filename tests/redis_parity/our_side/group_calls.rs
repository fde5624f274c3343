//! The calls on groups and consumers, and what they answer in the common form.

use super::calls::{bounds, flag, pairs};
use crate::op::*;
use crate::reply::{Age, Class, Item, PendingRow, Reply};
use std::time::Duration;
use streamlog::{
    ClaimOptions, Consumer, Delivery, Group, GroupReadOptions, Pending, PendingFilter, ReadFrom,
    Result, Store,
};

/// Entries in the order of the call.
fn items(delivery: &Delivery) -> Vec<Item> {
    delivery.iter().map(|entry| (entry.id(), Some(pairs(entry.fields())))).collect()
}

/// Entries and the IDs of those that are gone, by ID: the order of a history.
fn history(delivery: &Delivery) -> Vec<Item> {
    let mut list = items(delivery);
    list.extend(delivery.missing().iter().map(|id| (*id, None)));
    list.sort_by_key(|(id, _)| *id);
    list
}

pub(super) fn group_read(store: &Store, op: &Op) -> Result<Reply> {
    let Op::GroupRead { group, consumer, from, count, no_ack, together } = op else {
        unreachable!("not an XREADGROUP: {op:?}");
    };
    let mut consumers: Vec<(Consumer, ReadFrom)> = Vec::new();
    for (key, what) in from {
        let stream = store.get(key)?;
        let group = stream.map(|stream| stream.get_group(group)).transpose()?.flatten();
        let Some(group) = group else {
            return Ok(Reply::Err(Class::NoGroup));
        };
        consumers.push((group.consumer(consumer)?, *what));
    }
    let mut options = GroupReadOptions::new().count(*count);
    if *no_ack {
        options = options.no_ack();
    }
    let parts = match consumers.as_slice() {
        [(consumer, ReadFrom::New)] if !together => {
            let delivery = consumer.read(options)?;
            let name = consumer.group().stream().name();
            if delivery.is_empty() { Vec::new() } else { vec![(name, items(&delivery))] }
        }
        [(consumer, ReadFrom::History(after))] if !together => {
            let delivery = consumer.history(*after, *count)?;
            vec![(consumer.group().stream().name(), history(&delivery))]
        }
        several => {
            let several: Vec<_> = several.iter().map(|(c, what)| (c, *what)).collect();
            let read = store.read_group(&several, options)?;
            read.iter().map(|(stream, part)| (stream.name(), history(part))).collect()
        }
    };
    Ok(if parts.is_empty() { Reply::Nil } else { Reply::Streams(parts) })
}

fn pending_range(group: &Group, op: &Op) -> Result<Reply> {
    let Op::PendingRange { min_idle, start, end, count, consumer, .. } = op else {
        unreachable!("not an XPENDING of a range: {op:?}");
    };
    let idle = Duration::from_millis(*min_idle);
    let mut filter = PendingFilter::new().count(*count).min_idle(idle);
    if let Some(consumer) = consumer {
        filter = filter.consumer(consumer);
    }
    let row = |row: Pending| PendingRow {
        id: row.id,
        consumer: row.consumer,
        age: Age::of(row.idle.as_millis() as u64),
        deliveries: row.deliveries,
    };
    let found = group.pending_range(bounds(*start, *end)?, filter)?;
    Ok(Reply::Pending(found.into_iter().map(row).collect()))
}

pub(super) fn on_group(group: &Group, op: &Op) -> Result<Reply> {
    Ok(match op {
        Op::Ack { ids, .. } => Reply::Int(group.ack(ids.iter().copied())?),
        Op::Pending { .. } => {
            let sum = group.pending()?;
            Reply::Summary {
                count: sum.count,
                first: sum.first,
                last: sum.last,
                consumers: sum.consumers,
            }
        }
        Op::PendingRange { .. } => pending_range(group, op)?,
        Op::Claim { consumer, claim, .. } => claim_ids(&group.consumer(consumer)?, claim)?,
        Op::AutoClaim { consumer, .. } => auto_claim(&group.consumer(consumer)?, op)?,
        Op::Consumers { .. } => {
            let rows = group.consumers()?;
            Reply::Consumers(rows.into_iter().map(|row| (row.name, row.pending)).collect())
        }
        Op::GroupSet { start, entries_read, .. } => {
            match entries_read {
                None => group.set_id(*start)?,
                some => group.set_id_with(*start, *some)?,
            }
            Reply::Ok
        }
        Op::ConsumerCreate { consumer, .. } => flag(group.create_consumer(consumer)?),
        Op::ConsumerDelete { consumer, .. } => Reply::Int(group.remove_consumer(consumer)?),
        _ => unreachable!("not of a group: {op:?}"),
    })
}

pub(super) fn claim_ids(consumer: &Consumer, claim: &Claim) -> Result<Reply> {
    let min_idle = Duration::from_millis(claim.min_idle);
    let ids = claim.ids.iter().copied();
    let plain = Claim { min_idle: claim.min_idle, ids: claim.ids.clone(), ..Claim::default() };
    if *claim == plain {
        return Ok(Reply::Items(items(&consumer.claim(ids, min_idle)?)));
    }
    let mut options = ClaimOptions::new(min_idle);
    for when in &claim.when {
        options = match when {
            When::Idle(ms) => options.idle(Duration::from_millis(*ms)),
            When::Time(ms) => options.time_ms(*ms),
        };
    }
    if let Some(count) = claim.retry_count {
        options = options.retry_count(count);
    }
    if claim.force {
        options = options.force();
    }
    if let Some(id) = claim.last_id {
        options = options.last_id(id);
    }
    Ok(match claim.just_ids {
        true => Reply::Ids(consumer.claim_ids(ids, options)?),
        false => Reply::Items(items(&consumer.claim_with(ids, options)?)),
    })
}

pub(super) fn auto_claim(consumer: &Consumer, op: &Op) -> Result<Reply> {
    let Op::AutoClaim { min_idle, from, count, just_ids, .. } = op else {
        unreachable!("not an XAUTOCLAIM: {op:?}");
    };
    let min_idle = Duration::from_millis(*min_idle);
    Ok(match just_ids {
        true => {
            let found = consumer.auto_claim_ids(*from, min_idle, *count)?;
            let items = found.ids.into_iter().map(|id| (id, None)).collect();
            Reply::AutoClaim { next: found.next, items, deleted: found.deleted }
        }
        false => {
            let found = consumer.auto_claim(*from, min_idle, *count)?;
            let items = items(&found.delivery);
            Reply::AutoClaim { next: found.next, items, deleted: found.deleted }
        }
    })
}

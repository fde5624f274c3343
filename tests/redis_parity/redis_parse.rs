//! Redis's replies in the common form. Every reply is taken apart completely: what has not the
//! expected shape ends the test.

use crate::counters::Counts;
use crate::deviations;
use crate::op::{Fields, Op};
use crate::reply::{Age, Class, FullGroup, FullRow, Item, PendingRow, Reply, StreamRow};
use crate::resp::Value;
use streamlog::EntryId;

pub(crate) fn class(text: &str) -> Class {
    let has = |part| text.contains(part);
    if text.starts_with("NOGROUP ") {
        Class::NoGroup
    } else if text.starts_with("BUSYGROUP ") {
        Class::GroupExists
    } else if has("equal or smaller than the target stream top item") {
        Class::IdNotGreater
    } else if has("must be greater than 0-0") {
        Class::IdZero
    } else if has("exhausted the last possible ID") {
        Class::IdExhausted
    } else if has("no such key") || has("requires the key to exist") {
        Class::NoStream
    } else if has("wrong number of arguments for 'xadd'") {
        Class::NoFields
    } else if has("LIMIT cannot be used without the special ~ option") {
        Class::InvalidTrim
    } else if has("COUNT must be > 0") || has("source and destination objects are the same") {
        Class::InvalidArgument
    } else if has("specified in XSETID is smaller than") {
        Class::SetIdTooSmall
    } else {
        Class::Other(text.to_owned())
    }
}

/// The reply to a command that `op` stands for word by word.
pub(crate) fn reply(op: &Op, value: Value) -> Reply {
    if let Value::Error(text) = &value {
        return Reply::Err(class(text));
    }
    match op {
        Op::Add { .. } if value == Value::Nil => Reply::Nil,
        Op::Add { .. } => Reply::Ids(vec![id(&value)]),
        Op::Get { .. } | Op::Range { .. } => Reply::Items(items(&value)),
        Op::Claim { claim, .. } if claim.just_ids => Reply::Ids(ids(&value)),
        Op::Claim { .. } => Reply::Items(items(&value)),
        Op::Read { .. } | Op::GroupRead { .. } if value == Value::Nil => Reply::Nil,
        Op::Read { .. } | Op::GroupRead { .. } => Reply::Streams(streams(&value)),
        Op::Pending { .. } => summary(&value),
        Op::PendingRange { .. } => Reply::Pending(list(&value).iter().map(pending).collect()),
        Op::AutoClaim { just_ids, .. } => auto_claim(&value, *just_ids),
        Op::Info { .. } => Reply::Info(Box::new(stream_row(&value))),
        Op::Full { .. } => Reply::Full(Box::new(full_row(&value))),
        Op::Consumers { .. } => Reply::Consumers(
            list(&value)
                .iter()
                .map(|row| (bytes(pair(row, "name")), int(pair(row, "pending"))))
                .collect(),
        ),
        Op::Names => {
            let mut names: Vec<_> = list(&value).iter().map(bytes).collect();
            names.sort();
            Reply::Names(names)
        }
        _ => match value {
            Value::Simple(text) if text == "OK" => Reply::Ok,
            Value::Int(n) => Reply::Int(u64::try_from(n).unwrap()),
            other => panic!("{op}: unexpected {other:?}"),
        },
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        other => panic!("not an array: {other:?}"),
    }
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Bulk(bytes) => bytes.clone(),
        other => panic!("not a bulk string: {other:?}"),
    }
}

pub(crate) fn signed(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        other => panic!("not an integer: {other:?}"),
    }
}

fn int(value: &Value) -> u64 {
    u64::try_from(signed(value)).unwrap()
}

fn unless_nil<T>(value: &Value, read: impl Fn(&Value) -> T) -> Option<T> {
    (*value != Value::Nil).then(|| read(value))
}

/// Parsed by hand: the crate's own parser is among what is tested.
pub(crate) fn id(value: &Value) -> EntryId {
    let text = String::from_utf8(bytes(value)).unwrap();
    let (ms, seq) = text.split_once('-').unwrap();
    EntryId::new(ms.parse().unwrap(), seq.parse().unwrap())
}

fn ids(value: &Value) -> Vec<EntryId> {
    list(value).iter().map(id).collect()
}

fn fields(value: &Value) -> Fields {
    let flat = list(value);
    assert!(flat.len().is_multiple_of(2), "a field without a value");
    flat.chunks(2).map(|pair| (bytes(&pair[0]), bytes(&pair[1]))).collect()
}

fn item(value: &Value) -> Item {
    let [at, what] = list(value) else {
        panic!("not an entry: {value:?}");
    };
    (id(at), unless_nil(what, fields))
}

fn items(value: &Value) -> Vec<Item> {
    list(value).iter().map(item).collect()
}

fn streams(value: &Value) -> Vec<(Vec<u8>, Vec<Item>)> {
    let stream = |value: &Value| {
        let [name, entries] = list(value) else {
            panic!("not a stream: {value:?}");
        };
        (bytes(name), items(entries))
    };
    list(value).iter().map(stream).collect()
}

/// The value behind a name in a RESP2 map.
pub(crate) fn pair<'a>(map: &'a Value, name: &str) -> &'a Value {
    let found = list(map).chunks(2).find(|pair| pair[0] == Value::Bulk(name.into()));
    &found.unwrap_or_else(|| panic!("no {name} in {map:?}"))[1]
}

fn summary(value: &Value) -> Reply {
    let [count, first, last, consumers] = list(value) else {
        panic!("not a summary: {value:?}");
    };
    let consumer = |row: &Value| {
        let [name, count] = list(row) else {
            panic!("not a consumer: {row:?}");
        };
        let count = String::from_utf8(bytes(count)).unwrap();
        (bytes(name), count.parse().unwrap())
    };
    Reply::Summary {
        count: int(count),
        first: unless_nil(first, id),
        last: unless_nil(last, id),
        consumers: unless_nil(consumers, |rows| list(rows).iter().map(consumer).collect())
            .unwrap_or_default(),
    }
}

fn pending(row: &Value) -> PendingRow {
    let [at, consumer, idle, deliveries] = list(row) else {
        panic!("not a pending entry: {row:?}");
    };
    PendingRow {
        id: id(at),
        consumer: bytes(consumer),
        age: Age::of(int(idle)),
        deliveries: deviations::delivery_count(signed(deliveries)),
    }
}

fn auto_claim(value: &Value, just_ids: bool) -> Reply {
    let [next, claimed, deleted] = list(value) else {
        panic!("not an XAUTOCLAIM: {value:?}");
    };
    let items = match just_ids {
        true => ids(claimed).into_iter().map(|id| (id, None)).collect(),
        false => items(claimed),
    };
    let next = id(next);
    Reply::AutoClaim { next: (next != EntryId::MIN).then_some(next), items, deleted: ids(deleted) }
}

fn stream_row(map: &Value) -> StreamRow {
    StreamRow {
        length: int(pair(map, "length")),
        blocks: int(pair(map, "radix-tree-keys")),
        last_id: id(pair(map, "last-generated-id")),
        max_deleted_id: id(pair(map, "max-deleted-entry-id")),
        entries_added: int(pair(map, "entries-added")),
        first_id: id(pair(map, "recorded-first-entry-id")),
        groups: int(pair(map, "groups")),
        first: unless_nil(pair(map, "first-entry"), item),
        last: unless_nil(pair(map, "last-entry"), item),
    }
}

fn full_row(map: &Value) -> FullRow {
    FullRow {
        counts: ["length", "radix-tree-keys", "entries-added"].map(|name| int(pair(map, name))),
        ids: ["last-generated-id", "max-deleted-entry-id", "recorded-first-entry-id"]
            .map(|name| id(pair(map, name))),
        entries: items(pair(map, "entries")),
        groups: list(pair(map, "groups")).iter().map(full_group).collect(),
    }
}

fn full_group(map: &Value) -> FullGroup {
    let row = |row: &Value| {
        let [at, consumer, time, deliveries] = list(row) else {
            panic!("not a pending entry: {row:?}");
        };
        full_pending(at, bytes(consumer), time, deliveries)
    };
    let consumer = |map: &Value| {
        let name = bytes(pair(map, "name"));
        let own = |row: &Value| {
            let [at, time, deliveries] = list(row) else {
                panic!("not a pending entry: {row:?}");
            };
            full_pending(at, name.clone(), time, deliveries)
        };
        let rows = list(pair(map, "pending")).iter().map(own).collect();
        (name.clone(), int(pair(map, "pel-count")), rows)
    };
    FullGroup {
        name: bytes(pair(map, "name")),
        last_delivered: id(pair(map, "last-delivered-id")),
        pending_count: int(pair(map, "pel-count")),
        pending: list(pair(map, "pending")).iter().map(row).collect(),
        consumers: list(pair(map, "consumers")).iter().map(consumer).collect(),
    }
}

fn full_pending(at: &Value, consumer: Vec<u8>, time: &Value, deliveries: &Value) -> PendingRow {
    PendingRow {
        id: id(at),
        consumer,
        age: Age::since(int(time)),
        deliveries: deviations::delivery_count(signed(deliveries)),
    }
}

pub(crate) fn counts(map: &Value) -> Counts {
    let row = stream_row(map);
    Counts {
        length: row.length,
        blocks: row.blocks,
        last_id: row.last_id,
        max_deleted: row.max_deleted_id,
        added: i64::try_from(row.entries_added).unwrap(),
        first_id: row.first_id,
        newest: row.last.map(|(id, _)| id),
    }
}

/// A group as Redis shows it, before the deviations are taken out.
pub(crate) struct RawGroup {
    pub(crate) name: Vec<u8>,
    pub(crate) consumers: u64,
    pub(crate) pending: u64,
    pub(crate) cursor: EntryId,
    pub(crate) entries_read: Option<i64>,
    pub(crate) lag: Option<i64>,
}

pub(crate) fn groups(value: &Value) -> Vec<RawGroup> {
    let group = |map: &Value| RawGroup {
        name: bytes(pair(map, "name")),
        consumers: int(pair(map, "consumers")),
        pending: int(pair(map, "pending")),
        cursor: id(pair(map, "last-delivered-id")),
        entries_read: unless_nil(pair(map, "entries-read"), signed),
        lag: unless_nil(pair(map, "lag"), signed),
    };
    list(value).iter().map(group).collect()
}

//! What an operation answered, in a form that both sides can be brought to.
//!
//! Only what may differ for a good reason is left out here: idle times are kept as one of three
//! widely separated ages, error texts as classes.

use crate::op::{Fields, Op};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use streamlog::EntryId;

/// Something that operations can be played on.
pub(crate) trait Side {
    fn run(&mut self, op: &Op) -> Reply;
    /// The operation in a form that does the same on both sides.
    fn adapt(&mut self, op: &Op) -> Op {
        op.clone()
    }
    /// Forgets everything, for another play.
    fn reset(&mut self);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    IdNotGreater,
    IdZero,
    IdExhausted,
    NoStream,
    NoGroup,
    GroupExists,
    NoFields,
    InvalidTrim,
    InvalidArgument,
    SetIdTooSmall,
    /// Anything that no operation here should meet.
    Other(String),
}

/// How long ago a delivery was. Plays take less than the first limit; `XCLAIM` moves records by
/// more than the gap between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Quarter,
    Decades,
    Odd(u64),
}

/// `IDLE` of this many ms makes an [`Age::Quarter`].
pub(crate) const QUARTER_HOUR: u64 = 900_000;
/// `TIME` of this many ms since 1970 makes an [`Age::Decades`].
pub(crate) const YEAR_2001: u64 = 1_000_000_000_000;

impl Age {
    pub(crate) fn of(idle_ms: u64) -> Age {
        match idle_ms {
            0..600_000 => Age::Fresh,
            QUARTER_HOUR..1_500_000 => Age::Quarter,
            500_000_000_000.. => Age::Decades,
            odd => Age::Odd(odd),
        }
    }

    /// Of a time in milliseconds since 1970.
    pub(crate) fn since(unix_ms: u64) -> Age {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        Age::of(now.saturating_sub(unix_ms))
    }
}

/// An entry, or the ID of a pending one that is gone.
pub(crate) type Item = (EntryId, Option<Fields>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub(crate) length: u64,
    pub(crate) blocks: u64,
    pub(crate) last_id: EntryId,
    pub(crate) max_deleted_id: EntryId,
    pub(crate) entries_added: u64,
    pub(crate) first_id: EntryId,
    pub(crate) groups: u64,
    pub(crate) first: Option<Item>,
    pub(crate) last: Option<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRow {
    pub(crate) name: Vec<u8>,
    pub(crate) consumers: u64,
    pub(crate) pending: u64,
    pub(crate) last_delivered: EntryId,
    pub(crate) entries_read: Option<u64>,
    pub(crate) lag: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingRow {
    pub(crate) id: EntryId,
    pub(crate) consumer: Vec<u8>,
    pub(crate) age: Age,
    pub(crate) deliveries: u64,
}

/// What XINFO STREAM FULL shows. The counters of groups are compared by XINFO GROUPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FullRow {
    /// Length, blocks, entries added.
    pub(crate) counts: [u64; 3],
    /// Last, highest deleted, first.
    pub(crate) ids: [EntryId; 3],
    pub(crate) entries: Vec<Item>,
    pub(crate) groups: Vec<FullGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FullGroup {
    pub(crate) name: Vec<u8>,
    pub(crate) last_delivered: EntryId,
    pub(crate) pending_count: u64,
    pub(crate) pending: Vec<PendingRow>,
    /// Name, how many are pending, the first of these.
    pub(crate) consumers: Vec<(Vec<u8>, u64, Vec<PendingRow>)>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Ok,
    Nil,
    Int(u64),
    Ids(Vec<EntryId>),
    Items(Vec<Item>),
    Streams(Vec<(Vec<u8>, Vec<Item>)>),
    Summary {
        count: u64,
        first: Option<EntryId>,
        last: Option<EntryId>,
        consumers: Vec<(Vec<u8>, u64)>,
    },
    Pending(Vec<PendingRow>),
    AutoClaim {
        next: Option<EntryId>,
        items: Vec<Item>,
        deleted: Vec<EntryId>,
    },
    Info(Box<StreamRow>),
    Full(Box<FullRow>),
    Groups(Vec<GroupRow>),
    Consumers(Vec<(Vec<u8>, u64)>),
    Names(Vec<Vec<u8>>),
    Err(Class),
    Panicked(String),
}

impl Reply {
    /// Whether there is something in it: neither an error nor nothing.
    pub(crate) fn is_fruitful(&self) -> bool {
        match self {
            Reply::Nil | Reply::Int(0) | Reply::Err(_) | Reply::Panicked(_) => false,
            Reply::Ids(list) => !list.is_empty(),
            Reply::Items(list) => !list.is_empty(),
            Reply::Streams(list) => list.iter().any(|(_, items)| !items.is_empty()),
            Reply::Summary { count, .. } => *count > 0,
            Reply::Pending(list) => !list.is_empty(),
            Reply::AutoClaim { items, deleted, .. } => items.len() + deleted.len() > 0,
            Reply::Groups(list) => !list.is_empty(),
            Reply::Consumers(list) => !list.is_empty(),
            Reply::Names(list) => !list.is_empty(),
            Reply::Ok | Reply::Int(_) | Reply::Info(_) | Reply::Full(_) => true,
        }
    }
}

struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

fn item(item: &Item) -> String {
    let Some(fields) = &item.1 else {
        return format!("{} gone", item.0);
    };
    let pairs: Vec<_> = fields.iter().map(|(k, v)| (Text(k), Text(v))).collect();
    format!("{} {pairs:?}", item.0)
}

fn items(list: &[Item]) -> String {
    list.iter().map(item).collect::<Vec<_>>().join(", ")
}

/// Byte strings as text: the output is read by whoever looks for the cause of a difference.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ok => f.write_str("OK"),
            Reply::Nil => f.write_str("nil"),
            Reply::Int(n) => write!(f, "{n}"),
            Reply::Ids(ids) => write!(f, "IDs {ids:?}"),
            Reply::Items(list) => write!(f, "[{}]", items(list)),
            Reply::Streams(streams) => f
                .debug_map()
                .entries(streams.iter().map(|(name, list)| (Text(name), items(list))))
                .finish(),
            Reply::Summary { count, first, last, consumers } => {
                let consumers: Vec<_> = consumers.iter().map(|(c, n)| (Text(c), n)).collect();
                write!(f, "{count} pending, {first:?} to {last:?}, {consumers:?}")
            }
            Reply::Pending(rows) => f
                .debug_list()
                .entries(rows.iter().map(|r| (r.id, Text(&r.consumer), &r.age, r.deliveries)))
                .finish(),
            Reply::AutoClaim { next, items: list, deleted } => {
                write!(f, "next {next:?}, [{}], deleted {deleted:?}", items(list))
            }
            Reply::Info(row) => write!(f, "{row:?}"),
            Reply::Full(row) => write!(f, "{row:?}"),
            Reply::Groups(rows) => rows.iter().try_for_each(|r| {
                write!(
                    f,
                    "{:?}: {} consumers, {} pending, last-delivered {}, read {:?}, lag {:?}; ",
                    Text(&r.name),
                    r.consumers,
                    r.pending,
                    r.last_delivered,
                    r.entries_read,
                    r.lag
                )
            }),
            Reply::Consumers(rows) => f
                .debug_map()
                .entries(rows.iter().map(|(name, pending)| (Text(name), pending)))
                .finish(),
            Reply::Names(names) => {
                f.debug_list().entries(names.iter().map(|name| Text(name))).finish()
            }
            Reply::Err(class) => write!(f, "error {class:?}"),
            Reply::Panicked(text) => write!(f, "PANIC: {text}"),
        }
    }
}

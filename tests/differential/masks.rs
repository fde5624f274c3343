//! What the two servers may say differently: `DEVIATIONS.md` has the reason of each.

use crate::reply::Reply;
use crate::side::Words;

/// Makes replies comparable: what differs on purpose is taken out of both of them.
pub(crate) fn masked(words: &Words, reply: &Reply) -> Reply {
    let upper = |n: usize| words.get(n).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    match upper(0).as_slice() {
        // The text is ours.
        b"XINFO" | b"XGROUP" if upper(1) == b"HELP" => match reply {
            Reply::Array(_) => Reply::Array(Vec::new()),
            other => other.clone(),
        },
        b"XINFO" => info(reply),
        b"XPENDING" if words.len() > 3 => rows(reply, 2),
        _ => reply.clone(),
    }
}

/// Fields that Redis 7.0 has not.
const NEWER: &[&str] = &[
    "idmp-duration",
    "idmp-maxsize",
    "pids-tracked",
    "iids-tracked",
    "iids-added",
    "iids-duplicates",
    "nacked-count",
    "active-time",
    "inactive",
];
/// Fields that depend on the clock, on Redis's memory or on rules that were changed since.
const HIDDEN: &[&str] = &["radix-tree-nodes", "seen-time", "idle", "entries-read", "lag"];

fn name(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn pair((key, value): (&Reply, &Reply)) -> Option<(Reply, Reply)> {
    match name(key) {
        Some(field) if NEWER.contains(&field) => None,
        Some(field) if HIDDEN.contains(&field) => Some((key.clone(), Reply::Int(0))),
        Some("pending") => {
            // Of a group with its consumer in front of the time, of a consumer without.
            let of_group = |row: &Reply| matches!(row, Reply::Array(row) if row.len() == 4);
            let at = match value {
                Reply::Array(all) if all.iter().any(of_group) => 2,
                _ => 1,
            };
            Some((key.clone(), rows(value, at)))
        }
        _ => Some((key.clone(), info(value))),
    }
}

/// A reply of XINFO.
fn info(reply: &Reply) -> Reply {
    match reply {
        Reply::Map(pairs) => {
            Reply::Map(pairs.iter().filter_map(|(key, value)| pair((key, value))).collect())
        }
        Reply::Array(flat) if is_map(flat) => {
            let pairs = flat.chunks_exact(2).filter_map(|two| pair((&two[0], &two[1])));
            Reply::Array(pairs.flat_map(|(key, value)| [key, value]).collect())
        }
        Reply::Array(items) => Reply::Array(items.iter().map(info).collect()),
        other => other.clone(),
    }
}

/// What RESP2 gives for a map.
fn is_map(items: &[Reply]) -> bool {
    items.len() >= 4
        && items.len().is_multiple_of(2)
        && matches!(items.first().and_then(name), Some("length" | "name"))
}

/// Hides one element of each row.
fn rows(reply: &Reply, at: usize) -> Reply {
    let Reply::Array(all) = reply else {
        return reply.clone();
    };
    let row = |row: &Reply| match row {
        Reply::Array(row) => {
            let hidden = |(n, item): (usize, &Reply)| match n {
                n if n == at => Reply::Int(0),
                _ => item.clone(),
            };
            Reply::Array(row.iter().enumerate().map(hidden).collect())
        }
        other => other.clone(),
    };
    Reply::Array(all.iter().map(row).collect())
}

/// Errors of which 7.0.15 has another text: its deviation, the beginning of what 7.0.15 says, and
/// a part of what ours says.
const TEXTS: &[(&str, &str, &str)] = &[
    ("unbalanced", "ERR Unbalanced XREAD list of streams", "ERR Unbalanced 'xread"),
    ("full-millisecond", "ERR Elements are too large", "is equal or smaller than the target"),
    ("unblocked-no-key", "UNBLOCKED the stream key no longer", "in XREADGROUP with GROUP option"),
    ("unblocked-no-group", "NOGROUP the consumer group this", "in XREADGROUP with GROUP option"),
];

/// The deviation that explains two different replies.
pub(crate) fn explained(redis: &Reply, ours: &Reply) -> Option<&'static str> {
    let (Reply::Error(redis), Reply::Error(ours)) = (redis, ours) else {
        return None;
    };
    let fits = |(_, old, new): &&(&str, &str, &str)| redis.starts_with(old) && ours.contains(new);
    TEXTS.iter().find(fits).map(|(name, _, _)| *name)
}

/// Whether a woken read of 7.0.15 gives one stream, and ours the same with others: 7.0.15 serves a
/// call from the key that woke it.
pub(crate) fn is_part(redis: &Reply, ours: &Reply) -> bool {
    match (redis, ours) {
        (Reply::Map(one), Reply::Map(all)) => {
            all.len() > 1 && one.iter().all(|stream| all.contains(stream))
        }
        (Reply::Array(one), Reply::Array(all)) => {
            all.len() > 1 && one.iter().all(|stream| all.contains(stream))
        }
        _ => false,
    }
}

/// Whether a woken read of 7.0.15 gives nothing: its stream's last ID has moved, and no entry is
/// there.
pub(crate) fn gives_nothing(reply: &Reply) -> bool {
    let empty = |list: &Reply| matches!(list, Reply::Array(list) if list.is_empty());
    match reply {
        Reply::Map(streams) => streams.iter().all(|(_, list)| empty(list)),
        Reply::Array(streams) => streams.iter().all(|stream| match stream {
            Reply::Array(two) => two.last().is_some_and(empty),
            _ => false,
        }),
        _ => false,
    }
}

//! The differences between Redis 7.0.15 and us that are meant, one function for each.
//!
//! Each function names the exact condition under which Redis's reply is adjusted, or under which
//! Redis's state is brought to where the reference has it. `DEVIATIONS.md` gives the reasons; the
//! checks in `deviations/checks.rs` show on a real server that each difference exists.

use crate::counters::{Counts, Rules};
use crate::op::{AddId, Cut, CutTo, Edge, Op};
use crate::redis_parse::RawGroup;
use crate::reply::{Class, Reply};
use streamlog::{EntryId, NewId, ReadFrom};

#[path = "deviations/checks.rs"]
pub(crate) mod checks;

pub(crate) const FULL_MILLISECOND: &str = "full-millisecond";
pub(crate) const ENTRIES_READ_CAPPED: &str = "entries-read-capped";
pub(crate) const CONSUMERS_APPEAR: &str = "consumers-appear";
pub(crate) const ENTRIES_READ_RULE: &str = "entries-read-rule";
pub(crate) const LAG_RULE: &str = "lag-rule";
pub(crate) const LAG_NOT_NEGATIVE: &str = "lag-not-negative";
pub(crate) const DELIVERIES_SATURATE: &str = "deliveries-saturate";
pub(crate) const EMPTY_INTERVAL: &str = "empty-interval";
pub(crate) const XSETID_MAX_DELETED: &str = "xsetid-max-deleted";
/// The player ends the node itself.
pub(crate) const XSETID_ENDS_A_NODE: &str = "xsetid-ends-a-node";
pub(crate) const XSETID_ENTRIES_READ: &str = "xsetid-entries-read";
pub(crate) const EMPTIED_NODE: &str = "emptied-node";
/// The player packs every copy, so there is no condition.
pub(crate) const COPY_PACKS: &str = "copy-packs";
pub(crate) const ID_GRAMMAR: &str = "id-grammar";

/// `ms-*` when the millisecond is used up: 7.0.15 speaks of elements that are too large.
pub(crate) fn is_full_millisecond(id: AddId, last: EntryId, reply: &Reply) -> bool {
    let used_up =
        matches!(id, AddId::New(NewId::AutoSeq(ms)) if last == EntryId::new(ms, u64::MAX));
    let text = "ERR Elements are too large to be stored".to_owned();
    used_up && *reply == Reply::Err(Class::Other(text))
}

/// ENTRIESREAD above entries-added counts as entries-added.
pub(crate) fn entries_read_capped(asked: u64, added: i64) -> u64 {
    asked.min(added as u64)
}

/// Which consumers the call creates by the reference; 7.0.15 creates some of them only when they
/// get something.
pub(crate) fn consumers_that_appear(op: &Op) -> Vec<(&'static [u8], [&'static [u8]; 2])> {
    match op {
        Op::GroupRead { group, consumer, from, .. } => {
            from.iter().map(|(key, _)| (*key, [*group, *consumer])).collect()
        }
        Op::Claim { key, group, consumer, .. } | Op::AutoClaim { key, group, consumer, .. } => {
            vec![(*key, [*group, *consumer])]
        }
        _ => Vec::new(),
    }
}

/// Whether 7.0.15, too, creates the consumer in the stream `key` of this call.
pub(crate) fn redis_creates_the_consumer(op: &Op, key: &[u8], reply: &Reply) -> bool {
    match (op, reply) {
        (Op::GroupRead { from, .. }, _)
            if from.iter().any(|(k, what)| *k == key && *what != ReadFrom::New) =>
        {
            true
        }
        (Op::GroupRead { .. }, Reply::Streams(streams)) => {
            streams.iter().any(|(name, _)| name == key)
        }
        (Op::GroupRead { .. }, _) => false,
        (_, Reply::AutoClaim { items, .. }) => !items.is_empty(),
        _ => reply.is_fruitful(),
    }
}

/// The lag by the reference, once 7.0.15's was seen to follow its own rule. The second value
/// tells which differences there were.
pub(crate) fn lag(counts: &Counts, group: &RawGroup) -> (Option<u64>, Vec<&'static str>) {
    let old = counts.lag(Rules::Redis70, group.cursor, group.entries_read);
    assert_eq!(group.lag, old, "7.0.15's lag rule is not as stated: {counts:?}");
    let new = counts.lag(Rules::Reference, group.cursor, group.entries_read);
    let mut used = Vec::new();
    if old != new {
        used.push(LAG_RULE);
    }
    if new.is_some_and(|lag| lag < 0) {
        used.push(LAG_NOT_NEGATIVE);
    }
    (new.map(|lag| lag.max(0) as u64), used)
}

/// Delivery counts stop at 2^63-1; 7.0.15's wrap to negative numbers and count on from there.
pub(crate) fn delivery_count(count: i64) -> u64 {
    if count < 0 { i64::MAX as u64 } else { count as u64 }
}

/// An exclusive bound beyond the last, or before the first ID: Redis refuses the command, a Rust
/// range is empty. The same command with an empty interval that Redis accepts.
pub(crate) fn empty_interval(op: &Op) -> Option<Op> {
    let mut op = op.clone();
    match &mut op {
        Op::Range { start, end, .. } | Op::PendingRange { start, end, .. }
            if *start == Edge::Excl(EntryId::MAX) || *end == Edge::Excl(EntryId::MIN) =>
        {
            (*start, *end) = (Edge::Highest, Edge::Lowest);
            Some(op)
        }
        _ => None,
    }
}

/// XSETID below the current max-deleted-entry-id is refused, where 7.0.15 accepts it.
pub(crate) fn xsetid_is_refused(last: EntryId, counts: &Counts) -> bool {
    last < counts.max_deleted
}

/// XSETID that lowers entries-added takes entries-read of the groups with it.
pub(crate) fn xsetid_lowers(added: u64, group: &RawGroup) -> bool {
    group.entries_read.is_some_and(|read| read > added as i64)
}

/// After an exact MINID trim, 7.0.15 may keep a head node in which nothing lives any more.
pub(crate) fn may_keep_an_emptied_node(op: &Op) -> bool {
    let exact_min_id = |cut: &Cut| !cut.approximate && matches!(cut.to, CutTo::MinId(_));
    match op {
        Op::Add { cut: Some(cut), .. } | Op::Trim { cut, .. } => exact_min_id(cut),
        _ => false,
    }
}

/// Texts that Redis takes for IDs and we do not: signs and blanks in front of a part, and
/// whatever stands behind a NUL. Parts with a minus that the strict parser cannot read wrap.
pub(crate) fn is_loose_id(text: &str) -> bool {
    text.contains(['+', ' ', '\t', '\n', '\x0b', '\x0c', '\r', '\0']) || text.contains("--")
}

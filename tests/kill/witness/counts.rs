//! How often an entry may be said to have been delivered: each delivery adds one, and giving it
//! back takes one away, sets the count, or leaves it.

use super::Call;
use crate::plan::RETRY_COUNT;
use crate::report::Op;
use std::ops::RangeInclusive;
use streamlog::EntryId;

/// The largest count.
const MAX: u64 = i64::MAX as u64;

/// `calls` are the calls on the group; `told` is the count without those that gave the entry back,
/// and `open` how many unreported calls may have added to it. `last`: the line behind which no
/// reported call has delivered the entry.
pub(super) fn possible(
    id: EntryId,
    calls: &[&Call],
    (told, open): (u64, u64),
    last: usize,
) -> RangeInclusive<u64> {
    let names = |call: &&&Call| matches!(&call.op, Op::Nack { ids, .. } if ids.contains(&id));
    let nacks: Vec<&Call> = calls.iter().filter(names).copied().collect();
    let how = |call: &Call| if let Op::Nack { how, .. } = call.op { how } else { 1 };
    let count = |wanted: u64| nacks.iter().filter(|call| how(call) == wanted).count() as u64;
    let (mut least, mut most) = (told.min(MAX), told.saturating_add(open));
    // Whoever has the last word sets the count, if all others were over when it began.
    let sets = nacks.iter().find(|call| {
        let others = nacks.iter().filter(|other| other.intent != call.intent);
        let after_all = others.map(|other| other.end()).all(|end| end < call.intent);
        how(call) > 1 && !call.is_open() && after_all && last < call.intent && open == 0
    });
    if let Some(set) = sets {
        let count = if how(set) == 2 { MAX } else { RETRY_COUNT };
        return count..=count;
    }
    if count(3) > 0 {
        least = least.min(RETRY_COUNT);
        most = most.saturating_add(RETRY_COUNT);
    }
    if count(2) > 0 {
        most = MAX;
    }
    least.saturating_sub(count(0))..=most.min(MAX)
}

//! The entries of one stream after one life: present, whole, in order, or removed by somebody.

use super::once::{self, Sent};
use super::policies::{Removals, is_all_or_nothing, is_back, named};
use super::{Call, Outcome, StreamSeen};
use crate::plan::is_once;
use crate::report::{Done, Op};
use std::collections::{BTreeMap, BTreeSet};
use streamlog::EntryId;

/// An entry whose place in the stream is certain.
#[derive(Clone, Copy)]
struct Entry {
    token: u64,
    /// The line that tells of it; 0 if it was there before.
    told: usize,
}

struct Check<'a> {
    before: &'a StreamSeen,
    calls: &'a [&'a Call],
    seen: &'a StreamSeen,
    certain: BTreeMap<EntryId, Entry>,
    /// Every ID that an entry ever had, as far as one can know, ascending.
    ids: Vec<EntryId>,
    removals: Removals,
    /// What is appended once, as far as it is known to have been.
    sent: Sent,
}

/// Gives what was sent, and what may have been removed.
pub(super) fn check(
    before: &StreamSeen,
    calls: &[&Call],
    seen: &StreamSeen,
) -> Outcome<(Sent, Removals)> {
    let mut certain = BTreeMap::new();
    for (id, token) in &before.entries {
        let (token, told) = (*token, 0);
        certain.insert(*id, Entry { token, told });
    }
    let mut check = Check {
        before,
        calls,
        seen,
        certain,
        ids: Vec::new(),
        removals: Removals::default(),
        sent: before.sent.clone(),
    };
    check.collect_appends()?;
    check.collect_removals();
    check.present()?;
    check.unreported_appends()?;
    check.removed()?;
    check.stays_removed()?;
    check.unreported_deletions()?;
    check.counters()?;
    let gone = check.certain.keys().filter(|id| !seen.entries.contains_key(id)).copied();
    check.removals.gone(gone);
    let found = seen.entries.iter().filter(|(_, token)| is_once(**token));
    check.sent.extend(found.map(|(id, token)| (*token, *id)));
    Ok((check.sent, check.removals))
}

impl Check<'_> {
    /// Takes in what the appends said, and checks that IDs grow.
    fn collect_appends(&mut self) -> Outcome<()> {
        // The highest ID that was reported up to a line.
        let mut reported = vec![(0, self.before.last_id)];
        let mut done: Vec<&Call> = self.calls.iter().copied().filter(|c| !c.is_open()).collect();
        done.sort_by_key(|call| call.end());
        for call in done {
            let Some((line, result)) = &call.done else {
                continue;
            };
            for (token, id) in appended(&call.op, result)? {
                if let Op::Once { .. } = call.op {
                    let (new, told) = (result.count == 0, *line);
                    let known = self.before.sent.contains_key(&token);
                    if known && new {
                        return Err(format!("{token:x} was appended a second time, as {id}"));
                    }
                    once::answered(&mut self.sent, token, id, new)?;
                    if !new {
                        // Then an earlier call has appended it; maybe nobody has heard of that one.
                        if !known {
                            self.certain.entry(id).or_insert(Entry { token, told });
                        }
                        continue;
                    }
                }
                let earlier = reported.partition_point(|(at, _)| *at < call.intent);
                let floor = reported.get(earlier.wrapping_sub(1)).map(|(_, id)| *id);
                if floor.is_some_and(|floor| id <= floor) {
                    return Err(format!("{id} was given after {floor:?}"));
                }
                let (told, entry) = (*line, Entry { token, told: *line });
                let other = self.certain.insert(id, entry);
                // A call that found it there may have been answered before the one that put it.
                if other.is_some_and(|other| other.token != token || !is_once(token)) {
                    return Err(format!("{id} was given twice"));
                }
                let highest = reported.last().map_or(id, |(_, last)| id.max(*last));
                reported.push((told, highest));
            }
        }
        Ok(())
    }

    /// Takes in what deletions and trims may have removed.
    fn collect_removals(&mut self) {
        let ids: BTreeSet<EntryId> =
            self.certain.keys().chain(self.seen.entries.keys()).copied().collect();
        self.ids = ids.into_iter().collect();
        for call in self.calls {
            let below = self.trims_below(&call.op);
            self.removals.add(call, below);
        }
    }

    /// A call removes at most what is below this ID: of a length, that many newer entries stay.
    fn trims_below(&self, op: &Op) -> EntryId {
        match op {
            Op::TrimMin { min, .. } | Op::TrimRef { min, .. } => *min,
            Op::TrimLen { keep: len, .. } | Op::Append { max_len: Some(len), .. } => {
                let kept = usize::try_from(*len).unwrap_or(usize::MAX);
                let first = self.ids.len().checked_sub(kept);
                // With nothing kept, everything may go.
                first.map_or(EntryId::MIN, |n| self.ids.get(n).copied().unwrap_or(EntryId::MAX))
            }
            _ => EntryId::MIN,
        }
    }

    /// What is there is what was appended under that ID, or what may have been.
    fn present(&self) -> Outcome<()> {
        let open: BTreeSet<u64> = self
            .calls
            .iter()
            .filter(|call| call.is_open())
            .flat_map(|call| tokens(&call.op))
            .collect();
        let mut found = BTreeSet::new();
        for (id, token) in &self.seen.entries {
            if !found.insert(token) {
                return Err(format!("entry {token:x} is there twice, also as {id}"));
            }
            match self.certain.get(id) {
                Some(entry) if entry.token == *token => {}
                Some(entry) => {
                    return Err(format!("{id} is {token:x} and was {:x}", entry.token));
                }
                None if open.contains(token) && *id > self.before.last_id => {}
                None => return Err(format!("{id} holds {token:x}, which nobody appended")),
            }
        }
        Ok(())
    }

    /// Of a batch nobody reported, all entries are there or none, in their order.
    fn unreported_appends(&self) -> Outcome<()> {
        let by_token: BTreeMap<u64, EntryId> =
            self.seen.entries.iter().map(|(id, t)| (*t, *id)).collect();
        for call in self.calls.iter().filter(|call| call.is_open()) {
            let tokens: Vec<u64> = tokens(&call.op).collect();
            let found = tokens
                .iter()
                .enumerate()
                .find_map(|(n, token)| Some((n as u64, *by_token.get(token)?)));
            let Some((place, id)) = found else { continue };
            let Some(first) = id.seq.checked_sub(place) else {
                return Err(format!("a part of a batch is missing before {id}"));
            };
            for (n, token) in tokens.iter().enumerate() {
                let id = EntryId::new(id.ms, first + n as u64);
                match by_token.get(token) {
                    Some(there) if *there == id => {}
                    Some(there) => return Err(format!("{there} of a batch should be {id}")),
                    None if self.may_be_gone(id) => {}
                    None => return Err(format!("{id} of a batch is missing")),
                }
            }
        }
        Ok(())
    }

    /// What is not there was deleted or trimmed by some call.
    fn removed(&self) -> Outcome<()> {
        for (id, entry) in &self.certain {
            if !self.seen.entries.contains_key(id) && !self.may_be_gone(*id) {
                return Err(format!("{id} ({:x}) is LOST", entry.token));
            }
        }
        Ok(())
    }

    fn may_be_gone(&self, id: EntryId) -> bool {
        self.removals.may_remove(id)
    }

    /// What a reported call removed is not there.
    fn stays_removed(&self) -> Outcome<()> {
        for call in self.calls.iter().filter(|call| !call.is_open()) {
            let back = match &call.op {
                Op::TrimLen { keep: len, exact: true, .. }
                | Op::Append { max_len: Some(len), .. } => self.too_many(call, *len),
                _ => is_back(call, &self.seen.entries),
            };
            if let Some(id) = back {
                return Err(format!("{id} is back after {:?}", call.op));
            }
        }
        Ok(())
    }

    /// An entry that has as many newer ones as a trim was to keep, all of them there before it
    /// began and there still.
    fn too_many(&self, call: &Call, len: u64) -> Option<EntryId> {
        self.seen
            .entries
            .keys()
            .rev()
            .filter(|id| self.certain.get(id).is_some_and(|entry| entry.told < call.intent))
            .nth(usize::try_from(len).ok()?)
            .copied()
    }

    /// Of a deletion that nobody reported, all is gone or nothing.
    fn unreported_deletions(&self) -> Outcome<()> {
        for call in self.calls.iter().filter(|call| call.is_open()) {
            if !is_all_or_nothing(&call.op) {
                continue;
            }
            let ids = named(call);
            let others = |id: &EntryId| {
                let deletes =
                    |other: &&Call| !std::ptr::eq(*other, *call) && named(other).contains(id);
                self.removals.may_trim(*id) || self.calls.iter().any(deletes)
            };
            let there = ids.iter().any(|id| self.seen.entries.contains_key(id));
            let gone = ids.iter().any(|id| {
                let known = self.certain.contains_key(id);
                known && !self.seen.entries.contains_key(id) && !others(id)
            });
            if there && gone {
                return Err(format!("half of {:?} was done", call.op));
            }
        }
        Ok(())
    }

    fn counters(&self) -> Outcome<()> {
        let last = self.certain.keys().next_back().copied();
        if last.is_some_and(|last| last > self.seen.last_id)
            || self.before.last_id > self.seen.last_id
        {
            return Err(format!("the last ID fell to {}", self.seen.last_id));
        }
        let new = self.certain.len() - self.before.entries.len();
        let least = self.before.added + new as u64;
        let open = self.calls.iter().filter(|call| call.is_open());
        let most = least + open.map(|call| tokens(&call.op).count() as u64).sum::<u64>();
        if !(least..=most).contains(&self.seen.added) {
            return Err(format!(
                "{} entries were added, and it should be {least} to {most}",
                self.seen.added
            ));
        }
        Ok(())
    }
}

/// The numbers of the entries that a call appends.
fn tokens(op: &Op) -> std::ops::Range<u64> {
    match op {
        Op::Append { token, .. } | Op::Once { token, .. } => *token..*token + 1,
        Op::Batch { token, count, .. } => *token..*token + *count,
        _ => 0..0,
    }
}

/// The numbers and IDs that a finished append stands for. All IDs of a batch are generated at one
/// time, so they follow each other.
fn appended(op: &Op, done: &Done) -> Outcome<Vec<(u64, EntryId)>> {
    let tokens = tokens(op);
    let count = tokens.end - tokens.start;
    let (Some(first), Some(last)) = (done.ids.first(), done.ids.last()) else {
        return if count == 0 { Ok(Vec::new()) } else { Err(format!("{op:?} gave no ID")) };
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    if first.ms != last.ms || last.seq.checked_sub(first.seq) != Some(count - 1) {
        return Err(format!("{count} entries have the IDs {first} to {last}"));
    }
    let id = |token| EntryId::new(first.ms, first.seq + (token - tokens.start));
    Ok(tokens.clone().map(|token| (token, id(token))).collect())
}

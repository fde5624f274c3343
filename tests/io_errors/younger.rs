//! The script's steps that Redis got after its version 7.0, on a stream of their own: appends that
//! happen once, removals that heed what groups reference, deliveries that are given back, reads
//! that claim.
//!
//! On this stream nothing is removed without a look at the groups, so whatever fails: what is
//! pending is there, and what went by `Acked` was acknowledged in both groups.

use crate::id::EntryId;
use crate::known::{Once, Said, Seen};
use crate::script::{Run, Step};
use crate::table::leaves_no_trace;
use crate::{
    AppendOptions, Deletion, Error, ErrorKind, Group, GroupReadOptions, NackMode, NackOptions,
    PendingFilter, RefPolicy, Result, Start, Store, Stream, Trim,
};
use std::collections::btree_map::Entry::Vacant;
use std::time::Duration;

/// The stream. Its groups are `g`, as everywhere, and [`OTHER`].
pub(crate) const STREAM: &str = "e";
const OTHER: &str = "k";
const PRODUCER: &str = "till";

/// The options of an entry that is appended once.
pub(crate) fn once(iid: &str) -> AppendOptions {
    AppendOptions::new().idempotent(PRODUCER, iid)
}

impl Run {
    /// Sends what is to be appended once; each time it says something else.
    pub(crate) fn send(&mut self, iid: &'static str) -> Result<()> {
        let stream = self.stream(STREAM)?;
        let value = self.value(40);
        let sent = stream.append_outcome([("v", value.as_str())], once(iid));
        let durable = self.is_always(STREAM);
        let said = self.known.of(STREAM);
        let once = said.once.entry(iid).or_default();
        once.values.push(value.clone());
        match sent {
            Ok(sent) => {
                assert!(once.id.is_none_or(|id| id == sent.id), "{iid}: {sent:?}, was {once:?}");
                assert!(once.may_be_there || !sent.duplicate, "{iid} was never appended: {sent:?}");
                assert!(once.id.is_none() || sent.duplicate, "{iid} was doubled: {sent:?}");
                once.id = Some(sent.id);
                once.may_be_there = true;
                if !sent.duplicate {
                    said.entries.insert(sent.id, value);
                } else if let Vacant(place) = said.entries.entry(sent.id) {
                    // Then an earlier call, which failed, has appended it.
                    let first = stream.get(sent.id)?.ok_or(ErrorKind::Closed);
                    let first = first.map_err(Error::new)?;
                    let value = first.get("v").unwrap_or_default();
                    place.insert(String::from_utf8_lossy(value).into_owned());
                }
                if durable {
                    said.durable.insert(sent.id);
                }
                Ok(())
            }
            Err(error) => {
                if !leaves_no_trace(error.kind()) {
                    once.may_be_there = true;
                    said.unsure.insert(value);
                }
                Err(error)
            }
        }
    }

    fn pending(&mut self, group: &str) -> Result<(Group, Vec<EntryId>)> {
        let group = self.group(STREAM, group)?;
        let pending = group.pending_range(.., PendingFilter::new())?;
        Ok((group, pending.into_iter().map(|one| one.id).collect()))
    }

    /// A removal by policy, with all that it may remove, and what each answer says.
    fn by_policy(
        &mut self,
        policy: RefPolicy,
        ids: &[EntryId],
        call: impl FnOnce(&Stream) -> Result<Vec<Deletion>>,
    ) -> Result<()> {
        let stream = self.stream(STREAM)?;
        let durable = self.is_always(STREAM);
        let said = self.known.of(STREAM);
        match policy {
            RefPolicy::Acked => said.by_acked.extend(ids),
            _ => said.dropped.extend(ids),
        }
        let done = call(&stream);
        let said = self.known.of(STREAM);
        match done {
            Ok(told) => {
                for (id, told) in ids.iter().zip(told) {
                    if told == Deletion::Deleted {
                        said.removed.insert(*id, durable);
                    }
                    if policy == RefPolicy::DelRef && told != Deletion::Referenced {
                        said.released.insert(*id, durable);
                    }
                }
                Ok(())
            }
            Err(error) => {
                said.groups_unsure |= !leaves_no_trace(error.kind());
                Err(error)
            }
        }
    }

    /// Takes the oldest deliveries of `g` and removes them with their acknowledgement.
    fn ack_delete(&mut self, policy: RefPolicy) -> Result<()> {
        let (group, ids) = self.pending("g")?;
        let ids: Vec<EntryId> = ids.into_iter().take(2).collect();
        // Whatever it answers, they may be acknowledged.
        self.known.of(STREAM).acked_unsure.extend(&ids);
        let durable = self.is_always(STREAM);
        self.by_policy(policy, &ids, |_| group.ack_delete(ids.iter().copied(), policy))?;
        let said = self.known.of(STREAM);
        said.acked.extend(ids.into_iter().map(|id| (id, durable)));
        Ok(())
    }

    fn delete_with(&mut self, policy: RefPolicy, group: &str) -> Result<()> {
        let mut ids = self.pending(group)?.1;
        ids.truncate(1);
        ids.extend(self.known.of(STREAM).oldest(3));
        ids.sort_unstable();
        ids.dedup();
        self.by_policy(policy, &ids, |stream| stream.delete_with(ids.iter().copied(), policy))
    }

    /// Trims the oldest entries, so many at most.
    fn trim_by(&mut self, policy: RefPolicy, count: usize) -> Result<()> {
        let ids = self.known.of(STREAM).oldest(count + 1);
        let Some((min, ids)) = ids.split_last() else { return Ok(()) };
        self.by_policy(policy, ids, |stream| {
            stream.trim(Trim::min_id(*min).references(policy))?;
            // Which ones the groups have kept, nobody says.
            let told = match policy {
                RefPolicy::Acked => Deletion::Referenced,
                _ => Deletion::Deleted,
            };
            Ok(vec![told; ids.len()])
        })
    }

    fn ack_other(&mut self, count: usize) -> Result<()> {
        let (group, ids) = self.pending(OTHER)?;
        let ids: Vec<EntryId> = ids.into_iter().take(count).collect();
        self.known.of(STREAM).acked_by_other.extend(&ids);
        self.grouped(STREAM, |_| group.ack(ids).map(drop))
    }

    fn nack(&mut self, mode: NackMode, options: NackOptions) -> Result<()> {
        let (group, ids) = self.pending("g")?;
        let ids: Vec<EntryId> = ids.into_iter().skip(1).take(3).collect();
        self.grouped(STREAM, |_| group.nack_with(ids, mode, options).map(drop))
    }

    fn read_and_claim(&mut self, group: &str, count: usize) -> Result<()> {
        self.grouped(STREAM, |run| {
            let consumer = run.group(STREAM, group)?.consumer("two")?;
            let options = GroupReadOptions::new().count(count).claim(Duration::ZERO);
            consumer.read(options).map(drop)
        })
    }
}

impl Said {
    /// The oldest entries that are there for sure.
    fn oldest(&self, count: usize) -> Vec<EntryId> {
        let gone = |id: &&EntryId| self.dropped.contains(id) || self.removed.contains_key(id);
        self.entries.keys().filter(|id| !gone(id)).take(count).copied().collect()
    }

    /// Whether an entry may have gone because both groups are done with it.
    pub(crate) fn went_by_acked(&self, id: EntryId) -> bool {
        let acked = self.acked.contains_key(&id) || self.acked_unsure.contains(&id);
        self.by_acked.contains(&id) && acked && self.acked_by_other.contains(&id)
    }

    pub(crate) fn check_younger(
        &self,
        seen: &Seen,
        power_lost: bool,
    ) -> std::result::Result<(), String> {
        for (name, group) in &seen.groups {
            for (id, _) in &group.pending {
                let released = self.released.get(id);
                if released.is_some_and(|durable| !power_lost || *durable) {
                    return Err(format!("{id} was taken from all groups and is pending in {name}"));
                }
                if !seen.entries.iter().any(|(there, _)| there == id) {
                    return Err(format!("{id} is pending in {name} and was removed with that"));
                }
            }
        }
        for (iid, once) in &self.once {
            let found = seen.entries.iter().filter(|(_, value)| once.values.contains(value));
            let found: Vec<_> = found.map(|(id, _)| id).collect();
            if found.len() > 1 {
                return Err(format!("{iid} is there as {found:?}"));
            }
        }
        Ok(())
    }
}

/// Sends everything again to a store that nobody else will look at.
pub(crate) fn send_again(
    store: &Store,
    said: &Said,
    seen: &Seen,
    power_lost: bool,
) -> std::result::Result<(), String> {
    let text = |error: Error| format!("sent again: {error}");
    let Some(stream) = store.get(STREAM).map_err(text)? else { return Ok(()) };
    for (iid, Once { values, id, may_be_there }) in &said.once {
        let there = seen.entries.iter().find(|(_, value)| values.contains(value));
        let there = there.map(|(id, _)| *id);
        let durable = |id: &EntryId| !power_lost || said.durable.contains(id);
        let wanted = there.or(id.filter(durable));
        let again = stream.append_outcome([("v", "again")], once(iid)).map_err(text)?;
        let right = match wanted {
            Some(id) => again.duplicate && again.id == id,
            None => !again.duplicate || *may_be_there,
        };
        if !right {
            return Err(format!("{iid} is {wanted:?}, and sent again it is {again:?}"));
        }
    }
    Ok(())
}

fn make(run: &mut Run) -> Result<()> {
    let stream = run.stream(STREAM)?;
    run.grouped(STREAM, |_| stream.group("g", Start::First))?;
    run.grouped(STREAM, |_| stream.group(OTHER, Start::First)).map(drop)
}

/// What comes early in the script.
pub(crate) const EARLY: &[Step] = &[
    ("create the careful stream", make),
    ("batch there", |run| run.put_batch(STREAM, 24, 40)),
    ("append once", |run| run.send("1")),
    ("send that again", |run| run.send("1")),
    ("append another once", |run| run.send("2")),
    ("read there", |run| run.read_as(STREAM, "one", 14)),
    ("read and claim as another group", |run| run.read_and_claim(OTHER, 16)),
    ("give back", |run| run.nack(NackMode::Silent, NackOptions::new())),
    ("read and claim", |run| run.read_and_claim("g", 4)),
    ("give back for ever", |run| run.nack(NackMode::Fatal, NackOptions::new().force())),
    ("give back with a count", |run| run.nack(NackMode::Fail, NackOptions::new().retry_count(7))),
    ("ack and delete what is referenced", |run| run.ack_delete(RefPolicy::Acked)),
    ("ack that as another group", |run| run.ack_other(3)),
    ("ack and delete", |run| run.ack_delete(RefPolicy::Acked)),
    ("ack and delete everywhere", |run| run.ack_delete(RefPolicy::DelRef)),
    ("delete what is done with", |run| run.delete_with(RefPolicy::Acked, OTHER)),
    ("delete everywhere", |run| run.delete_with(RefPolicy::DelRef, OTHER)),
];

/// What comes later, after the journal was filled and before the end of a life.
pub(crate) const LATER: &[Step] = &[
    ("ack there", |run| run.ack(STREAM, 2)),
    ("ack as another group", |run| run.ack_other(2)),
    ("trim what is done with", |run| run.trim_by(RefPolicy::Acked, 6)),
    ("trim everywhere", |run| run.trim_by(RefPolicy::DelRef, 3)),
    ("send the first again", |run| run.send("1")),
];

/// What comes in the next life.
pub(crate) const NEXT: &[Step] = &[
    ("send again after the opening", |run| run.send("2")),
    ("append a third once", |run| run.send("3")),
    ("read and claim after the opening", |run| run.read_and_claim("g", 3)),
];

/// What comes last: nothing but its records says it.
pub(crate) const LAST: &[Step] = &[
    ("batch for the last reads", |run| run.put_batch(STREAM, 6, 40)),
    ("read at last", |run| run.read_as(STREAM, "one", 20)),
    ("give back at last", |run| run.nack(NackMode::Fail, NackOptions::new())),
    ("read and claim at last", |run| run.read_and_claim("g", 1)),
];

//! How the model learns from a call and its answer, and what it already finds wrong then.

mod groups;
mod once;
mod references;

use super::call::{Answer, Call, Content, Fail, GroupKey, GroupView, Keep, Keeping, Name};
use super::call::{Other, StreamView, Trimming, WantId};
use super::check::check_copy;
use super::model::{Appended, Model, StreamLife, Violation, broken};
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// What surrounds a call.
pub struct Moment<'a> {
    /// What the clock said at its beginning and at its end.
    pub now_ms: u64,
    pub until_ms: u64,
    /// Some call of the seam has failed in this life because it was told to.
    pub faulted: bool,
    /// What the groups that the call names looked like afterwards, those that are there.
    pub seen: &'a BTreeMap<GroupKey, GroupView>,
}

type Learned = Result<(), Violation>;

impl Model {
    pub fn learn(&mut self, call: &Call, got: &Result<Answer, Fail>, moment: &Moment) -> Learned {
        match (call, got) {
            (Call::Meanwhile { call, other }, Ok(Answer::Both(did, meanwhile))) => {
                return self.learn_both(call, did, other, meanwhile.as_deref(), moment);
            }
            (Call::SyncFound { streams, between }, Ok(Answer::Both(synced, did))) => {
                return self.learn_found(call, streams, between.as_deref(), synced, did, moment);
            }
            // No stream to do it on.
            (Call::Meanwhile { call, .. }, Err(_)) => return self.learn(call, got, moment),
            _ => {}
        }
        if let Call::SetBack { stream, .. } = call
            && let Some(life) = self.stream_mut(stream)
        {
            life.floor = life.top;
        }
        match got {
            Ok(answer) => self.learn_answer(call, answer, moment),
            Err(fail) => self.learn_failure(call, fail, moment),
        }
    }

    /// A call, and what another thread did while that synced.
    fn learn_both(
        &mut self,
        call: &Call,
        did: &Result<Answer, Fail>,
        other: &Other,
        meanwhile: Option<&Result<Answer, Fail>>,
        moment: &Moment,
    ) -> Learned {
        if let (Other::Look { stream }, Some(Ok(Answer::Entries(entries)))) = (other, meanwhile) {
            // Before the call is known: what it appends is not to be seen before it is durable.
            if let Some(life) = self.stream(stream).filter(|life| !life.uncertain) {
                life.check_handed_out(entries)?;
            }
        }
        self.learn(call, did, moment)?;
        match (other, meanwhile) {
            (Other::Append { stream, content }, Some(did)) => {
                let (stream, content) = (stream.clone(), content.clone());
                let (id, durable, trim, key) = (WantId::Auto, false, None, None);
                let call = Call::Append { stream, content, id, durable, trim, key };
                self.learn(&call, did, moment)
            }
            _ => Ok(()),
        }
    }

    /// Streams were found, something was done, and what was found was synced.
    fn learn_found(
        &mut self,
        call: &Call,
        streams: &[Name],
        between: Option<&Call>,
        synced: &Result<Answer, Fail>,
        did: &Option<Box<Result<Answer, Fail>>>,
        moment: &Moment,
    ) -> Learned {
        let names = self.names.last();
        let found: Vec<usize> =
            streams.iter().filter_map(|name| names.get(name).copied()).collect();
        if let (Some(between), Some(did)) = (between, did) {
            self.learn(between, did, moment)?;
        }
        if let Err(fail) = synced {
            return self.learn_failure(call, fail, moment);
        }
        self.names.settle();
        found.into_iter().for_each(|life| self.lives[life].settle());
        Ok(())
    }

    fn learn_failure(&mut self, call: &Call, fail: &Fail, moment: &Moment) -> Learned {
        // A batch may be too large for a segment.
        let may_refuse = matches!(call, Call::Batch { .. });
        match fail {
            Fail::Refused(_) if may_refuse || self.is_unsure(call) => {}
            Fail::Full | Fail::Unsure(_) if moment.faulted => {}
            Fail::Unsure(_) | Fail::Full | Fail::Refused(_) | Fail::Wrong(_) => {
                return broken("call", format!("{call:?} failed without a reason: {fail:?}"));
            }
        }
        let has_steps = matches!(call, Call::Enforce(_) | Call::StepPrepare);
        if matches!(fail, Fail::Unsure(_)) || has_steps {
            self.may_have_happened(call, moment);
        }
        if let Call::SetBack { stream, to, forget: true } = call
            && let Some(life) = self.stream_mut(stream)
        {
            // The first of the two calls may have set it.
            life.max_deleted = life.max_deleted.max(*to);
        }
        for key in call.groups() {
            let Some(seen) = moment.seen.get(key) else {
                continue;
            };
            let stream = self.stream_mut(&key.stream);
            if let Some(group) = stream.and_then(|stream| stream.group_mut(&key.group)) {
                // Of several groups some may have been read from.
                let alone = call.groups().len() == 1;
                if alone && !matches!(fail, Fail::Unsure(_)) && group.seen.last() != seen {
                    return broken("F28", format!("{call:?} failed and changed the group"));
                }
                group.seen.push(seen.clone());
            }
        }
        Ok(())
    }

    /// Whether an earlier call may have taken away what this one is about.
    fn is_unsure(&self, call: &Call) -> bool {
        let of_stream = |name: &Name| self.stream(name).is_none_or(|stream| stream.uncertain);
        let of_group = call.groups().iter().any(|key| of_stream(&key.stream));
        self.names.is_unsure() || of_group || call.stream().is_some_and(of_stream)
    }

    /// The call failed in such a way that its effect may be there after the next open.
    fn may_have_happened(&mut self, call: &Call, moment: &Moment) {
        match call {
            Call::Append { stream, content, trim, key, .. } => {
                self.unsure_entries(stream, &[content]);
                self.sent(stream, key.as_ref());
                if let (Some(trim), Some(life)) = (trim, self.stream_mut(stream)) {
                    // One more than there are now: the entry itself counts.
                    let mut gone = trimmed(life, trim.keep);
                    gone.extend(life.live().get(gone.len()).map(|(id, _)| *id));
                    life.may_be_removed(gone);
                }
            }
            Call::Batch { stream, entries, .. } => {
                let contents: Vec<_> = entries.iter().map(|(_, content)| content).collect();
                self.unsure_entries(stream, &contents);
            }
            Call::Copy { from, to, .. } => {
                let mut names = self.names.last().clone();
                if let Some(copy) = self.stream(from).map(StreamLife::copy) {
                    names.insert(to.clone(), self.lives.len());
                    self.lives.push(copy);
                    self.names.push_unsure(names);
                }
            }
            Call::SetBack { stream, to, .. } => {
                if let Some(names) = self.names_once_set_back(stream, *to) {
                    self.names.push_unsure(names);
                }
            }
            Call::Delete { stream, ids } => {
                if let Some(life) = self.stream_mut(stream) {
                    life.may_be_removed(ids.clone());
                }
            }
            Call::Trim { stream, keep, .. } => {
                if let Some(life) = self.stream_mut(stream) {
                    let gone = trimmed(life, *keep);
                    life.may_be_removed(gone);
                }
            }
            Call::DeleteWith { .. } | Call::TrimWith { .. } | Call::AckDelete { .. } => {
                self.references_may_have_changed(call);
            }
            Call::SetUp { stream, to, .. } => {
                if let Some(life) = self.stream_mut(stream) {
                    life.raised.push_unsure(*to);
                    life.uncertain = true;
                }
            }
            Call::SetRetention { stream, keeping } => {
                if let Some(life) = self.stream_mut(stream) {
                    life.keeping.push_unsure(*keeping);
                    life.uncertain = true;
                }
            }
            Call::SetWindow { stream, .. } | Call::Record { stream, .. } => {
                if let Some(life) = self.stream_mut(stream) {
                    life.sending.may_have_changed();
                }
            }
            Call::Enforce(stream) => {
                if let Some(life) = self.stream_mut(stream) {
                    life.may_be_enforced(moment);
                }
            }
            Call::StepPrepare => self.lives_there().for_each(|life| life.may_be_enforced(moment)),
            Call::CreateStream(name) => {
                let mut names = self.names.last().clone();
                if !names.contains_key(name) {
                    names.insert(name.clone(), self.lives.len());
                    self.lives.push(StreamLife::new(self.names.states.len()));
                    self.names.push_unsure(names);
                }
            }
            Call::RemoveStream(name) => {
                let mut names = self.names.last().clone();
                names.remove(name);
                self.names.push_unsure(names);
            }
            Call::Rename { from, to } => {
                let mut names = self.names.last().clone();
                if let Some(life) = names.remove(from) {
                    names.insert(to.clone(), life);
                    self.names.push_unsure(names);
                }
            }
            Call::RenameAll(all) => self.names.push_unsure(renamed(self.names.last(), all)),
            _ => self.group_may_have_changed(call),
        }
    }

    fn lives_there(&mut self) -> impl Iterator<Item = &mut StreamLife> {
        let there: BTreeSet<usize> = self.names.last().values().copied().collect();
        let lives = self.lives.iter_mut().enumerate();
        lives.filter(move |(index, _)| there.contains(index)).map(|(_, life)| life)
    }

    /// The background did its part for every stream, unless a failure stopped it in one of them.
    fn enforced(&mut self, lengths: &[(Name, u64)], moment: &Moment) -> Learned {
        for (name, length) in lengths {
            let Some(life) = self.stream_mut(name) else {
                continue;
            };
            if moment.faulted || life.uncertain {
                life.may_be_enforced(moment);
                continue;
            }
            let count = (life.live().len() as u64).saturating_sub(*length);
            life.had_enforced(count, false, moment)?;
        }
        Ok(())
    }

    /// The names once a stream's last ID was set back: it is as good as another stream then, with
    /// what the old one had.
    fn names_once_set_back(&mut self, stream: &Name, to: EntryId) -> Option<BTreeMap<Name, usize>> {
        let mut names = self.names.last().clone();
        let life = self.stream(stream)?;
        if to >= life.top {
            return None;
        }
        let mut life = life.set_back(to, self.names.states.len());
        life.continues = names.get(stream).copied();
        names.insert(stream.clone(), self.lives.len());
        self.lives.push(life);
        Some(names)
    }

    fn unsure_entries(&mut self, stream: &[u8], contents: &[&Content]) {
        let Some(life) = self.stream_mut(stream) else {
            return;
        };
        life.units += 1;
        life.uncertain = true;
        for content in contents {
            life.entries.push(Appended {
                id: None,
                content: (*content).clone(),
                unit: life.units,
                trimmed: Vec::new(),
            });
        }
    }

    fn learn_answer(&mut self, call: &Call, answer: &Answer, moment: &Moment) -> Learned {
        let always = self.always;
        match (call, answer) {
            (Call::CreateStream(name), _) => {
                let mut names = self.names.last().clone();
                names.insert(name.clone(), self.lives.len());
                self.names.push(names);
                self.lives.push(StreamLife::new(self.names.states.len() - 1));
            }
            (Call::RemoveStream(name), Answer::Flag(true)) => {
                let mut names = self.names.last().clone();
                names.remove(name);
                self.names.push(names);
            }
            (Call::Rename { from, to }, _) => {
                let mut names = self.names.last().clone();
                if let Some(life) = names.remove(from) {
                    names.insert(to.clone(), life);
                }
                self.names.push(names);
            }
            (Call::RenameAll(all), Answer::Done) => {
                self.names.push(renamed(self.names.last(), all));
            }
            (Call::Copy { from, to, .. }, Answer::Copied(view)) => {
                self.copied(from, to, view, moment)?;
            }
            // There was one already, or nothing to copy.
            (Call::Copy { to, replace, .. }, Answer::Flag(false)) => {
                if !self.is_unsure(call) && (*replace || self.stream(to).is_none()) {
                    return broken("call", format!("{call:?} copied nothing"));
                }
            }
            (Call::SetOptions { .. }, Answer::Done) => {}
            (Call::SetBack { stream, to, forget }, Answer::Done) => {
                if let (true, Some(life)) = (*forget, self.stream_mut(stream)) {
                    life.max_deleted = *to;
                }
                if let Some(names) = self.names_once_set_back(stream, *to) {
                    self.names.push(names);
                }
            }
            (Call::Append { stream, key: Some(key), durable, .. }, Answer::Duplicate(id)) => {
                return self.was_duplicate(stream, key, *id, always || *durable);
            }
            (Call::Append { stream, content, id, durable, trim, key }, answer) => {
                self.is_no_duplicate(stream, key.as_ref())?;
                let (given, left) = match (answer, trim) {
                    (Answer::Id(id), None) => (*id, None),
                    (Answer::Trimmed(id, left), Some(trim)) => (*id, Some((*left, *trim))),
                    _ => return broken("call", format!("{call:?} answered {answer:?}")),
                };
                self.appended(stream, &[(*id, content)], &[given], moment)?;
                self.sent(stream, key.as_ref());
                let (always, name) = (always || *durable, stream);
                if let Some((left, trim)) = left {
                    self.trimmed_by_append(name, trim, left, moment)?;
                }
                if always {
                    self.entries_are_durable(name);
                }
                return Ok(());
            }
            (Call::Batch { stream, entries, durable }, Answer::Ids(ids)) => {
                let wants: Vec<_> = entries.iter().map(|(want, entry)| (*want, entry)).collect();
                self.appended(stream, &wants, ids, moment)?;
                if always || *durable {
                    self.entries_are_durable(stream);
                }
                return Ok(());
            }
            (Call::Delete { stream, ids }, Answer::Count(count)) => {
                return self.deleted(stream, ids, *count);
            }
            (
                Call::DeleteWith { .. } | Call::TrimWith { .. } | Call::AckDelete { .. },
                Answer::Told(_) | Answer::Count(_),
            ) => return self.learn_references(call, answer, moment),
            (Call::Trim { stream, keep, approximate }, Answer::Count(count)) => {
                return self.was_trimmed(stream, *keep, *approximate, *count);
            }
            (Call::SetUp { stream, to, .. }, Answer::Done) => {
                let Some(life) = self.stream_mut(stream) else {
                    return broken("call", "XSETID of a stream that is not there");
                };
                life.top = life.top.max(*to);
                life.raised.push(*to);
                if always {
                    life.raised.settle();
                }
            }
            (Call::SetRetention { stream, keeping }, Answer::Done) => {
                let Some(life) = self.stream_mut(stream) else {
                    return broken("call", "a retention of a stream that is not there");
                };
                life.keeping.push(*keeping);
                if always {
                    life.keeping.settle();
                }
            }
            (Call::SetWindow { stream, most }, Answer::Done) => {
                if let Some(life) = self.stream_mut(stream) {
                    life.sending.set(*most, always);
                }
            }
            (Call::Record { stream, key, id }, Answer::Done) => {
                if let Some(life) = self.stream_mut(stream)
                    && life.sending.now(&life.entries).is_none_or(|sent| sent.get(key).is_none())
                {
                    life.sending.recorded(key.clone(), *id, always);
                }
            }
            (Call::Enforce(stream), Answer::Count(count)) => {
                return self.was_enforced(stream, *count, moment);
            }
            (Call::SyncStream(stream), Answer::Id(_)) => {
                self.entries_are_durable(stream);
                if let Some(life) = self.stream_mut(stream) {
                    life.settle();
                }
            }
            (Call::WaitDurable { stream, id }, Answer::Done) => {
                self.entries_are_durable_to(stream, Some(*id));
            }
            (Call::Sync | Call::StepSync, Answer::Done) => self.settle(),
            (Call::StepPrepare, Answer::Lengths(lengths)) => {
                return self.enforced(lengths, moment);
            }
            (Call::StepPrepare | Call::StepCheckpoint, Answer::Done) => {}
            _ => return self.learn_group(call, answer, moment),
        }
        if always && !matches!(call, Call::SyncStream(_)) && call.changes_names() {
            self.names.settle();
        }
        Ok(())
    }

    fn entries_are_durable(&mut self, stream: &[u8]) {
        self.entries_are_durable_to(stream, None);
    }

    /// Everything that was appended, or what was up to this ID.
    fn entries_are_durable_to(&mut self, stream: &[u8], upto: Option<EntryId>) {
        let Some(life) = self.stream_mut(stream) else {
            return;
        };
        let covered = match upto {
            None => life.entries.len(),
            Some(id) => {
                let known = life.entries.iter().rposition(|entry| entry.id == Some(id));
                known.map_or(0, |index| index + 1)
            }
        };
        life.durable = life.durable.max(covered);
        // Trims that came with an append are in its frame.
        let entries = &life.entries[..life.durable];
        let trimmed = entries.iter().flat_map(|entry| &entry.trimmed).copied();
        life.removed_durable.extend(trimmed);
        // An entry that is on disk is nothing without its stream.
        let born = life.born;
        self.names.durable = self.names.durable.max(born);
    }

    fn appended(
        &mut self,
        stream: &[u8],
        entries: &[(WantId, &Content)],
        ids: &[EntryId],
        moment: &Moment,
    ) -> Learned {
        let Some(life) = self.stream_mut(stream) else {
            return broken("call", "an append to a stream that is not there");
        };
        if ids.len() != entries.len() {
            return broken("C4", format!("{} entries got the IDs {ids:?}", entries.len()));
        }
        life.units += 1;
        for (id, (want, content)) in ids.iter().zip(entries) {
            let due = |now_ms| want.given(life.top, now_ms);
            let due = due(moment.now_ms)..=due(moment.until_ms);
            if *id <= life.top || (!life.uncertain && !due.contains(id)) {
                let top = life.top;
                return broken("C6", format!("behind {top} an entry got {id}, due was {due:?}"));
            }
            if *want == WantId::Auto && id.ms < moment.now_ms && life.given.contains(id) {
                return broken("C6", format!("{id} was given before the crash and again"));
            }
            life.top = *id;
            life.given.insert(*id);
            life.entries.push(Appended {
                id: Some(*id),
                content: (*content).clone(),
                unit: life.units,
                trimmed: Vec::new(),
            });
        }
        Ok(())
    }

    /// What an append trimmed shows in the length of the stream behind it.
    fn trimmed_by_append(
        &mut self,
        stream: &[u8],
        trim: Trimming,
        left: u64,
        moment: &Moment,
    ) -> Learned {
        let always = self.always;
        let Some(life) = self.stream_mut(stream) else {
            return Ok(());
        };
        let live: Vec<EntryId> = life.live().iter().map(|(id, _)| *id).collect();
        if life.uncertain {
            life.may_be_removed(live);
            return Ok(());
        }
        let count = (live.len() as u64).saturating_sub(left);
        let may_go = trimmed(life, trim.keep);
        let most = may_go.len() as u64;
        // With such a retention the trim is a step of its own, whose failure is not told.
        let apart = life.keeping.last().unacked;
        let may_fail = apart && moment.faulted;
        let right = if trim.approximate || may_fail { count <= most } else { count == most };
        if !right || left > live.len() as u64 {
            let keep = trim.keep;
            return broken("C7", format!("{left} are left of {live:?} behind a trim to {keep:?}"));
        }
        let gone: Vec<EntryId> = live.into_iter().take(usize::try_from(count).unwrap()).collect();
        if apart {
            life.went(&gone, always && !may_fail);
            if may_fail && count < most {
                life.may_be_removed(may_go);
            }
            return Ok(());
        }
        life.removed.extend(&gone);
        if let Some(entry) = life.entries.last_mut() {
            entry.trimmed = gone;
        }
        Ok(())
    }

    fn copied(&mut self, from: &[u8], to: &Name, view: &StreamView, moment: &Moment) -> Learned {
        let Some(source) = self.stream(from) else {
            return broken("call", "a copy of a stream that is not there");
        };
        if !source.uncertain {
            check_copy(view, source, moment.until_ms)?;
        }
        let mut copy = source.copy().adopt(view);
        let mut names = self.names.last().clone();
        names.insert(to.clone(), self.lives.len());
        self.names.push(names);
        copy.born = self.names.states.len() - 1;
        copy.goes_on = true;
        self.lives.push(copy);
        // At every level: the record of a copy is synced.
        self.names.settle();
        Ok(())
    }

    fn deleted(&mut self, stream: &[u8], ids: &[EntryId], count: u64) -> Learned {
        let always = self.always;
        let Some(life) = self.stream_mut(stream) else {
            return broken("call", "a delete in a stream that is not there");
        };
        let live: BTreeSet<EntryId> = life.live().iter().map(|(id, _)| *id).collect();
        let gone: BTreeSet<EntryId> = ids.iter().copied().filter(|id| live.contains(id)).collect();
        if !life.uncertain && gone.len() as u64 != count {
            return broken("call", format!("deleted {count} of {gone:?}"));
        }
        life.removed.extend(&gone);
        life.max_deleted = life.max_deleted.max(gone.last().copied().unwrap_or_default());
        if always {
            life.removed_durable.extend(&gone);
        }
        Ok(())
    }

    fn was_trimmed(&mut self, stream: &[u8], keep: Keep, approx: bool, count: u64) -> Learned {
        let always = self.always;
        let Some(life) = self.stream_mut(stream) else {
            return broken("call", "a trim of a stream that is not there");
        };
        if life.uncertain {
            // Which ones are the oldest is not known.
            life.may_be_removed(life.live().iter().map(|(id, _)| *id).collect());
            return Ok(());
        }
        let may_go = trimmed(life, keep);
        let right =
            if approx { count <= may_go.len() as u64 } else { count == may_go.len() as u64 };
        if !right {
            let most = may_go.len();
            return broken("C7", format!("a trim to {keep:?} removed {count}, allowed {most}"));
        }
        let gone = may_go.into_iter().take(usize::try_from(count).unwrap());
        life.went(&gone.collect::<Vec<_>>(), always);
        Ok(())
    }

    fn was_enforced(&mut self, stream: &[u8], count: u64, moment: &Moment) -> Learned {
        let always = self.always;
        let Some(life) = self.stream_mut(stream) else {
            return broken("call", "a retention of a stream that is not there");
        };
        if life.uncertain {
            life.may_be_enforced(moment);
            return Ok(());
        }
        life.had_enforced(count, always, moment)
    }
}

impl Call {
    fn changes_names(&self) -> bool {
        matches!(
            self,
            Call::CreateStream(_)
                | Call::RemoveStream(_)
                | Call::Rename { .. }
                | Call::RenameAll(_)
                | Call::Copy { .. }
                | Call::SetBack { .. }
        )
    }

    /// The stream that has to be there for the call to make sense.
    fn stream(&self) -> Option<&Name> {
        match self {
            Call::RemoveStream(stream)
            | Call::Rename { from: stream, .. }
            | Call::Copy { from: stream, .. }
            | Call::SetOptions { stream, .. }
            | Call::Append { stream, .. }
            | Call::Batch { stream, .. }
            | Call::Delete { stream, .. }
            | Call::DeleteWith { stream, .. }
            | Call::TrimWith { stream, .. }
            | Call::Trim { stream, .. }
            | Call::SetRetention { stream, .. }
            | Call::Enforce(stream)
            | Call::SetWindow { stream, .. }
            | Call::Record { stream, .. }
            | Call::SetBack { stream, .. }
            | Call::SetUp { stream, .. }
            | Call::WaitDurable { stream, .. }
            | Call::SyncStream(stream) => Some(stream),
            _ => None,
        }
    }
}

/// The streams under the names that they get in one change.
fn renamed(names: &BTreeMap<Name, usize>, all: &[(Name, Name)]) -> BTreeMap<Name, usize> {
    let given = |name: &Name| all.iter().find(|(from, _)| from == name).map(|(_, to)| to.clone());
    names.iter().map(|(name, life)| (given(name).unwrap_or(name.clone()), *life)).collect()
}

/// The entries that an exact trim takes away, if the retention lets it.
fn trimmed(life: &StreamLife, keep: Keep) -> Vec<EntryId> {
    let live = life.live();
    let count = match keep {
        Keep::Newest(most) => (live.len() as u64).saturating_sub(most),
        Keep::From(first) => live.iter().filter(|(id, _)| *id < first).count() as u64,
    };
    let oldest = live.iter().take(usize::try_from(count).unwrap());
    life.not_held_back(oldest.map(|(id, _)| *id).collect())
}

impl StreamLife {
    fn may_be_removed(&mut self, ids: Vec<EntryId>) {
        self.removed_unsure.extend(&ids);
        self.removed.extend(ids);
        self.uncertain = true;
    }

    /// The retention took so many away.
    fn had_enforced(&mut self, count: u64, durable: bool, moment: &Moment) -> Learned {
        let (least, mut gone) = self.may_go(moment.now_ms, moment.until_ms);
        if !(least as u64..=gone.len() as u64).contains(&count) {
            let keeping = self.keeping.last();
            let text = format!("{keeping:?} removed {count} of {gone:?}, {least} at least");
            return broken("retention", text);
        }
        gone.truncate(count as usize);
        self.went(&gone, durable);
        Ok(())
    }

    /// What is beyond the retention may be gone; anything, if it is not known what there is.
    fn may_be_enforced(&mut self, moment: &Moment) {
        let (_, mut gone) = self.may_go(moment.now_ms, moment.until_ms);
        if self.uncertain && self.keeping.states.iter().any(Keeping::has_limit) {
            gone = self.live().iter().map(|(id, _)| *id).collect();
        }
        if !gone.is_empty() {
            self.may_be_removed(gone);
        }
    }
}

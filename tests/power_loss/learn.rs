//! How the model learns from a call and its answer, and what it already finds wrong then.

mod groups;

use super::call::{Answer, Call, Content, Entries, Fail, GroupKey, GroupView, Keep, Name, WantId};
use super::model::{Appended, GroupLife, Model, StreamLife, Violation, broken};
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// What surrounds a call.
pub struct Moment<'a> {
    pub now_ms: u64,
    /// Some call of the seam has failed in this life because it was told to.
    pub faulted: bool,
    /// What the call's group looked like afterwards, if the call names one that is there.
    pub seen: Option<&'a GroupView>,
}

type Learned = Result<(), Violation>;

impl Model {
    pub fn learn(&mut self, call: &Call, got: &Result<Answer, Fail>, moment: &Moment) -> Learned {
        match got {
            Ok(answer) => self.learn_answer(call, answer, moment),
            Err(fail) => self.learn_failure(call, fail, moment),
        }
    }

    fn learn_failure(&mut self, call: &Call, fail: &Fail, moment: &Moment) -> Learned {
        let may_refuse = matches!(call, Call::Append { .. } | Call::Batch { .. });
        match fail {
            Fail::Refused(_) if may_refuse || self.is_unsure(call) => {}
            Fail::Full | Fail::Unsure(_) if moment.faulted => {}
            Fail::Unsure(_) | Fail::Full | Fail::Refused(_) | Fail::Wrong(_) => {
                return broken("call", format!("{call:?} failed without a reason: {fail:?}"));
            }
        }
        if matches!(fail, Fail::Unsure(_)) {
            self.may_have_happened(call);
        }
        let (Some(key), Some(seen)) = (call.group(), moment.seen) else {
            return Ok(());
        };
        let stream = self.stream_mut(&key.stream);
        if let Some(group) = stream.and_then(|stream| stream.group_mut(&key.group)) {
            if !matches!(fail, Fail::Unsure(_)) && group.seen.last() != seen {
                return broken("F28", format!("{call:?} failed and changed the group"));
            }
            group.seen.push(seen.clone());
        }
        Ok(())
    }

    /// Whether an earlier call may have taken away what this one is about.
    fn is_unsure(&self, call: &Call) -> bool {
        let of_stream = |name: &Name| self.stream(name).is_none_or(|stream| stream.uncertain);
        self.names.is_unsure() || call.group().is_some_and(|key| of_stream(&key.stream))
    }

    /// The call failed in such a way that its effect may be there after the next open.
    fn may_have_happened(&mut self, call: &Call) {
        match call {
            Call::Append { stream, content, .. } => self.unsure_entries(stream, &[content]),
            Call::Batch { stream, contents } => {
                self.unsure_entries(stream, &contents.iter().collect::<Vec<_>>());
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
            Call::Copy { from, to } => {
                if let Some(names) = self.names_with_copy(from, to) {
                    self.names.push_unsure(names);
                }
            }
            _ => self.group_may_have_changed(call),
        }
    }

    /// The names once a copy is there.
    fn names_with_copy(&mut self, from: &Name, to: &Name) -> Option<BTreeMap<Name, usize>> {
        let mut names = self.names.last().clone();
        let copy = self.stream(from)?.copy(self.names.states.len());
        names.insert(to.clone(), self.lives.len());
        self.lives.push(copy);
        Some(names)
    }

    fn unsure_entries(&mut self, stream: &[u8], contents: &[&Content]) {
        let Some(life) = self.stream_mut(stream) else {
            return;
        };
        life.units += 1;
        life.uncertain = true;
        for content in contents {
            life.entries.push(Appended { id: None, content: (*content).clone(), unit: life.units });
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
            (Call::Copy { from, to }, Answer::Flag(true)) => {
                let Some(names) = self.names_with_copy(from, to) else {
                    return broken("call", "a copy of a stream that is not there");
                };
                // At every level: its record is synced.
                self.names.push(names);
                self.names.settle();
            }
            (Call::Append { stream, content, id, durable }, Answer::Id(given)) => {
                let durable = always || *durable;
                return self.appended(stream, &[content], &[*given], *id, durable, moment.now_ms);
            }
            (Call::Batch { stream, contents }, Answer::Ids(ids)) => {
                let contents: Vec<_> = contents.iter().collect();
                let want = WantId::Auto;
                return self.appended(stream, &contents, ids, want, always, moment.now_ms);
            }
            (Call::Delete { stream, ids }, Answer::Count(count)) => {
                return self.deleted(stream, ids, *count);
            }
            (Call::Trim { stream, keep, approximate }, Answer::Count(count)) => {
                return self.was_trimmed(stream, *keep, *approximate, *count);
            }
            (Call::SyncStream(stream), Answer::Id(_)) => self.entries_are_durable(stream),
            (Call::Sync | Call::StepSync, Answer::Done) => self.settle(),
            (Call::StepPrepare | Call::StepCheckpoint, Answer::Done) => {}
            _ => return self.learn_group(call, answer, moment),
        }
        if always && !matches!(call, Call::SyncStream(_)) && call.changes_names() {
            self.names.settle();
        }
        Ok(())
    }

    fn entries_are_durable(&mut self, stream: &[u8]) {
        let Some(life) = self.stream_mut(stream) else {
            return;
        };
        life.durable = life.entries.len();
        // An entry that is on disk is nothing without its stream.
        let born = life.born;
        self.names.durable = self.names.durable.max(born);
    }

    fn appended(
        &mut self,
        stream: &[u8],
        contents: &[&Content],
        ids: &[EntryId],
        want: WantId,
        durable: bool,
        now_ms: u64,
    ) -> Learned {
        let Some(life) = self.stream_mut(stream) else {
            return broken("call", "an append to a stream that is not there");
        };
        if ids.len() != contents.len() {
            return broken("C4", format!("{} entries got the IDs {ids:?}", contents.len()));
        }
        life.units += 1;
        for (id, content) in ids.iter().zip(contents) {
            if *id <= life.top {
                let top = life.top;
                return broken("C6", format!("the new ID {id} is not above {top}"));
            }
            if want == WantId::Auto && id.ms < now_ms && life.given.contains(id) {
                return broken("C6", format!("{id} was given before the crash and again"));
            }
            life.top = *id;
            life.given.insert(*id);
            life.entries.push(Appended {
                id: Some(*id),
                content: (*content).clone(),
                unit: life.units,
            });
        }
        if durable {
            self.entries_are_durable(stream);
        }
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
        let may_go = trimmed(life, keep);
        let right =
            if approx { count <= may_go.len() as u64 } else { count == may_go.len() as u64 };
        if !life.uncertain && !right {
            let most = may_go.len();
            return broken("C7", format!("a trim to {keep:?} removed {count}, allowed {most}"));
        }
        let gone = may_go.into_iter().take(usize::try_from(count).unwrap());
        let gone: Vec<EntryId> = gone.collect();
        life.removed.extend(&gone);
        if always {
            life.removed_durable.extend(&gone);
        }
        Ok(())
    }
}

impl Call {
    fn changes_names(&self) -> bool {
        matches!(
            self,
            Call::CreateStream(_) | Call::RemoveStream(_) | Call::Rename { .. } | Call::Copy { .. }
        )
    }
}

/// The entries that an exact trim takes away.
fn trimmed(life: &StreamLife, keep: Keep) -> Vec<EntryId> {
    let live = life.live();
    let count = match keep {
        Keep::Newest(most) => (live.len() as u64).saturating_sub(most),
        Keep::From(first) => live.iter().filter(|(id, _)| *id < first).count() as u64,
    };
    let oldest = live.iter().take(usize::try_from(count).unwrap());
    oldest.map(|(id, _)| *id).collect()
}

impl StreamLife {
    fn may_be_removed(&mut self, ids: Vec<EntryId>) {
        self.removed_unsure.extend(&ids);
        self.removed.extend(ids);
        self.uncertain = true;
    }
}

//! What is known of a store from its calls and answers alone.
//!
//! The model shares no logic with the crate: it does not compute what a group read should do, it
//! records what was handed out and what a group looked like afterwards. Of everything it keeps two
//! things: what *may* be there after a power cut (all that was ever called), and what *must* be
//! there (all that was durable when its call returned, or when a later sync did).
//!
//! Whatever a recovery returned is durable from then on (C3), so after an open the model starts
//! again from what was seen: [`Model::adopt`].

use super::call::{Content, Entries, GroupView, Keeping, Name, StreamView, View};
use super::plan::Level;
use super::sent::Sending;
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// A broken promise.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The clause of the contract.
    pub clause: &'static str,
    pub text: String,
}

pub fn broken<T>(clause: &'static str, text: impl Into<String>) -> Result<T, Violation> {
    let text = text.into();
    Err(Violation { clause, text })
}

/// The states that something went through, oldest first; from `durable` on, any of them may be
/// what a recovery finds.
#[derive(Clone, Debug)]
pub struct Timeline<T> {
    pub states: Vec<T>,
    pub durable: usize,
    /// Since this state it is not known which one is the present one.
    hold: Option<usize>,
}

impl<T: Clone + PartialEq> Timeline<T> {
    pub fn new(state: T) -> Timeline<T> {
        Timeline { states: vec![state], durable: 0, hold: None }
    }

    pub fn last(&self) -> &T {
        self.states.last().unwrap()
    }

    pub fn push(&mut self, state: T) {
        if *self.last() != state {
            self.states.push(state);
        }
    }

    /// A change that may have taken place or not; the process goes on without it.
    pub fn push_unsure(&mut self, state: T) {
        let before = self.last().clone();
        self.hold = self.hold.or(Some(self.states.len() - 1));
        self.push(state);
        self.push(before);
    }

    /// Whether some change may have taken place or not.
    pub fn is_unsure(&self) -> bool {
        self.hold.is_some()
    }

    pub fn settle(&mut self) {
        let known = self.hold.unwrap_or(self.states.len() - 1);
        self.durable = self.durable.max(known);
    }
}

/// An entry that an append was called for.
#[derive(Clone, Debug)]
pub struct Appended {
    /// `None`: the append did not say whether it took place.
    pub id: Option<EntryId>,
    pub content: Content,
    /// The same number for all entries of a batch.
    pub unit: u64,
    /// What its append trimmed.
    pub trimmed: Vec<EntryId>,
}

/// What one call took away from a stream and from its groups at once.
#[derive(Clone, Debug)]
pub struct Released {
    pub deleted: BTreeSet<EntryId>,
    /// What was pending until then, and in which of the stream's groups.
    pub pending: Vec<(usize, EntryId)>,
}

/// A group from its creation to its removal.
#[derive(Clone, Debug)]
pub struct GroupLife {
    pub seen: Timeline<GroupView>,
    pub acked: BTreeSet<EntryId>,
    pub acked_durable: BTreeSet<EntryId>,
    /// Acknowledgements that failed in such a way that they may have taken place.
    pub acked_unsure: BTreeSet<EntryId>,
    /// A call failed in such a way, so that the group may be as it was never seen.
    pub loose: bool,
    /// Entries that the group's users passed over on purpose: those before its start, read with
    /// NOACK, dropped with their consumer, skipped by setting the cursor.
    pub excused: BTreeSet<EntryId>,
    /// The same as ranges: above the first ID, up to the second.
    pub excused_ranges: Vec<(EntryId, EntryId)>,
    /// Entries that retention took away, as the group had done with them.
    pub settled: BTreeSet<EntryId>,
    /// Which entry was ever handed to whom.
    pub given: BTreeSet<(EntryId, Name)>,
    /// Where callers set the cursor.
    pub set_to: BTreeSet<EntryId>,
}

impl GroupLife {
    pub fn new(seen: GroupView) -> GroupLife {
        let start = seen.cursor;
        GroupLife {
            seen: Timeline::new(seen),
            acked: BTreeSet::new(),
            acked_durable: BTreeSet::new(),
            acked_unsure: BTreeSet::new(),
            loose: false,
            excused: BTreeSet::new(),
            excused_ranges: vec![(EntryId::MIN, start)],
            settled: BTreeSet::new(),
            given: BTreeSet::new(),
            set_to: BTreeSet::from([start]),
        }
    }

    pub fn settle(&mut self) {
        self.seen.settle();
        self.acked_durable = &self.acked - &self.acked_unsure;
    }

    /// Whether a live entry below the cursor may be in nobody's pending list.
    pub fn is_passed(&self, id: EntryId) -> bool {
        let in_range = |(above, up_to): &(EntryId, EntryId)| *above < id && id <= *up_to;
        self.acked.contains(&id)
            || self.excused.contains(&id)
            || self.excused_ranges.iter().any(in_range)
    }

    /// The group stays where it is: the entries to come up to there are passed over. Returns what is
    /// pending above the new last ID.
    fn set_back(&mut self, to: EntryId) -> Vec<EntryId> {
        let mut pending = Vec::new();
        for seen in &self.seen.states {
            pending.extend(seen.pending.iter().map(|(id, ..)| *id).filter(|id| *id > to));
            if seen.cursor > to {
                self.excused_ranges.push((to, seen.cursor));
                self.set_to.insert(seen.cursor);
            }
        }
        let sets = [&mut self.acked, &mut self.acked_durable, &mut self.acked_unsure];
        let sets = sets.into_iter().chain([&mut self.excused, &mut self.settled]);
        sets.for_each(|ids| ids.retain(|id| *id <= to));
        pending
    }

    /// `taken`: what the retention took as the stream was opened, which is not on disk.
    fn adopt(&self, view: &StreamView, taken: &Entries, group: &GroupView) -> GroupLife {
        let pending: BTreeSet<EntryId> = group.pending.iter().map(|(id, ..)| *id).collect();
        let below = taken.iter().chain(&view.entries).map(|(id, _)| *id);
        let passed: BTreeSet<EntryId> =
            below.filter(|id| *id <= group.cursor && !pending.contains(id)).collect();
        let owned = group.pending.iter().map(|(id, owner, _)| (*id, owner.clone()));
        GroupLife {
            seen: Timeline::new(group.clone()),
            acked: passed.clone(),
            acked_durable: passed,
            acked_unsure: BTreeSet::new(),
            loose: false,
            excused: BTreeSet::new(),
            // A cursor beyond the end stands there because a caller put it there.
            excused_ranges: vec![(view.last_id, group.cursor)],
            settled: BTreeSet::new(),
            given: self.given.iter().cloned().chain(owned).collect(),
            set_to: self.set_to.clone(),
        }
    }
}

/// A stream from its creation to its removal.
#[derive(Clone, Debug)]
pub struct StreamLife {
    pub entries: Vec<Appended>,
    /// How many of the entries must be there, unless they were removed.
    pub durable: usize,
    pub units: u64,
    pub removed: BTreeSet<EntryId>,
    pub removed_durable: BTreeSet<EntryId>,
    /// Removals that failed in such a way that they may have taken place.
    pub removed_unsure: BTreeSet<EntryId>,
    /// No ID at or below this one may be given again.
    pub top: EntryId,
    /// The last ID when the model began, or as XSETID set it.
    pub floor: EntryId,
    /// Every ID that was given, also those that a crash took back.
    pub given: BTreeSet<EntryId>,
    pub keeping: Timeline<Keeping>,
    pub sending: Sending,
    /// The last ID as XSETID raised it.
    pub raised: Timeline<EntryId>,
    pub groups: Timeline<BTreeMap<Name, usize>>,
    pub group_lives: Vec<GroupLife>,
    /// A call did not say what it did, so nothing exact can be asked until the next open.
    pub uncertain: bool,
    /// The first state of the names in which the stream exists.
    pub born: usize,
    /// It began with what another one had, as a copy or because its last ID was set back: there is
    /// all of that or nothing.
    pub goes_on: bool,
    /// The life of the same stream until its last ID was set back.
    pub continues: Option<usize>,
    /// The highest ID that was deleted, as XSETID sees it.
    pub max_deleted: EntryId,
    /// What was pending when the last ID was set back, and may be above it.
    pub ghosts: BTreeSet<EntryId>,
    /// The last ID was set back once, so what is pending may lie above it.
    pub lowered: bool,
    /// What went from the stream and from pending lists in one step.
    pub released: Vec<Released>,
}

impl StreamLife {
    pub fn new(born: usize) -> StreamLife {
        StreamLife {
            entries: Vec::new(),
            durable: 0,
            units: 0,
            removed: BTreeSet::new(),
            removed_durable: BTreeSet::new(),
            removed_unsure: BTreeSet::new(),
            top: EntryId::MIN,
            floor: EntryId::MIN,
            given: BTreeSet::new(),
            keeping: Timeline::new(Keeping::default()),
            sending: Sending::default(),
            raised: Timeline::new(EntryId::MIN),
            groups: Timeline::new(BTreeMap::new()),
            group_lives: Vec::new(),
            uncertain: false,
            born,
            goes_on: false,
            continues: None,
            max_deleted: EntryId::MIN,
            ghosts: BTreeSet::new(),
            lowered: false,
            released: Vec::new(),
        }
    }

    /// The entries that are there now, as far as is known.
    pub fn live(&self) -> Vec<(EntryId, &Content)> {
        let known = self.entries.iter();
        known
            .filter_map(|entry| Some((entry.id?, &entry.content)))
            .filter(|(id, _)| !self.removed.contains(id))
            .collect()
    }

    /// Which of these may go: one after the other, up to one that a group still needs.
    pub fn not_held_back(&self, ids: Vec<EntryId>) -> Vec<EntryId> {
        if !self.keeping.last().unacked {
            return ids;
        }
        let groups: Vec<_> = self.groups.last().values().map(|n| &self.group_lives[*n]).collect();
        let free = |id: &EntryId| groups.iter().all(|group| group.seen.last().has_done_with(*id));
        ids.into_iter().take_while(free).collect()
    }

    /// What is beyond the retention at this time, but for what its limit of bytes takes.
    pub fn beyond(&self, now_ms: u64) -> Vec<EntryId> {
        let keeping = self.keeping.last();
        let live = self.live();
        let count = keeping.most.map_or(0, |most| live.len().saturating_sub(most as usize));
        let below = live.iter().filter(|(id, _)| keeping.is_past(*id, now_ms)).count();
        let ids = live.iter().take(count.max(below)).map(|(id, _)| *id);
        self.not_held_back(ids.collect())
    }

    /// What may go where the retention is enforced between these times: that many at least, and of
    /// these so many at most.
    pub fn may_go(&self, from_ms: u64, until_ms: u64) -> (usize, Vec<EntryId>) {
        let (some, more) = (self.beyond(from_ms), self.beyond(until_ms));
        let least = some.len().min(more.len());
        if self.keeping.last().bytes.is_none() {
            return (least, if some.len() > more.len() { some } else { more });
        }
        // How many of them a segment holds, only the engine knows.
        let all = self.live().into_iter().map(|(id, _)| id);
        (least, self.not_held_back(all.collect()))
    }

    /// These were taken away, and the groups had done with them if that was to be.
    pub fn went(&mut self, gone: &[EntryId], durable: bool) {
        if self.keeping.last().unacked && !self.uncertain {
            for group in self.groups.last().values() {
                self.group_lives[*group].settled.extend(gone);
            }
        }
        self.removed.extend(gone);
        if durable {
            self.removed_durable.extend(gone);
        }
    }

    pub fn settle(&mut self) {
        self.durable = self.entries.len();
        self.removed_durable = &self.removed - &self.removed_unsure;
        self.keeping.settle();
        self.sending.settle();
        self.raised.settle();
        self.groups.settle();
        self.group_lives.iter_mut().for_each(GroupLife::settle);
    }

    pub fn group(&self, name: &[u8]) -> Option<&GroupLife> {
        let life = self.groups.last().get(name)?;
        self.group_lives.get(*life)
    }

    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut GroupLife> {
        let life = *self.groups.last().get(name)?;
        self.group_lives.get_mut(life)
    }

    /// The stream as a copy of it begins: nothing but what is there now, and all of that on disk.
    pub fn copy(&self) -> StreamLife {
        let live = self.live().into_iter().enumerate();
        let entries = live.map(|(index, (id, content))| Appended {
            id: Some(id),
            content: content.clone(),
            unit: index as u64,
            trimmed: Vec::new(),
        });
        let mut life = StreamLife {
            entries: entries.collect(),
            removed: BTreeSet::new(),
            removed_durable: BTreeSet::new(),
            removed_unsure: BTreeSet::new(),
            keeping: Timeline::new(*self.keeping.last()),
            sending: self.sending.onward(&self.entries),
            groups: Timeline::new(self.groups.last().clone()),
            goes_on: true,
            floor: self.top,
            released: Vec::new(),
            ..self.clone()
        };
        life.settle();
        life
    }

    /// The stream once its last ID was set back: nothing of what lies above counts any more, and
    /// its IDs are free again.
    pub fn set_back(&self, to: EntryId, born: usize) -> StreamLife {
        let mut life =
            StreamLife { born, goes_on: true, top: to, floor: to, lowered: true, ..self.clone() };
        let counts = |entry: &Appended| entry.id.is_none_or(|id| id <= to);
        life.durable = self.entries[..self.durable].iter().filter(|entry| counts(entry)).count();
        life.sending = self.sending.onward(&self.entries);
        life.entries.retain(counts);
        let sets = [&mut life.removed, &mut life.removed_durable, &mut life.removed_unsure];
        sets.into_iter().for_each(|ids| ids.retain(|id| *id <= to));
        life.given.retain(|id| *id <= to);
        life.raised = Timeline::new(to);
        life.released.clear();
        for group in &mut life.group_lives {
            life.ghosts.extend(group.set_back(to));
        }
        life
    }

    pub fn adopt(&self, view: &StreamView) -> StreamLife {
        let mut life = StreamLife::new(0);
        let taken = self.taken_by_the_open(view);
        for (id, content) in taken.iter().chain(&view.entries) {
            life.entries.push(Appended {
                id: Some(*id),
                content: content.clone(),
                unit: life.entries.len() as u64,
                trimmed: Vec::new(),
            });
        }
        life.units = life.entries.len() as u64;
        life.top = view.last_id;
        life.floor = view.last_id;
        life.max_deleted = view.max_deleted;
        life.ghosts.clone_from(&self.ghosts);
        life.lowered = self.lowered;
        life.given.clone_from(&self.given);
        life.given.extend(view.entries.iter().map(|(id, _)| *id));
        let mut groups = BTreeMap::new();
        for (name, group) in &view.groups {
            // Among the groups of this name, the one whose past fits is not known; what was handed
            // out by any of them may be pending.
            let mut known = GroupLife::new(group.clone());
            for past in self.group_lives_called(name) {
                known.given.extend(past.given.iter().cloned());
                known.set_to.extend(past.set_to.iter().copied());
            }
            groups.insert(name.clone(), life.group_lives.len());
            life.group_lives.push(known.adopt(view, &taken, group));
        }
        life.groups = Timeline::new(groups);
        life.keeping = Timeline::new(view.keeping);
        life.sending = Sending::from(view.sent.clone());
        life.settle();
        life.removed.extend(taken.iter().map(|(id, _)| *id));
        life
    }

    /// What the retention took away as the stream was opened. It is not on disk that it is gone.
    fn taken_by_the_open(&self, view: &StreamView) -> Entries {
        if !view.keeping.has_limit() {
            return Vec::new();
        }
        let first = view.entries.first().map(|(id, _)| *id);
        let live = self.live().into_iter();
        live.take_while(|(id, _)| first.map_or(*id <= view.last_id, |first| *id < first))
            .map(|(id, content)| (id, content.clone()))
            .collect()
    }

    fn group_lives_called(&self, name: &[u8]) -> impl Iterator<Item = &GroupLife> {
        let lives: BTreeSet<usize> =
            self.groups.states.iter().filter_map(|groups| groups.get(name).copied()).collect();
        lives.into_iter().filter_map(|life| self.group_lives.get(life))
    }
}

/// All that is known of a store.
#[derive(Clone, Debug)]
pub struct Model {
    pub always: bool,
    pub names: Timeline<BTreeMap<Name, usize>>,
    pub lives: Vec<StreamLife>,
}

impl Model {
    pub fn new(level: Level) -> Model {
        Model {
            always: level == Level::Always,
            names: Timeline::new(BTreeMap::new()),
            lives: Vec::new(),
        }
    }

    pub fn stream(&self, name: &[u8]) -> Option<&StreamLife> {
        self.lives.get(*self.names.last().get(name)?)
    }

    pub fn stream_mut(&mut self, name: &[u8]) -> Option<&mut StreamLife> {
        let life = *self.names.last().get(name)?;
        self.lives.get_mut(life)
    }

    /// Whether entries grow too old somewhere. What an open takes for that is not gone for good: with
    /// a clock that goes back it may be there again, which the model does not follow.
    pub fn ages(&self) -> bool {
        let keeping = self.lives.iter().flat_map(|life| &life.keeping.states);
        keeping.into_iter().any(|keeping| keeping.age_ms.is_some())
    }

    /// Everything that was called so far is durable: a sync returned, or the machine did not stop.
    pub fn settle(&mut self) {
        self.names.settle();
        self.lives.iter_mut().for_each(StreamLife::settle);
    }

    /// Starts again from what a recovery returned. `lives` says which stream it found under which
    /// name.
    pub fn adopt(&self, view: &View, lives: &BTreeMap<Name, usize>) -> Model {
        let mut model =
            Model { always: self.always, names: Timeline::new(BTreeMap::new()), lives: Vec::new() };
        let mut names = BTreeMap::new();
        for (name, stream) in &view.streams {
            let Some(life) = lives.get(name).and_then(|life| self.lives.get(*life)) else {
                continue;
            };
            names.insert(name.clone(), model.lives.len());
            model.lives.push(life.adopt(stream));
        }
        model.names = Timeline::new(names);
        model
    }
}

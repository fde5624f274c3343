//! Whether what a recovery returned keeps the contract.
//!
//! Two models bound what is allowed: `before` says what must be there (it was durable when the
//! power went), `after` what may be there (it had been called, the call in flight included).

use super::call::{GroupView, Name, Report, StreamView, View};
use super::model::{Appended, GroupLife, Model, StreamLife, Violation, broken};
use super::sent::check_sent;
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// What a recovery turned out to be.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Which stream was found under which name.
    pub lives: BTreeMap<Name, usize>,
    /// Entries whose append had returned are not there.
    pub cut_tail: bool,
}

/// What was said of the recovery whose result is judged.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub report: &'a Report,
    /// An earlier recovery may have done something already, and nobody heard of it.
    pub interrupted: bool,
    /// What the clock says.
    pub now_ms: u64,
}

/// There was no recovery.
pub fn no_recovery(now_ms: u64) -> Told<'static> {
    static NOTHING: Report = Report { tells_of_groups: true, taken_back: Vec::new() };
    Told { report: &NOTHING, interrupted: false, now_ms }
}

pub fn check(view: &View, before: &Model, after: &Model, told: Told) -> Result<Facts, Violation> {
    let allowed = &after.names.states[before.names.durable..];
    let mut tried: Vec<BTreeMap<Name, usize>> = Vec::new();
    let mut first = None;
    let exact = allowed.iter().rev().cloned();
    for state in exact.chain(piecemeal(view, allowed, &after.lives)) {
        if tried.contains(&state) || !state.keys().eq(view.streams.keys()) {
            continue;
        }
        match check_streams(view, &state, before, after, told) {
            Ok(facts) => return Ok(facts),
            Err(violation) => first = first.or(Some(violation)),
        }
        tried.push(state);
    }
    match first {
        Some(violation) => Err(violation),
        None => {
            let allowed: Vec<_> = allowed.iter().map(|state| names_of(state.keys())).collect();
            let names = names_of(view.streams.keys());
            broken("names", format!("the streams are {names}, allowed {allowed:?}"))
        }
    }
}

/// A stream whose creation is not on disk may be found by its files, without those made before it;
/// but no stream is there twice, and all that were there all the time are. A stream may be found
/// under the name that it had before it was renamed, with all that came later.
fn piecemeal(
    view: &View,
    allowed: &[BTreeMap<Name, usize>],
    all: &[StreamLife],
) -> Vec<BTreeMap<Name, usize>> {
    let mut states = vec![BTreeMap::new()];
    for name in view.streams.keys() {
        let mut lives: BTreeSet<usize> =
            allowed.iter().filter_map(|s| s.get(name).copied()).collect();
        for (later, life) in all.iter().enumerate() {
            if life.continues.is_some_and(|before| lives.contains(&before)) {
                lives.insert(later);
            }
        }
        let with = |state: &BTreeMap<Name, usize>, life: usize| {
            let mut state = state.clone();
            state.insert(name.clone(), life);
            state
        };
        let longer = states.iter().flat_map(|state| lives.iter().map(|life| with(state, *life)));
        states = longer.take(100).collect();
    }
    states.retain(|state| {
        let lives: BTreeSet<usize> = state.values().copied().collect();
        let mut always = allowed[0].values().filter(|life| {
            let there = |state: &BTreeMap<Name, usize>| state.values().any(|other| other == *life);
            allowed.iter().all(there)
        });
        let twice = |life: &usize| all[*life].continues.is_some_and(|one| lives.contains(&one));
        let once = lives.len() == state.len() && !lives.iter().any(twice);
        once && always.all(|life| {
            let goes_on = |later: &usize| all[*later].continues == Some(*life);
            lives.contains(life) || lives.iter().any(goes_on)
        })
    });
    states
}

fn names_of<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    let names = names.into_iter().map(|name| format!("{name:?}"));
    names.collect::<Vec<_>>().join(" ")
}

fn check_streams(
    view: &View,
    lives: &BTreeMap<Name, usize>,
    before: &Model,
    after: &Model,
    told: Told,
) -> Result<Facts, Violation> {
    let mut facts = Facts { lives: lives.clone(), cut_tail: false };
    let unborn = StreamLife::new(0);
    for (name, stream) in &view.streams {
        let life = lives[name];
        let known = before.lives.get(life);
        let known = known.or(Some(&after.lives[life]).filter(|life| life.goes_on));
        let known = known.unwrap_or(&unborn);
        let back = |group: &Name| told.of(name, group);
        let life = &after.lives[life];
        let cut = check_stream(stream, known, life, &back, told.now_ms).map_err(|violation| {
            let text = format!("stream {name:?}: {}", violation.text);
            Violation { text, ..violation }
        })?;
        facts.cut_tail |= cut;
    }
    Ok(facts)
}

/// A copy is as its source is: the live entries, the groups, the last ID.
pub fn check_copy(view: &StreamView, source: &StreamLife, now_ms: u64) -> Result<(), Violation> {
    let copy = source.copy();
    check_stream(view, &copy, &copy, &|_| TakenBack::No, now_ms).map_err(|violation| {
        let text = format!("a copy: {}", violation.text);
        Violation { text, ..violation }
    })?;
    if view.last_id != source.top {
        let (last, top) = (view.last_id, source.top);
        return broken("call", format!("the last ID of a copy is {last}, of its source {top}"));
    }
    Ok(())
}

/// Whether a recovery took a group back: from where to where.
#[derive(Clone, Copy)]
enum TakenBack {
    No,
    Told(EntryId, EntryId),
    /// Nobody can say.
    Perhaps,
}

impl Told<'_> {
    fn of(&self, stream: &Name, group: &Name) -> TakenBack {
        let report = self.report;
        let mut known = report.taken_back.iter();
        match known.find(|(s, g, ..)| (s, g) == (stream, group)) {
            _ if self.interrupted || !report.tells_of_groups => TakenBack::Perhaps,
            Some((_, _, from, to)) => TakenBack::Told(*from, *to),
            None => TakenBack::No,
        }
    }
}

/// Returns whether the tail is missing.
fn check_stream(
    view: &StreamView,
    before: &StreamLife,
    after: &StreamLife,
    told: &dyn Fn(&Name) -> TakenBack,
    now_ms: u64,
) -> Result<bool, Violation> {
    let allowed = &after.keeping.states[before.keeping.durable..];
    if !allowed.contains(&view.keeping) {
        let keeping = view.keeping;
        return broken("retention", format!("it keeps {keeping:?}, allowed {allowed:?}"));
    }
    let found = check_entries(view, before, after, now_ms)?;
    if view.length != view.entries.len() as u64 {
        let (length, count) = (view.length, view.entries.len());
        return broken("C2", format!("the length is {length}, the entries are {count}"));
    }
    if view.entries_added < view.length {
        let (added, length) = (view.entries_added, view.length);
        return broken("call", format!("{added} entries were added, and {length} are there"));
    }
    check_last_id(view, before)?;
    let there = can_be_there(view, after, found.max(before.durable));
    check_sent(&view.sent, &before.sending, &after.sending, &after.entries, there)?;
    let allowed = &after.groups.states[before.groups.durable..];
    let mut first = None;
    for state in allowed.iter().rev() {
        if !state.keys().eq(view.groups.keys()) {
            continue;
        }
        let groups = check_groups(view, state, before, after, told)
            .and_then(|()| check_released(view, state, after));
        match groups.and_then(|()| check_settled(view, state, after, found.max(before.durable))) {
            Ok(()) => {
                return Ok(after.entries[found..].iter().any(|entry| entry.id.is_some()));
            }
            Err(violation) => first = first.or(Some(violation)),
        }
    }
    match first {
        Some(violation) => Err(violation),
        None => {
            let allowed: Vec<_> = allowed.iter().map(|state| names_of(state.keys())).collect();
            let text =
                format!("the groups are {}, allowed {allowed:?}", names_of(view.groups.keys()));
            broken("C10", text)
        }
    }
}

/// The walk along what was appended: which of it is there.
struct Walk<'a> {
    view: &'a StreamView,
    before: &'a StreamLife,
    after: &'a StreamLife,
    now_ms: u64,
    /// Per batch: how many are there, and how many are missing without having been removed.
    units: BTreeMap<u64, (u64, u64)>,
}

impl Walk<'_> {
    /// `first`: nothing in front of it is there either.
    fn missing(&mut self, entry: &Appended, first: bool) -> Result<(), Violation> {
        match entry.id {
            _ if first && self.may_be_taken(entry) => return Ok(()),
            Some(id) if self.after.removed.contains(&id) => return Ok(()),
            Some(id) if self.count_of(entry) == 1 => {
                return broken("C2", format!("{id} is missing, later ones are there"));
            }
            _ => {}
        }
        self.units.entry(entry.unit).or_default().1 += 1;
        Ok(())
    }

    /// Whether the retention may have taken one of the oldest away as the stream was opened.
    fn may_be_taken(&self, entry: &Appended) -> bool {
        let keeping = self.view.keeping;
        let Some(id) = entry.id else {
            return self.view.keeping.has_limit();
        };
        let beyond = keeping.most.is_some_and(|most| self.view.length >= most)
            || keeping.is_past(id, self.now_ms)
            || keeping.bytes.is_some();
        beyond
            && (!keeping.unacked || self.view.groups.values().all(|group| group.has_done_with(id)))
    }

    fn count_of(&self, entry: &Appended) -> usize {
        let units = self.after.entries.iter();
        units.filter(|other| other.unit == entry.unit).count()
    }
}

/// Returns how many of the appended entries lie before the end of what is there.
fn check_entries(
    view: &StreamView,
    before: &StreamLife,
    after: &StreamLife,
    now_ms: u64,
) -> Result<usize, Violation> {
    let mut walk = Walk { view, before, after, now_ms, units: BTreeMap::new() };
    let appended = &after.entries;
    let mut next = 0;
    for (id, content) in &view.entries {
        let fits = |entry: &Appended| {
            entry.content == *content && entry.id.is_none_or(|known| known == *id)
        };
        let found = (next..appended.len()).find(|index| fits(&appended[*index]));
        let Some(found) = found else {
            let text = format!("{id} {content:?} is there: {}", why_not(after, *id, next));
            return broken("C2", text);
        };
        for skipped in &appended[next..found] {
            walk.missing(skipped, next == 0)?;
        }
        if walk.before.removed_durable.contains(id) {
            return broken("C7", format!("{id} was durably removed and is there again"));
        }
        walk.units.entry(appended[found].unit).or_default().0 += 1;
        next = found + 1;
    }
    for (index, entry) in appended.iter().enumerate().skip(next) {
        if next == 0 && walk.may_be_taken(entry) {
            continue;
        }
        let removed = entry.id.is_none_or(|id| after.removed.contains(&id));
        if index < before.durable && !removed {
            let id = entry.id.unwrap_or_default();
            return broken("C1", format!("{id} {:?} was durable and is lost", entry.content));
        }
        if !entry.id.is_some_and(|id| after.removed.contains(&id)) {
            walk.units.entry(entry.unit).or_default().1 += 1;
        }
    }
    for (there, missing) in walk.units.values() {
        if *there > 0 && *missing > 0 {
            return broken("C4", format!("{there} of a batch are there, {missing} are not"));
        }
    }
    // A batch of several that is missing as a whole in front of what is there is a hole, too.
    for entry in &appended[..next] {
        let unit = walk.units.get(&entry.unit);
        if entry.id.is_some() && unit.is_some_and(|(there, missing)| *there == 0 && *missing > 0) {
            let id = entry.id.unwrap_or_default();
            return broken("C2", format!("the batch with {id} is missing, later ones are there"));
        }
    }
    let ids: Vec<EntryId> = view.entries.iter().map(|(id, _)| *id).collect();
    if !ids.is_sorted_by(|a, b| a < b) {
        return broken("C6", format!("the IDs do not increase: {ids:?}"));
    }
    Ok(next)
}

/// How many of the entries can have been there, of which so many were: not one that is missing and
/// that nobody has removed.
fn can_be_there(
    view: &StreamView,
    after: &StreamLife,
    least: usize,
) -> std::ops::RangeInclusive<usize> {
    let removed = |entry: &Appended| entry.id.is_none_or(|id| after.removed.contains(&id));
    // The retention may have taken them as the stream was opened.
    let may_be = |entry: &Appended| view.keeping.has_limit() || removed(entry);
    let more = after.entries[least..].iter().take_while(|entry| may_be(entry)).count();
    least..=least + more
}

fn why_not(after: &StreamLife, id: EntryId, next: usize) -> &'static str {
    match after.entries.iter().position(|entry| entry.id == Some(id)) {
        Some(index) if index < next => "out of order, or twice",
        Some(_) => "with other bytes than were appended",
        None if after.given.contains(&id) => "cut by an earlier recovery, and back",
        None => "it was never appended",
    }
}

fn check_last_id(view: &StreamView, before: &StreamLife) -> Result<(), Violation> {
    let durable = before.entries[..before.durable].iter();
    let known = durable.filter_map(|entry| entry.id);
    let known = known.chain(before.removed_durable.iter().copied());
    let known = known.chain(before.raised.states.get(before.raised.durable).copied());
    let there = view.entries.iter().map(|(id, _)| *id);
    let pending = view.groups.values().flat_map(|group| &group.pending);
    let pending = pending.map(|(id, ..)| *id).filter(|id| !before.ghosts.contains(id));
    let highest = known.chain(there).chain(pending).max();
    if highest.is_some_and(|id| id > view.last_id) {
        let (highest, last) = (highest.unwrap_or_default(), view.last_id);
        return broken("C6", format!("the last ID is {last}, but {highest} was given"));
    }
    Ok(())
}

fn check_groups(
    view: &StreamView,
    lives: &BTreeMap<Name, usize>,
    before: &StreamLife,
    after: &StreamLife,
    told: &dyn Fn(&Name) -> TakenBack,
) -> Result<(), Violation> {
    for (name, group) in &view.groups {
        let known = before.group_lives.get(lives[name]);
        let life = &after.group_lives[lives[name]];
        let checked = check_group(view, group, known, life, told(name));
        checked.and_then(|()| check_pending(view, group, life, after)).map_err(|violation| {
            let text = format!("group {name:?}: {}", violation.text);
            Violation { text, ..violation }
        })?;
    }
    Ok(())
}

/// What is pending lies below the end of the log, or below something that was removed. Otherwise it
/// was lost, and the group had to be taken back. (Where IDs were given twice, it may belong to those
/// that were given first.)
fn check_pending(
    view: &StreamView,
    group: &GroupView,
    life: &GroupLife,
    stream: &StreamLife,
) -> Result<(), Violation> {
    // Retention may have taken all away as the stream was opened.
    let all_taken = view.entries.is_empty() && view.keeping.has_limit();
    let last = view.entries.last().map(|(id, _)| *id).or(all_taken.then_some(view.last_id));
    let removed = stream.removed.last().copied();
    let end = [last, removed].into_iter().flatten().fold(stream.floor, EntryId::max);
    let mut pending = group.pending.iter().map(|(id, ..)| *id);
    match pending.find(|id| *id > end) {
        Some(id) if !life.loose && !stream.uncertain && !stream.lowered => {
            broken("C9", format!("{id} is pending, and its entry is lost"))
        }
        _ => Ok(()),
    }
}

/// What retention took away because every group had done with it is nothing that a group waits for.
/// Of the entries up to `sure` those that are not there were taken away, and not lost.
fn check_settled(
    view: &StreamView,
    lives: &BTreeMap<Name, usize>,
    after: &StreamLife,
    sure: usize,
) -> Result<(), Violation> {
    // A retention of before, to which the cut went back, may have taken them as the stream was
    // opened, whatever the groups have done.
    if view.keeping.has_limit() && !view.keeping.unacked {
        return Ok(());
    }
    let there: BTreeSet<EntryId> = view.entries.iter().map(|(id, _)| *id).collect();
    let gone = after.entries[..sure].iter().filter_map(|entry| entry.id);
    // A trim that came with an append takes what is below it, too, under whatever retention of then.
    // It may have taken itself.
    let there_once = |entry: &&Appended| entry.id.is_some_and(|id| id <= view.last_id);
    let appended = after.entries.iter().filter(there_once);
    let trimmed = appended.flat_map(|entry| &entry.trimmed).max();
    let by_trim = |id: &EntryId| trimmed.is_some_and(|upto| id <= upto);
    let gone: BTreeSet<EntryId> = gone.filter(|id| !there.contains(id) && !by_trim(id)).collect();
    for (name, group) in &view.groups {
        let life = &after.group_lives[lives[name]];
        let mut settled = life.settled.intersection(&gone);
        let missed = settled.find(|id| !life.loose && !group.has_done_with(**id));
        if let Some(id) = missed {
            let text = format!("group {name:?}: {id} was taken away, and the group is {group:?}");
            return broken("retention", text);
        }
    }
    Ok(())
}

/// What went from the stream and from pending lists in one step is gone from all of them or from
/// none. (An entry that is there, and not pending below a cursor, is found by C8.)
fn check_released(
    view: &StreamView,
    lives: &BTreeMap<Name, usize>,
    after: &StreamLife,
) -> Result<(), Violation> {
    let there: BTreeSet<EntryId> = view.entries.iter().map(|(id, _)| *id).collect();
    // The trim of an append is in its frame, and takes what was dead already below it, too.
    let trims = after.entries.iter().filter(|entry| !entry.trimmed.is_empty());
    let by_trim = trims.filter_map(|entry| entry.id).filter(|id| *id <= view.last_id).max();
    for released in &after.released {
        let still = |(name, life): (&Name, &usize)| {
            let pending = &view.groups[name].pending;
            let of_this = released.pending.iter().filter(|(group, _)| group == life);
            of_this.map(|(_, id)| *id).find(|id| pending.iter().any(|(other, ..)| other == id))
        };
        let Some(pending) = lives.iter().find_map(still) else {
            continue;
        };
        // Those above the end may be lost, and others taken by what else is on disk.
        let end = there.last().copied().unwrap_or_default();
        let mut lost = released.deleted.iter().filter(|id| !there.contains(id) && **id < end);
        let gone = lost.find(|id| by_trim.is_none_or(|upto| upto < **id));
        if let Some(id) =
            gone.filter(|_| !view.keeping.has_limit() && !after.lowered && !after.uncertain)
        {
            let text = format!("{id} went together with {pending}, which is pending still");
            return broken("DELREF", text);
        }
    }
    Ok(())
}

/// A stream that was just opened has nothing that is beyond its retention.
pub fn check_kept(view: &View, now_ms: u64) -> Result<(), Violation> {
    for (name, stream) in &view.streams {
        let life = StreamLife::new(0).adopt(stream);
        let beyond = life.beyond(now_ms);
        if !beyond.is_empty() {
            let keeping = stream.keeping;
            let text = format!("stream {name:?} is to keep {keeping:?}, and has {beyond:?}");
            return broken("retention", text);
        }
    }
    Ok(())
}

fn check_group(
    view: &StreamView,
    group: &GroupView,
    before: Option<&GroupLife>,
    after: &GroupLife,
    taken_back: TakenBack,
) -> Result<(), Violation> {
    let live: BTreeSet<EntryId> = view.entries.iter().map(|(id, _)| *id).collect();
    let pending: BTreeSet<EntryId> = group.pending.iter().map(|(id, ..)| *id).collect();
    if pending.len() != group.pending.len() {
        return broken("C10", format!("an ID is pending twice: {:?}", group.pending));
    }
    for id in live.iter().filter(|id| **id <= group.cursor) {
        if !pending.contains(id) && !after.is_passed(*id) {
            let cursor = group.cursor;
            let text = format!("{id} lies below the cursor {cursor}, neither pending nor acked");
            return broken("C8", text);
        }
    }
    if group.cursor > view.last_id && !after.set_to.contains(&group.cursor) {
        let (cursor, last) = (group.cursor, view.last_id);
        return broken("C9", format!("the cursor {cursor} is above the last ID {last}"));
    }
    for (id, owner, count) in &group.pending {
        let given = after.loose || after.given.contains(&(*id, owner.clone()));
        let nobody = owner.0.is_empty() && group.given_back.contains(id);
        if !given || !nobody && !group.consumers.contains(owner) {
            return broken("C9", format!("{id} is pending {count} times with {owner:?}"));
        }
    }
    let acked = before.into_iter().flat_map(|group| &group.acked_durable);
    for id in acked.filter(|id| after.acked.contains(id) && live.contains(id)) {
        if pending.contains(id) || *id > group.cursor {
            return broken("C11", format!("the durable acknowledgement of {id} is lost"));
        }
    }
    let from = before.map_or(0, |group| group.seen.durable);
    let allowed = &after.seen.states[from..];
    if !after.loose && !allowed.iter().any(|state| is_like(group, state, &live, taken_back)) {
        let text = format!("the group is {group:?}, and was {allowed:?}");
        return broken("C10", text);
    }
    Ok(())
}

/// Whether the group is as it once was, but for what refers to entries that are not there: pending
/// records of lost entries are dropped, and a cursor beyond the end of a log that lost its tail is
/// taken back, and the recovery says so. Neither must be durable: whatever is appended later lies
/// above.
fn is_like(
    group: &GroupView,
    was: &GroupView,
    live: &BTreeSet<EntryId>,
    taken_back: TakenBack,
) -> bool {
    if group.cursor > was.cursor || group.consumers != was.consumers {
        return false;
    }
    let owners = |group: &GroupView| -> BTreeMap<EntryId, Name> {
        let pending = group.pending.iter();
        pending.map(|(id, owner, _)| (*id, owner.clone())).collect()
    };
    let (mut before, now) = (owners(was), owners(group));
    let all = before.len();
    before.retain(|id, _| now.contains_key(id) || live.contains(id));
    let changed = before.len() < all || group.cursor != was.cursor;
    let as_told = match taken_back {
        TakenBack::No => !changed,
        TakenBack::Told(from, to) => (from, to) == (was.cursor, group.cursor),
        TakenBack::Perhaps => {
            let above = (Bound::Excluded(group.cursor), Bound::Included(was.cursor));
            !changed || group.cursor == was.cursor || live.range(above).next().is_none()
        }
    };
    let back = was.given_back.iter().filter(|id| now.contains_key(id));
    as_told && before == now && back.eq(&group.given_back)
}

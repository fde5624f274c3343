//! What the toy store remembers, and the steps by which it changes.
//!
//! Deliberately naive: a change is a tag with some texts, IDs and numbers, and a snapshot is a list
//! of changes.

use super::super::call::{Content, GroupView, Keeping, Name, StreamView, View};
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    StreamMade = 1,
    StreamGone,
    Renamed,
    /// Texts: the stream, then one field list per ID.
    Added,
    Deleted,
    /// IDs: the highest one given, the highest one deleted. Numbers: how many were added.
    Counters,
    /// IDs: the cursor.
    GroupSet,
    GroupGone,
    ConsumerMade,
    ConsumerGone,
    /// Texts: stream, group, consumer. Numbers: how often each was delivered.
    Pending,
    NotPending,
    Copied,
}

const TAGS: [Tag; 13] = [
    Tag::StreamMade,
    Tag::StreamGone,
    Tag::Renamed,
    Tag::Added,
    Tag::Deleted,
    Tag::Counters,
    Tag::GroupSet,
    Tag::GroupGone,
    Tag::ConsumerMade,
    Tag::ConsumerGone,
    Tag::Pending,
    Tag::NotPending,
    Tag::Copied,
];

/// One step. The first text names the stream, the second the group, the third the consumer.
#[derive(Clone, Debug)]
pub struct Change {
    pub tag: Tag,
    pub texts: Vec<Vec<u8>>,
    pub ids: Vec<EntryId>,
    pub numbers: Vec<u64>,
}

impl Change {
    pub fn new(tag: Tag, texts: &[&[u8]], ids: Vec<EntryId>, numbers: Vec<u64>) -> Change {
        Change { tag, texts: texts.iter().map(|text| text.to_vec()).collect(), ids, numbers }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let counts = [self.tag as usize, self.texts.len(), self.ids.len(), self.numbers.len()];
        for count in counts {
            out.extend((count as u32).to_le_bytes());
        }
        for text in &self.texts {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text);
        }
        let parts = self.ids.iter().flat_map(|id| [id.ms, id.seq]);
        for number in parts.chain(self.numbers.iter().copied()) {
            out.extend(number.to_le_bytes());
        }
    }

    pub fn decode(bytes: &mut &[u8]) -> Option<Change> {
        let tag = *TAGS.get((take_u32(bytes)? as usize).checked_sub(1)?)?;
        let (texts, ids, numbers) = (take_u32(bytes)?, take_u32(bytes)?, take_u32(bytes)?);
        let texts: Option<Vec<Vec<u8>>> = (0..texts)
            .map(|_| {
                let len = take_u32(bytes)? as usize;
                let (text, rest) = bytes.split_at_checked(len)?;
                *bytes = rest;
                Some(text.to_vec())
            })
            .collect();
        let ids: Option<Vec<EntryId>> =
            (0..ids).map(|_| Some(EntryId::new(take_u64(bytes)?, take_u64(bytes)?))).collect();
        let numbers: Option<Vec<u64>> = (0..numbers).map(|_| take_u64(bytes)).collect();
        Some(Change { tag, texts: texts?, ids: ids?, numbers: numbers? })
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

#[derive(Clone, Debug, Default)]
pub struct ToyGroup {
    pub cursor: EntryId,
    pub consumers: BTreeSet<Name>,
    pub pending: BTreeMap<EntryId, (Name, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct ToyStream {
    pub entries: BTreeMap<EntryId, Content>,
    /// What was deleted, kept for the bug that brings it back.
    buried: BTreeMap<EntryId, Content>,
    pub last: EntryId,
    max_deleted: EntryId,
    added: u64,
    pub groups: BTreeMap<Name, ToyGroup>,
}

#[derive(Clone, Debug, Default)]
pub struct ToyState {
    pub streams: BTreeMap<Name, ToyStream>,
}

impl ToyState {
    pub fn apply(&mut self, change: &Change) -> Option<()> {
        let name = &Name::from(change.texts.first()?.as_slice());
        match change.tag {
            Tag::StreamMade => {
                self.streams.insert(name.clone(), ToyStream::default());
            }
            Tag::StreamGone => {
                self.streams.remove(name)?;
            }
            Tag::Renamed => {
                let stream = self.streams.remove(name)?;
                let to = change.texts.get(1)?.as_slice();
                self.streams.insert(Name::from(to), stream);
            }
            Tag::Copied => {
                let stream = self.streams.get(name)?.clone();
                let to = change.texts.get(1)?.as_slice();
                self.streams.insert(Name::from(to), stream);
            }
            _ => self.streams.get_mut(name)?.apply(change)?,
        }
        Some(())
    }

    /// The changes that lead to this state. Two planted bugs live here.
    pub fn snapshot(&self, planted: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, stream) in &self.streams {
            changes.push(Change::new(Tag::StreamMade, &[name], vec![], vec![]));
            stream.snapshot(name, planted, &mut changes);
        }
        changes
    }

    pub fn view(&self) -> View {
        let streams = self.streams.iter();
        View { streams: streams.map(|(name, stream)| (name.clone(), stream.view())).collect() }
    }
}

impl ToyStream {
    fn apply(&mut self, change: &Change) -> Option<()> {
        match change.tag {
            Tag::Added => {
                for (id, list) in change.ids.iter().zip(&change.texts[1..]) {
                    let content = Content(Arc::new(list.clone()));
                    self.entries.insert(*id, content);
                    self.last = self.last.max(*id);
                    self.added += 1;
                }
            }
            Tag::Deleted => {
                for id in &change.ids {
                    if let Some(content) = self.entries.remove(id) {
                        self.buried.insert(*id, content);
                        self.max_deleted = self.max_deleted.max(*id);
                    }
                }
            }
            Tag::Counters => {
                self.last = *change.ids.first()?;
                self.max_deleted = *change.ids.get(1)?;
                self.added = *change.numbers.first()?;
            }
            _ => self.apply_to_group(change)?,
        }
        Some(())
    }

    fn apply_to_group(&mut self, change: &Change) -> Option<()> {
        let name = &Name::from(change.texts.get(1)?.as_slice());
        if change.tag == Tag::GroupGone {
            self.groups.remove(name)?;
            return Some(());
        }
        if change.tag == Tag::GroupSet {
            let group = self.groups.entry(name.clone()).or_default();
            group.cursor = *change.ids.first()?;
            return Some(());
        }
        let group = self.groups.get_mut(name)?;
        let third = change.texts.get(2).map(|text| Name::from(text.as_slice()));
        match change.tag {
            Tag::ConsumerMade => {
                group.consumers.insert(third?);
            }
            Tag::ConsumerGone => {
                let consumer = &third?;
                group.consumers.remove(consumer);
                group.pending.retain(|_, (owner, _)| owner != consumer);
            }
            Tag::Pending => {
                let consumer = &third?;
                group.consumers.insert(consumer.clone());
                for (id, count) in change.ids.iter().zip(&change.numbers) {
                    group.pending.insert(*id, (consumer.clone(), *count));
                }
            }
            _ => group.pending.retain(|id, _| !change.ids.contains(id)),
        }
        Some(())
    }

    fn snapshot(&self, name: &[u8], planted: &str, changes: &mut Vec<Change>) {
        let mut entries: Vec<_> = self.entries.iter().collect();
        if planted == "deletions forgotten" {
            entries.extend(&self.buried);
        }
        for (id, content) in entries {
            let texts = [name, content.0.as_slice()];
            changes.push(Change::new(Tag::Added, &texts, vec![*id], vec![]));
        }
        if planted != "ID floor forgotten" {
            let (ids, numbers) = (vec![self.last, self.max_deleted], vec![self.added]);
            changes.push(Change::new(Tag::Counters, &[name], ids, numbers));
        }
        for (group_name, group) in &self.groups {
            let texts = [name, &**group_name];
            changes.push(Change::new(Tag::GroupSet, &texts, vec![group.cursor], vec![]));
            for consumer in &group.consumers {
                let texts = [name, &**group_name, &**consumer];
                changes.push(Change::new(Tag::ConsumerMade, &texts, vec![], vec![]));
            }
            for (id, (owner, count)) in &group.pending {
                let texts = [name, &**group_name, &**owner];
                changes.push(Change::new(Tag::Pending, &texts, vec![*id], vec![*count]));
            }
        }
    }

    fn view(&self) -> StreamView {
        let entries = self.entries.iter();
        StreamView {
            entries: entries.map(|(id, content)| (*id, content.clone())).collect(),
            length: self.entries.len() as u64,
            last_id: self.last,
            max_deleted: self.max_deleted,
            entries_added: self.added,
            keeping: Keeping::default(),
            sent: Default::default(),
            groups: self.groups.iter().map(|(name, group)| (name.clone(), group.view())).collect(),
        }
    }
}

impl ToyGroup {
    pub fn view(&self) -> GroupView {
        let pending = self.pending.iter();
        GroupView {
            cursor: self.cursor,
            entries_read: None,
            consumers: self.consumers.clone(),
            pending: pending.map(|(id, (owner, count))| (*id, owner.clone(), *count)).collect(),
            given_back: Vec::new(),
        }
    }
}

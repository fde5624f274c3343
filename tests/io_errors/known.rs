//! What the script's answers alone say of the store: what was acknowledged, and what may be.

use crate::id::EntryId;
use crate::{PendingFilter, Store, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// All that was said of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Appended, with the value.
    pub(crate) entries: BTreeMap<EntryId, String>,
    /// Those of them that no loss of power may take.
    pub(crate) durable: BTreeSet<EntryId>,
    /// Values of appends that failed and may have taken place.
    pub(crate) unsure: BTreeSet<String>,
    /// What deletions and trims were called for, whatever they answered.
    pub(crate) dropped: BTreeSet<EntryId>,
    /// What they removed, and whether for good.
    pub(crate) removed: BTreeMap<EntryId, bool>,
    /// Acknowledged by the group `g`, and whether for good.
    pub(crate) acked: BTreeMap<EntryId, bool>,
    /// The same of acknowledgements that failed and may have taken place.
    pub(crate) acked_unsure: BTreeSet<EntryId>,
    /// What the other group may have acknowledged.
    pub(crate) acked_by_other: BTreeSet<EntryId>,
    /// What may go if both groups are done with it.
    pub(crate) by_acked: BTreeSet<EntryId>,
    /// What was taken from all groups, and whether for good.
    pub(crate) released: BTreeMap<EntryId, bool>,
    /// What was to be appended once, by iid.
    pub(crate) once: BTreeMap<&'static str, Once>,
    /// A call on its groups failed and may have taken place.
    pub(crate) groups_unsure: bool,
    /// A call on its name failed, so that it may be there or not, or be another one.
    pub(crate) loose: bool,
}

/// What was sent under one iid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Once {
    pub(crate) values: Vec<String>,
    /// The ID, once it was told.
    pub(crate) id: Option<EntryId>,
    /// Some call may have appended it.
    pub(crate) may_be_there: bool,
}

/// All that was said of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) streams: BTreeMap<&'static str, Said>,
}

impl Known {
    pub(crate) fn of(&mut self, name: &'static str) -> &mut Said {
        self.streams.entry(name).or_default()
    }

    /// A sync of everything has answered.
    pub(crate) fn settle(&mut self) {
        self.streams.values_mut().for_each(Said::settle);
    }
}

impl Said {
    pub(crate) fn settle(&mut self) {
        self.durable = self.entries.keys().copied().collect();
        let acked = self.acked.values_mut().chain(self.released.values_mut());
        for durable in acked.chain(self.removed.values_mut()) {
            *durable = true;
        }
    }

    /// The newest entries that are there for sure.
    pub(crate) fn newest(&self, count: usize) -> Vec<EntryId> {
        let there = self.entries.keys().rev().filter(|id| !self.dropped.contains(id));
        there.take(count).copied().collect()
    }

    /// What a trim to a length may remove, and what of it for sure: an entry goes if so many newer
    /// ones are there, and of some nobody knows whether they are.
    pub(crate) fn trimmed(&self, keep: usize) -> (Vec<EntryId>, Vec<EntryId>) {
        let (mut possible, mut certain) = (self.unsure.len(), 0);
        let (mut may, mut will) = (Vec::new(), Vec::new());
        for id in self.entries.keys().rev() {
            if possible >= keep {
                may.push(*id);
            }
            if certain >= keep {
                will.push(*id);
            }
            possible += usize::from(!self.removed.contains_key(id));
            certain += usize::from(!self.dropped.contains(id));
        }
        (may, will)
    }

    /// What a look at the stream must not contradict. After a loss of power only what is durable
    /// must be there.
    pub(crate) fn check(&self, seen: &Seen, power_lost: bool) -> Result<(), String> {
        let mut last = EntryId::MIN;
        for (id, value) in &seen.entries {
            if *id <= last {
                return Err(format!("{id} follows {last}"));
            }
            last = *id;
            match self.entries.get(id) {
                Some(known) if known == value => {}
                Some(_) => return Err(format!("{id} has another value than it was given")),
                None if self.unsure.contains(value) => {}
                None => return Err(format!("{id} was never appended, or taken back")),
            }
        }
        let there: BTreeSet<EntryId> = seen.entries.iter().map(|(id, _)| *id).collect();
        for id in self.entries.keys().filter(|id| !self.dropped.contains(id)) {
            let promised = !power_lost || self.durable.contains(id);
            if promised && !there.contains(id) && !self.went_by_acked(*id) {
                return Err(format!("{id} was acknowledged and is LOST"));
            }
        }
        for (id, durable) in &self.removed {
            if (!power_lost || *durable) && there.contains(id) {
                return Err(format!("{id} was removed and is back"));
            }
        }
        let Some(group) = seen.groups.get("g") else {
            return match self.acked.values().any(|durable| *durable || !power_lost) {
                true => Err("the group g is gone".into()),
                false => Ok(()),
            };
        };
        for (id, durable) in &self.acked {
            let promised = !power_lost || *durable;
            if promised && group.pending.iter().any(|(pending, _)| pending == id) {
                return Err(format!("{id} was acknowledged by the group and is pending"));
            }
        }
        // The group's own history says what it was given; nothing below its cursor is skipped.
        for id in there.iter().filter(|id| **id <= group.cursor) {
            let pending = group.pending.iter().any(|(pending, _)| pending == id);
            let acked = self.acked.contains_key(id) || self.acked_unsure.contains(id);
            if !pending && !acked {
                return Err(format!("the group g has skipped {id}"));
            }
        }
        Ok(())
    }
}

/// What a group shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenGroup {
    pub(crate) cursor: EntryId,
    /// Which entry is pending for whom.
    pub(crate) pending: Vec<(EntryId, Vec<u8>)>,
    consumers: Vec<Vec<u8>>,
}

/// What a stream shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    pub(crate) entries: Vec<(EntryId, String)>,
    pub(crate) groups: BTreeMap<String, SeenGroup>,
}

impl Seen {
    pub(crate) fn of(stream: &Stream) -> crate::Result<Seen> {
        let mut seen = Seen::default();
        for entry in stream.range(..) {
            let entry = entry?;
            let value = String::from_utf8_lossy(entry.get("v").unwrap_or_default()).into_owned();
            seen.entries.push((entry.id(), value));
        }
        for info in stream.groups()? {
            let Some(group) = stream.get_group(&info.name)? else { continue };
            let pending = group.pending_range(.., PendingFilter::new())?;
            let consumers = group.consumers()?.into_iter().map(|consumer| consumer.name);
            let found = SeenGroup {
                cursor: info.last_delivered_id,
                pending: pending.into_iter().map(|one| (one.id, one.consumer)).collect(),
                consumers: consumers.collect(),
            };
            seen.groups.insert(String::from_utf8_lossy(&info.name).into_owned(), found);
        }
        Ok(seen)
    }
}

/// What a store shows, by the names of its streams.
pub(crate) type View = BTreeMap<String, Seen>;

pub(crate) fn view(store: &Store) -> crate::Result<View> {
    let mut view = View::new();
    for name in store.names() {
        if let Some(stream) = store.get(&name)? {
            view.insert(String::from_utf8_lossy(&name).into_owned(), Seen::of(&stream)?);
        }
    }
    Ok(view)
}

//! What producers have sent: what a store is to remember of it, and what a power cut may leave.
//!
//! An iid is on disk where its entry is, so what is remembered follows from which entries are
//! there, in the order in which they were appended; but for what the journal alone says: windows
//! that were set, and iids that were attached to entries.

use super::call::Name;
use super::model::{Appended, Violation, broken};
use crate::id::EntryId;
use std::collections::BTreeMap;

/// How many iids of a producer a stream remembers at first.
pub const MOST: u32 = 3;

/// What a stream remembers of its producers, each one's iids from the oldest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub most: u32,
    pub added: u64,
    pub producers: BTreeMap<Name, Vec<(Name, EntryId)>>,
}

impl Default for Sent {
    fn default() -> Sent {
        Sent { most: MOST, added: 0, producers: BTreeMap::new() }
    }
}

impl Sent {
    pub fn get(&self, key: &(Name, Name)) -> Option<EntryId> {
        let known = self.producers.get(&key.0)?.iter();
        known.filter(|(iid, _)| *iid == key.1).map(|(_, id)| *id).next_back()
    }

    fn take(&mut self, (producer, iid): &(Name, Name), id: EntryId) {
        self.added += 1;
        let known = self.producers.entry(producer.clone()).or_default();
        known.push((iid.clone(), id));
        if known.len() > self.most as usize {
            known.remove(0);
        }
    }
}

/// One thing that changes what is remembered.
#[derive(Clone, Debug)]
enum Step {
    /// The entry with this number was appended.
    Entry(usize, (Name, Name)),
    Recorded((Name, Name), EntryId),
    Most(u32),
}

/// How it came to what is remembered.
#[derive(Clone, Debug, Default)]
pub struct Sending {
    base: Sent,
    steps: Vec<Step>,
    /// Of these steps those that are records are on disk.
    durable: usize,
    /// A record may be there or not.
    unsure: bool,
}

impl Sending {
    pub fn from(base: Sent) -> Sending {
        Sending { base, ..Sending::default() }
    }

    /// What is remembered now; `None` if nobody can say.
    pub fn now(&self, entries: &[Appended]) -> Option<Sent> {
        self.at(entries, entries.len(), self.steps.len())
    }

    /// The same, to go on from with other entries.
    pub fn onward(&self, entries: &[Appended]) -> Sending {
        match self.now(entries) {
            Some(base) => Sending::from(base),
            None => Sending { unsure: true, ..Sending::default() },
        }
    }

    pub fn appended(&mut self, index: usize, key: (Name, Name)) {
        self.steps.push(Step::Entry(index, key));
    }

    pub fn recorded(&mut self, key: (Name, Name), id: EntryId, durable: bool) {
        self.steps.push(Step::Recorded(key, id));
        if durable {
            self.settle();
        }
    }

    pub fn set(&mut self, most: u32, durable: bool) {
        self.steps.push(Step::Most(most));
        if durable {
            self.settle();
        }
    }

    pub fn may_have_changed(&mut self) {
        self.unsure = true;
    }

    pub fn settle(&mut self) {
        self.durable = self.steps.len();
    }

    /// What is remembered where so many entries are there, and of so many steps the records.
    fn at(&self, entries: &[Appended], there: usize, records: usize) -> Option<Sent> {
        if self.unsure {
            return None;
        }
        let mut sent = self.base.clone();
        for (n, step) in self.steps.iter().enumerate() {
            match step {
                Step::Entry(index, key) if *index < there => {
                    sent.take(key, entries.get(*index)?.id?);
                }
                Step::Recorded(key, id) if n < records => sent.take(key, *id),
                Step::Most(most) if n < records && *most != sent.most => {
                    sent = Sent { most: *most, producers: BTreeMap::new(), ..sent };
                }
                _ => {}
            }
        }
        Some(sent)
    }

    /// Whether these records can be there without more entries: each was written when all before it
    /// that had an iid were on disk.
    fn fits(&self, there: usize, records: usize) -> bool {
        let is_record = |step: &Step| !matches!(step, Step::Entry(..));
        let last = self.steps[..records].iter().rposition(is_record).unwrap_or(0);
        self.steps[..last].iter().all(|step| match step {
            Step::Entry(index, _) => *index < there,
            _ => true,
        })
    }
}

/// Whether what a store remembers after a power cut is what it may. `before`: what was known to be
/// on disk; `there`: how many of the entries can have been there, at least and at most.
pub fn check_sent(
    found: &Sent,
    before: &Sending,
    after: &Sending,
    entries: &[Appended],
    there: std::ops::RangeInclusive<usize>,
) -> Result<(), Violation> {
    let mut allowed = Vec::new();
    for records in before.durable.min(after.steps.len())..=after.steps.len() {
        for there in there.clone().filter(|there| after.fits(*there, records)) {
            match after.at(entries, there, records) {
                Some(sent) if sent != *found => allowed.push(sent),
                _ => return Ok(()),
            }
        }
    }
    allowed.dedup();
    broken("idempotency", format!("it remembers {found:?}, allowed {allowed:?}"))
}

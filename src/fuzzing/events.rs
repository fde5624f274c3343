//! The records and the checkpoints of the state journal, below everything that the public API
//! makes of them: what was read is written again and read to the same.

use super::disk::FixedDisk;
use super::image::{self, Leave, REPAIR, SKIP, UUID};
use super::recovery::{self, DIR, expected, journal_path};
use crate::error::Result;
use crate::format::event::{Event, Events};
use crate::format::header::FileKind;
use crate::format::name;
use crate::group::{Groups, LogFacts};
use crate::id::EntryId;
use crate::journal::{Journal, Loaded, Place, Source, load};
use crate::state::StreamState;
use crate::storage::disk::Disk;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type States = BTreeMap<u64, StreamState>;

/// Loads a journal of one file, and applies its events. Returns whether there were any.
pub fn events(data: &[u8]) -> bool {
    let (disk, skip) = disk_of(data, 1);
    let Ok(loaded) = load(&place(&disk), skip).inspect_err(expected) else {
        return false;
    };
    let states = states_of(&loaded);
    for (number, events) in &loaded.events {
        for event in events.iter() {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            assert_eq!(Event::decode(&bytes).as_ref(), Some(&event));
        }
        check(&states[number]);
    }
    loaded.events.values().any(|events| !events.is_empty())
}

/// Loads a journal of all its files, writes a checkpoint of what they said, and loads that. Returns
/// whether there were streams.
pub fn checkpoint(data: &[u8]) -> bool {
    let (disk, skip) = disk_of(data, 3);
    let Ok(loaded) = load(&place(&disk), skip).inspect_err(expected) else {
        return false;
    };
    let states = states_of(&loaded);
    let source = Written { states: &states, loaded: &loaded };
    let Ok(journal) = Journal::start(place(&disk), &loaded, &source).inspect_err(expected) else {
        return false;
    };
    for _ in 0..2 {
        check_loaded(&disk, &loaded, &states);
        journal.checkpoint(&source).unwrap();
        journal.sync_after(journal.written(), || ()).unwrap();
    }
    journal.close().unwrap();
    check_loaded(&disk, &loaded, &states);
    !states.is_empty()
}

fn disk_of(data: &[u8], most: usize) -> (Arc<FixedDisk>, bool) {
    let mut input = image::read(data, most);
    input.files.retain(|(number, _)| *number < 3);
    if input.switches & REPAIR != 0 {
        image::repair(&mut input.files, FileKind::Journal, 0, Leave::default());
    }
    let disk = recovery::disk();
    image::store(&disk, &input.files, journal_path);
    (disk, input.switches & SKIP != 0)
}

fn place(disk: &Arc<FixedDisk>) -> Place {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    Place { disk, dir: Path::new(DIR).join(name::STATE), uuid: UUID, sizes: recovery::SIZES }
}

fn states_of(loaded: &Loaded) -> States {
    let mut states = States::new();
    for (number, events) in &loaded.events {
        let state = states.entry(*number).or_default();
        events.iter().for_each(|event| state.apply(&event));
    }
    states
}

/// All of a state as events, in the order in which a checkpoint has them.
fn dump(state: &StreamState) -> Vec<Event> {
    let covered = state.idempotency.as_ref().map_or(0, |table| table.covered());
    let mut events: Vec<Event> = state.dump_copied(covered).collect();
    let mut deleted = state.deleted.clone();
    deleted.sort_unstable();
    deleted.dedup();
    events.extend(crate::state::deletions(&deleted));
    events.push(Event::Counters(state.counters));
    events
}

/// A state agrees with itself, and its events rebuild it.
fn check(state: &StreamState) {
    let events = dump(state);
    let mut again = StreamState::default();
    events.iter().for_each(|event| again.apply(event));
    assert_eq!(again.groups, state.groups, "the checkpoint makes other groups");
    assert_eq!(dump(&again), events);
    let mut groups = state.groups.clone();
    check_groups(&groups);
    // Recovery against a log that ends anywhere in between.
    let mut facts = LogFacts::default();
    for end in [u64::MAX, 20, 7, 0] {
        facts.last_id = EntryId::new(end, end);
        groups.clamp(&facts);
        assert!(groups.clamp(&facts).is_empty(), "taken back twice");
        check_groups(&groups);
    }
}

fn check_groups(groups: &Groups) {
    let facts = LogFacts::default();
    for group in groups.by_name() {
        let (info, summary) = (group.info(&facts), group.pending_summary());
        assert_eq!((info.pending, info.consumers), (summary.count, group.consumer_infos(0).len()));
        let owned: u64 = summary.consumers.iter().map(|(_, count)| count).sum();
        assert!(owned <= summary.count);
        assert_eq!(groups.find(group.name()).and_then(|number| groups.get(number)), Some(group));
    }
}

/// Whether a part of a stream's state is missing, or may be.
fn is_lost(loaded: &Loaded, stream: u64) -> bool {
    loaded.has_lost(stream) || loaded.may_have_lost(stream)
}

/// What is to be written: what was read.
struct Written<'a> {
    states: &'a States,
    loaded: &'a Loaded,
}

impl Source for Written<'_> {
    fn streams(&self) -> Vec<u64> {
        self.states.keys().copied().collect()
    }

    fn dump(&self, stream: u64, covers: &mut dyn FnMut() -> u64) -> Result<Option<(u64, Events)>> {
        let lost = is_lost(self.loaded, stream);
        let covers = if lost { crate::format::record::LOST } else { covers() };
        Ok(self
            .states
            .get(&stream)
            .map(|state| (covers, Box::new(dump(state).into_iter()) as Events)))
    }

    fn sync_streams(&self) {}
}

/// What a checkpoint leaves is what it was made of.
fn check_loaded(disk: &Arc<FixedDisk>, before: &Loaded, states: &States) {
    let again = load(&place(disk), false).unwrap();
    assert!(again.next_record >= before.next_record && again.next_stream >= before.next_stream);
    assert!(again.report.missing.is_empty() && !again.has_holes());
    let read = states_of(&again);
    assert!(read.keys().eq(states.keys()), "other streams");
    for (number, state) in states {
        assert_eq!(dump(&read[number]), dump(state));
        assert_eq!(read[number].groups, state.groups);
        let lost = is_lost(before, *number);
        assert_eq!(is_lost(&again, *number), lost);
        let last = |loaded: &Loaded| loaded.last.get(number).copied();
        assert!(lost || last(&again) == last(before));
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeds::Random;
    use super::*;
    use crate::format::event::{
        ANY_RESTART, Counters, IidPair, PairsEnd, PendingRecord, ProducerPairs, Window,
    };

    fn id(random: &mut Random) -> EntryId {
        EntryId::new(random.below(3), random.below(3))
    }

    fn maybe(random: &mut Random) -> Option<u64> {
        Some(random.below(3)).filter(|number| *number > 0)
    }

    fn ids(random: &mut Random) -> Vec<EntryId> {
        (0..=random.below(3)).map(|_| id(random)).collect()
    }

    fn name(random: &mut Random) -> Box<[u8]> {
        vec![b'a' + random.below(3) as u8].into()
    }

    fn record(random: &mut Random) -> PendingRecord {
        let owner = maybe(random).map(|owner| owner as u32 - 1);
        PendingRecord { id: id(random), owner, time_ms: random.below(3), count: random.below(3) }
    }

    fn pairs(random: &mut Random) -> ProducerPairs {
        let mut pair = || IidPair {
            iid: Box::<[u8]>::into(name(random)),
            id: id(random),
            position: random.below(9),
        };
        let mut pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        pairs.sort_by_key(|pair| pair.position);
        ProducerPairs { producer: name(random), pairs }
    }

    fn of_idempotency(random: &mut Random) -> Event {
        let (covered, added, duplicates) = (random.below(9), random.below(9), random.below(3));
        match random.below(3) {
            0 => {
                let window = Window { seconds: 100, most: random.below(4) as u32 };
                Event::IdempotencySet { window, covered, added, duplicates }
            }
            1 => {
                let producers = (0..random.below(3)).map(|_| pairs(random)).collect();
                let end = Some(PairsEnd { covered, added, duplicates });
                let end = end.filter(|_| random.below(3) > 0);
                Event::IdempotencyPairs { end, producers }
            }
            _ => Event::IdempotencyRecorded {
                producer: name(random),
                iid: name(random),
                id: id(random),
            },
        }
    }

    /// Few values, zeros among them, so that events meet each other.
    fn event(random: &mut Random) -> Event {
        let (group, consumer) = (random.below(2) as u32, random.below(3) as u32);
        let time_ms = random.below(3);
        match random.below(22) {
            21 => Event::ExpirySet { at_ms: maybe(random) },
            18..=20 => of_idempotency(random),
            0 => Event::Deleted { ids: ids(random) },
            1 => Event::Trimmed { to: id(random) },
            2 => Event::Counters(Counters {
                floor: id(random),
                max_deleted: id(random),
                added_offset: random.below(3),
            }),
            3 => Event::SetBack {
                to: id(random),
                restart: [0, 1, 2, ANY_RESTART][random.below(4) as usize],
            },
            4 | 5 => Event::GroupCreated {
                group,
                name: name(random),
                last_id: id(random),
                entries_read: maybe(random),
                pinned: id(random),
            },
            6 => Event::GroupRemoved { group },
            7 => Event::GroupSet {
                group,
                last_id: id(random),
                entries_read: maybe(random),
                pinned: id(random),
            },
            8 | 9 => Event::ConsumerCreated {
                group,
                consumer,
                name: name(random),
                seen_ms: time_ms,
                active_ms: maybe(random),
            },
            10 => Event::ConsumerRemoved { group, consumer },
            11 => Event::Delivered {
                group,
                consumer,
                time_ms,
                no_ack: random.below(4) == 0,
                entries_read: maybe(random),
                ids: ids(random).into(),
            },
            12 => Event::Redelivered { group, consumer, time_ms, ids: ids(random) },
            13 => Event::PendingSet {
                group,
                records: (0..=random.below(3)).map(|_| record(random)).collect(),
                active_ms: maybe(random),
            },
            14 => Event::PendingRemoved { group, ids: ids(random).into() },
            15 => Event::TrimmedOut { ids: ids(random) },
            16 => Event::GroupCounters {
                next_group: random.below(3) as u32,
                delivered: id(random),
                before: id(random),
            },
            _ => Event::ConsumerCounter { group, next_consumer: consumer },
        }
    }

    /// The fuzzer found counters of groups set to zero, which no call does and a journal may hold;
    /// a checkpoint left them out.
    #[test]
    fn any_events_make_a_state_that_a_checkpoint_rebuilds() {
        let mut random = Random(0x0e7e_475d);
        for _ in 0..20_000 {
            let mut state = StreamState::default();
            for _ in 0..random.below(12) {
                state.apply(&event(&mut random));
            }
            check(&state);
        }
    }
}

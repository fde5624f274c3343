//! There and back for every kind of event, short forms, and bytes that are no event.

use super::*;
use crate::entry::write_varint;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn any_id() -> impl Strategy<Value = EntryId> {
    prop_oneof![
        (0..4u64, 0..4u64).prop_map(EntryId::from),
        (any::<u64>(), any::<u64>()).prop_map(EntryId::from),
        Just(EntryId::MAX),
    ]
}

fn any_ids() -> impl Strategy<Value = Vec<EntryId>> {
    // Mostly runs, as they come from deliveries; in any order, since nothing forbids it.
    vec((any_id(), 1..20u64), 0..8).prop_map(|runs| {
        let run = |(first, len): (EntryId, u64)| {
            (0..len).map(move |n| EntryId::new(first.ms, first.seq.wrapping_add(n)))
        };
        runs.into_iter().flat_map(run).collect()
    })
}

fn any_record() -> impl Strategy<Value = PendingRecord> {
    (any_id(), any::<Option<u32>>(), any::<u64>(), any::<u64>())
        .prop_map(|(id, owner, time_ms, count)| PendingRecord { id, owner, time_ms, count })
}

fn any_records() -> impl Strategy<Value = Vec<PendingRecord>> {
    vec((any_record(), 1..10u64), 0..8).prop_map(|runs| {
        let run = |(record, len): (PendingRecord, u64)| {
            (0..len).map(move |n| PendingRecord {
                id: EntryId::new(record.id.ms, record.id.seq.wrapping_add(n)),
                ..record
            })
        };
        runs.into_iter().flat_map(run).collect()
    })
}

fn any_name() -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>(), 0..300).prop_map(Vec::into_boxed_slice)
}

fn any_options() -> impl Strategy<Value = StoredOptions> {
    let sizes = any::<(u64, u64, u32, u32)>();
    (sizes, any_retention()).prop_map(|((a, b, c, d), retention)| StoredOptions {
        segment_bytes: a,
        max_entry_bytes: b,
        block_entries: c,
        block_bytes: d,
        retention,
    })
}

fn any_retention() -> impl Strategy<Value = Retention> {
    let numbers = any::<(Option<u64>, Option<u64>, Option<u64>)>();
    (numbers, option::of(any_id()), any::<bool>()).prop_map(|((a, b, c), min_id, keep_unacked)| {
        Retention { max_len: a, min_id, max_age_ms: b, max_bytes: c, keep_unacked }
    })
}

fn any_pairs() -> impl Strategy<Value = ProducerPairs> {
    let pair = (any_name(), any_id(), any::<u64>()).prop_map(|(iid, id, position)| IidPair {
        iid: iid.into(),
        id,
        position,
    });
    (any_name(), vec(pair, 0..4)).prop_map(|(producer, pairs)| ProducerPairs { producer, pairs })
}

fn of_idempotency() -> impl Strategy<Value = Event> {
    let numbers = any::<(u64, u64, u64)>();
    prop_oneof![
        (any::<(u32, u32)>(), numbers).prop_map(
            |((seconds, most), (covered, added, duplicates))| {
                let window = Window { seconds, most };
                Event::IdempotencySet { window, covered, added, duplicates }
            }
        ),
        (option::of(numbers), vec(any_pairs(), 0..4)).prop_map(|(end, producers)| {
            let end =
                end.map(|(covered, added, duplicates)| PairsEnd { covered, added, duplicates });
            Event::IdempotencyPairs { end, producers }
        }),
        (any_name(), any_name(), any_id())
            .prop_map(|(producer, iid, id)| { Event::IdempotencyRecorded { producer, iid, id } }),
    ]
}

fn of_stream() -> impl Strategy<Value = Event> {
    prop_oneof![
        (any_name(), any_options())
            .prop_map(|(name, options)| Event::StreamCreated { name, options }),
        Just(Event::StreamRemoved),
        any_name().prop_map(|name| Event::StreamRenamed { name }),
        any_options().prop_map(|options| Event::OptionsSet { options }),
        any_ids().prop_map(|ids| Event::Deleted { ids }),
        any_id().prop_map(|to| Event::Trimmed { to }),
        any_ids().prop_map(|ids| Event::TrimmedOut { ids }),
        (any_id(), any_id(), any::<u64>()).prop_map(|(floor, max_deleted, added_offset)| {
            Event::Counters(Counters { floor, max_deleted, added_offset })
        }),
        any::<u64>().prop_map(|position| Event::Durable { position }),
        (any_id(), any::<u64>()).prop_map(|(to, restart)| Event::SetBack { to, restart }),
        any::<Option<u64>>().prop_map(|at_ms| Event::ExpirySet { at_ms }),
        of_idempotency(),
        (any::<u32>(), any_id(), any_id()).prop_map(|(next_group, delivered, before)| {
            Event::GroupCounters { next_group, delivered, before }
        }),
    ]
}

fn of_group() -> impl Strategy<Value = Event> {
    let ids = || (any::<u32>(), any::<u32>(), any::<u64>());
    prop_oneof![
        (any::<u32>(), any_name(), any_id(), any::<Option<u64>>(), any_id()).prop_map(
            |(group, name, last_id, entries_read, pinned)| Event::GroupCreated {
                group,
                name,
                last_id,
                entries_read,
                pinned
            }
        ),
        any::<u32>().prop_map(|group| Event::GroupRemoved { group }),
        (any::<u32>(), any_id(), any::<Option<u64>>(), any_id()).prop_map(
            |(group, last_id, entries_read, pinned)| Event::GroupSet {
                group,
                last_id,
                entries_read,
                pinned
            }
        ),
        (ids(), any_name(), any::<Option<u64>>()).prop_map(
            |((group, consumer, seen_ms), name, active_ms)| Event::ConsumerCreated {
                group,
                consumer,
                name,
                seen_ms,
                active_ms
            }
        ),
        ids().prop_map(|(group, consumer, _)| Event::ConsumerRemoved { group, consumer }),
        ids().prop_map(|(group, consumer, time_ms)| Event::Seen { group, consumer, time_ms }),
        ids().prop_map(|(group, next_consumer, _)| Event::ConsumerCounter { group, next_consumer }),
    ]
}

fn of_entries() -> impl Strategy<Value = Event> {
    let to = || (any::<u32>(), any::<u32>(), any::<u64>());
    prop_oneof![
        (to(), any::<bool>(), any::<Option<u64>>(), any_ids()).prop_map(
            |((group, consumer, time_ms), no_ack, entries_read, ids)| Event::Delivered {
                group,
                consumer,
                time_ms,
                no_ack,
                entries_read,
                ids: ids.into()
            }
        ),
        (to(), any_ids()).prop_map(|((group, consumer, time_ms), ids)| Event::Redelivered {
            group,
            consumer,
            time_ms,
            ids
        }),
        (any::<u32>(), any_records(), any::<Option<u64>>()).prop_map(
            |(group, records, active_ms)| Event::PendingSet { group, records, active_ms }
        ),
        (any::<u32>(), any_ids())
            .prop_map(|(group, ids)| Event::PendingRemoved { group, ids: ids.into() }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![of_stream(), of_group(), of_entries()]
}

fn bytes_of(event: &Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn every_event_comes_back_as_it_was(event in any_event()) {
        prop_assert_eq!(Event::decode(&bytes_of(&event)), Some(event));
    }

    #[test]
    fn cut_or_lengthened_bytes_are_no_event(event in any_event(), at in any::<usize>()) {
        let mut bytes = bytes_of(&event);
        prop_assert_eq!(Event::decode(&bytes[..at % bytes.len()]), None);
        bytes.push(0);
        prop_assert_eq!(Event::decode(&bytes), None);
    }

    #[test]
    fn a_changed_byte_never_panics(event in any_event(), at in any::<usize>(), byte: u8) {
        let mut bytes = bytes_of(&event);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(other) = Event::decode(&bytes) {
            prop_assert_eq!(Event::decode(&bytes_of(&other)), Some(other));
        }
    }

    #[test]
    fn random_bytes_never_panic(tag in 0..32u8, mut bytes in vec(any::<u8>(), 0..200)) {
        bytes.insert(0, tag);
        if let Some(event) = Event::decode(&bytes) {
            prop_assert_eq!(Event::decode(&bytes_of(&event)), Some(event));
        }
    }
}

#[test]
fn a_run_costs_a_few_bytes_however_long_it_is() {
    let ids = (0..10_000).map(|seq| EntryId::new(1_700_000_000_000, seq)).collect();
    let event = Event::PendingRemoved { group: 0, ids };
    // Tag, group, length, 6 + 1 for the first, 4 for the run.
    assert_eq!(bytes_of(&event).len(), 15);
}

#[test]
fn ids_of_different_milliseconds_cost_two_bytes_each() {
    let ids: Vec<_> = (0..1000).map(|n| EntryId::new(1_700_000_000_000 + n, 0)).collect();
    let event = Event::PendingRemoved { group: 0, ids: ids.into() };
    assert_eq!(bytes_of(&event).len(), 4 + 7 + 999 * 2);
}

#[test]
fn records_of_one_delivery_share_what_they_have_in_common() {
    let record = |n| PendingRecord {
        id: EntryId::new(5, n),
        owner: Some(0),
        time_ms: 1_700_000_000_000,
        count: 1,
    };
    let records = (0..4096).map(record).collect();
    let event = Event::PendingSet { group: 0, records, active_ms: None };
    assert!(bytes_of(&event).len() < 24);
}

#[test]
fn more_ids_than_allowed_are_refused_before_they_are_made() {
    let removed = |len: u64, steps: u64| {
        let mut bytes = vec![24, 0];
        write_varint(&mut bytes, len);
        for number in [0, 1, steps] {
            write_varint(&mut bytes, number);
        }
        Event::decode(&bytes)
    };
    let most = MAX_IDS as u64;
    let all = Event::PendingRemoved {
        group: 0,
        ids: (1..=most).map(|seq| EntryId::new(0, seq)).collect(),
    };
    assert_eq!(removed(most, most), Some(all));
    assert_eq!(removed(most + 1, most + 1), None);
    assert_eq!(removed(u64::MAX, u64::MAX), None);
    assert_eq!(removed(10, u64::MAX), None, "a run longer than its list");
    assert_eq!(removed(10, 0), None, "a run of nothing");

    // Two spans of pending records that are too many only together.
    let mut bytes = vec![23, 0, 2];
    for _ in 0..2 {
        bytes.extend([1, 0, 1]);
        write_varint(&mut bytes, most / 2 + 1);
        bytes.extend([0, 1]);
        write_varint(&mut bytes, most / 2 + 1);
    }
    bytes.push(0);
    assert_eq!(Event::decode(&bytes), None);
}

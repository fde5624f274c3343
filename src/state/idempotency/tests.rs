//! The table by itself: what it remembers, what it tells of it, and what that rebuilds.

use super::*;

const P: &[u8] = b"p";

fn table(most: u32) -> Idempotency {
    Idempotency { window: Window { seconds: 100, most }, ..Idempotency::default() }
}

fn id(n: u64) -> EntryId {
    EntryId::new(1_000_000 + n, 0)
}

/// Inserts entries whose frames end at ten times their number.
fn insert(table: &mut Idempotency, producer: &[u8], numbers: std::ops::Range<u64>, durable: u64) {
    for n in numbers {
        table.insert(producer, &n.to_le_bytes(), id(n), 10 * n, durable);
    }
}

fn known(table: &mut Idempotency, producer: &[u8], n: u64) -> Option<(EntryId, u64)> {
    table.find(producer, &n.to_le_bytes(), 1_000_000)
}

fn all_known(table: &mut Idempotency, producer: &[u8]) -> Vec<u64> {
    (0..100).filter(|n| known(table, producer, *n).is_some()).collect()
}

fn rebuilt(events: &[Event]) -> Idempotency {
    let mut again = Idempotency::default();
    for event in events {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(Event::decode(&bytes).as_ref(), Some(event));
        again.apply(event, false);
    }
    again
}

/// Fails if what is not durable drives something out for good, or is told.
#[test]
fn a_dump_is_the_table_as_it_was_when_less_was_there() {
    let mut now = table(3);
    insert(&mut now, P, 1..8, 20);
    assert_eq!(all_known(&mut now, P), [5, 6, 7]);
    for (durable, expected) in
        [(0, &[][..]), (10, &[1]), (20, &[1, 2]), (39, &[1, 2, 3]), (50, &[3, 4, 5])]
    {
        let mut then = rebuilt(&now.dump(durable));
        assert_eq!(all_known(&mut then, P), expected, "{durable}");
        assert_eq!(then.counts().added, durable / 10);
        assert_eq!(then.covered(), durable);
        // And the frames behind make of it what there is.
        insert(&mut then, P, durable / 10 + 1..8, durable);
        assert_eq!(all_known(&mut then, P), [5, 6, 7]);
        assert_eq!(then.counts(), now.counts());
    }
}

#[test]
fn what_is_driven_out_takes_no_memory_once_all_is_durable() {
    let mut now = table(3);
    insert(&mut now, P, 1..50, 0);
    assert_eq!(now.producers[P].pairs.len(), 49);
    insert(&mut now, P, 50..51, 490);
    assert_eq!(now.producers[P].pairs.len(), 4);
    assert_eq!(now.producers[P].by_iid.len(), 4);
    now.expire(u64::MAX);
    assert_eq!(now.counts().producers, 0);
    now.drop_forgotten(499);
    assert_eq!(now.producers[P].pairs.len(), 1);
    now.drop_forgotten(500);
    assert!(now.producers.is_empty());
    assert_eq!(now.counts().added, 50);
}

/// Fails if the old one's going takes the new one with it.
#[test]
fn an_iid_that_comes_again_is_the_new_one() {
    let mut now = table(2);
    insert(&mut now, P, 1..4, 0);
    assert_eq!(known(&mut now, P, 1), None);
    now.insert(P, &1u64.to_le_bytes(), id(40), 40, 0);
    assert_eq!(known(&mut now, P, 1), Some((id(40), 40)));
    assert_eq!(all_known(&mut rebuilt(&now.dump(30)), P), [2, 3]);
    now.drop_forgotten(40);
    assert_eq!(known(&mut now, P, 1), Some((id(40), 40)));
    assert_eq!(all_known(&mut now, P), [1, 3]);
}

#[test]
fn it_grows_old_from_the_oldest_inserted_on() {
    let mut now = table(10);
    for (n, ms) in [(1, 5_000), (2, 3_000), (3, 4_000), (4, 6_000)] {
        now.insert(P, &[n], EntryId::new(ms, 7), u64::from(n), 0);
    }
    let mut left =
        |now_ms| (1..5).filter(|n| now.find(P, &[*n], now_ms).is_some()).collect::<Vec<u8>>();
    assert_eq!(left(0), [1, 2, 3, 4]);
    assert_eq!(left(104_999), [1, 2, 3, 4]);
    assert_eq!(left(105_000), [4]);
    // A clock that goes back brings nothing back.
    assert_eq!(left(100_000), [4]);
    assert_eq!(left(106_000), [0; 0]);
}

#[test]
fn marks_tell_what_is_new_and_no_more() {
    let mut live = table(5);
    let mut events = vec![live.set(live.window(), 0)];
    for step in 0..9 {
        insert(&mut live, P, 1 + step * 4..5 + step * 4, 40 * step);
        insert(&mut live, b"q", 1 + step * 4..2 + step * 4, 40 * step);
        live.note_duplicate();
        let mark = live.mark(40 * step + 20);
        let told = |event: &Event| match event {
            Event::IdempotencyPairs { producers, .. } => {
                producers.iter().map(|producer| producer.pairs.len()).sum()
            }
            _ => 0,
        };
        assert!(mark.iter().map(told).sum::<usize>() <= 10, "{mark:?}");
        mark.iter().for_each(|event| live.apply(event, true));
        assert!(live.mark(40 * step + 20).is_empty());
        events.extend(mark);
        // What is told again, as a checkpoint came in between, changes nothing.
        let again = live.dump(40 * step + 20);
        let mut both = rebuilt(&again);
        assert_eq!(both.dump(both.covered()), again);
        let from_marks = rebuilt(&events);
        for producer in [P, b"q"] {
            let of = |mut table| all_known(&mut table, producer);
            assert_eq!(of(both.clone()), of(from_marks.clone()));
        }
        assert_eq!(both.counts(), from_marks.counts());
        // A mark from before the checkpoint's end, and one behind it.
        insert(&mut both, P, 200..200, 0);
        events.iter().skip(1).for_each(|event| both.apply(event, false));
        assert_eq!(both.dump(both.covered()), again);
    }
}

#[test]
fn many_take_several_events() {
    let mut live = table(10_000);
    for n in 0..2000u64 {
        live.insert(&[b'a' + (n % 7) as u8], &n.to_le_bytes(), id(n), n + 1, 0);
    }
    live.insert(b"long", &vec![1; 100_000], id(2000), 2001, 0);
    live.insert(b"long", &vec![2; 100_000], id(2001), 2002, 0);
    let events = live.dump(2002);
    assert!(events.len() > 6);
    let again = rebuilt(&events);
    assert_eq!(again.counts(), live.counts());
    assert_eq!(again.dump(2002), events);
    assert_eq!(again.counts().producers, 8);
}

#[test]
fn what_is_recorded_stands_behind_what_was_told() {
    let mut live = table(3);
    insert(&mut live, P, 1..4, 30);
    let mut events = live.dump(0);
    let mut record = live.mark(30);
    let (producer, iid) = (P.into(), 9u64.to_le_bytes().into());
    record.push(Event::IdempotencyRecorded { producer, iid, id: id(1) });
    record.iter().for_each(|event| live.apply(event, true));
    events.extend(record);
    insert(&mut live, P, 4..5, 40);
    assert_eq!(all_known(&mut live, P), [3, 4, 9]);
    let mut again = rebuilt(&events);
    assert_eq!(all_known(&mut again, P), [2, 3, 9]);
    insert(&mut again, P, 4..5, 40);
    assert_eq!(again.counts(), live.counts());
    assert_eq!(again.dump(40), live.dump(40));
}

#[test]
fn entries_that_are_lost_are_forgotten() {
    let mut live = table(3);
    insert(&mut live, P, 1..6, 100);
    insert(&mut live, b"q", 1..3, 100);
    live.apply(&live.mark(50)[0], true);
    live.settle(45, |lost| lost == id(4) || lost == id(1));
    assert_eq!(live.covered(), 45);
    assert_eq!(all_known(&mut live, P), [3, 5]);
    assert_eq!(all_known(&mut live, b"q"), [2]);
    assert!(live.is_durable(45));
}

/// Fails if a producer whose window is full is counted as if it took more.
#[test]
fn what_takes_the_place_of_another_takes_no_more_of_the_journal() {
    let mut live = table(3);
    assert!(live.growth(P, b"12345678") > live.growth(P, b"1234"));
    insert(&mut live, P, 1..3, 0);
    assert_eq!(live.growth(P, b"12345678"), 8 + OF_PAIR as u64);
    insert(&mut live, P, 3..4, 0);
    assert_eq!(live.growth(P, b"12345678"), 0);
    assert_eq!(live.growth(P, b"123456789"), 1);
}

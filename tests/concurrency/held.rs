//! What readers hold while the segments that it lies in are trimmed away, deleted from, rolled over,
//! removed with their stream, and closed with the store. The sanitizers see what a value cannot
//! show: a byte that is read after its map is gone.

use super::{Done, small};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;
use streamlog::{
    Batch, Consumer, Delivery, Durability, EntryId, EntryRef, GroupReadOptions, ReadOptions,
    Snapshot, Start, Store, StoreOptions, Stream, Trim,
};

const READERS: usize = 8;
const ENTRIES: u64 = 3_000;
/// How many of each kind a reader holds at once.
const HELD: usize = 12;

/// What an entry with this number holds besides: of different lengths, all of it known.
fn text(n: u64) -> String {
    n.to_string().repeat(1 + (n % 40) as usize)
}

fn check(entry: EntryRef<'_>) {
    let n = super::number(entry.get("n"));
    assert_eq!(entry.get("text"), Some(text(n).as_bytes()), "{}", entry.id());
}

enum Held {
    Batch(Batch),
    Delivery(Delivery),
    Snapshot(Snapshot),
}

impl Held {
    /// Every byte is what was appended. `steady`: as many entries as there were at first.
    fn check(&self, steady: usize) {
        match self {
            Held::Batch(batch) => assert_eq!(batch.iter().map(check).count(), steady),
            Held::Delivery(delivery) => assert_eq!(delivery.iter().map(check).count(), steady),
            // It shows no more what was deleted meanwhile.
            Held::Snapshot(snapshot) => {
                snapshot.range(..).for_each(|entry| check(entry.unwrap()));
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Held::Batch(batch) => batch.len(),
            Held::Delivery(delivery) => delivery.len(),
            Held::Snapshot(_) => 0,
        }
    }
}

/// Reads in one way after the other, and looks again and again at what it got earlier.
fn read_and_hold(stream: &Stream, consumer: &Consumer, done: &AtomicBool) -> Vec<(usize, Held)> {
    let mut held: Vec<(usize, Held)> = Vec::new();
    for round in 0.. {
        let got = match round % 3 {
            0 => Held::Batch(stream.read(Start::First, ReadOptions::new().count(40)).unwrap()),
            1 => Held::Delivery(consumer.read(GroupReadOptions::new().count(40)).unwrap()),
            _ => Held::Snapshot(stream.snapshot().unwrap()),
        };
        let place = round % (3 * HELD);
        if let Some((steady, before)) = held.get(place) {
            before.check(*steady);
        }
        let got = (got.len(), got);
        match held.get_mut(place) {
            Some(old) => *old = got,
            None => held.push(got),
        }
        if done.load(Ordering::Acquire) {
            break;
        }
    }
    held
}

fn scenario(store: Store) {
    let stream = small(&store, 4096);
    let group = stream.create_group("g", Start::First).unwrap();
    let done = AtomicBool::new(false);
    let held: Vec<_> = scope(|s| {
        let readers: Vec<_> = (0..READERS)
            .map(|n| {
                let consumer = group.consumer(format!("c{n}")).unwrap();
                let (stream, done) = (&stream, &done);
                s.spawn(move || read_and_hold(stream, &consumer, done))
            })
            .collect();
        s.spawn(|| {
            while !done.load(Ordering::Acquire) {
                stream.trim(Trim::max_len(100)).unwrap();
                let newest: EntryId = stream.info().unwrap().last_id;
                stream.delete([newest]).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let end = Done(&done);
        for n in 0..ENTRIES {
            stream.append([("n", n.to_string()), ("text", text(n))]).unwrap();
        }
        drop(end);
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    let look = || held.iter().for_each(|(steady, held)| held.check(*steady));
    scope(|s| {
        (0..2).for_each(|_| drop(s.spawn(look)));
        assert!(store.remove("s").unwrap());
    });
    scope(|s| {
        (0..2).for_each(|_| drop(s.spawn(look)));
        drop((stream, group));
        store.close().unwrap();
    });
    look();
    // In an order of their own.
    let (odd, even): (Vec<_>, Vec<_>) = held.into_iter().partition(|(steady, _)| steady % 2 == 1);
    drop(odd);
    even.iter().for_each(|(steady, held)| held.check(*steady));
}

/// Seen to fail where a segment's bytes are cleared when its file is unlinked.
#[test]
fn what_readers_hold_stays_as_it_was() {
    let often =
        Durability::Interval { every: Duration::from_millis(1), max_unsynced_bytes: 1 << 20 };
    for level in [Durability::Manual, often] {
        let options: StoreOptions = Store::options().durability(level);
        let dir = tempfile::tempdir().unwrap();
        scenario(options.open(dir.path()).unwrap());
        scenario(options.open_in_memory().unwrap());
    }
}

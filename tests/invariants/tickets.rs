//! Tickets on a disk that stands still or fails where the tests say: when wakers are called, and
//! what becomes of tickets whose entries will never be known to be on disk.

use super::disk::{EIO, FaultDisk, LONG};
use super::ground::{DIR, FIRST, error, id, is_poisoned, options, put, seen};
use crate::{AppendOptions, Durability, EntryId, ErrorKind, Result, Store, Stream, Ticket};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A store with its threads, and a stream that is on disk with an entry: its first segment is made,
/// and the next sync is that of an append.
fn open(disk: &FaultDisk, level: Durability) -> (Store, Stream) {
    let store = options(level).start(Arc::new(disk.clone()), Path::new(DIR), true).unwrap();
    let stream = store.stream("s").unwrap();
    stream.append_with([("v", "x")], AppendOptions::new().id(EntryId::new(0, 1))).unwrap();
    store.sync().unwrap();
    (store, stream)
}

/// Syncs of the stream stand still, until the disk is let go or the test has failed: the close
/// would wait for them.
struct Held<'a>(&'a FaultDisk);

fn hold(disk: &FaultDisk) -> Held<'_> {
    disk.hold("sync", FIRST);
    Held(disk)
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

fn append(stream: &Stream, ms: u64) -> Ticket {
    stream.append_async_with([("v", "x")], AppendOptions::new().id(id(ms))).unwrap()
}

/// Counts how often it is called.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn new() -> Arc<Bell> {
        Arc::default()
    }

    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn wait(&self) {
        let begun = Instant::now();
        while self.rung() == 0 {
            assert!(begun.elapsed() < LONG, "the waker is not called");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn poll(ticket: &mut Ticket, bell: &Arc<Bell>) -> Poll<Result<EntryId>> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(ticket).poll(&mut Context::from_waker(&waker))
}

/// Fails if `Lead::drop` (src/commit.rs) wakes tasks before the position is durable, or those of the
/// other round too, or if `Tasks::sit` (src/commit/tasks.rs) keeps a task's first waker beside its
/// last, or if `Ticket::drop` leaves its waker.
pub(crate) fn contract_c05_a_waker_is_called_when_its_entry_is_on_disk_and_once() {
    for level in [Durability::Manual, Durability::Always] {
        let disk = FaultDisk::new();
        let (store, stream) = open(&disk, level);
        let _held = hold(&disk);
        let mut first = append(&stream, 1);
        disk.wait_held();
        // A sync runs that covers the first entry, and not the second.
        let (one, two, old, gone) = (Bell::new(), Bell::new(), Bell::new(), Bell::new());
        let mut second = append(&stream, 2);
        let mut dropped = append(&stream, 3);
        for _ in 0..3 {
            assert!(poll(&mut first, &one).is_pending());
            assert!(poll(&mut second, &old).is_pending());
            assert!(poll(&mut dropped, &gone).is_pending());
        }
        assert!(poll(&mut second, &two).is_pending());
        assert_eq!(Arc::strong_count(&old), 1, "the last waker takes the place of the first");
        drop(dropped);
        assert_eq!(Arc::strong_count(&gone), 1, "a ticket takes its waker with it");
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!((one.rung(), two.rung()), (0, 0));
        assert!(!first.is_durable() && !second.is_durable());
        assert_eq!(seen(&stream).len(), if level == Durability::Always { 1 } else { 4 });
        disk.let_go();
        one.wait();
        assert!(first.is_durable());
        assert_eq!(poll(&mut first, &one).map(Result::unwrap), Poll::Ready(id(1)));
        two.wait();
        assert!(second.is_durable());
        assert_eq!(poll(&mut second, &two).map(Result::unwrap), Poll::Ready(id(2)));
        stream.sync().unwrap();
        assert_eq!(seen(&stream), [0, 1, 2, 3]);
        store.close().unwrap();
        assert_eq!([&one, &two, &old, &gone].map(|bell| bell.rung()), [1, 1, 0, 0]);
    }
}

/// Fails if the failure of a sync passes by the tasks that wait for it (`Lead::drop`,
/// src/commit.rs), or those that wait for the next one.
pub(crate) fn invariant_05_a_failed_sync_fails_every_ticket() {
    let disk = FaultDisk::new();
    let (store, stream) = open(&disk, Durability::Manual);
    let _held = hold(&disk);
    let mut first = append(&stream, 1);
    disk.wait_held();
    let mut second = append(&stream, 2);
    let bells = [Bell::new(), Bell::new()];
    assert!(poll(&mut first, &bells[0]).is_pending());
    assert!(poll(&mut second, &bells[1]).is_pending());
    let waiting = [append(&stream, 3), append(&stream, 4)];
    let [one, two] = waiting;
    let one = std::thread::spawn(move || one.wait());
    let two = std::thread::spawn(move || two.wait_timeout(LONG));
    disk.fail("sync", FIRST, EIO);
    disk.let_go();
    bells.iter().for_each(|bell| bell.wait());
    for ticket in [&mut first, &mut second] {
        assert!(!ticket.is_durable());
        let Poll::Ready(settled) = poll(ticket, &bells[0]) else { panic!("{ticket:?}") };
        assert!(is_poisoned(settled));
        assert!(is_poisoned(ticket.wait()));
    }
    assert!(is_poisoned(one.join().unwrap()));
    assert!(is_poisoned(two.join().unwrap()));
    assert!(is_poisoned(stream.append_async([("a", "b")])));
    disk.heal();
    assert!(is_poisoned(first.wait()));
    assert_eq!(bells.map(|bell| bell.rung()), [1, 1]);
    drop(store.close());
}

/// Fails if `Commit::close` (src/commit.rs) forgets the tasks.
pub(crate) fn invariant_05_a_removed_stream_settles_its_tickets() {
    let disk = FaultDisk::new();
    let (store, stream) = open(&disk, Durability::Manual);
    let _held = hold(&disk);
    let mut first = append(&stream, 1);
    disk.wait_held();
    let mut second = append(&stream, 2);
    let bells = [Bell::new(), Bell::new()];
    assert!(poll(&mut first, &bells[0]).is_pending());
    assert!(poll(&mut second, &bells[1]).is_pending());
    let removing = {
        let store = store.clone();
        std::thread::spawn(move || store.remove("s"))
    };
    bells[1].wait();
    let Poll::Ready(settled) = poll(&mut second, &bells[1]) else { panic!("{second:?}") };
    assert!(matches!(error(settled).kind(), ErrorKind::NoStream { .. }));
    disk.let_go();
    removing.join().unwrap().unwrap();
    // Its sync was under way.
    let begun = Instant::now();
    while poll(&mut first, &bells[0]).is_pending() {
        assert!(begun.elapsed() < LONG, "the ticket is not settled");
    }
    store.close().unwrap();
}

/// Fails if `Stream::wait_for_room` (src/stream/api.rs) takes no limit of its caller's where the
/// level has none, or if a call that gave up has appended.
pub(crate) fn contract_c01_what_is_on_its_way_to_disk_is_bounded() {
    let mib = "x".repeat(1 << 20);
    let few = Durability::Interval { every: LONG, max_unsynced_bytes: 2 << 20 };
    for (level, most) in [(Durability::Manual, 8), (Durability::Always, 8), (few, 2)] {
        let disk = FaultDisk::new();
        let large = crate::StreamOptions::new().segment_bytes(16 << 20);
        let options = Store::options().durability(level).stream_defaults(large);
        let store = options.start(Arc::new(disk.clone()), Path::new(DIR), true).unwrap();
        let stream = store.stream("s").unwrap();
        // Up to the first segment that takes all that follows: a new one is synced, too.
        for _ in 0..16 {
            stream.append([("v", &mib)]).unwrap();
        }
        store.sync().unwrap();
        let _held = hold(&disk);
        let now = AppendOptions::new().timeout(Duration::ZERO);
        let mut tickets = Vec::new();
        let refused = loop {
            match stream.append_async_with([("v", &mib)], now.clone()) {
                Ok(ticket) => tickets.push(ticket),
                Err(error) => break error,
            }
            assert!(tickets.len() < 20, "there is no bound");
        };
        assert_eq!(*refused.kind(), ErrorKind::TimedOut);
        assert!((most - 1..=most).contains(&tickets.len()), "{} at {level:?}", tickets.len());
        disk.let_go();
        let waits = stream.append_async([("v", &mib)]).unwrap();
        waits.wait().unwrap();
        assert!(tickets.iter().all(Ticket::is_durable));
        assert_eq!(stream.len().unwrap(), 16 + tickets.len() as u64 + 1);
        store.close().unwrap();
    }
}

/// Fails if `Shared::sync_asked` (src/store.rs) leaves out the journal, or if a ticket does not ask
/// it: behind a power cut an entry would be there of a stream that is not.
pub(crate) fn contract_c01_an_awaited_entry_outlives_a_power_cut_from_the_first_one_on() {
    for (threads, awaits) in [(true, true), (true, false), (false, true), (false, false)] {
        let disk = FaultDisk::new();
        let store = options(Durability::Manual)
            .start(Arc::new(disk.clone()), Path::new(DIR), threads)
            .unwrap();
        let stream = store.stream("s").unwrap();
        let mut ticket = append(&stream, 1);
        if awaits {
            let bell = Bell::new();
            let begun = Instant::now();
            while poll(&mut ticket, &bell).is_pending() {
                assert!(begun.elapsed() < LONG, "the ticket is not settled");
                std::thread::yield_now();
            }
        } else {
            ticket.wait().unwrap();
        }
        let cut = disk.power_cut();
        let after = super::ground::open(&cut, Durability::Manual);
        let stream = after.get("s").unwrap().unwrap();
        assert_eq!(seen(&stream), [1]);
        put(&stream, [2]);
        drop(after.close());
        store.close().unwrap();
    }
}

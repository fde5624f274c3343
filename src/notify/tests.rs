//! The lists with real threads, and the rules of the queue step by step. Interleavings are the
//! business of `tests/loom.rs`.
#![allow(clippy::unwrap_used)]

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;
use std::time::Duration;

const GROUP: Class = Class::Group(1);

fn list() -> Arc<WaitList> {
    Arc::new(WaitList::new())
}

/// A waiter that has arrived, found nothing and blocks.
fn blocked(list: &Arc<WaitList>, class: Class) -> (Waiter, Registration) {
    let waiter = Waiter::new();
    let mut registration = list.register(&waiter, class);
    registration.look();
    registration.block();
    (waiter, registration)
}

/// Which of them were woken since the last call.
fn woken<const N: usize>(waiters: [&(Waiter, Registration); N]) -> [bool; N] {
    waiters.map(|(waiter, _)| waiter.take())
}

#[test]
fn a_publish_wakes_every_plain_reader_once() {
    let list = list();
    let (mut a, b) = (blocked(&list, Class::Reader), blocked(&list, Class::Reader));
    list.notify();
    // The next publish has nobody to wake before they have run.
    assert!(list.is_empty());
    list.notify();
    assert_eq!(woken([&a, &b]), [true, true]);
    assert_eq!(woken([&a, &b]), [false, false]);
    // One of them looks again, and waits again.
    a.1.look();
    a.1.look();
    list.notify();
    assert_eq!(woken([&a, &b]), [true, false]);
    drop((a, b));
    assert!(list.is_empty());
}

#[test]
fn a_publish_wakes_the_head_of_each_group() {
    let list = list();
    let (a, b) = (blocked(&list, GROUP), blocked(&list, GROUP));
    let other = blocked(&list, Class::Group(2));
    list.notify();
    assert_eq!(woken([&a, &b, &other]), [true, false, true]);
    list.notify();
    assert_eq!(woken([&a, &b, &other]), [false, false, false]);
}

#[test]
fn what_one_reader_leaves_goes_to_the_next_in_order_of_arrival() {
    let list = list();
    let mut a = blocked(&list, GROUP);
    let (mut b, c) = (blocked(&list, GROUP), blocked(&list, GROUP));
    list.notify();
    a.1.look();
    a.1.served(true);
    assert_eq!(woken([&b, &c]), [true, false]);
    b.1.look();
    b.1.served(false);
    assert_eq!(woken([&c]), [false]);
    list.notify();
    assert_eq!(woken([&c]), [true]);
}

#[test]
fn a_reader_that_goes_without_a_look_hands_the_turn_on() {
    let list = list();
    let (a, b) = (blocked(&list, GROUP), blocked(&list, GROUP));
    list.notify();
    drop(a);
    assert_eq!(woken([&b]), [true]);
}

#[test]
fn a_reader_without_the_turn_hands_nothing_on() {
    let list = list();
    let (a, b, c) = (blocked(&list, GROUP), blocked(&list, GROUP), blocked(&list, GROUP));
    drop(a);
    assert_eq!(woken([&b, &c]), [false, false]);
    list.notify();
    assert_eq!(woken([&b, &c]), [true, false]);
}

#[test]
fn who_finds_nothing_keeps_the_place() {
    let list = list();
    let (mut a, b) = (blocked(&list, GROUP), blocked(&list, GROUP));
    list.notify();
    a.1.look();
    a.1.block();
    assert_eq!(woken([&a, &b]), [true, false]);
    list.notify();
    assert_eq!(woken([&a, &b]), [true, false]);
}

#[test]
fn a_newcomer_queues_behind_and_the_first_look_keeps_the_place() {
    let list = list();
    let waiter = Waiter::new();
    assert!(!list.has_turn(1));
    let mut first = list.register(&waiter, GROUP);
    assert!(first.is_first());
    assert!(list.has_turn(1) && !list.has_turn(2));
    let newcomer = Waiter::new();
    let second = list.register(&newcomer, GROUP);
    assert!(!second.is_first());
    first.look();
    first.block();
    assert!(!list.has_turn(1), "they only wait");
    list.notify();
    assert!(list.has_turn(1));
    assert_eq!((waiter.take(), newcomer.take()), (true, false));
}

#[test]
fn the_arrival_that_is_served_wakes_who_queued_behind_it() {
    let list = list();
    let waiter = Waiter::new();
    let mut first = list.register(&waiter, GROUP);
    let newcomer = Waiter::new();
    let _second = list.register(&newcomer, GROUP);
    first.look();
    first.served(true);
    assert!(newcomer.take());
}

#[test]
fn what_is_published_during_a_look_is_looked_at_again() {
    let list = list();
    let (mut a, b) = (blocked(&list, GROUP), blocked(&list, GROUP));
    list.notify();
    assert_eq!(woken([&a, &b]), [true, false]);
    a.1.look();
    list.notify();
    assert_eq!(woken([&a, &b]), [false, false], "it has the turn already");
    a.1.block();
    assert_eq!(woken([&a, &b]), [true, false]);
}

#[test]
fn a_turn_given_during_a_look_at_another_stream_is_kept_for_the_next_look() {
    let (one, two) = (list(), list());
    let waiter = Waiter::new();
    let mut on_one = one.register(&waiter, GROUP);
    let mut on_two = two.register(&waiter, GROUP);
    on_one.block();
    on_two.block();
    let behind = blocked(&two, GROUP);
    one.notify();
    assert!(waiter.take());
    on_one.look();
    on_two.look();
    two.notify();
    on_one.block();
    on_two.block();
    assert!(waiter.take());
    assert_eq!(woken([&behind]), [false]);
    // It finds something on `one` only; what it saw of `two` was without the turn.
    on_two.served(false);
    assert_eq!(woken([&behind]), [true]);
}

#[test]
fn closing_wakes_everyone_and_destroying_a_group_all_but_other_groups() {
    let list = list();
    let (a, b) = (blocked(&list, GROUP), blocked(&list, GROUP));
    let (other, reader) = (blocked(&list, Class::Group(2)), blocked(&list, Class::Reader));
    list.wake_group(1);
    assert_eq!(woken([&a, &b, &other, &reader]), [true, true, false, true]);
    list.wake_all();
    assert_eq!(woken([&a, &b, &other, &reader]), [true; 4]);
}

#[test]
fn a_release_in_one_group_wakes_nobody_else() {
    let list = list();
    let (a, b) = (blocked(&list, GROUP), blocked(&list, GROUP));
    let (other, reader) = (blocked(&list, Class::Group(2)), blocked(&list, Class::Reader));
    list.notify_group(1);
    assert_eq!(woken([&a, &b, &other, &reader]), [true, false, false, false]);
}

#[test]
fn a_list_is_empty_when_all_have_gone() {
    let list = list();
    let (a, b) = (blocked(&list, GROUP), blocked(&list, Class::Reader));
    assert!(!list.is_empty());
    drop(a);
    assert!(!list.is_empty() && !list.has_turn(1));
    drop(b);
    assert!(list.is_empty());
}

#[test]
fn no_time_and_unlimited_time_are_both_legal() {
    let waiter = Waiter::new();
    assert_eq!(waiter.wait(Deadline::after(Duration::ZERO)), Wake::TimedOut);
    waiter.0.wake();
    assert_eq!(waiter.wait(Deadline::after(Duration::ZERO)), Wake::Woken);
    waiter.0.wake();
    assert_eq!(waiter.wait(Deadline::after(Duration::MAX)), Wake::Woken);
}

#[test]
fn a_callback_runs_once_until_it_is_taken_and_under_no_lock() {
    let list = list();
    let calls = Arc::new(AtomicUsize::new(0));
    let waiter = Waiter::calling({
        let (list, calls) = (Arc::clone(&list), Arc::clone(&calls));
        move || {
            // With any lock of the list held this would never return.
            drop(list.register(&Waiter::new(), Class::Reader));
            calls.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut registration = list.register(&waiter, Class::Reader);
    list.notify();
    registration.look();
    list.notify();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(waiter.take());
    registration.look();
    list.notify();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_callback_that_panics_costs_nobody_a_wake_up() {
    let list = list();
    let bad = Waiter::calling(|| panic!("planned"));
    let _bad = list.register(&bad, Class::Reader);
    let good = blocked(&list, Class::Reader);
    catch_unwind(AssertUnwindSafe(|| list.notify())).unwrap_err();
    assert_eq!(woken([&good]), [true]);
}

/// A stream of numbers with one group: `published` entries, of which `taken` are given out.
struct Queue {
    list: Arc<WaitList>,
    published: AtomicU64,
    taken: AtomicU64,
    closed: AtomicBool,
}

impl Queue {
    fn take_one(&self) -> Option<(u64, bool)> {
        let published = self.published.load(Ordering::Acquire);
        let below = |n: u64| (n < published).then_some(n + 1);
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, below).ok()?;
        Some((taken, taken + 1 < published))
    }

    /// A blocking read of one entry; `None` when the stream is closed or the time is over.
    fn read(&self, deadline: Deadline) -> Option<u64> {
        let waiter = Waiter::new();
        let mut registration = self.list.register(&waiter, GROUP);
        let mut may_look = registration.is_first();
        loop {
            if may_look {
                registration.look();
                if let Some((entry, left)) = self.take_one() {
                    registration.served(left);
                    return Some(entry);
                }
                if self.closed.load(Ordering::Acquire) {
                    return None;
                }
                registration.block();
            }
            match waiter.wait(deadline) {
                Wake::Woken => may_look = true,
                Wake::TimedOut => return None,
            }
        }
    }
}

#[test]
fn each_entry_reaches_exactly_one_of_many_blocked_readers() {
    const ENTRIES: u64 = 2000;
    let queue = Queue {
        list: list(),
        published: AtomicU64::new(0),
        taken: AtomicU64::new(0),
        closed: AtomicBool::new(false),
    };
    let got = thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|n| {
                let queue = &queue;
                scope.spawn(move || {
                    let mut got = Vec::new();
                    while !queue.closed.load(Ordering::Acquire) {
                        // Half of them give up now and then, with the turn or without.
                        let time = Duration::from_micros(if n < 2 { 50 } else { u64::MAX });
                        got.extend(queue.read(Deadline::after(time)));
                    }
                    got
                })
            })
            .collect();
        for n in 1..=ENTRIES {
            queue.published.store(n, Ordering::Release);
            queue.list.notify();
        }
        // Everything is out, or a reader of unlimited time still waits for it: then this hangs.
        while queue.taken.load(Ordering::SeqCst) < ENTRIES {
            thread::yield_now();
        }
        queue.closed.store(true, Ordering::Release);
        queue.list.wake_all();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sorted = got;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..ENTRIES).collect::<Vec<_>>());
    assert!(queue.list.is_empty());
}

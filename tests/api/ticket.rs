//! Appends that do not wait for the disk, and their tickets: with threads, and with tasks on a small
//! executor, as a ticket needs no runtime.

use crate::ground::{id, kind, live, on_both, on_both_with, put};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use streamlog::{
    AppendOptions, BatchOptions, Durability, EntryId, ErrorKind, NewEntries, NewId, Start, Store,
    Trim,
};

/// Longer than any sync takes.
const LONG: Duration = Duration::from_secs(60);
const LEVELS: [Durability; 3] = [Durability::Manual, Durability::EVERY_SECOND, Durability::Always];

fn at_every_level(scenario: impl Fn(&Store)) {
    for level in LEVELS {
        on_both_with(&Store::options().durability(level), &scenario);
    }
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks on threads of its own.
#[derive(Default)]
struct Executor {
    ready: Mutex<(VecDeque<Arc<Task>>, usize)>,
    changed: Condvar,
}

struct Task {
    job: Mutex<Option<Job>>,
    executor: Arc<Executor>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let executor = Arc::clone(&self.executor);
        executor.ready.lock().unwrap().0.push_back(self);
        executor.changed.notify_one();
    }
}

impl Executor {
    fn spawn(self: &Arc<Self>, job: impl Future<Output = ()> + Send + 'static) {
        self.ready.lock().unwrap().1 += 1;
        let job: Job = Box::pin(job);
        Arc::new(Task { job: Mutex::new(Some(job)), executor: Arc::clone(self) }).wake();
    }

    /// Until all tasks are done.
    fn run(&self) {
        loop {
            let begun = Instant::now();
            let mut ready = self.ready.lock().unwrap();
            let task = loop {
                match (ready.0.pop_front(), ready.1) {
                    (Some(task), _) => break task,
                    (None, 0) => return,
                    (None, left) => {
                        assert!(begun.elapsed() < LONG, "{left} tasks wait and nobody wakes them");
                        ready = self.changed.wait_timeout(ready, LONG).unwrap().0;
                    }
                }
            };
            drop(ready);
            let mut job = task.job.lock().unwrap();
            let waker = Waker::from(Arc::clone(&task));
            let ended = job
                .as_mut()
                .is_some_and(|job| job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
            if ended {
                *job = None;
                self.ready.lock().unwrap().1 -= 1;
                self.changed.notify_all();
            }
        }
    }
}

/// Fails if `Stream::ticket` (src/stream/ticket.rs) asks for no sync, or if `sync_loop`
/// (src/worker.rs) does not answer.
#[test]
fn an_entry_becomes_durable_at_every_level_though_nobody_waits() {
    at_every_level(|store| {
        let stream = store.stream("s").unwrap();
        let begun = Instant::now();
        let ticket = stream.append_async([("a", "b")]).unwrap();
        while !ticket.is_durable() {
            assert!(begun.elapsed() < LONG, "no sync comes");
            std::thread::yield_now();
        }
        assert_eq!(stream.durable_id().unwrap(), ticket.id());
        assert_eq!(live(&stream), [ticket.id().to_string()]);
        // What is durable can be waited for as often as one likes.
        ticket.wait().unwrap();
        ticket.wait_timeout(Duration::ZERO).unwrap();
    });
}

/// Fails if a ticket is settled before its entry is on disk.
#[test]
fn threads_wait_for_many_appends_at_once() {
    at_every_level(|store| {
        let stream = store.stream("s").unwrap();
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..10 {
                        let append = |n: u32| stream.append_async([("n", n.to_string())]).unwrap();
                        let tickets: Vec<_> = (0..100).map(append).collect();
                        for ticket in &tickets {
                            ticket.wait().unwrap();
                            assert!(ticket.is_durable());
                            assert!(stream.durable_id().unwrap() >= ticket.id());
                        }
                        for ticket in tickets {
                            ticket.wait_timeout(Duration::ZERO).unwrap();
                        }
                    }
                });
            }
        });
        assert_eq!(stream.len().unwrap(), 4000);
    });
}

/// Fails (by tasks that nobody wakes) if `Lead::drop` (src/commit.rs) forgets the tasks of the round
/// that has ended, or `Commit::poll` asks nobody.
#[test]
fn tasks_wait_for_their_appends_beside_threads() {
    at_every_level(|store| {
        let stream = store.stream("s").unwrap();
        let executor = Arc::new(Executor::default());
        for _ in 0..200 {
            let stream = stream.clone();
            executor.spawn(async move {
                for n in 0..10u32 {
                    let ticket = stream.append_async([("n", n.to_string())]).unwrap();
                    let id = ticket.id();
                    assert_eq!(ticket.await.unwrap(), id);
                    assert!(stream.durable_id().unwrap() >= id);
                }
            });
        }
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..20 {
                    stream.append_with([("a", "b")], AppendOptions::new().durable()).unwrap();
                }
            });
            for _ in 0..2 {
                threads.spawn(|| executor.run());
            }
        });
        assert_eq!(stream.len().unwrap(), 2020);
    });
}

#[test]
fn a_ticket_that_is_dropped_takes_nothing_back() {
    at_every_level(|store| {
        let stream = store.stream("s").unwrap();
        for n in 1..=50 {
            let options = AppendOptions::new().id(EntryId::new(n, 0));
            let mut ticket = stream.append_async_with([("a", "b")], options).unwrap();
            if n % 2 == 0 {
                let _polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
            }
        }
        let begun = Instant::now();
        while stream.durable_id().unwrap() < EntryId::new(50, 0) {
            assert!(begun.elapsed() < LONG, "no sync comes");
            std::thread::yield_now();
        }
        assert_eq!(stream.len().unwrap(), 50);
    });
}

/// Fails if a ticket keeps the store open, or if it is not settled by the close.
#[test]
fn a_ticket_outlives_the_handles_and_the_close_settles_it() {
    for by_call in [true, false] {
        for level in LEVELS {
            let dir = tempfile::tempdir().unwrap();
            let open = || Store::options().durability(level).open(dir.path());
            let store = open().unwrap();
            let stream = store.stream("s").unwrap();
            let mut tickets: Vec<_> =
                (0..100).map(|_| stream.append_async([("a", "b")]).unwrap()).collect();
            let mut pending = 0;
            for ticket in &mut tickets {
                let polled = Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()));
                pending += usize::from(polled.is_pending());
            }
            if by_call {
                store.close().unwrap();
            } else {
                drop(store);
            }
            drop(stream);
            let last = tickets.last().unwrap().id();
            for ticket in &mut tickets {
                let polled = Pin::new(&mut *ticket).poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(
                    polled.map(Result::unwrap),
                    Poll::Ready(ticket.id()),
                    "{pending} waited"
                );
                ticket.wait().unwrap();
                assert!(ticket.is_durable());
            }
            // While tickets are there, which keep nothing from being opened.
            let store = open().unwrap();
            let stream = store.stream("s").unwrap();
            assert_eq!(stream.len().unwrap(), 100);
            assert_eq!(stream.range(..).next_back().unwrap().unwrap().id(), last);
        }
    }
}

#[test]
fn a_batch_has_one_ticket() {
    at_every_level(|store| {
        let stream = store.stream("s").unwrap();
        let mut batch = NewEntries::new();
        let none = stream.append_batch_async(&batch, BatchOptions::new()).unwrap();
        assert!(none.is_none());
        for text in ["1-0", "2-0", "3-0"] {
            batch.push_with(id(text), [("a", "b")]).unwrap();
        }
        let ticket = stream.append_batch_async(&batch, BatchOptions::new()).unwrap().unwrap();
        assert_eq!((ticket.first_id(), ticket.id()), (id("1-0"), id("3-0")));
        ticket.wait().unwrap();
        assert_eq!(stream.durable_id().unwrap(), id("3-0"));
        let again = stream.append_batch_async(&batch, BatchOptions::new());
        assert!(matches!(kind(again), ErrorKind::IdNotGreater { index: Some(0), .. }));
    });
}

#[test]
fn the_options_are_those_of_an_append() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        let options = AppendOptions::new().id(NewId::AutoSeq(1)).trim(Trim::max_len(1));
        let ticket = stream.append_async_with([("a", "b")], options).unwrap();
        assert_eq!((ticket.id(), ticket.first_id()), (id("1-1"), id("1-1")));
        assert_eq!(live(&stream), ["1-1"]);
        ticket.wait().unwrap();
        let options = AppendOptions::new().id(id("1-1"));
        let again = stream.append_async_with([("a", "b")], options);
        assert!(matches!(kind(again), ErrorKind::IdNotGreater { .. }));
        let nothing: [(&str, &str); 0] = [];
        assert_eq!(kind(stream.append_async(nothing)), ErrorKind::NoFields);
        let wrong = AppendOptions::new().trim(Trim::max_len(1).limit(1));
        let refused = stream.append_async_with([("a", "b")], wrong);
        assert!(matches!(kind(refused), ErrorKind::InvalidTrim { .. }));
        store.clone().close().unwrap();
        assert_eq!(kind(stream.append_async([("a", "b")])), ErrorKind::Closed);
    });
}

/// Fails if `Stream::written` (src/stream/api.rs) wakes no readers for an append with a ticket.
#[test]
fn readers_are_woken_at_every_level() {
    at_every_level(|store| {
        let stream = store.stream("s").unwrap();
        let mut tail = stream.tail(Start::Last).unwrap();
        std::thread::scope(|threads| {
            let reader = threads.spawn(move || tail.next().unwrap().unwrap().id());
            std::thread::sleep(Duration::from_millis(5));
            let ticket = stream.append_async([("a", "b")]).unwrap();
            assert_eq!(reader.join().unwrap(), ticket.id());
        });
    });
}

//! Models of the types that threads share: loom runs them under every schedule and every outcome
//! that the memory model allows, up to three preemptions per run, with the production sources.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom
//! LOOM_MAX_PREEMPTIONS=4 RUSTFLAGS="--cfg loom" cargo test --release --test loom   # at night
//! ```
//!
//! Without `--cfg loom` this file is empty.
//!
//! A model that cannot fail proves nothing. `tests/loom_planted.sh` builds with each of the faults
//! that `src/sync.rs` lists, one at a time, by `--cfg 'planted="..."'`, and checks that a model
//! finds it:
//!
//! | planted         | what is broken                                  | found by         |
//! |-----------------|-------------------------------------------------|------------------|
//! | `weak_publish`  | a mark is advanced without Release              | a torn read      |
//! | `weak_alone`    | the same of a mark that one thread alone moves  | a torn read      |
//! | `no_max`        | a mark that several move goes back              | not published    |
//! | `weak_observe`  | a mark is read without Acquire                  | a torn read      |
//! | `weak_fence`    | no order between a store and a load of others'  | a hang           |
//! | `late_target`   | the target of a sync is taken after it          | a false durable  |
//! | `no_guard`      | a leader that fails stays the leader            | a hang           |
//! | `no_notify_all` | those whom a sync covers are not woken          | a hang           |
//! | `no_notify_one` | no new leader, no parked reader is woken        | a hang           |
//! | `late_look`     | a gate is looked at without the lock            | a hang           |
//! | `no_tasks`      | the tasks of a round are not woken              | a hang           |
//! | `no_baton`      | a group reader does not hand its turn on        | a hang           |
//! | `no_dirty`      | what comes during a look is forgotten           | a hang           |
//! | `no_line_up`    | a reader that was woken is not listed again     | a hang           |
//! | `nap_is_look`   | a nap stands for the look behind registering    | a hang           |
//! | `weak_turn_begin` | the end moves before its number is odd        | a torn read      |
//! | `weak_turn_end` | its number is even before the end has moved     | a torn read      |
//! | `weak_turn_look`  | the number is looked at before the end is read | a torn read     |
//! | `no_trim_lock`  | the end and what is trimmed change one by one   | a torn read      |
#![cfg(loom)]
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used)]

#[path = "../src/commit.rs"]
mod commit;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/id.rs"]
mod id;
#[path = "../src/notify.rs"]
mod notify;
#[path = "../src/sync.rs"]
mod sync;
#[path = "../src/storage/log/view.rs"]
mod view;

use commit::{Commit, Mark};
use error::{Error, ErrorKind, Result};
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::thread;
use notify::{Class, Registration, WaitList, Waiter, Wake};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use sync::{AtomicBool, AtomicU64, Condvar, Deadline, Mutex};
use view::{Seen, Tail, View};

const GROUP: Class = Class::Group(1);

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    if builder.preemption_bound.is_none() {
        builder.preemption_bound = Some(3);
    }
    builder.check(run);
}

/// A writer that moves a mark in this way, and readers of what it covers.
fn no_read_is_torn(advance: fn(&Mark, u64)) {
    model(move || {
        let cells = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let mark = Arc::new(Mark::new(0));
        let readers = [(); 2].map(|()| {
            let (cells, mark) = (Arc::clone(&cells), Arc::clone(&mark));
            thread::spawn(move || {
                for _ in 0..2 {
                    for position in 0..mark.get() {
                        let cell = cells.get(position as usize).unwrap();
                        assert_eq!(cell.load(Relaxed), 10 + position, "a torn read");
                    }
                }
            })
        });
        for position in 0..2 {
            let cell = cells.get(position as usize).unwrap();
            cell.store(10 + position, Relaxed);
            advance(&mark, position + 1);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

/// The end of a log of so many entries.
fn tail(entries: u64) -> Tail {
    Tail { last_id: id::EntryId::new(entries, entries), ordinal: entries }
}

/// What two readers see of a view of two entries, of which one is trimmed, while it is changed.
fn seen_is_of_one_moment(change: fn(&View), allowed: &'static [(u64, u64)]) {
    model(move || {
        let trimmed = id::EntryId::new(1, 0);
        let view = Arc::new(View::new(Seen { tail: tail(2), published: 2, trimmed }));
        let reader = {
            let view = Arc::clone(&view);
            thread::spawn(move || {
                let seen = view.look();
                let Tail { last_id, ordinal } = seen.tail;
                let whole = (last_id.ms, last_id.seq) == (ordinal, ordinal);
                assert!(whole && allowed.contains(&(ordinal, seen.trimmed.ms)), "a torn read");
            })
        };
        change(&view);
        reader.join().unwrap();
    });
}

#[test]
fn who_looks_at_a_log_sees_its_end_of_one_moment() {
    let publish = |view: &View| {
        view.publish(tail(3), 3);
        view.publish(tail(4), 4);
    };
    seen_is_of_one_moment(publish, &[(2, 1), (3, 1), (4, 1)]);
}

#[test]
fn who_looks_at_a_log_sees_what_is_trimmed_at_the_same_moment() {
    let restart = |view: &View| {
        view.publish_with_trim(tail(3), 3, id::EntryId::new(3, 0));
        view.restart(tail(1), id::EntryId::MIN);
    };
    seen_is_of_one_moment(restart, &[(2, 1), (3, 3), (1, 0)]);
}

#[test]
fn who_sees_a_position_sees_everything_below_it() {
    no_read_is_torn(Mark::advance_to);
}

/// As the writer of a log moves its marks.
#[test]
fn who_sees_a_position_of_one_writer_sees_everything_below_it() {
    no_read_is_torn(Mark::advance_alone);
}

/// A log with its disk, of which only positions matter.
struct Log {
    commit: Commit,
    /// The end of the log; `None` once it is closed. The writer's lock.
    end: Mutex<Option<u64>>,
    written: Mark,
    published: Mark,
    /// What the disk has: at most what was written when a sync began.
    synced: AtomicU64,
    broken: bool,
}

impl Log {
    fn new(broken: bool) -> Arc<Log> {
        Arc::new(Log {
            commit: Commit::new(0),
            end: Mutex::new(Some(0)),
            written: Mark::new(0),
            published: Mark::new(0),
            synced: AtomicU64::new(0),
            broken,
        })
    }

    fn append(&self) -> Result<u64> {
        let mut end = self.end.lock();
        let Some(end) = end.as_mut() else {
            return Err(Error::new(ErrorKind::Closed));
        };
        *end += 1;
        self.written.advance_alone(*end);
        Ok(*end)
    }

    fn sync(&self) -> Result<()> {
        let copied = self.written.get();
        if self.broken {
            return Err(Error::new(ErrorKind::Io { op: "sync" }));
        }
        self.synced.fetch_max(copied, Release);
        Ok(())
    }

    fn done(&self, target: u64) {
        assert!(self.synced.load(Acquire) >= target, "a false durable");
        self.published.advance_to(target);
    }

    fn wait(&self, upto: u64) -> Result<()> {
        let written = || self.written.get();
        self.commit.wait(upto, written, |_| self.sync(), |target| self.done(target))
    }

    fn flush(&self) -> Result<()> {
        let written = || self.written.get();
        self.commit.sync_now(written, |_| self.sync(), |target| self.done(target))
    }

    /// An append under `Always`, and what its `Ok` promises.
    fn append_durably(&self) -> Result<()> {
        let end = self.append()?;
        self.wait(end)?;
        let durable = self.commit.durable();
        assert!(durable >= end);
        assert!(self.published.get() >= end, "durable, but not published");
        assert!(self.synced.load(Acquire) >= durable, "a false durable");
        Ok(())
    }
}

fn spawn<T: 'static>(
    log: &Arc<Log>,
    run: impl FnOnce(&Log) -> T + 'static,
) -> thread::JoinHandle<T> {
    let log = Arc::clone(log);
    thread::spawn(move || run(&log))
}

#[test]
fn appenders_share_syncs_and_none_is_durable_too_early() {
    model(|| {
        let log = Log::new(false);
        let one = spawn(&log, Log::append_durably);
        let two = spawn(&log, Log::append_durably);
        log.append_durably().unwrap();
        one.join().unwrap().unwrap();
        two.join().unwrap().unwrap();
        assert_eq!(log.commit.durable(), 3);
    });
}

#[test]
fn a_sync_of_all_files_takes_no_position_back() {
    model(|| {
        let log = Log::new(false);
        let one = spawn(&log, Log::append_durably);
        let two = spawn(&log, Log::append_durably);
        let copied = log.written.get();
        log.sync().unwrap();
        log.done(copied);
        log.commit.set_durable(copied);
        assert!(log.commit.durable() >= copied);
        one.join().unwrap().unwrap();
        two.join().unwrap().unwrap();
        assert_eq!(log.commit.durable(), 2);
    });
}

#[test]
fn a_failed_sync_ends_every_wait() {
    model(|| {
        let log = Log::new(true);
        let one = spawn(&log, Log::append_durably);
        let two = spawn(&log, Log::append_durably);
        let results = [log.append_durably(), one.join().unwrap(), two.join().unwrap()];
        for result in results {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Poisoned { .. }), "{error}");
        }
        assert_eq!((log.commit.durable(), log.published.get()), (0, 0));
    });
}

#[test]
fn poison_from_outside_ends_every_wait() {
    model(|| {
        let log = Log::new(false);
        let one = spawn(&log, Log::append_durably);
        let two = spawn(&log, Log::append_durably);
        log.commit.poison(Error::new(ErrorKind::Io { op: "sync the journal" }));
        let before = log.commit.durable();
        for result in [one.join().unwrap(), two.join().unwrap()] {
            if let Err(error) = result {
                assert!(matches!(error.kind(), ErrorKind::Poisoned { .. }), "{error}");
            }
        }
        log.append().unwrap();
        log.flush().unwrap_err();
        // A sync that had succeeded by then may still be recorded, but none that began later.
        assert!(log.commit.durable() >= before && log.commit.durable() <= 2);
    });
}

#[test]
fn a_close_that_syncs_first_costs_no_append_its_answer() {
    model(|| {
        let log = Log::new(false);
        let appender = spawn(&log, |log| match log.append() {
            Ok(end) => log.wait(end).map(|()| end),
            Err(_) => Ok(0),
        });
        let flusher = spawn(&log, Log::flush);
        *log.end.lock() = None;
        log.flush().unwrap();
        log.commit.close(Error::new(ErrorKind::Closed));
        let appended = appender.join().unwrap().unwrap();
        flusher.join().unwrap().unwrap();
        assert_eq!(log.commit.durable(), appended);
    });
}

#[test]
fn a_close_without_a_sync_ends_every_wait() {
    model(|| {
        let log = Log::new(false);
        let appender = spawn(&log, Log::append_durably);
        let flusher = spawn(&log, Log::flush);
        log.commit.close(Error::new(ErrorKind::Closed));
        for result in [appender.join().unwrap(), flusher.join().unwrap()] {
            if let Err(error) = result {
                assert_eq!(*error.kind(), ErrorKind::Closed);
            }
        }
    });
}

/// What the worker is asked for; `None` ends it.
struct Questions(Mutex<Option<u32>>, Condvar);

impl Questions {
    fn tell(&self, what: Option<u32>) {
        *self.0.lock() = what;
        self.1.notify_all();
    }

    /// Syncs whenever that is asked for.
    fn serve(&self, log: &Log) {
        loop {
            let mut asks = self.0.lock();
            while *asks == Some(0) {
                self.1.wait(&mut asks);
            }
            let Some(_) = asks.as_mut().map(std::mem::take) else {
                break;
            };
            drop(asks);
            log.flush().unwrap();
        }
    }
}

/// Beside an appender, and a worker that does what it is asked.
fn is_served_by_the_worker(wait: fn(&Log, u64, &dyn Fn()) -> Result<()>) {
    model(move || {
        let log = Log::new(false);
        let asked = Arc::new(Questions(Mutex::new(Some(0)), Condvar::new()));
        let asking = Arc::clone(&asked);
        let waiting = spawn(&log, move |log| {
            let end = log.append().unwrap();
            let result = wait(log, end, &|| asking.tell(Some(1)));
            assert!(log.commit.durable() >= end && log.synced.load(Acquire) >= end);
            asking.tell(None);
            result
        });
        let appender = spawn(&log, Log::append_durably);
        asked.serve(&log);
        waiting.join().unwrap().unwrap();
        appender.join().unwrap().unwrap();
    });
}

#[test]
fn a_wait_that_only_asks_is_served_by_the_worker() {
    is_served_by_the_worker(|log, end, ask| {
        log.commit.wait_timeout(end, Deadline::NEVER, || log.written.get(), ask)
    });
}

/// A task with a thread of its own.
struct Task {
    woken: Mutex<bool>,
    parked: Condvar,
}

impl std::task::Wake for Task {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.parked.notify_all();
    }
}

impl Task {
    /// Runs it until the position is durable.
    fn run(log: &Log, end: u64, ask: &dyn Fn()) -> Result<()> {
        let task = Arc::new(Task { woken: Mutex::new(false), parked: Condvar::new() });
        let waker = Waker::from(Arc::clone(&task));
        let mut seat = None;
        loop {
            if let Poll::Ready(result) = log.commit.poll(end, &mut seat, &waker, ask) {
                return result;
            }
            let mut woken = task.woken.lock();
            while !std::mem::take(&mut *woken) {
                task.parked.wait(&mut woken);
            }
        }
    }
}

#[test]
fn a_task_is_served_by_the_worker() {
    is_served_by_the_worker(Task::run);
}

#[test]
fn a_failed_sync_and_poison_from_outside_end_the_wait_of_a_task() {
    for broken in [false, true] {
        model(move || {
            let log = Log::new(broken);
            let task = spawn(&log, |log| {
                let end = log.append().unwrap();
                Task::run(log, end, &|| ())
            });
            if broken {
                log.append_durably().unwrap_err();
            }
            log.commit.poison(Error::new(ErrorKind::Io { op: "sync the journal" }));
            let error = task.join().unwrap().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Poisoned { .. }), "{error}");
        });
    }
}

#[test]
fn a_task_that_is_over_in_front_of_a_close_or_given_up_leaves_the_others_alone() {
    model(|| {
        let log = Log::new(false);
        let other = spawn(&log, |log| match log.append() {
            Ok(end) => Task::run(log, end, &|| ()),
            Err(_) => Ok(()),
        });
        let end = log.append().unwrap();
        let mut seat = None;
        let polled = log.commit.poll(end, &mut seat, Waker::noop(), || ());
        assert!(matches!(polled, Poll::Pending | Poll::Ready(Ok(()))));
        if let Some(seat) = seat {
            log.commit.leave(seat);
        }
        *log.end.lock() = None;
        log.flush().unwrap();
        log.commit.close(Error::new(ErrorKind::Closed));
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_wait_whose_time_is_over_leaves_the_others_alone() {
    model(|| {
        let log = Log::new(false);
        let timed = spawn(&log, |log| {
            let end = log.append().unwrap();
            let deadline = Deadline::after(Duration::ZERO);
            let result = log.commit.wait_timeout(end, deadline, || log.written.get(), || ());
            match result {
                Ok(()) => assert!(log.commit.durable() >= end),
                Err(error) => assert_eq!(*error.kind(), ErrorKind::TimedOut),
            }
        });
        let appender = spawn(&log, Log::append_durably);
        log.append_durably().unwrap();
        timed.join().unwrap();
        appender.join().unwrap().unwrap();
    });
}

/// A stream with one group, of which only counts matter.
struct Stream {
    list: Arc<WaitList>,
    published: Mark,
    /// How many entries the group has given out: its lock.
    given: Mutex<u64>,
    closed: AtomicBool,
}

impl Stream {
    fn new() -> Arc<Stream> {
        Arc::new(Stream {
            list: Arc::new(WaitList::new()),
            published: Mark::new(0),
            given: Mutex::new(0),
            closed: AtomicBool::new(false),
        })
    }

    fn publish(&self, end: u64) {
        // The one that appends to a log whose entries can be read at once.
        self.published.advance_alone(end);
        self.list.notify();
    }

    fn close(&self) {
        self.closed.store(true, Release);
        self.list.wake_all();
    }

    /// Takes one entry, and tells whether there are more.
    fn take(&self) -> Option<bool> {
        let mut given = self.given.lock();
        let published = self.published.get();
        if *given == published {
            return None;
        }
        *given += 1;
        Some(*given < published)
    }

    /// A blocking group read of one entry; `false` if the stream was closed or the time is over.
    fn read(&self, deadline: Deadline) -> bool {
        let waiter = Waiter::new();
        let mut registration = self.list.register(&waiter, GROUP);
        let mut may_look = registration.is_first();
        loop {
            if may_look {
                registration.look();
                let closed = self.closed.load(Acquire);
                if let Some(left) = self.take() {
                    // A close is for the next one as well.
                    registration.served(left || closed);
                    return true;
                }
                if closed {
                    return false;
                }
                registration.block();
            }
            match waiter.wait(deadline) {
                Wake::Woken => may_look = true,
                Wake::TimedOut => return false,
            }
        }
    }
}

fn read_in_thread(stream: &Arc<Stream>, deadline: Deadline) -> thread::JoinHandle<bool> {
    let stream = Arc::clone(stream);
    thread::spawn(move || stream.read(deadline))
}

#[test]
fn a_plain_reader_misses_no_publish() {
    model(|| {
        let stream = Stream::new();
        let reader = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let waiter = Waiter::new();
                let mut registration = stream.list.register(&waiter, Class::Reader);
                let mut listed = true;
                while stream.published.get() < 2 {
                    if !listed {
                        registration.look();
                        listed = true;
                        continue;
                    }
                    assert_eq!(waiter.wait(Deadline::NEVER), Wake::Woken);
                    listed = false;
                }
            })
        };
        stream.publish(1);
        stream.publish(2);
        reader.join().unwrap();
        assert!(stream.list.is_empty());
    });
}

/// The first wake makes the list lively, so the second read naps, or finds what came meanwhile.
#[test]
fn a_reader_that_naps_misses_no_publish() {
    model(|| {
        let stream = Stream::new();
        let reader = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                for next in 1..=2 {
                    let look = || Ok::<_, ()>((stream.published.get() >= next).then_some(()));
                    let (list, waiter) = (&[&stream.list], Waiter::new());
                    let count = || stream.published.get();
                    let found = notify::until(list, &waiter, Deadline::NEVER, count, look);
                    assert_eq!(found, Ok(Some(())));
                }
            })
        };
        stream.publish(1);
        stream.publish(2);
        reader.join().unwrap();
        assert!(stream.list.is_empty());
    });
}

#[test]
fn a_blocked_reader_misses_no_close() {
    model(|| {
        let stream = Stream::new();
        let readers = [(); 2].map(|()| read_in_thread(&stream, Deadline::NEVER));
        stream.close();
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [false, false]);
    });
}

#[test]
fn two_entries_reach_both_blocked_readers_of_a_group() {
    model(|| {
        let stream = Stream::new();
        let readers = [(); 2].map(|()| read_in_thread(&stream, Deadline::NEVER));
        stream.publish(1);
        stream.publish(2);
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [true, true]);
    });
}

#[test]
fn two_entries_of_one_publish_reach_both_blocked_readers_of_a_group() {
    model(|| {
        let stream = Stream::new();
        let readers = [(); 2].map(|()| read_in_thread(&stream, Deadline::NEVER));
        stream.publish(2);
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [true, true]);
    });
}

#[test]
fn one_entry_reaches_exactly_one_of_two_blocked_readers() {
    model(|| {
        let stream = Stream::new();
        let readers = [(); 2].map(|()| read_in_thread(&stream, Deadline::NEVER));
        stream.publish(1);
        stream.close();
        let [one, two] = readers.map(|reader| reader.join().unwrap());
        assert!(one != two);
        assert!(stream.list.is_empty());
    });
}

#[test]
fn a_reader_whose_time_is_over_takes_no_wake_up_with_it() {
    model(|| {
        let stream = Stream::new();
        let short = read_in_thread(&stream, Deadline::after(Duration::ZERO));
        let long = read_in_thread(&stream, Deadline::NEVER);
        stream.publish(1);
        // The long one gets the entry, or the short one got it just in time: then one more.
        if short.join().unwrap() {
            stream.publish(2);
        }
        assert!(long.join().unwrap());
    });
}

#[test]
fn a_reader_of_two_streams_starves_nobody_on_either() {
    model(|| {
        let streams = [Stream::new(), Stream::new()];
        let both = streams.clone();
        let reader = thread::spawn(move || {
            let waiter = Waiter::new();
            let mut places = both.each_ref().map(|s| s.list.register(&waiter, GROUP));
            let mut may_look = places.iter().any(Registration::is_first);
            loop {
                if may_look {
                    places.iter_mut().for_each(Registration::look);
                    let taken = both.each_ref().map(|stream| stream.take());
                    if taken.iter().any(Option::is_some) {
                        for (place, taken) in places.into_iter().zip(taken) {
                            place.served(taken == Some(true));
                        }
                        return;
                    }
                    places.iter_mut().for_each(Registration::block);
                }
                may_look = waiter.wait(Deadline::NEVER) == Wake::Woken;
            }
        });
        let [one, two] = &streams;
        let other = read_in_thread(two, Deadline::NEVER);
        one.publish(1);
        // Two entries: the reader of both takes at most one of them.
        two.publish(2);
        reader.join().unwrap();
        assert!(other.join().unwrap());
    });
}

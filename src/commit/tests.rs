//! The commit with real threads. Interleavings are the business of `tests/loom.rs`.
#![allow(clippy::unwrap_used)]

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn poisoned_cause(result: Result<()>) -> String {
    match result.unwrap_err().kind() {
        ErrorKind::Poisoned { cause } => cause.clone(),
        other => panic!("{other:?}"),
    }
}

fn never(_: u64) -> Result<()> {
    panic!("nothing is left to sync")
}

fn full(_: u64) -> Result<()> {
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    Err(Error::io("sync", Path::new("7.seg"), source))
}

#[test]
fn a_mark_never_goes_back() {
    let mark = Mark::new(7);
    mark.advance_to(3);
    assert_eq!(mark.get(), 7);
    mark.advance_to(9);
    assert_eq!(mark.get(), 9);
}

#[test]
fn what_is_durable_needs_no_sync() {
    let commit = Commit::new(10);
    commit.wait(10, || 20, never, drop).unwrap();
    commit.wait_timeout(9, Deadline::NEVER, || 20, || panic!()).unwrap();
}

#[test]
fn what_is_written_during_the_sync_is_not_called_durable() {
    let commit = Commit::new(0);
    let written = Mark::new(5);
    let sync = |target| {
        assert_eq!(target, 5);
        written.advance_to(8);
        Ok(())
    };
    commit.wait(3, || written.get(), sync, drop).unwrap();
    assert_eq!(commit.durable(), 5);
}

#[test]
fn an_entry_is_published_before_it_is_called_durable() {
    let commit = Commit::new(0);
    let published = Mark::new(0);
    let done = |target| {
        assert_eq!(commit.durable(), 0);
        published.advance_to(target);
    };
    commit.sync_now(|| 4, |_| Ok(()), done).unwrap();
    assert_eq!((commit.durable(), published.get()), (4, 4));
}

#[test]
fn a_position_that_nobody_wrote_cannot_be_waited_for() {
    let commit = Commit::new(0);
    commit.wait(100, || 4, |_| Ok(()), drop).unwrap();
    assert_eq!(commit.durable(), 4);
    commit.wait(100, || 4, never, drop).unwrap();
}

#[test]
fn all_who_write_during_one_sync_share_the_next() {
    const WRITERS: u64 = 7;
    let commit = Commit::new(0);
    let written = Mark::new(1);
    let syncs = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for position in 2..2 + WRITERS {
            let (commit, written, syncs, tell) = (&commit, &written, &syncs, tell.clone());
            scope.spawn(move || {
                // Only once the first sync runs.
                while syncs.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
                written.advance_to(position);
                tell.send(()).unwrap();
                let sync = |_| {
                    syncs.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                };
                commit.wait(position, || written.get(), sync, drop).unwrap();
                assert!(commit.durable() >= position);
            });
        }
        let sync = |_| {
            syncs.fetch_add(1, Ordering::SeqCst);
            for _ in 0..WRITERS {
                told.recv().unwrap();
            }
            Ok(())
        };
        commit.wait(1, || written.get(), sync, drop).unwrap();
    });
    assert_eq!(syncs.load(Ordering::SeqCst), 2);
    assert_eq!(commit.durable(), 1 + WRITERS);
}

#[test]
fn every_append_returns_durable_and_published_under_contention() {
    const THREADS: u64 = 4;
    const APPENDS: u64 = 500;
    let commit = Commit::new(0);
    let (written, published) = (Mark::new(0), Mark::new(0));
    let on_disk = Mark::new(0);
    let writer = Mutex::new(0);
    let append = || {
        let mut end = writer.lock();
        *end += 1;
        written.advance_to(*end);
        *end
    };
    let sync = |target| {
        on_disk.advance_to(target);
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..APPENDS {
                    let end = append();
                    let done = |target| published.advance_to(target);
                    commit.wait(end, || written.get(), sync, done).unwrap();
                    let durable = commit.durable();
                    assert!(durable >= end && published.get() >= end);
                    assert!(on_disk.get() >= durable);
                }
            });
        }
    });
    assert_eq!(commit.durable(), THREADS * APPENDS);
}

#[test]
fn a_failed_sync_poisons_even_if_only_the_disk_is_full() {
    let commit = Commit::new(3);
    let cause = poisoned_cause(commit.wait(5, || 6, full, |_| panic!("nothing is done")));
    assert!(cause.contains("7.seg"), "{cause}");
    assert_eq!(commit.durable(), 3);
    commit.wait(3, || 6, never, drop).unwrap();
    assert_eq!(poisoned_cause(commit.wait(4, || 6, never, drop)), cause);
    assert_eq!(poisoned_cause(commit.wait_timeout(4, Deadline::NEVER, || 6, || panic!())), cause);
    commit.set_durable(6);
    assert_eq!(commit.durable(), 3);
    let first = commit.poisoned().unwrap();
    // A full disk is no reason to go on: what the sync should have written is gone.
    assert_eq!(*first.kind(), ErrorKind::Io { op: "sync" });
}

#[test]
fn the_first_cause_is_kept_and_not_wrapped_twice() {
    let commit = Commit::new(0);
    let store = Error::new(ErrorKind::Poisoned { cause: "the journal".to_owned() });
    commit.poison(store);
    commit.poison(Error::new(ErrorKind::Open));
    assert_eq!(poisoned_cause(commit.wait(1, || 1, never, drop)), "the journal");
}

#[test]
fn poison_from_outside_makes_a_running_sync_count_for_nothing() {
    let commit = Commit::new(0);
    let sync = |_| {
        commit.poison(Error::new(ErrorKind::Io { op: "sync the directory" }));
        Ok(())
    };
    let cause = poisoned_cause(commit.wait(2, || 2, sync, |_| panic!("nothing is done")));
    assert!(cause.contains("directory"), "{cause}");
    assert_eq!(commit.durable(), 0);
}

/// Runs a leader that has a follower and panics as told; returns what the follower got.
fn follower_of_a_panic(in_sync: bool) -> Result<()> {
    let commit = Commit::new(0);
    let (begun, leads) = mpsc::channel();
    thread::scope(|scope| {
        let commit = &commit;
        let follower = scope.spawn(move || {
            leads.recv().unwrap();
            commit.wait(1, || 1, never, drop)
        });
        let sync = |_| {
            begun.send(()).unwrap();
            assert!(!in_sync, "planned");
            Ok(())
        };
        let lead = || commit.wait(1, || 1, sync, |_| panic!("planned"));
        catch_unwind(AssertUnwindSafe(lead)).unwrap_err();
        follower.join().unwrap()
    })
}

#[test]
fn a_leader_that_panics_poisons_and_wakes() {
    assert!(poisoned_cause(follower_of_a_panic(true)).contains("panicked"));
    assert!(poisoned_cause(follower_of_a_panic(false)).contains("panicked"));
}

#[test]
fn a_timed_wait_asks_for_a_sync_and_is_over_in_time() {
    let commit = Commit::new(0);
    let asked = AtomicUsize::new(0);
    let ask = || {
        asked.fetch_add(1, Ordering::SeqCst);
    };
    let deadline = Deadline::after(Duration::ZERO);
    let error = commit.wait_timeout(1, deadline, || 1, ask).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TimedOut);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(commit.poisoned().is_none());
}

#[test]
fn a_wait_of_unlimited_time_is_ended_by_the_worker() {
    let commit = Commit::new(0);
    let (ask, asked) = mpsc::channel();
    thread::scope(|scope| {
        let commit = &commit;
        scope.spawn(move || {
            asked.recv().unwrap();
            commit.sync_now(|| 1, |_| Ok(()), drop).unwrap();
        });
        let deadline = Deadline::after(Duration::MAX);
        commit.wait_timeout(1, deadline, || 1, || ask.send(()).unwrap()).unwrap();
    });
}

#[test]
fn a_closed_commit_starts_no_sync_but_ends_the_running_one() {
    let commit = Commit::new(0);
    let sync = |_| {
        commit.close(Error::new(ErrorKind::Closed));
        let late = commit.wait(2, || 2, never, drop).unwrap_err();
        assert_eq!(*late.kind(), ErrorKind::Closed);
        Ok(())
    };
    commit.wait(1, || 1, sync, drop).unwrap();
    assert_eq!(commit.durable(), 1);
    let late = commit.wait(2, || 2, never, drop).unwrap_err();
    assert_eq!(*late.kind(), ErrorKind::Closed);
}

#[test]
fn what_became_durable_by_other_means_ends_a_wait() {
    let commit = Commit::new(0);
    thread::scope(|scope| {
        let ask = || {
            scope.spawn(|| commit.set_durable(1));
        };
        commit.wait_timeout(1, Deadline::NEVER, || 1, ask).unwrap();
    });
}

//! Invariant 1, its exception: XSETID may lower the last ID. The log is restarted for that, and the
//! other invariants hold over it.

use super::disk::{EIO, ENOSPC, FaultDisk};
use super::ground::{
    FIRST, JOURNAL, at_once, deliver, die, error, id, is_full, open, open_with, options, place,
    put, seen, segment, try_put,
};
use crate::{AppendOptions, Durability, EntryId, ErrorKind, OnDamage, Store, Stream, Trim};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

/// A stream whose entries 1 to 150, in several segments, were all trimmed; durably.
fn emptied(disk: &FaultDisk, level: Durability) -> (Store, Stream) {
    let store = open(disk, level);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..151);
    assert!(stream.info().unwrap().segments > 2);
    stream.trim(Trim::max_len(0)).unwrap();
    store.sync().unwrap();
    (store, stream)
}

/// A stream in which 1 to 5 live, and 6 to 150 were deleted, which is forgotten; durably.
fn half_dead(disk: &FaultDisk, level: Durability) -> (Store, Stream) {
    let store = open(disk, level);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..151);
    stream.delete((6..151).map(id)).unwrap();
    stream.set_id(id(150), None, Some(id(5))).unwrap();
    store.sync().unwrap();
    (store, stream)
}

type Made = fn(&FaultDisk, Durability) -> (Store, Stream);
/// Each with what lives, and the ID to which it goes back.
const MADE: [(Made, &[u64], u64); 2] = [(emptied, &[], 70), (half_dead, &[1, 2, 3, 4, 5], 5)];

fn back(stream: &Stream, to: u64) {
    stream.set_id(id(to), None, None).unwrap();
}

/// Another thread makes a call meanwhile.
fn beside<T: Send + 'static>(
    stream: &Stream,
    call: impl FnOnce(&Stream) -> T + Send + 'static,
) -> JoinHandle<T> {
    let stream = stream.clone();
    std::thread::spawn(move || call(&stream))
}

fn reopen(disk: &FaultDisk, level: Durability) -> (Store, Stream) {
    let store = open(disk, level);
    let stream = store.stream("s").unwrap();
    assert!(store.recovery().streams[0].gaps.is_empty());
    (store, stream)
}

fn files(disk: &FaultDisk) -> usize {
    disk.list(Path::new("/store/streams/1")).len()
}

fn all(live: &[u64], more: impl IntoIterator<Item = u64>) -> Vec<u64> {
    live.iter().copied().chain(more).collect()
}

/// Fails if `StreamState::apply` (src/state.rs) keeps the trim of before with `SetBack`, if `build`
/// (src/storage/recover/build.rs) does not cut off what lies above, or if
/// `Segment::deleted_ordinals` (src/storage/segment.rs) gives a checkpoint what a restart cut off.
pub(crate) fn invariant_01_a_lowered_last_id_and_what_came_after_it_last() {
    for level in [Durability::Manual, Durability::Always] {
        for (made, live, to) in MADE {
            let disk = FaultDisk::new();
            let (store, stream) = made(&disk, level);
            back(&stream, to);
            put(&stream, to + 1..to + 9);
            stream.delete([id(to + 3)]).unwrap();
            let more = || (to + 1..to + 9).filter(|ms| *ms != to + 3);
            assert_eq!(seen(&stream), all(live, more()));
            store.sync().unwrap();
            die(store);
            let disk = disk.power_cut();
            // As records tell it; as the checkpoint of an open does, which knows no frames; as one
            // does that goes by the frames.
            for round in 0..3 {
                let (store, stream) = reopen(&disk, level);
                assert_eq!(seen(&stream), all(live, more()), "round {round}");
                let info = stream.info().unwrap();
                assert_eq!((info.last_id, info.entries_added), (id(to + 8), 158));
                assert_eq!(info.length, live.len() as u64 + 7);
                if round == 1 {
                    store.step_checkpoint().unwrap();
                }
                die(store);
            }
        }
    }
}

/// Fails if `Wanted::events` (src/stream/set_id.rs) does not record the trim, or only what
/// `StreamState::recorded` does not have: that counts frames that an earlier life left.
pub(crate) fn invariant_01_a_trim_outlasts_the_frame_that_says_it_when_the_log_is_restarted() {
    for level in [Durability::Manual, Durability::Always] {
        for lives in [1, 2] {
            let disk = FaultDisk::new();
            let store = open(&disk, level);
            let stream = store.stream("s").unwrap();
            put(&stream, 1..151);
            store.sync().unwrap();
            // The footer of the segment that is kept knows nothing of the trim.
            store.step_prepare().unwrap();
            let options = AppendOptions::new().id(id(151)).trim(Trim::min_id(id(3)));
            stream.append_with([("v", "151")], options).unwrap();
            stream.delete((6..152).map(id)).unwrap();
            stream.set_id(id(151), None, Some(id(5))).unwrap();
            store.sync().unwrap();
            let (store, stream) = match lives {
                1 => (store, stream),
                _ => {
                    die(store);
                    reopen(&disk, level)
                }
            };
            assert_eq!(seen(&stream), [3, 4, 5]);
            back(&stream, 5);
            store.sync().unwrap();
            die(store);
            let disk = disk.power_cut();
            for round in 0..3 {
                let (store, stream) = reopen(&disk, level);
                assert_eq!(seen(&stream), [3, 4, 5], "{level:?}, life {lives}, round {round}");
                assert_eq!(stream.info().unwrap().last_id, id(5));
                if round == 1 {
                    store.step_checkpoint().unwrap();
                }
                die(store);
            }
        }
    }
}

/// Fails if `Recovery::decided` (src/storage/recover/restart.rs) believes a restart that the journal
/// does not name.
pub(crate) fn invariant_01_a_restart_without_its_record_has_not_taken_place() {
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        back(&stream, to);
        put(&stream, to + 1..to + 9);
        // The new segment is on disk with all that is in it, and the record is not.
        disk.fail("sync", JOURNAL, EIO);
        assert!(store.sync().is_err());
        die(store);
        let disk = disk.power_cut();
        for (round, next) in [(0, 151), (1, 152)] {
            let (store, stream) = reopen(&disk, Durability::Manual);
            assert_eq!(seen(&stream), all(live, 151..next), "round {round}");
            assert_eq!(store.recovery().streams[0].set_aside.len(), 1);
            assert!(try_put(&stream, next - 1).is_err());
            put(&stream, [next]);
            store.sync().unwrap();
            die(store);
        }
        // And it can take place afterwards.
        let (store, stream) = reopen(&disk, Durability::Manual);
        stream.delete([id(151), id(152)]).unwrap();
        stream.set_id(id(152), None, Some(id(to))).unwrap();
        back(&stream, to);
        put(&stream, [to + 1]);
        store.sync().unwrap();
        die(store);
        let (_, stream) = reopen(&disk.power_cut(), Durability::Manual);
        assert_eq!(seen(&stream), all(live, [to + 1]));
    }
}

/// Fails if `StreamInner::set_back` (src/stream/set_id.rs) does not sync what the restart goes on
/// from, or `Log::make_restart` (src/storage/log/restart.rs) not the new segment: then the journal
/// can be ahead of the log.
pub(crate) fn invariant_01_a_restart_is_on_disk_before_its_record() {
    let unsynced: Made = |disk, level| {
        let store = open(disk, level);
        let stream = store.stream("s").unwrap();
        store.sync().unwrap();
        put(&stream, 1..9);
        stream.delete((6..9).map(id)).unwrap();
        stream.set_id(id(150), None, Some(id(5))).unwrap();
        (store, stream)
    };
    for (made, live, to) in MADE.into_iter().chain([(unsynced, MADE[1].1, 5)]) {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        back(&stream, to);
        // The system may write the journal's bytes at any time: the record lasts, and nothing else
        // that was not synced.
        let cut = disk.power_cut();
        for path in disk.list(Path::new("/store/state")) {
            cut.scribble(&path, 0, &disk.bytes(&path));
        }
        die(store);
        let (_, stream) = reopen(&cut, Durability::Manual);
        assert_eq!(seen(&stream), live);
        assert_eq!(stream.info().unwrap().last_id, id(to));
        put(&stream, [to + 1]);
        assert_eq!(seen(&stream), all(live, [to + 1]));
    }
}

/// Fails if `StreamInner::set_back` (src/stream/set_id.rs) keeps a lock while it syncs.
pub(crate) fn invariant_10_no_lock_is_held_while_a_restart_is_synced() {
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        disk.hold("sync", FIRST);
        let setting = beside(&stream, move |stream| stream.set_id(id(to), None, None));
        disk.wait_held();
        let other = stream.clone();
        let (before, got) = at_once("calls beside XSETID", move || {
            let before = seen(&other);
            put(&other, [151]);
            (before, deliver(&other, "g").unwrap())
        });
        assert_eq!((before.as_slice(), got), (live, all(live, [151])));
        disk.let_go();
        // The entry that came meanwhile is in the way.
        let kind = error(setting.join().unwrap()).kind().clone();
        assert!(matches!(kind, ErrorKind::SetIdTooSmall { .. }), "{kind:?}");
        assert_eq!(seen(&stream), all(live, [151]));
        let before = files(&disk);
        put(&stream, [152]);
        store.sync().unwrap();
        die(store);
        let (store, stream) = reopen(&disk.power_cut(), Durability::Manual);
        assert_eq!(seen(&stream), all(live, [151, 152]));
        // What was made for the restart is not left behind.
        assert_eq!(store.recovery().streams[0].set_aside, Vec::<std::path::PathBuf>::new());
        assert_eq!(files(&disk), before);
    }
}

/// Fails if `StreamInner::set_back` (src/stream/set_id.rs) restarts the log with the segment that it
/// has made though that does not fit any more.
pub(crate) fn invariant_01_what_changes_while_a_restart_is_made_is_not_forgotten() {
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        // Where the log is being synced, XSETID would wait for that.
        disk.hold("rename", ".seg");
        let setting = beside(&stream, move |stream| stream.set_id(id(to), None, None));
        disk.wait_held();
        let other = stream.clone();
        at_once("calls beside XSETID", move || {
            put(&other, [151]);
            other.delete([id(151)]).unwrap();
            other.set_id(id(151), None, Some(id(to))).unwrap();
        });
        disk.let_go();
        setting.join().unwrap().unwrap();
        put(&stream, [to + 1]);
        store.sync().unwrap();
        die(store);
        let (_, stream) = reopen(&disk.power_cut(), Durability::Manual);
        assert_eq!(seen(&stream), all(live, [to + 1]));
        let info = stream.info().unwrap();
        assert_eq!((info.entries_added, info.length), (152, live.len() as u64 + 1));
    }
}

/// Fails if `StreamInner::set_back` (src/stream/set_id.rs) lets appends go on in the new segment
/// before the record is durable.
pub(crate) fn invariant_02_under_always_nobody_reads_behind_a_restart_that_may_be_undone() {
    let disk = FaultDisk::new();
    let (store, stream) = emptied(&disk, Durability::Always);
    disk.hold("sync", JOURNAL);
    let setting = beside(&stream, |stream| stream.set_id(id(70), None, None));
    disk.wait_held();
    let appending = beside(&stream, |stream| try_put(stream, 71));
    for _ in 0..50 {
        let reader = stream.clone();
        assert!(at_once("a read", move || seen(&reader)).is_empty());
        std::thread::sleep(Duration::from_millis(1));
    }
    let (other, cut) = reopen(&disk.power_cut(), Durability::Always);
    assert_eq!(cut.info().unwrap().last_id, id(150));
    die(other);
    disk.let_go();
    setting.join().unwrap().unwrap();
    appending.join().unwrap().unwrap();
    assert_eq!(seen(&stream), [71]);
    die(store);
    let (_, stream) = reopen(&disk.power_cut(), Durability::Always);
    assert_eq!(seen(&stream), [71]);
}

/// Fails if `Restart::finish` (src/storage/log/restart.rs) goes on in the new segment without giving
/// the log its descriptor and map again, which it gave up when it came to rest in between.
pub(crate) fn invariant_02_a_log_that_rests_while_it_is_restarted_syncs_what_comes() {
    let disk = FaultDisk::new();
    let (store, stream) = emptied(&disk, Durability::Always);
    disk.hold("sync", JOURNAL);
    let setting = beside(&stream, |stream| stream.set_id(id(70), None, None));
    disk.wait_held();
    assert!(store.shared().rest_all());
    disk.let_go();
    setting.join().unwrap().unwrap();
    put(&stream, [71]);
    die(store);
    let (_, stream) = reopen(&disk.power_cut(), Durability::Always);
    assert_eq!(seen(&stream), [71]);
}

/// Fails if `Recovery::find_restart` (src/storage/recover/restart.rs) leaves what is trimmed, or
/// `StreamInner::settle_state` (src/stream/recovery.rs) what is deleted, as it was before a restart
/// that the segments tell; or if `StreamState::dump` (src/state.rs) forgets that nobody is sure.
pub(crate) fn invariant_04_a_restart_whose_record_is_lost_hides_nothing() {
    let journal = |disk: &FaultDisk| {
        let files = disk.list(Path::new("/store/state"));
        files.into_iter().map(|path| (disk.bytes(&path), path)).collect::<Vec<_>>()
    };
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        let before = journal(&disk);
        back(&stream, to);
        let records = before.into_iter().zip(journal(&disk)).find_map(|((before, _), now)| {
            let at = before.iter().zip(&now.0).position(|(a, b)| a != b)?;
            Some((now.1, at as u64))
        });
        put(&stream, to + 1..to + 9);
        store.sync().unwrap();
        // A later record tells that this one was durable.
        deliver(&stream, "g").unwrap();
        store.sync().unwrap();
        die(store);
        let disk = disk.power_cut();
        let (path, at) = records.unwrap();
        disk.scribble(&path, at, &[0xee; 16]);
        let skip = options(Durability::Manual).on_damage(OnDamage::Skip);
        // The first one writes down that nobody is sure, and does not look at the stream.
        let store = open_with(&disk, &skip).unwrap();
        assert_eq!(store.recovery().lost, [b"s"]);
        store.step_checkpoint().unwrap();
        die(store);
        for round in 0..2 {
            let store = open_with(&disk, &skip).unwrap();
            let stream = store.stream("s").unwrap();
            assert_eq!(seen(&stream), all(live, to + 1..to + 9), "round {round}");
            die(store);
        }
    }
}

/// Fails if `appended` (src/stream/api.rs), `wait_durable` or `durable_id` (src/stream/durable.rs)
/// leave out the record that the entries rest on.
pub(crate) fn invariant_07_what_is_durable_behind_a_restart_has_its_record() {
    type Durable = fn(&Stream);
    let ways: [Durable; 3] = [
        |stream| {
            let options = AppendOptions::new().id(id(71)).durable();
            stream.append_with([("v", "71")], options).unwrap();
        },
        |stream| {
            put(stream, [71]);
            assert_eq!(stream.durable_id().unwrap(), EntryId::MIN);
            stream.wait_durable(id(71)).unwrap();
        },
        |stream| {
            put(stream, [71]);
            stream.sync().unwrap();
        },
    ];
    for durable in ways {
        let disk = FaultDisk::new();
        let (store, stream) = emptied(&disk, Durability::Manual);
        back(&stream, 70);
        durable(&stream);
        assert_eq!(stream.durable_id().unwrap(), id(71));
        die(store);
        let (_, stream) = reopen(&disk.power_cut(), Durability::Manual);
        assert_eq!(seen(&stream), [71]);
    }
}

/// Fails if `StreamInner::maintain_log` (src/stream/care.rs) unlinks what a restart left behind before
/// its record is durable, or never; or if `Recovery::clear_away` (src/storage/recover/restart.rs)
/// leaves it in place.
pub(crate) fn invariant_08_what_a_restart_left_behind_is_unlinked_once_it_is_durable() {
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        let snapshot = stream.snapshot().unwrap();
        back(&stream, to);
        let many = files(&disk);
        disk.fail("sync", JOURNAL, EIO);
        disk.take_calls();
        assert!(store.step_prepare().is_err());
        assert_eq!(place(&disk.take_calls(), "remove", FIRST), None);
        die(store);
        let (store, stream) = reopen(&disk.power_cut(), Durability::Manual);
        assert_eq!(stream.info().unwrap().last_id, id(150));
        assert_eq!(seen(&stream), live);
        drop(snapshot);
        die(store);

        // Once more, and the record lasts.
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        let snapshot = stream.snapshot().unwrap();
        back(&stream, to);
        put(&stream, [to + 1]);
        store.sync().unwrap();
        let crashed = disk.power_cut();
        store.step_prepare().unwrap();
        assert!(files(&disk) < many && files(&disk) <= 2, "{} files", files(&disk));
        let ids = snapshot.range(..).map(|entry| entry.unwrap().id().ms);
        assert_eq!(ids.collect::<Vec<_>>(), live);
        die(store);
        let (store, stream) = reopen(&disk.power_cut(), Durability::Manual);
        assert_eq!(seen(&stream), all(live, [to + 1]));
        die(store);
        // A life that ended before that leaves it to the next one.
        assert!(files(&crashed) > 3);
        let (store, stream) = reopen(&crashed, Durability::Manual);
        assert_eq!(seen(&stream), all(live, [to + 1]));
        assert!(files(&crashed) <= 2, "{} files", files(&crashed));
        assert!(store.recovery().streams[0].set_aside.is_empty());
    }
}

/// Fails if `StreamInner::take_trimmed` (src/stream/care.rs) takes segments by a trim of before a restart.
pub(crate) fn invariant_08_a_trim_of_before_a_restart_takes_nothing_of_after() {
    let disk = FaultDisk::new();
    let (store, stream) = emptied(&disk, Durability::Manual);
    disk.hold("sync", JOURNAL);
    let preparing = {
        let store = store.clone();
        std::thread::spawn(move || store.step_prepare())
    };
    disk.wait_held();
    back(&stream, 70);
    put(&stream, 71..145);
    assert!(stream.info().unwrap().segments > 1);
    // All of that is on disk, but for the record.
    disk.take_calls();
    let syncing = {
        let store = store.clone();
        std::thread::spawn(move || store.sync())
    };
    let last = format!("{:010}", files(&disk) - 1);
    let mut calls = Vec::new();
    while place(&calls, "sync", &last).is_none() {
        std::thread::sleep(Duration::from_millis(1));
        calls.extend(disk.take_calls());
    }
    disk.let_go();
    preparing.join().unwrap().unwrap();
    syncing.join().unwrap().unwrap();
    assert_eq!(seen(&stream), (71..145).collect::<Vec<_>>());
    die(store);
    let (_, stream) = reopen(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&stream), (71..145).collect::<Vec<_>>());
}

/// Fails if `StreamInner::seal` (src/stream.rs) seals a segment in front of a restart whose record is
/// not durable: without that the segment is the last one, and a sealed one has a successor.
pub(crate) fn invariant_04_a_segment_in_front_of_a_restart_is_sealed_with_its_record() {
    let disk = FaultDisk::new();
    let every = Duration::from_secs(3_600);
    let level = Durability::Interval { every, max_unsynced_bytes: 200 };
    let store = open(&disk, level);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..9);
    stream.delete((6..9).map(id)).unwrap();
    stream.set_id(id(8), None, Some(id(5))).unwrap();
    store.sync().unwrap();
    back(&stream, 5);
    // Appends sync the log by themselves, and not the journal.
    put(&stream, 6..20);
    store.step_prepare().unwrap();
    die(store);
    let cut = disk.power_cut();
    let (store, stream) = reopen(&cut, level);
    assert_eq!(seen(&stream), [1, 2, 3, 4, 5]);
    assert_eq!(stream.info().unwrap().last_id, id(8));
    die(store);

    // With the record it is sealed, and says where it ends.
    let store = open(&cut, level);
    let stream = store.stream("s").unwrap();
    back(&stream, 5);
    put(&stream, 6..9);
    store.sync().unwrap();
    store.step_prepare().unwrap();
    assert!(store.verify().unwrap().is_whole());
    die(store);
    let (store, stream) = reopen(&cut.power_cut(), level);
    assert_eq!(seen(&stream), (1..9).collect::<Vec<_>>());
    // All but the sealed one: the restart that did not last, and the one that did.
    assert_eq!(store.recovery().streams[0].scanned_segments, 2);
}

/// Fails if `Recovery::check_restart` (src/storage/recover/restart.rs) does not miss the segments.
pub(crate) fn invariant_04_a_restart_that_is_missing_is_damage() {
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        let number = files(&disk) as u64;
        back(&stream, to);
        put(&stream, [to + 1]);
        store.sync().unwrap();
        die(store);
        let disk = disk.power_cut();
        let lost = segment(1, number);
        let len = disk.bytes(&lost).len();
        disk.scribble(&lost, 0, &vec![0; len]);
        crate::storage::disk::Disk::remove_file(&disk, &lost).unwrap();
        let store = open(&disk, Durability::Manual);
        let refused = error(store.stream("s"));
        assert!(refused.is_corruption(), "{refused}");
        assert!(refused.to_string().contains("set back"), "{refused}");
        die(store);
        let skip = options(Durability::Manual).on_damage(OnDamage::Skip);
        let store = open_with(&disk, &skip).unwrap();
        let stream = store.stream("s").unwrap();
        assert!(!store.recovery().streams[0].gaps.is_empty());
        assert!(seen(&stream).starts_with(live));
        put(&stream, [151]);
        store.sync().unwrap();
        die(store);
        // What goes on from there is whole again.
        let store = open_with(&disk.power_cut(), &skip).unwrap();
        assert!(seen(&store.stream("s").unwrap()).ends_with(&[151]));
    }
}

/// Fails if `StreamInner::set_back` (src/stream/set_id.rs) changes anything before it has the new
/// segment.
pub(crate) fn invariant_03_on_a_full_disk_the_last_id_stays() {
    for (made, live, to) in MADE {
        let disk = FaultDisk::new();
        let (store, stream) = made(&disk, Durability::Manual);
        disk.fail("allocate", FIRST, ENOSPC);
        let before = (format!("{:?}", stream.info().unwrap()), files(&disk));
        assert!(is_full(stream.set_id(id(to), None, None)));
        assert_eq!((format!("{:?}", stream.info().unwrap()), files(&disk)), before);
        put(&stream, [151]);
        assert_eq!(store.health().poisoned_streams, []);
        disk.heal();
        stream.delete([id(151)]).unwrap();
        stream.set_id(id(151), None, Some(id(to))).unwrap();
        back(&stream, to);
        put(&stream, [to + 1]);
        assert_eq!(seen(&stream), all(live, [to + 1]));
    }
}

/// Fails if `Appender::restart` (src/storage/log/restart.rs) leaves a segment in place that was
/// prepared before: its number is lower than that of the new one.
pub(crate) fn invariant_11_a_restart_throws_away_the_segment_that_was_prepared() {
    let disk = FaultDisk::new();
    let (store, stream) = emptied(&disk, Durability::Manual);
    let before = files(&disk);
    let last = (151..).find(|ms| {
        put(&stream, [*ms]);
        store.step_prepare().unwrap();
        files(&disk) > before
    });
    stream.trim(Trim::max_len(0)).unwrap();
    back(&stream, 70);
    put(&stream, 71..last.unwrap());
    assert!(stream.info().unwrap().segments > 2);
    store.sync().unwrap();
    die(store);
    let (store, stream) = reopen(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&stream), (71..last.unwrap()).collect::<Vec<_>>());
    assert!(store.recovery().streams[0].set_aside.is_empty());
}

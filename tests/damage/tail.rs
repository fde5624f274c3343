//! Torn tails: the log ends at the last whole frame, and nothing behind it ever comes back.

use crate::copy::died;
use crate::made::{
    assert_damage, end, error, flip, frames, ids, manual, overwrite, put, segments, small, stream,
    upto, used_segments,
};
use std::fs;
use std::path::Path;
use streamlog::{GroupReadOptions, Start, Store};

/// Entries 1 to 20 synced, 21 to 30 not, and the process is dead.
fn torn(damage: impl Fn(&Path)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let stream = store.stream_with("s", small()).unwrap();
    put(&stream, 1..=20);
    stream.sync().unwrap();
    put(&stream, 21..=30);
    let copy = died(dir.path());
    damage(&segments(copy.path(), 1)[0]);
    copy
}

fn report(store: &Store) -> streamlog::StreamRecovery {
    let mut streams = store.recovery().streams;
    assert_eq!(streams.len(), 1);
    streams.pop().unwrap()
}

/// Opens, checks the cut, appends, and checks over two more openings that the cut bytes stay where
/// they are and that no entry comes back.
fn cut_for_good(dir: &Path, last: u64, offset: u64, bytes: u64, frames_behind: bool) {
    let file = segments(dir, 1).remove(0);
    let before = fs::read(&file).unwrap();
    let mut want = upto(last);
    let store = manual().open(dir).unwrap();
    let s = stream(&store, "s");
    assert_eq!(ids(&s), want);
    let cut = report(&store).cut.unwrap();
    assert_eq!(cut.path, file);
    assert_eq!((cut.offset, cut.bytes), (offset, bytes));
    assert_eq!(cut.frames_behind, frames_behind);
    put(&s, 100..=110);
    want.extend(100..=110);
    assert_eq!(ids(&s), want);
    // Without a close, then with one.
    let copy = died(dir);
    let reopened = manual().open(copy.path()).unwrap();
    assert_eq!(ids(&stream(&reopened, "s")), want);
    assert_eq!(report(&reopened).cut, None);
    store.close().unwrap();
    for round in 0..2 {
        let store = manual().open(dir).unwrap();
        let s = stream(&store, "s");
        assert_eq!(ids(&s), want, "round {round}");
        assert_eq!(report(&store).cut, None, "round {round}");
        put(&s, 200 + round..=200 + round);
        want.push(200 + round);
        store.close().unwrap();
    }
    // A footer may have come behind the cut bytes; what was there was not touched.
    let after = fs::read(&file).unwrap();
    let torn = (offset + bytes) as usize;
    assert!(after[..torn] == before[..torn]);
}

#[test]
fn an_unclean_copy_keeps_every_entry_and_every_ack() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let s = store.stream_with("s", small()).unwrap();
    put(&s, 1..=300);
    let group = s.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let read = consumer.read(GroupReadOptions::new().count(50)).unwrap();
    assert_eq!(read.len(), 50);
    let acked: Vec<_> = read.ids().step_by(2).collect();
    assert_eq!(group.ack(acked.clone()).unwrap(), 25);
    put(&s, 301..=400);
    let left: Vec<_> = read.ids().filter(|id| !acked.contains(id)).collect();
    for round in 0..2 {
        let copy = died(dir.path());
        let store = manual().open(copy.path()).unwrap();
        let s = stream(&store, "s");
        assert_eq!(ids(&s), upto(400), "round {round}");
        let group = s.get_group("g").unwrap().unwrap();
        let all = streamlog::PendingFilter::new().count(1000);
        let pending = group.pending_range(.., all).unwrap();
        let pending: Vec<_> = pending.iter().map(|one| one.id).collect();
        assert_eq!(pending, left, "round {round}");
        let next = group.consumer("c").unwrap();
        let next = next.read(GroupReadOptions::new().count(1)).unwrap();
        assert_eq!(next.ids().next().unwrap().ms, 51);
        let report = store.recovery();
        assert_eq!((report.streams[0].cut.as_ref(), report.clamped.len()), (None, 0));
        assert_eq!(report.journal.cut, None);
        store.close().unwrap();
    }
}

#[test]
fn garbage_behind_the_last_frame_is_cut_and_named() {
    let copy = torn(|file| overwrite(file, end(file), &[0x5a; 100]));
    let offset = end(&segments(copy.path(), 1)[0]);
    cut_for_good(copy.path(), 30, offset, 100, false);
}

#[test]
fn half_a_frame_is_cut_and_named() {
    let copy = torn(|file| {
        let last = *frames(file).last().unwrap();
        let zeros = vec![0; (last.end - last.at - 16) as usize];
        overwrite(file, last.at + 16, &zeros);
    });
    let file = &segments(copy.path(), 1)[0];
    let last = *frames(file).last().unwrap();
    let bytes = fs::read(file).unwrap();
    let nonzero = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    cut_for_good(copy.path(), 29, last.at, nonzero - last.at, false);
}

#[test]
fn a_hole_of_zeros_above_the_durable_position_ends_the_log_before_it() {
    let copy = torn(|file| {
        let frames = frames(file);
        let lost = frames[frames.len() - 4];
        overwrite(file, lost.at, &vec![0; (lost.end - lost.at) as usize]);
    });
    let file = &segments(copy.path(), 1)[0];
    let bytes = fs::read(file).unwrap();
    let nonzero = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    // The frames behind the hole are whole, and are cut all the same.
    let lost = end(file);
    cut_for_good(copy.path(), 26, lost, nonzero - lost, true);
}

#[test]
fn a_tail_that_was_never_written_is_not_a_cut() {
    let copy = torn(|file| {
        let last = *frames(file).last().unwrap();
        overwrite(file, last.at, &vec![0; (last.end - last.at) as usize]);
    });
    let store = manual().open(copy.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(ids(&s), upto(29));
    assert_eq!(report(&store).cut, None);
    // The segment goes on.
    put(&s, 30..=31);
    assert_eq!(ids(&s), upto(31));
    assert_eq!(segments(copy.path(), 1).len(), 1);
}

#[test]
fn a_torn_frame_sets_the_segments_behind_it_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let s = store.stream_with("s", small()).unwrap();
    put(&s, 1..=5);
    s.sync().unwrap();
    put(&s, 6..=300);
    let copy = died(dir.path());
    let files = used_segments(copy.path(), 1);
    assert!(files.len() > 2);
    let torn = *frames(&files[0]).last().unwrap();
    flip(&files[0], torn.body());
    let store = manual().open(copy.path()).unwrap();
    let s = stream(&store, "s");
    let kept = ids(&s);
    assert_eq!(kept, upto(kept.len() as u64));
    let found = report(&store);
    let cut = found.cut.unwrap();
    assert_eq!((&cut.path, cut.offset), (&files[0], torn.at));
    assert_eq!(found.set_aside, files[1..]);
    assert!(files.iter().all(|file| file.exists()));
    // What was set aside never comes back, though the log goes on above it.
    put(&s, 1000..=1200);
    let want = ids(&s);
    store.close().unwrap();
    let store = manual().open(copy.path()).unwrap();
    assert_eq!(ids(&stream(&store, "s")), want);
    assert_eq!(report(&store).set_aside, files[1..]);
}

#[test]
fn a_clean_close_leaves_no_tail_to_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    put(&store.stream_with("s", small()).unwrap(), 1..=20);
    store.close().unwrap();
    let file = &segments(dir.path(), 1)[0];
    // The last entry; the frame that the close wrote lies behind it.
    let frames = frames(file);
    let last = frames[frames.len() - 2];
    flip(file, last.body());
    let store = manual().open(dir.path()).unwrap();
    let refused = error(store.get("s"));
    assert_damage(&refused, file, Some(last.at));
}

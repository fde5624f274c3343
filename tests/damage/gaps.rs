//! What damage costs when it is skipped: a record, or a block at most; everything else is there,
//! in both directions, and is counted.

use crate::copy::died;
use crate::made::{
    Frame, assert_damage, error, flip, frames, ids, manual, overwrite, put, segments, skipping,
    small, stream, upto, used_segments,
};
use std::fs;
use std::path::{Path, PathBuf};
use streamlog::{
    AppendOptions, EntryId, Gap, GroupReadOptions, NewEntries, Start, Store, Stream, Trim,
};

fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

/// A closed store whose stream `s` has entries 1 to `last` in blocks of ten, and its segments.
fn closed(last: u64) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    put(&store.stream_with("s", small()).unwrap(), 1..=last);
    store.close().unwrap();
    let files = used_segments(dir.path(), 1);
    (dir, files)
}

fn entries_of(path: &Path) -> Vec<Frame> {
    frames(path).into_iter().filter(|frame| frame.kind == 2).collect()
}

/// The entries, which must be the same from both ends and as many as the stream says.
pub(crate) fn checked(stream: &Stream) -> Vec<u64> {
    let found = ids(stream);
    let mut back: Vec<u64> = stream.range(..).rev().map(|e| e.unwrap().id().ms).collect();
    back.reverse();
    assert_eq!(found, back);
    assert_eq!(stream.len().unwrap(), found.len() as u64);
    for n in &found {
        assert_eq!(stream.get(id(*n)).unwrap().unwrap().id(), id(*n));
    }
    found
}

fn gaps(store: &Store) -> Vec<Gap> {
    store.recovery().streams[0].gaps.clone()
}

/// Opens twice, without and with an append and a close in between, and expects all but `lost`.
fn loses(dir: &Path, file: &Path, last: u64, lost: &[u64]) -> Gap {
    let before = fs::read(file).unwrap();
    let mut want: Vec<u64> = upto(last).into_iter().filter(|n| !lost.contains(n)).collect();
    let mut told = None;
    for round in 0..3 {
        let store = skipping().open(dir).unwrap();
        let s = stream(&store, "s");
        assert_eq!(checked(&s), want, "round {round}");
        let [gap] = &gaps(&store)[..] else {
            panic!("{:?}", gaps(&store));
        };
        assert_eq!(gap.path, file);
        assert_eq!(gap.entries, lost.len() as u64, "{gap:?}");
        assert_eq!(gap.after, id(lost[0] - 1));
        let next = want.iter().find(|n| **n > lost[0]).unwrap();
        assert_eq!(gap.before, id(*next), "{gap:?}");
        assert_eq!(told.get_or_insert_with(|| gap.clone()), gap, "round {round}");
        if round > 0 {
            let new = last + round;
            put(&s, new..=new);
            want.push(new);
            assert_eq!(checked(&s), want);
            store.close().unwrap();
        }
        assert!(fs::read(file).unwrap() == before, "it was written to");
    }
    told.unwrap()
}

/// Fails if `Walk::lose_body` gives up: then the rest of the block goes with it.
#[test]
fn a_damaged_body_costs_its_record_only() {
    // In a segment with a footer, and in the last one, which has none.
    for (n, file_no) in [(14, 0), (21, 0), (3, 1)] {
        let (dir, files) = closed(250);
        let file = &files[file_no];
        let first = if file_no == 0 { 1 } else { entries_of(&files[0]).len() as u64 + 1 };
        let hurt = entries_of(file)[n];
        flip(file, hurt.body() + 1);
        let gap = loses(dir.path(), file, 250, &[first + n as u64]);
        assert_eq!((gap.from, gap.to), (hurt.at, hurt.end));
    }
}

/// Fails if `Walk::state_at` does not look into the index.
#[test]
fn a_damaged_header_in_a_segment_with_a_footer_costs_its_record_only() {
    // The first two frames begin blocks.
    for n in [20, 0, 13, 19] {
        let (dir, files) = closed(250);
        let hurt = entries_of(&files[0])[n];
        assert_eq!(hurt.block, n % 10 == 0);
        flip(&files[0], hurt.at + 9);
        let (from, to) = (hurt.at, hurt.end);
        if n == 0 {
            // Nothing says what the ID before it was but the segment's own beginning.
            let store = skipping().open(dir.path()).unwrap();
            assert_eq!(checked(&stream(&store, "s")), (2..=250).collect::<Vec<_>>());
            assert_eq!((gaps(&store)[0].from, gaps(&store)[0].to), (from, to));
            continue;
        }
        let gap = loses(dir.path(), &files[0], 250, &[n as u64 + 1]);
        assert_eq!((gap.from, gap.to), (from, to));
    }
}

/// Fails if `Walk::state_at` goes on within a block without an index: an entry gets another ID.
#[test]
fn a_damaged_header_in_the_last_segment_costs_the_rest_of_its_block() {
    let (_dir, files) = closed(250);
    let first = entries_of(&files[0]).len() as u64 + 1;
    for n in [4, 20] {
        let (dir, files) = closed(250);
        let hurt = entries_of(&files[1])[n];
        flip(&files[1], hurt.at + 1);
        let next = (n / 10 + 1) * 10;
        let lost: Vec<u64> = (n..next).map(|n| first + n as u64).collect();
        let gap = loses(dir.path(), &files[1], 250, &lost);
        assert_eq!((gap.from, gap.to), (hurt.at, entries_of(&files[1])[next].at));
    }
}

/// Fails if `Walk::step_over` ends the log where no block follows.
#[test]
fn a_damaged_end_of_the_last_block_is_lost_and_stays_told() {
    let (dir, files) = closed(250);
    let file = files.last().unwrap();
    let hurt = entries_of(file).pop().unwrap();
    flip(file, hurt.at + 1);
    for last in [250, 251] {
        let store = skipping().open(dir.path()).unwrap();
        let s = stream(&store, "s");
        let mut want = upto(249);
        want.extend(251..=last);
        assert_eq!(checked(&s), want);
        let found = gaps(&store);
        assert_eq!((found.len(), found[0].from), (1, hurt.at));
        assert_eq!(found[0].after, id(249));
        if last == 250 {
            put(&s, 251..=251);
        }
        store.close().unwrap();
    }
    let refused = error(manual().open(dir.path()).unwrap().get("s"));
    assert_damage(&refused, file, Some(hurt.at));
}

/// Entries 1 to 3, then batches of four from 11, 21, ... in the same block.
fn batches(store: &Store) -> Vec<u64> {
    let options = small().segment_bytes(65536).block_entries(100);
    let s = store.stream_with("s", options).unwrap();
    put(&s, 1..=3);
    let mut all = upto(3);
    for ten in 1..=3 {
        let mut batch = NewEntries::new();
        for n in 1..=4 {
            batch.push_with(id(ten * 10 + n), [("n", (ten * 10 + n).to_string())]).unwrap();
            all.push(ten * 10 + n);
        }
        s.append_batch(&batch).unwrap();
        put(&s, ten * 10 + 9..=ten * 10 + 9);
        all.push(ten * 10 + 9);
    }
    all
}

/// Fails if `Walk::settle` does not count the entries behind the hole anew: then other entries
/// count as deleted.
#[test]
fn a_damaged_batch_costs_its_frame_and_deletions_stay_where_they_are() {
    for closed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = manual().open(dir.path()).unwrap();
        let mut want = batches(&store);
        let s = stream(&store, "s");
        put(&s, 100..=220);
        want.extend(100..=220);
        s.delete([id(2), id(22), id(29), id(34)]).unwrap();
        want.retain(|n| ![2, 22, 29, 34].contains(n));
        if closed {
            // Larger than what is left of the segment, so that this one is sealed.
            put(&s, 1000..=2500);
            want.extend(1000..=2500);
        }
        store.close().unwrap();
        let file = &segments(dir.path(), 1)[0];
        let hurt = *frames(file).iter().filter(|frame| frame.kind == 3).nth(1).unwrap();
        flip(file, hurt.body() + 5);
        want.retain(|n| !(21..=24).contains(n));
        for _ in 0..2 {
            let store = skipping().open(dir.path()).unwrap();
            assert_eq!(checked(&stream(&store, "s")), want, "{closed}");
            let found = gaps(&store);
            assert_eq!((found.len(), found[0].entries), (1, 4), "{closed}: {found:?}");
            assert_eq!((found[0].after, found[0].before), (id(19), id(29)));
            store.close().unwrap();
        }
    }
}

/// The turns of the journal files: the newest grows with every checkpoint.
fn turn(dir: &Path) -> u64 {
    let of = |n: u32| {
        let bytes = fs::read(dir.join(format!("state/{n}"))).unwrap();
        u64::from_le_bytes(bytes[40..48].try_into().unwrap())
    };
    (0..3).map(of).max().unwrap()
}

/// Fails if `settle_state` forgets the deletions that it found no entry for.
#[test]
fn a_deleted_entry_in_a_gap_stays_deleted_when_its_bytes_come_back() {
    let (dir, files) = closed(250);
    let store = manual().open(dir.path()).unwrap();
    stream(&store, "s").delete([id(17), id(40)]).unwrap();
    store.close().unwrap();
    let good = fs::read(&files[0]).unwrap();
    flip(&files[0], entries_of(&files[0])[16].body());
    let store = skipping().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(checked(&s).len(), 248);
    assert_eq!(gaps(&store).len(), 1);
    // Until the state is written anew, with the stream open.
    let before = turn(dir.path());
    let long = "x".repeat(250);
    while turn(dir.path()) == before {
        for _ in 0..1000 {
            s.create_group(&long, Start::First).unwrap();
            s.remove_group(&long).unwrap();
        }
    }
    store.close().unwrap();
    fs::write(&files[0], good).unwrap();
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(checked(&s).len(), 248);
    assert_eq!(s.get(id(17)).unwrap(), None);
}

/// Fails if `Recovery::join_older` does nothing.
#[test]
fn missing_segments_cost_their_entries_and_no_others() {
    let (_dir, files) = closed(900);
    let lasts: Vec<u64> = files
        .iter()
        .scan(0, |last, file| {
            *last += entries_of(file).len() as u64;
            Some(*last)
        })
        .collect();
    assert!(files.len() > 5);
    for missing in [1..2, 2..4, 0..1, 0..2] {
        let (dir, files) = closed(900);
        files[missing.clone()].iter().for_each(|file| fs::remove_file(file).unwrap());
        let refused = error(manual().open(dir.path()).unwrap().get("s"));
        assert_damage(&refused, &files[missing.end], None);
        let before = missing.start.checked_sub(1).map_or(0, |n| lasts[n]);
        let behind = lasts[missing.end - 1] + 1;
        let mut want: Vec<u64> = (1..=before).chain(behind..=900).collect();
        for round in 0..2 {
            let store = skipping().open(dir.path()).unwrap();
            let s = stream(&store, "s");
            assert_eq!(checked(&s), want, "{missing:?}");
            let [gap] = &gaps(&store)[..] else {
                panic!("{:?}", gaps(&store));
            };
            assert_eq!((&gap.path, gap.from, gap.to), (&files[missing.end], 0, 0));
            assert_eq!((gap.after, gap.before), (id(before), id(behind)));
            assert_eq!(gap.entries, behind - before - 1);
            assert_eq!(store.recovery().streams[0].set_aside.len(), 0);
            assert_eq!(s.info().unwrap().entries_added, 900 + round);
            put(&s, 901 + round..=901 + round);
            want.push(901 + round);
            store.close().unwrap();
        }
        let refused = error(manual().open(dir.path()).unwrap().get("s"));
        assert_damage(&refused, &files[missing.end], None);
    }
}

/// Cuts a segment of a closed stream short, in the middle of a frame.
fn cut_short(n: usize) {
    let (dir, files) = closed(250);
    let first = entries_of(&files[0]).len() as u64;
    let all = entries_of(&files[n]);
    let cut = all[all.len() / 2];
    let file = fs::OpenOptions::new().write(true).open(&files[n]).unwrap();
    file.set_len(cut.at + 20).unwrap();
    drop(file);
    let refused = error(manual().open(dir.path()).unwrap().get("s"));
    assert_damage(&refused, &files[n], Some(cut.at));
    let end = if n == 0 { first } else { 250 };
    let kept = n as u64 * first + all.len() as u64 / 2;
    let mut want: Vec<u64> = (1..=kept).chain(end + 1..=250).collect();
    for new in [251, 252] {
        let store = skipping().open(dir.path()).unwrap();
        let s = stream(&store, "s");
        assert_eq!(checked(&s), want);
        assert_eq!(gaps(&store).len(), 1);
        put(&s, new..=new);
        want.push(new);
        store.close().unwrap();
    }
}

/// Fails if `Segment::region` insists on a file that is as long as its frames.
#[test]
fn a_sealed_segment_that_was_cut_short_keeps_what_is_left() {
    cut_short(0);
}

/// Fails if `StreamInner::note_end` tells nothing.
#[test]
fn the_last_segment_that_was_cut_short_is_noticed() {
    cut_short(1);
}

/// Does something to the files of a closed stream, of which entries above `kept` are lost then.
fn loses_its_end(last: u64, kept: u64, harm: impl Fn(&[PathBuf])) {
    let (dir, files) = closed(last);
    harm(&files);
    let mut want = upto(kept);
    for new in [last + 1, last + 2, last + 3] {
        let refused = error(manual().open(dir.path()).unwrap().get("s"));
        assert_damage(&refused, refused.location().unwrap().0, refused.location().unwrap().1);
        assert!(refused.location().unwrap().0.starts_with(dir.path().join("streams/1")));
        let store = skipping().open(dir.path()).unwrap();
        let s = stream(&store, "s");
        assert_eq!(checked(&s), want);
        let [gap] = &gaps(&store)[..] else {
            panic!("{:?}", gaps(&store));
        };
        assert!(gap.path.starts_with(dir.path().join("streams/1")));
        assert_eq!(gap.after, id(kept));
        assert_eq!(gap.before, want.get(kept as usize).map_or(EntryId::MAX, |n| id(*n)));
        put(&s, new..=new);
        want.push(new);
        assert_eq!(checked(&s), want);
        store.close().unwrap();
    }
}

/// Fails if `Recovery::check_empty` finds nothing to say.
#[test]
fn a_stream_without_any_segment_is_no_empty_one() {
    loses_its_end(50, 0, |files| fs::remove_file(&files[0]).unwrap());
    loses_its_end(250, 0, |files| files.iter().for_each(|file| fs::remove_file(file).unwrap()));
}

/// Fails if `check_last` lets the log go on where the last segment that is left ends.
#[test]
fn missing_segments_at_the_end_stay_told() {
    let (_dir, files) = closed(500);
    let kept = files[..files.len() - 1].iter().map(|file| entries_of(file).len() as u64).sum();
    loses_its_end(500, kept, |files| fs::remove_file(files.last().unwrap()).unwrap());
    let kept = entries_of(&files[0]).len() as u64;
    loses_its_end(500, kept, |files| {
        files[1..].iter().for_each(|file| fs::remove_file(file).unwrap());
    });
}

/// Fails if the hole ends where the last good frame does: then nothing is told the second time.
#[test]
fn an_end_that_went_back_to_zeros_is_noticed() {
    for (lost, close_too) in [(10, true), (1, true), (0, true), (3, false)] {
        loses_its_end(50, 50 - lost, |files| {
            let all = frames(&files[0]);
            let entries = entries_of(&files[0]);
            let from = entries.get(50 - lost as usize).map_or(all.last().unwrap().at, |f| f.at);
            let to = if close_too { all.last().unwrap().end } else { all.last().unwrap().at };
            overwrite(&files[0], from, &vec![0; (to - from) as usize]);
        });
    }
}

/// Fails if the seeds of frames leave their offset out: then entries 31 to 40 come out of nowhere.
#[test]
fn what_lies_in_an_entry_is_no_frame() {
    let options = || small().segment_bytes(65536);
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let s = store.stream_with("s", options()).unwrap();
    put(&s, 1..=20);
    s.sync().unwrap();
    let fork = died(dir.path());
    let end = frames(&segments(dir.path(), 1)[0]).last().unwrap().end as usize;
    put(&s, 31..=40);
    let other = fs::read(&segments(dir.path(), 1)[0]).unwrap();
    let other = &other[end..frames(&segments(dir.path(), 1)[0]).last().unwrap().end as usize];
    for pad in 0..8 {
        // The frames of what this very file might have become, with IDs and numbers that fit.
        let dir = died(fork.path());
        let store = manual().open(dir.path()).unwrap();
        let s = stream(&store, "s");
        let value = [&vec![b'x'; pad][..], other].concat();
        let fields = [("n", &b"21"[..]), ("copy", &value)];
        s.append_with(fields, AppendOptions::new().id(id(21))).unwrap();
        put(&s, 51..=70);
        store.close().unwrap();
        let file = &segments(dir.path(), 1)[0];
        overwrite(file, entries_of(file)[20].at, &[0xff; 8]);
        let store = skipping().open(dir.path()).unwrap();
        let found = checked(&stream(&store, "s"));
        // The rest of the block goes with it.
        let want: Vec<u64> = (1..=20).chain(60..=70).collect();
        assert_eq!(found, want);
    }
}

/// A stream that lost no entry but `lost`, though a file of it is damaged at its beginning.
fn keeps_all_but(dir: &Path, file: &Path, last: u64, lost: &[u64]) {
    let refused = error(manual().open(dir).unwrap().get("s"));
    assert_eq!(refused.location().unwrap().0, file, "{refused}");
    let before = fs::read(file).unwrap();
    let mut want: Vec<u64> = upto(last).into_iter().filter(|n| !lost.contains(n)).collect();
    for new in [last + 1, last + 2] {
        let store = skipping().open(dir).unwrap();
        let s = stream(&store, "s");
        assert_eq!(checked(&s), want);
        let found = gaps(&store);
        assert!(found.iter().all(|gap| gap.path == file && gap.from < 512), "{found:?}");
        let missing: u64 = found.iter().map(|gap| gap.entries).sum();
        assert!(!found.is_empty() && missing == lost.len() as u64, "{found:?}");
        put(&s, new..=new);
        want.push(new);
        assert_eq!(checked(&s), want);
        store.close().unwrap();
        assert!(fs::read(file).unwrap() == before, "it was written to");
    }
}

/// Fails if `Recovery::without_header` tries no other seed than that of the bytes as they are: then
/// a damaged salt costs the segment.
#[test]
fn a_damaged_file_header_costs_no_entry() {
    for n in [0, 1, 3] {
        for at in [3, 9, 20, 33, 41, 49, 56, 63, 70, 100, 127] {
            let (dir, files) = closed(500);
            assert_eq!(files.len(), 4);
            flip(&files[n], at);
            keeps_all_but(dir.path(), &files[n], 500, &[]);
        }
    }
}

/// Fails if `Headless::first_from` gives up.
#[test]
fn a_damaged_first_frame_costs_no_entry() {
    for n in [0, 1, 3] {
        // Its header and its body.
        for at in [128, 136, 142, 150] {
            let (dir, files) = closed(500);
            flip(&files[n], at);
            keeps_all_but(dir.path(), &files[n], 500, &[]);
        }
    }
    // The only segment there is.
    let (dir, files) = closed(20);
    flip(&files[0], 140);
    keeps_all_but(dir.path(), &files[0], 20, &[]);
}

/// Fails if `Damage::found` drops all that was known of the segment.
#[test]
fn missing_segments_stay_told_when_damage_before_them_is_met() {
    let (dir, files) = closed(500);
    let kept = entries_of(&files[0]).len() as u64;
    for file in &segments(dir.path(), 1)[1..] {
        fs::remove_file(file).unwrap();
    }
    let hurt = entries_of(&files[0])[7];
    flip(&files[0], hurt.body() + 1);
    let store = skipping().open(dir.path()).unwrap();
    let want: Vec<u64> = upto(kept).into_iter().filter(|n| *n != 8).collect();
    assert_eq!(checked(&stream(&store, "s")), want);
    let found: Vec<_> = gaps(&store).iter().map(|gap| (gap.from, gap.after)).collect();
    let end = frames(&files[0]).last().unwrap().end;
    assert_eq!(found, [(hurt.at, id(7)), (end, id(kept))]);
}

/// Fails if the footer's trailer is not asked for the seed; in place of another store's sector also
/// if `Recovery::read_one` sets aside what has another header, or if the first frame is asked first.
#[test]
fn a_lost_first_sector_costs_what_lay_in_it() {
    let (_other, others) = closed(500);
    for n in [0, 1] {
        let foreign = fs::read(&others[n]).unwrap()[..512].to_vec();
        for with in [vec![0; 512], vec![0xff; 512], vec![0x5a; 512], foreign] {
            let (dir, files) = closed(500);
            let first = if n == 0 { 0 } else { entries_of(&files[0]).len() as u64 };
            let hit = entries_of(&files[n]).iter().filter(|frame| frame.at < 512).count() as u64;
            overwrite(&files[n], 0, &with);
            let lost: Vec<u64> = (first + 1..=first + hit).collect();
            keeps_all_but(dir.path(), &files[n], 500, &lost);
        }
    }
}

/// Fails if `Recovery::place` takes any file that is consistent in itself.
#[test]
fn a_segment_of_another_store_is_not_taken_for_lack_of_a_header() {
    let (_other, others) = closed(500);
    for n in [0, 1, 3] {
        let (dir, files) = closed(500);
        let mut foreign = fs::read(&others[n]).unwrap();
        foreign[60] ^= 1;
        fs::write(&files[n], foreign).unwrap();
        let store = skipping().open(dir.path()).unwrap();
        let found = checked(&stream(&store, "s"));
        let mut first = 0;
        for file in &files[..n] {
            first += entries_of(file).len();
        }
        let own = entries_of(&files[n]).len();
        assert_eq!(found.len(), 500 - own);
        assert!(!found.contains(&(first as u64 + 1)));
        assert_eq!(store.recovery().streams[0].set_aside, std::slice::from_ref(&files[n]));
    }
}

/// Fails if `trim_dead` takes damaged entries for deleted ones.
#[test]
fn a_segment_that_is_all_damaged_is_kept() {
    let (dir, files) = closed(500);
    let first = entries_of(&files[0]).len() as u64;
    let from = entries_of(&files[0])[0].at;
    let end = frames(&files[0]).last().unwrap().end;
    overwrite(&files[0], from, &vec![0x5a; (end - from) as usize]);
    let before = fs::read(&files[0]).unwrap();
    let store = skipping().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(checked(&s), (first + 1..=500).collect::<Vec<_>>());
    // Deletions have the background look for segments in which nothing lives.
    s.delete((first + 1..=first + 20).map(id)).unwrap();
    put(&s, 501..=900);
    store.close().unwrap();
    assert!(fs::read(&files[0]).unwrap() == before);
    assert!(files[1].exists());
}

#[test]
fn a_group_reads_past_a_gap_and_has_nothing_left_then() {
    let (dir, files) = closed(250);
    for n in [16, 47, 101] {
        flip(&files[0], entries_of(&files[0])[n].body());
    }
    fs::remove_file(&files[1]).unwrap();
    let store = skipping().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    let group = s.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let mut got = Vec::new();
    loop {
        let read = consumer.read(GroupReadOptions::new().count(7)).unwrap();
        if read.is_empty() {
            break;
        }
        got.extend(read.ids().map(|id| id.ms));
    }
    assert_eq!(got, checked(&s));
    assert_eq!(group.info().unwrap().lag, Some(0));
}

/// Fails if a trim looks for the entry at a number that is lost, and takes none for the end.
#[test]
fn trims_count_what_is_left() {
    for approximate in [false, true] {
        for keep in [1u64, 60, 100, 130, 135, 200] {
            let (dir, files) = closed(250);
            // All of a block, and the ends of others.
            let entries = entries_of(&files[0]);
            let (from, to) = (entries[99].at, entries[112].at);
            overwrite(&files[0], from, &vec![0xee; (to - from) as usize]);
            let store = skipping().open(dir.path()).unwrap();
            let s = stream(&store, "s");
            let before = checked(&s);
            assert_eq!(before.len(), 237);
            let mut trim = Trim::max_len(keep);
            if approximate {
                trim = trim.approximate();
            }
            let removed = s.trim(trim).unwrap();
            let found = checked(&s);
            assert!(before.ends_with(&found));
            assert_eq!(before.len() - found.len(), removed as usize);
            if approximate {
                assert!(found.len() as u64 >= keep.min(237));
                assert!((found.len() as u64) < keep + 20, "{keep}: {}", found.len());
            } else {
                assert_eq!(found.len() as u64, keep);
            }
            store.close().unwrap();
            let store = skipping().open(dir.path()).unwrap();
            assert_eq!(checked(&stream(&store, "s")), found);
        }
    }
}

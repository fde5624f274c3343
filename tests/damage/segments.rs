//! Damage below what was durable: one stream refuses or skips it, and nothing writes over it.

use crate::copy::{copy_dir, died};
use crate::made::{
    assert_damage, end, error, flip, frames, ids, manual, put, segments, skipping, small, stream,
    try_ids, upto, used_segments,
};
use std::fs;
use std::path::{Path, PathBuf};
use streamlog::{AppendOptions, EntryId, ErrorKind, GroupReadOptions, ReadFrom, Start, Trim};

/// Two streams, both with entries 1 to 30 and a sync before and behind the last ten, in one
/// segment; then a process that died. The frames behind the first sync prove what it covered.
fn two_streams() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in ["hurt", "well"] {
        let s = store.stream_with(name, small()).unwrap();
        put(&s, 1..=20);
        s.sync().unwrap();
        put(&s, 21..=30);
        s.sync().unwrap();
    }
    died(dir.path())
}

/// A closed store with several sealed segments, and their files.
fn sealed() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    put(&store.stream_with("s", small()).unwrap(), 1..=500);
    put(&store.stream_with("well", small()).unwrap(), 1..=10);
    store.close().unwrap();
    let files = used_segments(dir.path(), 1);
    assert!(files.len() > 3);
    for file in &files[..files.len() - 1] {
        let bytes = fs::read(file).unwrap();
        assert_eq!(&bytes[bytes.len() - 12..bytes.len() - 8], b"seal");
    }
    (dir, files)
}

#[test]
fn a_flipped_bit_below_the_durable_position_refuses_its_stream_alone() {
    let copy = two_streams();
    let file = &segments(copy.path(), 1)[0];
    // Behind Begin lie the entries: this is the seventh.
    let hurt = frames(file)[7];
    flip(file, hurt.body());
    let before = fs::read(file).unwrap();
    for round in 0..2 {
        let store = manual().open(copy.path()).unwrap();
        let refused = error(store.get("hurt"));
        assert_damage(&refused, file, Some(hurt.at));
        let ErrorKind::Corrupt { ids: lost, .. } = refused.kind() else { unreachable!() };
        assert_eq!(lost.unwrap().0, EntryId::new(6, 0));
        assert_damage(&error(store.stream("hurt")), file, Some(hurt.at));
        assert_damage(&error(store.recover_all()), file, Some(hurt.at));
        let well = stream(&store, "well");
        assert_eq!(ids(&well), upto(30 + round));
        put(&well, 31 + round..=31 + round);
        store.close().unwrap();
    }
    unchanged(file, &before);
}

/// The file must hold what it held; a difference is not printed.
fn unchanged(file: &Path, before: &[u8]) {
    assert!(fs::read(file).unwrap() == before, "{}", file.display());
}

#[test]
fn skipped_damage_leaves_the_rest_and_is_never_written_over() {
    let copy = two_streams();
    let file = segments(copy.path(), 1).remove(0);
    let hurt = frames(&file)[7];
    flip(&file, hurt.body());
    let before = fs::read(&file).unwrap();
    // Its header still says how long it is.
    let mut want: Vec<u64> = (1..=6).chain(8..=30).collect();
    for round in 0..3 {
        let store = skipping().open(copy.path()).unwrap();
        let s = stream(&store, "hurt");
        assert_eq!(ids(&s), want, "round {round}");
        let back: Vec<u64> = s.range(..).rev().map(|e| e.unwrap().id().ms).collect();
        assert!(back.iter().rev().eq(&want), "round {round}: {back:?}");
        assert_eq!(s.len().unwrap(), want.len() as u64);
        let report = store.recovery();
        let found = report.streams.iter().find(|one| one.name == b"hurt");
        let [gap] = &found.unwrap().gaps[..] else {
            panic!("{report:?}");
        };
        assert_eq!((&gap.path, gap.from, gap.to), (&file, hurt.at, hurt.end));
        assert_eq!((gap.after, gap.before), (EntryId::new(6, 0), EntryId::new(8, 0)));
        assert_eq!(gap.entries, 1);
        let new = 100 + round * 10;
        put(&s, new..=new + 9);
        want.extend(new..=new + 9);
        assert_eq!(ids(&s), want, "round {round}");
        store.close().unwrap();
        unchanged(&file, &before);
    }
    // Who does not skip is still told.
    let store = manual().open(copy.path()).unwrap();
    assert_damage(&error(store.get("hurt")), &file, Some(hurt.at));
}

#[test]
fn damage_in_a_sealed_segment_is_met_by_the_read_that_comes_by() {
    let (dir, files) = sealed();
    let frames = frames(&files[1]);
    // In the middle of a block that is neither the first nor the last.
    let (n, block) = frames.iter().enumerate().filter(|(_, f)| f.block).nth(3).unwrap();
    let hurt = frames[n + 4];
    assert!(hurt.at > block.at && !frames[n + 1..=n + 4].iter().any(|f| f.block));
    flip(&files[1], hurt.body());
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    let mut forward = s.range(..);
    let mut last = 0;
    let met = loop {
        match forward.next().unwrap() {
            Ok(entry) => {
                assert_eq!(entry.id().ms, last + 1);
                last += 1;
            }
            Err(error) => break error,
        }
    };
    assert_damage(&met, &files[1], Some(hurt.at));
    for _ in 0..3 {
        let again = forward.next().unwrap();
        assert_damage(&error(again), &files[1], Some(hurt.at));
    }
    // From the other end too.
    let mut backward = s.range(..).rev();
    let met = backward.find_map(Result::err).unwrap();
    assert_damage(&met, &files[1], Some(hurt.at));
    assert_damage(&error(backward.next().unwrap()), &files[1], Some(hurt.at));
    // The bad entry fails by name; what lies before and behind it, and the end of the log, do not.
    assert_damage(&error(s.get(EntryId::new(last + 1, 0))), &files[1], Some(hurt.at));
    let behind = EntryId::new(last + 20, 0)..;
    assert!(s.range(behind).all(|entry| entry.is_ok()));
    let before = ..=EntryId::new(last, 0);
    assert_eq!(s.range(before).filter(|entry| entry.is_ok()).count() as u64, last);
    put(&s, 501..=510);
    assert_eq!(s.get(EntryId::new(510, 0)).unwrap().unwrap().id().ms, 510);
    assert_eq!(ids(&stream(&store, "well")), upto(10));
}

/// Fails if `look` (src/consumer/read.rs) gives an error of a later stream although an earlier one
/// has delivered.
#[test]
fn damage_in_one_of_several_streams_does_not_take_back_what_the_others_delivered() {
    let (dir, files) = sealed();
    let hurt = frames(&files[0])[7];
    flip(&files[0], hurt.body());
    let store = manual().open(dir.path()).unwrap();
    let consumer = |name: &str| {
        let group = stream(&store, name).group("g", Start::First).unwrap();
        group.consumer("c").unwrap()
    };
    let (well, s) = (consumer("well"), consumer("s"));
    let from = [(&well, ReadFrom::New), (&s, ReadFrom::New)];
    let found = store.read_group(&from, GroupReadOptions::new()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].0.name(), found[0].1.len()), (b"well".to_vec(), 10));
    // What lies in front of the damage is given, too.
    let before = found[1].1.len() as u64;
    let ids: Vec<u64> = found[1].1.ids().map(|id| id.ms).collect();
    assert!((1..10).contains(&before) && ids == upto(before), "{ids:?}");
    assert_eq!(well.group().pending().unwrap().count, 10);
    // With nothing to hand out the next call tells, also where a history comes before it.
    let met = error(store.read_group(&from, GroupReadOptions::new()));
    assert_damage(&met, &files[0], Some(hurt.at));
    let from = [(&well, ReadFrom::History(EntryId::MIN)), from[1]];
    let met = error(store.read_group(&from, GroupReadOptions::new()));
    assert_damage(&met, &files[0], Some(hurt.at));
    assert_eq!(s.group().pending().unwrap().count, before);
}

#[test]
fn damage_in_a_sealed_segment_can_be_skipped() {
    let (dir, files) = sealed();
    let frames = frames(&files[1]);
    let (n, _) = frames.iter().enumerate().filter(|(_, f)| f.block).nth(3).unwrap();
    flip(&files[1], frames[n + 4].body());
    let before = fs::read(&files[1]).unwrap();
    let store = skipping().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    let found = try_ids(&s).unwrap();
    assert_eq!(found.len(), 499);
    put(&s, 501..=600);
    assert_eq!(ids(&s).len(), found.len() + 100);
    store.close().unwrap();
    unchanged(&files[1], &before);
}

#[test]
fn a_damaged_footer_only_costs_a_scan() {
    let (dir, files) = sealed();
    let footer = end(&files[0]);
    let trailer = fs::metadata(&files[1]).unwrap().len() - 20;
    flip(&files[0], footer + 2);
    flip(&files[1], trailer);
    let store = manual().open(dir.path()).unwrap();
    assert_eq!(ids(&stream(&store, "s")), upto(500));
    let report = &store.recovery().streams[0];
    // The two, and the last one, which never had a footer.
    assert_eq!(report.scanned_segments, 3);
    assert_eq!((report.cut.as_ref(), report.gaps.len()), (None, 0));
}

#[test]
fn a_missing_segment_is_damage_wherever_it_was() {
    let (_, files) = sealed();
    for missing in [0, 1, files.len() - 1] {
        let (dir, files) = sealed();
        fs::remove_file(&files[missing]).unwrap();
        let store = manual().open(dir.path()).unwrap();
        let refused = error(store.get("s"));
        let named = files.get(missing + 1).unwrap_or(&files[files.len() - 2]);
        assert_damage(&refused, named, None);
        assert_eq!(ids(&stream(&store, "well")), upto(10));
        drop(store);
        let store = skipping().open(dir.path()).unwrap();
        let found = ids(&stream(&store, "s"));
        // What lies on both sides of the gap is there.
        let gaps = &store.recovery().streams[0].gaps;
        assert_eq!((gaps.len(), &*gaps[0].path), (1, named.as_path()));
        let (after, before) = (gaps[0].after.ms, gaps[0].before.ms.min(501));
        assert_eq!(found, (1..=after).chain(before..=500).collect::<Vec<_>>());
    }
}

#[test]
fn a_trimmed_beginning_is_no_missing_segment() {
    let (dir, files) = sealed();
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    s.trim(Trim::max_len(20)).unwrap();
    let info = s.info().unwrap();
    store.close().unwrap();
    // Whether the files are gone by now or not.
    for file in &files[..2] {
        if file.exists() {
            fs::remove_file(file).unwrap();
        }
    }
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(ids(&s), (481..=500).collect::<Vec<_>>());
    assert_eq!(s.info().unwrap().length, info.length);
}

#[test]
fn strays_are_named_and_left_alone() {
    let (dir, files) = sealed();
    let home = dir.path().join("streams/1");
    let copy_of = home.join("0000000001 (copy).0000.seg");
    fs::copy(&files[1], &copy_of).unwrap();
    let upper = home.join("0000000009.0000.SEG");
    fs::write(&upper, b"not one").unwrap();
    let folder = home.join("0000000077.0000.seg");
    fs::create_dir(&folder).unwrap();
    let store_stray = dir.path().join("notes.txt");
    fs::write(&store_stray, b"mine").unwrap();
    let streams_stray = dir.path().join("streams/007");
    fs::create_dir(&streams_stray).unwrap();
    fs::write(streams_stray.join("x"), b"y").unwrap();
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(ids(&s), upto(500));
    put(&s, 501..=700);
    let report = store.recovery();
    assert_eq!(report.strays, [store_stray.clone(), streams_stray.clone()]);
    assert_eq!(report.streams[0].strays, [copy_of.clone(), upper.clone(), folder.clone()]);
    store.close().unwrap();
    unchanged(&copy_of, &fs::read(&files[1]).unwrap());
    assert_eq!(fs::read(&upper).unwrap(), b"not one");
    assert_eq!(fs::read(&store_stray).unwrap(), b"mine");
    assert_eq!(fs::read(streams_stray.join("x")).unwrap(), b"y");
    assert!(folder.is_dir());
}

#[test]
fn a_segment_of_another_store_or_place_is_refused() {
    let (dir, files) = sealed();
    let (other, _) = sealed();
    // The same name in another store; another number; another generation; another stream.
    let home = dir.path().join("streams/1");
    let foreign = used_segments(other.path(), 1).remove(1);
    let next = home.join("0000000050.0000.seg");
    let twin = home.join("0000000001.0001.seg");
    let neighbour = segments(dir.path(), 2).remove(0);
    for (from, to) in
        [(&foreign, &files[1]), (&files[1], &next), (&files[1], &twin), (&neighbour, &files[0])]
    {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let to = copy.path().join(to.strip_prefix(dir.path()).unwrap());
        fs::copy(from, &to).unwrap();
        let store = manual().open(copy.path()).unwrap();
        assert_damage(&error(store.get("s")), &to, Some(0));
        assert_eq!(ids(&stream(&store, "well")), upto(10));
    }
}

#[test]
fn a_twin_under_another_generation_can_be_skipped() {
    let (dir, files) = sealed();
    let twin = dir.path().join("streams/1/0000000001.0001.seg");
    fs::copy(&files[1], &twin).unwrap();
    let store = skipping().open(dir.path()).unwrap();
    assert_eq!(ids(&stream(&store, "s")), upto(500));
    assert_eq!(store.recovery().streams[0].set_aside, std::slice::from_ref(&twin));
    store.close().unwrap();
    unchanged(&twin, &fs::read(&files[1]).unwrap());
}

#[test]
fn a_segment_with_a_damaged_header_or_first_frame_is_refused() {
    let (dir, files) = sealed();
    for offset in [3, 20, 60, 140] {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let file = copy.path().join(files[1].strip_prefix(dir.path()).unwrap());
        flip(&file, offset);
        let store = manual().open(copy.path()).unwrap();
        let refused = error(store.get("s"));
        assert!(refused.is_corruption(), "{offset}: {refused}");
        let (path, _) = refused.location().unwrap();
        assert_eq!(path, file, "{offset}");
    }
}

#[test]
fn a_header_of_a_newer_version_is_refused_even_when_damage_is_skipped() {
    let (dir, files) = sealed();
    crate::store::make_newer(&files[1], 128);
    for options in [manual(), skipping()] {
        let store = options.open(dir.path()).unwrap();
        let refused = error(store.get("s"));
        let supported = 0;
        let newer = ErrorKind::UnsupportedVersion { found: 9, supported };
        assert_eq!(*refused.kind(), newer);
        assert_eq!(refused.location().unwrap().0, files[1]);
    }
}

/// What an append trims is said by its frame alone, until a footer takes the place of the frames.
/// Fails if the footer tells of the trims of its own life only (`AppendTrims::new` in
/// src/storage/log/trims.rs).
#[test]
fn what_an_append_trimmed_in_an_earlier_life_stays_away_once_the_segment_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().stream_defaults(small()).open(dir.path()).unwrap();
    let s = store.stream("s").unwrap();
    put(&s, 1..=40);
    let trims = AppendOptions::new().id(EntryId::new(41, 0)).trim(Trim::max_len(5));
    s.append_with([("n", "41")], trims).unwrap();
    store.sync().unwrap();
    let copy = died(dir.path());
    drop((s, store));

    let store = manual().open(copy.path()).unwrap();
    let s = stream(&store, "s");
    assert_eq!(ids(&s), (37..=41).collect::<Vec<_>>());
    put(&s, 42..=200);
    drop(s);
    store.close().unwrap();
    assert!(used_segments(copy.path(), 1).len() > 1);

    let store = manual().open(copy.path()).unwrap();
    assert_eq!(ids(&stream(&store, "s")), (37..=200).collect::<Vec<_>>());
}

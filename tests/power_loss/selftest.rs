//! Tests of the simulator itself: a simulator that finds nothing in broken code proves nothing.

use super::call::Subject;
use super::campaign::{a_crowded_journal_keeps_every_promise, the_store_keeps_its_promises};
use super::closing::a_close_whose_last_sync_failed_damages_nothing;
use super::disk::{Faults, SimDisk, World};
use super::engine::Engine;
use super::every::{segments_that_wait_keep_every_promise, short_lists_keep_every_promise};
use super::image::{Image, Mode};
use super::run::Budget;
use super::series::{Series, report};
use super::toy::{BUGS, Toy};
use crate::storage::disk::{Disk, OpenMode};
use std::path::Path;

pub type Test = (&'static str, fn());

pub const TESTS: &[Test] = &[
    ("a_sector_is_on_disk_only_after_a_sync", a_sector_is_on_disk_only_after_a_sync),
    ("a_name_is_on_disk_only_after_a_sync_of_its_directory", names_need_a_sync),
    ("a_page_that_a_failed_sync_gave_up_stays_stale", a_given_up_page_stays_stale),
    ("images_mix_old_and_new_sectors", images_mix_old_and_new_sectors),
    ("a_process_that_ended_reaches_nothing", a_process_that_ended_reaches_nothing),
    ("the_toy_keeps_its_promises", the_toy_keeps_its_promises),
    ("every_bug_planted_in_the_toy_is_found", every_planted_bug_is_found),
    ("the_same_seed_gives_the_same_run", the_same_seed_gives_the_same_run),
    (
        "a_close_whose_last_sync_failed_damages_nothing",
        a_close_whose_last_sync_failed_damages_nothing,
    ),
    ("the_corpus_of_crashes_keeps_the_promises", the_corpus_of_crashes_keeps_the_promises),
    ("short_lists_keep_every_promise", short_lists_keep_every_promise),
    ("segments_that_wait_keep_every_promise", segments_that_wait_keep_every_promise),
    ("a_crowded_journal_keeps_every_promise", a_crowded_journal_keeps_every_promise),
    ("the_store_keeps_its_promises", the_store_keeps_its_promises),
];

fn world() -> World {
    World { seed: 7, write_back: 0, sync_all: true, now_ms: 1_000 }
}

/// A disk with a durable file `/a` of 8 KiB.
fn disk_with_a_file() -> SimDisk {
    let disk = SimDisk::empty(world());
    let file = disk.open(Path::new("/a"), OpenMode::CreateNew).unwrap();
    file.allocate(8192).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn byte(disk: &SimDisk, offset: u64) -> u8 {
    let file = disk.open(Path::new("/a"), OpenMode::Read).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, offset).unwrap();
    byte[0]
}

fn after_a_cut(disk: &SimDisk, mode: Mode) -> SimDisk {
    Image::extreme(&disk.capture(), mode).boot()
}

fn a_sector_is_on_disk_only_after_a_sync() {
    let disk = disk_with_a_file();
    let file = disk.open(Path::new("/a"), OpenMode::Write).unwrap();
    let region = std::sync::Arc::new(file.map(8192, true).unwrap());
    let mut writer = region.writer().unwrap();
    writer.write(5000, b"map").unwrap();
    file.write_at(b"file", 100).unwrap();
    assert_eq!(byte(&disk, 5000), b'm', "a store through a map is a store into the file");
    let cut = after_a_cut(&disk, Mode::AllOld);
    assert_eq!((byte(&cut, 5000), byte(&cut, 100)), (0, 0));
    let lucky = after_a_cut(&disk, Mode::AllCurrent);
    assert_eq!((byte(&lucky, 5000), byte(&lucky, 100)), (b'm', b'f'));
    file.sync().unwrap();
    writer.write(5000, b"M").unwrap();
    let cut = after_a_cut(&disk, Mode::AllOld);
    assert_eq!((byte(&cut, 5000), byte(&cut, 100)), (b'm', b'f'));
}

fn names_need_a_sync() {
    let disk = disk_with_a_file();
    disk.create_dir(Path::new("/d")).unwrap();
    drop(disk.open(Path::new("/d/x"), OpenMode::CreateNew).unwrap());
    disk.sync_dir(Path::new("/d")).unwrap();
    let lists = |disk: &SimDisk, dir: &str| disk.read_dir(Path::new(dir)).map(|names| names.len());
    assert_eq!(lists(&after_a_cut(&disk, Mode::AllOld), "/").unwrap(), 1);
    assert!(lists(&after_a_cut(&disk, Mode::AllOld), "/d").is_err());
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(lists(&after_a_cut(&disk, Mode::AllOld), "/d").unwrap(), 1);
    // A rename over directories is one change, and rests on the creation of what it moves.
    drop(disk.open(Path::new("/d/y"), OpenMode::CreateNew).unwrap());
    disk.rename(Path::new("/d/y"), Path::new("/a")).unwrap();
    assert_eq!(lists(&after_a_cut(&disk, Mode::AllOld), "/d").unwrap(), 1);
    disk.sync_dir(Path::new("/")).unwrap();
    let cut = after_a_cut(&disk, Mode::AllOld);
    assert_eq!(lists(&cut, "/d").unwrap(), 1);
    assert_eq!(cut.open(Path::new("/a"), OpenMode::Read).unwrap().len().unwrap(), 0);
}

fn a_given_up_page_stays_stale() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = disk_with_a_file();
        let file = disk.open(Path::new("/a"), OpenMode::Write).unwrap();
        (0..seed).for_each(|_| drop(disk.random().to_string()));
        file.write_at(b"x", 0).unwrap();
        disk.set_faults(Faults { sync_in: Some(0), space_in: None });
        file.sync().unwrap_err();
        file.sync().unwrap();
        assert_eq!(byte(&disk, 0), b'x', "the page cache still has it");
        let cut = after_a_cut(&disk, Mode::AllCurrent);
        lost += u32::from(byte(&cut, 0) == 0);
        // Written again it is dirty again, and the next sync takes the whole page.
        file.write_at(b"y", 1).unwrap();
        file.sync().unwrap();
        assert_eq!(byte(&after_a_cut(&disk, Mode::AllOld), 0), b'x');
    }
    assert!(lost > 5 && lost < 20, "{lost} of 20 were given up");
}

fn images_mix_old_and_new_sectors() {
    let disk = disk_with_a_file();
    let file = disk.open(Path::new("/a"), OpenMode::Write).unwrap();
    file.write_at(&[1; 8192], 0).unwrap();
    let capture = disk.capture();
    let mut hashes = std::collections::BTreeSet::new();
    let (mut mixed, mut torn) = (0, 0);
    for number in 0..100 {
        let image = Image::make(&capture, number, 1);
        assert_eq!(image.hash, Image::make(&capture, number, 1).hash);
        hashes.insert(image.hash);
        let cut = image.boot();
        let new: Vec<bool> = (0..16).map(|sector| byte(&cut, sector * 512) == 1).collect();
        mixed += u32::from(new.contains(&true) && new.contains(&false));
        let ends = |sector: u64| (byte(&cut, sector * 512), byte(&cut, sector * 512 + 511));
        torn += u32::from((0..16).any(|sector| ends(sector) == (1, 0)));
    }
    assert!(hashes.len() > 50 && mixed > 30 && torn > 3, "{} {mixed} {torn}", hashes.len());
}

fn a_process_that_ended_reaches_nothing() {
    let disk = disk_with_a_file();
    let file = disk.open(Path::new("/a"), OpenMode::Write).unwrap();
    let lock = disk.lock(Path::new("/LOCK"), "me").unwrap();
    assert!(disk.lock(Path::new("/LOCK"), "me too").is_err());
    file.write_at(b"before", 0).unwrap();
    let next = disk.next_life();
    file.write_at(b"after!", 0).unwrap_err();
    assert_eq!(byte(&next, 0), b'b', "the page cache outlives the process");
    let held = next.lock(Path::new("/LOCK"), "next").unwrap();
    drop(lock);
    assert!(next.lock(Path::new("/LOCK"), "third").is_err(), "an old lock frees nothing");
    drop(held);
}

fn toy(planted: &'static str, first_seed: u64, states: u64) -> Series {
    Series { first_seed, states, planted, budget: Budget { captures: 20, images: 10 } }
}

fn the_toy_keeps_its_promises() {
    let states = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    match toy("", 1, states).run::<Toy>() {
        Ok(stats) => println!("{stats}"),
        Err(found) => {
            let (_, plan, found) = *found;
            println!("{}", report::<Toy>(&plan, found));
            panic!("the simulator accuses a store that does nothing wrong");
        }
    }
}

fn every_planted_bug_is_found() {
    for bug in BUGS {
        match toy(bug, 1, 20_000).run::<Toy>() {
            Ok(_) => panic!("not found: {bug}"),
            Err(found) => {
                let (stats, plan, found) = *found;
                let states = stats.states + found.states;
                let clause = found.violation.clause;
                let seed = plan.seed;
                println!("  {bug}: {clause}, in run {seed} after {states} states");
            }
        }
    }
}

fn the_same_seed_gives_the_same_run() {
    fn digest<S: Subject>(first_seed: u64) -> u64 {
        let stats = Series { first_seed, ..toy("", 1, 300) }.run::<S>();
        stats.unwrap_or_else(|_| panic!("a promise is broken")).digest
    }
    assert_eq!(digest::<Toy>(1), digest::<Toy>(1));
    assert_ne!(digest::<Toy>(2), digest::<Toy>(1));
    assert_eq!(digest::<Engine>(1), digest::<Engine>(1));
    assert_ne!(digest::<Engine>(2), digest::<Engine>(1));
}

/// The inputs of the fuzz target `crash_ops`: at least half of them cut the power where the disk
/// was neither as it had been nor as it was to be.
fn the_corpus_of_crashes_keeps_the_promises() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/crash_ops");
    let mut inputs: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 20, "only {} inputs", inputs.len());
    let mut torn = 0;
    for path in &inputs {
        let input = std::fs::read(path).unwrap();
        let run = super::explore::guarded(|| super::fuzz::crash_ops(&input));
        let stats = run.unwrap_or_else(|found| panic!("{}: {}", path.display(), found.text));
        torn += usize::from(stats.differ_from_old > 0 && stats.differ_from_current > 0);
    }
    assert!(torn * 2 >= inputs.len(), "{torn} of {} inputs tear anything", inputs.len());
}

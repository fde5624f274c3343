//! Where the files lie that take over, and what the others know of them.

use super::*;

/// Fails if the file that takes the place of the newest is told of in that very file, and in no
/// other one: what it holds was missed by nobody then if its header was damaged.
#[test]
fn a_checkpoint_behind_two_that_broke_off_is_told_of() {
    let (disk, journal) = alone();
    append(&journal, 1, &created("a"));
    journal.sync().unwrap();
    drop(journal);
    let one = Dumped { streams: 1, events: |_| vec![created("a")] };
    // Two openings that end before their checkpoint is whole.
    for (file, before) in [("0", "1"), ("2", "0")] {
        let loaded = load(&place(&disk), false).unwrap();
        drop(Journal::start(place(&disk), &loaded, &one).unwrap());
        never_written(&disk, file, of_kind(&disk, file, Kind::CheckpointEnd)[0]);
        let told = of_kind(&disk, before, Kind::Superseded);
        never_written(&disk, before, told.first().copied().unwrap_or(FILE_HEADER as u64));
    }
    let loaded = load(&place(&disk), false).unwrap();
    assert_eq!(events_of(&loaded.events[&1]), [created("a")]);
    let journal = Journal::start(place(&disk), &loaded, &one).unwrap();
    append(&journal, 1, &trimmed(5));
    journal.sync().unwrap();
    assert_eq!(events_of(&found(&disk).events[&1]), [created("a"), trimmed(5)]);
    let header = disk.open(Path::new("/store/state/2"), OpenMode::Write).unwrap();
    header.write_at(&[0xff; 8], 40).unwrap();
    let loaded = load(&place(&disk), false).unwrap();
    assert_eq!(events_of(&loaded.events[&1]), [created("a"), trimmed(5)]);
}

/// Fails if what a file is told goes behind its last byte that is not zero, whatever frame that
/// belongs to (found by the fuzz target `checkpoint`).
#[test]
fn what_a_file_is_told_lies_behind_its_last_frame() {
    let (disk, journal) = alone();
    append(&journal, 1, &created("a"));
    journal.sync().unwrap();
    append(&journal, 1, &trimmed(5));
    let torn = frames(&disk, "1").last().unwrap().0;
    let ends_in_zeros = Event::GroupCreated {
        group: 0,
        name: [0; 40].into(),
        last_id: EntryId::MIN,
        entries_read: None,
        pinned: EntryId::MIN,
    };
    append(&journal, 1, &ends_in_zeros);
    drop(journal);
    let (last, _) = *frames(&disk, "1").last().unwrap();
    let before = bytes_of(&disk, "1")[last as usize..].to_vec();
    assert!(before[..96].ends_with(&[0; 32]));
    spoil(&disk, "1", torn);
    let loaded = load(&place(&disk), false).unwrap();
    let one = Dumped { streams: 1, events: |_| vec![created("a")] };
    drop(Journal::start(place(&disk), &loaded, &one).unwrap());
    let after = bytes_of(&disk, "1")[last as usize..].to_vec();
    let len = Header::decode(&before, seed_of(&disk, "1"), last).unwrap().frame_len() as usize;
    assert_eq!(after[..len], before[..len]);
    assert!(after[len..].iter().any(|byte| *byte != 0), "it was told nothing");
}

/// Fails if a journal that never had a second checkpoint passes for one that never had a first, as
/// long as the damage is of its end mark: the store then opened without any of its state (found by
/// the fuzz target `checkpoint`).
#[test]
fn the_first_checkpoint_is_missed_where_it_was_on_disk() {
    let (disk, journal) = alone();
    append(&journal, 1, &created("a"));
    journal.sync().unwrap();
    // Tells that all before it is durable.
    append(&journal, 1, &trimmed(5));
    let begun = copy(&disk);
    let end = of_kind(&disk, "1", Kind::CheckpointEnd);
    spoil(&disk, "1", end[0]);
    let refused = load(&place(&disk), false).unwrap_err();
    assert!(refused.is_corruption(), "{refused}");
    let skipped = load(&place(&disk), true).unwrap();
    assert!(skipped.has_holes() && skipped.events.is_empty(), "{skipped:?}");
    // Torn off before anything was promised it is no damage, and what comes next takes its place.
    never_written(&begun, "1", end[0]);
    let loaded = load(&place(&begun), false).unwrap();
    assert!(!loaded.has_holes() && loaded.turn == 0 && loaded.slot == 0, "{loaded:?}");
}

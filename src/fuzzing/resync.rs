//! Walking a segment over damage: where the frames go on, and what is missing in between.

use super::STREAM;
use super::image::{self, Image, Leave, REPAIR};
use crate::format::frame::{ALIGN, Header};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::mem::MemDisk;
use crate::storage::scan::{Bounds, Hole, Scan, Window, next_frame, scan, was_durable};
use std::path::Path;

const PATH: &str = "/segment";

/// Scans a segment up to the first bad frame, and past those that begin below the input's number
/// (in eights). Returns whether a frame behind the first one was good.
pub fn resync(data: &[u8]) -> bool {
    let mut input = image::read(data, 1);
    let Some((_, bytes)) = input.files.first() else {
        return false;
    };
    // Without a good header there is no seed; recovery does not come this far then.
    if input.switches & REPAIR != 0 || FileHeader::decode(bytes).is_err() {
        let leave = Leave(if input.switches & REPAIR != 0 { 0 } else { u32::MAX });
        image::repair(&mut input.files, FileKind::Segment, STREAM, leave);
    }
    let (_, bytes): &Image = &input.files[0];
    let seed = FileHeader::decode(bytes).unwrap().seed();
    let file = MemDisk::new().open(Path::new(PATH), OpenMode::CreateNew).unwrap();
    file.allocate(bytes.len() as u64).unwrap();
    file.write_at(bytes, 0).unwrap();
    let below = u64::from(input.number) * ALIGN;
    let plain = look(&*file, seed, &Bounds::until(u64::MAX));
    assert!(plain.holes.is_empty());
    let until = look(&*file, seed, &Bounds::until(plain.end));
    assert_eq!((until.end, until.entries, until.chain), (plain.end, plain.entries, plain.chain));
    let skip = Bounds { skip_below: below, ..Bounds::until(u64::MAX) };
    let skipped = look(&*file, seed, &skip);
    check_index(bytes, seed, &plain);
    check_index(bytes, seed, &skipped);
    check_holes(&skipped, below);
    compare(&plain, &skipped, below);
    frames_of_their_own(bytes, seed, &*file, plain.end);
    plain.end > plain.first_offset || skipped.end > skipped.first_offset
}

fn look(file: &dyn DiskFile, seed: u32, bounds: &Bounds<'_>) -> Scan {
    scan(file, Path::new(PATH), seed, bounds).unwrap()
}

/// Every element of the index leads to a good block start that says the same.
fn check_index(bytes: &[u8], seed: u32, scan: &Scan) {
    let begin = scan.begin.as_ref().map_or(0, |begin| begin.ordinal);
    let mut last = None;
    for block in &scan.index {
        let at = u64::from(block.offset);
        let frame = &bytes[block.offset as usize..];
        let header = Header::decode(frame, seed, at).expect("the index leads to no frame");
        let (id, ordinal) = header.block.expect("the index leads to no block start");
        assert_eq!((block.id, begin + u64::from(block.ordinal)), (id, ordinal));
        assert!(at >= scan.first_offset && at < scan.end.max(scan.nonzero_end));
        let this = (block.id, block.offset, block.ordinal);
        assert!(last.is_none_or(|(id, offset, ordinal)| {
            id < this.0 && offset < this.1 && ordinal < this.2
        }));
        last = Some(this);
    }
}

/// Holes lie one behind another, none reaches over what it may, and none swallows more entries than
/// had room in it.
fn check_holes(scan: &Scan, below: u64) {
    let mut last = Hole {
        from: scan.first_offset,
        to: scan.first_offset,
        ids: Default::default(),
        ordinals: (0, 0),
        base: None,
    };
    for hole in &scan.holes {
        assert!(hole.from >= last.to && hole.from < hole.to, "{hole:?} behind {last:?}");
        assert!(hole.from < below, "{hole:?} where nothing is skipped");
        assert!(hole.ids.0 >= last.ids.0 && hole.ids.0 < hole.ids.1, "{hole:?}");
        assert!(hole.ordinals.0 <= hole.ordinals.1, "{hole:?}");
        assert!(hole.ordinals.0 >= last.ordinals.1, "{hole:?} behind {last:?}");
        assert!(hole.ordinals.1 <= hole.to, "{hole:?}: an entry takes more than a byte");
        last = *hole;
    }
    assert!(last.ordinals.1 <= scan.entries, "{last:?}, {} entries", scan.entries);
}

/// What is there without skipping is there with it.
fn compare(plain: &Scan, skipped: &Scan, below: u64) {
    assert_eq!(plain.begin, skipped.begin);
    if skipped.holes.is_empty() {
        assert_eq!(plain.end.max(below), skipped.end.max(below));
        return;
    }
    assert!(skipped.holes[0].from >= FILE_HEADER as u64);
    assert!(skipped.last_id >= plain.last_id.min(skipped.holes[0].ids.0));
}

/// The search for the next good frame finds the first one that is there, by whatever way one looks.
fn frames_of_their_own(bytes: &[u8], seed: u32, file: &dyn DiskFile, from: u64) {
    let mut window = Window::new(file, Path::new(PATH)).unwrap();
    let from = from.next_multiple_of(ALIGN);
    let good = |at: &u64| {
        let rest = bytes.get(*at as usize..).unwrap_or_default();
        let header = Header::decode(rest, seed, *at);
        header.is_some_and(|header| header.body(rest, seed, *at).is_some())
    };
    let mut places = (from..bytes.len() as u64).step_by(ALIGN as usize);
    let wanted = places.find(good);
    let found = next_frame(&mut window, seed, from, bytes.len() as u64).unwrap();
    assert_eq!(found.map(|(at, _)| at), wanted);
    let durable = was_durable(&mut window, seed, from).unwrap();
    assert!(!durable || (from + ALIGN..bytes.len() as u64).step_by(8).any(|at| good(&at)));
}

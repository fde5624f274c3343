//! Files of a store that somebody else wrote: opening them never fails otherwise than by an error
//! that says so, and what opens agrees with itself, now and the next time.

use super::STREAM;
use super::disk::FixedDisk;
use super::image::{self, ALWAYS, Image, Leave, REPAIR, SKIP, UUID};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::format::header::{FileKind, StoreHeader};
use crate::format::name;
use crate::id::EntryId;
use crate::journal::Sizes;
use crate::options::{Durability, GroupReadOptions, OnDamage, PendingFilter};
use crate::storage::disk::Disk;
use crate::store::{Store, StoreOptions};
use crate::stream::Stream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(super) const DIR: &str = "/store";
/// A consumer that no input is likely to have.
const VISITOR: &[u8] = b"\xffa visitor of the fuzzing target";

/// A disk with a store that has a STORE file and empty directories.
pub(super) fn disk() -> Arc<FixedDisk> {
    let disk = FixedDisk::new();
    let dir = Path::new(DIR);
    for path in [dir, &dir.join(name::STATE), &dir.join(name::STREAMS)] {
        disk.create_dir(path).unwrap();
    }
    let header = StoreHeader { uuid: UUID, created_ms: 0 };
    disk.put(&dir.join(name::STORE), &header.encode());
    disk
}

pub(super) fn journal_path(number: u8) -> PathBuf {
    let file = name::JOURNALS[usize::from(number) % name::JOURNALS.len()];
    Path::new(DIR).join(name::STATE).join(file)
}

/// The path of a segment of the one stream.
pub(super) fn segment_path(number: u8) -> PathBuf {
    let dir = Path::new(DIR).join(name::STREAMS).join(name::stream_dir(STREAM));
    dir.join(name::segment(u64::from(number), 0))
}

/// The state journal of a store in which nothing has happened yet.
fn empty_journal() -> &'static [Image] {
    static FILES: OnceLock<Vec<Image>> = OnceLock::new();
    FILES.get_or_init(|| {
        let disk = disk();
        open(&disk, &store_options()).unwrap().close().unwrap();
        (0..3).map(|number| (number, disk.bytes_of(&journal_path(number)))).collect()
    })
}

/// The journal's files are short, so that an input takes little time and fills them.
pub(super) const SIZES: Sizes =
    Sizes { first: 8192, usual: 32 << 10, most: 64 << 10, due: 8192, section: 1024 };

pub(super) fn store_options() -> StoreOptions {
    let mut options = Store::options();
    options.journal = SIZES;
    options
}

pub(super) fn options(switches: u8) -> StoreOptions {
    let mut options = store_options();
    if switches & SKIP != 0 {
        options = options.on_damage(OnDamage::Skip);
    }
    options.durability(match switches & ALWAYS {
        0 => Durability::Manual,
        _ => Durability::Always,
    })
}

pub(super) fn open(disk: &Arc<FixedDisk>, options: &StoreOptions) -> Option<Store> {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    Store::open_on(disk, Path::new(DIR), options).inspect_err(expected).ok()
}

/// The only errors that bytes on a disk may lead to.
pub(super) fn expected(error: &Error) {
    let fine = error.is_corruption()
        || matches!(
            error.kind(),
            ErrorKind::UnsupportedVersion { .. }
                | ErrorKind::IdExhausted
                | ErrorKind::StorageFull { .. }
                | ErrorKind::EntryTooLarge { .. }
        );
    assert!(fine, "{error}");
}

/// Recovers a stream whose segments are the input's files. Returns whether an entry was found.
pub fn segment(data: &[u8]) -> bool {
    let mut input = image::read(data, 4);
    if input.switches & REPAIR != 0 {
        image::repair(&mut input.files, FileKind::Segment, STREAM, Leave::default());
    }
    let disk = disk();
    // The state journal is there and empty, so that the directory is that of a stream whose
    // creation a crash took from the journal's end.
    image::store(&disk, empty_journal(), journal_path);
    disk.create_dir(segment_path(0).parent().unwrap()).unwrap();
    image::store(&disk, &input.files, segment_path);
    let options = options(input.switches);
    let mut found = false;
    let Some(before) = look(&disk, &options, &mut found) else {
        return found;
    };
    // What was appended in that look is there in the next one, behind all that was there.
    if let Some(after) = look(&disk, &options, &mut found) {
        for (name, entries) in &before {
            let again = after.iter().find(|(other, _)| other == name);
            let (_, again) = again.expect("a stream is gone");
            assert!(
                again.starts_with(entries),
                "the second opening differs: {entries:?} then {again:?}"
            );
        }
    }
    found
}

type Contents = Vec<(Vec<u8>, Vec<Entry>)>;

/// What every stream holds in the end, if all of them could be read.
fn look(disk: &Arc<FixedDisk>, options: &StoreOptions, found: &mut bool) -> Option<Contents> {
    let store = open(disk, options)?;
    let mut contents = Vec::new();
    for name in store.names() {
        let stream = store.get(&name).inspect_err(expected).ok()??;
        let entries = entries_of(&stream)?;
        *found |= !entries.is_empty();
        let entries = append(&stream, entries)?;
        contents.push((name, entries));
    }
    store.close().inspect_err(expected).ok()?;
    Some(contents)
}

pub(super) fn entries_of(stream: &Stream) -> Option<Vec<Entry>> {
    stream.len().inspect_err(expected).ok()?;
    let forward: Result<Vec<Entry>, Error> = stream.range(..).collect();
    let forward = forward.inspect_err(expected).ok()?;
    assert!(forward.windows(2).all(|pair| pair[0].id() < pair[1].id()), "IDs do not grow");
    let back: Result<Vec<Entry>, Error> = stream.range(..).rev().collect();
    let mut back = back.inspect_err(expected).ok()?;
    back.reverse();
    assert_eq!(forward, back, "backwards");
    for entry in &forward {
        let got = stream.get(entry.id()).inspect_err(expected).ok()?;
        assert_eq!(got.as_ref(), Some(entry), "get");
    }
    // What damage took is not counted once it was met.
    assert_eq!(stream.len().inspect_err(expected).ok()?, forward.len() as u64, "the length");
    stream.info().inspect_err(expected).ok()?;
    Some(forward)
}

/// Appends an entry and reads everything again.
fn append(stream: &Stream, before: Vec<Entry>) -> Option<Vec<Entry>> {
    let id = match stream.append([("after", "recovery")]) {
        Ok(id) => id,
        Err(error) => {
            expected(&error);
            return Some(before);
        }
    };
    assert!(before.last().is_none_or(|last| id > last.id()));
    stream.sync().inspect_err(expected).ok()?;
    let after = entries_of(stream)?;
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.last().map(Entry::id), Some(id));
    Some(after)
}

/// Opens a store whose state journal is the input's files. Returns whether it told of a stream.
pub fn journal(data: &[u8]) -> bool {
    let mut input = image::read(data, 3);
    input.files.retain(|(number, _)| *number < 3);
    if input.switches & REPAIR != 0 {
        image::repair(&mut input.files, FileKind::Journal, 0, Leave::default());
    }
    let disk = disk();
    image::store(&disk, &input.files, journal_path);
    let options = options(input.switches);
    let Some(before) = groups_of(&disk, &options) else {
        return false;
    };
    let Some(after) = groups_of(&disk, &options) else {
        panic!("opened once and not again");
    };
    assert_eq!(before, after, "the second opening differs");
    !before.is_empty()
}

/// What there is to know of each group.
fn groups_of(disk: &Arc<FixedDisk>, options: &StoreOptions) -> Option<Vec<String>> {
    let store = open(disk, options)?;
    let mut told = Vec::new();
    for name in store.names() {
        told.push(format!("{name:?}"));
        let Ok(Some(stream)) = store.get(&name).inspect_err(expected) else {
            continue;
        };
        let Ok(info) = stream.info().inspect_err(expected) else {
            continue;
        };
        told.push(format!("{:?} {:?}", info.last_id, info.entries_added));
        for group in stream.groups().unwrap() {
            told.push(format!("{group:?}"));
            let handle = stream.get_group(&group.name).unwrap().unwrap();
            let pending = handle.pending_range(.., PendingFilter::new()).unwrap();
            assert_eq!(pending.len() as u64, group.pending);
            let ids: Vec<EntryId> = pending.iter().map(|record| record.id).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "an ID is pending twice");
            let summary = handle.pending().unwrap();
            assert_eq!(summary.count, group.pending);
            let owners = handle.consumers().unwrap();
            assert_eq!(owners.len(), group.consumers);
            told.push(format!("{ids:?} {:?}", summary.consumers));
        }
    }
    for name in store.names() {
        // The state takes changes, and they do not show below: nothing was ever appended.
        if let Ok(Some(stream)) = store.get(&name) {
            for group in stream.groups().unwrap_or_default() {
                let group = stream.get_group(&group.name).unwrap().unwrap();
                let reader = group.consumer(VISITOR).unwrap();
                let read = reader.read(GroupReadOptions::new()).map(|batch| batch.len());
                match read {
                    Ok(found) => assert_eq!(found, 0),
                    Err(error) => expected(&error),
                }
                group.remove_consumer(VISITOR).unwrap();
            }
        }
    }
    store.close().inspect_err(expected).ok()?;
    Some(told)
}

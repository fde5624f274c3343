//! The STORE file and the headers of all other files of a small store: whatever they say, what the
//! store shows is what was put into it, or it is refused.

use super::Input;
use super::image::{self, Image, REPAIR, SKIP};
use super::index::Template;
use super::recovery::{self, DIR};
use crate::error::ErrorKind;
use crate::format::header::{FILE_HEADER, FileHeader, STORE_FILE, StoreHeader};
use crate::format::{name, put};
use std::path::Path;

/// Put the frames' checksums right besides, so that they fit the changed header.
const REFRAME: u8 = 8;

/// Opens a store after changes to its headers: switches, then for each change a byte for the file
/// (STORE, the journal's files, the segments), one for the offset, one for the length, the bytes.
/// Returns whether all headers passed their checksums.
pub fn manifest(data: &[u8]) -> bool {
    let mut input = Input(data);
    let switches = input.byte();
    let template = Template::get();
    let mut files = template.all();
    while !input.is_empty() {
        let (file, offset) = (usize::from(input.byte()), usize::from(input.byte()));
        let len = usize::from(input.byte() % 17);
        let count = files.len();
        let bytes = &mut files[file % count].1;
        let end = if bytes.len() == STORE_FILE { STORE_FILE } else { FILE_HEADER };
        let change = input.bytes(len);
        let change = &change[..change.len().min(end.saturating_sub(offset))];
        if !change.is_empty() {
            put(bytes, offset, change);
        }
    }
    for (_, bytes) in &mut files {
        if switches & REPAIR != 0 {
            super::frames::repair_header(bytes);
        }
        let header = FileHeader::decode(bytes);
        if let (true, Ok(header)) = (switches & REFRAME != 0, header) {
            image::repair_frames(bytes, header.seed(), 0);
        }
    }
    let passed = files.iter().all(|(number, bytes)| match number {
        0 => StoreHeader::decode(bytes).is_ok(),
        _ => FileHeader::decode(bytes).is_ok(),
    });
    let changed = files != template.all();
    look(template, &files, switches, changed);
    passed
}

fn look(template: &Template, files: &[Image], switches: u8, changed: bool) {
    let disk = template.disk_of(files);
    let options = recovery::options(switches);
    let Some(store) = recovery::open(&disk, &options) else {
        assert!(changed);
        // Refused, it stays as it is: a newer program may open it.
        let store = Path::new(DIR).join(name::STORE);
        assert_eq!(disk.bytes_of(&store), files[0].1);
        return;
    };
    let all: Vec<_> = template.entries.keys().copied().collect();
    let Some(ids) = template.check(&store) else {
        assert!(changed, "an unchanged store is refused");
        return;
    };
    // Damage takes nothing away without a word. (A header that somebody forged may.)
    if switches & (REPAIR | SKIP) == 0 {
        assert_eq!(ids, all);
    }
    let newer = files.iter().any(|(number, bytes)| {
        let error = match number {
            0 => StoreHeader::decode(bytes).err(),
            _ => FileHeader::decode(bytes).err(),
        };
        error.is_some_and(|error| matches!(error.kind(), ErrorKind::UnsupportedVersion { .. }))
    });
    assert!(!newer, "a file of a newer version was read");
}

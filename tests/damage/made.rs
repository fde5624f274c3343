//! Stores whose process died, and the tools that damage them.
//!
//! A process that dies leaves its files as they are: a copy of the directory of an open store is
//! such a store. What is known of the bytes is what `src/format/FORMAT.md` says.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use streamlog::{
    AppendOptions, Durability, EntryId, Error, ErrorKind, OnDamage, Result, Store, StoreOptions,
    Stream, StreamOptions,
};

/// Length of a file's header.
pub(crate) const HEADER: u64 = 128;

pub(crate) fn manual() -> StoreOptions {
    Store::options().durability(Durability::Manual)
}

pub(crate) fn skipping() -> StoreOptions {
    manual().on_damage(OnDamage::Skip)
}

/// Segments as small as they can be, and blocks of ten entries.
pub(crate) fn small() -> StreamOptions {
    StreamOptions::new().segment_bytes(4096).block_entries(10)
}

/// Appends entries `from-0` to `to-0`, each with what [`ids`] expects.
pub(crate) fn put(stream: &Stream, numbers: RangeInclusive<u64>) {
    for n in numbers {
        let options = AppendOptions::new().id(EntryId::new(n, 0));
        stream.append_with([("n", n.to_string())], options).unwrap();
    }
}

/// The milliseconds of all entries, each of which must hold what [`put`] stored.
pub(crate) fn ids(stream: &Stream) -> Vec<u64> {
    try_ids(stream).unwrap()
}

pub(crate) fn try_ids(stream: &Stream) -> Result<Vec<u64>> {
    let number = |entry: Result<streamlog::Entry>| {
        let entry = entry?;
        let number = entry.id().ms;
        assert_eq!(entry.get("n").unwrap(), number.to_string().as_bytes());
        Ok(number)
    };
    stream.range(..).map(number).collect()
}

pub(crate) fn upto(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

pub(crate) fn stream(store: &Store, name: &str) -> Stream {
    store.get(name).unwrap().unwrap()
}

pub(crate) fn try_stream(store: &Store, name: &str) -> Result<Stream> {
    store.get(name).map(|found| found.unwrap())
}

pub(crate) fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error,
    }
}

/// The error must be damage at this file and offset, and say which option goes on and how to look.
pub(crate) fn assert_damage(error: &Error, path: &Path, offset: Option<u64>) {
    assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
    assert!(error.is_corruption());
    assert_eq!(error.location(), Some((path, offset)), "{error}");
    let text = error.to_string();
    assert!(text.contains("OnDamage::Skip") && text.contains("Store::open_salvage"), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
}

/// The segment files of the stream with this number, oldest first.
pub(crate) fn segments(dir: &Path, stream: u64) -> Vec<PathBuf> {
    let dir = dir.join("streams").join(stream.to_string());
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    files.sort();
    files
}

/// The segment files that hold frames; a last one may lie there prepared and empty.
pub(crate) fn used_segments(dir: &Path, stream: u64) -> Vec<PathBuf> {
    let mut files = segments(dir, stream);
    files.retain(|path| !frames(path).is_empty());
    files
}

/// A frame of a file, as its header says, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) end: u64,
    pub(crate) kind: u8,
    pub(crate) block: bool,
}

impl Frame {
    /// Where its body begins.
    pub(crate) fn body(&self) -> u64 {
        self.at + if self.block { 37 } else { 13 }
    }
}

/// The frames of a segment or journal file, up to the first place where there is none.
pub(crate) fn frames(path: &Path) -> Vec<Frame> {
    let bytes = fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut at = HEADER as usize;
    while let Some(header) = bytes.get(at..at + 13) {
        let size = u32::from_le_bytes(header[8..12].try_into().unwrap());
        let (kind, len) = ((size >> 28) as u8, (size & 0x0fff_ffff) as usize);
        if kind == 0 || kind > 8 || header[12] > 15 {
            break;
        }
        let block = header[12] & 1 != 0;
        let end = (at + if block { 37 } else { 13 } + len).next_multiple_of(8);
        frames.push(Frame { at: at as u64, end: end as u64, kind, block });
        at = end;
    }
    frames
}

/// The end of the frames of a file.
pub(crate) fn end(path: &Path) -> u64 {
    frames(path).last().unwrap().end
}

pub(crate) fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset as usize] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

pub(crate) fn overwrite(path: &Path, offset: u64, with: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset as usize..offset as usize + with.len()].copy_from_slice(with);
    fs::write(path, bytes).unwrap();
}

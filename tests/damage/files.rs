//! Stores whose files are copied and changed.

use std::path::{Path, PathBuf};
use streamlog::{Durability, OnDamage, Result, Store, StoreOptions, StreamOptions};

pub(crate) fn options() -> StoreOptions {
    let stream = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000).block_entries(10);
    Store::options().durability(Durability::Manual).stream_defaults(stream)
}

pub(crate) fn open(dir: &Path) -> Store {
    options().open(dir).unwrap()
}

pub(crate) fn open_skipping(dir: &Path) -> Result<Store> {
    options().on_damage(OnDamage::Skip).open(dir)
}

/// The segment files of a stream, oldest first, without those that hold no frame yet.
pub(crate) fn segments(dir: &Path, stream: u64) -> Vec<PathBuf> {
    let dir = dir.join("streams").join(stream.to_string());
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .filter(|path| used(path) > HEADER)
        .collect();
    found.sort();
    found
}

/// Where frames begin in a file.
pub(crate) const HEADER: usize = 128;

/// The end of what is not zero; 0 for a file that the background has removed meanwhile.
pub(crate) fn used(path: &Path) -> usize {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes.unwrap(),
    };
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |n| n + 1)
}

pub(crate) fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

pub(crate) fn flip(path: &Path, at: usize) {
    change(path, |bytes| bytes[at] ^= 0x10);
}

/// Where the value that `put` stored stands in a segment: behind its length.
pub(crate) fn find(path: &Path, text: &str) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let mut value = vec![u8::try_from(text.len()).unwrap()];
    value.extend(text.as_bytes());
    let found = bytes.windows(value.len()).position(|part| part == value);
    found.unwrap() + 1
}

//! The contract of the crate as tests: each promise has its number, C1 to C18, in the names of its
//! tests (`cargo test --test invariants contract_c07`), and each test says in its first sentence
//! what is promised.
//!
//! What a power cut leaves is made by [`left_by_a_cut`]: far from all that can be, but at small
//! scale what each promise is in most danger of. The simulator goes through the rest.

use super::disk::FaultDisk;
use super::ground::{DIR, id};
use crate::{Stream, StreamOptions};
use std::path::{Path, PathBuf};

#[path = "contract/bounds.rs"]
pub(crate) mod bounds;
#[path = "contract/damaged.rs"]
pub(crate) mod damaged;
#[path = "contract/levels.rs"]
pub(crate) mod levels;
#[path = "contract/pending.rs"]
pub(crate) mod pending;
#[path = "contract/removed.rs"]
pub(crate) mod removed;

/// The milliseconds of the IDs of all entries, each of which must be, byte for byte, what
/// `ground::put` has stored under this ID.
pub(crate) fn whole(stream: &Stream) -> Vec<u64> {
    let number = |entry: crate::Result<crate::Entry>| {
        let entry = entry.unwrap();
        let ms = entry.id().ms;
        assert_eq!(entry.id(), id(ms));
        let value = ms.to_string().repeat(100 / ms.to_string().len());
        let fields: Vec<_> = entry.fields().collect();
        assert_eq!(fields, [(&b"v"[..], value.as_bytes())], "{ms}");
        ms
    };
    stream.range(..).map(number).collect()
}

/// Blocks of four entries, so that a batch of some takes several frames.
pub(crate) fn small_blocks() -> StreamOptions {
    StreamOptions::new().segment_bytes(8192).block_entries(4)
}

/// A file with bytes that are not synced: these, and those that a cut leaves for certain.
struct Dirty {
    path: PathBuf,
    synced: Vec<u8>,
    present: Vec<u8>,
}

impl Dirty {
    /// The first byte that is not synced, and the one behind the last.
    fn range(&self) -> (usize, usize) {
        let differs = |n: &usize| self.synced[*n] != self.present[*n];
        let all = 0..self.present.len();
        let (first, last) = (all.clone().find(differs), all.rev().find(differs));
        (first.unwrap(), last.unwrap() + 1)
    }

    /// What may be on disk of it: everything up to some byte, every `step` bytes, and everything
    /// but one sector.
    fn variants(&self, step: usize) -> Vec<Vec<u8>> {
        let (first, last) = self.range();
        let upto = |cut: usize| [&self.present[..cut], &self.synced[cut..]].concat();
        let mut all: Vec<_> = (first..last).step_by(step).map(upto).collect();
        for sector in (first / 512 * 512..last).step_by(512) {
            let end = (sector + 512).min(self.present.len());
            let mut bytes = self.present.clone();
            bytes[sector..end].copy_from_slice(&self.synced[sector..end]);
            all.push(bytes);
        }
        all
    }

    fn is_journal(&self) -> bool {
        self.path.starts_with(Path::new(DIR).join("state"))
    }
}

/// Disks as a cut of the power may leave them: what was synced is there, and of the rest of each
/// file a part, while the other files have all or nothing of theirs.
pub(crate) fn left_by_a_cut(disk: &FaultDisk, step: usize) -> Vec<FaultDisk> {
    let base = disk.power_cut();
    let mut dirty = Vec::new();
    for dir in ["streams/1", "state"] {
        for path in disk.list(&Path::new(DIR).join(dir)) {
            let (synced, present) = (base.bytes(&path), disk.bytes(&path));
            if synced != present {
                dirty.push(Dirty { path, synced, present });
            }
        }
    }
    let with = |present: &dyn Fn(&Dirty) -> bool| {
        let left = disk.power_cut();
        for file in dirty.iter().filter(|file| present(file)) {
            left.scribble(&file.path, 0, &file.present);
        }
        left
    };
    let mut disks = vec![with(&|_| false), with(&|_| true)];
    disks.extend([with(&Dirty::is_journal), with(&|file| !file.is_journal())]);
    for file in &dirty {
        for bytes in file.variants(step) {
            for others in [true, false] {
                let left = with(&|other| others && other.path != file.path);
                left.scribble(&file.path, 0, &bytes);
                disks.push(left);
            }
        }
    }
    disks
}

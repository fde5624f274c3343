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
use std::rc::Rc;

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

    /// How it may be cut: at every `step` bytes, and around each sector.
    fn cuts(&self, step: usize) -> Vec<Cut> {
        let (first, last) = self.range();
        let sectors = (first / 512 * 512..last).step_by(512);
        (first..last).step_by(step).map(Cut::At).chain(sectors.map(Cut::Around)).collect()
    }

    /// What is on disk of it then.
    fn left(&self, cut: Cut) -> Vec<u8> {
        match cut {
            Cut::At(end) => [&self.present[..end], &self.synced[end..]].concat(),
            Cut::Around(sector) => {
                let end = (sector + 512).min(self.present.len());
                let mut bytes = self.present.clone();
                bytes[sector..end].copy_from_slice(&self.synced[sector..end]);
                bytes
            }
        }
    }

    fn is_journal(&self) -> bool {
        self.path.starts_with(Path::new(DIR).join("state"))
    }
}

/// What of a file's bytes that are not synced is on disk.
#[derive(Clone, Copy)]
enum Cut {
    /// Those up to here.
    At(usize),
    /// All but those of this sector.
    Around(usize),
}

/// Disks as a cut of the power may leave them: what was synced is there, and of the rest of each
/// file a part, while the other files have all or nothing of theirs. One at a time, as each is a
/// store of its own.
pub(crate) fn left_by_a_cut(disk: &FaultDisk, step: usize) -> impl Iterator<Item = FaultDisk> {
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
    let with = |dirty: &[Dirty], present: &dyn Fn(&Dirty) -> bool| {
        let left = disk.power_cut();
        for file in dirty.iter().filter(|file| present(file)) {
            left.scribble(&file.path, 0, &file.present);
        }
        left
    };
    let whole: [fn(&Dirty) -> bool; 4] =
        [|_| false, |_| true, Dirty::is_journal, |file| !file.is_journal()];
    let (dirty, all) = (Rc::new(dirty), whole.into_iter());
    let of_all = Rc::clone(&dirty);
    let torn = (0..dirty.len()).flat_map(move |number| {
        let dirty = Rc::clone(&dirty);
        let cuts = dirty[number].cuts(step).into_iter();
        cuts.flat_map(|cut| [(cut, true), (cut, false)]).map(move |(cut, others)| {
            let file = &dirty[number];
            let left = with(&dirty, &|other| others && other.path != file.path);
            left.scribble(&file.path, 0, &file.left(cut));
            left
        })
    });
    all.map(move |present| with(&of_all, &present)).chain(torn)
}

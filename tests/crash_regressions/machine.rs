//! A small store on the simulated disk, and power cuts that are told what to leave.

use super::sim::disk::{Capture, SimDisk, World};
use super::sim::image::{Choice, Image, Mode, Spoiled};
use super::sim::names::{NodeId, ROOT, Tree};
use crate::journal::Sizes;
use crate::{Durability, Store, StoreOptions, Stream, StreamOptions};
use std::path::Path;
use std::sync::Arc;

pub fn disk() -> SimDisk {
    let now_ms = 1_700_000_000_000;
    SimDisk::empty(World { seed: 1, write_back: 0, sync_all: false, now_ms })
}

/// Segments of 4 KiB, and a journal that is seldom full.
pub fn options(level: Durability) -> StoreOptions {
    let stream = StreamOptions::new().segment_bytes(4096).max_entry_bytes(3000);
    let mut options = StoreOptions::default().durability(level).stream_defaults(stream);
    options.journal =
        Sizes { first: 16 << 10, usual: 16 << 10, most: 16 << 10, due: 16 << 10, section: 4096 };
    options
}

pub fn open(disk: &SimDisk, level: Durability) -> Store {
    open_with(disk, &options(level))
}

pub fn open_with(disk: &SimDisk, options: &StoreOptions) -> Store {
    let disk = Arc::new(disk.clone());
    Store::open_on(disk, Path::new("/store"), options).unwrap()
}

/// An entry whose only value has this many bytes.
pub fn append(stream: &Stream, bytes: usize) -> crate::EntryId {
    stream.append([("v", vec![b'x'; bytes])]).unwrap()
}

pub fn ids(stream: &Stream) -> Vec<crate::EntryId> {
    stream.range(..).map(|entry| entry.unwrap().id()).collect()
}

/// A power cut: what it leaves of each file.
pub struct Cut {
    capture: Capture,
    choice: Choice,
}

impl Cut {
    /// Leaves all that was written.
    pub fn late(disk: &SimDisk) -> Cut {
        Cut::of(disk.capture(), Mode::AllCurrent)
    }

    /// Leaves what was synced and nothing else.
    pub fn early(disk: &SimDisk) -> Cut {
        Cut::of(disk.capture(), Mode::AllOld)
    }

    pub fn of(capture: Capture, mode: Mode) -> Cut {
        let choice = Choice::extreme(&capture, mode);
        Cut { capture, choice }
    }

    /// Changes what is left of the files whose path contains `part`: all sectors that begin in
    /// `from..to` are as the process wrote them, or as they were before.
    fn set(mut self, part: &str, from: u64, to: u64, current: bool) -> Cut {
        let tree = Image::extreme(&self.capture, Mode::AllCurrent).tree;
        let mut found = false;
        for (number, (node, file)) in self.capture.files.iter().enumerate() {
            if !path_of(&tree, *node).contains(part) {
                continue;
            }
            found = true;
            let choice = &mut self.choice.files[number];
            choice.new_len |= current;
            for (page, dirty) in file.dirty.iter().enumerate() {
                for sector in 0..8 {
                    let at = u64::from(dirty.index) * 4096 + sector * 512;
                    let bit = dirty.sectors & (1 << sector);
                    match current {
                        _ if !(from..to).contains(&at) => {}
                        true => choice.current[page] |= bit,
                        false => choice.current[page] &= !bit,
                    }
                }
            }
        }
        assert!(found, "there is no file with {part} in its path");
        self
    }

    pub fn old(self, part: &str) -> Cut {
        self.set(part, 0, u64::MAX, false)
    }

    pub fn old_sectors(self, part: &str, from: u64, to: u64) -> Cut {
        self.set(part, from, to, false)
    }

    pub fn current(self, part: &str) -> Cut {
        self.set(part, 0, u64::MAX, true)
    }

    /// The first sector was being written: it holds noise where it changed.
    pub fn torn_beginning(mut self, part: &str) -> Cut {
        let tree = Image::extreme(&self.capture, Mode::AllCurrent).tree;
        for (number, node) in self.capture.files.keys().enumerate() {
            if path_of(&tree, *node).contains(part) {
                let spoiled = Spoiled { page: 0, sector: 0, bytes: [0xa5; 512] };
                self.choice.files[number].spoiled = Some(Box::new(spoiled));
            }
        }
        self
    }

    /// The machine starts again.
    pub fn boot(self) -> SimDisk {
        Image::of(&self.capture, &self.choice).boot()
    }
}

fn path_of(tree: &Tree, node: NodeId) -> String {
    if node == ROOT {
        return String::new();
    }
    match tree.all().find(|(_, _, found)| *found == node) {
        Some((dir, name, _)) => format!("{}/{}", path_of(tree, dir), name.to_string_lossy()),
        None => String::new(),
    }
}

/// The process is gone, and with it all that it had in hand.
pub fn die<T>(disk: &SimDisk, handles: T) {
    // With memory of its own, as what a destructor stores through a map asks nobody.
    drop(disk.next_life());
    drop(handles);
}

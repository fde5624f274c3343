//! sled, with its default configuration: one tree, the 16-byte ID as key. A batch is one `Batch`.
//!
//! It holds what was written in the process, and flushes every 500 ms in the background: a weaker
//! promise than that of the other rows. On Linux its `flush` ends in `sync_file_range`, which writes
//! no metadata and does not empty the disk's own cache, so it has no durable workload; a store that
//! others shall find on the disk is synced from outside.

use super::clock::{SharedClock, key};
use super::{Id, Outcome, Peer};
use crate::process::sync_files;
use crate::workload::Level;
use sled::{Batch, Db, IVec};
use std::path::{Path, PathBuf};

/// The row.
pub struct Sled {
    entries: Db,
    clock: SharedClock,
    dir: PathBuf,
}

impl Sled {
    fn read(
        found: impl Iterator<Item = sled::Result<(IVec, IVec)>>,
        mut each: impl FnMut(&[u8]),
    ) -> Outcome<u64> {
        let mut entries = 0;
        for entry in found {
            each(&entry?.1);
            entries += 1;
        }
        Ok(entries)
    }
}

impl Peer for Sled {
    type Lane = ();

    fn open(dir: &Path, _level: Level) -> Outcome<Sled> {
        Ok(Sled { entries: sled::open(dir)?, clock: SharedClock::default(), dir: dir.to_owned() })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        let id = self.clock.next();
        self.entries.insert(key(id), payload)?;
        Ok(id)
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let (mut last, mut batch) = (Id(0, 0), Batch::default());
        for payload in payloads {
            last = self.clock.next();
            batch.insert(&key(last), *payload);
        }
        self.entries.apply_batch(batch)?;
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        self.entries.flush()?;
        sync_files(&self.dir)
    }

    fn scan(&self, each: impl FnMut(&[u8])) -> Outcome<u64> {
        Sled::read(self.entries.iter(), each)
    }

    fn read_from(&self, id: Id, count: usize, each: impl FnMut(&[u8])) -> Outcome<u64> {
        Sled::read(self.entries.range(key(id)..).take(count), each)
    }

    fn has_last(&self) -> Outcome<bool> {
        Ok(self.entries.last()?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

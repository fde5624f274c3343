//! RocksDB, with its default options, built without its compressors:
//! one column family, the 16-byte ID as key. A batch is one `WriteBatch`.
//!
//! By default each call hands its data to the operating system through the write-ahead log; durable
//! is `WriteOptions::sync`, as its documentation says. A group of writers shares a sync.

use super::clock::{SharedClock, key};
use super::{Id, Outcome, Peer};
use crate::workload::Level;
use rocksdb::{DB, Direction, IteratorMode, Options, WriteBatch, WriteOptions};
use std::path::{Path, PathBuf};

/// The row.
pub struct RocksDb {
    entries: DB,
    clock: SharedClock,
    syncs: bool,
}

type Pair = (Box<[u8]>, Box<[u8]>);

impl RocksDb {
    fn how(&self) -> WriteOptions {
        let mut how = WriteOptions::default();
        how.set_sync(self.syncs);
        how
    }

    fn read(
        found: impl Iterator<Item = Result<Pair, rocksdb::Error>>,
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

impl Peer for RocksDb {
    type Lane = ();

    fn open(dir: &Path, level: Level) -> Outcome<RocksDb> {
        let mut options = Options::default();
        options.create_if_missing(true);
        Ok(RocksDb {
            entries: DB::open(&options, dir)?,
            clock: SharedClock::default(),
            syncs: level == Level::Durable,
        })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        let id = self.clock.next();
        self.entries.put_opt(key(id), payload, &self.how())?;
        Ok(id)
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let mut batch = WriteBatch::default();
        let mut last = Id(0, 0);
        for payload in payloads {
            last = self.clock.next();
            batch.put(key(last), payload);
        }
        self.entries.write_opt(batch, &self.how())?;
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.entries.flush_wal(true)?)
    }

    fn scan(&self, each: impl FnMut(&[u8])) -> Outcome<u64> {
        RocksDb::read(self.entries.iterator(IteratorMode::Start), each)
    }

    fn read_from(&self, id: Id, count: usize, each: impl FnMut(&[u8])) -> Outcome<u64> {
        let from = key(id);
        let found = self.entries.iterator(IteratorMode::From(&from, Direction::Forward));
        RocksDb::read(found.take(count), each)
    }

    fn has_last(&self) -> Outcome<bool> {
        Ok(self.entries.iterator(IteratorMode::End).next().transpose()?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

//! LMDB through heed: one database, the 16-byte ID as key, each put with `MDB_APPEND`, which its
//! documentation recommends for keys that come in order. A batch is one transaction.
//!
//! Durable is what LMDB does by default: each commit syncs. Without a sync it runs with
//! `MDB_NOSYNC` and `MDB_WRITEMAP`. It checks no checksum, since it has none.

use super::clock::{SharedClock, key};
use super::{Id, Outcome, Peer};
use crate::workload::Level;
use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags};
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// The row.
pub struct Lmdb {
    env: Env,
    entries: Database<Bytes, Bytes>,
    clock: SharedClock,
}

/// More than any workload writes.
const MAP: usize = 4 << 30;

impl Lmdb {
    fn write(&self, payloads: &[&[u8]]) -> Outcome<Id> {
        // The write transaction is LMDB's lock of writers: IDs that are taken under it are in
        // order, as `MDB_APPEND` demands.
        let mut change = self.env.write_txn()?;
        let mut last = Id(0, 0);
        for payload in payloads {
            last = self.clock.next();
            let (key, flags) = (key(last), PutFlags::APPEND);
            self.entries.put_with_flags(&mut change, flags, &key, payload)?;
        }
        change.commit()?;
        Ok(last)
    }
}

impl Peer for Lmdb {
    type Lane = ();

    #[expect(unsafe_code, reason = "a map is unsafe to open for heed")]
    fn open(dir: &Path, level: Level) -> Outcome<Lmdb> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP);
        if level == Level::Unsynced {
            // SAFETY: the flags give up what a power loss leaves, which no measurement looks at.
            unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP) };
        }
        // SAFETY: the directory is this measurement's own, so nobody else changes the file.
        let env = unsafe { options.open(dir)? };
        let mut change = env.write_txn()?;
        let entries = env.create_database(&mut change, None)?;
        change.commit()?;
        Ok(Lmdb { env, entries, clock: SharedClock::default() })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        self.write(&[payload])
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        self.write(payloads)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.env.force_sync()?)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let view = self.env.read_txn()?;
        let mut entries = 0;
        for entry in self.entries.iter(&view)? {
            each(entry?.1);
            entries += 1;
        }
        Ok(entries)
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let view = self.env.read_txn()?;
        let mut entries = 0;
        let from = key(id);
        let range = (Bound::Included(&from[..]), Bound::Unbounded);
        for entry in self.entries.range(&view, &range)?.take(count) {
            each(entry?.1);
            entries += 1;
        }
        Ok(entries)
    }

    fn has_last(&self) -> Outcome<bool> {
        let view = self.env.read_txn()?;
        Ok(self.entries.last(&view)?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

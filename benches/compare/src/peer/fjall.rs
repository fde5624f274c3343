//! fjall, with its default options: one keyspace, the 16-byte ID as key. A batch is one
//! `WriteBatch`.
//!
//! By default each call hands its data to the operating system. Durable adds
//! `persist(SyncData)`, as its documentation says; in a batch that is the batch's own durability.

use super::clock::{SharedClock, key};
use super::{Id, Outcome, Peer};
use crate::workload::Level;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::{Path, PathBuf};

/// The row.
pub struct Fjall {
    database: Database,
    entries: Keyspace,
    clock: SharedClock,
    syncs: bool,
}

impl Fjall {
    fn read(
        each: &mut impl FnMut(&[u8]),
        found: impl Iterator<Item = fjall::Guard>,
    ) -> Outcome<u64> {
        let mut entries = 0;
        for entry in found {
            each(&entry.value()?);
            entries += 1;
        }
        Ok(entries)
    }
}

impl Peer for Fjall {
    type Lane = ();

    fn open(dir: &Path, level: Level) -> Outcome<Fjall> {
        let database = Database::builder(dir).open()?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Fjall {
            database,
            entries,
            clock: SharedClock::default(),
            syncs: level == Level::Durable,
        })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        let id = self.clock.next();
        self.entries.insert(key(id), payload)?;
        if self.syncs {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(id)
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let mode = self.syncs.then_some(PersistMode::SyncData);
        let mut batch = self.database.batch().durability(mode);
        let mut last = Id(0, 0);
        for payload in payloads {
            last = self.clock.next();
            batch.insert(&self.entries, key(last), *payload);
        }
        batch.commit()?;
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        Fjall::read(&mut each, self.entries.iter())
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        Fjall::read(&mut each, self.entries.range(key(id)..).take(count))
    }

    fn has_last(&self) -> Outcome<bool> {
        let last = self.entries.last_key_value();
        Ok(last.map(fjall::Guard::value).transpose()?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

//! redb, with its default options: one table, the ID as a key of 128 bits. A batch is one
//! transaction.
//!
//! Durable is `Durability::Immediate`, its default. Without a sync it is `Durability::None`, which
//! holds what was written in the process until a durable commit: a weaker promise than that of the
//! other rows. No checksum is checked on reading.

use super::clock::SharedClock;
use super::{Id, Outcome, Peer};
use crate::workload::Level;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::{Path, PathBuf};

/// The row.
pub struct Redb {
    database: Database,
    clock: SharedClock,
    durability: Durability,
}

const ENTRIES: TableDefinition<u128, &[u8]> = TableDefinition::new("entries");

fn key(id: Id) -> u128 {
    (u128::from(id.0) << 64) | u128::from(id.1)
}

impl Redb {
    fn write(&self, payloads: &[&[u8]]) -> Outcome<Id> {
        let mut change = self.database.begin_write()?;
        change.set_durability(self.durability)?;
        let mut last = Id(0, 0);
        {
            let mut entries = change.open_table(ENTRIES)?;
            for payload in payloads {
                last = self.clock.next();
                entries.insert(key(last), *payload)?;
            }
        }
        change.commit()?;
        Ok(last)
    }

    fn read(&self, from: u128, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let view = self.database.begin_read()?;
        let entries = view.open_table(ENTRIES)?;
        let mut read = 0;
        for entry in entries.range(from..)?.take(count) {
            each(entry?.1.value());
            read += 1;
        }
        Ok(read)
    }
}

impl Peer for Redb {
    type Lane = ();

    fn open(dir: &Path, level: Level) -> Outcome<Redb> {
        Ok(Redb {
            database: Database::create(dir.join("entries.redb"))?,
            clock: SharedClock::default(),
            durability: match level {
                Level::Unsynced => Durability::None,
                Level::Durable => Durability::Immediate,
            },
        })
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
        // A durable commit makes those before it durable too.
        let change = self.database.begin_write()?;
        Ok(change.commit()?)
    }

    fn scan(&self, each: impl FnMut(&[u8])) -> Outcome<u64> {
        self.read(0, usize::MAX, each)
    }

    fn read_from(&self, id: Id, count: usize, each: impl FnMut(&[u8])) -> Outcome<u64> {
        self.read(key(id), count, each)
    }

    fn has_last(&self) -> Outcome<bool> {
        let view = self.database.begin_read()?;
        Ok(view.open_table(ENTRIES)?.last()?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

//! SQLite through rusqlite, bundled: a write-ahead log, one table with the row's number, the ID in
//! two columns and the payload as a blob, statements that are prepared once. A batch is one
//! transaction.
//!
//! Durable is `synchronous = FULL`, with which each commit syncs the log; without a sync it is
//! `OFF`. There is one writer at a time whatever one does, so one connection behind a mutex serves
//! all threads. The row's number is the place of an entry. No checksum is checked on reading.

use super::clock::IdClock;
use super::{Id, Outcome, Peer};
use crate::workload::Level;
use rusqlite::{Connection, Statement, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The row.
pub struct Sqlite(Mutex<Inner>);

struct Inner {
    connection: Connection,
    clock: IdClock,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS entries \
    (n INTEGER PRIMARY KEY, ms INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL)";
const INSERT: &str = "INSERT INTO entries (ms, seq, data) VALUES (?1, ?2, ?3)";
const SCAN: &str = "SELECT data FROM entries ORDER BY n";
const FROM: &str = "SELECT data FROM entries WHERE n >= ?1 ORDER BY n LIMIT ?2";
const LAST: &str = "SELECT n FROM entries ORDER BY n DESC LIMIT 1";

/// Runs a query whose rows have one blob, and counts them.
fn blobs(
    statement: &mut Statement<'_>,
    parameters: impl rusqlite::Params,
    mut each: impl FnMut(&[u8]),
) -> Outcome<u64> {
    let mut rows = statement.query(parameters)?;
    let mut entries = 0;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_blob()?);
        entries += 1;
    }
    Ok(entries)
}

impl Inner {
    fn insert(&mut self, payload: &[u8]) -> Outcome<Id> {
        let (ms, seq) = self.clock.next();
        let mut insert = self.connection.prepare_cached(INSERT)?;
        let number = insert.insert(params![ms.cast_signed(), seq.cast_signed(), payload])?;
        Ok(Id(0, number.cast_unsigned()))
    }
}

impl Sqlite {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer for Sqlite {
    type Lane = ();

    const SAME_IN_BATCHES: bool = true;

    fn open(dir: &Path, level: Level) -> Outcome<Sqlite> {
        let connection = Connection::open(dir.join("entries.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match level {
            Level::Unsynced => "OFF",
            Level::Durable => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute_batch(TABLE)?;
        let clock = IdClock::default();
        Ok(Sqlite(Mutex::new(Inner { connection, clock })))
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        self.lock().insert(payload)
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let mut inner = self.lock();
        let mut last = Id(0, 0);
        inner.connection.prepare_cached("BEGIN")?.execute(())?;
        for payload in payloads {
            last = inner.insert(payload)?;
        }
        inner.connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        let inner = self.lock();
        // A checkpoint syncs the log and then the database, but not with `synchronous = OFF`.
        let mode: i64 =
            inner.connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        inner.connection.pragma_update(None, "synchronous", "FULL")?;
        inner.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))?;
        Ok(inner.connection.pragma_update(None, "synchronous", mode)?)
    }

    fn scan(&self, each: impl FnMut(&[u8])) -> Outcome<u64> {
        let inner = self.lock();
        let mut scan = inner.connection.prepare_cached(SCAN)?;
        blobs(&mut scan, (), each)
    }

    fn read_from(&self, id: Id, count: usize, each: impl FnMut(&[u8])) -> Outcome<u64> {
        let inner = self.lock();
        let mut from = inner.connection.prepare_cached(FROM)?;
        blobs(&mut from, (id.1.cast_signed(), count as i64), each)
    }

    fn has_last(&self) -> Outcome<bool> {
        let inner = self.lock();
        Ok(inner.connection.prepare_cached(LAST)?.exists(())?)
    }

    fn close(self) -> Outcome<()> {
        self.sync()?;
        let inner = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        inner.connection.close().map_err(|(_, error)| error.into())
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

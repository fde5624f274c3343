//! okaywal, with its default configuration: each append is an entry of one chunk, committed, which
//! syncs; commits of several threads share a sync. The 16-byte ID lies in the record. It has no
//! write without a sync, and no reading in order but when it recovers, so it serves durable appends
//! alone. Its checkpoints throw away what they are given, as its own benchmark does.

use super::clock::{SharedClock, record};
use super::{Id, Outcome, Peer};
use crate::workload::Level;
use okaywal::{LogPosition, LogVoid, WriteAheadLog};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The row.
pub struct Okaywal {
    log: WriteAheadLog,
    clock: SharedClock,
    last: Mutex<Option<LogPosition>>,
}

impl Okaywal {
    fn write(&self, payloads: &[&[u8]]) -> Outcome<Id> {
        let mut entry = self.log.begin_entry()?;
        let (mut last, mut position) = (Id(0, 0), None);
        for payload in payloads {
            last = self.clock.next();
            position = Some(entry.write_chunk(&record(last, payload))?.position);
        }
        entry.commit()?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = position;
        Ok(last)
    }
}

impl Peer for Okaywal {
    type Lane = ();

    fn open(dir: &Path, _level: Level) -> Outcome<Okaywal> {
        Ok(Okaywal {
            log: WriteAheadLog::recover(dir, LogVoid)?,
            clock: SharedClock::default(),
            last: Mutex::new(None),
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
        // Every append has synced.
        Ok(())
    }

    fn has_last(&self) -> Outcome<bool> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = self.log.read_at(last.ok_or("nothing was appended")?)?;
        std::io::copy(&mut chunk, &mut std::io::sink())?;
        Ok(chunk.crc_is_valid()?)
    }

    fn close(self) -> Outcome<()> {
        Ok(self.log.shutdown()?)
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

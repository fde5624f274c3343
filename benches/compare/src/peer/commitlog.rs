//! commitlog, with its default options, behind a mutex, because a writer needs it for itself. The
//! 16-byte ID lies in the record; the message's offset is its place. A batch is one `MessageBuf`.
//!
//! It cannot sync its segments: `flush` ends in `File::flush`, which does nothing. So it has no
//! durable workload, and a store that others shall find on the disk is synced from outside.

use super::clock::{IdClock, payload, record};
use super::{Id, Outcome, Peer};
use crate::process::sync_files;
use crate::workload::Level;
use commitlog::message::{MessageBuf, MessageSet};
use commitlog::{CommitLog, LogOptions, ReadLimit};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The row.
pub struct Commitlog {
    inner: Mutex<Inner>,
    /// Bytes of the last message, from which a read of a few knows how much to ask for.
    size: OnceLock<usize>,
    dir: PathBuf,
}

struct Inner {
    log: CommitLog,
    clock: IdClock,
}

/// Bytes that one read of a scan asks for.
const FETCH: usize = 256 << 10;

fn fails(error: impl std::fmt::Debug) -> String {
    format!("commitlog: {error:?}")
}

impl Inner {
    fn record(&mut self, payload: &[u8]) -> Vec<u8> {
        let (ms, seq) = self.clock.next();
        record(Id(ms, seq), payload)
    }

    /// The messages from an offset on, whose checksums `read` has checked.
    fn read(&self, from: u64, bytes: usize) -> Outcome<MessageBuf> {
        let limit = ReadLimit::max_bytes(bytes);
        Ok(self.log.read(from, limit).map_err(fails)?)
    }

    fn last_size(&self) -> Outcome<usize> {
        let last = self.log.last_offset().ok_or("an empty log")?;
        Ok(self.read(last, FETCH)?.bytes().len())
    }
}

impl Commitlog {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self, inner: &Inner) -> Outcome<usize> {
        if let Some(size) = self.size.get() {
            return Ok(*size);
        }
        let size = inner.last_size()?;
        Ok(*self.size.get_or_init(|| size))
    }
}

impl Peer for Commitlog {
    type Lane = ();

    fn open(dir: &Path, _level: Level) -> Outcome<Commitlog> {
        let log = CommitLog::new(LogOptions::new(dir))?;
        let clock = IdClock::default();
        Ok(Commitlog {
            inner: Mutex::new(Inner { log, clock }),
            size: OnceLock::new(),
            dir: dir.to_owned(),
        })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        let mut inner = self.lock();
        let record = inner.record(payload);
        let offset = inner.log.append_msg(record).map_err(fails)?;
        Ok(Id(0, offset))
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let mut inner = self.lock();
        let mut batch: MessageBuf = payloads.iter().map(|payload| inner.record(payload)).collect();
        let placed = inner.log.append(&mut batch).map_err(fails)?;
        Ok(Id(0, placed.first() + placed.len() as u64 - 1))
    }

    fn sync(&self) -> Outcome<()> {
        self.lock().log.flush()?;
        sync_files(&self.dir)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let inner = self.lock();
        let (mut from, end) = (0, inner.log.next_offset());
        while from < end {
            let messages = inner.read(from, FETCH)?;
            for message in messages.iter() {
                each(payload(message.payload())?);
            }
            from += messages.len() as u64;
        }
        Ok(end)
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let inner = self.lock();
        let end = inner.log.next_offset().min(id.1 + count as u64);
        let (mut from, size) = (id.1, self.size(&inner)?);
        while from < end {
            let messages = inner.read(from, size * (end - from) as usize)?;
            for message in messages.iter() {
                each(payload(message.payload())?);
            }
            from += messages.len() as u64;
        }
        Ok(end - id.1)
    }

    fn has_last(&self) -> Outcome<bool> {
        let inner = self.lock();
        Ok(self.size(&inner)? > 0)
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

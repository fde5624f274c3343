//! walrus-rust: one topic, its default way of writing (by calls, io_uring for batches). The
//! 16-byte ID lies in the record. Durable is `SyncEach`, without a sync it is `NoFsync`; a batch
//! syncs all the same.
//!
//! Its directory and its silence come from the environment alone, which the parent sets for the
//! measuring process. What a scan has read is consumed and there is no seeking, so it serves
//! appends alone.

use super::clock::{SharedClock, record};
use super::{Id, Outcome, Peer};
use crate::process::sync_files;
use crate::workload::Level;
use std::path::{Path, PathBuf};
use walrus_rust::{FsyncSchedule, ReadConsistency, Walrus as Log};

/// The row.
pub struct Walrus {
    log: Log,
    clock: SharedClock,
    dir: PathBuf,
}

const TOPIC: &str = "entries";

impl Peer for Walrus {
    type Lane = ();

    fn open(dir: &Path, level: Level) -> Outcome<Walrus> {
        let schedule = match level {
            Level::Unsynced => FsyncSchedule::NoFsync,
            Level::Durable => FsyncSchedule::SyncEach,
        };
        let reading = ReadConsistency::StrictlyAtOnce;
        Ok(Walrus {
            log: Log::with_consistency_and_schedule(reading, schedule)?,
            clock: SharedClock::default(),
            dir: dir.to_owned(),
        })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        let id = self.clock.next();
        self.log.append_for_topic(TOPIC, &record(id, payload))?;
        Ok(id)
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let (mut last, mut records) = (Id(0, 0), Vec::with_capacity(payloads.len()));
        for payload in payloads {
            last = self.clock.next();
            records.push(record(last, payload));
        }
        let batch: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        self.log.batch_append_for_topic(TOPIC, &batch)?;
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        sync_files(&self.dir)
    }

    fn has_last(&self) -> Outcome<bool> {
        // The front is the only entry that can be looked at.
        Ok(self.log.read_next(TOPIC, false)?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

//! raft-engine as its documentation shows it: the default configuration, the entry type of the
//! `raft` crate, one `LogBatch` for each write.
//!
//! Its logs (regions) take consecutive numbers, not times, so the 16-byte ID goes into the record.
//! A region cannot be appended to by two threads at once: each thread has its own, which is an
//! easier task than one log. It keeps an index of every entry in memory; nothing is compacted or
//! purged here, since the workloads keep everything.
//! `Engine::sync` of 0.4.2 writes an empty batch and returns before it syncs, so `sync` here
//! writes a small value with the sync flag.

use super::clock::IdClock;
use super::{Id, Outcome, Peer};
use crate::process::files_with;
use crate::workload::Level;
use raft_engine::{Config, Engine, LogBatch, MessageExt};
use raft_proto::eraftpb::Entry;
use std::path::{Path, PathBuf};

/// How the engine learns an entry's number.
struct Numbered;

impl MessageExt for Numbered {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// The row.
pub struct RaftEngine {
    engine: Engine,
    syncs: bool,
}

/// One region and what its writer keeps.
pub struct Region {
    number: u64,
    next: u64,
    clock: IdClock,
    batch: LogBatch,
    entries: Vec<Entry>,
}

/// The region of the first lane, which is the one that is read.
const FIRST: u64 = 1;
/// How many entries one call fetches in a scan.
const FETCH: u64 = 1000;
/// ID bytes in front of a record's payload.
const ID: usize = 16;

impl Region {
    fn push(&mut self, payload: &[u8]) {
        let (ms, seq) = self.clock.next();
        let mut data = Vec::with_capacity(ID + payload.len());
        data.extend_from_slice(&ms.to_be_bytes());
        data.extend_from_slice(&seq.to_be_bytes());
        data.extend_from_slice(payload);
        let entry = Entry { index: self.next, data: data.into(), ..Entry::default() };
        self.next += 1;
        self.entries.push(entry);
    }
}

impl RaftEngine {
    fn write(&self, region: &mut Region) -> Outcome<Id> {
        region.batch.add_entries::<Numbered>(region.number, &region.entries)?;
        region.entries.clear();
        self.engine.write(&mut region.batch, self.syncs)?;
        Ok(Id(0, region.next - 1))
    }

    fn bounds(&self) -> Option<(u64, u64)> {
        Some((self.engine.first_index(FIRST)?, self.engine.last_index(FIRST)? + 1))
    }

    fn fetch(&self, from: u64, to: u64, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let mut entries = Vec::with_capacity((to - from) as usize);
        self.engine.fetch_entries_to::<Numbered>(FIRST, from, to, None, &mut entries)?;
        for entry in &entries {
            each(entry.data.get(ID..).ok_or("a record without an ID")?);
        }
        Ok(entries.len() as u64)
    }
}

impl Peer for RaftEngine {
    type Lane = Region;

    fn open(dir: &Path, level: Level) -> Outcome<RaftEngine> {
        let dir = dir.to_str().ok_or("the directory's name is not UTF-8")?.to_owned();
        let engine = Engine::open(Config { dir, ..Config::default() })?;
        Ok(RaftEngine { engine, syncs: level == Level::Durable })
    }

    fn lane(&self, lane: usize) -> Outcome<Region> {
        let number = FIRST + lane as u64;
        let next = self.engine.last_index(number).unwrap_or(0) + 1;
        let (clock, batch) = (IdClock::default(), LogBatch::default());
        Ok(Region { number, next, clock, batch, entries: Vec::new() })
    }

    fn append(&self, region: &mut Region, payload: &[u8]) -> Outcome<Id> {
        region.push(payload);
        self.write(region)
    }

    fn append_batch(&self, region: &mut Region, payloads: &[&[u8]]) -> Outcome<Id> {
        for payload in payloads {
            region.push(payload);
        }
        self.write(region)
    }

    fn sync(&self) -> Outcome<()> {
        let mut batch = LogBatch::default();
        batch.put(FIRST, b"synced".to_vec(), vec![1])?;
        self.engine.write(&mut batch, true)?;
        Ok(())
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let Some((mut from, end)) = self.bounds() else {
            return Ok(0);
        };
        let mut entries = 0;
        while from < end {
            let to = (from + FETCH).min(end);
            entries += self.fetch(from, to, &mut each)?;
            from = to;
        }
        Ok(entries)
    }

    fn read_from(&self, id: Id, count: usize, each: impl FnMut(&[u8])) -> Outcome<u64> {
        let Some((_, end)) = self.bounds() else {
            return Ok(0);
        };
        self.fetch(id.1, (id.1 + count as u64).min(end), each)
    }

    fn has_last(&self) -> Outcome<bool> {
        let Some((_, end)) = self.bounds() else {
            return Ok(false);
        };
        Ok(self.engine.get_entry::<Numbered>(FIRST, end - 1)?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(dir: &Path) -> Outcome<Vec<PathBuf>> {
        let mut files = files_with(dir, "raftlog")?;
        files.pop();
        Ok(files)
    }
}

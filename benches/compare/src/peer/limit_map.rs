//! `limit: mmap, pages touched`: no product, but the least that a log of this kind must do. An ID
//! from the clock, a mutex, a record copied into a mapped file, and crc32fast over the record.
//!
//! It has 256 MiB of allocated file, every page touched before the clock starts, and uses it as a
//! ring, far larger than any cache: no segment is ever rolled and no page ever faults. Only a store
//! that is read back is larger. What it leaves out is what a
//! real log pays for: rolling, recovery, options, more than one stream, waking readers.
//!
//! Each entry of a batch takes the lock and reads the clock, since no log needs to do worse.
//! `limit: mmap, a batch at once` does that once a batch and has one record and one checksum for
//! it: what batches can save.
//!
//! Opening reads back an index with an entry for every 4 KiB and checks the last 64 MiB. Groups
//! log 32 bytes for each entry delivered and 32 for each acknowledged, and keep what is pending in
//! a `BTreeMap`.

use super::clock::IdClock;
use super::{Id, Outcome, Peer, frame};
use crate::map;
use crate::workload::Level;
use crc32fast::Hasher;
use memmap2::{Advice, MmapMut};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough for the largest store that is read back.
const FILE: u64 = (1 << 30) + (128 << 20);
/// What is used of it, and touched, where appending is measured.
const RING: usize = 256 << 20;
/// A record starts a new entry of the index once this many bytes lie behind the last one's.
const INDEX_EVERY: usize = 4096;
/// Bytes of an index entry: ID and place.
const INDEX_ENTRY: usize = 24;
/// How much of the end is checked on opening.
const CHECKED: usize = 64 << 20;
const PAGE: usize = 4096;
/// The journal of a group, used as a ring.
const JOURNAL: u64 = 4 << 20;
const JOURNALED: usize = 32;
const DELIVERED: u64 = 1;
const ACKNOWLEDGED: u64 = 2;

struct Ring {
    map: MmapMut,
    end: usize,
    /// Where it begins anew.
    turn: usize,
    clock: IdClock,
    index: Vec<((u64, u64), usize)>,
    /// How much of the index is in its file.
    indexed: usize,
    crc: Hasher,
    group: Option<Group>,
}

/// A group with one consumer.
struct Group {
    journal: MmapMut,
    end: usize,
    /// Place of the next record to deliver.
    next: usize,
    /// When and how often each was delivered.
    pending: BTreeMap<(u64, u64), (u64, u32)>,
}

/// The row; with `AT_ONCE` the one for batches.
pub struct LimitMap<const AT_ONCE: bool = false> {
    ring: Mutex<Ring>,
    index: File,
    dir: PathBuf,
}

impl Group {
    /// Logs what became of an entry.
    #[inline]
    fn log(&mut self, crc: &Hasher, kind: u64, id: (u64, u64), time: u64) {
        if self.end == self.journal.len() {
            self.end = 0;
        }
        // The checksum's own four bytes are zero while it is made: two whole blocks are faster
        // than 28 bytes.
        let first = u128::from(kind << 32) | (u128::from(time) << 64);
        let second = u128::from(id.0) | (u128::from(id.1) << 64);
        let mut record = [0; JOURNALED];
        record[..16].copy_from_slice(&first.to_le_bytes());
        record[16..].copy_from_slice(&second.to_le_bytes());
        let mut crc = crc.clone();
        crc.update(&record);
        record[..4].copy_from_slice(&crc.finalize().to_le_bytes());
        self.journal[self.end..self.end + JOURNALED].copy_from_slice(&record);
        self.end += JOURNALED;
    }
}

impl Ring {
    #[inline]
    fn append(&mut self, values: &[&[u8]]) -> Id {
        let id = self.clock.next();
        let whole = frame::room(values.len(), values.first().map_or(0, |value| value.len()));
        if self.end + whole + PAGE > self.turn {
            self.end = 0;
            self.index.clear();
            self.indexed = 0;
        }
        self.note(id, self.end);
        let end = self.end + whole;
        frame::put(&mut self.map[self.end..end], &self.crc, id, values);
        self.end = end;
        Id(id.0, id.1)
    }

    #[inline]
    fn note(&mut self, id: (u64, u64), at: usize) {
        let far = |last: &((u64, u64), usize)| at - last.1 >= INDEX_EVERY;
        if self.index.last().is_none_or(far) {
            self.index.push((id, at));
        }
    }

    /// Walks the records from `at` on as long as `each` wants more.
    #[inline]
    fn walk(
        &self,
        mut at: usize,
        mut each: impl FnMut((u64, u64), &[u8], usize) -> bool,
    ) -> Outcome<()> {
        let bytes = &self.map[..self.end];
        while let Some(found) = frame::get(bytes, at, &self.crc)? {
            if !each(found.id, found.list, at) {
                break;
            }
            at += found.whole;
        }
        Ok(())
    }

    /// Takes the index, checks the end and finds where it is.
    fn recover(&mut self, index: &[u8]) -> Outcome<()> {
        let (entries, _) = index.as_chunks::<INDEX_ENTRY>();
        self.index = entries.iter().map(indexed).collect();
        self.indexed = self.index.len();
        let last = self.index.last().map_or(0, |entry| entry.1);
        let first = self.index.partition_point(|entry| entry.1 + CHECKED < last);
        let mut at = self.index.get(first).map_or(0, |entry| entry.1);
        let touched = at / PAGE * PAGE;
        let long = (last - touched + 2 * PAGE).min(self.map.len() - touched);
        self.map.advise_range(Advice::PopulateRead, touched, long)?;
        while let Some(found) = frame::get(&self.map, at, &self.crc)? {
            let (id, whole) = (found.id, found.whole);
            self.clock = IdClock::after(id);
            if at > last {
                self.note(id, at);
            }
            at += whole;
        }
        self.end = at;
        Ok(())
    }

    /// Reads up to `batch` new entries as the consumer; the IDs go to `ids`.
    fn deliver(
        &mut self,
        batch: usize,
        ids: &mut Vec<(u64, u64)>,
        each: &mut impl FnMut(&[u8]),
    ) -> Outcome<()> {
        let Some(group) = &mut self.group else {
            return Err("not prepared".into());
        };
        let now = self.clock.now();
        let bytes = &self.map[..self.end];
        while ids.len() < batch {
            let Some(found) = frame::get(bytes, group.next, &self.crc)? else {
                break;
            };
            group.log(&self.crc, DELIVERED, found.id, now);
            group.pending.insert(found.id, (now, 1));
            group.next += found.whole;
            ids.push(found.id);
            each(frame::value(found.list));
        }
        Ok(())
    }

    /// Acknowledges; how many were pending.
    fn acknowledge(&mut self, ids: &[(u64, u64)]) -> Outcome<u64> {
        let Some(group) = &mut self.group else {
            return Err("not prepared".into());
        };
        let mut acknowledged = 0;
        for id in ids {
            if let Some((time, _)) = group.pending.remove(id) {
                group.log(&self.crc, ACKNOWLEDGED, *id, time);
                acknowledged += 1;
            }
        }
        Ok(acknowledged)
    }
}

fn indexed(entry: &[u8; INDEX_ENTRY]) -> ((u64, u64), usize) {
    let number = |from: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&entry[from..from + 8]);
        u64::from_le_bytes(eight)
    };
    ((number(0), number(8)), number(16) as usize)
}

impl<const AT_ONCE: bool> LimitMap<AT_ONCE> {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const AT_ONCE: bool> Peer for LimitMap<AT_ONCE> {
    type Lane = ();

    fn open(dir: &Path, _level: Level) -> Outcome<Self> {
        let (path, index) = (dir.join("ring"), dir.join("index"));
        let fresh = !path.exists();
        let map = if fresh { map::create(&path, FILE)? } else { map::open(&path)? };
        let mut ring = Ring {
            turn: map.len(),
            map,
            end: 0,
            clock: IdClock::default(),
            index: Vec::new(),
            indexed: 0,
            crc: Hasher::new(),
            group: None,
        };
        if !fresh {
            ring.recover(&fs::read(&index)?)?;
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        Ok(LimitMap { ring: Mutex::new(ring), index: options.open(index)?, dir: dir.to_owned() })
    }

    fn prepare(&self) -> Outcome<()> {
        let mut ring = self.lock();
        let end = ring.end;
        if end == 0 {
            ring.turn = RING;
            return Ok(ring.map.advise_range(Advice::PopulateWrite, 0, RING)?);
        }
        ring.map.advise_range(Advice::PopulateRead, 0, end)?;
        let journal = map::create(&self.dir.join("journal"), JOURNAL)?;
        journal.advise(Advice::PopulateWrite)?;
        ring.group = Some(Group { journal, end: 0, next: 0, pending: BTreeMap::new() });
        Ok(())
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    #[inline]
    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        Ok(self.lock().append(&[payload]))
    }

    #[inline]
    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        if AT_ONCE {
            return Ok(self.lock().append(payloads));
        }
        let mut last = Id(0, 0);
        for payload in payloads {
            last = self.lock().append(&[payload]);
        }
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        let mut ring = self.lock();
        ring.map.flush_range(0, ring.end)?;
        let from = ring.indexed;
        let more: Vec<u8> = ring.index[from..]
            .iter()
            .flat_map(|((ms, seq), at)| [*ms, *seq, *at as u64].map(u64::to_le_bytes))
            .flatten()
            .collect();
        self.index.write_all_at(&more, (from * INDEX_ENTRY) as u64)?;
        ring.indexed = ring.index.len();
        Ok(self.index.sync_all()?)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let mut entries = 0;
        self.lock().walk(0, |_, list, _| {
            each(frame::value(list));
            entries += 1;
            true
        })?;
        Ok(entries)
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let (id, mut entries) = ((id.0, id.1), 0);
        let ring = self.lock();
        let block = ring.index.partition_point(|(first, _)| *first <= id);
        let at = block.checked_sub(1).map_or(0, |block| ring.index[block].1);
        ring.walk(at, |found, list, _| {
            if found >= id {
                each(frame::value(list));
                entries += 1;
            }
            entries < count as u64
        })?;
        Ok(entries)
    }

    fn has_last(&self) -> Outcome<bool> {
        let ring = self.lock();
        let at = ring.index.last().map_or(0, |block| block.1);
        let mut last = None;
        ring.walk(at, |id, _, _| {
            last = Some(id);
            true
        })?;
        Ok(last.is_some())
    }

    fn read_and_ack(
        &self,
        batch: usize,
        mut each: impl FnMut(&[u8]),
        mut stop: impl FnMut(u64) -> bool,
    ) -> Outcome<()> {
        let mut ids = Vec::with_capacity(batch);
        loop {
            self.lock().deliver(batch, &mut ids, &mut each)?;
            if ids.is_empty() || stop(self.lock().acknowledge(&ids)?) {
                return Ok(());
            }
            ids.clear();
        }
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

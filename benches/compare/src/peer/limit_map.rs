//! `limit: mmap, pages touched`: no product, but the least that a log of this kind must do. An ID
//! from the clock, a mutex, a record copied into a mapped file, and crc32fast over the record.
//!
//! It has 1 GiB of allocated file, every page touched before the clock starts, and uses it as a
//! ring: no segment is ever rolled and no page ever faults. What it leaves out is what a real log
//! pays for: rolling, recovery, options, more than one stream, waking readers. Each entry of a
//! batch takes the lock and reads the clock, since no log needs to do worse.
//!
//! Record: checksum (4), length of the field list (4), ID (16), field list: number of fields,
//! length and bytes of the name, length and bytes of the value. Length 0 is the end.

use super::clock::IdClock;
use super::{Id, Outcome, Peer};
use crate::map;
use crate::workload::Level;
use memmap2::MmapMut;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const RING: u64 = 1 << 30;
const HEAD: usize = 24;
const NAME: &[u8] = b"data";
/// A record starts a new entry of the index once this many bytes lie behind the last one's.
const INDEX_EVERY: usize = 4096;

struct Ring {
    map: MmapMut,
    end: usize,
    clock: IdClock,
    index: Vec<((u64, u64), usize)>,
    crc: crc32fast::Hasher,
}

/// The row.
pub struct LimitMap {
    ring: Mutex<Ring>,
}

impl Ring {
    #[inline]
    fn append(&mut self, payload: &[u8]) -> Id {
        // One byte holds lengths below 128, two those below 16,384, as varints do.
        let mut head = [0u8; HEAD + 8];
        let mut at = HEAD;
        head[at] = 1;
        head[at + 1] = NAME.len() as u8;
        head[at + 2..at + 2 + NAME.len()].copy_from_slice(NAME);
        at += 2 + NAME.len();
        if payload.len() < 128 {
            head[at] = payload.len() as u8;
            at += 1;
        } else {
            head[at] = (payload.len() as u8 & 0x7f) | 0x80;
            head[at + 1] = (payload.len() >> 7) as u8;
            at += 2;
        }
        let list = at - HEAD + payload.len();
        let (ms, seq) = self.clock.next();
        head[4..8].copy_from_slice(&(list as u32).to_le_bytes());
        head[8..16].copy_from_slice(&ms.to_le_bytes());
        head[16..24].copy_from_slice(&seq.to_le_bytes());
        let whole = HEAD + list;
        if self.end + whole + HEAD > self.map.len() {
            self.end = 0;
            self.index.clear();
        }
        if self
            .index
            .last()
            .is_none_or(|last| self.end - last.1 >= INDEX_EVERY)
        {
            self.index.push(((ms, seq), self.end));
        }
        let record = &mut self.map[self.end..self.end + whole];
        record[4..at].copy_from_slice(&head[4..at]);
        record[at..].copy_from_slice(payload);
        let mut crc = self.crc.clone();
        crc.update(&record[4..]);
        record[..4].copy_from_slice(&crc.finalize().to_le_bytes());
        self.end += whole;
        Id(ms, seq)
    }

    /// Walks the records from `at` on as long as `each` wants more.
    #[inline]
    fn walk(
        &self,
        mut at: usize,
        mut each: impl FnMut((u64, u64), &[u8], usize) -> bool,
    ) -> Outcome<()> {
        let bytes = &self.map[..];
        while let Some(head) = bytes.get(at..at + HEAD) {
            let number = |from: usize| {
                let mut eight = [0; 8];
                eight.copy_from_slice(&head[from..from + 8]);
                u64::from_le_bytes(eight)
            };
            let lengths = number(0);
            let (crc, list) = (lengths as u32, (lengths >> 32) as usize);
            if list == 0 {
                break;
            }
            let record = bytes
                .get(at + 4..at + HEAD + list)
                .ok_or("a length beyond the file")?;
            let mut hasher = self.crc.clone();
            hasher.update(record);
            if hasher.finalize() != crc {
                return Err("a checksum does not match".into());
            }
            let value = HEAD - 4 + 2 + NAME.len();
            let value = value + 1 + usize::from(record[value] >= 0x80);
            if !each((number(8), number(16)), &record[value..], at) {
                break;
            }
            at += HEAD + list;
        }
        Ok(())
    }
}

impl LimitMap {
    fn with<T>(&self, work: impl FnOnce(&mut Ring) -> T) -> T {
        work(&mut self.ring.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Peer for LimitMap {
    type Lane = ();

    fn open(dir: &Path, _level: Level) -> Outcome<LimitMap> {
        let path = dir.join("ring");
        let fresh = !path.exists();
        let map = if fresh {
            map::create(&path, RING)?
        } else {
            map::open(&path)?
        };
        let (clock, crc) = (IdClock::default(), crc32fast::Hasher::new());
        let mut ring = Ring {
            map,
            end: 0,
            clock,
            index: Vec::new(),
            crc,
        };
        if !fresh {
            let (mut index, mut end, mut last) = (Vec::new(), 0, (0, 0));
            ring.walk(0, |id, value, at| {
                if index
                    .last()
                    .is_none_or(|&(_, last)| at - last >= INDEX_EVERY)
                {
                    index.push((id, at));
                }
                (end, last) = (at + HEAD + value.len(), id);
                true
            })?;
            (ring.index, ring.end) = (index, end);
            ring.clock = IdClock::after(last);
        }
        Ok(LimitMap {
            ring: Mutex::new(ring),
        })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    #[inline]
    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        Ok(self.with(|ring| ring.append(payload)))
    }

    #[inline]
    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let mut last = Id(0, 0);
        for payload in payloads {
            last = self.with(|ring| ring.append(payload));
        }
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.with(|ring| ring.map.flush())?)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let mut entries = 0;
        self.with(|ring| {
            ring.walk(0, |_, value, _| {
                each(value);
                entries += 1;
                true
            })
        })?;
        Ok(entries)
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let mut entries = 0;
        self.with(|ring| {
            let block = ring
                .index
                .partition_point(|(first, _)| *first <= (id.0, id.1));
            let at = block.checked_sub(1).map_or(0, |block| ring.index[block].1);
            ring.walk(at, |found, value, _| {
                if found >= (id.0, id.1) {
                    each(value);
                    entries += 1;
                }
                entries < count as u64
            })
        })?;
        Ok(entries)
    }

    fn has_last(&self) -> Outcome<bool> {
        let mut last = None;
        self.with(|ring| {
            let at = ring.index.last().map_or(0, |block| block.1);
            let end = ring.end;
            ring.walk(at, |id, value, at| {
                last = Some(id);
                at + HEAD + 2 + NAME.len() + 1 + value.len() < end
            })
        })?;
        Ok(last.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

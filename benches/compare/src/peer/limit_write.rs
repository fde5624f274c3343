//! `limit: write(2)`: no product, but the least that a log must do which writes by calls. The
//! record of the other limit, an ID from the clock, a mutex, and one `pwrite` a call into a file
//! whose room was allocated before.
//!
//! Durable is a `fdatasync` before the call returns. Calls that come meanwhile share the next
//! `pwrite` and `fdatasync`: one of them leads, the others sleep on a futex word. Who is woken
//! takes no lock. Rounds follow each other without a pause: those who were woken collect the next
//! round while the disk is busy with this one. Before it begins, a leader gives its processor away
//! as long as that brings more callers: a third faster than not to, with 64 threads on two cores.

use super::clock::IdClock;
use super::{Id, Outcome, Peer, frame};
use crate::workload::Level;
use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Allocated bytes, used as a ring.
const RING: u64 = 1 << 30;
/// As many threads as a futex can wake.
const ALL: u32 = i32::MAX.cast_unsigned();

/// The row.
pub struct LimitWrite {
    file: File,
    syncs: bool,
    open: Mutex<Open>,
    /// How many rounds are on the disk.
    done: AtomicU32,
    /// Whether a round was collected that nobody leads.
    vacant: AtomicBool,
    /// How many durable calls there were; it may overflow.
    joined: AtomicU32,
    /// Whether a round could not be written, after which none is.
    failed: AtomicBool,
    /// What waits for even and for odd rounds. The words count the reasons to look again.
    words: [AtomicU32; 2],
}

/// What is collected and not written.
struct Open {
    records: Vec<u8>,
    /// Written ones, whose memory is used again.
    spare: Vec<u8>,
    round: u32,
    /// Whether a round is being written.
    led: bool,
    end: u64,
    last: u64,
    clock: IdClock,
    crc: crc32fast::Hasher,
}

impl Open {
    fn push(&mut self, payloads: &[&[u8]]) -> Id {
        let mut id = self.clock.next();
        for (n, payload) in payloads.iter().enumerate() {
            if n > 0 {
                id = self.clock.follow();
            }
            let from = self.records.len();
            self.records.resize(from + frame::room(1, payload.len()), 0);
            frame::put(&mut self.records[from..], &self.crc, id, &[payload]);
            self.last = from as u64;
        }
        Id(id.0, id.1)
    }

    /// Takes the room for what was collected.
    fn reserve(&mut self) -> u64 {
        if self.end + self.records.len() as u64 > RING {
            self.end = 0;
        }
        let from = self.end;
        self.last += from;
        self.end += self.records.len() as u64;
        from
    }
}

impl LimitWrite {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, payloads: &[&[u8]]) -> Outcome<Id> {
        let mut open = self.lock();
        let id = open.push(payloads);
        if self.syncs {
            let (round, leads) = (open.round, !open.led);
            self.joined.fetch_add(1, SeqCst);
            open.led = true;
            drop(open);
            self.commit(round, leads)?;
        } else {
            let from = open.reserve();
            self.file.write_all_at(&open.records, from)?;
            open.records.clear();
        }
        Ok(id)
    }

    /// Returns when a round is on the disk.
    fn commit(&self, round: u32, leads: bool) -> Outcome<()> {
        if leads {
            return self.lead();
        }
        let word = &self.words[round as usize % 2];
        loop {
            let seen = word.load(SeqCst);
            // Rounds are numbered from 0; this one is done once there are more.
            if self.done.load(SeqCst) > round {
                return Ok(());
            }
            if self.vacant.swap(false, SeqCst) {
                return self.lead();
            }
            if self.failed.load(SeqCst) {
                return Err("another thread could not write".into());
            }
            match futex::wait(word, Flags::PRIVATE, seen, None) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes and syncs the round that was collected, and hands the next one on.
    fn lead(&self) -> Outcome<()> {
        let mut before = self.joined.load(SeqCst);
        loop {
            std::thread::yield_now();
            let joined = self.joined.load(SeqCst);
            if joined == before {
                break;
            }
            before = joined;
        }
        let mut open = self.lock();
        let spare = std::mem::take(&mut open.spare);
        let from = open.reserve();
        let mut records = std::mem::replace(&mut open.records, spare);
        let round = open.round;
        open.round += 1;
        drop(open);
        let written = self.file.write_all_at(&records, from);
        if let Err(error) = written.and_then(|()| Ok(fdatasync(&self.file)?)) {
            self.failed.store(true, SeqCst);
            self.wake(0, ALL)?;
            self.wake(1, ALL)?;
            return Err(error.into());
        }
        records.clear();
        let mut open = self.lock();
        open.spare = records;
        let more = !open.records.is_empty();
        open.led = more;
        drop(open);
        self.done.store(round + 1, SeqCst);
        if more {
            self.vacant.store(true, SeqCst);
            self.wake(round + 1, 1)?;
        }
        self.wake(round, ALL)
    }

    fn wake(&self, round: u32, threads: u32) -> Outcome<()> {
        let word = &self.words[round as usize % 2];
        word.fetch_add(1, SeqCst);
        futex::wake(word, Flags::PRIVATE, threads)?;
        Ok(())
    }
}

impl Peer for LimitWrite {
    type Lane = ();

    fn open(dir: &Path, level: Level) -> Outcome<LimitWrite> {
        let file =
            File::options().read(true).write(true).create_new(true).open(dir.join("ring"))?;
        fallocate(&file, FallocateFlags::empty(), 0, RING)?;
        file.sync_all()?;
        Ok(LimitWrite {
            file,
            syncs: level == Level::Durable,
            open: Mutex::new(Open {
                records: Vec::with_capacity(1 << 16),
                spare: Vec::with_capacity(1 << 16),
                round: 0,
                led: false,
                end: 0,
                last: 0,
                clock: IdClock::default(),
                crc: crc32fast::Hasher::new(),
            }),
            done: AtomicU32::new(0),
            vacant: AtomicBool::new(false),
            joined: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            words: [AtomicU32::new(0), AtomicU32::new(0)],
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
        Ok(fdatasync(&self.file)?)
    }

    fn has_last(&self) -> Outcome<bool> {
        let open = self.lock();
        let mut bytes = vec![0; (open.end - open.last) as usize];
        self.file.read_exact_at(&mut bytes, open.last)?;
        Ok(frame::get(&bytes, 0, &open.crc)?.is_some())
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

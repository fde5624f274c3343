//! yaque, with its default options: a queue of one sender and one receiver in a directory. The
//! 16-byte ID lies in the record. Threads share the sender through a mutex. A batch is one
//! `send_batch`.
//!
//! It never syncs, so it has no durable workload. Reading and acknowledging is to receive and to
//! commit: the cursor moves, and what lies behind it is deleted; there is no list of what is
//! pending. A queue has no way to an entry in its middle or at its end.

use super::clock::{IdClock, payload, record};
use super::{Id, Outcome, Peer};
use crate::process::sync_files;
use crate::workload::Level;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use yaque::queue::QueueIter;
use yaque::{Receiver, Sender, TryRecvError};

/// The row.
pub struct Yaque {
    inner: Mutex<Inner>,
    dir: PathBuf,
}

struct Inner {
    sender: Sender,
    clock: IdClock,
}

impl Inner {
    fn record(&mut self, payload: &[u8]) -> (Id, Vec<u8>) {
        let (ms, seq) = self.clock.next();
        (Id(ms, seq), record(Id(ms, seq), payload))
    }
}

impl Yaque {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives a batch, hands it out and commits; how many there were.
    fn receive(
        receiver: &mut Receiver,
        batch: usize,
        each: &mut impl FnMut(&[u8]),
    ) -> Outcome<u64> {
        if batch == 1 {
            let record = match receiver.try_recv() {
                Err(TryRecvError::QueueEmpty) => return Ok(0),
                found => found.map_err(fails)?,
            };
            each(payload(&record)?);
            record.commit()?;
            return Ok(1);
        }
        let records = match receiver.try_recv_batch_up_to(batch) {
            Err(TryRecvError::QueueEmpty) => return Ok(0),
            found => found.map_err(fails)?,
        };
        for record in records.iter() {
            each(payload(record)?);
        }
        let received = records.len() as u64;
        records.commit()?;
        Ok(received)
    }
}

fn fails(error: impl std::fmt::Debug) -> String {
    format!("yaque: {error:?}")
}

impl Peer for Yaque {
    type Lane = ();

    fn open(dir: &Path, _level: Level) -> Outcome<Yaque> {
        let sender = Sender::open(dir)?;
        let clock = IdClock::default();
        Ok(Yaque { inner: Mutex::new(Inner { sender, clock }), dir: dir.to_owned() })
    }

    fn lane(&self, _lane: usize) -> Outcome<()> {
        Ok(())
    }

    fn append(&self, _lane: &mut (), payload: &[u8]) -> Outcome<Id> {
        let mut inner = self.lock();
        let (id, record) = inner.record(payload);
        inner.sender.try_send(record).map_err(fails)?;
        Ok(id)
    }

    fn append_batch(&self, _lane: &mut (), payloads: &[&[u8]]) -> Outcome<Id> {
        let mut inner = self.lock();
        let (mut last, mut records) = (Id(0, 0), Vec::with_capacity(payloads.len()));
        for payload in payloads {
            let (id, record) = inner.record(payload);
            records.push(record);
            last = id;
        }
        inner.sender.try_send_batch(records).map_err(fails)?;
        Ok(last)
    }

    fn sync(&self) -> Outcome<()> {
        sync_files(&self.dir)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let mut entries = 0;
        for record in QueueIter::open(&self.dir)? {
            each(payload(&record?)?);
            entries += 1;
        }
        Ok(entries)
    }

    fn has_last(&self) -> Outcome<bool> {
        // The front is the only entry that can be looked at.
        Ok(QueueIter::open(&self.dir)?.next().transpose()?.is_some())
    }

    fn read_and_ack(
        &self,
        batch: usize,
        mut each: impl FnMut(&[u8]),
        mut stop: impl FnMut(u64) -> bool,
    ) -> Outcome<()> {
        let mut receiver = Receiver::open(&self.dir)?;
        loop {
            let received = Yaque::receive(&mut receiver, batch, &mut each)?;
            if received == 0 || stop(received) {
                return Ok(());
            }
        }
    }

    fn close(self) -> Outcome<()> {
        self.sync()
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

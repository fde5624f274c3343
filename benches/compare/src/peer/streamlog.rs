//! streamlog with its default options, but for the level that the workload names.

use super::{Id, Outcome, Peer};
use crate::payload::Payloads;
use crate::process::files_with;
use crate::workload::Level;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Instant;
use streamlog::{
    Durability, EntryId, EntryRef, GroupReadOptions, NewEntries, Start, Store, Stream, Ticket,
};

/// The row.
pub struct Streamlog {
    store: Store,
    stream: Stream,
}

const FIELD: &str = "data";

fn payload<'a>(entry: &EntryRef<'a>) -> Outcome<&'a [u8]> {
    Ok(entry.get(FIELD).ok_or("an entry without its field")?)
}

fn id(id: EntryId) -> Id {
    Id(id.ms, id.seq)
}

impl Peer for Streamlog {
    type Lane = NewEntries;

    fn open(dir: &Path, level: Level) -> Outcome<Streamlog> {
        let level = match level {
            Level::Unsynced => Durability::Manual,
            Level::Durable => Durability::Always,
        };
        let store = Store::options().durability(level).open(dir)?;
        let stream = store.stream("entries")?;
        Ok(Streamlog { store, stream })
    }

    fn lane(&self, _lane: usize) -> Outcome<NewEntries> {
        Ok(NewEntries::new())
    }

    fn append(&self, _lane: &mut NewEntries, payload: &[u8]) -> Outcome<Id> {
        Ok(id(self.stream.append([(FIELD, payload)])?))
    }

    fn append_batch(&self, batch: &mut NewEntries, payloads: &[&[u8]]) -> Outcome<Id> {
        batch.clear();
        for payload in payloads {
            batch.push([(FIELD, payload)])?;
        }
        let (_, last) = self.stream.append_batch(batch)?.ok_or("an empty batch")?;
        Ok(id(last))
    }

    fn append_in_flight(
        &self,
        _lane: &mut NewEntries,
        payloads: &mut Payloads,
        window: usize,
        until: Instant,
    ) -> Outcome<u64> {
        let (mut done, mut under_way) = (0, VecDeque::with_capacity(window));
        while Instant::now() < until {
            // As many as there is room for: once the oldest is on the disk, so are many others.
            while under_way.len() < window {
                under_way.push_back(self.stream.append_async([(FIELD, payloads.next())])?);
            }
            under_way.front().map_or(Ok(()), Ticket::wait)?;
            while under_way.front().is_some_and(Ticket::is_durable) {
                under_way.pop_front();
                done += 1;
            }
        }
        for ticket in under_way {
            ticket.wait()?;
            done += 1;
        }
        Ok(done)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.store.sync()?)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let snapshot = self.stream.snapshot()?;
        let mut entries = 0;
        for entry in snapshot.range(..) {
            each(payload(&entry?)?);
            entries += 1;
        }
        Ok(entries)
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let snapshot = self.stream.snapshot()?;
        let mut entries = 0;
        for entry in snapshot.range(EntryId::from((id.0, id.1))..).take(count) {
            each(payload(&entry?)?);
            entries += 1;
        }
        Ok(entries)
    }

    fn has_last(&self) -> Outcome<bool> {
        let snapshot = self.stream.snapshot()?;
        Ok(snapshot.range(..).next_back().transpose()?.is_some())
    }

    fn read_and_ack(
        &self,
        batch: usize,
        mut each: impl FnMut(&[u8]),
        mut stop: impl FnMut(u64) -> bool,
    ) -> Outcome<()> {
        let consumer = self.stream.group("workers", Start::First)?.consumer("only")?;
        let options = GroupReadOptions::new().count(batch);
        loop {
            let delivery = consumer.read(options)?;
            if delivery.is_empty() {
                return Ok(());
            }
            for entry in delivery.iter() {
                each(payload(&entry)?);
            }
            if stop(delivery.ack_all()?) {
                return Ok(());
            }
        }
    }

    fn close(self) -> Outcome<()> {
        Ok(self.store.close()?)
    }

    fn finished(dir: &Path) -> Outcome<Vec<PathBuf>> {
        let mut segments = files_with(&dir.join("streams"), "seg")?;
        // Names sort by age. Behind the last segment that has entries there may be one that was
        // prepared; neither of the two is sealed.
        segments.truncate(segments.len().saturating_sub(2));
        Ok(segments)
    }
}

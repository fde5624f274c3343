//! The script: the whole API once, each call a step of its own.

use crate::disk::{FaultDisk, LONG};
use crate::id::EntryId;
use crate::known::Known;
use crate::table::leaves_no_trace;
use crate::{
    AppendOptions, Durability, Error, ErrorKind, Group, GroupReadOptions, NewEntries, ReadOptions,
    Result, Start, Store, StoreOptions, Stream, StreamOptions, Trim,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// One life after another of a store on one disk, and what it said.
pub(crate) struct Run {
    pub(crate) disk: FaultDisk,
    level: Durability,
    pub(crate) store: Option<Store>,
    pub(crate) streams: BTreeMap<&'static str, Stream>,
    pub(crate) known: Known,
    /// What readers that wait for ever answer: of the stream `a`, and of a group of it.
    pub(crate) waiting: Vec<Receiver<Option<ErrorKind>>>,
    /// How many calls had met the fault when the store was opened last, and when each of its
    /// streams was, by their numbers.
    pub(crate) hits_before: usize,
    pub(crate) opened: BTreeMap<u64, usize>,
    values: u64,
}

/// A step and its name.
pub(crate) type Step = (&'static str, fn(&mut Run) -> Result<()>);

pub(crate) const DIR: &str = "/store";

pub(crate) fn options(level: Durability) -> StoreOptions {
    let small = StreamOptions::new().segment_bytes(8192).max_entry_bytes(4000);
    Store::options().durability(level).stream_defaults(small)
}

pub(crate) fn not_there() -> Error {
    // An earlier step has failed; what builds on it is passed over.
    Error::new(ErrorKind::Closed)
}

impl Run {
    pub(crate) fn new(level: Durability) -> Run {
        Run {
            disk: FaultDisk::new(),
            level,
            store: None,
            streams: BTreeMap::new(),
            known: Known::default(),
            waiting: Vec::new(),
            hits_before: 0,
            opened: BTreeMap::new(),
            values: 0,
        }
    }

    /// Half of the streams have the other level.
    pub(crate) fn level_of(&self, name: &str) -> Durability {
        match (name, self.level) {
            ("a" | "c", level) => level,
            (_, Durability::Always) => Durability::Manual,
            (_, _) => Durability::Always,
        }
    }

    pub(crate) fn is_always(&self, name: &str) -> bool {
        self.level_of(name) == Durability::Always
    }

    pub(crate) fn store(&self) -> Result<&Store> {
        self.store.as_ref().ok_or_else(not_there)
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        // What readers of the last life still hold is another process's memory.
        self.disk = self.disk.next_life();
        let before = self.disk.hits().len();
        let disk = Arc::new(self.disk.clone());
        let store = Store::open_on(disk, Path::new(DIR), &options(self.level))?;
        self.hits_before = before;
        self.opened.clear();
        self.store = Some(store);
        Ok(())
    }

    pub(crate) fn stream(&mut self, name: &'static str) -> Result<Stream> {
        if let Some(stream) = self.streams.get(name) {
            return Ok(stream.clone());
        }
        let small = StreamOptions::new().segment_bytes(8192).max_entry_bytes(4000);
        let options = small.durability(self.level_of(name));
        let stream = self.store()?.stream_with(name, options)?;
        self.note_opened();
        self.streams.insert(name, stream.clone());
        Ok(stream)
    }

    /// Takes down which streams are open by now.
    pub(crate) fn note_opened(&mut self) {
        let Some(store) = &self.store else { return };
        let hits = self.disk.hits().len();
        for stream in store.shared().all_streams() {
            if stream.open_log().is_some() {
                self.opened.entry(stream.number).or_insert(hits);
            }
        }
    }

    pub(crate) fn group(&mut self, name: &'static str, group: &str) -> Result<Group> {
        let found = self.stream(name)?.get_group(group)?;
        found.ok_or_else(not_there)
    }

    pub(crate) fn value(&mut self, bytes: usize) -> String {
        self.values += 1;
        let mut value = format!("#{}-", self.values);
        value.push_str(&"x".repeat(bytes.saturating_sub(value.len())));
        value
    }

    /// One append, and what is known by its answer.
    pub(crate) fn put(
        &mut self,
        name: &'static str,
        bytes: usize,
        options: AppendOptions,
    ) -> Result<()> {
        let stream = self.stream(name)?;
        let value = self.value(bytes);
        let appended = stream.append_with([("v", value.as_str())], options.clone());
        let durable = self.is_always(name) || options.durable;
        let said = self.known.of(name);
        match appended {
            Ok(id) => {
                said.entries.insert(id, value);
                if durable {
                    said.durable.insert(id);
                }
                Ok(())
            }
            Err(error) => {
                if !leaves_no_trace(error.kind()) {
                    said.unsure.insert(value);
                }
                Err(error)
            }
        }
    }

    pub(crate) fn put_batch(
        &mut self,
        name: &'static str,
        count: usize,
        bytes: usize,
    ) -> Result<()> {
        let stream = self.stream(name)?;
        let values: Vec<String> = (0..count).map(|_| self.value(bytes)).collect();
        let mut batch = NewEntries::new();
        for value in &values {
            batch.push([("v", value.as_str())])?;
        }
        let durable = self.is_always(name);
        let appended = stream.append_batch(&batch);
        let said = self.known.of(name);
        match appended {
            Ok(ids) => {
                let (first, _) = ids.ok_or_else(not_there)?;
                for (n, value) in values.into_iter().enumerate() {
                    let id = EntryId::new(first.ms, first.seq + n as u64);
                    said.entries.insert(id, value);
                    if durable {
                        said.durable.insert(id);
                    }
                }
                Ok(())
            }
            Err(error) => {
                if !leaves_no_trace(error.kind()) {
                    said.unsure.extend(values);
                }
                Err(error)
            }
        }
    }

    /// A call that removes these entries.
    pub(crate) fn removing<T>(
        &mut self,
        name: &'static str,
        ids: Vec<EntryId>,
        call: impl FnOnce(&Stream) -> Result<T>,
    ) -> Result<()> {
        let stream = self.stream(name)?;
        let durable = self.is_always(name);
        self.known.of(name).dropped.extend(&ids);
        let done = call(&stream);
        let said = self.known.of(name);
        match done {
            Ok(_) => {
                said.removed.extend(ids.into_iter().map(|id| (id, durable)));
                Ok(())
            }
            Err(error) => {
                said.groups_unsure |= !leaves_no_trace(error.kind());
                Err(error)
            }
        }
    }

    pub(crate) fn trim(&mut self, name: &'static str, keep: usize) -> Result<()> {
        let (may, will) = self.known.of(name).trimmed(keep);
        self.known.of(name).dropped.extend(may);
        self.removing(name, will, |stream| stream.trim(Trim::max_len(keep as u64)))
    }

    /// A call on a group whose effect is not followed, only whether it may have had one.
    pub(crate) fn grouped<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&mut Run) -> Result<T>,
    ) -> Result<T> {
        let done = call(self);
        if let Err(error) = &done {
            self.known.of(name).groups_unsure |= !leaves_no_trace(error.kind());
        }
        done
    }

    pub(crate) fn read_as(
        &mut self,
        name: &'static str,
        consumer: &str,
        count: usize,
    ) -> Result<()> {
        self.grouped(name, |run| {
            let consumer = run.group(name, "g")?.consumer(consumer)?;
            consumer.read(GroupReadOptions::new().count(count)).map(drop)
        })
    }

    pub(crate) fn ack(&mut self, name: &'static str, count: usize) -> Result<()> {
        let group = self.group(name, "g")?;
        let pending = group.pending_range(.., crate::PendingFilter::new())?;
        let ids: Vec<EntryId> = pending.into_iter().take(count).map(|one| one.id).collect();
        let durable = self.is_always(name);
        let done = group.ack(ids.iter().copied());
        let said = self.known.of(name);
        match done {
            Ok(_) => {
                said.acked.extend(ids.into_iter().map(|id| (id, durable)));
                Ok(())
            }
            Err(error) => {
                if !leaves_no_trace(error.kind()) {
                    said.acked_unsure.extend(ids);
                    said.groups_unsure = true;
                }
                Err(error)
            }
        }
    }

    /// A call on the names of the store.
    pub(crate) fn naming<T>(
        &mut self,
        names: &[&'static str],
        call: impl FnOnce(&Store) -> Result<T>,
    ) -> Result<T> {
        let done = call(self.store()?);
        if let Err(error) = &done
            && !leaves_no_trace(error.kind())
        {
            for name in names {
                self.known.of(name).loose = true;
            }
        }
        done
    }

    /// Readers that nothing but a failure or the end of the store can wake.
    pub(crate) fn wait_readers(&mut self) -> Result<()> {
        let stream = self.stream("a")?;
        let last = EntryId::new(u64::MAX, u64::MAX - 1);
        let group = self.grouped("a", |_| stream.group("w", Start::After(last)))?;
        let consumer = group.consumer("w")?;
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let read = consumer.read(GroupReadOptions::new().block_forever());
            drop(tell.send(read.err().map(|error| error.kind().clone())));
        });
        self.waiting.push(told);
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let read = stream.read(Start::After(last), ReadOptions::new().block_forever());
            drop(tell.send(read.err().map(|error| error.kind().clone())));
        });
        self.waiting.push(told);
        // Until the group's reader has made its mark: what follows must find the same state always.
        let began = std::time::Instant::now();
        while group.consumers()?.is_empty() && began.elapsed() < LONG {
            std::thread::yield_now();
        }
        Ok(())
    }

    pub(crate) fn close(&mut self) -> Result<()> {
        self.streams.clear();
        let store = self.store.take().ok_or_else(not_there)?;
        let closed = store.close();
        for told in self.waiting.drain(..) {
            // Whatever the close came to, it ends every wait.
            assert!(told.recv_timeout(LONG).is_ok(), "a reader was not woken by the close");
        }
        closed?;
        self.known.settle();
        Ok(())
    }
}

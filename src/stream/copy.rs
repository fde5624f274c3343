//! COPY: a stream under another name, with its entries, counters and groups.
//!
//! What is copied tells the name of the new stream, but is none before the record of its creation:
//! until that is durable a mark in the directory says so, and the next open clears it away.

use super::StreamInner;
use super::recovery::home_of;
use super::{Counters, EntryId, Error, Event, Home, Result, Shared, StoredOptions};
use crate::format::event::Events;
use crate::format::name;
use crate::read::Snapshot;
use crate::state::moved_to;
use crate::storage::disk::OpenMode;
use crate::storage::log::Tail;
use crate::storage::recover::{Known, recover};

impl StreamInner {
    /// Writes the live entries into the new directory of this number, durably and marked, and
    /// returns the events that make a stream of it.
    pub(crate) fn copy_to(&self, shared: &Shared, to: &[u8], number: u64) -> Result<Vec<Event>> {
        shared.check_process()?;
        let (snapshot, tail, events) = self.picture(shared)?;
        let options =
            self.state.lock().options.unwrap_or(StoredOptions::from(&shared.options.stream));
        let home = home_of(shared, number);
        home.disk.create_dir(&home.dir).map_err(|e| Error::io("create directory", &home.dir, e))?;
        shared.sync_streams_dir()?;
        let known = Known {
            name: to.to_vec(),
            options,
            trimmed: EntryId::MIN,
            restart: 0,
            restarted_at: EntryId::MIN,
            restart_unsure: false,
            floor: EntryId::MIN,
            durable: 0,
            skip_damage: snapshot.span.skip_damage,
            read_only: false,
        };
        let log = recover(&home, &known)?.log;
        mark(&home)?;
        let mut copied = 0u64;
        for entry in snapshot.range(..) {
            let entry = entry?;
            log.writer()?.append(entry.id(), entry.list(), None, None)?;
            copied += 1;
        }
        let written = log.written();
        log.sync_files(written)?;
        log.synced(written, |_, _| ());
        log.commit.set_durable(written);
        log.close(&|| {})?;
        let counters = |mut counters: Counters| {
            // The same number of entries ever added, though fewer are in the copy's frames.
            counters.added_offset = counters.added_offset.wrapping_add(tail.ordinal - copied);
            counters.floor = counters.floor.max(tail.last_id);
            counters
        };
        Ok(events
            // The copy's log begins anew.
            .filter(|event| !matches!(event, Event::SetBack { .. }))
            .map(|event| match event {
                Event::StreamCreated { options, .. } => {
                    Event::StreamCreated { name: to.into(), options }
                }
                Event::Counters(found) => Event::Counters(counters(found)),
                other => moved_to(other, written),
            })
            .collect())
    }

    /// The stream at one moment: its entries, its end, and its state as events.
    fn picture(&self, shared: &Shared) -> Result<(Snapshot, Tail, Events)> {
        let mut locked = self.lock(shared)?;
        // Deletions stay behind with the entries that they hid; what they raised is in the
        // counters.
        let counters = Event::Counters(locked.state.counters);
        let events = Box::new(locked.state.dump(locked.span.published).chain([counters]));
        Ok((Snapshot { span: locked.span.clone() }, locked.tail, events))
    }
}

/// Says, before the first entry, that the directory is no stream by itself.
fn mark(home: &Home) -> Result<()> {
    let path = home.dir.join(name::COPYING);
    match home.disk.open(&path, OpenMode::CreateNew) {
        // The directory is new and nobody else's: a try before this one had its effect.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => drop(made.map_err(|e| Error::io("create", &path, e))?),
    }
    let synced = home.disk.sync_dir(&home.dir);
    synced.map_err(|e| Error::io("sync directory", &home.dir, e))
}

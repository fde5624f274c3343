//! COPY: a stream under another name, with its entries, counters and groups.

use super::{Counters, EntryId, Error, Event, Home, Result, Shared, StoredOptions};
use super::{StreamInner, name};
use crate::read::Snapshot;
use crate::storage::log::Tail;
use crate::storage::recover::{Known, recover};

/// A copy whose entries are on disk and which is no stream yet: that takes these events.
pub(crate) struct Copy {
    pub(crate) number: u64,
    pub(crate) events: Vec<Event>,
}

impl StreamInner {
    /// Writes the live entries into a new directory and says what makes a stream of it. If the
    /// record is never written, the next open clears the directory away.
    pub(crate) fn copy_to(&self, shared: &Shared, to: &[u8]) -> Result<Copy> {
        shared.check_process()?;
        let number = shared.journal.take_stream_number();
        let (snapshot, tail, events) = self.picture(shared)?;
        let options =
            self.state.lock().options.unwrap_or(StoredOptions::from(&shared.options.stream));
        let dir = shared.streams_dir().join(name::stream_dir(number));
        let home = Home::new(&shared.disk, dir, shared.uuid, number);
        home.disk.create_dir(&home.dir).map_err(|e| Error::io("create directory", &home.dir, e))?;
        shared.sync_streams_dir()?;
        let known = Known {
            name: to.to_vec(),
            options,
            trimmed: EntryId::MIN,
            floor: EntryId::MIN,
            always: false,
            skip_damage: snapshot.span.skip_damage,
        };
        let log = recover(&home, &known)?.log;
        let mut copied = 0u64;
        for entry in snapshot.range(..) {
            let entry = entry?;
            log.writer()?.append(entry.id(), entry.list(), None)?;
            copied += 1;
        }
        let written = log.written();
        log.sync_files(written)?;
        log.synced(written);
        log.commit.set_durable(written);
        log.close(&|| {})?;
        let counters = |mut counters: Counters| {
            // The same number of entries ever added, though fewer are in the copy's frames.
            counters.added_offset = counters.added_offset.wrapping_add(tail.ordinal - copied);
            counters.floor = counters.floor.max(tail.last_id);
            counters
        };
        let events = events
            .into_iter()
            .map(|event| match event {
                Event::StreamCreated { options, .. } => {
                    Event::StreamCreated { name: to.into(), options }
                }
                Event::Counters(found) => Event::Counters(counters(found)),
                other => other,
            })
            .collect();
        Ok(Copy { number, events })
    }

    /// The stream at one moment: its entries, its end, and its state as events.
    fn picture(&self, shared: &Shared) -> Result<(Snapshot, Tail, Vec<Event>)> {
        let locked = self.lock(shared)?;
        let mut events = locked.state.dump();
        // Deletions stay behind with the entries that they hid; what they raised is in the
        // counters.
        events.push(Event::Counters(locked.state.counters));
        Ok((Snapshot { span: locked.span.clone() }, locked.tail, events))
    }
}

//! The bytes of events.
//!
//! The bytes of an event are a tag and its fields in the order of their declaration, integers as
//! varints, byte strings with their length, an option as a byte 0 or 1 and then the value.
//!
//! A list of IDs is their number, then for each the distance from the ID before it (the first:
//! from 0-0): the milliseconds' and, if that is 0, the sequence numbers' distance, else the
//! sequence number itself. A distance of exactly 1 in the sequence number never stands alone: a
//! number of such steps follows it, so a run costs a few bytes however long it is. Distances wrap,
//! so a list in any order can be written; an ascending one is short.
//!
//! Pending records are spans of the same owner, time and count, each with its list of IDs. Where
//! nobody owns them, the time is a turn: a number above those of what was given back before.
//!
//! Decoding is total: any bytes give an event or `None`, never a panic, and never more than
//! [`MAX_IDS`] IDs. Whoever makes an event keeps within that number.

use super::{Counters, Event, GroupNumber, MAX_IDS, PendingRecord, StoredOptions};
use crate::entry::{read_bytes, read_varint, write_bytes, write_varint};
use crate::id::EntryId;
use crate::options::Retention;

// Tags are written out, not counted, so that the order of the enum is free to change.
const STREAM_CREATED: u8 = 1;
const STREAM_REMOVED: u8 = 2;
const STREAM_RENAMED: u8 = 3;
const OPTIONS_SET: u8 = 4;
const DELETED: u8 = 5;
const TRIMMED: u8 = 6;
const COUNTERS: u8 = 7;
// 8 was an event of an earlier format.
const DURABLE: u8 = 9;
const SET_BACK: u8 = 10;
const GROUP_CREATED: u8 = 16;
const GROUP_REMOVED: u8 = 17;
const GROUP_SET: u8 = 18;
const CONSUMER_CREATED: u8 = 19;
const CONSUMER_REMOVED: u8 = 20;
const DELIVERED: u8 = 21;
const REDELIVERED: u8 = 22;
const PENDING_SET: u8 = 23;
const PENDING_REMOVED: u8 = 24;
const SEEN: u8 = 25;
const GROUP_COUNTERS: u8 = 26;
const CONSUMER_COUNTER: u8 = 27;
const TRIMMED_OUT: u8 = 30;
const EXPIRY_SET: u8 = 43;

mod brief;
mod idempotency;
mod options;

impl Event {
    /// Appends the event's bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Event::StreamCreated { name, options } => {
                out.push(STREAM_CREATED);
                write_bytes(out, name);
                options.encode(out);
            }
            Event::StreamRemoved => out.push(STREAM_REMOVED),
            Event::StreamRenamed { name } => {
                out.push(STREAM_RENAMED);
                write_bytes(out, name);
            }
            Event::OptionsSet { options } => {
                out.push(OPTIONS_SET);
                options.encode(out);
            }
            Event::Deleted { ids } => {
                out.push(DELETED);
                IdWriter::default().list(out, ids.len(), ids.iter().copied());
            }
            Event::Trimmed { to } => {
                out.push(TRIMMED);
                write_id(out, *to);
            }
            Event::TrimmedOut { ids } => {
                out.push(TRIMMED_OUT);
                IdWriter::default().list(out, ids.len(), ids.iter().copied());
            }
            Event::Counters(counters) => {
                out.push(COUNTERS);
                write_id(out, counters.floor);
                write_id(out, counters.max_deleted);
                write_varint(out, counters.added_offset);
            }
            Event::Durable { position } => {
                out.push(DURABLE);
                write_varint(out, *position);
            }
            Event::SetBack { to, restart } => {
                out.push(SET_BACK);
                write_id(out, *to);
                write_varint(out, *restart);
            }
            Event::ExpirySet { at_ms } => {
                out.push(EXPIRY_SET);
                write_option(out, *at_ms);
            }
            other if other.encode_of_idempotency(out) => {}
            of_group => of_group.encode_of_group(out),
        }
    }

    fn encode_of_group(&self, out: &mut Vec<u8>) {
        match self {
            Event::GroupCreated { group, name, last_id, entries_read, pinned } => {
                write_head(out, GROUP_CREATED, *group);
                write_bytes(out, name);
                write_id(out, *last_id);
                write_option(out, *entries_read);
                write_id(out, *pinned);
            }
            Event::GroupRemoved { group } => write_head(out, GROUP_REMOVED, *group),
            Event::GroupSet { group, last_id, entries_read, pinned } => {
                write_head(out, GROUP_SET, *group);
                write_id(out, *last_id);
                write_option(out, *entries_read);
                write_id(out, *pinned);
            }
            Event::ConsumerCreated { group, consumer, name, seen_ms, active_ms } => {
                write_pair(out, CONSUMER_CREATED, *group, *consumer);
                write_bytes(out, name);
                write_varint(out, *seen_ms);
                write_option(out, *active_ms);
            }
            Event::ConsumerRemoved { group, consumer } => {
                write_pair(out, CONSUMER_REMOVED, *group, *consumer);
            }
            Event::GroupCounters { next_group, delivered, before } => {
                write_head(out, GROUP_COUNTERS, *next_group);
                write_id(out, *delivered);
                write_id(out, *before);
            }
            Event::ConsumerCounter { group, next_consumer } => {
                write_pair(out, CONSUMER_COUNTER, *group, *next_consumer);
            }
            of_entries => of_entries.encode_of_entries(out),
        }
    }

    fn encode_of_entries(&self, out: &mut Vec<u8>) {
        match self {
            Event::Delivered { group, consumer, time_ms, no_ack, entries_read, ids } => {
                write_pair(out, DELIVERED, *group, *consumer);
                write_varint(out, *time_ms);
                out.push(u8::from(*no_ack));
                write_option(out, *entries_read);
                IdWriter::default().list(out, ids.len(), ids.iter().copied());
            }
            Event::Redelivered { group, consumer, time_ms, ids } => {
                write_pair(out, REDELIVERED, *group, *consumer);
                write_varint(out, *time_ms);
                IdWriter::default().list(out, ids.len(), ids.iter().copied());
            }
            Event::PendingSet { group, records, active_ms } => {
                write_head(out, PENDING_SET, *group);
                write_records(out, records);
                write_option(out, *active_ms);
            }
            Event::PendingRemoved { group, ids } => {
                write_head(out, PENDING_REMOVED, *group);
                IdWriter::default().list(out, ids.len(), ids.iter().copied());
            }
            Event::Seen { group, consumer, time_ms } => {
                write_pair(out, SEEN, *group, *consumer);
                write_varint(out, *time_ms);
            }
            _ => {}
        }
    }

    /// Whether these bytes of an event say that the stream is no more.
    pub(crate) fn is_removal(bytes: &[u8]) -> bool {
        bytes.first() == Some(&STREAM_REMOVED)
    }

    /// Reads what [`Event::encode`] wrote; `None` for anything else, bytes left over included.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Event> {
        let (&tag, rest) = bytes.split_first()?;
        let mut reader = Reader { bytes: rest, at: 0 };
        let event = match tag {
            STREAM_CREATED..=SET_BACK | TRIMMED_OUT | EXPIRY_SET => {
                Event::decode_of_stream(tag, &mut reader)?
            }
            idempotency::FIRST..=idempotency::LAST => {
                Event::decode_of_idempotency(tag, &mut reader)?
            }
            DELIVERED..=SEEN => Event::decode_of_entries(tag, &mut reader)?,
            _ => Event::decode_of_group(tag, &mut reader)?,
        };
        (reader.at == rest.len()).then_some(event)
    }

    fn decode_of_stream(tag: u8, reader: &mut Reader<'_>) -> Option<Event> {
        Some(match tag {
            STREAM_CREATED => Event::StreamCreated {
                name: reader.name()?,
                options: StoredOptions::decode(reader)?,
            },
            STREAM_REMOVED => Event::StreamRemoved,
            STREAM_RENAMED => Event::StreamRenamed { name: reader.name()? },
            OPTIONS_SET => Event::OptionsSet { options: StoredOptions::decode(reader)? },
            DELETED => Event::Deleted { ids: reader.ids()? },
            TRIMMED => Event::Trimmed { to: reader.id()? },
            TRIMMED_OUT => Event::TrimmedOut { ids: reader.ids()? },
            COUNTERS => Event::Counters(Counters {
                floor: reader.id()?,
                max_deleted: reader.id()?,
                added_offset: reader.number()?,
            }),
            DURABLE => Event::Durable { position: reader.number()? },
            SET_BACK => Event::SetBack { to: reader.id()?, restart: reader.number()? },
            EXPIRY_SET => Event::ExpirySet { at_ms: reader.option()? },
            _ => return None,
        })
    }

    fn decode_of_group(tag: u8, reader: &mut Reader<'_>) -> Option<Event> {
        let group = reader.number()?.try_into().ok()?;
        Some(match tag {
            GROUP_CREATED => Event::GroupCreated {
                group,
                name: reader.name()?,
                last_id: reader.id()?,
                entries_read: reader.option()?,
                pinned: reader.id()?,
            },
            GROUP_REMOVED => Event::GroupRemoved { group },
            GROUP_SET => Event::GroupSet {
                group,
                last_id: reader.id()?,
                entries_read: reader.option()?,
                pinned: reader.id()?,
            },
            CONSUMER_CREATED => Event::ConsumerCreated {
                group,
                consumer: reader.small()?,
                name: reader.name()?,
                seen_ms: reader.number()?,
                active_ms: reader.option()?,
            },
            CONSUMER_REMOVED => Event::ConsumerRemoved { group, consumer: reader.small()? },
            GROUP_COUNTERS => Event::GroupCounters {
                next_group: group,
                delivered: reader.id()?,
                before: reader.id()?,
            },
            CONSUMER_COUNTER => Event::ConsumerCounter { group, next_consumer: reader.small()? },
            _ => return None,
        })
    }

    fn decode_of_entries(tag: u8, reader: &mut Reader<'_>) -> Option<Event> {
        let group = reader.small()?;
        Some(match tag {
            DELIVERED => Event::Delivered {
                group,
                consumer: reader.small()?,
                time_ms: reader.number()?,
                no_ack: reader.flag()?,
                entries_read: reader.option()?,
                ids: reader.ids()?.into(),
            },
            REDELIVERED => Event::Redelivered {
                group,
                consumer: reader.small()?,
                time_ms: reader.number()?,
                ids: reader.ids()?,
            },
            PENDING_SET => {
                Event::PendingSet { group, records: reader.records()?, active_ms: reader.option()? }
            }
            PENDING_REMOVED => Event::PendingRemoved { group, ids: reader.ids()?.into() },
            SEEN => Event::Seen { group, consumer: reader.small()?, time_ms: reader.number()? },
            _ => return None,
        })
    }
}

fn write_head(out: &mut Vec<u8>, tag: u8, group: GroupNumber) {
    out.push(tag);
    write_varint(out, u64::from(group));
}

fn write_pair(out: &mut Vec<u8>, tag: u8, group: GroupNumber, number: u32) {
    write_head(out, tag, group);
    write_varint(out, u64::from(number));
}

fn write_id(out: &mut Vec<u8>, id: EntryId) {
    write_varint(out, id.ms);
    write_varint(out, id.seq);
}

fn write_option(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write_varint(out, value);
    }
}

/// Small for small distances of either sign.
fn zigzag(distance: u64) -> u64 {
    (distance << 1) ^ if distance >> 63 == 1 { u64::MAX } else { 0 }
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ if value & 1 == 1 { u64::MAX } else { 0 }
}

/// Writes lists of IDs, each ID by its distance from the one before it, over several lists.
#[derive(Default)]
struct IdWriter {
    before: EntryId,
    /// Steps of exactly 1 that are not written yet.
    steps: u64,
}

impl IdWriter {
    fn list(&mut self, out: &mut Vec<u8>, len: usize, ids: impl Iterator<Item = EntryId>) {
        debug_assert!(len <= MAX_IDS, "whoever made the event split it");
        write_varint(out, len as u64);
        for id in ids {
            let ms = id.ms.wrapping_sub(self.before.ms);
            let seq = id.seq.wrapping_sub(self.before.seq);
            self.before = id;
            if ms == 0 && seq == 1 {
                self.steps += 1;
                continue;
            }
            self.flush(out);
            write_varint(out, ms);
            write_varint(out, if ms == 0 { seq } else { id.seq });
        }
        self.flush(out);
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.steps > 0 {
            write_varint(out, 0);
            write_varint(out, 1);
            write_varint(out, self.steps);
            self.steps = 0;
        }
    }
}

fn write_records(out: &mut Vec<u8>, records: &[PendingRecord]) {
    let alike = |a: &PendingRecord, b: &PendingRecord| {
        (a.owner, a.time_ms, a.count) == (b.owner, b.time_ms, b.count)
    };
    write_varint(out, records.chunk_by(alike).count() as u64);
    let mut ids = IdWriter::default();
    let mut time_before = 0u64;
    for span in records.chunk_by(alike) {
        let Some(first) = span.first() else { continue };
        // No owner is 0, so that the common case stays one byte.
        write_varint(out, first.owner.map_or(0, |owner| u64::from(owner) + 1));
        write_varint(out, zigzag(first.time_ms.wrapping_sub(time_before)));
        write_varint(out, first.count);
        time_before = first.time_ms;
        ids.list(out, span.len(), span.iter().map(|record| record.id));
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        read_varint(self.bytes, &mut self.at)
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        match byte {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn option(&mut self) -> Option<Option<u64>> {
        if self.flag()? { self.number().map(Some) } else { Some(None) }
    }

    fn id(&mut self) -> Option<EntryId> {
        Some(EntryId { ms: self.number()?, seq: self.number()? })
    }

    fn name(&mut self) -> Option<Box<[u8]>> {
        read_bytes(self.bytes, &mut self.at).map(Box::from)
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn ids(&mut self) -> Option<Vec<EntryId>> {
        let len = self.len()?;
        // Runs are longer than their bytes; the vector grows only as they are read.
        let mut ids = Vec::with_capacity(len.min(self.left()));
        self.each_id(len, &mut { EntryId::MIN }, |id| ids.push(id))?;
        Some(ids)
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|len| *len <= MAX_IDS)
    }

    /// Reads `len` IDs; `before` is the one in front of them and becomes the last of them.
    fn each_id(
        &mut self,
        len: usize,
        before: &mut EntryId,
        mut take: impl FnMut(EntryId),
    ) -> Option<()> {
        let mut left = len as u64;
        while left > 0 {
            let ms = self.number()?;
            let seq = self.number()?;
            let steps = if ms == 0 && seq == 1 { self.number()? } else { 1 };
            left = left.checked_sub(steps)?;
            if steps == 0 {
                return None;
            }
            if ms != 0 {
                *before = EntryId { ms: before.ms.wrapping_add(ms), seq };
                take(*before);
                continue;
            }
            for _ in 0..steps {
                before.seq = before.seq.wrapping_add(seq);
                take(*before);
            }
        }
        Some(())
    }

    fn records(&mut self) -> Option<Vec<PendingRecord>> {
        let spans = self.len()?;
        let mut records = Vec::with_capacity(spans.min(self.left()));
        let mut before = EntryId::MIN;
        let mut time_ms = 0u64;
        for _ in 0..spans {
            let owner = match self.number()? {
                0 => None,
                owner => Some(u32::try_from(owner - 1).ok()?),
            };
            time_ms = time_ms.wrapping_add(unzigzag(self.number()?));
            let count = self.number()?;
            let len = self.len()?;
            if len == 0 || len > MAX_IDS - records.len() {
                return None;
            }
            self.each_id(len, &mut before, |id| {
                records.push(PendingRecord { id, owner, time_ms, count });
            })?;
        }
        Some(records)
    }
}

//! The bodies of the state journal's frames: commands' events, parts of a checkpoint, its end.

use super::event::Event;
use crate::entry::{read_bytes, read_varint, write_bytes, write_varint};

/// What one command changed in one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) stream: u64,
    /// The number of the record that changed this stream before; 0 if none did.
    pub(crate) previous: u64,
    pub(crate) events: Vec<Event>,
}

/// What one command changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Records are numbered from 1 without a gap.
    pub(crate) number: u64,
    pub(crate) parts: Vec<Part>,
}

/// Appends events, each with its length, behind their number.
fn write_events(out: &mut Vec<u8>, events: &[Event], scratch: &mut Vec<u8>) {
    write_varint(out, events.len() as u64);
    for event in events {
        scratch.clear();
        event.encode(scratch);
        write_bytes(out, scratch);
    }
}

fn read_events(bytes: &[u8], at: &mut usize) -> Option<Vec<Event>> {
    let count = read_varint(bytes, at)?;
    if count > bytes.len() as u64 {
        return None;
    }
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(Event::decode(read_bytes(bytes, at)?)?);
    }
    Some(events)
}

impl Record {
    /// Appends the record's body. The parts are borrowed, so that nothing is copied to be written.
    pub(crate) fn write<'a>(
        out: &mut Vec<u8>,
        number: u64,
        parts: impl ExactSizeIterator<Item = (u64, u64, &'a [Event])>,
    ) {
        let mut scratch = Vec::new();
        write_varint(out, number);
        write_varint(out, parts.len() as u64);
        for (stream, previous, events) in parts {
            write_varint(out, stream);
            write_varint(out, number.wrapping_sub(previous));
            write_events(out, events, &mut scratch);
        }
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<Record> {
        let at = &mut at;
        let number = read_varint(bytes, at)?;
        let count = read_varint(bytes, at)?;
        if count > bytes.len() as u64 {
            return None;
        }
        let mut parts = Vec::new();
        for _ in 0..count {
            let stream = read_varint(bytes, at)?;
            let previous = number.checked_sub(read_varint(bytes, at)?)?;
            parts.push(Part { stream, previous, events: read_events(bytes, at)? });
        }
        (*at == bytes.len()).then_some(Record { number, parts })
    }
}

/// What a section says it covers if the stream has lost a record before: its state is not certain,
/// and a later checkpoint must not make it look so.
pub(crate) const LOST: u64 = u64::MAX;

/// Events that rebuild a stream's state as it was after the record `covers`, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) stream: u64,
    pub(crate) covers: u64,
    pub(crate) events: Vec<Event>,
}

impl Section {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.stream);
        write_varint(out, self.covers);
        write_events(out, &self.events, &mut Vec::new());
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<Section> {
        let at = &mut at;
        let (stream, covers) = (read_varint(bytes, at)?, read_varint(bytes, at)?);
        let events = read_events(bytes, at)?;
        (*at == bytes.len()).then_some(Section { stream, covers, events })
    }
}

/// The end of a checkpoint: whoever finds it has all of the checkpoint in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CheckpointEnd {
    /// The number of the next record.
    pub(crate) next_record: u64,
    /// The number of the next stream.
    pub(crate) next_stream: u64,
    /// How many sections lie before it.
    pub(crate) sections: u64,
}

impl CheckpointEnd {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.next_record);
        write_varint(out, self.next_stream);
        write_varint(out, self.sections);
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<CheckpointEnd> {
        let at = &mut at;
        let next_record = read_varint(bytes, at)?;
        let next_stream = read_varint(bytes, at)?;
        let sections = read_varint(bytes, at)?;
        (*at == bytes.len()).then_some(CheckpointEnd { next_record, next_stream, sections })
    }
}

//! The bodies of the state journal's frames: commands' events, parts of a checkpoint, its end.

use super::brief::{Brief, Numbers};
use super::event::{Event, Single};
use super::packed::{Packed, write_events};
use crate::entry::{read_varint, write_varint};

/// What one command changed in one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) stream: u64,
    /// The number of the record that changed this stream before; 0 if none did.
    pub(crate) previous: u64,
    pub(crate) events: Packed,
}

/// Which streams the records before one changed: if one of these is lost, whose it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// How many of the records in front it tells of.
    pub(crate) reach: u64,
    /// The streams that these changed, each with the last that did. Those are left out of which the
    /// record itself has a part, which says so too.
    pub(crate) changed: Vec<(u64, u64)>,
}

/// What one command changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Records are numbered from 1 without a gap.
    pub(crate) number: u64,
    pub(crate) before: Before,
    pub(crate) parts: Vec<Part>,
}

/// No number of a record or a stream comes near this one. Reading refuses what does, so that no
/// sum of what was read runs over.
pub(crate) const NO_NUMBER: u64 = 1 << 62;

fn read_number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    read_varint(bytes, at).filter(|number| *number < NO_NUMBER)
}

/// A number of things of which each takes a byte at least.
fn read_count(bytes: &[u8], at: &mut usize) -> Option<u64> {
    read_varint(bytes, at).filter(|count| *count <= bytes.len() as u64)
}

impl Before {
    /// What is before the record `number`. Nearly always that is one record of one stream, which
    /// takes one byte more than the stream's number, or just one byte if it is the same stream.
    pub(crate) fn write(&self, out: &mut Vec<u8>, number: u64) {
        let long = self.reach != 1;
        write_varint(out, (self.changed.len() as u64) << 1 | u64::from(long));
        if long {
            write_varint(out, self.reach);
        }
        for (stream, record) in &self.changed {
            write_varint(out, *stream);
            if long {
                write_varint(out, number.wrapping_sub(*record));
            }
        }
    }

    fn read(bytes: &[u8], at: &mut usize, number: u64) -> Option<Before> {
        let head = read_varint(bytes, at)?;
        let long = head & 1 != 0;
        let reach = if long { read_varint(bytes, at)? } else { 1 };
        let count = head >> 1;
        if reach >= number || count > bytes.len() as u64 {
            return None;
        }
        let mut changed = Vec::new();
        for _ in 0..count {
            let stream = read_number(bytes, at)?;
            let back = if long { read_varint(bytes, at)? } else { 1 };
            if !(1..=reach).contains(&back) {
                return None;
            }
            changed.push((stream, number - back));
        }
        Some(Before { reach, changed })
    }
}

impl Record {
    /// Appends the record's body. The parts are borrowed, so that nothing is copied to be written.
    pub(crate) fn write<'a>(
        out: &mut Vec<u8>,
        number: u64,
        before: &Before,
        parts: impl ExactSizeIterator<Item = (u64, u64, &'a [Event])>,
    ) {
        write_varint(out, number);
        before.write(out, number);
        write_varint(out, parts.len() as u64);
        for (stream, previous, events) in parts {
            write_varint(out, stream);
            write_varint(out, number.wrapping_sub(previous));
            write_events(out, events);
        }
    }

    /// The same for one event of one stream, where the record before it changed that stream too, as
    /// the whole body of a frame. `false` if the event takes more than that.
    #[inline(always)]
    pub(crate) fn write_brief(
        out: &mut Brief<'_>,
        known: &mut Numbers,
        number: u64,
        (stream, previous): (u64, u64),
        event: &Single,
    ) -> bool {
        if !event.is_brief() {
            return false;
        }
        // It tells of the record in front of it, and of no other stream.
        out.number_and(known.record.then(number), [0, 1]);
        let back = number.wrapping_sub(previous);
        let [tag, group, then] = event.head();
        let at = out.here();
        // One event, and its length, which is not known yet.
        let len_at = if out.small([stream, back, 1, 0, tag, group, then]) {
            at + 3
        } else {
            out.number(stream);
            out.number(back);
            out.bytes([1, 0]);
            let len_at = out.here() - 1;
            [tag, group, then].into_iter().for_each(|number| out.number(number));
            len_at
        };
        event.encode_rest(out, known);
        out.count_behind(len_at);
        true
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<Record> {
        let at = &mut at;
        let number = read_number(bytes, at)?;
        let before = Before::read(bytes, at, number)?;
        let mut parts = Vec::new();
        for _ in 0..read_count(bytes, at)? {
            let stream = read_number(bytes, at)?;
            let previous = number.checked_sub(read_varint(bytes, at)?)?;
            parts.push(Part { stream, previous, events: Packed::read(bytes, at)? });
        }
        (*at == bytes.len()).then_some(Record { number, before, parts })
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
    pub(crate) events: Packed,
}

impl Section {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.stream);
        write_varint(out, self.covers);
        self.events.write(out);
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<Section> {
        let at = &mut at;
        let (stream, covers) = (read_number(bytes, at)?, read_varint(bytes, at)?);
        if covers != LOST && covers >= NO_NUMBER {
            return None;
        }
        let events = Packed::read(bytes, at)?;
        (*at == bytes.len()).then_some(Section { stream, covers, events })
    }
}

/// The end of a checkpoint: whoever finds it has all of the checkpoint in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckpointEnd {
    /// The number of the first record that a section may lack, which follows the sections then.
    pub(crate) first_record: u64,
    /// The number of the next record.
    pub(crate) next_record: u64,
    /// The number of the next stream.
    pub(crate) next_stream: u64,
    /// The streams that have sections before it, ascending, and how many.
    pub(crate) sections: Vec<(u64, u64)>,
}

impl CheckpointEnd {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.next_record);
        write_varint(out, self.next_record.wrapping_sub(self.first_record));
        write_varint(out, self.next_stream);
        write_varint(out, self.sections.len() as u64);
        let mut before = 0;
        for (stream, sections) in &self.sections {
            let step = stream.wrapping_sub(before);
            write_varint(out, step << 1 | u64::from(*sections != 1));
            if *sections != 1 {
                write_varint(out, *sections);
            }
            before = *stream;
        }
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<CheckpointEnd> {
        let at = &mut at;
        let next_record = read_number(bytes, at)?;
        let first_record = next_record.checked_sub(read_varint(bytes, at)?)?;
        let next_stream = read_number(bytes, at)?;
        let mut sections = Vec::new();
        let mut stream = 0;
        for _ in 0..read_count(bytes, at)? {
            let step = read_varint(bytes, at)?;
            stream = Some(stream + (step >> 1)).filter(|stream| *stream < NO_NUMBER)?;
            let count = if step & 1 == 0 { 1 } else { read_varint(bytes, at)? };
            sections.push((stream, count));
        }
        let end = CheckpointEnd { first_record, next_record, next_stream, sections };
        (*at == bytes.len()).then_some(end)
    }
}

/// The end of a journal that was closed with every record durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    /// The number of the next record.
    pub(crate) next_record: u64,
    pub(crate) before: Before,
}

impl Close {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.next_record);
        self.before.write(out, self.next_record);
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<Close> {
        let at = &mut at;
        let next_record = read_number(bytes, at)?;
        let before = Before::read(bytes, at, next_record)?;
        (*at == bytes.len()).then_some(Close { next_record, before })
    }
}

/// That the checkpoint of a later file is on disk: what a file is told at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superseded {
    /// The later file's turn.
    pub(crate) turn: u64,
    /// Which of the three files it is.
    pub(crate) slot: u64,
    /// Its salt: with it the file can be read even if its header cannot.
    pub(crate) salt: u64,
    /// Where its checkpoint ends, in bytes of the file.
    pub(crate) durable: u64,
    /// The number of the first record behind that.
    pub(crate) next_record: u64,
}

impl Superseded {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for value in [self.turn, self.slot, self.salt, self.durable, self.next_record] {
            write_varint(out, value);
        }
    }

    pub(crate) fn read(bytes: &[u8], mut at: usize) -> Option<Superseded> {
        let at = &mut at;
        let told = Superseded {
            turn: read_number(bytes, at)?,
            slot: read_varint(bytes, at)?,
            salt: read_varint(bytes, at)?,
            durable: read_varint(bytes, at)?,
            next_record: read_number(bytes, at)?,
        };
        (*at == bytes.len()).then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntryId;
    use proptest::prelude::*;

    fn before(number: u64) -> impl Strategy<Value = Before> {
        (0..number).prop_flat_map(move |reach| {
            let changed = prop::collection::vec((0..NO_NUMBER, 1..=reach.max(1)), 0..4);
            changed.prop_map(move |changed| Before {
                reach,
                changed: changed
                    .into_iter()
                    .filter(|_| reach > 0)
                    .map(|(stream, back)| (stream, number - back))
                    .collect(),
            })
        })
    }

    fn event() -> impl Strategy<Value = Event> {
        (0..5u64).prop_map(|ms| Event::Trimmed { to: EntryId::new(ms, 0) })
    }

    fn record() -> impl Strategy<Value = Record> {
        (1..NO_NUMBER).prop_flat_map(|number| {
            let events = prop::collection::vec(event(), 0..3);
            let parts = prop::collection::vec((0..NO_NUMBER, 0..=number, events), 0..3);
            (before(number), parts).prop_map(move |(before, parts)| Record {
                number,
                before,
                parts: parts
                    .into_iter()
                    .map(|(stream, previous, events)| (stream, previous, Packed::from_iter(events)))
                    .map(|(stream, previous, events)| Part { stream, previous, events })
                    .collect(),
            })
        })
    }

    fn written(record: &Record) -> Vec<u8> {
        let mut out = Vec::new();
        let events: Vec<Vec<Event>> =
            record.parts.iter().map(|part| part.events.iter().collect()).collect();
        let parts = record.parts.iter().zip(&events);
        let parts = parts.map(|(part, events)| (part.stream, part.previous, &**events));
        Record::write(&mut out, record.number, &record.before, parts);
        out
    }

    proptest! {
        #[test]
        fn records_go_there_and_back(record in record()) {
            let bytes = written(&record);
            prop_assert_eq!(Record::read(&bytes, 0), Some(record));
            prop_assert_eq!(Record::read(&bytes[..bytes.len() - 1], 0), None);
        }

        #[test]
        fn ends_go_there_and_back(
            (next_record, first_record, next_stream) in (5..NO_NUMBER, 0..5u64, 0..NO_NUMBER),
            steps in prop::collection::vec((1..1000u64, prop_oneof![Just(1u64), 0..9u64]), 0..5),
            before in before(5),
            salt in any::<u64>(),
        ) {
            let mut stream = 0;
            let sections = steps.iter().map(|(step, count)| {
                stream += step;
                (stream, *count)
            });
            let sections = sections.collect();
            let end = CheckpointEnd { first_record, next_record, next_stream, sections };
            let mut bytes = Vec::new();
            end.write(&mut bytes);
            prop_assert_eq!(CheckpointEnd::read(&bytes, 0), Some(end));
            let close = Close { next_record: 5, before };
            let mut bytes = Vec::new();
            close.write(&mut bytes);
            prop_assert_eq!(Close::read(&bytes, 0), Some(close));
            let told = Superseded { turn: next_record, slot: 2, salt, durable: salt, next_record };
            let mut bytes = Vec::new();
            told.write(&mut bytes);
            prop_assert_eq!(Superseded::read(&bytes, 0), Some(told));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(record) = Record::read(&bytes, 0) {
                prop_assert_eq!(Record::read(&written(&record), 0), Some(record));
            }
            if let Some(end) = CheckpointEnd::read(&bytes, 0) {
                let mut again = Vec::new();
                end.write(&mut again);
                prop_assert_eq!(CheckpointEnd::read(&again, 0), Some(end));
            }
        }
    }

    #[test]
    fn one_stream_at_work_costs_a_byte() {
        let mut out = Vec::new();
        Before { reach: 1, changed: Vec::new() }.write(&mut out, 7);
        assert_eq!(out.len(), 1);
        Before { reach: 1, changed: vec![(5, 6)] }.write(&mut out, 7);
        assert_eq!(out.len(), 3);
    }
}

//! The bytes of events of idempotent producers.
//!
//! The pairs of a producer are its ID, their number, and for each the iid, the entry's ID and its
//! position as distances from the pair before (the first: from 0), which wrap.

use super::super::{IidPair, PairsEnd, ProducerPairs, Window};
use super::*;

const SET: u8 = 40;
const PAIRS: u8 = 41;
const RECORDED: u8 = 42;
pub(super) const FIRST: u8 = SET;
pub(super) const LAST: u8 = RECORDED;

impl Event {
    /// `false` if it is another kind of event.
    pub(super) fn encode_of_idempotency(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Event::IdempotencySet { window, covered, added, duplicates } => {
                out.push(SET);
                write_varint(out, u64::from(window.seconds));
                write_varint(out, u64::from(window.most));
                [*covered, *added, *duplicates]
                    .iter()
                    .for_each(|number| write_varint(out, *number));
            }
            Event::IdempotencyPairs { end, producers } => {
                out.push(PAIRS);
                out.push(u8::from(end.is_some()));
                if let Some(PairsEnd { covered, added, duplicates }) = end {
                    [covered, added, duplicates].iter().for_each(|n| write_varint(out, **n));
                }
                write_varint(out, producers.len() as u64);
                producers.iter().for_each(|producer| producer.encode(out));
            }
            Event::IdempotencyRecorded { producer, iid, id } => {
                out.push(RECORDED);
                write_bytes(out, producer);
                write_bytes(out, iid);
                write_id(out, *id);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn decode_of_idempotency(tag: u8, reader: &mut Reader<'_>) -> Option<Event> {
        Some(match tag {
            SET => Event::IdempotencySet {
                window: Window { seconds: reader.small()?, most: reader.small()? },
                covered: reader.number()?,
                added: reader.number()?,
                duplicates: reader.number()?,
            },
            PAIRS => Event::IdempotencyPairs {
                end: match reader.flag()? {
                    true => Some(PairsEnd {
                        covered: reader.number()?,
                        added: reader.number()?,
                        duplicates: reader.number()?,
                    }),
                    false => None,
                },
                producers: reader.producers()?,
            },
            RECORDED => Event::IdempotencyRecorded {
                producer: reader.name()?,
                iid: reader.name()?,
                id: reader.id()?,
            },
            _ => return None,
        })
    }
}

impl ProducerPairs {
    fn encode(&self, out: &mut Vec<u8>) {
        write_bytes(out, &self.producer);
        write_varint(out, self.pairs.len() as u64);
        let (mut ms, mut position) = (0, 0);
        for pair in &self.pairs {
            write_bytes(out, &pair.iid);
            // Those of explicit IDs may go back.
            write_varint(out, zigzag(pair.id.ms.wrapping_sub(ms)));
            write_varint(out, pair.id.seq);
            write_varint(out, pair.position.wrapping_sub(position));
            (ms, position) = (pair.id.ms, pair.position);
        }
    }
}

impl Reader<'_> {
    /// Each takes some bytes, so no count makes more of them than there are.
    fn producers(&mut self) -> Option<Vec<ProducerPairs>> {
        let len = self.len()?;
        let mut producers = Vec::with_capacity(len.min(self.left()));
        for _ in 0..len {
            let producer = self.name()?;
            let pairs = self.pairs()?;
            producers.push(ProducerPairs { producer, pairs });
        }
        Some(producers)
    }

    fn pairs(&mut self) -> Option<Vec<IidPair>> {
        let len = self.len()?;
        let mut pairs = Vec::with_capacity(len.min(self.left() / 4));
        let (mut ms, mut position) = (0u64, 0u64);
        for _ in 0..len {
            let iid = read_bytes(self.bytes, &mut self.at)?.into();
            ms = ms.wrapping_add(unzigzag(self.number()?));
            let id = EntryId { ms, seq: self.number()? };
            position = position.wrapping_add(self.number()?);
            pairs.push(IidPair { iid, id, position });
        }
        Some(pairs)
    }
}

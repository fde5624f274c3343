//! The frame of most entries: no flags, and an ID near the base of its block. It is made and
//! checked in one go, which an append and a scan do for nearly all.
//!
//! What is taken in here is taken in by [`Header`](super::Header) and the rest just the same.
//! Whatever is otherwise, or wrong, is left to them.

use super::{ALIGN, FRONT, HEADER, Kind, MAX_BODY, id_behind, is_padded, padded, seed_at};
use crate::entry::check_fields;
use crate::format::{frame_checksums, front_checksums, u64_at};
use crate::id::EntryId;

/// An entry in a frame that passed its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) id: EntryId,
    /// Where in the file its field list begins.
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// Where the next frame begins.
    pub(crate) next: u64,
}

/// The bits of the header's second word, from the body's size on, that are the same in each of
/// them: the kind, the flags, and that the two numbers of the ID take a byte each.
const SAME: u64 = 0x0080_80ff_f000_0000;
const ALL_HAVE: u64 = (Kind::Entry as u64) << 28;

impl Plain {
    /// The entry of the frame at `offset` of a file with these bytes. `base`: of its block.
    #[inline(always)]
    pub(crate) fn read(bytes: &[u8], seed: u32, offset: u64, base: EntryId) -> Option<Plain> {
        let frame = bytes.get(offset as usize..)?;
        let front: &[u8; FRONT] = frame.first_chunk()?;
        let (first, second) = (u64_at(front, 0), u64_at(front, 8));
        if second & SAME != ALL_HAVE {
            return None;
        }
        let end = HEADER + (second as usize & MAX_BODY);
        let frame = frame.get(..padded(end) as usize)?;
        let body = frame.get(HEADER..end)?;
        let word = first >> 32 | second << 32;
        // Both checksums as they are stored, in one number.
        if first != frame_checksums(seed_at(seed, offset), word, body) || !is_padded(frame, end) {
            return None;
        }
        let (ms, seq) = (second >> 40 & 0x7f, second >> 48 & 0x7f);
        let id = match ms {
            0 => EntryId { ms: base.ms, seq: base.seq.checked_add(seq)? },
            _ => EntryId { ms: base.ms.checked_add(ms)?, seq },
        };
        let list = body.get(PLAIN_ID..)?;
        check_fields(list).then_some(Plain {
            id,
            start: offset as usize + HEADER + PLAIN_ID,
            len: list.len(),
            next: offset + padded(end),
        })
    }
}

/// What such a frame begins with. The rest of its list follows, and zeros up to a multiple of
/// [`ALIGN`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front {
    /// [`FRONT`] bytes, as they are stored in little endian.
    pub(crate) words: [u64; 2],
    /// The header's checksum.
    pub(crate) crc: u32,
}

impl Front {
    /// That of an entry at this place of a file, if it is plain. `base`: of its block.
    #[inline(always)]
    pub(crate) fn of(
        list: &[u8],
        base: EntryId,
        id: EntryId,
        seed: u32,
        offset: u64,
    ) -> Option<Front> {
        let (ms, seq) = id_behind(base, id);
        if ms >= 0x80 || seq >= 0x80 {
            return None;
        }
        let ids = ms | seq << 8;
        let size = ((Kind::Entry as u32) << 28) | (PLAIN_ID + list.len()) as u32;
        let sums = front_checksums(seed_at(seed, offset), size, ids as u16, list);
        let second = u64::from(size) | ids << 40 | u64::from(*list.first()?) << 56;
        Some(Front { words: [sums, second], crc: sums as u32 })
    }
}

/// Bytes of the ID in such a frame.
pub(crate) const PLAIN_ID: usize = 2;
const _: () = assert!(FRONT == 16 && ALIGN == 8);

#[cfg(test)]
mod tests {
    use super::super::{BLOCK, COMMIT, FrameBuilder, Header, read_single, write_id};
    use super::*;
    use crate::entry::encode_fields;
    use proptest::prelude::*;

    /// What the other way makes of a frame.
    fn usual(bytes: &[u8], seed: u32, offset: u64, base: EntryId) -> Option<Plain> {
        let frame = bytes.get(offset as usize..)?;
        let header = Header::decode(frame, seed, offset)?;
        let body = header.body(frame, seed, offset)?;
        let (id, list) = read_single(&header, body, 0, base)?;
        Some(Plain {
            id,
            start: offset as usize + header.header_len() + list,
            len: body.len() - list,
            next: offset + header.frame_len(),
        })
    }

    proptest! {
        #[test]
        fn it_takes_in_what_the_other_way_does_and_nothing_that_was_changed(
            seed: u32,
            words in 0..9u64,
            base in (any::<u64>(), any::<u64>()),
            (ms, seq) in (0..200u64, 0..200u64),
            flags in prop_oneof![Just(0), Just(BLOCK), Just(COMMIT)],
            kind in prop_oneof![Just(Kind::Entry), Just(Kind::Entry), Just(Kind::Batch)],
            fields in proptest::collection::vec((".{0,9}", ".{0,200}"), 1..3),
            change in (any::<proptest::sample::Index>(), 1u8..),
        ) {
            let (base, offset) = (EntryId::new(base.0, base.1), words * ALIGN);
            let is_block = flags & BLOCK != 0;
            let mut frame = Vec::new();
            let block = is_block.then_some((base, 7));
            let builder = FrameBuilder::begin(&mut frame, kind, flags & !BLOCK, block);
            let id = EntryId::new(base.ms.wrapping_add(ms), seq.wrapping_add(
                if ms == 0 { base.seq } else { 0 },
            ));
            if !is_block {
                write_id(&mut frame, base, id);
            }
            encode_fields(&mut frame, fields, 1 << 20).unwrap();
            builder.end(&mut frame, seed, offset);
            let mut bytes = [&vec![9; offset as usize][..], &frame].concat();
            if kind == Kind::Entry && flags == 0 {
                let body = u64_at(&frame, 8) as usize & MAX_BODY;
                let list = &frame[HEADER + PLAIN_ID..HEADER + body];
                let front = Front::of(list, base, id, seed, offset);
                prop_assert_eq!(front.is_some(), ms < 0x80 && seq < 0x80);
                if let Some(front) = front {
                    prop_assert_eq!(front.crc.to_le_bytes(), &frame[..4]);
                    prop_assert_eq!(front.words.map(u64::to_le_bytes).concat(), &frame[..FRONT]);
                }
            }

            let found = Plain::read(&bytes, seed, offset, base);
            let small = ms < 0x80 && seq < 0x80 && kind == Kind::Entry && flags == 0;
            let expected = if small { usual(&bytes, seed, offset, base) } else { None };
            prop_assert_eq!(found, expected);
            let fits = base.ms.checked_add(ms).is_some()
                && (ms > 0 || base.seq.checked_add(seq).is_some());
            prop_assert_eq!(found.is_some(), small && fits);
            prop_assert_eq!(Plain::read(&bytes[..bytes.len() - 1], seed, offset, base), None);
            prop_assert_eq!(Plain::read(&bytes, seed ^ 1, offset, base), None);
            let at = offset as usize + change.0.index(frame.len());
            bytes[at] ^= change.1;
            prop_assert_eq!(Plain::read(&bytes, seed, offset, base), None);
        }
    }
}

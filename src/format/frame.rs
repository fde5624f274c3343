//! Frames: the records of segments and of the state journal.
//!
//! One form serves both: a header with its own checksum (so that a length can be believed even
//! where the body is damaged), a body with another, zero padding to eight bytes. Checksums start
//! at a seed of the file and the offset, so that a frame passes at one place of one file only.

mod extras;
mod plain;
pub(crate) use extras::{Extras, Key};
pub(crate) use plain::{Front, PLAIN_ID, Plain};

use super::brief::Words;
use super::{checksum, checksum_soon, seed_of, short, u32_at, u64_at, wide};
use crate::entry::{check_fields, read_bytes, read_varint, write_bytes, write_varint};
use crate::id::EntryId;
use crate::planted;

/// Length of a frame's header, in bytes.
pub(crate) const HEADER: usize = 13;
/// What a block start adds to the header: base ID and ordinal.
pub(crate) const BLOCK_HEADER: usize = 24;
/// Frames begin at multiples of this.
pub(crate) const ALIGN: u64 = 8;
/// The longest body, in bytes.
pub(crate) const MAX_BODY: usize = (1 << 28) - 1;

/// The frame begins a block; its header carries the base ID and the ordinal.
pub(crate) const BLOCK: u8 = 1;
/// The last frame of a batch.
pub(crate) const COMMIT: u8 = 2;
/// The body begins with the distance to the durable position.
pub(crate) const DURABLE: u8 = 4;
/// The body goes on with attributes.
pub(crate) const ATTRIBUTES: u8 = 8;
const ALL_FLAGS: u8 = BLOCK | COMMIT | DURABLE | ATTRIBUTES;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first frame of a segment.
    Begin = 1,
    /// One entry.
    Entry = 2,
    /// Entries of a batch, at most a block of them.
    Batch = 3,
    /// The log was closed with nothing left to sync.
    Close = 4,
    /// One command's events.
    Events = 5,
    /// A part of a checkpoint.
    Section = 6,
    /// The end of a checkpoint.
    CheckpointEnd = 7,
    /// A later journal file has taken over.
    Superseded = 8,
}

impl Kind {
    #[inline]
    fn of(number: u32) -> Option<Kind> {
        Some(match number {
            1 => Kind::Begin,
            2 => Kind::Entry,
            3 => Kind::Batch,
            4 => Kind::Close,
            5 => Kind::Events,
            6 => Kind::Section,
            7 => Kind::CheckpointEnd,
            8 => Kind::Superseded,
            _ => return None,
        })
    }
}

/// The seed of the checksums of the frame at `offset` of a file with seed `file`.
#[inline]
fn seed_at(file: u32, offset: u64) -> u32 {
    // Frames are eight bytes apart and files shorter than 2^35, so different offsets of one file
    // give different seeds; CRC-32 never maps different starts to one result for equal bytes.
    if planted::crc_without_offset() { file } else { file ^ ((offset / ALIGN) as u32) }
}

/// The checksum of a header: of its body's checksum and size, its flags, and the rest of a block
/// start's.
#[inline]
fn checksum_of(seed: u32, word: u64, flags: u8, block: Option<&[u8; BLOCK_HEADER]>) -> u32 {
    let nine = short::checksum(seed, word, flags);
    // The checksum of what is behind goes on from there.
    match block.filter(|_| !planted::crc_without_id()) {
        Some(block) => checksum(nine, block),
        None => nine,
    }
}

/// The length of a frame with this much header and body, padding included.
#[inline]
pub(crate) fn padded(len: usize) -> u64 {
    (len as u64).next_multiple_of(ALIGN)
}

/// A frame's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) body_len: usize,
    body_crc: u32,
    /// Base ID and ordinal of the first entry, of a block start.
    pub(crate) block: Option<(EntryId, u64)>,
    /// The header's own checksum, for the chain.
    pub(crate) crc: u32,
}

impl Header {
    #[inline]
    pub(crate) fn header_len(&self) -> usize {
        HEADER + if self.block.is_some() { BLOCK_HEADER } else { 0 }
    }

    /// Whether the body begins with anything but the payload.
    #[inline]
    pub(crate) fn has_extras(&self) -> bool {
        self.flags & (DURABLE | ATTRIBUTES) != 0
    }

    /// The length of the whole frame, padding included.
    #[inline]
    pub(crate) fn frame_len(&self) -> u64 {
        padded(self.header_len() + self.body_len)
    }

    /// Reads the header of the frame that begins `bytes` and lies at `offset`; `None` if there is
    /// none that passes its checks. Bounds are not checked against what follows.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], seed: u32, offset: u64) -> Option<Header> {
        let head: &[u8; HEADER] = bytes.first_chunk()?;
        let flags = head[12];
        let (crc, word) = (u32_at(head, 0), u64_at(head, 4));
        let (body_crc, size) = (word as u32, (word >> 32) as u32);
        let block = match flags & BLOCK {
            0 => None,
            _ => Some(bytes.get(HEADER..)?.first_chunk()?),
        };
        if size == 0 || crc != checksum_of(seed_at(seed, offset), word, flags, block) {
            return None;
        }
        if flags & !ALL_FLAGS != 0 {
            return None;
        }
        let block = block
            .map(|block| (EntryId::new(u64_at(block, 0), u64_at(block, 8)), u64_at(block, 16)));
        Some(Header {
            kind: Kind::of(size >> 28)?,
            flags,
            body_len: (size as usize) & MAX_BODY,
            body_crc,
            block,
            crc,
        })
    }

    /// The seed of the file in which the bytes at `offset` begin with the header of a frame. Any
    /// bytes give one: what says that there is a frame is its body, under this seed.
    pub(crate) fn file_seed(bytes: &[u8], offset: u64) -> Option<u32> {
        let flags = *bytes.get(12)?;
        let len = if flags & BLOCK == 0 { HEADER } else { HEADER + BLOCK_HEADER };
        let header = bytes.get(..len)?;
        let seed = seed_of(u32_at(header, 0), header.get(4..)?);
        // Taking the offset in twice leaves nothing of it.
        Some(seed_at(seed, offset))
    }

    /// The ID that an Entry frame gives, whether or not its body passes its checks.
    #[inline]
    pub(crate) fn unchecked_id(&self, bytes: &[u8], base: EntryId) -> Option<EntryId> {
        if self.block.is_some() {
            return Some(base);
        }
        let body = bytes.get(self.header_len()..self.header_len() + self.body_len)?;
        let mut at = 0;
        if self.has_extras() {
            Extras::read(self.flags, body, &mut at)?;
        }
        read_id(body, &mut at, base)
    }

    /// The body, if `bytes` (from the frame's first byte on) holds all of the frame and the
    /// checksum and the padding are right.
    #[inline]
    pub(crate) fn body<'a>(&self, bytes: &'a [u8], seed: u32, offset: u64) -> Option<&'a [u8]> {
        let start = self.header_len();
        let end = start + self.body_len;
        let frame_end = usize::try_from(self.frame_len()).ok()?;
        let body = bytes.get(start..end)?;
        let good = is_padded(bytes.get(..frame_end)?, end)
            && self.body_crc == checksum(!seed_at(seed, offset), body);
        (good || planted::body_unchecked()).then_some(body)
    }
}

/// Whether there is nothing but zeros from `end` on, in the last word of the frame.
#[inline]
fn is_padded(frame: &[u8], end: usize) -> bool {
    let last = u64_at(frame, frame.len() - ALIGN as usize);
    let used = 8 * (ALIGN as usize - (frame.len() - end)) as u32;
    last.checked_shr(used).unwrap_or(0) == 0
}

/// What the frame of most entries has in front of its field list, and the list's first byte.
pub(crate) const FRONT: usize = HEADER + 3;

/// Builds a frame in a buffer: `begin`, then the body is appended, then `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameBuilder {
    kind: Kind,
    flags: u8,
}

impl FrameBuilder {
    #[inline]
    pub(crate) fn begins_block(&self) -> bool {
        self.flags & BLOCK != 0
    }

    /// Clears the buffer and leaves room for the header.
    #[inline]
    pub(crate) fn begin(
        out: &mut Vec<u8>,
        kind: Kind,
        flags: u8,
        block: Option<(EntryId, u64)>,
    ) -> Self {
        out.clear();
        out.extend_from_slice(&[0; HEADER]);
        let Some((id, ordinal)) = block else {
            return FrameBuilder { kind, flags };
        };
        for number in [id.ms, id.seq, ordinal] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        FrameBuilder { kind, flags: flags | BLOCK }
    }

    /// Pads the frame and fills in length and checksums for its place. The body must not be longer
    /// than [`MAX_BODY`]. Returns the header's checksum.
    #[inline]
    pub(crate) fn end(self, out: &mut Vec<u8>, seed: u32, offset: u64) -> u32 {
        let is_block = self.flags & BLOCK != 0;
        let header_len = if is_block { HEADER + BLOCK_HEADER } else { HEADER };
        let frame = out.as_mut_slice();
        let body_len = frame.len() - header_len;
        debug_assert!(body_len <= MAX_BODY);
        let seed = seed_at(seed, offset);
        let body_crc = checksum_soon(!seed, &frame[header_len..]);
        let size = ((self.kind as u32) << 28) | body_len as u32;
        let word = u64::from(body_crc) | (u64::from(size) << 32);
        let block = if is_block { frame[HEADER..].first_chunk() } else { None };
        let crc = checksum_of(seed, word, self.flags, block);
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        frame[4..12].copy_from_slice(&word.to_le_bytes());
        frame[12] = self.flags;
        let padding = padded(frame.len()) as usize - frame.len();
        out.extend_from_slice(&[0; ALIGN as usize][..padding]);
        crc
    }
}

/// Puts the header of a frame without flags into its words, which are zero there. The frame ends at
/// `end`, and behind that its words are zero too.
#[inline]
pub(crate) fn head_of_words(kind: Kind, words: &mut [u64], end: usize, seed: u32, offset: u64) {
    let seed = seed_at(seed, offset);
    let [first, body @ ..] = words else { return };
    let size = u64::from(((kind as u32) << 28) | (end - HEADER) as u32);
    let sums = words_checksums(seed, size, body, end);
    *first = sums;
    if let Some(second) = body.first_mut() {
        *second |= size;
    }
}

/// [`frame_checksums`](super::frame_checksums) of a frame without flags, whose words from the
/// second one on are `words`, still without what is in front of the body; it ends at `end`.
#[inline]
fn words_checksums(seed: u32, size: u64, words: &[u64], end: usize) -> u64 {
    let padding = padded(end) as usize - end;
    let sums = wide::of_words(seed, size, words, padding);
    sums.unwrap_or_else(|| words_checksums_apart(seed, size, words, end))
}

#[cold]
fn words_checksums_apart(seed: u32, size: u64, words: &[u64], end: usize) -> u64 {
    let mut bytes = [[0; 8]; size_of::<Words>() / 8];
    debug_assert!(words.len() <= bytes.len());
    bytes.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    let body = bytes.as_flattened().get(HEADER - 8..end - 8).unwrap_or_default();
    let sum = u64::from(checksum(!seed, body));
    u64::from(checksum_of(seed, sum | size << 32, 0, None)) | sum << 32
}

/// The chained checksum after one more frame.
#[inline]
pub(crate) fn chain(before: u64, header_crc: u32) -> u64 {
    (before ^ u64::from(header_crc)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
}

/// Appends an ID as its distance from another one that is not greater.
#[inline]
pub(crate) fn write_id(out: &mut Vec<u8>, from: EntryId, id: EntryId) {
    let (ms, seq) = id_behind(from, id);
    write_varint(out, ms);
    write_varint(out, seq);
}

/// The two numbers that tell an ID by another one that is not greater.
#[inline]
fn id_behind(from: EntryId, id: EntryId) -> (u64, u64) {
    let ms = id.ms.wrapping_sub(from.ms);
    (ms, if ms == 0 { id.seq.wrapping_sub(from.seq) } else { id.seq })
}

#[inline]
pub(crate) fn read_id(bytes: &[u8], at: &mut usize, from: EntryId) -> Option<EntryId> {
    let ms = read_varint(bytes, at)?;
    let seq = read_varint(bytes, at)?;
    if ms == 0 {
        Some(EntryId { ms: from.ms, seq: from.seq.checked_add(seq)? })
    } else {
        Some(EntryId { ms: from.ms.checked_add(ms)?, seq })
    }
}

/// The ID of the entry in an Entry frame whose body was checked, and where its field list begins.
/// `base`: of the frame's block. `at`: behind the extras.
#[inline]
pub(crate) fn read_single(
    header: &Header,
    body: &[u8],
    mut at: usize,
    base: EntryId,
) -> Option<(EntryId, usize)> {
    // The first entry of a block has its base for an ID.
    let id = if header.block.is_some() { base } else { read_id(body, &mut at, base)? };
    check_fields(body.get(at..)?).then_some((id, at))
}

/// Steps through the entries of an Entry or Batch frame whose body was checked. It borrows nothing,
/// so that a cursor can be kept; every call gets the same body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    at: usize,
    left: u64,
    single: bool,
    /// What the next ID is relative to; the first entry of a block start has the base itself.
    previous: EntryId,
    first_is_base: bool,
}

impl Entries {
    /// `base`: of the frame's block. `at`: behind the extras.
    #[inline]
    pub(crate) fn new(header: &Header, body: &[u8], at: usize, base: EntryId) -> Option<Entries> {
        let mut at = at;
        let single = header.kind == Kind::Entry;
        let left = if single { 1 } else { read_varint(body, &mut at)? };
        // An entry takes at least four bytes, so an impossible count is refused at once.
        if left == 0 || left > body.len() as u64 {
            return None;
        }
        Some(Entries { at, left, single, previous: base, first_is_base: header.block.is_some() })
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The next entry's ID and the place of its field list in the body. `None` at the end, and
    /// when the bytes are malformed: then [`Entries::left`] is not 0.
    #[inline]
    pub(crate) fn next(&mut self, body: &[u8]) -> Option<(EntryId, std::ops::Range<usize>)> {
        if self.left == 0 {
            return None;
        }
        let mut at = self.at;
        let id =
            if self.first_is_base { self.previous } else { read_id(body, &mut at, self.previous)? };
        let end = if self.single {
            body.len()
        } else {
            let len = usize::try_from(read_varint(body, &mut at)?).ok()?;
            at.checked_add(len)?
        };
        if !check_fields(body.get(at..end)?) {
            return None;
        }
        if self.left == 1 && end != body.len() {
            return None;
        }
        self.at = end;
        self.left -= 1;
        self.previous = id;
        self.first_is_base = false;
        Some((id, at..end))
    }
}

/// The first frame of a segment: how it follows the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Number and end of the segment before, if there is one.
    pub(crate) previous: Option<(u64, u64)>,
    /// The position of this segment's first byte.
    pub(crate) position: u64,
    /// The last ID before this segment.
    pub(crate) last_id: EntryId,
    /// How many entries were appended before this segment.
    pub(crate) ordinal: u64,
    /// The chained checksum up to here.
    pub(crate) chain: u64,
    /// The number of the segment with which the log was restarted last; 0 if it never was.
    pub(crate) restart: u64,
    /// The stream's name when the segment was begun.
    pub(crate) name: Vec<u8>,
}

impl Begin {
    /// Whether the log was restarted with this segment, whose number is given.
    pub(crate) fn restarts(&self, number: u64) -> bool {
        self.restart != 0 && self.restart == number
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self.previous {
            None => write_varint(out, 0),
            Some((number, end)) => {
                write_varint(out, 1);
                write_varint(out, number);
                write_varint(out, end);
            }
        }
        for value in [self.position, self.last_id.ms, self.last_id.seq, self.ordinal] {
            write_varint(out, value);
        }
        out.extend_from_slice(&self.chain.to_le_bytes());
        write_varint(out, self.restart);
        write_bytes(out, &self.name);
    }

    pub(crate) fn read(body: &[u8], mut at: usize) -> Option<Begin> {
        let at = &mut at;
        let previous = match read_varint(body, at)? {
            0 => None,
            1 => Some((read_varint(body, at)?, read_varint(body, at)?)),
            _ => return None,
        };
        let position = read_varint(body, at)?;
        let last_id = EntryId::new(read_varint(body, at)?, read_varint(body, at)?);
        let ordinal = read_varint(body, at)?;
        let chain = u64_at(body.get(*at..at.checked_add(8)?)?, 0);
        *at += 8;
        let restart = read_varint(body, at)?;
        let name = read_bytes(body, at)?.to_vec();
        let begin = Begin { previous, position, last_id, ordinal, chain, restart, name };
        (*at == body.len()).then_some(begin)
    }
}

#[cfg(test)]
mod tests;

//! The footer of a sealed segment: what recovery and seeking need, without its frames.
//!
//! A cache: whoever finds anything wrong with it scans the frames instead.

use super::{checksum, put, seed_of, u32_at, u64_at};
use crate::entry::{read_varint, write_varint};
use crate::format::frame::{read_id, write_id};
use crate::id::EntryId;

/// Length of the trailer at the very end of a sealed segment's file, in bytes.
pub(crate) const TRAILER: usize = 32;
const TRAILER_MAGIC: [u8; 4] = *b"seal";

/// Where a block begins: an element of the sparse index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockStart {
    /// The ID of its first entry.
    pub(crate) id: EntryId,
    /// The offset of its first frame.
    pub(crate) offset: u32,
    /// How many entries of the segment lie before it.
    pub(crate) ordinal: u32,
}

/// What is known of a segment that gets no more frames.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Footer {
    /// The end of its last frame.
    pub(crate) end: u64,
    /// The number of its entries.
    pub(crate) entries: u64,
    /// The ID of its last entry; of the last one before, if it has none.
    pub(crate) last_id: EntryId,
    /// The chained checksum after its last frame.
    pub(crate) chain: u64,
    /// Up to which ID entries were gone when it was sealed; 0-0 if none was.
    pub(crate) trimmed: EntryId,
    pub(crate) index: Vec<BlockStart>,
}

impl Footer {
    /// The bytes to be written at `offset` (which is part of the checksum), and the trailer that
    /// goes to the end of the file.
    pub(crate) fn encode(&self, seed: u32, offset: u64) -> (Vec<u8>, [u8; TRAILER]) {
        let mut out = Vec::with_capacity(64 + self.index.len() * 8);
        for value in [
            self.end,
            self.entries,
            self.last_id.ms,
            self.last_id.seq,
            self.chain,
            self.trimmed.ms,
            self.trimmed.seq,
            self.index.len() as u64,
        ] {
            write_varint(&mut out, value);
        }
        let mut previous = BlockStart { id: EntryId::MIN, offset: 0, ordinal: 0 };
        for block in &self.index {
            write_id(&mut out, previous.id, block.id);
            write_varint(&mut out, u64::from(block.offset.wrapping_sub(previous.offset)));
            write_varint(&mut out, u64::from(block.ordinal.wrapping_sub(previous.ordinal)));
            previous = *block;
        }
        let mut trailer = [0; TRAILER];
        put(&mut trailer, 0, &offset.to_le_bytes());
        put(&mut trailer, 8, &(out.len() as u64).to_le_bytes());
        put(&mut trailer, 16, &checksum(seed, &out).to_le_bytes());
        put(&mut trailer, 20, &TRAILER_MAGIC);
        let crc = checksum(seed, &trailer[..TRAILER - 4]);
        put(&mut trailer, TRAILER - 4, &crc.to_le_bytes());
        (out, trailer)
    }

    /// The seed of the file that ends with this trailer, if it is one.
    pub(crate) fn file_seed(trailer: &[u8]) -> Option<u32> {
        let body = trailer.get(..TRAILER - 4)?;
        let seed = seed_of(u32_at(trailer, TRAILER - 4), body);
        (body.get(20..24) == Some(&TRAILER_MAGIC[..])).then_some(seed)
    }

    /// Where the footer lies, as its trailer says: offset, length, checksum.
    pub(crate) fn locate(trailer: &[u8], seed: u32) -> Option<(u64, u64, u32)> {
        let body = trailer.get(..TRAILER - 4)?;
        if body.get(20..24) != Some(&TRAILER_MAGIC[..])
            || u32_at(trailer, TRAILER - 4) != checksum(seed, body)
        {
            return None;
        }
        Some((u64_at(body, 0), u64_at(body, 8), u32_at(body, 16)))
    }

    pub(crate) fn decode(bytes: &[u8], seed: u32, crc: u32) -> Option<Footer> {
        if checksum(seed, bytes) != crc {
            return None;
        }
        let at = &mut 0;
        let mut number = || read_varint(bytes, at);
        let (end, entries) = (number()?, number()?);
        let last_id = EntryId::new(number()?, number()?);
        let chain = number()?;
        let trimmed = EntryId::new(number()?, number()?);
        let count = number()?;
        // A block takes at least four bytes here, so the list cannot outgrow what was read.
        if count > bytes.len() as u64 / 4 {
            return None;
        }
        let mut index = Vec::with_capacity(usize::try_from(count).ok()?);
        let mut previous = BlockStart { id: EntryId::MIN, offset: 0, ordinal: 0 };
        for n in 0..count {
            let id = read_id(bytes, at, previous.id)?;
            let offset = u32::try_from(read_varint(bytes, at)?).ok()?;
            let ordinal = u32::try_from(read_varint(bytes, at)?).ok()?;
            let block = BlockStart {
                id,
                offset: previous.offset.checked_add(offset)?,
                ordinal: previous.ordinal.checked_add(ordinal)?,
            };
            let grows = match n {
                0 => ordinal == 0,
                _ => id > previous.id && offset > 0 && ordinal > 0,
            };
            if !grows || u64::from(block.offset) >= end || u64::from(block.ordinal) >= entries {
                return None;
            }
            index.push(block);
            previous = block;
        }
        (*at == bytes.len()).then_some(Footer { end, entries, last_id, chain, trimmed, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        let index = (1..200u32)
            .map(|n| BlockStart {
                id: EntryId::new(u64::from(n), u64::from(n % 3)),
                offset: n * 4096,
                ordinal: (n - 1) * 40,
            })
            .collect();
        Footer {
            end: 1 << 20,
            entries: 8000,
            last_id: EntryId::new(999, 1),
            chain: u64::MAX,
            trimmed: EntryId::new(3, 3),
            index,
        }
    }

    #[test]
    fn footers_go_there_and_back() {
        let (bytes, trailer) = footer().encode(5, 77);
        let (offset, len, crc) = Footer::locate(&trailer, 5).unwrap();
        assert_eq!((offset, len), (77, bytes.len() as u64));
        assert_eq!(Footer::decode(&bytes, 5, crc), Some(footer()));
        assert_eq!(Footer::locate(&trailer, 6), None);
        assert_eq!(Footer::decode(&bytes, 6, crc), None);
    }

    /// Whoever reads forward begins with the first frame, backward with the last block: they would
    /// not see the same.
    #[test]
    fn an_index_that_begins_behind_the_first_entry_is_none() {
        let mut late = footer();
        late.index.remove(0);
        let (bytes, trailer) = late.encode(5, 77);
        let (_, _, crc) = Footer::locate(&trailer, 5).unwrap();
        assert_eq!(Footer::decode(&bytes, 5, crc), None);
    }

    #[test]
    fn every_flipped_bit_of_a_footer_is_noticed() {
        let (bytes, trailer) = footer().encode(5, 77);
        let (_, _, crc) = Footer::locate(&trailer, 5).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Footer::decode(&bad, 5, crc), None, "bit {bit}");
        }
        for bit in 0..trailer.len() * 8 {
            let mut bad = trailer;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Footer::locate(&bad, 5), None, "bit {bit}");
        }
    }
}

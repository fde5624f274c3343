//! Frames of few bytes, built in place: those of the state journal's most frequent commands.
//!
//! They are byte for byte what [`FrameBuilder`](super::frame::FrameBuilder) makes. A buffer of a
//! known size needs no look at whether it has to grow before each number that is put in.

use super::frame::{HEADER, Kind, head_of, padded};
use crate::entry::spread;

/// What a frame takes at most.
const ROOM: usize = 128;

/// A frame under way. What does not fit is left out, and then there is no frame at the end.
#[derive(Debug)]
pub(crate) struct Brief {
    bytes: [u8; ROOM],
    end: usize,
}

impl Brief {
    #[inline]
    pub(crate) fn new() -> Brief {
        Brief { bytes: [0; ROOM], end: HEADER }
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
        }
        self.end += 1;
    }

    #[inline]
    pub(crate) fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(place) = self.bytes.get_mut(self.end..self.end + N) {
            place.copy_from_slice(&bytes);
        }
        self.end += N;
    }

    /// Varints of which one follows the other.
    #[inline]
    pub(crate) fn pair(&mut self, first: u64, second: u64) {
        if (first | second) < 0x80 {
            self.bytes([first as u8, second as u8]);
        } else {
            self.number(first);
            self.number(second);
        }
    }

    /// A varint.
    #[inline]
    pub(crate) fn number(&mut self, value: u64) {
        if value < 0x80 {
            self.byte(value as u8);
        } else {
            self.long_number(value);
        }
    }

    fn long_number(&mut self, mut value: u64) {
        if let Some((word, len)) = spread(value) {
            if let Some(place) = self.bytes.get_mut(self.end..self.end + 8) {
                place.copy_from_slice(&word.to_le_bytes());
            } else {
                self.end = ROOM;
            }
            self.end += len;
            return;
        }
        while value >= 0x80 {
            self.byte((value as u8) | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// Where the next byte comes to lie.
    #[inline]
    pub(crate) fn here(&self) -> usize {
        self.end
    }

    /// Changes a byte that is there to the number of those behind it.
    #[inline]
    pub(crate) fn count_behind(&mut self, at: usize) {
        let count = self.end - at - 1;
        // More would take two bytes. What did not fit before must not seem to fit now.
        if count >= 0x80 {
            self.end = ROOM + 1;
        }
        if let Some(place) = self.bytes.get_mut(at) {
            *place = count as u8;
        }
    }

    /// The whole frame, for its place; `None` if something did not fit.
    #[inline]
    pub(crate) fn finish(&mut self, kind: Kind, seed: u32, offset: u64) -> Option<&[u8]> {
        let body = self.bytes.get(HEADER..self.end)?;
        let head = head_of(kind, body, seed, offset);
        *self.bytes.first_chunk_mut()? = head;
        self.bytes.get(..padded(self.end) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::write_varint;
    use crate::format::frame::FrameBuilder;
    use proptest::prelude::*;

    #[test]
    fn a_number_that_did_not_fit_is_not_forgotten_with_the_count() {
        let mut brief = Brief::new();
        let at = brief.here();
        brief.byte(0);
        (brief.here()..ROOM - 4).for_each(|_| brief.byte(1));
        brief.number(1 << 62);
        while brief.here() - at <= 0x80 {
            brief.byte(1);
        }
        brief.count_behind(at);
        assert_eq!(brief.finish(Kind::Events, 1, 8), None);
    }

    proptest! {
        /// Fails if a number is written otherwise, or if a frame that is too long is not refused.
        #[test]
        fn it_is_the_frame_that_is_built_otherwise(
            numbers in prop::collection::vec((any::<u64>(), 0..64u32), 1..20),
            (seed, at) in (any::<u32>(), 0..1u64 << 30),
        ) {
            let (mut brief, mut out) = (Brief::new(), Vec::new());
            let frame = FrameBuilder::begin(&mut out, Kind::Events, 0, None);
            let count_at = brief.here();
            brief.byte(0);
            out.push(0);
            for (number, shift) in numbers {
                brief.number(number >> shift);
                write_varint(&mut out, number >> shift);
            }
            brief.count_behind(count_at);
            let count = out.len() - count_at - 1;
            out[count_at] = count as u8;
            let len = out.len();
            frame.end(&mut out, seed, at * 8);
            match brief.finish(Kind::Events, seed, at * 8) {
                Some(bytes) => prop_assert_eq!(bytes, &out[..]),
                None => prop_assert!(len > ROOM - 8),
            }
        }
    }
}

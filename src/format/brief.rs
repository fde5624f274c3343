//! Frames of few bytes, built in place: those of the state journal's most frequent commands.
//!
//! They are byte for byte what [`FrameBuilder`](super::frame::FrameBuilder) makes. A buffer of a
//! known size needs no look at whether it has to grow before each number that is put in. It is one
//! of words, put together in a register: what was stored in pieces and is loaded as a whole has to
//! be waited for, by the checksum and by the copy into the file.

use super::frame::{ALIGN, HEADER, Kind, head_of_words, padded};
use crate::entry::spread;

/// What a frame takes at most.
const ROOM: usize = 128;
const WORD: usize = 8;
const _: () = assert!(ALIGN == WORD as u64);

/// What a frame is made in.
pub(crate) type Words = [u64; ROOM / WORD];

/// A varint that fits into a word. The next number in its place is as a rule the same or the one
/// behind it, and then nearly all of its bytes are known.
#[derive(Debug)]
pub(crate) struct Varint {
    value: u64,
    word: u64,
    len: usize,
}

impl Default for Varint {
    fn default() -> Varint {
        Varint { value: 0, word: 0, len: 1 }
    }
}

/// The numbers of the newest record that was brief.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) record: Varint,
    pub(crate) time_ms: Varint,
    pub(crate) read: Varint,
    pub(crate) ms: Varint,
    pub(crate) seq: Varint,
}

/// A number that is to be written, and what was written in its place before.
pub(crate) struct Known<'a> {
    pub(crate) value: u64,
    pub(crate) before: &'a mut Varint,
}

impl Varint {
    /// In place of this one.
    #[inline(always)]
    pub(crate) fn then(&mut self, value: u64) -> Known<'_> {
        Known { value, before: self }
    }
}

impl Known<'_> {
    /// As [`spread`].
    #[inline(always)]
    fn spread(&mut self) -> Option<(u64, usize)> {
        let before = &mut *self.before;
        if self.value != before.value {
            // But for the last of its lowest seven bits a carry would go beyond them.
            if self.value == before.value.wrapping_add(1) && before.value & 0x7f != 0x7f {
                before.word += 1;
            } else {
                (before.word, before.len) = spread(self.value)?;
            }
            before.value = self.value;
        }
        Some((before.word, before.len))
    }
}

/// A frame under way. What does not fit is left out, and then there is no frame at the end.
///
/// The words lie outside of it, so that all else of it is kept in registers.
#[derive(Debug)]
pub(crate) struct Brief<'a> {
    words: &'a mut Words,
    /// The one in which the end lies.
    last: u64,
    end: usize,
}

impl<'a> Brief<'a> {
    #[inline(always)]
    pub(crate) fn new(words: &'a mut Words) -> Brief<'a> {
        Brief { words, last: 0, end: HEADER }
    }

    /// Appends as many bytes as `len` says, which are 8 at the most; above them `bytes` is zero.
    #[inline(always)]
    fn put(&mut self, bytes: u64, len: usize) {
        let (n, shift) = (self.end / WORD, self.end % WORD * 8);
        let word = self.last | bytes << shift;
        if let Some(place) = self.words.get_mut(n) {
            *place = word;
        }
        self.end += len;
        // Twice, as nothing is left of it where it fills a word of its own.
        let behind = bytes >> 1 >> (63 - shift);
        self.last = if self.end / WORD == n { word } else { behind };
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.put(u64::from(byte), 1);
    }

    #[inline(always)]
    pub(crate) fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        self.put(word_of(bytes), N);
    }

    /// Varints of which one follows the other.
    #[inline(always)]
    pub(crate) fn pair(&mut self, mut first: Known<'_>, mut second: Known<'_>) {
        match (first.spread(), second.spread()) {
            (Some((word, len)), Some((then, more))) if len + more <= WORD => {
                self.put(word | then << (8 * len), len + more);
            }
            _ => {
                self.number(first.value);
                self.number(second.value);
            }
        }
    }

    /// A varint and what follows it.
    #[inline(always)]
    pub(crate) fn number_and<const N: usize>(&mut self, mut number: Known<'_>, bytes: [u8; N]) {
        match number.spread() {
            Some((word, len)) if len + N <= WORD => {
                self.put(word | word_of(bytes) << (8 * len), len + N);
            }
            _ => {
                self.number(number.value);
                self.bytes(bytes);
            }
        }
    }

    /// Varints of one byte each. `false` if one of them takes more, and then none was put in.
    #[inline(always)]
    pub(crate) fn small<const N: usize>(&mut self, numbers: [u64; N]) -> bool {
        let fit = numbers.iter().fold(0, |all, number| all | number) < 0x80;
        if fit {
            self.bytes(numbers.map(|number| number as u8));
        }
        fit
    }

    /// A varint.
    #[inline(always)]
    pub(crate) fn number(&mut self, value: u64) {
        if value < 0x80 {
            self.put(value, 1);
        } else if let Some((word, len)) = spread(value) {
            self.put(word, len);
        } else {
            self.long_number(value);
        }
    }

    #[cold]
    fn long_number(&mut self, value: u64) {
        let (word, rest) = (long(value), value >> 56);
        self.put(word, WORD);
        match rest < 0x80 {
            true => self.put(rest, 1),
            false => self.put(rest | 0x80 | rest >> 7 << 8, 2),
        }
    }

    /// Where the next byte comes to lie.
    #[inline(always)]
    pub(crate) fn here(&self) -> usize {
        self.end
    }

    /// Changes a byte that is there, a zero, to the number of those behind it.
    #[inline(always)]
    pub(crate) fn count_behind(&mut self, at: usize) {
        let count = self.end - at - 1;
        // More would take two bytes. What did not fit before must not seem to fit now.
        if count >= 0x80 {
            self.end = ROOM + 1;
            return;
        }
        let bits = (count as u64) << (at % WORD * 8);
        if at / WORD == self.end / WORD {
            self.last |= bits;
        } else if let Some(word) = self.words.get_mut(at / WORD) {
            *word |= bits;
        }
    }

    /// The whole frame, in words, the lower bytes of which come first; `None` if something did not
    /// fit.
    #[inline(always)]
    pub(crate) fn finish(self, kind: Kind, seed: u32, offset: u64) -> Option<&'a [u64]> {
        let len = padded(self.end) as usize / WORD;
        if !self.end.is_multiple_of(WORD) {
            *self.words.get_mut(len - 1)? = self.last;
        }
        let words = self.words.get_mut(..len)?;
        head_of_words(kind, words, self.end, seed, offset);
        Some(words)
    }
}

#[inline(always)]
fn word_of<const N: usize>(bytes: [u8; N]) -> u64 {
    const { assert!(N <= WORD) };
    let mut word = [0; WORD];
    word[..N].copy_from_slice(&bytes);
    u64::from_le_bytes(word)
}

/// The first eight bytes of a varint that has more.
#[cold]
fn long(value: u64) -> u64 {
    (0..8).fold(0, |word, n| word | (value >> (7 * n) & 0x7f | 0x80) << (8 * n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::write_varint;
    use crate::format::frame::FrameBuilder;
    use proptest::prelude::*;

    fn bytes_of(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_number_that_did_not_fit_is_not_forgotten_with_the_count() {
        let mut words = [0; ROOM / WORD];
        let mut brief = Brief::new(&mut words);
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
        /// Fails if a carry is lost, or if what could not be written is taken for the last one.
        #[test]
        fn a_number_is_written_as_if_there_were_none_before(
            steps in prop::collection::vec((0..3u64, any::<u64>(), 0..64u32), 1..300),
        ) {
            let (mut before, mut value) = (Varint::default(), 0u64);
            for (step, other, shift) in steps {
                // Often the one behind it, and so over a carry or two.
                value = if step < 2 { value.wrapping_add(step) } else { other >> shift };
                prop_assert_eq!(before.then(value).spread(), spread(value));
                for _ in 0..other % 200 {
                    value = value.wrapping_add(1);
                    prop_assert_eq!(before.then(value).spread(), spread(value));
                }
            }
        }

        /// Fails if a number is written otherwise, or if a frame that is too long is not refused.
        #[test]
        fn it_is_the_frame_that_is_built_otherwise(
            numbers in prop::collection::vec((any::<u64>(), 0..64u32), 1..20),
            (seed, at) in (any::<u32>(), 0..1u64 << 30),
        ) {
            let (mut words, mut out) = ([0; ROOM / WORD], Vec::new());
            let mut brief = Brief::new(&mut words);
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
                Some(words) => prop_assert_eq!(bytes_of(words), out),
                None => prop_assert!(len > ROOM - 8),
            }
        }
    }
}

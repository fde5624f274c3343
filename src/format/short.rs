//! The checksum of few bytes: those in a frame's header, and what a body has behind its last 16.
//!
//! It is the CRC-32 that crc32fast computes. For nine bytes that crate asks which instructions the
//! processor has, calls two functions and then looks them up in tables, which took a seventh of a
//! scan; here it is the tables alone, without a step that waits for the one before. The header's
//! come as a number, as whoever writes a header has them in registers: bytes that were stored one
//! way and are loaded another way have to be waited for.

use super::POLYNOMIAL;

/// How many bytes the tables reach.
const LEN: usize = 16;
/// How many bytes of a header there are.
const HEAD: usize = 9;

/// At `n`: what a byte gives that `n` others follow.
static TABLES: [[u32; 256]; LEN] = tables();

const fn tables() -> [[u32; 256]; LEN] {
    let mut tables = [[0u32; 256]; LEN];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            register = (register >> 1) ^ (POLYNOMIAL * (register & 1));
            bit += 1;
        }
        tables[0][byte] = register;
        byte += 1;
    }
    let mut n = 1;
    while n < LEN {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[n - 1][byte];
            tables[n][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        n += 1;
    }
    tables
}

/// [`checksum`](super::checksum) of nine bytes: eight in little endian, and the last one.
#[inline]
pub(super) fn checksum(seed: u32, word: u64, last: u8) -> u32 {
    // What the register holds goes into the first four bytes.
    let word = word ^ u64::from(!seed);
    let mut sum = TABLES[0][usize::from(last)];
    for (n, byte) in word.to_le_bytes().into_iter().enumerate() {
        sum ^= TABLES[HEAD - 1 - n][usize::from(byte)];
    }
    !sum
}

/// [`checksum`](super::checksum) of two bytes, in little endian.
#[inline]
pub(super) fn two(seed: u32, bytes: u16) -> u32 {
    let register = !seed;
    let [first, second] = (register as u16 ^ bytes).to_le_bytes();
    !(register >> 16 ^ TABLES[1][usize::from(first)] ^ TABLES[0][usize::from(second)])
}

/// The checksum of what ends with `last`, of which the `left` last bytes are not in `sum` yet, that
/// of those before. For up to 16 bytes it is one step, where tables for eight take three or four.
#[inline]
pub(super) fn go_on(sum: u32, last: &[u8; LEN], left: usize) -> u32 {
    if left == 0 || left > LEN {
        return sum;
    }
    let register = !sum;
    // In front of the bytes that are left nothing may stand: a register of zeros takes no notice
    // of zeros. What the register holds goes into the first four of them, and what they have no
    // place for stays in it.
    let before = 8 * (LEN - left) as u32;
    let word = ((u128::from_le_bytes(*last) >> before) ^ u128::from(register)) << before;
    let stays = u64::from(register) >> (8 * left.min(4));
    let mut sum = stays as u32;
    let (first, second) = (word as u64, (word >> 64) as u64);
    if left > 8 {
        for (n, byte) in first.to_le_bytes().into_iter().enumerate() {
            sum ^= TABLES[LEN - 1 - n][usize::from(byte)];
        }
    }
    for (n, byte) in second.to_le_bytes().into_iter().enumerate() {
        sum ^= TABLES[LEN / 2 - 1 - n][usize::from(byte)];
    }
    !sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_bytes_can_be_taken_in_one_step(
            seed: u32,
            bytes in proptest::collection::vec(any::<u8>(), 16..99),
            left in 0..=16usize,
        ) {
            let sum = super::super::checksum(seed, &bytes[..bytes.len() - left]);
            let last = bytes.last_chunk().unwrap();
            let usual = super::super::checksum(seed, &bytes);
            prop_assert_eq!(super::go_on(sum, last, left), usual);
            prop_assert_eq!(super::super::checksum_soon(seed, &bytes), usual);
        }

        #[test]
        fn it_is_the_checksum_of_all_other_bytes(seed: u32, word: u64, last: u8) {
            let bytes = [&word.to_le_bytes()[..], &[last]].concat();
            let usual = super::super::checksum(seed, &bytes);
            prop_assert_eq!(super::checksum(seed, word, last), usual);
        }
    }
}

//! The checksum of the few bytes in a frame's header.
//!
//! It is the CRC-32 that crc32fast computes. For nine bytes that crate asks which instructions the
//! processor has, calls two functions and then looks them up in tables, which took a seventh of a
//! scan; here it is the tables alone, without a step that waits for the one before. They come as a
//! number, as whoever writes a header has them in registers: bytes that were stored one way and are
//! loaded another way have to be waited for.

/// How many bytes it is for.
const LEN: usize = 9;

/// At `n`: what a byte gives that `n` others follow.
const TABLES: [[u32; 256]; LEN] = tables();

const fn tables() -> [[u32; 256]; LEN] {
    const POLYNOMIAL: u32 = 0xedb8_8320;
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
        sum ^= TABLES[LEN - 1 - n][usize::from(byte)];
    }
    !sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_checksum_of_all_other_bytes(seed: u32, word: u64, last: u8) {
            let bytes = [&word.to_le_bytes()[..], &[last]].concat();
            let usual = super::super::checksum(seed, &bytes);
            prop_assert_eq!(super::checksum(seed, word, last), usual);
        }
    }
}

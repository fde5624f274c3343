//! The checksum of 16 to 256 bytes, as most bodies have, where the processor multiplies 64 at once.
//!
//! It is the CRC-32 that crc32fast computes. That crate takes bodies like these 16 bytes at a time,
//! each step waiting for the one before, and what is left over in some more; here each eight bytes
//! are multiplied by what their distance from the end stands for, all of them at the same time. It
//! takes about half the time.
//!
//! `unsafe` for instructions that not every processor has, and for loads into their registers.
//! Where they are missing, and under Miri, crc32fast does everything.

/// [`checksum`](super::checksum) of `bytes`, where that can be had here.
#[inline]
pub(super) fn checksum(seed: u32, bytes: &[u8]) -> Option<u32> {
    #[cfg(target_arch = "x86_64")]
    return x86::checksum(seed, bytes);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

/// [`frame_checksums`](super::frame_checksums), where they can be had here.
#[inline(always)]
pub(super) fn frame(seed: u32, word: u64, body: &[u8]) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    return x86::frame(seed, word, body);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

/// [`front_checksums`](super::front_checksums), where they can be had here.
#[inline(always)]
pub(super) fn front(seed: u32, size: u32, ids: u16, list: &[u8]) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    return x86::front(seed, size, ids, list);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

/// The same for a frame without flags whose words from the second one on are these, of which the
/// first has no bytes yet in front of its last three, those of the body. `size`: the word's upper
/// half. `padding`: how many bytes at the end are none of the body.
#[inline]
pub(super) fn of_words(seed: u32, size: u64, words: &[u64], padding: usize) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    return x86::of_words(seed, size, words, padding);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use crate::format::frame::PLAIN_ID;
    use crate::format::{POLYNOMIAL, unshifted};
    use std::arch::x86_64::*;
    use std::sync::LazyLock;

    /// Bytes of a register.
    const WIDE: usize = 64;
    /// How many registers of bytes there are at most.
    const MOST: usize = 4;
    /// Fewer bytes are left to others. With less than a word there would be no place for the seed.
    const LEAST: usize = 16;
    /// Bytes that a body has in front of its list.
    const IDS: usize = PLAIN_ID;

    static IS_THERE: LazyLock<bool> = LazyLock::new(|| {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("pclmulqdq")
    });

    /// What words need, of which there are at most as many as these.
    const MOST_WORDS: usize = 16;
    static ARE_PRODUCTS_THERE: LazyLock<bool> = LazyLock::new(|| {
        is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("pclmulqdq")
    });

    /// What the words of a register are multiplied by. Where it lies in one line of memory, it is
    /// there sooner.
    #[repr(align(64))]
    struct Powers([u64; WIDE / 8]);

    /// The last is that of the last register.
    static POWERS: [Powers; MOST] = powers();

    /// With its highest term.
    const WHOLE: u64 = (POLYNOMIAL as u64) << 1 | 1;

    /// What the polynomial leaves of x to this power. It is one bit higher than a reflected number
    /// would be, as the product of two of them comes out one bit lower.
    const fn power(of: usize) -> u64 {
        let (mut rest, mut n) = (1 << 31, 0);
        while n < of {
            rest = times_x(rest);
            n += 1;
        }
        (rest as u64) << 1
    }

    const fn times_x(rest: u32) -> u32 {
        (rest >> 1) ^ (POLYNOMIAL * (rest & 1))
    }

    /// At `n`: what the register begins with is multiplied by, if `n` bytes are taken in.
    static SEEDS: [u64; MOST * WIDE + 1] = seeds();

    const fn seeds() -> [u64; MOST * WIDE + 1] {
        let mut seeds = [0; MOST * WIDE + 1];
        // The register goes into the first four bytes. As the last of four it is x^0, and x^32 is
        // that of the checksum.
        let (mut rest, mut len) = (1 << 31, 4);
        while len < seeds.len() {
            seeds[len] = (rest as u64) << 1;
            let mut bit = 0;
            while bit < 8 {
                rest = times_x(rest);
                bit += 1;
            }
            len += 1;
        }
        seeds
    }

    /// What a header's word is multiplied by: its flags follow, and the checksum.
    const FLAGS_FOLLOW: u64 = power(8 + 32);

    /// What the first 64 of a body's 96 bits are multiplied by for the header's checksum, in which
    /// the body's is the first half of that word.
    const HEAD_FOLLOWS: u64 = power(32 + 32 + 8 + 32);

    const fn powers() -> [Powers; MOST] {
        let mut powers = [const { Powers([0; WIDE / 8]) }; MOST];
        let mut word = 0;
        while word < MOST * WIDE / 8 {
            // As many bits follow the word, and the 32 of the checksum.
            let bits = 64 * (MOST * WIDE / 8 - 1 - word);
            powers[word * 8 / WIDE].0[word % (WIDE / 8)] = power(bits + 32);
            word += 1;
        }
        powers
    }

    /// What words are multiplied by, the last one first, where so many of its bytes are padding.
    static WORD_POWERS: [[u64; MOST_WORDS]; 8] = word_powers();

    const fn word_powers() -> [[u64; MOST_WORDS]; 8] {
        let mut powers = [[0; MOST_WORDS]; 8];
        let mut padding = 0;
        while padding < 8 {
            let (mut rest, mut bit) = ((power(32) >> 1) as u32, 0);
            while bit < 8 * padding {
                rest = unshifted(rest);
                bit += 1;
            }
            let mut word = 0;
            while word < MOST_WORDS {
                powers[padding][word] = (rest as u64) << 1;
                let mut bit = 0;
                while bit < 64 {
                    rest = times_x(rest);
                    bit += 1;
                }
                word += 1;
            }
            padding += 1;
        }
        powers
    }

    /// How often the polynomial goes into x^96, reflected: the lowest bit is x^64. The 65th, x^0,
    /// has no place and changes nothing.
    const QUOTIENT: u64 = {
        let (mut rest, mut quotient, mut bit) = (POLYNOMIAL, 1, 1);
        while bit < 64 {
            quotient |= ((rest & 1) as u64) << bit;
            rest = times_x(rest);
            bit += 1;
        }
        quotient
    };

    #[inline]
    pub(super) fn checksum(seed: u32, bytes: &[u8]) -> Option<u32> {
        if !(LEAST..=MOST * WIDE).contains(&bytes.len()) || !*IS_THERE {
            return None;
        }
        // SAFETY: the processor has the instructions.
        Some(unsafe { sum(seed, bytes) })
    }

    /// As [`frame`](super::frame).
    #[inline(always)]
    pub(super) fn frame(seed: u32, word: u64, body: &[u8]) -> Option<u64> {
        if !(LEAST..=MOST * WIDE).contains(&body.len()) || !*IS_THERE {
            return None;
        }
        // SAFETY: the processor has the instructions.
        Some(unsafe { both(seed, word, body) })
    }

    /// As [`front`](super::front).
    #[inline(always)]
    pub(super) fn front(seed: u32, size: u32, ids: u16, list: &[u8]) -> Option<u64> {
        if !(LEAST..=MOST * WIDE - IDS).contains(&list.len()) || !*IS_THERE {
            return None;
        }
        // SAFETY: the processor has the instructions.
        Some(unsafe { made(seed, size, ids, list) })
    }

    /// As [`of_words`](super::of_words).
    #[inline]
    pub(super) fn of_words(seed: u32, size: u64, words: &[u64], padding: usize) -> Option<u64> {
        // The seed goes into two words.
        if !(2..=MOST_WORDS).contains(&words.len()) || padding >= 8 || !*ARE_PRODUCTS_THERE {
            return None;
        }
        // SAFETY: the processor has the instructions.
        Some(unsafe { both_of_words(seed, size, words, padding) })
    }

    #[target_feature(enable = "sse4.1,pclmulqdq")]
    fn both_of_words(seed: u32, size: u64, words: &[u64], padding: usize) -> u64 {
        let powers = &WORD_POWERS[padding];
        // What the register begins with goes into the first four bytes, of which three are in the
        // first word.
        let (first, second) = (u64::from(seed) << 40, u64::from(seed) >> 24);
        let n = words.len() - 1;
        let mut sum = _mm_xor_si128(
            product(words[0] ^ first, powers[n]),
            product(words[1] ^ second, powers[n - 1]),
        );
        for (word, power) in words[2..].iter().rev().zip(powers) {
            sum = _mm_xor_si128(sum, product(*word, *power));
        }
        both_of(sum, seed, size)
    }

    /// The checksums of a header and of the body of which these are the 96 bits.
    #[inline]
    #[target_feature(enable = "sse4.1,pclmulqdq")]
    fn both_of(body: __m128i, seed: u32, size: u64) -> u64 {
        // The header's is taken of the same 96 bits, so that neither waits for the other. What is
        // inverted in the body's, and in the seed, comes to the seed itself.
        let others = u64::from(seed) | size << 32;
        let all = _mm_xor_si128(body, _mm_set_epi64x(others.cast_signed(), 0));
        let powers = _mm_set_epi64x(FLAGS_FOLLOW.cast_signed(), HEAD_FOLLOWS.cast_signed());
        let first = _mm_clmulepi64_si128(all, powers, 0x00);
        let second = _mm_clmulepi64_si128(all, powers, 0x11);
        u64::from(reduce(_mm_xor_si128(first, second))) | u64::from(reduce(body)) << 32
    }

    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,pclmulqdq")]
    fn both(seed: u32, word: u64, body: &[u8]) -> u64 {
        let head = reduce(product(word ^ u64::from(!seed), FLAGS_FOLLOW));
        // In one register: stored as two numbers they would have to be waited for.
        u64::from(head) | u64::from(sum(!seed, body)) << 32
    }

    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,pclmulqdq")]
    fn made(seed: u32, size: u32, ids: u16, list: &[u8]) -> u64 {
        let first = product(u64::from(seed) ^ u64::from(ids), SEEDS[list.len() + IDS]);
        both_of(sum_with(first, list), seed, u64::from(size))
    }

    /// The checksum of what is neither shorter than `LEAST` nor longer than all powers reach.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,pclmulqdq")]
    fn sum(seed: u32, bytes: &[u8]) -> u32 {
        reduce(sum_with(product(u64::from(!seed), SEEDS[bytes.len()]), bytes))
    }

    /// The 96 bits of which it is the rest, with what comes from the register and from up to four
    /// bytes in front.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,pclmulqdq")]
    fn sum_with(begins: __m128i, bytes: &[u8]) -> __m128i {
        let (blocks, used) = (bytes.len().div_ceil(WIDE), (bytes.len() - 1) % WIDE + 1);
        let (front, behind) = bytes.split_at(used);
        let powers = &POWERS[MOST - blocks..];
        // Zeros in front of all change nothing, so the first block is filled up with them.
        let mut sum = add_product(_mm512_zextsi128_si512(begins), load_end(front), &powers[0]);
        for (block, powers) in behind.as_chunks().0.iter().zip(&powers[1..]) {
            sum = add_product(sum, load(block), powers);
        }
        let (low, high) = (_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
        let half = _mm256_xor_si256(low, high);
        let (low, high) = (_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
        _mm_xor_si128(low, high)
    }

    /// A word by 32 bits.
    #[inline]
    #[target_feature(enable = "sse2,pclmulqdq")]
    fn product(word: u64, power: u64) -> __m128i {
        _mm_clmulepi64_si128(number(word), number(power), 0x00)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn number(number: u64) -> __m128i {
        _mm_cvtsi64_si128(number.cast_signed())
    }

    /// `sum` and each word of `block`, multiplied. A word by 32 bits is 96 bits, the lowest ones of
    /// 128, and so is their sum.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn add_product(sum: __m512i, block: __m512i, powers: &Powers) -> __m512i {
        // SAFETY: as many bytes are there as a register has.
        let powers = unsafe { _mm512_loadu_si512(powers.0.as_ptr().cast()) };
        let first = _mm512_clmulepi64_epi128(block, powers, 0x00);
        let second = _mm512_clmulepi64_epi128(block, powers, 0x11);
        _mm512_xor_si512(sum, _mm512_xor_si512(first, second))
    }

    /// The rest that the polynomial leaves of 96 bits.
    #[inline]
    #[target_feature(enable = "sse4.1,pclmulqdq")]
    fn reduce(bits: __m128i) -> u32 {
        // How often the polynomial goes into them, taken off.
        let times = _mm_clmulepi64_si128(bits, number(QUOTIENT), 0x00);
        let taken = _mm_clmulepi64_si128(times, number(WHOLE), 0x00);
        !_mm_extract_epi32(_mm_xor_si128(bits, taken), 2).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(bytes: &[u8; WIDE]) -> __m512i {
        // SAFETY: as many bytes are there as a register has.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    /// The bytes at the end of a register, zeros in front of them. They are at least one, and no
    /// more than it has.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load_end(bytes: &[u8]) -> __m512i {
        let start = bytes.as_ptr_range().end.wrapping_sub(WIDE);
        let filled = u64::MAX << ((WIDE - bytes.len()) % WIDE);
        debug_assert_eq!(filled.count_ones() as usize, bytes.len());
        // SAFETY: nothing is read where the mask has no bit, so nothing in front of the bytes.
        unsafe { _mm512_maskz_loadu_epi8(filled, start.cast()) }
    }
}

#[cfg(test)]
mod tests {
    /// Fails if a length, a seed or a place in memory gives another checksum than crc32fast.
    #[test]
    fn it_is_the_checksum_of_crc32fast_for_all_lengths_and_places() {
        let bytes: Vec<u8> =
            (0..1200u32).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 13) as u8).collect();
        let (mut seed, mut some, mut fronts) = (0u32, 0, 0);
        for len in 0..=1024 {
            for start in 0..64 {
                let bytes = &bytes[start..start + len];
                let mut usual = crc32fast::Hasher::new_with_initial(seed);
                usual.update(bytes);
                let usual = usual.finalize();
                assert_eq!(super::super::checksum(seed, bytes), usual, "{len} bytes from {start}");
                assert_eq!(super::super::checksum_soon(seed, bytes), usual);
                let word = u64::from(usual) << 29 ^ start as u64;
                let head = super::super::short::checksum(!seed, word, 0);
                let both = super::super::frame_checksums(!seed, word, bytes);
                assert_eq!(both, u64::from(head) | u64::from(usual) << 32);
                some += usize::from(super::checksum(seed, bytes).is_some());
                if let Some((ids, list)) = bytes.split_first_chunk() {
                    let ids = u16::from_le_bytes(*ids);
                    let word = u64::from(usual) | 77 << 32;
                    let head = super::super::short::checksum(!seed, word, 0);
                    let made = u64::from(head) | u64::from(usual) << 32;
                    assert_eq!(super::super::front_checksums_apart(!seed, 77, ids, list), made);
                    if let Some(front) = super::front(!seed, 77, ids, list) {
                        assert_eq!(front, made);
                        fronts += 1;
                    }
                }
                seed = usual.rotate_left(7) ^ start as u32;
            }
        }
        // Either the processor has the instructions or it has not.
        assert!(some == 0 || some == 64 * (256 - 15), "{some}");
        assert_eq!(fronts, if some == 0 { 0 } else { some - 64 * 2 });
    }
}

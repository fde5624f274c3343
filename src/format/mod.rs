#![doc = include_str!("FORMAT.md")]
//!
//! This module is pure: bytes in, values out. It opens no file, reads no clock, takes no lock.

pub(crate) mod brief;
pub(crate) mod content;
pub(crate) mod event;
pub(crate) mod footer;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod name;
pub(crate) mod packed;
pub(crate) mod record;
mod short;
mod wide;

/// The first bytes of every file of a store.
pub(crate) const MAGIC: [u8; 8] = *b"strmlog\0";
/// The version of the format that this crate writes, and the newest that it reads.
pub(crate) const VERSION: u16 = 0;

/// CRC-32 of `bytes`, started at `seed`.
#[inline]
pub(crate) fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    wide::checksum(seed, bytes).unwrap_or_else(|| long_checksum(seed, bytes))
}

fn long_checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// The same for who waits for the result, as a writer does. The crate takes 16 bytes at a time and
/// several steps for what is left; here that is one, with more instructions: a scan, which has
/// other work meanwhile, is faster without it.
#[inline]
fn checksum_soon(seed: u32, bytes: &[u8]) -> u32 {
    if let Some(sum) = wide::checksum(seed, bytes) {
        return sum;
    }
    let left = bytes.len() % 16;
    match bytes.last_chunk() {
        Some(last) => short::go_on(long_checksum(seed, &bytes[..bytes.len() - left]), last, left),
        None => long_checksum(seed, bytes),
    }
}

/// The checksums of a frame's header without flags and, in the upper half, of its body. `seed`: of
/// the header. `word`: what the header has in front of its flags.
#[inline(always)]
fn frame_checksums(seed: u32, word: u64, body: &[u8]) -> u64 {
    wide::frame(seed, word, body).unwrap_or_else(|| frame_checksums_apart(seed, word, body))
}

/// The checksums of a header without flags, whose second word begins with `size`, and, in the upper
/// half, of its body, which is these two bytes and the list.
#[inline(always)]
fn front_checksums(seed: u32, size: u32, ids: u16, list: &[u8]) -> u64 {
    wide::front(seed, size, ids, list)
        .unwrap_or_else(|| front_checksums_apart(seed, size, ids, list))
}

#[inline(never)]
fn front_checksums_apart(seed: u32, size: u32, ids: u16, list: &[u8]) -> u64 {
    let body = u64::from(checksum_soon(short::two(!seed, ids), list));
    u64::from(short::checksum(seed, body | u64::from(size) << 32, 0)) | body << 32
}

#[cold]
#[inline(never)]
fn frame_checksums_apart(seed: u32, word: u64, body: &[u8]) -> u64 {
    u64::from(short::checksum(seed, word, 0)) | u64::from(checksum(!seed, body)) << 32
}

/// The polynomial of all checksums without its highest term, reflected: the lowest bit is x^31.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The register before it was shifted by one bit.
const fn unshifted(register: u32) -> u32 {
    // The polynomial's highest bit is set, so it tells which way the bit was shifted out.
    match register >> 31 {
        1 => (register ^ POLYNOMIAL) << 1 | 1,
        _ => register << 1,
    }
}

/// The seed with which the checksum of `bytes` is `crc`: there is exactly one.
pub(crate) fn seed_of(crc: u32, bytes: &[u8]) -> u32 {
    let mut register = !crc;
    for byte in bytes.iter().rev() {
        for _ in 0..8 {
            register = unshifted(register);
        }
        register ^= u32::from(*byte);
    }
    !register
}

/// Little-endian numbers at fixed places; 0 beyond the end, which no check lets through.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Stores a number's bytes at a fixed place of a buffer that is known to be long enough.
pub(crate) fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;

//! The headers: of the STORE file, and of every segment and journal file.

use super::{MAGIC, VERSION, checksum, put, u16_at, u32_at, u64_at};
use crate::error::{Error, ErrorKind, Result};

/// Length of the header of a segment or journal file, in bytes.
pub(crate) const FILE_HEADER: usize = 128;
/// Length of the STORE file, in bytes.
pub(crate) const STORE_FILE: usize = 64;

const KIND: usize = 10;
const FEATURES: usize = 12;
const UUID: usize = 16;
const STREAM: usize = 32;
const NUMBER: usize = 40;
const GENERATION: usize = 48;
const SALT: usize = 56;
const CREATED: usize = 64;
const FILE_CRC: usize = FILE_HEADER - 4;
const STORE_CREATED: usize = 32;
const STORE_CRC: usize = STORE_FILE - 4;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Store = 0,
    Segment = 1,
    Journal = 2,
}

/// The header of a segment or a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    pub(crate) uuid: [u8; 16],
    /// The stream's number; 0 in journal files.
    pub(crate) stream: u64,
    /// The segment's number within the stream, or the journal file's turn.
    pub(crate) number: u64,
    pub(crate) generation: u32,
    /// Random, so that a frame of another file never passes here.
    pub(crate) salt: u64,
    pub(crate) created_ms: u64,
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER] {
        let mut out = [0; FILE_HEADER];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, KIND, &(self.kind as u16).to_le_bytes());
        put(&mut out, UUID, &self.uuid);
        put(&mut out, STREAM, &self.stream.to_le_bytes());
        put(&mut out, NUMBER, &self.number.to_le_bytes());
        put(&mut out, GENERATION, &self.generation.to_le_bytes());
        put(&mut out, SALT, &self.salt.to_le_bytes());
        put(&mut out, CREATED, &self.created_ms.to_le_bytes());
        let crc = checksum(0, &out[..FILE_CRC]);
        put(&mut out, FILE_CRC, &crc.to_le_bytes());
        out
    }

    /// # Errors
    /// `Corrupt` for anything that is no header, `UnsupportedVersion` for a newer one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<FileHeader> {
        let bytes = check(bytes, FILE_HEADER)?;
        let kind = match u16_at(bytes, KIND) {
            1 => FileKind::Segment,
            2 => FileKind::Journal,
            _ => return Err(Error::corrupt("the header is of no known kind of file")),
        };
        Ok(FileHeader {
            kind,
            uuid: uuid_at(bytes, UUID),
            stream: u64_at(bytes, STREAM),
            number: u64_at(bytes, NUMBER),
            generation: u32_at(bytes, GENERATION),
            salt: u64_at(bytes, SALT),
            created_ms: u64_at(bytes, CREATED),
        })
    }

    /// The salt in a header that need not be good.
    pub(crate) fn salt(bytes: &[u8]) -> u64 {
        u64_at(bytes, SALT)
    }

    /// Where the checksums of this file's frames start.
    pub(crate) fn seed(&self) -> u32 {
        checksum(0x5eed, &self.encode()[UUID..CREATED])
    }
}

/// What the STORE file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreHeader {
    pub(crate) uuid: [u8; 16],
    pub(crate) created_ms: u64,
}

impl StoreHeader {
    pub(crate) fn encode(&self) -> [u8; STORE_FILE] {
        let mut out = [0; STORE_FILE];
        put(&mut out, 0, &MAGIC);
        put(&mut out, 8, &VERSION.to_le_bytes());
        put(&mut out, KIND, &(FileKind::Store as u16).to_le_bytes());
        put(&mut out, UUID, &self.uuid);
        put(&mut out, STORE_CREATED, &self.created_ms.to_le_bytes());
        let crc = checksum(0, &out[..STORE_CRC]);
        put(&mut out, STORE_CRC, &crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<StoreHeader> {
        let bytes = check(bytes, STORE_FILE)?;
        if u16_at(bytes, KIND) != FileKind::Store as u16 {
            return Err(Error::corrupt("the STORE file has the header of another file"));
        }
        Ok(StoreHeader { uuid: uuid_at(bytes, UUID), created_ms: u64_at(bytes, STORE_CREATED) })
    }
}

fn uuid_at(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes.get(at..at + 16).and_then(|b| b.try_into().ok()).unwrap_or_default()
}

/// Magic, checksum, version and features, in this order: a flipped version bit is damage, not a
/// newer format.
fn check(bytes: &[u8], len: usize) -> Result<&[u8]> {
    let Some(bytes) = bytes.get(..len) else {
        return Err(Error::corrupt("the file is shorter than its header"));
    };
    if bytes.get(..8) != Some(&MAGIC[..]) {
        return Err(Error::corrupt("the file does not begin with the format's magic"));
    }
    if u32_at(bytes, len - 4) != checksum(0, bytes.get(..len - 4).unwrap_or_default()) {
        return Err(Error::corrupt("the checksum of the header does not match"));
    }
    let found = u16_at(bytes, 8);
    if found > VERSION || u32_at(bytes, FEATURES) != 0 {
        return Err(Error::new(ErrorKind::UnsupportedVersion { found, supported: VERSION }));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        FileHeader {
            kind: FileKind::Segment,
            uuid: *b"0123456789abcdef",
            stream: 7,
            number: 8,
            generation: 9,
            salt: 10,
            created_ms: 11,
        }
    }

    #[test]
    fn headers_go_there_and_back() {
        assert_eq!(FileHeader::decode(&header().encode()).unwrap(), header());
        let store = StoreHeader { uuid: [3; 16], created_ms: 5 };
        assert_eq!(StoreHeader::decode(&store.encode()).unwrap(), store);
        let other = FileHeader { salt: 11, ..header() };
        assert_ne!(header().seed(), other.seed());
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let good = header().encode();
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut newer = header().encode();
        newer[8] = 9;
        let crc = checksum(0, &newer[..FILE_CRC]).to_le_bytes();
        newer[FILE_CRC..].copy_from_slice(&crc);
        let error = FileHeader::decode(&newer).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::UnsupportedVersion { found: 9, supported: VERSION });
    }
}

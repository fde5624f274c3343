//! One frame, one trailer: whatever decodes is encoded again and decodes to the same.

use super::Input;
use crate::format::footer::{Footer, TRAILER};
use crate::format::frame::{
    BLOCK, BLOCK_HEADER, Begin, Entries, Extras, FrameBuilder, HEADER, Header, Kind, MAX_BODY,
};
use crate::format::header::{FILE_HEADER, FileHeader, STORE_FILE, StoreHeader};
use crate::format::record::{CheckpointEnd, Close, Record, Section, Superseded};
use crate::format::{MAGIC, checksum, put, u32_at, u64_at};
use crate::id::EntryId;

const SEED: u32 = 0x5eed;

/// Decodes a frame, and a footer behind another switch. Returns whether its checksums were right.
pub fn frame(data: &[u8]) -> bool {
    let mut input = Input(data);
    let switches = input.byte();
    let offset = u64::from(input.short()) * 8;
    match switches & 6 {
        0 => {
            let mut bytes = input.0.to_vec();
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            raw(&bytes, offset)
        }
        2 => footer(input.0, switches & 1 != 0),
        4 => headers(input.0),
        _ => built(&mut input, offset),
    }
}

/// Puts the checksums of an input right that holds bytes as they are on a disk.
pub(super) fn repair(data: &mut [u8]) {
    let mut input = Input(data);
    let switches = input.byte();
    let offset = u64::from(input.short()) * 8;
    let start = data.len() - input.0.len();
    let bytes = &mut data[start..];
    match switches & 6 {
        0 => repair_frame(bytes, offset),
        2 => data[0] |= 1,
        4 => repair_header(bytes),
        _ => {}
    }
}

fn repair_frame(bytes: &mut [u8], offset: u64) {
    if bytes.len() < HEADER {
        return;
    }
    let block = if bytes[12] & BLOCK != 0 { BLOCK_HEADER } else { 0 };
    let Some(body) = bytes.len().checked_sub(HEADER + block) else {
        return;
    };
    let kind = u32_at(bytes, 8) & !(MAX_BODY as u32);
    put(bytes, 8, &(kind | body as u32).to_le_bytes());
    let seed = SEED ^ (offset / 8) as u32;
    let start = HEADER + block;
    let crc = checksum(!seed, &bytes[start..]);
    put(bytes, 4, &crc.to_le_bytes());
    let crc = checksum(seed, &bytes[4..start]);
    put(bytes, 0, &crc.to_le_bytes());
}

/// Of a file's header or of the STORE file, by what there is room for.
pub(super) fn repair_header(bytes: &mut [u8]) {
    let len = if bytes.len() >= FILE_HEADER { FILE_HEADER } else { STORE_FILE };
    if bytes.len() >= len {
        put(bytes, 0, &MAGIC);
        let crc = checksum(0, &bytes[..len - 4]);
        put(bytes, len - 4, &crc.to_le_bytes());
    }
}

/// A frame made of its parts: kind, flags, base and ordinal of a block, body.
fn built(input: &mut Input<'_>, offset: u64) -> bool {
    const KINDS: [Kind; 8] = [
        Kind::Begin,
        Kind::Entry,
        Kind::Batch,
        Kind::Close,
        Kind::Events,
        Kind::Section,
        Kind::CheckpointEnd,
        Kind::Superseded,
    ];
    let kind = KINDS[usize::from(input.byte()) % KINDS.len()];
    let flags = input.byte() & !1;
    let block = (input.byte() & 1 != 0).then(|| {
        let mut bytes = [0; 24];
        let given = input.bytes(24);
        bytes[..given.len()].copy_from_slice(given);
        let id = EntryId::new(u64_at(&bytes, 0), u64_at(&bytes, 8));
        (id, u64_at(&bytes, 16))
    });
    let mut out = Vec::new();
    let builder = FrameBuilder::begin(&mut out, kind, flags, block);
    out.extend_from_slice(input.0);
    builder.end(&mut out, SEED, offset);
    raw(&out, offset)
}

fn raw(bytes: &[u8], offset: u64) -> bool {
    let Some(header) = Header::decode(bytes, SEED, offset) else {
        return false;
    };
    assert!(header.frame_len() >= HEADER as u64 && header.frame_len() % 8 == 0);
    let Some(body) = header.body(bytes, SEED, offset) else {
        return false;
    };
    let mut at = 0;
    if let Some(extras) = Extras::read(header.flags, body, &mut at) {
        let mut again = Vec::new();
        // One that is malformed is none.
        let key = Extras::key(header.flags, body);
        extras.write_with(&mut again, key.as_ref());
        let (extras, flags) =
            (Extras { keyed: key.is_some(), ..extras }, extras.flags_with(key.as_ref()));
        assert_eq!(Extras::read(flags, &again, &mut 0), Some(extras));
        assert_eq!(Extras::key(flags, &again), key);
        contents(&header, body, at);
    }
    true
}

fn contents(header: &Header, body: &[u8], at: usize) {
    let mut again = Vec::new();
    match header.kind {
        Kind::Begin => {
            if let Some(begin) = Begin::read(body, at) {
                begin.write(&mut again);
                assert_eq!(Begin::read(&again, 0), Some(begin));
            }
        }
        Kind::Entry | Kind::Batch => entries(header, body, at),
        Kind::Close => {
            if let Some(close) = Close::read(body, at) {
                close.write(&mut again);
                assert_eq!(Close::read(&again, 0), Some(close));
            }
        }
        Kind::Events => {
            if let Some(record) = Record::read(body, at) {
                let events: Vec<Vec<_>> =
                    record.parts.iter().map(|part| part.events.iter().collect()).collect();
                let parts = record.parts.iter().zip(&events);
                let parts = parts.map(|(part, events)| (part.stream, part.previous, &events[..]));
                Record::write(&mut again, record.number, &record.before, parts);
                assert_eq!(Record::read(&again, 0), Some(record));
            }
        }
        Kind::Section => {
            if let Some(section) = Section::read(body, at) {
                section.write(&mut again);
                assert_eq!(Section::read(&again, 0), Some(section));
            }
        }
        Kind::CheckpointEnd => {
            if let Some(end) = CheckpointEnd::read(body, at) {
                end.write(&mut again);
                assert_eq!(CheckpointEnd::read(&again, 0), Some(end));
            }
        }
        Kind::Superseded => {
            if let Some(told) = Superseded::read(body, at) {
                told.write(&mut again);
                assert_eq!(Superseded::read(&again, 0), Some(told));
            }
        }
    }
}

fn entries(header: &Header, body: &[u8], at: usize) {
    let base = header.block.map_or(EntryId::new(7, 7), |(base, _)| base);
    let Some(mut entries) = Entries::new(header, body, at, base) else {
        return;
    };
    let mut last = base;
    let mut left = entries.left();
    while let Some((id, range)) = entries.next(body) {
        assert!(id >= last && range.end <= body.len());
        assert_eq!(entries.left(), left - 1);
        let entry = crate::entry::EntryRef::new(id, &body[range]);
        assert!(entry.fields().count() > 0);
        (last, left) = (id, entries.left());
    }
}

fn footer(bytes: &[u8], repair: bool) -> bool {
    let Some(place) = bytes.len().checked_sub(TRAILER) else {
        return false;
    };
    let (body, trailer) = bytes.split_at(place);
    let mut trailer = trailer.to_vec();
    if repair {
        put(&mut trailer, 0, &0u64.to_le_bytes());
        put(&mut trailer, 8, &(place as u64).to_le_bytes());
        put(&mut trailer, 16, &checksum(SEED, body).to_le_bytes());
        put(&mut trailer, 20, b"seal");
        let crc = checksum(SEED, &trailer[..TRAILER - 4]);
        put(&mut trailer, TRAILER - 4, &crc.to_le_bytes());
    }
    let Some((_, _, crc)) = Footer::locate(&trailer, SEED) else {
        return false;
    };
    if let Some(footer) = Footer::decode(body, SEED, crc) {
        let (again, trailer) = footer.encode(SEED, 0);
        let (_, _, crc) = Footer::locate(&trailer, SEED).unwrap();
        assert_eq!(Footer::decode(&again, SEED, crc), Some(footer));
    }
    true
}

fn headers(bytes: &[u8]) -> bool {
    let file = FileHeader::decode(bytes);
    if let Ok(header) = &file {
        assert_eq!(FileHeader::decode(&header.encode()).unwrap(), *header);
    }
    let store = StoreHeader::decode(bytes);
    if let Ok(header) = &store {
        assert_eq!(StoreHeader::decode(&header.encode()).unwrap(), *header);
    }
    file.is_ok() || store.is_ok()
}

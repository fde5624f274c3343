//! Files of a store as a short input: runs of bytes, with zeros between them.
//!
//! `switches`, then per file: its number, its length in pages of 4 KiB, and runs (offset in eights,
//! length, bytes), ended by the offset 0xffff. With [`REPAIR`] the header, the frames one behind
//! another and the footer get the checksums that fit, and a segment's Begin the chained checksum of
//! the segment before, so that changes to the contents are read and not refused.

use super::Input;
use crate::entry::read_varint;
use crate::format::footer::{Footer, TRAILER};
use crate::format::frame::{BLOCK, BLOCK_HEADER, HEADER, Kind, MAX_BODY, chain, padded};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::{checksum, put, u32_at, u64_at};
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::mem::MemDisk;
use std::path::Path;

/// Put the checksums right.
pub(super) const REPAIR: u8 = 1;
/// Open with `OnDamage::Skip`.
pub(super) const SKIP: u8 = 2;
/// Open with `Durability::Always`.
pub(super) const ALWAYS: u8 = 4;

/// What all stores of the targets are.
pub(super) const UUID: [u8; 16] = *b"fuzzing streamlo";
const END: u16 = 0xffff;
const PAGE: usize = 4096;
/// No file is longer, so that an input takes little time.
const MOST_PAGES: usize = 64;

/// One file: its number and its bytes.
pub(super) type Image = (u8, Vec<u8>);

/// Reads up to `most` files.
pub(super) fn read(input: &mut Input<'_>, most: usize) -> Vec<Image> {
    let mut files = Vec::new();
    while !input.is_empty() && files.len() < most {
        let number = input.byte() % 8;
        let pages = usize::from(input.byte()).clamp(1, MOST_PAGES);
        let mut bytes = vec![0; pages * PAGE];
        loop {
            let offset = input.short();
            if offset == END || input.is_empty() {
                break;
            }
            let run = usize::from(input.short());
            let run = input.bytes(run);
            let offset = usize::from(offset) * 8;
            if let Some(place) = bytes.get_mut(offset..offset + run.len()) {
                place.copy_from_slice(run);
            }
        }
        files.push((number, bytes));
    }
    files.sort_by_key(|(number, _)| *number);
    files.dedup_by_key(|(number, _)| *number);
    files
}

/// The input that [`read`] takes these files from.
#[cfg(test)]
pub(super) fn write(switches: u8, files: &[Image]) -> Vec<u8> {
    let mut out = vec![switches];
    for (number, bytes) in files {
        out.push(*number);
        out.push(u8::try_from(bytes.len() / PAGE).unwrap());
        let mut at = 0;
        while at < bytes.len() {
            // Eight zeros in place end a run.
            let stop = bytes[at..]
                .chunks(8)
                .position(|eight| eight.iter().all(|byte| *byte == 0))
                .map_or(bytes.len(), |eights| at + eights * 8);
            let stop = stop.min(at + 0xfff8);
            if stop > at {
                out.extend(u16::try_from(at / 8).unwrap().to_le_bytes());
                out.extend(u16::try_from(stop - at).unwrap().to_le_bytes());
                out.extend(&bytes[at..stop]);
            }
            at = stop.max(at + 8);
        }
        out.extend(END.to_le_bytes());
    }
    out
}

/// Puts a file's bytes onto a disk.
pub(super) fn store(disk: &MemDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::CreateNew).unwrap();
    file.allocate(bytes.len() as u64).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// Puts the checksums of files right that follow each other.
pub(super) fn repair(files: &mut [Image], kind: FileKind, stream: u64) {
    let mut chained = 0;
    for (number, bytes) in files {
        put(bytes, 0, &crate::format::MAGIC);
        let mut header = FileHeader {
            kind,
            uuid: UUID,
            stream,
            number: u64::from(*number),
            generation: 0,
            salt: u64_at(bytes, 56),
            created_ms: 0,
        };
        if kind == FileKind::Journal {
            // The turn is the file's own; a small one, so that there is a next one.
            header.number = u64_at(bytes, 40) & 0xff;
        }
        put(bytes, 0, &header.encode());
        chained = repair_frames(bytes, header.seed(), chained);
        repair_footer(bytes, header.seed());
    }
}

fn repair_frames(bytes: &mut [u8], seed: u32, mut chained: u64) -> u64 {
    let mut at = FILE_HEADER;
    while at + HEADER <= bytes.len() {
        let size = u32_at(bytes, at + 8);
        let block = bytes[at + 12] & BLOCK != 0;
        let header = HEADER + if block { BLOCK_HEADER } else { 0 };
        let body = size as usize & MAX_BODY;
        let end = at + padded(header + body) as usize;
        if size == 0 || end > bytes.len() {
            break;
        }
        let body_end = at + header + body;
        if at == FILE_HEADER && size >> 28 == Kind::Begin as u32 {
            put_chain(&mut bytes[at + header..body_end], chained);
        }
        bytes[body_end..end].fill(0);
        let place = seed ^ (at / 8) as u32;
        let crc = checksum(!place, &bytes[at + header..body_end]);
        put(bytes, at + 4, &crc.to_le_bytes());
        let crc = checksum(place, &bytes[at + 4..at + header]);
        put(bytes, at, &crc.to_le_bytes());
        chained = chain(chained, crc);
        at = end;
    }
    chained
}

/// The chained checksum stands behind the numbers of a Begin; flags are left out of account.
fn put_chain(body: &mut [u8], chained: u64) {
    let mut at = 0;
    let mut numbers = match read_varint(body, &mut at) {
        Some(0) => 4,
        Some(1) => 6,
        _ => return,
    };
    while numbers > 0 && read_varint(body, &mut at).is_some() {
        numbers -= 1;
    }
    if numbers == 0 && at + 8 <= body.len() {
        put(body, at, &chained.to_le_bytes());
    }
}

fn repair_footer(bytes: &mut [u8], seed: u32) {
    let place = bytes.len() - TRAILER;
    let trailer = &bytes[place..];
    if trailer[20..24] != *b"seal" {
        return;
    }
    let (offset, len) = (u64_at(trailer, 0), u64_at(trailer, 8));
    let Some(end) = offset.checked_add(len).filter(|end| *end <= place as u64) else {
        return;
    };
    let crc = checksum(seed, &bytes[offset as usize..end as usize]);
    put(bytes, place + 16, &crc.to_le_bytes());
    let crc = checksum(seed, &bytes[place..place + TRAILER - 4]);
    put(bytes, place + TRAILER - 4, &crc.to_le_bytes());
    debug_assert!(Footer::locate(&bytes[place..], seed).is_some());
}

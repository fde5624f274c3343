//! Files of a store as a short input: runs of bytes, with zeros between them.
//!
//! A byte of switches and a number of 16 bits for the target, then per file: its number, its length
//! in pages of 4 KiB, and runs (offset in eights, length, bytes), ended by the offset 0xffff. With
//! [`REPAIR`] the header, the frames one behind another and the footer get the checksums that fit,
//! and a segment's Begin the chained checksum of the segment before, so that changes to the
//! contents are read and not refused.

use super::Input;
use super::disk::FixedDisk;
use crate::entry::read_varint;
use crate::format::footer::{Footer, TRAILER};
use crate::format::frame::{BLOCK, BLOCK_HEADER, Extras, HEADER, Kind, MAX_BODY, chain, padded};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::{checksum, put, u32_at, u64_at};
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::scan::{Bounds, Scan, scan};
use std::path::{Path, PathBuf};

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
pub(super) const MOST_PAGES: usize = 16;
/// The length of an input before its first file.
const HEAD: usize = 3;

/// One file: its number and its bytes.
pub(super) type Image = (u8, Vec<u8>);

/// An input taken apart.
pub(super) struct Files {
    pub(super) switches: u8,
    pub(super) number: u16,
    pub(super) files: Vec<Image>,
}

/// Reads an input, with up to `most` files.
pub(super) fn read(data: &[u8], most: usize) -> Files {
    let mut input = Input(data);
    let (switches, number) = (input.byte(), input.short());
    Files { switches, number, files: read_files(&mut input, most) }
}

fn read_files(input: &mut Input<'_>, most: usize) -> Vec<Image> {
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
pub(super) fn write(input: &Files) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD);
    out.push(input.switches);
    out.extend(input.number.to_le_bytes());
    for (number, bytes) in &input.files {
        out.push(*number);
        out.push(u8::try_from(bytes.len() / PAGE).unwrap_or(u8::MAX));
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

/// Puts files onto a disk, under the names that their numbers stand for.
pub(super) fn store(disk: &FixedDisk, files: &[Image], name: impl Fn(u8) -> PathBuf) {
    for (number, bytes) in files {
        disk.put(&name(*number), bytes);
    }
}

/// The checksums to be put right: all, or not those of the frames whose number has its bit here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leave(pub(super) u32);

impl Leave {
    fn takes(self, frame: usize) -> bool {
        self.0 >> (frame % 32) & 1 == 0
    }
}

/// Puts the checksums of files right that follow each other. Those of the frames that are left stay
/// as bad as they are, in files that were right before.
pub(super) fn repair(files: &mut [Image], kind: FileKind, stream: u64, leave: Leave) {
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
        let left = checksums(bytes, leave);
        chained = repair_frames(bytes, header.seed(), chained);
        if kind == FileKind::Segment {
            write_footer(bytes, header.seed());
        }
        for (at, bad) in left {
            put(bytes, at, &bad);
        }
    }
}

/// The checksums of the frames that are left.
fn checksums(bytes: &[u8], leave: Leave) -> Vec<(usize, [u8; 8])> {
    let mut left = Vec::new();
    let mut next = FILE_HEADER;
    for number in 1.. {
        let Some(Frame { at, end, .. }) = frame_at(bytes, next) else {
            break;
        };
        if !leave.takes(number) {
            left.push((at, u64_at(bytes, at).to_le_bytes()));
        }
        next = end;
    }
    left
}

/// Where a frame lies, as its own size says.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) at: usize,
    pub(super) body: usize,
    pub(super) body_end: usize,
    pub(super) end: usize,
}

/// The frame at `at`, whatever its checksums are.
pub(super) fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    if at + HEADER > bytes.len() {
        return None;
    }
    let size = u32_at(bytes, at + 8);
    let block = bytes[at + 12] & BLOCK != 0;
    let header = HEADER + if block { BLOCK_HEADER } else { 0 };
    let len = size as usize & MAX_BODY;
    let end = at + padded(header + len) as usize;
    let body = at + header;
    (size != 0 && end <= bytes.len()).then_some(Frame { at, body, body_end: body + len, end })
}

/// Puts the checksums of all frames right. Returns the chained one.
pub(super) fn repair_frames(bytes: &mut [u8], seed: u32, mut chained: u64) -> u64 {
    let mut next = FILE_HEADER;
    while let Some(Frame { at, body, body_end, end }) = frame_at(bytes, next) {
        next = end;
        let size = u32_at(bytes, at + 8);
        if at == FILE_HEADER && size >> 28 == Kind::Begin as u32 {
            let flags = bytes[at + 12];
            put_chain(flags, &mut bytes[body..body_end], chained);
        }
        bytes[body_end..end].fill(0);
        let place = seed ^ (at / 8) as u32;
        let crc = checksum(!place, &bytes[body..body_end]);
        put(bytes, at + 4, &crc.to_le_bytes());
        let crc = checksum(place, &bytes[at + 4..body]);
        put(bytes, at, &crc.to_le_bytes());
        chained = chain(chained, crc);
    }
    chained
}

/// The chained checksum stands behind the numbers of a Begin.
fn put_chain(flags: u8, body: &mut [u8], chained: u64) {
    let mut at = 0;
    if Extras::read(flags, body, &mut at).is_none() {
        return;
    }
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

/// The bytes of the footer, if there is a trailer that tells of one.
pub(super) fn footer_of(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let place = bytes.len() - TRAILER;
    let trailer = &bytes[place..];
    if trailer[20..24] != *b"seal" {
        return None;
    }
    let (offset, len) = (u64_at(trailer, 0), u64_at(trailer, 8));
    let end = offset.checked_add(len).filter(|end| *end <= place as u64)?;
    Some(offset as usize..end as usize)
}

/// Where there is a footer, writes the one that tells what the frames say: none but that was ever
/// written. (What another one does is the business of the target [`index`](super::index).)
fn write_footer(bytes: &mut [u8], seed: u32) {
    let place = bytes.len() - TRAILER;
    let Some(range) = footer_of(bytes) else {
        return;
    };
    let scan = scan_bytes(bytes, seed, range.start as u64);
    bytes[range].fill(0);
    bytes[place..].fill(0);
    let offset = padded(scan.end as usize) as usize;
    let footer = Footer {
        end: scan.end,
        entries: scan.entries,
        last_id: scan.last_id,
        chain: scan.chain,
        trimmed: scan.trimmed,
        index: scan.index,
    };
    let (body, _) = footer.encode(seed, offset as u64);
    if scan.begin.is_some() && offset + body.len() <= place {
        bytes[offset..].fill(0);
        put(bytes, offset, &body);
        put_trailer(bytes, seed, offset, &body);
    }
}

pub(super) fn scan_bytes(bytes: &[u8], seed: u32, stop: u64) -> Scan {
    let disk = FixedDisk::new();
    let path = Path::new("/segment");
    disk.put(path, bytes);
    let file = disk.open(path, OpenMode::Read).unwrap();
    scan(&*file, path, seed, &Bounds::until(stop)).unwrap()
}

/// Writes the trailer of a footer that lies at `offset`.
pub(super) fn put_trailer(bytes: &mut [u8], seed: u32, offset: usize, footer: &[u8]) {
    let place = bytes.len() - TRAILER;
    put(bytes, place, &(offset as u64).to_le_bytes());
    put(bytes, place + 8, &(footer.len() as u64).to_le_bytes());
    put(bytes, place + 16, &checksum(seed, footer).to_le_bytes());
    put(bytes, place + 20, b"seal\0\0\0\0");
    let crc = checksum(seed, &bytes[place..place + TRAILER - 4]);
    put(bytes, place + TRAILER - 4, &crc.to_le_bytes());
}

//! How an input is changed: as the fuzzer does it, and half of the time with the checksums put
//! right behind it.
//!
//! Without that no change comes past a CRC-32. With it every change would, and no damage were ever
//! seen; so the other half is left as it is. Where the input is a file, half of the changes that
//! are put right are made inside one frame, or to the order of the frames, so that they do not
//! shift all that follows out of its place.

use super::image::{self, Frame, Image, Leave, REPAIR};
use crate::format::footer::TRAILER;
use crate::format::frame::{BLOCK_HEADER, Begin, HEADER, MAX_BODY, padded};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::{put, u32_at, u64_at};
use crate::storage::scan::Scan;

/// What an input holds that has checksums.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// One frame, as [`frame`](super::frame) takes it.
    Frame,
    /// Segments of one stream, up to so many.
    Segments(usize),
    /// Files of the state journal, up to so many.
    Journal(usize),
    /// The lowest bit of the first byte has the target put the checksums right.
    Switch,
}

/// Changes an input in place: the first `size` of at most `max` bytes. `seed` is different every
/// time. `change` is the fuzzer's own way to do that, with the same arguments. Returns the new
/// length.
pub fn mutate(
    form: Form,
    data: &mut [u8],
    size: usize,
    max: usize,
    seed: u32,
    change: &mut dyn FnMut(&mut [u8], usize, usize) -> usize,
) -> usize {
    let dice = Dice(seed);
    match form {
        Form::Switch => {
            let size = change(data, size, max);
            set_switch(&mut data[..size], dice.bit(0));
            size
        }
        Form::Frame => {
            let size = change(data, size, max);
            if dice.bit(0) {
                super::frames::repair(&mut data[..size]);
            }
            size
        }
        Form::Segments(most) => files(FileKind::Segment, most, data, size, max, dice, change),
        Form::Journal(most) => files(FileKind::Journal, most, data, size, max, dice, change),
    }
}

fn set_switch(input: &mut [u8], on: bool) {
    if let Some(switches) = input.first_mut() {
        *switches = if on { *switches | REPAIR } else { *switches & !REPAIR };
    }
}

/// The bits of a seed, for several choices.
#[derive(Clone, Copy)]
struct Dice(u32);

impl Dice {
    fn bit(self, n: u32) -> bool {
        self.0 >> n & 1 == 1
    }

    /// A number below `end`, another one for each `turn`.
    fn below(self, turn: u32, end: usize) -> usize {
        let x =
            u64::from(self.0 ^ turn.wrapping_mul(0x9e37_79b9)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x >> 33) as usize % end.max(1)
    }
}

fn files(
    kind: FileKind,
    most: usize,
    data: &mut [u8],
    size: usize,
    max: usize,
    dice: Dice,
    change: &mut dyn FnMut(&mut [u8], usize, usize) -> usize,
) -> usize {
    if !dice.bit(0) {
        let size = change(data, size, max);
        set_switch(&mut data[..size], false);
        return size;
    }
    let mut new = size;
    let mut input = if dice.bit(1) {
        new = change(data, size, max);
        image::read(&data[..new], most)
    } else {
        let mut input = image::read(&data[..size], most);
        change_frames(&mut input.files, dice, change);
        input
    };
    if kind == FileKind::Segment && dice.bit(4) {
        follow(&mut input.files);
    }
    // One time in four a few frames stay as bad as they are.
    let bits = dice.0.rotate_left(13).wrapping_mul(0x85eb_ca6b);
    let leave = if dice.bit(2) && dice.bit(3) { bits & bits.rotate_left(7) } else { 0 };
    image::repair(
        &mut input.files,
        kind,
        super::STREAM * u64::from(kind == FileKind::Segment),
        Leave(leave),
    );
    input.switches = if leave == 0 { input.switches | REPAIR } else { input.switches & !REPAIR };
    let repaired = image::write(&input);
    if repaired.len() <= max {
        put(data, 0, &repaired);
        new = repaired.len();
    }
    new
}

/// Makes each segment begin where the one before ends now.
fn follow(files: &mut [Image]) {
    let mut before: Option<(u8, Begin, Scan)> = None;
    for n in 0..files.len() {
        image::repair(&mut files[..=n], FileKind::Segment, super::STREAM, Leave::default());
        let (number, bytes) = &mut files[n];
        let seed = FileHeader::decode(bytes).map_or(0, |header| header.seed());
        let end = image::footer_of(bytes).map_or(bytes.len(), |footer| footer.start);
        let scan = image::scan_bytes(bytes, seed, end as u64);
        let Some(mut begin) = scan.begin.clone() else {
            return;
        };
        if let Some((number, last, scan)) = before {
            begin.previous = Some((u64::from(number), scan.end));
            begin.position = last.position.saturating_add(scan.end);
            begin.last_id = scan.last_id;
            begin.ordinal = last.ordinal.saturating_add(scan.entries);
            let mut parts = Parts::of(bytes);
            // Its flags say nothing of attributes any more.
            parts.frames[0][12] = 0;
            parts.frames[0].truncate(HEADER);
            begin.write(&mut parts.frames[0]);
            parts.put_together(bytes);
        }
        before = Some((*number, begin, scan));
    }
}

/// Changes one frame, or the order of the frames, or the footer of one file.
fn change_frames(
    files: &mut [Image],
    dice: Dice,
    change: &mut dyn FnMut(&mut [u8], usize, usize) -> usize,
) {
    let count = files.len();
    let Some((_, bytes)) = files.get_mut(dice.below(1, count)) else {
        return;
    };
    let mut parts = Parts::of(bytes);
    let frames = parts.frames.len();
    let chosen = dice.below(2, frames);
    let other = dice.below(3, frames);
    match dice.below(4, 8) {
        0 => drop((frames > 0).then(|| parts.frames.remove(chosen))),
        1 if frames > 0 => parts.frames.insert(other, parts.frames[chosen].clone()),
        2 if frames > 0 => parts.frames.swap(chosen, other),
        3 => change_in_place(parts.footer.as_mut(), 0, change),
        4 => change_in_place(parts.frames.get_mut(chosen), 12, change),
        _ => change_in_place(parts.frames.get_mut(chosen), HEADER, change),
    }
    parts.put_together(bytes);
}

/// Changes all of a part but its first bytes.
fn change_in_place(
    part: Option<&mut Vec<u8>>,
    keep: usize,
    change: &mut dyn FnMut(&mut [u8], usize, usize) -> usize,
) {
    let Some(part) = part.filter(|part| part.len() >= keep) else {
        return;
    };
    let size = part.len() - keep;
    let max = size + 32;
    part.resize(keep + max, 0);
    let size = change(&mut part[keep..], size, max);
    part.truncate(keep + size);
}

/// A file's frames without the zeros behind them, and its footer.
struct Parts {
    frames: Vec<Vec<u8>>,
    footer: Option<Vec<u8>>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Parts {
        let mut frames = Vec::new();
        let mut next = FILE_HEADER;
        while let Some(Frame { at, body_end, end, .. }) = image::frame_at(bytes, next) {
            frames.push(bytes[at..body_end].to_vec());
            next = end;
        }
        let footer = image::footer_of(bytes).map(|range| bytes[range].to_vec());
        Parts { frames, footer }
    }

    /// Puts the parts one behind another; what does not fit is left out. Only the lengths are put
    /// right here.
    fn put_together(&self, bytes: &mut [u8]) {
        let end = bytes.len() - TRAILER;
        bytes[FILE_HEADER..].fill(0);
        let mut at = FILE_HEADER;
        for frame in &self.frames {
            let block = frame.get(12).is_some_and(|flags| flags & 1 != 0);
            let header = HEADER + if block { BLOCK_HEADER } else { 0 };
            let place = padded(frame.len().max(header)) as usize;
            if frame.len() < HEADER || at + place > end {
                continue;
            }
            put(bytes, at, frame);
            let body = frame.len().saturating_sub(header) as u32;
            let size = u32_at(bytes, at + 8) & !(MAX_BODY as u32) | body;
            put(bytes, at + 8, &size.to_le_bytes());
            at += place;
        }
        if let Some(footer) = &self.footer
            && at + footer.len() <= end
        {
            put(bytes, at, footer);
            let seed = FileHeader::decode(bytes).map_or(u64_at(bytes, 56) as u32, |h| h.seed());
            image::put_trailer(bytes, seed, at, footer);
        }
    }
}

//! Fewer choices that still break the same promise, and what they mean in bytes.
//!
//! An image takes hundreds of decisions; a bug depends on a few. Names, lengths and sectors are
//! set to what the process had written, in halves, as long as the violation stays; what is left
//! old is what matters.

use super::disk::Capture;
use super::file::{FileCapture, SECTOR, page_bytes};
use super::image::{Choice, Image, Mode};
use super::names::{NodeId, ROOT, Tree};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// One decision of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Name(usize),
    Len(usize),
    Unwritten(usize),
    Spoiled(usize),
    Sector { file: usize, page: usize, sector: usize },
}

impl Decision {
    /// Those that keep something from being as the process had written it.
    fn not_current(capture: &Capture, choice: &Choice) -> Vec<Decision> {
        let mut found = Vec::new();
        let lost = choice.names.iter().enumerate().filter(|(_, kept)| !**kept);
        found.extend(lost.map(|(number, _)| Decision::Name(number)));
        for (file, (state, made)) in capture.files.values().zip(&choice.files).enumerate() {
            if !made.new_len {
                found.push(Decision::Len(file));
            }
            if made.unwritten {
                found.push(Decision::Unwritten(file));
            }
            if made.spoiled.is_some() {
                found.push(Decision::Spoiled(file));
            }
            for (page, (dirty, current)) in state.dirty.iter().zip(&made.current).enumerate() {
                let old = dirty.sectors & !current;
                let sectors = (0..8).filter(|sector| old >> sector & 1 == 1);
                found.extend(sectors.map(|sector| Decision::Sector { file, page, sector }));
            }
        }
        found
    }

    fn make_current(self, choice: &mut Choice) {
        match self {
            Decision::Name(number) => choice.names[number] = true,
            Decision::Len(file) => choice.files[file].new_len = true,
            Decision::Unwritten(file) => choice.files[file].unwritten = false,
            Decision::Spoiled(file) => choice.files[file].spoiled = None,
            Decision::Sector { file, page, sector } => {
                choice.files[file].current[page] |= 1 << sector;
            }
        }
    }
}

/// Makes as much of an image current as still breaks the promise, which `again` says, and
/// describes the rest.
pub fn minimise(
    capture: &Capture,
    choice: Choice,
    limit: Duration,
    mut again: impl FnMut(&Image) -> bool,
) -> Vec<String> {
    let end = Instant::now() + limit;
    let mut choice = choice;
    for mode in [Mode::AllCurrent, Mode::AllOld] {
        let extreme = Choice { world: choice.world, ..Choice::extreme(capture, mode) };
        if again(&Image::of(capture, &extreme)) {
            choice = extreme;
            break;
        }
    }
    let mut left = Decision::not_current(capture, &choice);
    let mut part = left.len().div_ceil(2).max(1);
    while !left.is_empty() {
        let mut from = 0;
        while from < left.len() && Instant::now() < end {
            let some = from..(from + part).min(left.len());
            let mut fewer = choice.clone();
            left[some.clone()].iter().for_each(|decision| decision.make_current(&mut fewer));
            if again(&Image::of(capture, &fewer)) {
                choice = fewer;
                left.drain(some);
            } else {
                from += part;
            }
        }
        if part == 1 || Instant::now() >= end {
            break;
        }
        part = part.div_ceil(2);
    }
    describe(capture, &choice, &left)
}

fn describe(capture: &Capture, choice: &Choice, old: &[Decision]) -> Vec<String> {
    let mut lines = vec!["on disk is all that was written by then, but for:".to_owned()];
    let current = Image::extreme(capture, Mode::AllCurrent).tree;
    let path = |file: usize| {
        let node = capture.files.keys().nth(file).copied().unwrap_or(ROOT);
        path_of(&current, node).or_else(|| path_of(&capture.durable, node)).unwrap_or_default()
    };
    for decision in old {
        match *decision {
            Decision::Name(number) => {
                let op = &capture.pending[number];
                let edits = op.edits.iter().map(|((dir, name), node)| {
                    let sign = if node.is_some() { '+' } else { '-' };
                    let dir = path_of(&current, *dir).unwrap_or_default();
                    format!("{sign}{dir}/{}", name.to_string_lossy())
                });
                lines.push(format!("the change of names {}", edits.collect::<Vec<_>>().join(" ")));
            }
            Decision::Len(file) => lines.push(format!("the new length of {}", path(file))),
            Decision::Unwritten(file) => {
                lines.push(format!("{}: extents that were not durable read as zero", path(file)));
            }
            Decision::Spoiled(file) => {
                lines.push(format!("{}: a sector that was being written", path(file)));
            }
            Decision::Sector { file, page, sector } => {
                let state = capture.files.values().nth(file);
                if let Some(state) = state {
                    lines.push(format!("a sector of {}:", path(file)));
                    lines.extend(hex(state, page, sector));
                }
            }
        }
    }
    if old.is_empty() {
        lines[0] = "on disk is all that was written by then".to_owned();
    }
    lines.push(format!("the clock says {}", choice.world.now_ms));
    lines
}

fn path_of(tree: &Tree, node: NodeId) -> Option<String> {
    if node == ROOT {
        return Some(String::new());
    }
    let (dir, name, _) = tree.all().find(|(_, _, found)| *found == node)?;
    Some(format!("{}/{}", path_of(tree, dir)?, name.to_string_lossy()))
}

/// The lines of 16 bytes in which a sector differs: as it is, and as it would have been.
fn hex(file: &FileCapture, page: usize, sector: usize) -> Vec<String> {
    const MOST: usize = 6;
    let dirty = &file.dirty[page];
    let part = |bytes: &[u8]| bytes[sector * SECTOR..(sector + 1) * SECTOR].to_vec();
    let old = part(page_bytes(file.disk.get(dirty.index)));
    let new = part(page_bytes(&dirty.page));
    let start = dirty.index as usize * super::file::PAGE + sector * SECTOR;
    let mut lines = Vec::new();
    let both = old.chunks(16).zip(new.chunks(16)).enumerate();
    for (line, (old, new)) in both.filter(|(_, (old, new))| old != new) {
        if lines.len() == 2 * MOST {
            lines.push("    ...".to_owned());
            break;
        }
        lines.push(format!("    {:06x}  is      {}", start + line * 16, bytes(old)));
        lines.push(format!("            not     {}", bytes(new)));
    }
    lines
}

fn bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x} ").unwrap();
    }
    let shown = bytes.iter().map(|byte| if byte.is_ascii_graphic() { *byte as char } else { '.' });
    text.extend(shown);
    text
}

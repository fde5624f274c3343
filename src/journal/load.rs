//! Reads the journal's files back, each for itself.

use super::combine::combine;
use super::{Loaded, Place, name};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{BLOCK_HEADER, Extras, HEADER, Header, Kind};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::record::{CheckpointEnd, Close, NO_NUMBER, Record, Section};
use crate::storage::disk::{DiskFile, OpenMode};
use crate::storage::scan::{Window, next_frame, was_durable};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One journal file, read.
pub(super) struct File {
    pub(super) slot: usize,
    pub(super) path: PathBuf,
    pub(super) turn: u64,
    pub(super) sections: Vec<Section>,
    /// `None`: the checkpoint is not complete.
    pub(super) end: Option<CheckpointEnd>,
    /// A stretch in front of the end mark was stepped over.
    holed: bool,
    pub(super) records: Vec<Record>,
    pub(super) closed: Option<Close>,
    /// Where the walk stopped, and the end of what is not zero.
    pub(super) stop: u64,
    pub(super) nonzero_end: u64,
    /// Offsets of stretches that were stepped over.
    pub(super) gaps: Vec<u64>,
}

impl File {
    /// Whether the checkpoint is complete and undamaged.
    pub(super) fn is_whole(&self) -> bool {
        self.end.as_ref().is_some_and(|end| !self.holed && self.sections_found() == end.sections)
    }

    /// The streams of which there are sections, and how many.
    fn sections_found(&self) -> Vec<(u64, u64)> {
        let mut found = BTreeMap::new();
        for section in &self.sections {
            *found.entry(section.stream).or_insert(0) += 1;
        }
        found.into_iter().collect()
    }

    /// Whether what the file holds counts beside a checkpoint before it. Until the end mark is
    /// written its records are copies, and those before them may have been torn off the file that
    /// they were copied from. A gap was durable once, and the mark with it.
    pub(super) fn was_complete(&self) -> bool {
        self.end.is_some() || !self.gaps.is_empty()
    }
}

/// What became of a journal file.
enum Found {
    Read(Box<File>),
    /// Never begun, or not taken into use again.
    Unused,
    /// It held something, and nobody can say what.
    Damaged,
}

/// Reads the journal of an existing store. An empty answer for one that has none yet.
///
/// # Errors
/// `Corrupt` if there were journal files and none has a complete checkpoint, unless that is to be
/// skipped; `Io`.
pub(crate) fn load(place: &Place, skip_damage: bool) -> Result<Loaded> {
    let (mut files, mut damaged) = (Vec::new(), Vec::new());
    for slot in 0..name::JOURNALS.len() {
        let path = place.path(slot);
        match place.disk.open(&path, OpenMode::Write) {
            Ok(file) => {
                place.disk.step("journal sync");
                // Synced before it is believed.
                file.sync().map_err(|e| Error::io("sync", &path, e))?;
                match read_file(place, slot, &path, &file)? {
                    Found::Read(file) => files.push(*file),
                    Found::Unused => {}
                    Found::Damaged => damaged.push((path, 0)),
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("open", &path, e)),
        }
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.turn));
    let mut loaded = combine(files, skip_damage)?;
    // A power cut may leave one header that cannot be read, that of the file which was being taken
    // into use; the file before it is complete then, or there never was one.
    if let (0, [(path, _), _, ..], false) = (loaded.turn, &damaged[..], skip_damage) {
        let what = "the headers of the journal files are damaged or another store's";
        return Err(Error::corrupt(what).at(path).offset(0));
    }
    loaded.gone |= loaded.turn == 0 && !damaged.is_empty();
    loaded.report.skipped.extend(damaged);
    Ok(loaded)
}

fn read_file(
    place: &Place,
    slot: usize,
    path: &std::path::Path,
    file: &Arc<dyn DiskFile>,
) -> Result<Found> {
    let mut window = Window::new(&**file, path)?;
    let header = match FileHeader::decode(window.get(0, FILE_HEADER as u64)?) {
        Ok(header) => header,
        Err(error) if matches!(error.kind(), ErrorKind::UnsupportedVersion { .. }) => {
            return Err(error.at(path));
        }
        Err(_) => return unreadable(&mut window),
    };
    if header.kind != FileKind::Journal || header.uuid != place.uuid || header.number >= NO_NUMBER {
        return Ok(Found::Damaged);
    }
    let mut read = File {
        slot,
        path: path.to_owned(),
        turn: header.number,
        sections: Vec::new(),
        end: None,
        holed: false,
        records: Vec::new(),
        closed: None,
        stop: FILE_HEADER as u64,
        nonzero_end: 0,
        gaps: Vec::new(),
    };
    walk(&mut window, header.seed(), &mut read)?;
    read.nonzero_end = window.nonzero_end(read.stop)?;
    Ok(Found::Read(Box::new(read)))
}

/// A file without a good header. The header is the first that is written into a zeroed file: where
/// nothing follows it, the process ended there.
fn unreadable(window: &mut Window<'_>) -> Result<Found> {
    let header = FILE_HEADER as u64;
    let begun = window.get(0, header)?.iter().take(FILE_HEADER).any(|byte| *byte != 0);
    let used = begun && window.nonzero_end(header)? > header;
    Ok(if used { Found::Damaged } else { Found::Unused })
}

/// Takes in every good frame. A stretch of bad ones ends the file unless a frame behind it proves
/// that it was durable once.
fn walk(window: &mut Window<'_>, seed: u32, read: &mut File) -> Result<()> {
    let mut at = FILE_HEADER as u64;
    loop {
        match take(window, seed, at, read)? {
            Some(next) => at = next,
            None => {
                let Some(next) = durable_behind(window, seed, at)? else {
                    break;
                };
                read.gaps.push(at);
                at = next;
            }
        }
    }
    read.stop = at;
    Ok(())
}

/// The first good frame behind a bad one at `at`, if a frame behind says that `at` was durable.
fn durable_behind(window: &mut Window<'_>, seed: u32, at: u64) -> Result<Option<u64>> {
    if !was_durable(window, seed, at)? {
        return Ok(None);
    }
    let limit = window.nonzero_end(at)?;
    let found = next_frame(window, seed, at + crate::format::frame::ALIGN, limit)?;
    Ok(found.map(|(place, _)| place))
}

fn take(window: &mut Window<'_>, seed: u32, at: u64, read: &mut File) -> Result<Option<u64>> {
    let room = window.file_len().saturating_sub(at);
    let bytes = window.get(at, (HEADER + BLOCK_HEADER) as u64)?;
    let Some(header) = Header::decode(bytes, seed, at).filter(|h| h.frame_len() <= room) else {
        return Ok(None);
    };
    let bytes = window.get(at, header.frame_len())?;
    let Some(body) = header.body(bytes, seed, at) else {
        return Ok(None);
    };
    let mut within = 0;
    if Extras::read(header.flags, body, &mut within).is_none() {
        return Ok(None);
    }
    match header.kind {
        Kind::Section => match Section::read(body, within) {
            Some(section) => read.sections.push(section),
            None => return Ok(None),
        },
        Kind::Events => match Record::read(body, within) {
            Some(record) => read.records.push(record),
            None => return Ok(None),
        },
        Kind::CheckpointEnd => match CheckpointEnd::read(body, within) {
            Some(end) => {
                read.end = Some(end);
                read.holed = !read.gaps.is_empty();
            }
            None => return Ok(None),
        },
        Kind::Close => match Close::read(body, within) {
            Some(close) => read.closed = Some(close),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }
    Ok(Some(at + header.frame_len()))
}

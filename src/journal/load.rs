//! Reads the state journal back: the newest complete checkpoint, then every record behind it.

use super::{Place, name};
use crate::entry::read_varint;
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::Event;
use crate::format::frame::{BLOCK_HEADER, Extras, HEADER, Header, Kind};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::record::{CheckpointEnd, LOST, Record, Section};
use crate::storage::disk::{DiskFile, OpenMode};
use crate::storage::scan::{Window, next_frame, was_durable};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// What the journal says.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The file before the one to which the next checkpoint goes, and the newest turn.
    pub(crate) slot: usize,
    pub(crate) turn: u64,
    pub(crate) next_record: u64,
    pub(crate) next_stream: u64,
    /// The last record of each stream.
    pub(crate) last: HashMap<u64, u64>,
    /// Each stream's events in order.
    pub(crate) events: BTreeMap<u64, Vec<Event>>,
    /// Streams of which a record is missing; their events end before it.
    pub(crate) broken: Vec<u64>,
    /// The last record of all that are missing; 0 if none is. A stream that a later record names
    /// lost none of its own (that one would not follow); of the others nobody knows.
    pub(crate) missing: u64,
    /// There were journal files, and nothing of them is left.
    pub(crate) gone: bool,
    /// Streams of which a record says that they were removed.
    pub(crate) removed: Vec<u64>,
    pub(crate) report: JournalRecovery,
}

/// What recovery found in the state journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalRecovery {
    /// A torn tail: the file, where its last good record ends, and how many bytes lie behind.
    pub cut: Option<(PathBuf, u64, u64)>,
    /// Files that held a damaged or unfinished checkpoint, with where it fails.
    pub skipped: Vec<(PathBuf, u64)>,
    /// Damaged stretches between records.
    pub gaps: Vec<(PathBuf, u64)>,
    /// How many records were applied.
    pub records: u64,
}

/// One journal file, read.
struct File {
    slot: usize,
    path: PathBuf,
    turn: u64,
    sections: Vec<Section>,
    /// `None`: the checkpoint is not complete.
    end: Option<CheckpointEnd>,
    records: Vec<Record>,
    /// The number of the next record, as the Close frame tells.
    closed: Option<u64>,
    /// Where the walk stopped, and the end of what is not zero.
    stop: u64,
    nonzero_end: u64,
    /// Offsets of stretches that were stepped over.
    gaps: Vec<u64>,
}

impl Loaded {
    /// Whether records of a stream are missing, as far as anybody can tell.
    pub(crate) fn is_lost(&self, stream: u64) -> bool {
        let last = self.last.get(&stream).copied().unwrap_or(0);
        last < self.missing || self.broken.contains(&stream)
    }

    /// Whether there may be streams of which the journal knows nothing.
    pub(crate) fn has_holes(&self) -> bool {
        self.gone || self.missing > 0
    }
}

/// What became of a journal file.
enum Found {
    Read(File),
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
                    Found::Read(file) => files.push(file),
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
    if header.kind != FileKind::Journal || header.uuid != place.uuid {
        return Ok(Found::Damaged);
    }
    let mut read = File {
        slot,
        path: path.to_owned(),
        turn: header.number,
        sections: Vec::new(),
        end: None,
        records: Vec::new(),
        closed: None,
        stop: FILE_HEADER as u64,
        nonzero_end: 0,
        gaps: Vec::new(),
    };
    walk(&mut window, header.seed(), &mut read)?;
    read.nonzero_end = window.nonzero_end(read.stop)?;
    Ok(Found::Read(read))
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
            Some(end) if end.sections == read.sections.len() as u64 && read.gaps.is_empty() => {
                read.end = Some(end);
            }
            _ => return Ok(None),
        },
        Kind::Close => match read_varint(body, &mut within) {
            Some(next) => read.closed = Some(next),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }
    Ok(Some(at + header.frame_len()))
}

/// The newest complete checkpoint and all records behind it, from its own file and newer ones.
fn combine(files: Vec<File>, skip_damage: bool) -> Result<Loaded> {
    let mut loaded = Loaded { next_record: 1, next_stream: 1, ..Loaded::default() };
    let Some(base) = files.iter().position(|file| file.end.is_some()) else {
        let Some(newest) = files.first() else {
            return Ok(loaded);
        };
        if files.iter().any(|file| file.turn > 1) {
            if skip_damage {
                loaded.gone = true;
                (loaded.slot, loaded.turn) = (newest.slot, newest.turn);
                loaded.report.skipped = files.into_iter().map(|f| (f.path, f.stop)).collect();
                return Ok(loaded);
            }
            let what = "no journal file has a complete checkpoint";
            return Err(Error::corrupt(what).at(&newest.path).offset(newest.stop));
        }
        // The very first checkpoint never became whole: nothing was ever promised.
        return Ok(loaded);
    };
    let newest_turn = files.first().map_or(0, |file| file.turn);
    // The next checkpoint must not go over a file whose records are believed here.
    let used: Vec<usize> = files.iter().take(base + 1).map(|file| file.slot).collect();
    let target = (0..3).find(|slot| !used.contains(slot)).or(used.first().copied()).unwrap_or(0);
    loaded.slot = (target + 2) % 3;
    let (mut records, mut end_of_records) = (Vec::new(), 0);
    for (n, file) in files.into_iter().enumerate().take(base + 1) {
        if n < base {
            loaded.report.skipped.push((file.path.clone(), file.stop));
        }
        if file.nonzero_end > file.stop {
            let bytes = file.nonzero_end - file.stop;
            loaded.report.cut = Some((file.path.clone(), file.stop, bytes));
        }
        loaded.report.gaps.extend(file.gaps.iter().map(|at| (file.path.clone(), *at)));
        if let (true, Some(end)) = (n == base, file.end) {
            loaded.next_stream = end.next_stream;
            loaded.next_record = end.next_record;
            take_sections(&mut loaded, file.sections);
        }
        records.extend(file.records);
        end_of_records = end_of_records.max(file.closed.unwrap_or(0));
    }
    loaded.turn = newest_turn;
    records.sort_by_key(|record| record.number);
    records.dedup_by_key(|record| record.number);
    note_missing(&mut loaded, &records, end_of_records);
    apply_records(&mut loaded, records);
    Ok(loaded)
}

fn take_sections(loaded: &mut Loaded, sections: Vec<Section>) {
    for section in sections {
        if section.covers == LOST {
            if !loaded.broken.contains(&section.stream) {
                loaded.broken.push(section.stream);
            }
            let events = loaded.events.entry(section.stream).or_default();
            events.extend(section.events);
            continue;
        }
        loaded.last.insert(section.stream, section.covers);
        loaded.next_record = loaded.next_record.max(section.covers + 1);
        loaded.events.entry(section.stream).or_default().extend(section.events);
    }
}

/// What was decided about a stream as a whole holds whatever is missing of its state.
fn rename_broken(loaded: &mut Loaded, stream: u64, events: Vec<Event>) {
    for event in events {
        match event {
            Event::StreamRemoved => {
                loaded.events.remove(&stream);
                loaded.broken.retain(|other| *other != stream);
                loaded.removed.push(stream);
            }
            Event::StreamRenamed { .. } => {
                if let Some(known) = loaded.events.get_mut(&stream) {
                    known.push(event);
                }
            }
            _ => {}
        }
    }
}

/// Records are numbered without a gap, so that one that is gone is missed.
fn note_missing(loaded: &mut Loaded, records: &[Record], end: u64) {
    let first = records.first().map_or(end, |record| record.number);
    let mut next = loaded.next_record.min(first);
    for number in records.iter().map(|record| record.number).chain([end]) {
        if number > next {
            loaded.missing = number - 1;
        }
        next = next.max(number.saturating_add(1));
    }
    loaded.next_record = loaded.next_record.max(end);
}

fn apply_records(loaded: &mut Loaded, records: Vec<Record>) {
    for record in records {
        loaded.next_record = loaded.next_record.max(record.number + 1);
        for part in record.parts {
            loaded.next_stream = loaded.next_stream.max(part.stream + 1);
            let last = loaded.last.get(&part.stream).copied().unwrap_or(0);
            if loaded.broken.contains(&part.stream) {
                rename_broken(loaded, part.stream, part.events);
                continue;
            }
            if record.number <= last {
                continue;
            }
            // A stream whose chain is interrupted stops here; the others go on.
            if part.previous != last {
                loaded.broken.push(part.stream);
                rename_broken(loaded, part.stream, part.events);
                continue;
            }
            loaded.last.insert(part.stream, record.number);
            loaded.report.records += 1;
            let gone = part.events.iter().any(|event| matches!(event, Event::StreamRemoved));
            let events = loaded.events.entry(part.stream).or_default();
            events.extend(part.events);
            if gone {
                loaded.events.remove(&part.stream);
                loaded.removed.push(part.stream);
            }
        }
    }
}

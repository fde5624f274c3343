//! Reads the journal's files back, each for itself.

use super::combine::combine;
use super::{LAST_ROOM, Loaded, Place, Tail, name};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{ALIGN, BLOCK_HEADER, Extras, HEADER, Header, Kind};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::record::{CheckpointEnd, Close, NO_NUMBER, Record, Section, Superseded};
use crate::planted;
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
    seed: u32,
    pub(super) sections: Vec<Section>,
    /// `None`: the checkpoint is not complete.
    pub(super) end: Option<CheckpointEnd>,
    /// A stretch in front of the end mark was stepped over.
    holed: bool,
    pub(super) records: Vec<Record>,
    pub(super) closed: Option<Close>,
    /// The newest file that is known to have taken over from this one.
    superseded: Option<Superseded>,
    /// Where the walk stopped, and the end of what is not zero.
    pub(super) stop: u64,
    pub(super) nonzero_end: u64,
    /// The length of the file.
    len: u64,
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

    /// Whether something in it fails its checks that was durable once. A crash leaves nothing like
    /// that: a file that is emptied loses its header before anything else.
    fn is_damaged(&self) -> bool {
        !self.gaps.is_empty() || (self.end.is_some() && !self.is_whole())
    }

    /// Whether nothing can be read behind what was durable once.
    fn breaks_off(&self) -> bool {
        self.gaps.last() == Some(&self.stop)
    }

    /// Whether something is missing at the end: torn bytes are left of it, or the file ends where
    /// every frame of a running journal leaves room for another one.
    pub(super) fn is_cut(&self) -> bool {
        let ends_there = self.superseded.is_none() && self.stop + LAST_ROOM > self.len;
        self.nonzero_end > self.stop || ends_there
    }

    fn supersede(&mut self, told: Option<Superseded>) {
        if self.superseded.is_none_or(|known| told.is_some_and(|told| told.turn > known.turn)) {
            self.superseded = told;
        }
    }

    /// Where the file can be told something more.
    fn tail(&self) -> Tail {
        let at = self.nonzero_end.max(self.stop).next_multiple_of(ALIGN);
        Tail { slot: self.slot, seed: self.seed, at }
    }
}

/// A journal file that is there.
struct Slot {
    slot: usize,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    header: Begun,
    /// Not a byte in it but zeros.
    empty: bool,
}

/// What the beginning of a journal file shows.
pub(super) enum Begun {
    Readable(FileHeader),
    /// Never begun, or not taken into use again.
    Unused,
    /// It held something, and nobody can say what.
    Damaged,
}

impl Begun {
    pub(super) fn is_damaged(&self) -> bool {
        matches!(self, Begun::Damaged)
    }
}

/// Reads the journal of an existing store. An empty answer for one that has none yet.
///
/// # Errors
/// `Corrupt` if there were journal files and none has a complete checkpoint, or if the newest one
/// was on disk and cannot be read, unless that is to be skipped; `Io`.
pub(crate) fn load(place: &Place, skip_damage: bool) -> Result<Loaded> {
    let mut slots = Vec::new();
    for slot in 0..name::JOURNALS.len() {
        slots.extend(Slot::open(place, slot)?);
    }
    let mut files = read_all(&mut slots)?;
    let lost = read_without_headers(place, &slots, &mut files)?;
    let damaged = slots.iter().filter(|slot| matches!(slot.header, Begun::Damaged));
    let damaged = damaged.filter(|slot| files.iter().all(|file| file.slot != slot.slot));
    let mut damaged: Vec<(PathBuf, u64)> = damaged.map(|slot| (slot.path.clone(), 0)).collect();
    damaged.sort();
    files.sort_by_key(|file| std::cmp::Reverse(file.turn));
    if planted::oldest_turn() {
        files.reverse();
    }
    let tails: Vec<Tail> = files.iter().map(File::tail).collect();
    let hurt: Vec<usize> =
        files.iter().filter(|file| file.is_damaged()).map(|file| file.slot).collect();
    let breaks_off = files.first().is_some_and(File::breaks_off);
    let mut loaded = combine(files, skip_damage)?;
    // One that stays: the next checkpoint may take the place of the newest, that has none.
    loaded.newest = tails.into_iter().find(|tail| tail.slot != (loaded.slot + 1) % 3);
    if breaks_off {
        loaded.forget_ends();
    }
    if let Some(lost) = lost {
        let path = place.path(usize::try_from(lost.slot).unwrap_or(0));
        if !skip_damage {
            let what = "the newest journal file was on disk and cannot be read";
            return Err(Error::corrupt(what).at(&path).offset(0));
        }
        loaded.go_back_before(&lost);
        if damaged.iter().all(|(other, _)| *other != path) {
            damaged.push((path, 0));
        }
    }
    // A power cut may leave one header that cannot be read, that of the file which was being taken
    // into use; the file before it is complete then, or there never was one.
    if let (0, [(path, _), _, ..], false) = (loaded.turn, &damaged[..], skip_damage) {
        let what = "the headers of the journal files are damaged or another store's";
        return Err(Error::corrupt(what).at(path).offset(0));
    }
    loaded.gone |= loaded.turn == 0 && !damaged.is_empty();
    loaded.report.skipped.extend(damaged);
    let unread = lost.map(|lost| lost.slot);
    let unreadable = slots.iter().filter(|slot| slot.holds_damage(unread, loaded.gone));
    loaded.damaged = unreadable.map(|slot| slot.slot).chain(hurt).collect();
    loaded.report.set_aside = set_aside(place)?;
    Ok(loaded)
}

/// The damaged files that lie beside the journal's.
fn set_aside(place: &Place) -> Result<Vec<PathBuf>> {
    let names = place.disk.read_dir(&place.dir);
    let names = names.map_err(|e| Error::io("read directory", &place.dir, e))?;
    let kept = names.iter().filter_map(|(name, _)| name.to_str());
    let kept = kept.filter(|name| name::is_set_aside(name));
    let mut kept: Vec<_> = kept.map(|name| place.dir.join(name)).collect();
    kept.sort();
    Ok(kept)
}

/// Reads the files with good headers, each after those that may tell of it.
fn read_all(slots: &mut [Slot]) -> Result<Vec<File>> {
    slots.sort_by_key(Slot::turn);
    let mut files: Vec<File> = Vec::new();
    for slot in slots {
        if let Begun::Readable(header) = &slot.header {
            let told = files.iter().filter_map(|file| file.superseded);
            let durable = told.filter(|told| told.turn == header.number).map(|told| told.durable);
            let durable = durable.max().unwrap_or(0);
            files.push(slot.read(header.number, header.seed(), durable)?);
        }
    }
    Ok(files)
}

/// Reads the files of which others say that they took over and whose headers are damaged. Returns
/// the newest of which nothing can be read, if it is the newest of all.
fn read_without_headers(
    place: &Place,
    slots: &[Slot],
    files: &mut Vec<File>,
) -> Result<Option<Superseded>> {
    let mut lost: Option<Superseded> = None;
    let mut told: Vec<Superseded> = files.iter().filter_map(|file| file.superseded).collect();
    while let Some(next) = told.pop() {
        let needless =
            |file: &File| file.turn == next.turn || (file.turn > next.turn && file.is_whole());
        if files.iter().any(needless) {
            continue;
        }
        let header = FileHeader {
            kind: FileKind::Journal,
            uuid: place.uuid,
            stream: 0,
            number: next.turn,
            generation: 0,
            salt: next.salt,
            created_ms: 0,
        };
        let unread = |slot: &&Slot| slot.slot as u64 == next.slot && slot.turn() == 0;
        let read = slots.iter().find(unread);
        let read =
            read.map(|slot| slot.read(next.turn, header.seed(), next.durable)).transpose()?;
        match read.filter(|file| file.stop > FILE_HEADER as u64) {
            Some(mut file) => {
                file.gaps.insert(0, 0);
                told.extend(file.superseded);
                files.push(file);
            }
            None if lost.is_none_or(|lost| lost.turn < next.turn) => lost = Some(next),
            None => {}
        }
    }
    let newer = |lost: &Superseded, file: &File| file.turn > lost.turn && file.end.is_some();
    Ok(lost.filter(|lost| !files.iter().any(|file| newer(lost, file))))
}

impl Slot {
    /// `None` if there is no such file.
    fn open(place: &Place, slot: usize) -> Result<Option<Slot>> {
        let path = place.path(slot);
        let file = match place.disk.open(&path, OpenMode::Write) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", &path, e)),
        };
        place.disk.step("journal sync");
        // Synced before it is believed.
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
        let mut window = Window::new(&*file, &path)?;
        let mut empty = false;
        let header = match FileHeader::decode(window.get(0, FILE_HEADER as u64)?) {
            Ok(header)
                if header.kind == FileKind::Journal
                    && header.uuid == place.uuid
                    && header.number < NO_NUMBER =>
            {
                Begun::Readable(header)
            }
            Ok(_) => Begun::Damaged,
            Err(error) if matches!(error.kind(), ErrorKind::UnsupportedVersion { .. }) => {
                return Err(error.at(&path));
            }
            Err(_) => {
                empty = window.nonzero_end(0)? == 0;
                unreadable(&mut window)?
            }
        };
        Ok(Some(Slot { slot, path, file, header, empty }))
    }

    /// 0 if there is no good header.
    fn turn(&self) -> u64 {
        match &self.header {
            Begun::Readable(header) => header.number,
            _ => 0,
        }
    }

    /// Whether there are bytes in it that nobody can read and somebody once could. `lost`: the file
    /// that was the newest. `gone`: nothing is left of any.
    fn holds_damage(&self, lost: Option<u64>, gone: bool) -> bool {
        let unreadable = match self.header {
            Begun::Readable(_) => false,
            Begun::Damaged => true,
            Begun::Unused => lost == Some(self.slot as u64),
        };
        !self.empty && (unreadable || gone)
    }

    /// `durable`: up to where the file is known to have been on disk.
    fn read(&self, turn: u64, seed: u32, durable: u64) -> Result<File> {
        let mut read = File {
            slot: self.slot,
            path: self.path.clone(),
            turn,
            seed,
            sections: Vec::new(),
            end: None,
            holed: false,
            records: Vec::new(),
            closed: None,
            superseded: None,
            stop: FILE_HEADER as u64,
            nonzero_end: 0,
            len: 0,
            gaps: Vec::new(),
        };
        let mut window = Window::new(&*self.file, &self.path)?;
        walk(&mut window, durable, &mut read)?;
        read.nonzero_end = window.nonzero_end(read.stop)?;
        read.len = window.file_len();
        marks_behind(&mut window, &mut read)?;
        Ok(read)
    }
}

/// A file without a good header. The header is the first that is written into a zeroed file: where
/// nothing follows it, the process ended there.
pub(super) fn unreadable(window: &mut Window<'_>) -> Result<Begun> {
    let header = FILE_HEADER as u64;
    let begun = window.get(0, header)?.iter().take(FILE_HEADER).any(|byte| *byte != 0);
    let used = begun && window.nonzero_end(header)? > header;
    Ok(if used { Begun::Damaged } else { Begun::Unused })
}

/// Takes in every good frame. A stretch of bad ones ends the file unless it is known to have been
/// durable once: it lies in front of `durable`, or a frame behind it tells.
fn walk(window: &mut Window<'_>, durable: u64, read: &mut File) -> Result<()> {
    let mut at = FILE_HEADER as u64;
    loop {
        read.stop = at;
        if let Some(next) = take(window, at, read)? {
            at = next;
            continue;
        }
        let torn = at >= durable && !was_durable(window, read.seed, at)?;
        if torn && !planted::journal_hole() {
            return Ok(());
        }
        read.gaps.push(at);
        let limit = window.nonzero_end(at)?;
        match next_frame(window, read.seed, at + ALIGN, limit)? {
            Some((next, _)) => at = next,
            None => return Ok(()),
        }
    }
}

/// What a file was told when its end was torn already.
fn marks_behind(window: &mut Window<'_>, read: &mut File) -> Result<()> {
    let mut at = read.stop;
    while let Some((place, header)) = next_frame(window, read.seed, at, read.nonzero_end)? {
        at = place + header.frame_len();
        let bytes = window.get(place, header.frame_len())?;
        if let (Kind::Superseded, Some(body)) = (header.kind, header.body(bytes, read.seed, place))
        {
            read.supersede(Superseded::read(body, 0));
        }
    }
    // The last frame may end in zeros, and nothing is written into it.
    read.nonzero_end = read.nonzero_end.max(at);
    Ok(())
}

fn take(window: &mut Window<'_>, at: u64, read: &mut File) -> Result<Option<u64>> {
    let seed = read.seed;
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
        Kind::Superseded => match Superseded::read(body, within) {
            Some(told) => read.supersede(Some(told)),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }
    Ok(Some(at + header.frame_len()))
}

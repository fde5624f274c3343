//! A stream's directory into a [`Log`] and a report: which frames are the stream, where it ends.
//!
//! The rules (invariants 4 and 11 of the crate's design):
//! * Segments form a chain: each one's Begin names the one before and where that one ended. The
//!   chain that ends in the highest number is the stream; segments beside it are leftovers of a
//!   recovery or of a roll that did not last, and are set aside where they lie.
//! * What the frames prove to be durable is a position. The first bad frame at or above it is a
//!   torn tail: the log ends there, and later segments are set aside whole. A bad frame below it is
//!   damage: refused, or stepped over and reported; never cut.
//! * A segment is continued only if everything behind its last frame is zero. Otherwise it ends at
//!   the cut, and the next append begins another segment, whose Begin records that end.
//! * Nothing is believed before it is synced, and what lies above the durable position is stored
//!   once more first (the same bytes in the same places): a sync that failed in an earlier life has
//!   made the kernel forget that those pages differ from the disk.

use super::disk::{DiskFile, NameKind, OpenMode};
use super::log::{Block, Log, LogParts, Tail};
use super::scan::{Hole, Scan, Window, read_begin, scan, scan_until, was_durable};
use super::segment::{Home, Segment, SegmentParts, read_footer};
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::StoredOptions;
use crate::format::frame::Begin;
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::name;
use crate::id::EntryId;
use std::path::PathBuf;
use std::sync::Arc;

mod candidate;
mod report;
use candidate::{Candidate, Content, follow_back};
pub use report::{CutTail, Gap, StreamRecovery};

/// What the state journal and the options say about the stream that is recovered.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: Vec<u8>,
    pub(crate) options: StoredOptions,
    /// Entries up to and including this ID are gone.
    pub(crate) trimmed: EntryId,
    /// No ID at or below this is given again.
    pub(crate) floor: EntryId,
    pub(crate) always: bool,
    pub(crate) skip_damage: bool,
}

/// A recovered stream.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) report: StreamRecovery,
    /// The last ID that the frames know.
    pub(crate) log_last_id: EntryId,
}

struct Recovery<'a> {
    home: &'a Home,
    known: &'a Known,
    report: StreamRecovery,
    next_number: u64,
    empty: Vec<PathBuf>,
    /// Segments behind the end of the log were set aside. They name the place where theirs went on,
    /// so nothing may go on there again: the log continues in a new segment.
    later_aside: bool,
}

/// Recovers the stream in `home.dir`, which exists.
///
/// # Errors
/// `Corrupt` for damage that was not to be skipped; `Io`.
pub(crate) fn recover(home: &Home, known: &Known) -> Result<Recovered> {
    let report = StreamRecovery { name: known.name.clone(), ..StreamRecovery::default() };
    let mut recovery =
        Recovery { home, known, report, next_number: 0, empty: Vec::new(), later_aside: false };
    let candidates = recovery.read_all()?;
    let mut chain = recovery.pick_chain(candidates);
    let durable = chain.iter().map(Candidate::durable).max().unwrap_or(0);
    recovery.find_end(&mut chain, durable)?;
    let trimmed = recovery.trimmed(&chain);
    recovery.check_beginning(&chain, trimmed)?;
    recovery.make_durable(&chain, durable)?;
    recovery.build(chain, trimmed)
}

impl Recovery<'_> {
    /// Opens and looks at every segment of the directory.
    fn read_all(&mut self) -> Result<Vec<Candidate>> {
        let dir = &self.home.dir;
        let names =
            self.home.disk.read_dir(dir).map_err(|e| Error::io("read directory", dir, e))?;
        let mut found = Vec::new();
        for (name, kind) in names {
            let path = dir.join(&name);
            let text = name.to_str().unwrap_or_default();
            match name::parse_segment(text) {
                Some((number, generation)) if kind == NameKind::File => {
                    found.push((number, generation, path));
                }
                _ if kind == NameKind::File
                    && text.strip_suffix(name::TMP).and_then(name::parse_segment).is_some() =>
                {
                    // Never complete, never referred to.
                    drop(self.home.disk.remove_file(&path));
                }
                _ => self.report.strays.push(path),
            }
        }
        found.sort();
        self.report.strays.sort();
        self.next_number = found.last().map_or(0, |(number, ..)| number + 1);
        let mut candidates = Vec::new();
        for (number, generation, path) in found {
            if let Some(candidate) = self.read_one(number, generation, path)? {
                candidates.push(candidate);
            }
        }
        Ok(candidates)
    }

    fn read_one(
        &mut self,
        number: u64,
        generation: u32,
        path: PathBuf,
    ) -> Result<Option<Candidate>> {
        let open = self.home.disk.open(&path, OpenMode::Write);
        let file = open.map_err(|e| Error::io("open", &path, e))?;
        let mut window = Window::new(&*file, &path)?;
        let header = FileHeader::decode(window.get(0, FILE_HEADER as u64)?)
            .and_then(|header| self.check_header(header, number, generation));
        let header = match header {
            Ok(header) => header,
            Err(error) => {
                return self.unusable(error.at(&path).offset(0), path).map(|()| None);
            }
        };
        let seed = header.seed();
        let Some((begin, _, frame)) = read_begin(&mut window, seed)? else {
            if window.nonzero_end(FILE_HEADER as u64)? == FILE_HEADER as u64 {
                self.empty.push(path);
            } else if was_durable(&mut window, seed, FILE_HEADER as u64)?
                || read_footer(&*file, seed).is_some()
            {
                let error = Error::corrupt("the first frame of the segment fails its checks");
                self.unusable(error.at(&path).offset(FILE_HEADER as u64), path)?;
            } else {
                // The first frame never became whole, so nothing in it was known to be durable.
                self.report.set_aside.push(path);
            }
            return Ok(None);
        };
        let first_offset = FILE_HEADER as u64 + frame.frame_len();
        let content = match read_footer(&*file, seed) {
            Some(footer) => Content::Sealed(footer),
            None => {
                self.report.scanned_segments += 1;
                Content::Scanned(Box::new(scan(&*file, &path, seed, 0)?))
            }
        };
        Ok(Some(Candidate {
            number,
            path,
            file,
            header,
            begin,
            first_offset,
            content,
            hurt: false,
        }))
    }

    fn check_header(&self, header: FileHeader, number: u64, generation: u32) -> Result<FileHeader> {
        if header.kind != FileKind::Segment
            || header.uuid != self.home.uuid
            || header.stream != self.home.stream
            || header.number != number
            || header.generation != generation
        {
            return Err(Error::corrupt("the segment belongs to another place or store"));
        }
        Ok(header)
    }

    /// A file with the name of a segment that is none.
    fn unusable(&mut self, error: Error, path: PathBuf) -> Result<()> {
        if matches!(error.kind(), ErrorKind::UnsupportedVersion { .. }) || !self.known.skip_damage {
            return Err(error);
        }
        self.report.set_aside.push(path);
        Ok(())
    }

    /// The segments that follow from the highest number backwards, oldest first. A chain that lost
    /// its beginning before that was durable (two rolls without a sync between them, and the first
    /// of the new segments is torn) ends the log no less than a torn frame does: it is set aside,
    /// and the next highest number is tried.
    fn pick_chain(&mut self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        loop {
            let (chain, beside) = follow_back(candidates);
            let hangs = chain.first().is_some_and(|oldest| {
                let durable = chain.iter().map(Candidate::durable).max().unwrap_or(0);
                // What lies before may be gone because it was trimmed.
                let trimmed = self.trimmed(&chain) >= oldest.begin.last_id;
                let begins = oldest.begin.previous.is_none();
                !begins && !trimmed && durable < oldest.begin.position
            });
            let aside = if hangs { &chain } else { &beside };
            let aside: Vec<_> = aside.iter().map(|segment| segment.path.clone()).collect();
            self.report.set_aside.extend(aside);
            self.later_aside |= hangs;
            if !hangs {
                self.report.set_aside.sort();
                return chain;
            }
            candidates = beside;
        }
    }

    /// Up to where entries are gone: as the journal, the frames and the footers say.
    fn trimmed(&self, chain: &[Candidate]) -> EntryId {
        chain.iter().map(Candidate::trimmed).fold(self.known.trimmed, EntryId::max)
    }

    /// Finds where the log ends: in front of the first bad frame at or above the durable position,
    /// or at the end of the last segment.
    fn find_end(&mut self, chain: &mut Vec<Candidate>, durable: u64) -> Result<()> {
        let mut n = 0;
        while n < chain.len() {
            let wanted = chain.get(n + 1).and_then(|next| next.begin.previous).map(|(_, end)| end);
            let next_begin = chain.get(n + 1).map(|next| (next.begin.last_id, next.begin.chain));
            let Some(candidate) = chain.get_mut(n) else {
                break;
            };
            // The position up to which bad frames are damage: the durable one, and the end that the
            // next segment records if that segment is known to be durable.
            let base = candidate.begin.position;
            let damage_below = durable.saturating_sub(base).min(wanted.unwrap_or(u64::MAX));
            if candidate.end() < damage_below {
                self.past_damage(candidate, damage_below)?;
            }
            match wanted {
                Some(end) if candidate.end() < end && base + end > durable => {
                    self.cut_here(chain, n);
                    return Ok(());
                }
                Some(end) => {
                    self.end_as_recorded(candidate, end, next_begin)?;
                }
                None => {
                    self.check_last(candidate)?;
                    self.note_tail(candidate);
                }
            }
            n += 1;
        }
        Ok(())
    }

    /// A segment is sealed only once the one behind it is durable, so none can be missing.
    fn check_last(&mut self, last: &Candidate) -> Result<()> {
        let Content::Sealed(footer) = &last.content else {
            return Ok(());
        };
        let (after, before) = (footer.last_id, EntryId::MAX);
        if !self.known.skip_damage {
            let ids = Some((after, before));
            let what = "segments behind this one are missing";
            return Err(Error::new(ErrorKind::Corrupt { what, ids }).at(&last.path));
        }
        self.report.gaps.push(Gap {
            path: last.path.clone(),
            from: footer.end,
            to: footer.end,
            after,
            before,
        });
        Ok(())
    }

    /// A bad frame below what was durable: refuse, or scan on behind it.
    fn past_damage(&mut self, candidate: &mut Candidate, below: u64) -> Result<()> {
        let refused = |at: u64, after: EntryId| {
            let what = "frames below the durable position fail their checks";
            Error::new(ErrorKind::Corrupt { what, ids: Some((after, EntryId::MAX)) })
                .at(&candidate.path)
                .offset(at)
        };
        let (last_id, _) = candidate.last_id_and_chain();
        if !self.known.skip_damage {
            return Err(refused(candidate.end(), last_id));
        }
        let seed = candidate.header.seed();
        let mut again = scan(&*candidate.file, &candidate.path, seed, below)?;
        if again.end < below {
            // Nothing good follows up to where the log was durable.
            let ids = (again.last_id, EntryId::MAX);
            let ordinals = (again.entries, again.entries);
            again.holes.push(Hole { from: again.end, to: below, ids, ordinals });
        }
        for hole in &again.holes {
            self.report.gaps.push(Gap {
                path: candidate.path.clone(),
                from: hole.from,
                to: hole.to,
                after: hole.ids.0,
                before: hole.ids.1,
            });
        }
        candidate.content = Content::Scanned(Box::new(again));
        candidate.hurt = true;
        Ok(())
    }

    /// The log ends inside segment `n` of the chain; later ones are set aside.
    fn cut_here(&mut self, chain: &mut Vec<Candidate>, n: usize) {
        let aside: Vec<_> = chain.drain(n + 1..).map(|later| later.path).collect();
        self.later_aside |= !aside.is_empty();
        self.report.set_aside.extend(aside);
        if let Some(last) = chain.last() {
            self.note_tail(last);
        }
    }

    fn note_tail(&mut self, candidate: &Candidate) {
        if let Content::Scanned(scan) = &candidate.content
            && scan.nonzero_end > scan.end
        {
            self.report.cut = Some(CutTail {
                path: candidate.path.clone(),
                offset: scan.end,
                bytes: scan.nonzero_end - scan.end,
                frames_behind: scan.frames_behind,
            });
        }
    }

    /// A segment with a successor ends where the successor says, whatever lies behind.
    fn end_as_recorded(
        &mut self,
        candidate: &mut Candidate,
        end: u64,
        next: Option<(EntryId, u64)>,
    ) -> Result<()> {
        if candidate.end() > end {
            // Frames that an earlier recovery cut: scan again up to the recorded end only.
            let seed = candidate.header.seed();
            let again = scan_until(&*candidate.file, &candidate.path, seed, 0, end)?;
            candidate.content = Content::Scanned(Box::new(again));
        }
        let holes = match &candidate.content {
            Content::Scanned(scan) => !scan.holes.is_empty(),
            Content::Sealed(_) => false,
        };
        // The last ID that a Begin names may be higher than that of the frames: deliveries and
        // deletions of entries that a crash took back count, too.
        let (last_id, chain) = candidate.last_id_and_chain();
        let agrees = next.is_none_or(|(above, chained)| chained == chain && above >= last_id);
        if !agrees && !holes && !self.known.skip_damage {
            let what = "the segment does not end as the one behind it says";
            return Err(Error::corrupt(what).at(&candidate.path).offset(end));
        }
        candidate.hurt |= !agrees;
        Ok(())
    }

    /// The oldest segment must be the stream's first, or all before it must have been trimmed.
    fn check_beginning(&mut self, chain: &[Candidate], trimmed: EntryId) -> Result<()> {
        let Some(oldest) = chain.first() else {
            return Ok(());
        };
        if oldest.begin.previous.is_none() || trimmed >= oldest.begin.last_id {
            return Ok(());
        }
        if !self.known.skip_damage {
            let ids = Some((trimmed, oldest.begin.last_id));
            let what = "segments before this one are missing";
            return Err(Error::new(ErrorKind::Corrupt { what, ids }).at(&oldest.path));
        }
        self.report.gaps.push(Gap {
            path: oldest.path.clone(),
            from: 0,
            to: 0,
            after: trimmed,
            before: oldest.begin.last_id,
        });
        Ok(())
    }

    /// Stores what lies above the durable position once more and syncs all that is believed.
    fn make_durable(&mut self, chain: &[Candidate], durable: u64) -> Result<()> {
        for candidate in chain {
            let Content::Scanned(scan) = &candidate.content else {
                continue;
            };
            let base = candidate.begin.position;
            let from = durable.saturating_sub(base).max(FILE_HEADER as u64);
            let path = &candidate.path;
            if from < scan.end && !scan.closed {
                let mut window = Window::new(&*candidate.file, path)?;
                let mut at = from;
                while at < scan.end {
                    let step = (scan.end - at).min(64 << 10);
                    let bytes = window.get(at, step)?;
                    let bytes = bytes.get(..step as usize).unwrap_or_default();
                    candidate
                        .file
                        .write_at(bytes, at)
                        .map_err(|e| Error::io("write", path, e).offset(at))?;
                    at += step;
                }
                self.report.rescued_bytes += scan.end - from;
            }
            self.home.disk.step("recovery sync");
            candidate.file.sync().map_err(|e| Error::io("sync", path, e))?;
        }
        for path in self.empty.drain(..) {
            // Prepared and never used; the next one gets a fresh number.
            drop(self.home.disk.remove_file(&path));
        }
        let dir = &self.home.dir;
        self.home.disk.sync_dir(dir).map_err(|e| Error::io("sync directory", dir, e))
    }

    fn build(mut self, chain: Vec<Candidate>, trimmed: EntryId) -> Result<Recovered> {
        let mut tail = Tail::default();
        let mut chained = 0;
        let mut active = None;
        let mut block = None;
        let mut segments = Vec::new();
        let count = chain.len();
        for (n, candidate) in chain.into_iter().enumerate() {
            let (last_id, after) = candidate.last_id_and_chain();
            let end = candidate.end();
            let begin = candidate.begin;
            chained = after;
            let (entries, index, sealed, holes) = match candidate.content {
                Content::Sealed(footer) => (footer.entries, footer.index, true, Vec::new()),
                Content::Scanned(scan) => {
                    let goes_on = n + 1 == count && !self.later_aside;
                    if goes_on && scan.nonzero_end <= scan.end && scan.holes.is_empty() {
                        let path = &candidate.path;
                        let len = candidate.file.len().map_err(|e| Error::io("stat", path, e))?;
                        active = Some((Arc::clone(&candidate.file), len));
                        block = scan.last_block.map(continued);
                    }
                    // A footer is never written into a segment with damage in it.
                    (scan.entries, scan.index, candidate.hurt, scan.holes)
                }
            };
            tail = Tail { last_id, ordinal: begin.ordinal + entries };
            let parts = SegmentParts {
                header: candidate.header,
                begin,
                first_offset: candidate.first_offset,
                end,
                entries,
                index,
                sealed,
            };
            let segment = Segment::new(self.home, parts);
            hide_holes(&segment, &holes);
            segments.push(Arc::new(segment));
        }
        let log_last_id = tail.last_id;
        // A footer may know of a trim that took entries which did not last.
        tail.last_id = tail.last_id.max(self.known.floor).max(trimmed);
        self.report.set_aside.sort();
        let parts = LogParts {
            segments,
            active,
            next_number: self.next_number,
            name: self.known.name.clone(),
            options: self.known.options,
            tail,
            trimmed,
            chain: chained,
            block,
            always: self.known.always,
            skip_damage: self.known.skip_damage,
        };
        let log = Log::new(self.home.clone(), parts)?;
        Ok(Recovered { log, report: self.report, log_last_id })
    }
}

/// What a hole swallowed counts as deleted, so that lengths come out right.
fn hide_holes(segment: &Segment, holes: &[Hole]) {
    for hole in holes {
        for ordinal in hole.ordinals.0..hole.ordinals.1 {
            segment.delete(u32::try_from(ordinal).unwrap_or(u32::MAX));
        }
    }
}

/// The last block of a segment that is written on.
fn continued((base, entries, bytes): (EntryId, u64, u64)) -> Block {
    let entries = u32::try_from(entries).unwrap_or(u32::MAX);
    Block { base, entries, bytes, open: true }
}

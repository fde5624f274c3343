//! A stream's directory into a [`Log`] and a report: which frames are the stream, where it ends.
//!
//! The rules (invariants 4 and 11 of the crate's design):
//! * Segments form a chain: each one's Begin names the one before and where that one ended. The
//!   chain that ends in the highest number is the stream; segments beside it are leftovers of a
//!   recovery or of a roll that did not last, and are set aside where they lie.
//! * What the frames prove to be durable is a position. The first bad frame at or above it is a
//!   torn tail: the log ends there, and later segments are set aside whole. A bad frame below it is
//!   damage: refused, or stepped over and reported; never cut.
//! * A segment with which the log was restarted counts only if the journal names it, and then it
//!   must be there. What lies before it counts up to its last ID.
//! * A segment is continued only if everything behind its last frame is zero. Otherwise it ends at
//!   the cut, and the next append begins another segment, whose Begin records that end.
//! * Nothing is believed before it is synced, and what lies above the durable position is stored
//!   once more first (the same bytes in the same places): a sync that failed in an earlier life has
//!   made the kernel forget that those pages differ from the disk.

use super::disk::{DiskFile, NameKind, OpenMode};
use super::log::{Block, Log, LogParts, Tail};
use super::scan::{Bounds, First, Scan, Window, next_frame, read_first};
use super::scan::{scan, scan_behind, was_durable};
use super::segment::{Home, Segment, SegmentParts, read_footer};
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::{Event, StoredOptions};
use crate::format::frame::Begin;
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::name;
use crate::id::EntryId;
use crate::planted;
use std::path::PathBuf;
use std::sync::Arc;

mod build;
mod candidate;
mod chain;
mod end;
mod headless;
mod report;
mod restart;
use candidate::{Candidate, Content};
use headless::Headless;
pub use report::{CutTail, Gap, StreamRecovery};

/// What the state journal and the options say about the stream that is recovered.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: Vec<u8>,
    pub(crate) options: StoredOptions,
    /// Entries up to and including this ID are gone.
    pub(crate) trimmed: EntryId,
    /// The segment with which the log was restarted last, as `StreamState` has it.
    pub(crate) restart: u64,
    pub(crate) restarted_at: EntryId,
    pub(crate) restart_unsure: bool,
    /// No ID at or below this is given again.
    pub(crate) floor: EntryId,
    /// The position up to which the log was durable once.
    pub(crate) durable: u64,
    pub(crate) skip_damage: bool,
    /// Nothing is written: not what is believed, and no entry later.
    pub(crate) read_only: bool,
}

/// A recovered stream.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) report: StreamRecovery,
    /// The last ID that the frames know.
    pub(crate) log_last_id: EntryId,
    /// What the journal should have said of the last restart.
    pub(crate) set_back: Option<Event>,
    /// Entries in segments without a footer have keys of producers.
    pub(crate) keyed: bool,
}

struct Recovery<'a> {
    home: &'a Home,
    known: Known,
    report: StreamRecovery,
    next_number: u64,
    /// The log goes on no lower than here.
    position: u64,
    /// Segments that are not part of the chain, with the restart that each belongs to.
    beside: Vec<(u64, PathBuf)>,
    /// Files that are removed once the rest is synced: empty ones, and those of before a restart.
    of_no_use: Vec<PathBuf>,
    /// Segments of which the beginning is damaged.
    headless: Vec<Headless>,
    /// Segments behind the end of the log were set aside. They name the place where theirs went on,
    /// so nothing may go on there again: the log continues in a new segment.
    later_aside: bool,
    /// The segment of the chain behind which the last restart lay, if that is lost.
    cut_at_restart: Option<usize>,
}

/// Recovers the stream in `home.dir`, which exists.
///
/// # Errors
/// `Corrupt` for damage that was not to be skipped; `Io`.
pub(crate) fn recover(home: &Home, known: &Known) -> Result<Recovered> {
    let report = StreamRecovery { name: known.name.clone(), ..StreamRecovery::default() };
    let mut recovery = Recovery {
        home,
        known: known.clone(),
        report,
        next_number: 0,
        position: 0,
        beside: Vec::new(),
        of_no_use: Vec::new(),
        headless: Vec::new(),
        later_aside: false,
        cut_at_restart: None,
    };
    let candidates = recovery.read_all()?;
    let candidates = recovery.decided(candidates);
    let set_back = recovery.find_restart(&candidates);
    let mut chain = recovery.pick_chain(candidates);
    let durable = recovery.durable(&chain);
    recovery.find_end(&mut chain, durable)?;
    let trimmed = recovery.trimmed(&chain);
    recovery.check_beginning(&chain, trimmed)?;
    recovery.check_restart(&chain)?;
    recovery.end_at_restart(&mut chain);
    recovery.clear_away();
    recovery.make_durable(&chain, durable)?;
    let is_keyed = |segment: &Candidate| match &segment.content {
        Content::Scanned(scan) => scan.keyed,
        Content::Sealed(_) => false,
    };
    let keyed = chain.iter().any(is_keyed);
    let (log, report, log_last_id) = recovery.build(chain, trimmed)?;
    Ok(Recovered { log, report, log_last_id, set_back, keyed })
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
                // The last number there is has no successor and is none of ours.
                Some((number, generation)) if kind == NameKind::File && number < u64::MAX => {
                    found.push((number, generation, path));
                }
                _ if kind == NameKind::File && name::is_left_over(text) => {
                    drop(self.home.disk.remove_file(&path));
                }
                _ => self.report.strays.push(path),
            }
        }
        found.sort();
        self.report.strays.sort();
        let step = u64::from(!planted::number_reused());
        self.next_number = found.last().map_or(0, |(number, ..)| number + step);
        // A restart that is lost keeps its number, which segments behind it name.
        let behind_restart = self.known.restart.checked_add(1).unwrap_or_default();
        if self.known.restart != 0 {
            self.next_number = self.next_number.max(behind_restart);
        }
        let mut candidates = Vec::new();
        for (number, generation, path) in found {
            if let Some(candidate) = self.read_one(number, generation, path)? {
                candidates.push(candidate);
            }
        }
        for headless in std::mem::take(&mut self.headless) {
            self.place(headless, &mut candidates)?;
        }
        Ok(candidates)
    }

    fn read_one(
        &mut self,
        number: u64,
        generation: u32,
        path: PathBuf,
    ) -> Result<Option<Candidate>> {
        let mode = if self.known.read_only { OpenMode::Read } else { OpenMode::Write };
        let open = self.home.disk.open(&path, mode);
        let file = open.map_err(|e| Error::io("open", &path, e))?;
        let mut window = Window::new(&*file, &path)?;
        let header = FileHeader::decode(window.get(0, FILE_HEADER as u64)?);
        // One that is another segment's of this stream tells that the rest is, too.
        let is_own = header.as_ref().is_ok_and(|header| self.is_own(header));
        let checked = header.and_then(|header| self.check_header(header, number, generation));
        let header = match checked {
            Ok(header) => header,
            Err(error) if self.keeps(&error) && !is_own => {
                return self.without_header(number, generation, path, &*file).map(|()| None);
            }
            Err(error) => {
                return self.unusable(error.at(&path).offset(0), path).map(|()| None);
            }
        };
        let seed = header.seed();
        let Some(first) = read_first(&mut window, seed)? else {
            return self.without_first(path, &*file, header).map(|()| None);
        };
        let content = match read_footer(&*file, seed) {
            Some(footer) => Content::Sealed(footer),
            None => {
                self.report.scanned_segments += 1;
                let bounds = Bounds::until(u64::MAX);
                Content::Scanned(Box::new(scan(&*file, &path, seed, &bounds)?))
            }
        };
        let disk = Arc::clone(&self.home.disk);
        Ok(Some(Candidate {
            number,
            path,
            disk,
            mode,
            header,
            seed,
            first,
            content,
            hurt: false,
            headless: None,
        }))
    }

    /// The first frame of a segment is not good.
    fn without_first(
        &mut self,
        path: PathBuf,
        file: &dyn DiskFile,
        header: FileHeader,
    ) -> Result<()> {
        let mut window = Window::new(file, &path)?;
        let (at, seed) = (FILE_HEADER as u64, header.seed());
        if window.nonzero_end(at)? == at {
            self.of_no_use.push(path);
            return Ok(());
        }
        let footer = read_footer(file, seed);
        if footer.is_none() && !was_durable(&mut window, seed, at)? {
            // The first frame never became whole, so nothing in it was known to be durable.
            self.report.set_aside.push(path);
            return Ok(());
        }
        if !self.known.skip_damage {
            let error = Error::corrupt("the first frame of the segment fails its checks");
            return Err(error.at(&path).offset(at));
        }
        let (first, certain) = (None, true);
        self.headless.push(Headless { path, header, seed, certain, first, footer });
        Ok(())
    }

    fn check_header(&self, header: FileHeader, number: u64, generation: u32) -> Result<FileHeader> {
        if !self.is_own(&header) || (header.number, header.generation) != (number, generation) {
            return Err(Error::corrupt("the segment belongs to another place or store"));
        }
        Ok(header)
    }

    /// Whether a header is that of a segment of this stream.
    fn is_own(&self, header: &FileHeader) -> bool {
        header.kind == FileKind::Segment
            && (header.uuid, header.stream) == (self.home.uuid, self.home.stream)
    }

    /// Whether an error is damage that is skipped.
    fn keeps(&self, error: &Error) -> bool {
        self.known.skip_damage && error.is_corruption()
    }

    /// A file with the name of a segment that is none.
    fn unusable(&mut self, error: Error, path: PathBuf) -> Result<()> {
        if !self.keeps(&error) {
            return Err(error);
        }
        self.set_aside_damaged(path);
        Ok(())
    }

    fn set_aside_damaged(&mut self, path: PathBuf) {
        self.report.damaged.push(path.clone());
        self.report.set_aside.push(path);
    }
}

//! One segment against itself: every frame, and what is written down of them elsewhere.
//!
//! Reads by `read_at`, so a failing disk gives an error and no signal; changes nothing and marks
//! nothing. What the segment's end is taken from is the log in memory: what is appended while this
//! runs is left out.

use super::disk::{DiskFile, OpenMode};
use super::scan::{Bounds, First, Scan, Window, read_first, scan_behind};
use super::segment::{Segment, read_footer};
use crate::error::{Error, Result};
use crate::format::footer::TRAILER;
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::id::EntryId;
use std::sync::atomic::Ordering;

/// Something that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) ids: Option<(EntryId, EntryId)>,
    pub(crate) what: &'static str,
}

impl Segment {
    /// Everything that is wrong with the segment's file; `next` is the segment behind it.
    ///
    /// # Errors
    /// `Io`, `TooManyFiles`.
    pub(crate) fn verify(&self, next: Option<&Segment>) -> Result<Vec<Fault>> {
        let end = self.end();
        let open = self.disk.open(&self.path, OpenMode::Read);
        let file = open.map_err(|e| Error::io("open", &self.path, e))?;
        let mut faults = Vec::new();
        let mut fault = |from, to, what| faults.push(Fault { from, to, ids: None, what });
        let header = FILE_HEADER as u64;
        let found = FileHeader::decode(Window::new(&*file, &self.path)?.get(0, header)?);
        if found.ok().as_ref() != Some(&self.header) {
            fault(0, header, "the file's header is not what it was");
        }
        let first = self.first_frame(&*file)?;
        // A segment that gets no more frames has its index, which tells more of what lies behind
        // damage; so do readers, and they step over the same frames.
        let still = self.sealed.load(Ordering::Acquire) && !self.holes.index_has_gaps();
        let index = still.then(|| self.index_copy());
        let bounds = Bounds {
            skip_below: end,
            stop: end,
            index: index.as_deref(),
            entries: still.then(|| self.entries()),
        };
        let chained = first.is_some();
        let first = first.unwrap_or_else(|| self.first());
        let found = scan_behind(&*file, &self.path, self.seed, first, &bounds)?;
        let whole = found.holes.is_empty() && chained;
        if found.holes.is_empty() && found.end < end {
            fault(found.end, end, "frames fail their checks");
        }
        if let Some(next) = next.filter(|next| whole && found.end == end && self.leads_to(next)) {
            let ascends = next.restarts() || next.begin.last_id >= found.last_id;
            let follows = ascends && next.begin.chain == found.chain;
            if !follows {
                fault(header, end, "the frames are not those that the next segment follows");
            }
        }
        // One that has grown since may have been finished since: its footer is of more frames.
        if whole
            && let Some((len, what)) = self.footer_fault(&*file, &found)?
            && self.end() == end
        {
            fault(end, len, what);
        }
        let holes = found.holes.iter().map(|hole| {
            let what = "frames fail their checks";
            Fault { from: hole.from, to: hole.to, ids: Some(hole.ids), what }
        });
        faults.extend(holes);
        if !chained {
            // One place with what is bad right behind it.
            let behind = faults.iter().position(|fault| fault.from == self.first_offset);
            let behind = behind.map(|n| faults.remove(n));
            let (to, ids) = behind.map_or((self.first_offset, None), |hole| (hole.to, hole.ids));
            let what = "the first frame is not what it was";
            faults.push(Fault { from: header, to, ids, what });
        }
        faults.sort_by_key(|fault| fault.from);
        Ok(faults)
    }

    /// What is wrong with the footer of a segment whose frames are good, and where the file ends.
    fn footer_fault(
        &self,
        file: &dyn DiskFile,
        found: &Scan,
    ) -> Result<Option<(u64, &'static str)>> {
        let mut window = Window::new(file, &self.path)?;
        let len = window.file_len();
        // A footer ends with the file, and nothing else reaches that far.
        let last = len.saturating_sub(TRAILER as u64).max(found.end);
        if window.nonzero_end(last)? == last {
            return Ok(None);
        }
        Ok(match read_footer(file, self.seed) {
            None => Some((len, "the footer fails its checks (the next opening scans)")),
            Some(footer) if !agrees(&footer, found) => {
                Some((len, "the footer does not say what the frames say"))
            }
            Some(_) => None,
        })
    }

    /// Whether `next` lies right behind this segment and has its first frame: what is made up in
    /// place of that has no chained checksum.
    fn leads_to(&self, next: &Segment) -> bool {
        let number = next.begin.previous.map(|(number, _)| number);
        number == Some(self.number()) && next.begin.chain != 0
    }

    /// The first frame as it is in the file; `None` if it is not what it was.
    fn first_frame(&self, file: &dyn DiskFile) -> Result<Option<First>> {
        let first = read_first(&mut Window::new(file, &self.path)?, self.seed)?;
        Ok(first.filter(|first| first.begin == self.begin))
    }
}

fn agrees(footer: &crate::format::footer::Footer, found: &Scan) -> bool {
    footer.end == found.end
        && footer.entries == found.entries
        && footer.chain == found.chain
        && footer.last_id >= found.last_id
        && footer.index == found.index
}

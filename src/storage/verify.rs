//! One segment against itself: every frame, and what is written down of them elsewhere.
//!
//! Reads by `read_at`, so a failing disk gives an error and no signal; changes nothing and marks
//! nothing. What the segment's end is taken from is the log in memory: what is appended while this
//! runs is left out.

use super::disk::OpenMode;
use super::scan::{Bounds, Scan, Window, scan};
use super::segment::{Segment, read_footer};
use crate::error::{Error, Result};
use crate::format::footer::TRAILER;
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::id::EntryId;

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
        let bounds = Bounds { skip_below: end, ..Bounds::until(end) };
        let found = scan(&*file, &self.path, self.seed, &bounds)?;
        if found.begin.as_ref() != Some(&self.begin) {
            fault(header, self.first_offset, "the first frame is not what it was");
        }
        if found.holes.is_empty() && found.end < end {
            fault(found.end, end, "frames fail their checks");
        }
        if let Some(next) = next.filter(|_| found.holes.is_empty() && found.end == end) {
            let ascends = next.restarts() || next.begin.last_id >= found.last_id;
            let follows = ascends && next.begin.chain == found.chain;
            if !follows {
                fault(header, end, "the frames are not those that the next segment follows");
            }
        }
        let mut window = Window::new(&*file, &self.path)?;
        let len = window.file_len();
        // A footer ends with the file, and nothing else reaches that far.
        let last = len.saturating_sub(TRAILER as u64);
        if found.holes.is_empty() && window.nonzero_end(last.max(end))? > last.max(end) {
            match read_footer(&*file, self.seed) {
                None => fault(end, len, "the footer fails its checks (the next opening scans)"),
                Some(footer) if !agrees(&footer, &found) => {
                    fault(end, len, "the footer does not say what the frames say");
                }
                Some(_) => {}
            }
        }
        for hole in &found.holes {
            let what = "frames fail their checks";
            faults.push(Fault { from: hole.from, to: hole.to, ids: Some(hole.ids), what });
        }
        faults.sort_by_key(|fault| fault.from);
        Ok(faults)
    }
}

fn agrees(footer: &crate::format::footer::Footer, found: &Scan) -> bool {
    footer.end == found.end
        && footer.entries == found.entries
        && footer.chain == found.chain
        && footer.last_id >= found.last_id
        && footer.index == found.index
}

//! The segment files of a stream, as recovery finds them.

use super::*;
use crate::storage::disk::Disk;

/// A segment file of the directory.
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// For opening it again: none of the files stays open, as there may be many.
    pub(super) disk: Arc<dyn Disk>,
    pub(super) mode: OpenMode,
    pub(super) header: FileHeader,
    pub(super) seed: u32,
    pub(super) first: First,
    pub(super) content: Content,
    /// Damage in it was skipped: nothing is written into it any more.
    pub(super) hurt: bool,
    /// Bytes at its beginning are damaged, up to here; what they said is known otherwise.
    pub(super) headless: Option<u64>,
}

pub(super) enum Content {
    Sealed(crate::format::footer::Footer),
    Scanned(Box<Scan>),
}

impl Candidate {
    pub(super) fn open(&self) -> Result<Arc<dyn DiskFile>> {
        self.disk.open(&self.path, self.mode).map_err(|e| Error::io("open", &self.path, e))
    }

    pub(super) fn begin(&self) -> &Begin {
        &self.first.begin
    }

    /// Walks the frames.
    pub(super) fn scan(&self, bounds: &Bounds<'_>) -> Result<Scan> {
        scan_behind(&*self.open()?, &self.path, self.seed, self.first.clone(), bounds)
    }

    /// Whether the log was restarted with this segment.
    pub(super) fn restarts(&self) -> bool {
        self.begin().restarts(self.number)
    }

    pub(super) fn end(&self) -> u64 {
        match &self.content {
            Content::Sealed(footer) => footer.end,
            Content::Scanned(scan) => scan.end,
        }
    }

    /// The highest position that this segment proves to be durable.
    pub(super) fn durable(&self) -> u64 {
        match &self.content {
            Content::Sealed(footer) => self.begin().position + footer.end,
            Content::Scanned(scan) => scan.durable,
        }
    }

    pub(super) fn trimmed(&self) -> EntryId {
        match &self.content {
            Content::Sealed(footer) => footer.trimmed,
            Content::Scanned(scan) => scan.trimmed,
        }
    }

    pub(super) fn entries(&self) -> u64 {
        match &self.content {
            Content::Sealed(footer) => footer.entries,
            Content::Scanned(scan) => scan.entries,
        }
    }

    /// The first ID that can be read in it, if there is one.
    pub(super) fn first_id(&self) -> Option<EntryId> {
        let index = match &self.content {
            Content::Sealed(footer) => &footer.index,
            Content::Scanned(scan) => &scan.index,
        };
        index.first().map(|block| block.id)
    }

    /// Where this segment ends as `next` says, if that is the one right behind it. In front of a
    /// restart there may have been others between the two.
    pub(super) fn end_by(&self, next: &Candidate) -> Option<u64> {
        let (number, end) = next.begin().previous?;
        if planted::any_chain() {
            return (self.number < next.number).then_some(end);
        }
        // Numbers never fall, and nothing ends within its first frame.
        if self.begin().ordinal > next.begin().ordinal || end < self.first.offset {
            return None;
        }
        let position = self.begin().position.checked_add(end)?;
        let near = position == next.begin().position;
        let far = next.restarts() && position < next.begin().position;
        (number == self.number && (near || far)).then_some(end)
    }

    /// Whether it can lie before `next` with other segments in between that are missing.
    pub(super) fn is_before(&self, next: &Candidate) -> bool {
        let begin = self.begin();
        self.number < next.number
            && begin.position.saturating_add(self.end()) <= next.begin().position
            && begin.ordinal.saturating_add(self.entries()) <= next.begin().ordinal
            && self.last_id_and_chain().0 <= next.begin().last_id
    }

    pub(super) fn last_id_and_chain(&self) -> (EntryId, u64) {
        match &self.content {
            Content::Sealed(footer) => (footer.last_id, footer.chain),
            Content::Scanned(scan) => (scan.last_id, scan.chain),
        }
    }
}

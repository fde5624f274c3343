//! What is known to be damaged in a stream: readers step over it, reports name it, lengths leave it
//! out.
//!
//! Recovery knows the holes of the segments that it scanned. Those of a segment with a footer are
//! looked for when a reader meets the first of them: then all of the segment is walked once, so
//! that every reader steps over the same frames, in both directions. An entry in a hole counts as
//! deleted from then on.

use super::recover::Gap;
use super::scan::{Bounds, First, Hole, scan_behind};
use super::segment::Body;
use crate::error::{Error, Result};
use crate::format::header::FILE_HEADER;
use crate::id::EntryId;
use crate::storage::disk::OpenMode;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The damage that was found in the segments of one stream.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    findings: AtomicU64,
    gaps: Mutex<Vec<Gap>>,
}

impl Damage {
    /// Grows with every finding, behind the marks that it left in the segments.
    pub(crate) fn findings(&self) -> u64 {
        self.findings.load(Ordering::Acquire)
    }

    /// All that was found so far, in the order of the files.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.gaps.lock().clone()
    }

    /// No entry above this ID is missing, as far as is known; `last` is the stream's last ID.
    pub(crate) fn highest(&self, last: EntryId) -> EntryId {
        let gaps = self.gaps.lock();
        let highest = gaps.iter().filter(|gap| gap.entries > 0).map(|gap| gap.before).max();
        highest.map_or(EntryId::MIN, |id| id.prev().unwrap_or_default().min(last))
    }

    /// Whether an entry with an ID up to this one may be missing.
    pub(crate) fn is_below(&self, id: EntryId) -> bool {
        self.gaps.lock().iter().any(|gap| gap.after < id)
    }

    pub(crate) fn add(&self, gap: Gap) {
        insert(&mut self.gaps.lock(), gap);
        self.marked();
    }

    /// The holes of a segment take the place of those that were known of it before.
    fn found(&self, path: &Path, holes: &[Hole]) {
        let mut gaps = self.gaps.lock();
        // What lies in front of the frames is no hole, nor is what is missing behind them.
        gaps.retain(|gap| {
            let empty = gap.from == gap.to && gap.entries == 0;
            gap.path != path || gap.from < FILE_HEADER as u64 || empty
        });
        for hole in holes {
            insert(&mut gaps, hole.gap(path));
        }
    }

    /// Has lengths counted anew.
    fn marked(&self) {
        self.findings.fetch_add(1, Ordering::Release);
    }
}

fn insert(gaps: &mut Vec<Gap>, gap: Gap) {
    let n = gaps.partition_point(|other| (&other.path, other.from) <= (&gap.path, gap.from));
    gaps.insert(n, gap);
}

impl Hole {
    pub(crate) fn gap(&self, path: &Path) -> Gap {
        Gap {
            path: path.to_owned(),
            from: self.from,
            to: self.to,
            after: self.ids.0,
            before: self.ids.1,
            entries: self.ordinals.1.saturating_sub(self.ordinals.0),
        }
    }
}

/// The holes of one segment.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    list: Mutex<Vec<Hole>>,
    /// So that readers of a whole segment need no lock.
    any: AtomicBool,
    /// The index was read from frames with damage among them, and lacks what that took.
    index_has_gaps: bool,
}

impl Holes {
    pub(crate) fn new(list: Vec<Hole>) -> Holes {
        let any = !list.is_empty();
        Holes { index_has_gaps: any, any: AtomicBool::new(any), list: Mutex::new(list) }
    }

    pub(super) fn index_has_gaps(&self) -> bool {
        self.index_has_gaps
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }
}

fn around(holes: &[Hole], at: u64) -> Option<Hole> {
    holes.iter().find(|hole| hole.from <= at && at < hole.to).copied()
}

impl Body {
    /// The hole that the frame at `at` lies in, of those that are known. Frames in a hole may well
    /// pass their own checks: what does not follow from the one before is in one, too.
    pub(crate) fn known_hole(&self, at: u64) -> Option<Hole> {
        if self.holes.is_empty() {
            return None;
        }
        around(&self.holes.list.lock(), at)
    }

    /// The hole that the frame at `at`, which does not pass its checks, lies in. The segment must
    /// get no more frames.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn hole_at(&self, at: u64) -> Result<Option<Hole>> {
        let mut list = self.holes.list.lock();
        if let Some(hole) = around(&list, at) {
            return Ok(Some(hole));
        }
        let open = self.disk.open(&self.path, OpenMode::Read);
        let file = open.map_err(|e| Error::io("open", &self.path, e))?;
        let index = self.index_copy();
        let bounds = Bounds {
            skip_below: self.end(),
            stop: self.end(),
            index: (!self.holes.index_has_gaps).then_some(&index),
            entries: Some(self.entries()),
        };
        *list = scan_behind(&*file, &self.path, self.seed, self.first(), &bounds)?.holes;
        // What is lost counts as deleted only once it is known why: a segment without a live entry
        // is removed.
        self.damage.found(&self.path, &list);
        self.mark_lost(&list);
        self.holes.any.store(!list.is_empty(), Ordering::Release);
        self.disk.step("lost entries marked");
        self.damage.marked();
        Ok(around(&list, at))
    }

    /// The first frame as it is known, whatever lies in its place; but for its checksum.
    pub(super) fn first(&self) -> First {
        First { begin: self.begin.clone(), offset: self.first_offset, chain: 0, durable: 0 }
    }

    /// What a hole swallowed counts as deleted, so that lengths come out right.
    pub(crate) fn mark_lost(&self, holes: &[Hole]) {
        for hole in holes {
            for ordinal in hole.ordinals.0..hole.ordinals.1 {
                self.delete(u32::try_from(ordinal).unwrap_or(u32::MAX));
            }
        }
    }
}

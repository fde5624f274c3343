//! What was found becomes a log, once it is durable.

use super::*;
use std::path::Path;

impl Recovery<'_> {
    /// Stores what lies above the durable position once more and syncs all that is believed.
    pub(super) fn make_durable(&mut self, chain: &[Candidate], durable: u64) -> Result<()> {
        if self.known.read_only {
            return Ok(());
        }
        for candidate in chain {
            let Content::Scanned(scan) = &candidate.content else {
                continue;
            };
            let base = candidate.begin().position;
            let from = durable.saturating_sub(base).max(FILE_HEADER as u64);
            let path = &candidate.path;
            let file = candidate.open()?;
            if from < scan.end && !planted::not_stored_again() {
                store_again(&*file, path, from, scan.end)?;
                // Of a closed log that was the Close frame alone: its own sync may have failed.
                self.report.rescued_bytes += if scan.closed { 0 } else { scan.end - from };
            }
            self.home.disk.step("recovery sync");
            let synced = planted::unless(planted::recovery_sync(), || file.sync());
            synced.map_err(|e| Error::io("sync", path, e))?;
        }
        for path in self.of_no_use.drain(..) {
            // What cannot be removed now is as useless the next time.
            drop(self.home.disk.remove_file(&path));
        }
        let dir = &self.home.dir;
        self.home.disk.sync_dir(dir).map_err(|e| Error::io("sync directory", dir, e))
    }

    /// The log, the report, and the last ID that the frames know.
    pub(super) fn build(
        mut self,
        chain: Vec<Candidate>,
        trimmed: EntryId,
    ) -> Result<(Log, StreamRecovery, EntryId)> {
        self.note_gaps(&chain);
        let mut tail = Tail::default();
        let mut chained = 0;
        let mut active = None;
        let mut block = None;
        let mut segments = Vec::new();
        let count = chain.len();
        let known = &self.known;
        let top = |n| restart::top_of(&chain, n, known, self.cut_at_restart);
        let tops: Vec<_> = (0..count).map(top).collect();
        for (n, candidate) in chain.into_iter().enumerate() {
            let (last_id, after) = candidate.last_id_and_chain();
            tail = Tail { last_id, ordinal: candidate.begin().ordinal + candidate.entries() };
            chained = after;
            let is_last = n + 1 == count;
            if is_last
                && (!self.later_aside || planted::later_aside())
                && !self.known.read_only
                && let Some((len, last_block)) = goes_on(&candidate)?
            {
                active = Some((candidate.open()?, len));
                block = last_block;
            }
            let segment = Arc::new(Segment::new(self.home, parts(candidate)));
            if let Some(top) = tops.get(n).copied().flatten() {
                restart::cut_above(&segment, top, self.known.skip_damage)?;
            }
            segments.push(segment);
        }
        let log_last_id = tail.last_id;
        // A footer may know of a trim that took entries which did not last.
        let trims = if planted::floor_without_trims() { EntryId::MIN } else { trimmed };
        tail.last_id = tail.last_id.max(self.known.floor).max(trims);
        self.report.set_aside.sort();
        self.report.damaged.sort();
        self.report.gaps = self.home.damage.gaps();
        let end = segments.last().map_or(0, |segment| segment.end_position());
        let parts = LogParts {
            position: self.position.max(end),
            segments,
            active,
            next_number: self.next_number,
            name: self.known.name.clone(),
            options: self.known.options,
            tail,
            top: log_last_id,
            trimmed,
            restart: self.known.restart,
            chain: chained,
            block,
            skip_damage: self.known.skip_damage,
        };
        Ok((Log::new(self.home.clone(), parts)?, self.report, log_last_id))
    }
}

fn store_again(file: &dyn DiskFile, path: &Path, from: u64, end: u64) -> Result<()> {
    let mut window = Window::new(file, path)?;
    let mut at = from;
    while at < end {
        let step = (end - at).min(64 << 10);
        let bytes = window.get(at, step)?;
        let bytes = bytes.get(..step as usize).unwrap_or_default();
        let stored = file.write_at(bytes, at);
        stored.map_err(|e| Error::io("write", path, e).offset(at))?;
        at += step;
    }
    Ok(())
}

/// The file's length and the last block of a segment that can be written on.
fn goes_on(candidate: &Candidate) -> Result<Option<(u64, Option<Block>)>> {
    match &candidate.content {
        Content::Scanned(scan)
            if (scan.nonzero_end <= scan.end || planted::nonzero_tail()) && !candidate.hurt =>
        {
            let len = candidate.open()?.len().map_err(|e| Error::io("stat", &candidate.path, e))?;
            Ok(Some((len, scan.last_block.map(continued))))
        }
        _ => Ok(None),
    }
}

fn parts(candidate: Candidate) -> SegmentParts {
    let (end, entries) = (candidate.end(), candidate.entries());
    let (index, has_footer, holes) = match candidate.content {
        Content::Sealed(footer) => (footer.index, true, Vec::new()),
        Content::Scanned(scan) => (scan.index, false, scan.holes),
    };
    SegmentParts {
        header: candidate.header,
        seed: candidate.seed,
        begin: candidate.first.begin,
        first_offset: candidate.first.offset,
        end,
        entries,
        index,
        // A footer is never written into a segment with damage in it.
        sealed: has_footer || candidate.hurt,
        holes,
    }
}

/// The last block of a segment that is written on.
fn continued((base, entries, bytes): (EntryId, u64, u64)) -> Block {
    let entries = u32::try_from(entries).unwrap_or(u32::MAX);
    Block { base, entries, bytes, open: true }
}

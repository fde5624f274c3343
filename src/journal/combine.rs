//! What the journal's files say together: the newest complete checkpoint, then every record behind
//! it, stream by stream.
//!
//! A record that is lost is missed by its number. The records behind it tell which streams it
//! changed, each of the one before it and some of many; these streams end before it, all others go
//! on. Only where no record is left that tells of it, the streams are uncertain that no later
//! record changed: it would name the one before it.

use super::Tail;
use super::last::LastRecords;
use super::load::File;
use crate::error::{Error, Result};
use crate::format::event::Event;
use crate::format::packed::Packed;
use crate::format::record::{CheckpointEnd, Close, LOST, Part, Record, Section, Superseded};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What the journal says.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The file before the one to which the next checkpoint goes, and the newest turn.
    pub(crate) slot: usize,
    pub(crate) turn: u64,
    pub(crate) next_record: u64,
    pub(crate) next_stream: u64,
    /// The last record of each stream.
    pub(crate) last: LastRecords,
    /// Each stream's events in order.
    pub(crate) events: BTreeMap<u64, Packed>,
    /// Streams of which a record or a section is missing; their events end before it.
    lost: HashSet<u64>,
    /// The last of the missing records of which nobody knows what it changed; 0 if there is none.
    unknown: u64,
    /// There were journal files, and nothing of them is left.
    pub(crate) gone: bool,
    /// Streams of which a record says that they were removed.
    pub(crate) removed: BTreeSet<u64>,
    /// The end of the newest file.
    pub(super) newest: Option<Tail>,
    /// Which of the files hold damage: their bytes are kept.
    pub(crate) damaged: BTreeSet<usize>,
    pub(crate) report: JournalRecovery,
}

/// What recovery found in the state journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalRecovery {
    /// A torn tail: the file, where its last good record ends, and how many bytes lie behind; none
    /// if the file itself is cut off there.
    pub cut: Option<(PathBuf, u64, u64)>,
    /// Files that held a damaged or unfinished checkpoint, with where it fails.
    pub skipped: Vec<(PathBuf, u64)>,
    /// Those of them whose checkpoint never became complete, which is what a crash in the middle of
    /// one leaves and no damage.
    pub unfinished: Vec<PathBuf>,
    /// Damaged stretches between records.
    pub gaps: Vec<(PathBuf, u64)>,
    /// The numbers of the records that are missing.
    pub missing: Vec<RangeInclusive<u64>>,
    /// How many records were applied.
    pub records: u64,
    /// Damaged files of the journal that lie beside it under names of their own, whenever they were
    /// set aside: it took others in their places. Nothing reads them any more, and nobody removes
    /// them but the owner of the store.
    pub set_aside: Vec<PathBuf>,
}

impl Loaded {
    /// Whether a part of a stream's state is missing for certain.
    pub(crate) fn has_lost(&self, stream: u64) -> bool {
        self.lost.contains(&stream)
    }

    /// Whether a part may be missing, for all that anybody can tell.
    pub(crate) fn may_have_lost(&self, stream: u64) -> bool {
        self.last_of(stream) < self.unknown
    }

    /// Whether there may be streams of which the journal knows nothing.
    pub(crate) fn has_holes(&self) -> bool {
        self.gone || self.unknown > 0
    }

    /// Takes in that a newer file cannot be read: nobody knows what changed since.
    pub(super) fn go_back_before(&mut self, lost: &Superseded) {
        self.turn = self.turn.max(lost.turn);
        self.next_record = self.next_record.max(lost.next_record);
        self.forget_ends();
    }

    /// Takes in that any stream may have changed since.
    pub(super) fn forget_ends(&mut self) {
        self.unknown = u64::MAX;
    }

    fn last_of(&self, stream: u64) -> u64 {
        self.last.get(&stream).copied().unwrap_or(0)
    }
}

/// The newest complete checkpoint and all records behind it, from its own file and newer ones.
pub(super) fn combine(files: Vec<File>, skip_damage: bool) -> Result<Loaded> {
    let mut loaded = Loaded { next_record: 1, next_stream: 1, ..Loaded::default() };
    // A damaged checkpoint is better than none.
    let whole = files.iter().position(File::is_whole);
    let Some(base) = whole.or_else(|| files.iter().position(|file| file.end.is_some())) else {
        let Some(newest) = files.first() else {
            return Ok(loaded);
        };
        if files.iter().any(|file| file.turn > 1 || file.was_complete()) {
            if skip_damage {
                loaded.gone = true;
                (loaded.slot, loaded.turn) = (newest.slot, newest.turn);
                loaded.report.skipped = files.into_iter().map(|f| (f.path, f.stop)).collect();
                return Ok(loaded);
            }
            let what = "no journal file has a complete checkpoint";
            return Err(Error::corrupt(what).at(&newest.path).offset(newest.stop));
        }
        // The very first checkpoint never became whole: nothing was ever promised. The next one
        // takes its place, as there is one file of a turn.
        loaded.slot = (newest.slot + 2) % 3;
        return Ok(loaded);
    };
    loaded.turn = files.first().map_or(0, |file| file.turn);
    loaded.slot = (next_slot(&files, base) + 2) % 3;
    let (mut records, mut ends, mut first) = (Vec::new(), Vec::new(), 1);
    for (n, file) in files.into_iter().enumerate().take(base + 1) {
        loaded.note_file(&file, n < base);
        if !file.was_complete() {
            continue;
        }
        if let Some(end) = &file.end {
            loaded.next_stream = loaded.next_stream.max(end.next_stream);
            loaded.next_record = loaded.next_record.max(end.next_record);
            if n == base {
                first = end.first_record;
                loaded.take_sections(file.sections, end);
            }
        }
        records.extend(file.records);
        ends.extend(file.closed);
    }
    records.sort_by_key(|record| record.number);
    records.dedup_by_key(|record| record.number);
    loaded.note_missing(&records, &ends, first);
    loaded.apply(records, &ends, first);
    Ok(loaded)
}

/// Where the next checkpoint goes: not over a file whose records are believed, and otherwise over
/// the oldest, so that the newest are there to make good what is damaged in one of them.
fn next_slot(files: &[File], base: usize) -> usize {
    let unread = (0..3).find(|slot| files.iter().all(|file| file.slot != *slot));
    let oldest = files.iter().skip(base + 1).map(|file| file.slot).next_back();
    unread.or(oldest).or(files.first().map(|file| file.slot)).unwrap_or(0)
}

impl Loaded {
    fn note_file(&mut self, file: &File, skipped: bool) {
        let report = &mut self.report;
        if skipped {
            report.skipped.push((file.path.clone(), file.stop));
        }
        if skipped && !file.was_complete() {
            report.unfinished.push(file.path.clone());
        }
        if file.is_cut() {
            let bytes = file.nonzero_end.saturating_sub(file.stop);
            report.cut = Some((file.path.clone(), file.stop, bytes));
        }
        report.gaps.extend(file.gaps.iter().map(|at| (file.path.clone(), *at)));
    }

    fn take_sections(&mut self, sections: Vec<Section>, end: &CheckpointEnd) {
        let mut left: HashMap<u64, u64> = end.sections.iter().copied().collect();
        for section in sections {
            let stream = section.stream;
            match left.get_mut(&stream) {
                Some(left) if *left > 0 => *left -= 1,
                // One more than there were.
                _ => drop(self.lost.insert(stream)),
            }
            if section.covers == LOST {
                self.lost.insert(stream);
            } else {
                self.last.insert(stream, section.covers);
                self.next_record = self.next_record.max(section.covers + 1);
            }
            self.events.entry(stream).or_default().extend(&section.events);
        }
        for (stream, _) in left.into_iter().filter(|(_, left)| *left > 0) {
            self.lost.insert(stream);
            // A group without a part of its pending list would pass entries over.
            if let Some(events) = self.events.get_mut(&stream) {
                let kept = events.iter().filter(|event| {
                    use Event::{Durable, StreamCreated, Trimmed};
                    matches!(event, StreamCreated { .. } | Trimmed { .. } | Durable { .. })
                });
                *events = kept.collect();
            }
        }
    }

    /// Records are numbered without a gap, so that one that is gone is missed.
    fn note_missing(&mut self, records: &[Record], ends: &[Close], first: u64) {
        let mut next = first;
        let upto = ends.iter().map(|end| end.next_record).max().unwrap_or(0);
        let upto = upto.max(self.next_record);
        for number in records.iter().map(|record| record.number).chain([upto]) {
            if number > next {
                self.report.missing.push(next..=number - 1);
            }
            next = next.max(number + 1);
        }
        self.next_record = upto;
        // From which number on all are told of, seen from behind.
        let of_records = records.iter().map(|record| (record.number, record.before.reach));
        let of_ends = ends.iter().map(|end| (end.next_record, end.before.reach));
        let told = of_records.chain(of_ends).map(|(number, reach)| (number, number - reach));
        let mut told: Vec<(u64, u64)> = told.collect();
        told.sort_unstable();
        let mut from = u64::MAX;
        for gap in self.report.missing.iter().rev() {
            while let Some((_, first)) = told.pop_if(|(number, _)| *number > *gap.end()) {
                from = from.min(first);
            }
            let untold = from.min(gap.end() + 1);
            if untold > *gap.start() {
                self.unknown = self.unknown.max(untold - 1);
            }
        }
    }

    fn apply(&mut self, records: Vec<Record>, ends: &[Close], first: u64) {
        for record in records {
            self.next_record = self.next_record.max(record.number + 1);
            for (stream, changed) in record.before.changed {
                self.told(stream, changed, first);
            }
            for part in record.parts {
                self.apply_part(record.number, part);
            }
        }
        for end in ends {
            for (stream, changed) in &end.before.changed {
                self.told(*stream, *changed, first);
            }
        }
    }

    /// Takes in that `changed` was the last record of a stream, up to where that is told.
    fn told(&mut self, stream: u64, changed: u64, first: u64) {
        self.next_stream = self.next_stream.max(stream + 1);
        // What changed before the first record and has no section was removed. From there on the
        // record is missing, or it would be the last one by now.
        let missing = changed >= first && changed > self.last_of(stream);
        if missing && !self.removed.contains(&stream) {
            self.lost.insert(stream);
        }
    }

    fn apply_part(&mut self, number: u64, part: Part) {
        let stream = part.stream;
        self.next_stream = self.next_stream.max(stream + 1);
        let last = self.last_of(stream);
        if number <= last {
            return;
        }
        // A stream whose chain is interrupted stops here; the others go on.
        if self.lost.contains(&stream) || part.previous != last {
            self.lost.insert(stream);
            self.rename_lost(stream, &part.events);
            return;
        }
        self.last.insert(stream, number);
        self.report.records += 1;
        // Numbers are not given anew.
        if self.removed.contains(&stream) {
            return;
        }
        self.events.entry(stream).or_default().extend(&part.events);
        if part.events.removes_the_stream() {
            self.remove(stream);
        }
    }

    /// What was decided about a stream as a whole holds whatever is missing of its state.
    fn rename_lost(&mut self, stream: u64, events: &Packed) {
        for event in events.iter() {
            match event {
                Event::StreamRemoved => self.remove(stream),
                Event::StreamRenamed { .. } => {
                    if let Some(known) = self.events.get_mut(&stream) {
                        known.push(&event);
                    }
                }
                _ => {}
            }
        }
    }

    fn remove(&mut self, stream: u64) {
        self.events.remove(&stream);
        self.lost.remove(&stream);
        self.removed.insert(stream);
    }
}

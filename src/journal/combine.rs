//! What the journal's files say together: the newest complete checkpoint, then every record behind
//! it, stream by stream.

use super::load::File;
use crate::error::{Error, Result};
use crate::format::event::Event;
use crate::format::record::{LOST, Record, Section};
use std::collections::{BTreeMap, HashMap};
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

/// The newest complete checkpoint and all records behind it, from its own file and newer ones.
pub(super) fn combine(files: Vec<File>, skip_damage: bool) -> Result<Loaded> {
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
        // Without an end mark its records are copies, and those before them may have been torn off
        // the file that they were copied from. A gap was durable once, so the mark was there.
        if file.end.is_some() || !file.gaps.is_empty() {
            records.extend(file.records);
        }
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

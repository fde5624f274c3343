//! The recovery report as text: one line for each thing that was found and done.

use super::{ClampedGroup, RecoveryReport};
use crate::journal::JournalRecovery;
use std::fmt;

/// Writes things with a line break between them.
struct Lines<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    any: bool,
}

impl Lines<'_, '_> {
    fn add(&mut self, line: fmt::Arguments<'_>) -> fmt::Result {
        if std::mem::replace(&mut self.any, true) {
            self.f.write_str("\n")?;
        }
        self.f.write_fmt(line)
    }

    /// Each line of a text that may have none.
    fn add_all(&mut self, text: &str) -> fmt::Result {
        text.lines().try_for_each(|line| self.add(format_args!("{line}")))
    }
}

/// One line for each thing that was found and done: the file, the place in it, the IDs, and what
/// became of it. "nothing was to be done" if there was none.
impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines { f, any: false };
        if let Some(from) = &self.uuid_from {
            let from = from.display();
            lines.add(format_args!(
                "the STORE file could not be read; which store this is was taken from {from}"
            ))?;
        }
        lines.add_all(&self.journal.to_string())?;
        let streams = [
            (&self.adopted, "taken in from its directory, as no record of its creation is left"),
            (&self.lost, "records of its groups, deletions and trims are missing"),
            (&self.uncertain, "records of its groups, deletions and trims may be missing"),
        ];
        for (names, what) in streams {
            for name in names {
                lines.add(format_args!("stream \"{}\": {what}", name.escape_ascii()))?;
            }
        }
        for stream in &self.streams {
            lines.add_all(&stream.to_string())?;
        }
        for group in &self.clamped {
            lines.add(format_args!("{group}"))?;
        }
        for path in &self.strays {
            lines.add(format_args!("not the store's, and left alone: {}", path.display()))?;
        }
        match lines.any {
            true => Ok(()),
            false => lines.add(format_args!("nothing was to be done")),
        }
    }
}

/// One line for each thing that was found; nothing if there was none.
impl fmt::Display for JournalRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines { f, any: false };
        if let Some((path, at, bytes)) = &self.cut {
            let path = path.display();
            lines.add(format_args!(
                "state journal: a torn tail of {bytes} bytes was cut: {path} at byte {at}"
            ))?;
        }
        for (path, at) in &self.skipped {
            let what = if self.unfinished.contains(path) { "unfinished" } else { "damaged" };
            let path = path.display();
            lines.add(format_args!(
                "state journal: the {what} checkpoint was passed over: {path} at byte {at}"
            ))?;
        }
        for (path, at) in &self.gaps {
            let path = path.display();
            lines.add(format_args!(
                "state journal: a damaged stretch was stepped over: {path} at byte {at}"
            ))?;
        }
        for numbers in &self.missing {
            let (first, last) = (numbers.start(), numbers.end());
            lines.add(format_args!("state journal: the records {first} to {last} are missing"))?;
        }
        for path in &self.set_aside {
            let path = path.display();
            lines.add(format_args!("state journal: a damaged file was set aside: {path}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for ClampedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClampedGroup { stream, group, from, to, dropped } = self;
        let (stream, group) = (stream.escape_ascii(), group.escape_ascii());
        write!(
            f,
            "stream \"{stream}\": the group \"{group}\" was taken back from {from} to {to}, as its \
             stream ends there, and {dropped} pending entries were dropped"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryId;
    use crate::storage::recover::{CutTail, Gap, StreamRecovery};

    fn id(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    fn gap(from: u64, to: u64, before: EntryId, entries: u64) -> Gap {
        Gap { path: "d/0.seg".into(), from, to, after: id(5), before, entries }
    }

    #[test]
    fn an_empty_report_says_so() {
        let report = RecoveryReport::default();
        assert_eq!(report.to_string(), "nothing was to be done");
        // Not what is true of every opening.
        let stream = StreamRecovery { scanned_segments: 1, ..StreamRecovery::default() };
        let report = RecoveryReport { streams: vec![stream], ..report };
        assert_eq!(report.to_string(), "nothing was to be done");
        assert_eq!(report.journal.to_string(), "");
    }

    #[test]
    fn each_thing_has_a_line() {
        let journal = JournalRecovery {
            cut: Some(("s/1".into(), 400, 30)),
            skipped: vec![("s/0".into(), 128), ("s/2".into(), 160)],
            unfinished: vec!["s/2".into()],
            gaps: vec![("s/1".into(), 200)],
            missing: vec![5..=7],
            records: 9,
            set_aside: vec!["s/0.1".into()],
        };
        let tail = CutTail { path: "d/1.seg".into(), offset: 9, bytes: 4, frames_behind: true };
        let stream = StreamRecovery {
            name: b"a\n".to_vec(),
            cut: Some(tail),
            set_aside: vec!["d/2.seg".into(), "d/3.seg".into()],
            damaged: vec!["d/3.seg".into()],
            gaps: vec![gap(128, 200, id(9), 3), gap(0, 0, EntryId::MAX, 0)],
            strays: vec!["d/x".into()],
            rescued_bytes: 64,
            scanned_segments: 1,
        };
        let clamped = ClampedGroup {
            stream: b"s".to_vec(),
            group: b"g".to_vec(),
            from: id(9),
            to: id(7),
            dropped: 2,
        };
        let report = RecoveryReport {
            journal,
            streams: vec![stream],
            adopted: vec![b"n".to_vec()],
            lost: vec![b"l".to_vec()],
            uncertain: vec![b"u".to_vec()],
            clamped: vec![clamped],
            uuid_from: Some("s/0".into()),
            strays: vec!["letter".into()],
            took: std::time::Duration::ZERO,
        };
        let lines = [
            "the STORE file could not be read; which store this is was taken from s/0",
            "state journal: a torn tail of 30 bytes was cut: s/1 at byte 400",
            "state journal: the damaged checkpoint was passed over: s/0 at byte 128",
            "state journal: the unfinished checkpoint was passed over: s/2 at byte 160",
            "state journal: a damaged stretch was stepped over: s/1 at byte 200",
            "state journal: the records 5 to 7 are missing",
            "state journal: a damaged file was set aside: s/0.1",
            "stream \"n\": taken in from its directory, as no record of its creation is left",
            "stream \"l\": records of its groups, deletions and trims are missing",
            "stream \"u\": records of its groups, deletions and trims may be missing",
            "stream \"a\\n\": a torn tail of 4 bytes was cut, with whole frames in it: d/1.seg at \
             byte 9",
            "stream \"a\\n\": a segment that is no part of it was set aside: d/2.seg",
            "stream \"a\\n\": a damaged segment was set aside: d/3.seg",
            "stream \"a\\n\": damage was skipped, 3 entries between 5-0 and 9-0: d/0.seg, \
             bytes 128 to 200",
            "stream \"a\\n\": segments are missing, entries behind 5-0: d/0.seg",
            "stream \"a\\n\": 64 bytes were kept that may not have been on disk",
            "stream \"a\\n\": not the store's, and left alone: d/x",
            "stream \"s\": the group \"g\" was taken back from 9-0 to 7-0, as its stream ends \
             there, and 2 pending entries were dropped",
            "not the store's, and left alone: letter",
        ];
        assert_eq!(report.to_string(), lines.join("\n"));
    }
}

//! Findings of what is known to be missing or damaged: by recovery, and by readers since.

use super::*;
use crate::storage::cursor::Span;
use crate::storage::log::Log;
use crate::storage::recover::Gap;

/// The findings in a stream's segments, and the gaps that none of them tells of. What the gap knows
/// besides is added to those that do.
pub(super) fn with_gaps(
    name: &[u8],
    log: &Log,
    span: &Span,
    mut found: Vec<Finding>,
) -> Vec<Finding> {
    for gap in log.home.damage.gaps() {
        // All of that is gone by now, whatever it was.
        if gap.before <= span.trimmed {
            continue;
        }
        let is_segment = gap.path != log.home.dir;
        let ids = Some((gap.after, gap.before));
        let mut told = false;
        for finding in found.iter_mut().filter(|finding| finding.tells_of(&gap)) {
            told = true;
            finding.ids = finding.ids.or(ids);
        }
        if !told {
            found.push(Finding {
                stream: Some(name.to_owned()),
                bytes: is_segment.then_some((gap.from, gap.to)),
                ids,
                what: gap.what(),
                path: Some(gap.path),
            });
        }
    }
    found
}

impl Gap {
    fn what(&self) -> String {
        match (self.from == self.to, self.entries) {
            (true, 0) => "segments are missing".to_owned(),
            (true, n) => format!("segments with {n} entries are missing"),
            (false, _) => "frames fail their checks".to_owned(),
        }
    }
}

impl Finding {
    fn tells_of(&self, gap: &Gap) -> bool {
        let (from, to) = self.bytes.unwrap_or_default();
        self.path.as_ref() == Some(&gap.path) && from < gap.to && gap.from < to
    }

    fn is_at(&self, path: &Path, at: u64) -> bool {
        let at = |(from, to): (u64, u64)| from == at || (from <= at && at < to);
        self.path.as_deref() == Some(path) && self.bytes.is_some_and(at)
    }
}

/// Something in a file that is no stream's.
pub(super) fn of_store(path: &Path, bytes: Option<(u64, u64)>, what: impl Into<String>) -> Finding {
    Finding { stream: None, path: Some(path.to_owned()), bytes, ids: None, what: what.into() }
}

impl Store {
    /// Adds what the report tells of damage. What a crash leaves is none. Streams that are
    /// `refused` were told of.
    pub(super) fn add_known(
        &self,
        recovery: &RecoveryReport,
        refused: &[Vec<u8>],
        findings: &mut Vec<Finding>,
    ) {
        for stream in &recovery.streams {
            let what = "the segment was set aside: its beginning cannot be read, or is another's";
            let aside = stream.damaged.iter().map(|path| of_store(path, None, what));
            let stream = Some(stream.name.clone());
            findings.extend(aside.map(|found| Finding { stream: stream.clone(), ..found }));
        }
        let (journal, state) = (&recovery.journal, self.shared().dir.join(name::STATE));
        let skipped = journal.skipped.iter().filter(|(path, _)| !journal.unfinished.contains(path));
        let skipped = skipped.map(|place| (place, "the checkpoint of the journal file is damaged"));
        let gaps = journal.gaps.iter();
        let gaps = gaps.map(|place| (place, "a record of the state journal fails its checks"));
        for ((path, at), what) in gaps.chain(skipped) {
            if !findings.iter().any(|finding| finding.is_at(path, *at)) {
                findings.push(of_store(path, Some((*at, *at)), what));
            }
        }
        for numbers in &journal.missing {
            let (first, last) = (numbers.start(), numbers.end());
            let what = format!("the records {first} to {last} of the state journal are missing");
            findings.push(of_store(&state, None, what));
        }
        let lost = recovery.lost.iter().map(|name| (name, "are"));
        let unsure = recovery.uncertain.iter().map(|name| (name, "may be"));
        for (name, are) in lost.chain(unsure).filter(|(name, _)| !refused.contains(name)) {
            let what = format!(
                "records of the state journal {are} missing: groups, deletions and trims may be \
                 those of before"
            );
            let stream = Some(name.clone());
            findings.push(Finding { stream, ..of_store(&state, None, what) });
        }
    }
}

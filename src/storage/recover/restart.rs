//! Which segments of a directory count once a log has been restarted with lower IDs.
//!
//! A restart is a segment that is durable before the journal names it, and that counts only if the
//! journal does. So a segment of a later restart than the journal's was never decided on, and the
//! journal's own must be there, or a segment behind it.

use super::*;
use crate::format::frame::ALIGN;
use crate::storage::cursor::Span;
use std::cmp::Reverse;

impl Recovery<'_> {
    /// Sets segments aside whose restart did not take place.
    pub(super) fn decided(&mut self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let (known, unsure) = (self.known.restart, self.known.restart_unsure);
        // Where nobody knows, one behind which the old segments went on was not decided on.
        let overtaken = |number: u64| {
            candidates.iter().filter(|restart| restart.number == number).any(|restart| {
                candidates.iter().any(|old| {
                    old.begin().restart < number
                        && old.begin().position + old.end() > restart.begin().position
                })
            })
        };
        let undecided = |segment: &Candidate| {
            let restart = segment.begin().restart;
            restart > known && (!unsure || overtaken(restart))
        };
        let aside: Vec<bool> = candidates.iter().map(undecided).collect();
        let mut left = Vec::new();
        for (candidate, aside) in candidates.into_iter().zip(aside) {
            match aside {
                true => self.report.set_aside.push(candidate.path),
                false => left.push(candidate),
            }
        }
        left
    }

    /// Where the journal is not sure, the segments tell the last restart. Returns its record, which
    /// counts from here on.
    pub(super) fn find_restart(&mut self, decided: &[Candidate]) -> Option<Event> {
        let known = &mut self.known;
        if !known.restart_unsure {
            return None;
        }
        let later = decided.iter().filter(|segment| segment.begin().restart > known.restart);
        // The first segment of the last one: what lies before it is gone, or not above its ID.
        let found = later.min_by_key(|segment| (Reverse(segment.begin().restart), segment.number));
        let to = found.map_or(EntryId::MAX, |segment| segment.begin().last_id);
        let restart = found.map_or(known.restart, |segment| segment.begin().restart);
        if restart != known.restart {
            known.restarted_at = to;
        }
        (known.restart, known.trimmed) = (restart, known.trimmed.min(to));
        Some(Event::SetBack { to, restart })
    }

    /// The log goes on behind its last restart, which was durable before the journal said so.
    pub(super) fn check_restart(&mut self, chain: &[Candidate]) -> Result<()> {
        let last = chain.last();
        if self.known.restart == last.map_or(0, |last| last.begin().restart) {
            return Ok(());
        }
        let path = last.map_or(&self.home.dir, |last| &last.path);
        let after = last.map_or(EntryId::MIN, |last| last.last_id_and_chain().0);
        let before = EntryId::MAX;
        if !self.known.skip_damage {
            let what = "the segments since the last ID was set back are missing";
            let error = ErrorKind::Corrupt { what, ids: Some((after, before)) };
            return Err(Error::new(error).at(path));
        }
        let from = last.map_or(0, Candidate::end);
        let gap = Gap { path: path.clone(), from, to: from, after, before, entries: 0 };
        self.home.damage.add(gap);
        Ok(())
    }

    /// Without the last restart, which is lost, what it cut off does not come back.
    pub(super) fn end_at_restart(&mut self, chain: &mut Vec<Candidate>) {
        let Known { restart, restarted_at: top, .. } = self.known;
        let is_there = |segment: &Candidate| segment.number == restart;
        if !self.known.skip_damage || restart == 0 || chain.iter().any(is_there) {
            return;
        }
        let old = chain.partition_point(|segment| segment.begin().restart < restart);
        let kept = chain[..old].partition_point(|segment| segment.begin().last_id < top);
        let end = chain.iter().map(|segment| segment.begin().position + segment.end()).max();
        let end = end.unwrap_or(0).max(self.known.durable);
        // What is appended does not follow on what is left, so that the gap is seen from now on.
        self.position = self.position.max(end + ALIGN);
        let dead = chain.drain(kept..old);
        self.report.set_aside.extend(dead.map(|segment| segment.path));
        self.cut_at_restart = kept.checked_sub(1);
        self.later_aside |= kept == chain.len();
    }

    /// What becomes of the segments beside the chain: those of before the last restart are dead, as
    /// the chain is whole without them, and are removed like trimmed ones. Others stay in place,
    /// and so do all where damage may be the reason why they are not in the chain.
    pub(super) fn clear_away(&mut self) {
        let whole = !self.known.restart_unsure && !self.known.skip_damage;
        for (restart, path) in std::mem::take(&mut self.beside) {
            match whole && restart < self.known.restart {
                true => self.of_no_use.push(path),
                false => self.report.set_aside.push(path),
            }
        }
    }
}

/// The highest ID that counts of this segment of a chain, where a restart lies right behind it.
pub(super) fn top_of(
    chain: &[Candidate],
    n: usize,
    known: &Known,
    lost: Option<usize>,
) -> Option<EntryId> {
    if lost == Some(n) {
        return Some(known.restarted_at);
    }
    chain.get(n + 1).filter(|next| next.restarts()).map(|next| next.begin().last_id)
}

/// Hides the entries that lie above an ID.
pub(super) fn cut_above(segment: &Arc<Segment>, top: EntryId, skip_damage: bool) -> Result<()> {
    if let Some(from) = Span::first_above(segment, top, skip_damage)? {
        segment.cut_off(from);
    }
    Ok(())
}

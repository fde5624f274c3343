//! Which segments are the stream: the chain that ends in the highest number.

use super::*;

/// The chain that ends in the highest number, and the segments that are not part of it; both oldest
/// first.
fn follow_back(candidates: Vec<Candidate>) -> (Vec<Candidate>, Vec<Candidate>) {
    let (mut chain, mut beside): (Vec<Candidate>, Vec<Candidate>) = Default::default();
    for candidate in candidates.into_iter().rev() {
        if chain.last().is_none_or(|next| candidate.end_by(next).is_some()) {
            chain.push(candidate);
        } else {
            beside.push(candidate);
        }
    }
    chain.reverse();
    beside.reverse();
    (chain, beside)
}

impl Recovery<'_> {
    /// The segments that follow from the highest number backwards, oldest first. A chain that lost
    /// its beginning before that was durable (two rolls without a sync between them, and the first
    /// of the new segments is torn) ends the log no less than a torn frame does: it is set aside,
    /// and the next highest number is tried.
    ///
    /// Where damage has swallowed records of the stream, all chains may seem to have: what told
    /// that their beginnings were durable, and trimmed, is lost. Then the newest one is the log.
    pub(super) fn pick_chain(&mut self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        let mut hanging: Vec<Vec<Candidate>> = Vec::new();
        let (chain, mut beside) = loop {
            let (chain, beside) = follow_back(candidates);
            if !self.hangs(&chain) {
                break (chain, beside);
            }
            hanging.push(chain);
            candidates = beside;
        };
        let unsure = self.known.skip_damage && self.known.restart_unsure;
        let chain = if chain.is_empty() && unsure && !hanging.is_empty() {
            let newest = hanging.remove(0);
            beside = hanging.drain(..).flatten().collect();
            beside.sort_by_key(|candidate| candidate.number);
            newest
        } else {
            chain
        };
        self.later_aside |= !hanging.is_empty();
        let aside = hanging.into_iter().flatten().map(|segment| segment.path);
        self.report.set_aside.extend(aside);
        self.finish_chain(chain, beside)
    }

    fn finish_chain(
        &mut self,
        mut chain: Vec<Candidate>,
        mut beside: Vec<Candidate>,
    ) -> Vec<Candidate> {
        if self.known.skip_damage {
            self.join_older(&mut chain, &mut beside);
        }
        self.beside = beside.into_iter().map(|s| (s.begin().restart, s.path)).collect();
        chain
    }

    /// Whether the beginning of a chain was lost before that was durable.
    fn hangs(&self, chain: &[Candidate]) -> bool {
        // Segments go for a trim once the journal says that the log is durable up to where the rest
        // begins. The trim alone tells nothing: the IDs up to it may be those of entries that an
        // earlier recovery did not find.
        let hangs = chain.first().is_some_and(|oldest| {
            !begins_at(oldest, EntryId::MIN) && self.durable(chain) < oldest.begin().position
        });
        hangs && !planted::hanging_chain()
    }

    /// Up to where entries are gone: as the journal, the frames and the footers say.
    pub(super) fn trimmed(&self, chain: &[Candidate]) -> EntryId {
        let told = chain.iter().map(Candidate::trimmed).filter(|_| !planted::frame_trims());
        told.fold(self.known.trimmed, EntryId::max)
    }

    /// The position up to which the log was durable, as the journal and the frames say.
    pub(super) fn durable(&self, chain: &[Candidate]) -> u64 {
        chain.iter().map(Candidate::durable).fold(self.known.durable, u64::max)
    }

    /// Whether nothing can be missing before `oldest`. What lies before may have been trimmed.
    fn is_beginning(&self, oldest: &Candidate, chain: &[Candidate]) -> bool {
        begins_at(oldest, self.trimmed(chain))
    }

    /// Puts segments in front of a chain whose beginning is missing, with a gap between.
    fn join_older(&self, chain: &mut Vec<Candidate>, beside: &mut Vec<Candidate>) {
        while let Some(oldest) = chain.first()
            && !self.is_beginning(oldest, chain)
            && let Some(n) = beside.iter().rposition(|candidate| candidate.is_before(oldest))
        {
            let later = beside.split_off(n + 1);
            let (older, others) = follow_back(std::mem::replace(beside, later));
            beside.splice(..0, others);
            chain.splice(..0, older);
        }
    }

    /// The oldest segment must be the stream's first, or all before it must have been trimmed.
    pub(super) fn check_beginning(&mut self, chain: &[Candidate], trimmed: EntryId) -> Result<()> {
        let Some(oldest) = chain.first() else {
            return self.check_empty();
        };
        if self.is_beginning(oldest, chain) {
            return Ok(());
        }
        if !self.known.skip_damage {
            let ids = Some((trimmed, oldest.begin().last_id));
            let what = "segments before this one are missing";
            return Err(Error::new(ErrorKind::Corrupt { what, ids }).at(&oldest.path));
        }
        self.home.damage.add(Gap {
            path: oldest.path.clone(),
            from: 0,
            to: 0,
            after: trimmed,
            before: first_of(chain),
            entries: oldest.begin().ordinal,
        });
        Ok(())
    }

    /// A log that was durable once has a segment: the last one is never removed.
    fn check_empty(&mut self) -> Result<()> {
        if self.known.durable == 0 {
            return Ok(());
        }
        let (dir, after, before) = (&self.home.dir, self.known.trimmed, EntryId::MAX);
        if !self.known.skip_damage {
            let what = "the segments are missing";
            let ids = Some((after, before));
            return Err(Error::new(ErrorKind::Corrupt { what, ids }).at(dir));
        }
        self.position = self.known.durable;
        self.home.damage.add(Gap { path: dir.clone(), from: 0, to: 0, after, before, entries: 0 });
        Ok(())
    }

    /// Names the damage that is stepped over.
    pub(super) fn note_gaps(&mut self, chain: &[Candidate]) {
        for (n, candidate) in chain.iter().enumerate() {
            let later = chain.get(n + 1..).unwrap_or_default();
            let behind = first_of(later);
            if let Some(to) = candidate.headless {
                let before = candidate.first_id().unwrap_or(behind);
                let (path, after) = (candidate.path.clone(), candidate.begin().last_id);
                self.home.damage.add(Gap { path, from: 0, to, after, before, entries: 0 });
            }
            if let Content::Scanned(scan) = &candidate.content {
                for hole in &scan.holes {
                    let gap = hole.gap(&candidate.path);
                    let before = if gap.before == EntryId::MAX { behind } else { gap.before };
                    self.home.damage.add(Gap { before, ..gap });
                }
            }
            if let Some(next) = later.first().filter(|next| candidate.end_by(next).is_none()) {
                let known = candidate.begin().ordinal + candidate.entries();
                self.home.damage.add(Gap {
                    path: next.path.clone(),
                    from: 0,
                    to: 0,
                    after: candidate.last_id_and_chain().0,
                    before: behind,
                    entries: next.begin().ordinal.saturating_sub(known),
                });
            }
        }
    }
}

/// The first ID that can be read.
fn first_of(chain: &[Candidate]) -> EntryId {
    chain.iter().find_map(Candidate::first_id).unwrap_or(EntryId::MAX)
}

/// Whether a segment is the first of its log, or the first that is left of it, where entries up to
/// `trimmed` are gone.
fn begins_at(oldest: &Candidate, trimmed: EntryId) -> bool {
    let begin = oldest.begin();
    let is_first = begin.previous.is_none();
    if is_first && oldest.restarts() {
        return true;
    }
    // A first segment that does not begin at 0 goes on where all others were missing.
    let may_be_trimmed = !is_first || begin.last_id > EntryId::MIN;
    (is_first && begin.position == 0) || (may_be_trimmed && trimmed >= begin.last_id)
}

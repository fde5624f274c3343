//! Where the log ends, and what is damage in front of that.

use super::*;

impl Recovery<'_> {
    /// Finds where the log ends: in front of the first bad frame at or above the durable position,
    /// or at the end of the last segment.
    pub(super) fn find_end(&mut self, chain: &mut Vec<Candidate>, durable: u64) -> Result<()> {
        let mut n = 0;
        while n < chain.len() {
            let next = chain.get(n + 1);
            let next_begin = next.map(|next| next.begin().clone());
            let Some(candidate) = chain.get(n) else {
                break;
            };
            let wanted = next.and_then(|next| candidate.end_by(next));
            let is_last = next.is_none();
            let Some(candidate) = chain.get_mut(n) else {
                break;
            };
            n += 1;
            if wanted.is_none() && !is_last {
                // Segments behind it are missing, and with them what tells where it ends.
                candidate.hurt = true;
                continue;
            }
            // The position up to which bad frames are damage: the durable one, and the end that the
            // next segment records if that segment is known to be durable. A footer knows the end.
            let base = candidate.begin().position;
            let most = match &candidate.content {
                Content::Sealed(footer) if is_last => footer.end,
                _ => wanted.unwrap_or(u64::MAX),
            };
            let damage_below = durable.saturating_sub(base).min(most);
            if candidate.end() < damage_below {
                self.past_damage(candidate, damage_below, next_begin.as_ref())?;
            }
            match (wanted, next_begin) {
                (Some(end), _)
                    if candidate.end() < end && base + end > durable && !planted::hole() =>
                {
                    self.cut_here(chain, n - 1);
                    return Ok(());
                }
                (Some(end), Some(next)) => self.end_as_recorded(candidate, end, &next)?,
                _ => {
                    self.check_last(candidate, durable)?;
                    self.note_tail(candidate);
                }
            }
        }
        Ok(())
    }

    /// A segment is sealed only once the one behind it is durable, so none can be missing.
    fn check_last(&mut self, last: &Candidate, durable: u64) -> Result<()> {
        let Content::Sealed(footer) = &last.content else {
            return Ok(());
        };
        let (after, before) = (footer.last_id, EntryId::MAX);
        if !self.known.skip_damage {
            let ids = Some((after, before));
            let what = "segments behind this one are missing";
            return Err(Error::new(ErrorKind::Corrupt { what, ids }).at(&last.path));
        }
        let (from, to) = (footer.end, footer.end);
        // The next segment tells by its position that something is missing before it.
        let least =
            last.begin().position.saturating_add(footer.end).saturating_add(FILE_HEADER as u64);
        self.position = durable.max(least);
        self.home.damage.add(Gap { path: last.path.clone(), from, to, after, before, entries: 0 });
        Ok(())
    }

    /// A bad frame below what was durable: refuse, or go on behind it.
    fn past_damage(
        &mut self,
        candidate: &mut Candidate,
        below: u64,
        next: Option<&Begin>,
    ) -> Result<()> {
        let (last_id, _) = candidate.last_id_and_chain();
        if !self.known.skip_damage {
            let what = "frames below the durable position fail their checks";
            let error = ErrorKind::Corrupt { what, ids: Some((last_id, EntryId::MAX)) };
            return Err(Error::new(error).at(&candidate.path).offset(candidate.end()));
        }
        let ordinal = candidate.begin().ordinal;
        let bounds = Bounds {
            skip_below: below,
            stop: next.and_then(|next| next.previous).map_or(u64::MAX, |(_, end)| end),
            index: None,
            entries: next.map(|next| next.ordinal.saturating_sub(ordinal)),
        };
        let again = candidate.scan(&bounds)?;
        candidate.content = Content::Scanned(Box::new(again));
        candidate.hurt = true;
        Ok(())
    }

    /// The log ends inside segment `n` of the chain; later ones are set aside.
    fn cut_here(&mut self, chain: &mut Vec<Candidate>, n: usize) {
        let aside: Vec<_> = chain.drain(n + 1..).map(|later| later.path).collect();
        self.later_aside |= !aside.is_empty();
        self.report.set_aside.extend(aside);
        if let Some(last) = chain.last() {
            self.note_tail(last);
        }
    }

    fn note_tail(&mut self, candidate: &Candidate) {
        if let Content::Scanned(scan) = &candidate.content
            && scan.nonzero_end > scan.end
        {
            self.report.cut = Some(CutTail {
                path: candidate.path.clone(),
                offset: scan.end,
                bytes: scan.nonzero_end - scan.end,
                frames_behind: scan.frames_behind,
            });
        }
    }

    /// A segment with a successor ends where the successor says, whatever lies behind.
    fn end_as_recorded(&mut self, candidate: &mut Candidate, end: u64, next: &Begin) -> Result<()> {
        if candidate.end() > end {
            // Frames that an earlier recovery cut: scan again up to the recorded end only.
            let again = candidate.scan(&Bounds::until(end))?;
            candidate.content = Content::Scanned(Box::new(again));
        }
        // The last ID that a Begin names may be higher than that of the frames: deliveries and
        // deletions of entries that a crash took back count, too.
        let (last_id, chain) = candidate.last_id_and_chain();
        let restarts = next.restart > candidate.begin().restart;
        let agrees = next.chain == chain && (restarts || next.last_id >= last_id);
        if !agrees && !self.known.skip_damage && !planted::hole() && !planted::any_chain() {
            let what = "the segment does not end as the one behind it says";
            return Err(Error::corrupt(what).at(&candidate.path).offset(end));
        }
        candidate.hurt |= !agrees;
        Ok(())
    }
}

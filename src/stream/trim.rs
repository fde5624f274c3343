//! Which of a stream's oldest entries go: trims, and the retention that the stream keeps to.

use super::*;
use crate::options::Retention;

/// What a trim removes; `next` is an entry that is about to be appended.
pub(super) fn plan_trim(
    state: &mut StreamState,
    log: &Log,
    appender: &Appender<'_>,
    trim: &Trim,
    next: Option<(EntryId, bool)>,
) -> Result<Option<TrimPlan>> {
    let span = log.written_span();
    let block_entries = appender.options().block_entries;
    let most = state.most_to_trim(&span)?;
    let Some(live) = &mut state.live else {
        return Ok(None);
    };
    live.refresh(&span, appender.tail());
    live.plan(&span, appender.tail(), trim, next, block_entries, most)
}

fn plan_retention(
    state: &mut StreamState,
    log: &Log,
    tail: Tail,
    now_ms: u64,
) -> Result<Option<TrimPlan>> {
    let retention = state.retention();
    if !retention.has_limit() {
        return Ok(None);
    }
    let span = log.written_span();
    let most = state.most_to_trim(&span)?;
    let Some(live) = &mut state.live else {
        return Ok(None);
    };
    live.refresh(&span, tail);
    live.retain(&span, tail, &retention, now_ms, most)
}

/// Takes in a trim: what is left of the log, which ends at `tail`.
pub(super) fn count_trim(state: &mut StreamState, log: &Log, tail: Tail, plan: &TrimPlan) {
    let span = log.written_span();
    state.trim(plan.trimmed);
    let Some(live) = &mut state.live else { return };
    live.trim(&span, plan);
    if live.last_block_is_dead(&span, tail) {
        log.restart_block.store(true, Ordering::Release);
    }
    log.view.trim(plan.trimmed);
}

impl StreamInner {
    /// What deletions have left without a live entry at the beginning goes like what is trimmed.
    pub(super) fn trim_dead(&self, log: &Log) -> Result<()> {
        let (tail, mut state) = log.written_tail_with(|| self.state.lock());
        let span = log.written_span();
        let Some(live) = &mut state.live else {
            return Ok(());
        };
        if live.first_segment_is_dead(&span) {
            let plan = live.dead(&span, tail)?;
            // What damage has swallowed nobody has asked to be gone: its bytes stay.
            if !log.home.damage.is_below(plan.trimmed) {
                count_trim(&mut state, log, tail, &plan);
            }
        }
        Ok(())
    }

    /// Whether it has to keep to a retention: that has limits, and the stream is used.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    /// The same, and what its groups do counts.
    pub(super) fn is_limited_by_groups(&self) -> bool {
        self.limited_by_groups.load(Ordering::Relaxed)
    }

    /// After the options have changed.
    pub(crate) fn note_limits(&self) {
        let state = self.state.lock();
        // Under the lock: of two changes at once the later one is noted last.
        let retention = state.retention();
        self.limited.store(retention.has_limit(), Ordering::Relaxed);
        let by_groups = retention.has_limit() && retention.keep_unacked;
        self.limited_by_groups.store(by_groups, Ordering::Relaxed);
    }

    /// The stream has changed, and may be beyond a limit now.
    #[inline]
    pub(super) fn ask_for_retention(&self, shared: &Shared) {
        if self.is_limited() {
            shared.kick.retention();
        }
    }

    /// Removes what is beyond the retention. Returns how many entries, and the position behind the
    /// record, or 0 if there was nothing to remove.
    ///
    /// It ends however fast others append: what comes meanwhile asks for the next time.
    pub(crate) fn enforce(&self, shared: &Shared) -> Result<(u64, u64)> {
        self.check(shared)?;
        let log = self.log(shared)?;
        let now_ms = shared.disk.now_ms();
        let (mut removed, mut end, mut again) = (0, 0, false);
        let mut seen: Option<u64> = None;
        loop {
            self.check_writable(shared)?;
            let (tail, state) = log.written_tail_with(|| self.lock_state());
            let mut state = state?;
            let Some(plan) = plan_retention(&mut state, log, tail, now_ms)? else {
                return Ok((removed, end));
            };
            let came = seen.map_or(0, |seen| tail.ordinal.saturating_sub(seen));
            if came > 0 && plan.removed <= came {
                return Ok((removed, end));
            }
            match self.record_trim(shared, &mut state, log, tail, &plan) {
                Ok(position) => {
                    (removed, end, again) = (removed + plan.removed, position, false);
                    seen = Some(tail.ordinal);
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop(state);
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// In how many milliseconds the oldest entry is too old; `None` if that is never, or when a
    /// group lets go of it.
    pub(crate) fn expires_in_ms(&self, shared: &Shared) -> Result<Option<u64>> {
        let mut locked = self.lock(shared)?;
        let facts = locked.facts()?;
        let most = locked.state.most_to_trim(&locked.span)?;
        let goes = facts.length > 0 && facts.first_id <= most;
        let at = locked.state.retention().expires_ms(facts.first_id).filter(|_| goes);
        Ok(at.map(|at| at.saturating_sub(shared.disk.now_ms())))
    }

    /// The state's lock is held from the plan on: no checkpoint may cover the record without the
    /// trim, and no group may come in between.
    fn record_trim(
        &self,
        shared: &Shared,
        state: &mut StreamState,
        log: &Log,
        tail: Tail,
        plan: &TrimPlan,
    ) -> Result<u64, Refused> {
        let event = Event::Trimmed { to: plan.trimmed };
        let events = std::slice::from_ref(&event);
        let position = match planted::trim_unrecorded() {
            true => 0,
            false => shared.journal.append(&[(self.number, events)], false)?,
        };
        state.apply(&event);
        count_trim(state, log, tail, plan);
        shared.kick.dirty();
        Ok(position)
    }
}

impl Stream {
    /// Removes the oldest entries (XTRIM) and returns how many. Space comes back by whole segments,
    /// in the background. [`Retention::keep_unacked`] bounds it. What [`Trim::references`] says of
    /// groups is done in the same step, for crashes too.
    ///
    /// # Errors
    /// `InvalidTrim`, `Corrupt`, `Poisoned`, `ReadOnly`, `NoStream`, `Closed`; with
    /// [`RefPolicy::Acked`] also `StorageFull`.
    #[doc(alias = "XTRIM")]
    pub fn trim(&self, to: Trim) -> Result<u64> {
        to.check()?;
        let shared = self.shared();
        shared.check_writable()?;
        if to.policy != RefPolicy::KeepRef {
            return self.trim_picking(&to);
        }
        let log = self.log()?;
        let mut again = false;
        loop {
            let appender = log.writer()?;
            let mut state = self.inner.lock_state()?;
            let Some(plan) = plan_trim(&mut state, log, &appender, &to, None)? else {
                return Ok(0);
            };
            match self.inner.record_trim(shared, &mut state, log, appender.tail(), &plan) {
                Ok(_) if plan.removed == 0 => again = false,
                Ok(position) => {
                    drop((state, appender));
                    shared.kick.care();
                    self.inner.settle(shared, position)?;
                    return Ok(plan.removed);
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop((state, appender));
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// What the stream keeps by itself.
    ///
    /// # Errors
    /// `NoStream`, `Closed`; what recovering the stream may give.
    pub fn retention(&self) -> Result<Retention> {
        Ok(self.inner.lock(self.shared())?.state.retention())
    }

    /// Changes what the stream keeps by itself, from now on.
    ///
    /// # Errors
    /// `InvalidConfig`, `StorageFull`, `Poisoned`, `ReadOnly`, `NoStream`, `Closed`.
    pub fn set_retention(&self, retention: Retention) -> Result<()> {
        retention.check()?;
        self.store_options(|now| StoredOptions { retention, ..now })
    }

    /// Removes what is beyond the stream's [`Retention`] now, and returns how many entries that
    /// were; the background does so too.
    ///
    /// # Errors
    /// `Corrupt`, `Poisoned`, `ReadOnly`, `NoStream`, `Closed`.
    pub fn enforce_retention(&self) -> Result<u64> {
        let shared = self.shared();
        let (removed, position) = self.inner.enforce(shared)?;
        shared.kick.care();
        self.inner.settle(shared, position)?;
        Ok(removed)
    }
}

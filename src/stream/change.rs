//! Changes of a stream's state: decided under its lock, recorded in the journal, applied.

use super::*;
use std::cell::Cell;

thread_local! {
    /// What a call decides, without an allocation of its own.
    static EVENTS: Cell<Vec<Event>> = const { Cell::new(Vec::new()) };
}

/// Whether these events are not recorded, because of a planted fault.
fn is_skipped(events: &[Event]) -> bool {
    events.iter().any(|event| match event {
        Event::PendingRemoved { .. } => planted::ack_skipped(),
        Event::OptionsSet { .. } => planted::retention_forgotten(),
        Event::PendingSet { .. } => planted::claim_skipped(),
        _ => false,
    })
}

/// The same of one of the most frequent events.
#[inline]
fn is_one_skipped(event: &Single) -> bool {
    matches!(event, Single::PendingRemoved { .. }) && planted::ack_skipped()
}

/// The state together with all that a decision needs to know of the log.
pub(crate) struct Locked<'a> {
    pub(crate) state: MutexGuard<'a, StreamState>,
    pub(crate) span: Span,
    pub(crate) tail: Tail,
}

/// What is held while a change is decided and made.
pub(crate) trait Held<'a>: Sized {
    /// What is locked for it.
    type Entry;
    /// What is left of it for the caller.
    type Rest;

    fn enter(stream: &'a StreamInner, shared: &Shared) -> Result<Self::Entry>;

    /// Apart from [`Held::enter`], as it is large: what may be an error instead would go through
    /// memory, in other pieces than those that it is made of.
    fn begin(entry: Self::Entry) -> Self;

    fn state(&mut self) -> &mut StreamState;

    /// Changes the state by events that are in the journal.
    fn make(&mut self, log: Option<&Log>, events: &[Event]);

    fn release(self) -> Self::Rest;
}

/// The state alone, for what asks nothing of the log and deletes nothing.
impl<'a> Held<'a> for MutexGuard<'a, StreamState> {
    type Entry = MutexGuard<'a, StreamState>;
    type Rest = ();

    #[inline(always)]
    fn enter(stream: &'a StreamInner, shared: &Shared) -> Result<Self> {
        stream.check(shared)?;
        // What recovery has to take back is taken back when the log is opened.
        stream.log(shared)?;
        stream.lock_state()
    }

    #[inline(always)]
    fn begin(entry: Self) -> Self {
        entry
    }

    #[inline]
    fn state(&mut self) -> &mut StreamState {
        self
    }

    fn make(&mut self, _: Option<&Log>, events: &[Event]) {
        events.iter().for_each(|event| StreamState::apply(self, event));
    }

    fn release(self) {}
}

impl<'a> Held<'a> for Locked<'a> {
    type Entry = (MutexGuard<'a, StreamState>, &'a Log);
    type Rest = Segments;

    #[inline(always)]
    fn enter(stream: &'a StreamInner, shared: &Shared) -> Result<Self::Entry> {
        stream.enter(shared)
    }

    #[inline(always)]
    fn begin((mut state, log): Self::Entry) -> Self {
        let (span, tail) = log.look_again(&mut state.segments);
        if let Some(live) = &mut state.live {
            live.refresh(&span, tail);
        }
        Locked { state, span, tail }
    }

    #[inline]
    fn state(&mut self) -> &mut StreamState {
        &mut self.state
    }

    /// Hides what they delete, too.
    fn make(&mut self, log: Option<&Log>, events: &[Event]) {
        for event in events {
            self.state.apply(event);
            if let (Event::Deleted { ids }, Some(live)) = (event, &mut self.state.live) {
                hide(live, &self.span, self.tail, log, ids);
            }
        }
    }

    #[inline]
    fn release(self) -> Segments {
        self.span.segments
    }
}

/// Marks entries deleted that were found alive a moment ago, under the same lock.
pub(super) fn hide(live: &mut Live, span: &Span, tail: Tail, log: Option<&Log>, ids: &[EntryId]) {
    for id in ids {
        if let Ok(Some(place)) = span.find(*id) {
            live.delete(span, &place);
        }
    }
    let Some(log) = log else { return };
    if live.last_block_is_dead(span, tail) {
        log.restart_block.store(true, Ordering::Release);
    }
    if live.first_segment_is_dead(span) {
        log.ask_for_care();
    }
}

impl Locked<'_> {
    pub(crate) fn facts(&mut self) -> Result<crate::group::LogFacts> {
        let first = match &mut self.state.live {
            Some(live) => {
                let first = live.first_id(&self.span, self.tail)?;
                live.refresh(&self.span, self.tail);
                first
            }
            None => None,
        };
        Ok(self.state.facts(self.tail, first))
    }

    /// Adds what appends have trimmed to events that pass such entries over for good: their record
    /// may outlast the frame that says so, and then the entries must not be there again behind it.
    pub(crate) fn keep_trim(&self, events: &mut Vec<Event>) {
        let to = self.state.trimmed;
        if self.state.recorded < to && !planted::trim_untold() {
            events.insert(0, Event::Trimmed { to });
        }
    }
}

impl StreamInner {
    /// The state alone, to look at.
    pub(crate) fn hold(&self, shared: &Shared) -> Result<MutexGuard<'_, StreamState>> {
        MutexGuard::enter(self, shared)
    }

    /// Decides, writes the events and applies them, as one step. `decide` sees the state and gives
    /// events and a result; it is asked again if room has to be made first. Returns the result and
    /// the position behind the record, or 0 if there was nothing to record.
    pub(crate) fn change<T>(
        &self,
        shared: &Shared,
        grows: bool,
        mut decide: impl FnMut(&mut Locked<'_>) -> Result<(T, Vec<Event>)>,
    ) -> Result<(T, u64)> {
        let decide = |locked: &mut Locked<'_>, out: &mut Vec<Event>| {
            let (result, events) = decide(locked)?;
            *out = events;
            Ok(result)
        };
        let (result, _, position) = self.change_held(shared, grows, decide)?;
        Ok((result, position))
    }

    /// The same for a `decide` that says what it needs to hold, and puts its events into a list of
    /// the thread's, which is empty when it is asked. Returns what is left of what was held, too.
    pub(crate) fn change_held<'a, H: Held<'a>, T>(
        &'a self,
        shared: &Shared,
        grows: bool,
        decide: impl FnMut(&mut H, &mut Vec<Event>) -> Result<T>,
    ) -> Result<(T, H::Rest, u64)> {
        // A thread that ends has no place for them any more.
        let mut events = EVENTS.try_with(Cell::take).unwrap_or_default();
        let changed = self.change_in(shared, grows, &mut events, decide);
        events.clear();
        EVENTS.try_with(|empty| empty.set(events)).unwrap_or_default();
        changed
    }

    fn change_in<'a, H: Held<'a>, T>(
        &'a self,
        shared: &Shared,
        grows: bool,
        events: &mut Vec<Event>,
        mut decide: impl FnMut(&mut H, &mut Vec<Event>) -> Result<T>,
    ) -> Result<(T, H::Rest, u64)> {
        let mut again = false;
        loop {
            let mut locked = H::begin(H::enter(self, shared)?);
            self.check_writable(shared)?;
            events.clear();
            let result = decide(&mut locked, events)?;
            let only_seen = events.iter().all(|event| matches!(event, Event::Seen { .. }));
            let appended = if only_seen || is_skipped(events) {
                Ok(0)
            } else {
                self.record(shared, events, grows)
            };
            match appended {
                Ok(position) => {
                    locked.make(self.open_log(), events);
                    self.tell_background(shared, position);
                    return Ok((result, locked.release(), position));
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop(locked);
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// [`StreamInner::change_held`] for what is one event, if anything: `decide` leaves the place
    /// for it empty where there is nothing to change, or where it takes more than that. For the
    /// most frequent calls, which do not pay for a list of events, and store the one where all that
    /// follows reads it: what was copied meanwhile has to be waited for.
    #[inline]
    pub(crate) fn change_one<'a, H: Held<'a>>(
        &'a self,
        shared: &Shared,
        grows: bool,
        mut decide: impl FnMut(&mut H, &mut Option<Single>) -> Result<()>,
    ) -> Result<Option<(H::Rest, u64)>> {
        let mut again = false;
        loop {
            let mut locked = H::begin(H::enter(self, shared)?);
            self.check_writable(shared)?;
            let mut event = None;
            decide(&mut locked, &mut event)?;
            let Some(event) = &event else {
                return Ok(None);
            };
            let appended = match is_one_skipped(event) {
                true => Ok(0),
                false => shared.journal.append_one(self.number, event, grows),
            };
            match appended {
                Ok(position) => {
                    locked.state().apply_single(event);
                    self.tell_background(shared, position);
                    return Ok(Some((locked.release(), position)));
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop(locked);
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// After a change whose record, if there is one, ends at this position.
    #[inline]
    fn tell_background(&self, shared: &Shared, position: u64) {
        if position > 0 {
            shared.kick.dirty();
            if self.is_limited_by_groups() {
                shared.kick.retention();
            }
        }
        if shared.journal.asks_for_care() {
            shared.kick.care();
        }
    }
}

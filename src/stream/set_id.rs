//! XSETID: the last ID and the counters of a stream, set as its caller wants them.

use super::*;
use crate::planted;
use crate::storage::cursor::Backward;

/// What a caller wants.
struct Wanted {
    last: EntryId,
    entries_added: Option<u64>,
    max_deleted: Option<EntryId>,
}

/// What that takes.
enum Way {
    /// IDs go on above all that there are.
    On,
    /// The last ID is lowered, but not below what frames tell.
    Back,
    /// It is lowered below that: the log is restarted behind so many segments.
    Restart(usize),
}

impl Wanted {
    /// Redis's conditions.
    fn way(&self, state: &mut StreamState, log: &Log, appender: &Appender<'_>) -> Result<Way> {
        let refuse = |reason| Err(Error::new(ErrorKind::SetIdTooSmall { reason }));
        let (tail, span) = (appender.tail(), log.written_span());
        if let Some(live) = &mut state.live {
            live.refresh(&span, tail);
        }
        // What damage has swallowed is not to be given again.
        let facts = state.facts(tail, None);
        if self.max_deleted.is_some_and(|id| self.last < id) {
            return refuse("it is smaller than the given max-deleted ID");
        }
        if self.last < facts.max_deleted_id {
            return refuse("it is smaller than the current max-deleted ID");
        }
        let mut kept = 0;
        if facts.length > 0 {
            if let Some(top) = Backward::seek(&span, EntryId::MAX).next(&mut span.reading())? {
                if self.last < top.id {
                    return refuse("it is smaller than the top entry");
                }
                kept = top.segment as usize + 1;
            }
            if self.entries_added.is_some_and(|added| added < facts.length) {
                return refuse("entries-added would be smaller than the length");
            }
        }
        // Nothing lives above the wanted ID, but frames, and footers behind them, may tell of more.
        let told = appender.top().max(state.trimmed);
        Ok(match self.last {
            last if last >= tail.last_id => Way::On,
            last if last >= told => Way::Back,
            _ => Way::Restart(kept),
        })
    }

    /// The events, for a log that was restarted with this segment or not.
    fn events(&self, state: &StreamState, tail: Tail, restart: Option<u64>) -> Vec<Event> {
        let added = self.entries_added.unwrap_or(state.entries_added(tail));
        let mut counters = Counters {
            floor: self.last,
            added_offset: added.wrapping_sub(tail.ordinal),
            ..state.counters
        };
        if let Some(id) = self.max_deleted.filter(|id| *id != EntryId::MIN) {
            counters.max_deleted = id;
        }
        let mut events = Vec::new();
        if self.last < tail.last_id {
            let number = restart.unwrap_or(state.restart);
            events.push(Event::SetBack { to: self.last, restart: number });
        }
        // The frames that say it may lie in segments that go. They are on disk by now. What is
        // recorded in memory does not matter: that counts frames which recovery found, too.
        let trimmed = state.trimmed.min(self.last);
        if restart.is_some() && trimmed > EntryId::MIN {
            events.push(Event::Trimmed { to: trimmed });
        }
        events.push(Event::Counters(counters));
        // Counters of groups come down with a number that is given; one may be above it by itself.
        let most_read = self.entries_added.unwrap_or(u64::MAX);
        state.groups.set_log(self.last, most_read, &mut events);
        events
    }
}

impl Stream {
    /// Sets the last ID, and the counters that are given (XSETID). It may go back to above what
    /// lives or was deleted; IDs above it are given again then. What was appended before is on disk
    /// first, at every level: this costs a sync.
    ///
    /// # Errors
    /// `SetIdTooSmall`; `StorageFull` where the ID goes back, which may take a new segment;
    /// `TooManyFiles` and its kin there, too; `Corrupt`, `Poisoned`, `ReadOnly`, `NoStream`,
    /// `Closed`.
    #[doc(alias = "XSETID")]
    pub fn set_id(
        &self,
        last: EntryId,
        entries_added: Option<u64>,
        max_deleted: Option<EntryId>,
    ) -> Result<()> {
        let shared = self.shared();
        let log = self.log()?;
        self.inner.check_writable(shared)?;
        let done = self.inner.set_id(shared, log, &Wanted { last, entries_added, max_deleted });
        if done.is_err() {
            self.inner.failed(shared, log);
        }
        done
    }
}

impl StreamInner {
    fn set_id(&self, shared: &Shared, log: &Log, wanted: &Wanted) -> Result<()> {
        let mut again = false;
        loop {
            let appender = log.writer()?;
            let mut state = self.lock_state()?;
            let way = wanted.way(&mut state, log, &appender)?;
            let written = log.written();
            let set = if let Way::Restart(_) = way {
                drop((state, appender));
                self.set_back(shared, log, wanted)
            } else if log.commit.durable() < written && !planted::lazy_set_id() {
                // The record says that the log reaches up to this ID. What it reaches up to now
                // must not be lost where the record is not: groups would not be taken back.
                drop((state, appender));
                self.sync_to(shared, log, written)?;
                continue;
            } else {
                self.set(shared, wanted, appender, state).map(Some)
            };
            match set {
                Err(Refused::Full) => {
                    shared.make_room(again)?;
                    again = true;
                }
                Err(Refused::Error(error)) => return Err(error),
                Ok(None) => {}
                Ok(Some(position)) => {
                    shared.kick.dirty();
                    return self.settle(shared, position);
                }
            }
        }
    }

    /// Sets what frames say nothing against.
    fn set(
        &self,
        shared: &Shared,
        wanted: &Wanted,
        mut appender: Appender<'_>,
        mut state: MutexGuard<'_, StreamState>,
    ) -> Result<u64, Refused> {
        let events = wanted.events(&state, appender.tail(), None);
        let position = shared.journal.append(&[(self.number, &events)], false)?;
        events.iter().for_each(|event| state.apply(event));
        appender.set_last_id(wanted.last);
        Ok(position)
    }

    /// Restarts the log; `None` if that is not what it takes any more.
    fn set_back(
        &self,
        shared: &Shared,
        log: &Log,
        wanted: &Wanted,
    ) -> Result<Option<u64>, Refused> {
        let only = log.only_maker();
        let mut made: Option<Restart<'_>> = None;
        loop {
            let mut appender = log.writer()?;
            let mut state = self.lock_state()?;
            let Way::Restart(kept) = wanted.way(&mut state, log, &appender)? else {
                return Ok(None);
            };
            let Some(mut restart) =
                made.take().filter(|made| made.fits(&appender, wanted.last, kept))
            else {
                let number = appender.restart_number();
                let begin = appender.restart_begin(number, wanted.last, kept);
                drop((state, appender));
                // What the restart goes on from must not be torn where the journal names it.
                let synced = self.sync_to(shared, log, begin.position);
                let restart = synced.and_then(|()| log.make_restart(&only, begin));
                // Whatever failed, nothing names the segment.
                made = Some(restart.map_err(Error::refused)?);
                continue;
            };
            let tail = Tail { last_id: wanted.last, ..appender.tail() };
            let trimmed = state.trimmed.min(wanted.last);
            let span = restart.span(kept, trimmed);
            let live = Live::new(&span, trimmed, tail)?;
            let cut = match kept.checked_sub(1).and_then(|last| span.segments.get(last)) {
                Some(last) => Span::first_above(last, wanted.last, log.skip_damage)?
                    .map(|from| (Arc::clone(last), from)),
                None => None,
            };
            // What the frames say that go, all of which are durable.
            let mut events = self.mark(&state);
            events.extend(wanted.events(&state, appender.tail(), Some(restart.number())));
            let position = shared.journal.append(&[(self.number, &events)], false)?;
            events.iter().for_each(|event| state.apply(event));
            state.live = Some(live);
            if let Some((last, from)) = cut {
                last.cut_off(from);
            }
            self.set_rests_on(position);
            appender.restart(&mut restart, kept, trimmed);
            drop((state, appender));
            // Nobody sees an entry of the new segment before the journal names that for good.
            self.settle(shared, position)?;
            restart.finish();
            shared.kick.care();
            return Ok(Some(position));
        }
    }
}

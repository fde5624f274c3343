//! The table of streams: changed under its lock, by records of the journal.

use super::manage::remove_dir;
use super::*;
use crate::format::event::StoredOptions;
use crate::journal::{Loaded, Refused};
use crate::state::Idempotency;

impl Shared {
    pub(super) fn poison_cause(&self) -> Option<String> {
        let journal = self.journal.commit.poisoned();
        let cause = self.poisoned.get().map(Error::poisoned).or(journal)?;
        Some(cause.to_string())
    }

    pub(super) fn health(&self) -> Health {
        let mut health = Health {
            poisoned: self.poison_cause(),
            background: self.background.lock().values().next().cloned(),
            closed: self.check_open().is_err(),
            ..Health::default()
        };
        for stream in self.all_streams() {
            let Some(log) = stream.open_log() else {
                continue;
            };
            health.open_streams += 1;
            health.unsynced_bytes += log.written().saturating_sub(log.commit.durable());
            if let Some(cause) = log.commit.poisoned() {
                health.poisoned_streams.push((stream.state.lock().name.clone(), cause.to_string()));
            }
        }
        health
    }

    /// Makes a stream: its directory, its first segment, then the record of its creation. `None` if
    /// somebody else was faster; his may be gone again by now.
    pub(super) fn create(
        &self,
        name: &[u8],
        options: &StreamOptions,
    ) -> Result<Option<Arc<StreamInner>>> {
        self.check_writable()?;
        self.check_process()?;
        let number = self.journal.take_stream_number();
        let stored = StoredOptions::from(options);
        let event = Event::StreamCreated { name: name.into(), options: stored };
        let window = Idempotency::first((*self.window.lock()).into());
        let events: Vec<Event> = std::iter::once(event).chain(window).collect();
        let mut state = StreamState::default();
        events.iter().for_each(|event| state.apply(event));
        let inner = Arc::new(StreamInner::new(number, state, false));
        inner.make_home(self)?;
        if let Err(error) = inner.log(self) {
            remove_dir(&*self.disk, &self.stream_dir(number));
            return Err(error);
        }
        let entered = self.change_names(Some(&inner), |names| {
            let free = !names.by_name.contains_key(name);
            free.then(|| vec![(number, events.clone())])
        });
        if matches!(entered, Ok(Some(_))) {
            return Ok(Some(inner));
        }
        self.discard(&inner);
        entered.map(|_| None)
    }

    /// Changes which streams there are: decides under the names' lock, writes one record, applies
    /// it. `None` if the decision was to do nothing. `made` is in the table from the record of its
    /// creation on: whatever a checkpoint finds there it writes down.
    pub(super) fn change_names(
        &self,
        made: Option<&Arc<StreamInner>>,
        mut decide: impl FnMut(&mut Names) -> Option<Vec<(u64, Vec<Event>)>>,
    ) -> Result<Option<u64>> {
        self.check_writable()?;
        let mut again = false;
        loop {
            let mut names = self.names.write();
            let Some(parts) = decide(&mut names) else {
                return Ok(None);
            };
            let borrowed: Vec<_> =
                parts.iter().map(|(n, events)| (*n, events.as_slice())).collect();
            let removed =
                parts.iter().find(|(_, e)| matches!(e.as_slice(), [Event::StreamRemoved]));
            let removed = removed.and_then(|(n, _)| names.streams.get(n)).cloned();
            // Held over the record, so that none of the stream's own comes behind it.
            let mut state = removed.as_ref().map(|inner| inner.state.lock());
            let grows = parts.iter().any(|(_, e)| !matches!(e.as_slice(), [Event::StreamRemoved]));
            let appended = match planted::renames_apart() {
                true => borrowed.chunks(1).try_fold(0, |_, one| self.journal.append(one, grows)),
                false => self.journal.append(&borrowed, grows),
            };
            match appended {
                Ok(position) => {
                    if let (Some(state), Some(inner)) = (&mut state, &removed) {
                        state.removed = true;
                        inner.set_gone();
                    }
                    drop(state);
                    if let Some(inner) = made {
                        inner.set_rests_on(position);
                        names.streams.insert(inner.number, Arc::clone(inner));
                    }
                    for (number, events) in &parts {
                        names.apply(*number, events);
                    }
                    self.kick.dirty();
                    drop(names);
                    self.changed_names.notify();
                    return Ok(Some(position));
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop((state, names));
                    self.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// Waits, where the level of the stream or of the store asks for it, until a change of names is
    /// durable.
    pub(super) fn finish_names(&self, position: u64, of: Option<&StreamInner>) -> Result<()> {
        let strict = of.is_some_and(|stream| stream.level(self) == Durability::Always);
        if (strict || self.options.durability == Durability::Always) && !planted::lazy_names() {
            self.sync_journal(position)?;
        }
        Ok(())
    }

    /// A stream that was taken out of the table by its removal.
    pub(super) fn take_gone(&self, number: u64) -> Option<Arc<StreamInner>> {
        self.names.write().gone.remove(&number)
    }

    /// Ends a stream that has left the table: its handles, those who wait, its files once the
    /// removal is durable.
    pub(super) fn discard(&self, inner: &Arc<StreamInner>) {
        inner.remove();
        self.names.write().gone.remove(&inner.number);
        // Names before contents: the directory goes only when the removal will last.
        let durable = self.sync_journal(self.journal.written());
        if durable.is_ok() {
            remove_dir(&*self.disk, &self.stream_dir(inner.number));
        }
    }
}

impl Names {
    /// The streams of which the journal tells. Those that lost a part of their state stay so over
    /// checkpoints while they are to be refused.
    pub(super) fn of_journal(
        loaded: &mut Loaded,
        refuse: bool,
        report: &mut RecoveryReport,
    ) -> Names {
        let mut names = Names::default();
        let mut hurt = Vec::new();
        for (number, events) in std::mem::take(&mut loaded.events) {
            let mut state = StreamState::default();
            events.iter().for_each(|event| state.apply(&event));
            if state.options.is_none() || state.removed {
                continue;
            }
            if loaded.has_lost(number) {
                report.lost.push(state.name.clone());
            } else if loaded.may_have_lost(number) {
                report.uncertain.push(state.name.clone());
            } else {
                names.insert(number, state, false);
                continue;
            }
            hurt.push((number, state));
        }
        for (number, mut state) in hurt.into_iter().rev() {
            state.restart_unsure |= !refuse;
            // A name that others got meanwhile went with the lost record. What is left of such a
            // stream is kept without one, and for good.
            let nameless = names.by_name.contains_key(&state.name);
            names.insert(number, state, refuse || nameless);
        }
        names
    }

    /// Takes in a stream. If another one has its name, it has none.
    pub(super) fn insert(&mut self, number: u64, state: StreamState, lost: bool) {
        self.by_name.entry(state.name.clone()).or_insert(number);
        self.streams.insert(number, Arc::new(StreamInner::new(number, state, lost)));
    }

    /// Applies the events of one stream to the table and to the stream.
    pub(super) fn apply(&mut self, number: u64, events: &[Event]) {
        let Some(inner) = self.streams.get(&number).cloned() else {
            return;
        };
        let mut state = inner.state.lock();
        for event in events {
            if matches!(event, Event::StreamRenamed { .. } | Event::StreamRemoved)
                && self.by_name.get(&state.name) == Some(&number)
            {
                self.by_name.remove(&state.name);
            }
            state.apply(event);
            match event {
                Event::StreamRemoved => {
                    self.streams.remove(&number);
                    self.gone.insert(number, Arc::clone(&inner));
                }
                Event::StreamCreated { .. } | Event::StreamRenamed { .. } => {
                    self.by_name.insert(state.name.clone(), number);
                }
                _ => {}
            }
        }
    }
}

#[cfg_attr(not(feature = "resp"), allow(dead_code, reason = "for the server"))]
impl Store {
    /// When a stream is to be removed, without a look at its log.
    pub(crate) fn expiry_of(&self, name: &[u8]) -> Option<u64> {
        self.find(name)?.state.lock().expires_ms
    }

    /// All streams that are to be removed some day.
    pub(crate) fn expiries(&self) -> Vec<(Vec<u8>, u64)> {
        let names = self.shared().names.read();
        let at = |number| names.streams.get(number)?.state.lock().expires_ms;
        names
            .by_name
            .iter()
            .filter_map(|(name, number)| Some((name.clone(), at(number)?)))
            .collect()
    }
}

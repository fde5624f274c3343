//! Calls on a stream that set its options, and that wait for the disk.

use super::*;

impl StreamInner {
    /// Whether it was removed: it answers `NoStream` then.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// What the background failed to do with a stream that was removed meanwhile, and its files
    /// with it, is not missed.
    pub(crate) fn unless_gone(&self, done: Result<()>) -> Result<()> {
        if self.is_gone() { Ok(()) } else { done }
    }

    /// From the record of its removal on.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// What comes before a handle is given out: opens the log, and sets the level, which until the
    /// close is the strongest that anybody `asked` for. `default` is for who asks for none.
    pub(crate) fn hand_out(
        &self,
        shared: &Shared,
        asked: Option<Durability>,
        default: Durability,
    ) -> Result<()> {
        let log = self.log_to_use(shared)?;
        let (before, level) = {
            let mut level = self.level.lock();
            let before = *level;
            let held = before.or(asked).unwrap_or(default);
            let now = asked.map_or(held, |asked| held.stronger(asked));
            *level = Some(now);
            let waits = if now == Durability::Always { Waits::Yes } else { Waits::No };
            self.waits.store(waits as u8, Ordering::Relaxed);
            let most = match now {
                Durability::Interval { max_unsynced_bytes, .. } => max_unsynced_bytes,
                _ => u64::MAX,
            };
            self.max_unsynced.store(most, Ordering::Relaxed);
            (before, now)
        };
        if level == Durability::Always {
            // What was published before was not durable; all of it is before this returns. What a
            // failed sync has stopped can be read all the same.
            let upto = log.be_strict();
            if self.check_sound(shared).is_ok() {
                self.sync_to(shared, log, upto)?;
                // A stream under `Always` exists durably once its creation has returned.
                shared.sync_journal(self.rests_on())?;
            }
        }
        if before != Some(level) {
            // An append from before may have left it to its sync to wake the readers.
            self.waiters.notify();
        }
        if before != Some(level) && level != shared.options.durability {
            shared.kick.level();
        }
        Ok(())
    }
}

impl StreamInner {
    /// Waits until the log is durable up to a position, and what that rests on, but not beyond the
    /// deadline.
    pub(super) fn wait_by(
        self: &Arc<Self>,
        shared: &Shared,
        log: &Log,
        upto: u64,
        deadline: Deadline,
    ) -> Result<()> {
        self.sync_by(shared, log, upto, deadline)?;
        let (journal, created) = (&shared.journal, self.rests_on());
        let ask = || _ = self.ask_background(shared);
        journal.commit.wait_timeout(created, deadline, || journal.written(), ask)
    }
}

impl Stream {
    /// The settings that the stream has: those it was made with, or that were set since. Who asks
    /// [`Store::stream_with`](crate::Store::stream_with) for others, of a stream that is there,
    /// finds out by comparing. The durability, which is not stored, is not in them, and what has
    /// its default value is as if it had not been set.
    ///
    /// ```
    /// use streamlog::{Store, StreamOptions};
    ///
    /// let store = Store::in_memory()?;
    /// store.stream("s")?;
    /// let wanted = StreamOptions::new().segment_bytes(1 << 20);
    /// let stream = store.stream_with("s", wanted.clone())?;
    /// if stream.options()? != wanted {
    ///     stream.set_options(&wanted)?;
    /// }
    /// # assert_eq!(stream.options()?, wanted);
    /// # Ok::<(), streamlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NoStream`, `Closed`; what recovering the stream may give.
    pub fn options(&self) -> Result<StreamOptions> {
        let locked = self.inner.lock(self.shared())?;
        let defaults = StoredOptions::from(&self.shared().options.stream);
        Ok(StreamOptions::from(locked.state.options.unwrap_or(defaults)))
    }

    /// Changes how later appends are laid out: block and segment sizes, and the largest entry; and
    /// the retention, if the options have one. What is on disk stays as it is; the durability in
    /// the options is not looked at.
    ///
    /// # Errors
    /// `InvalidConfig`, `StorageFull`, `Poisoned`, `NoStream`, `Closed`.
    pub fn set_options(&self, options: &StreamOptions) -> Result<()> {
        options.check()?;
        self.store_options(|now| {
            let retention = options.retention.unwrap_or(now.retention);
            StoredOptions { retention, ..StoredOptions::from(options) }
        })
    }

    /// Records options and waits as the level asks.
    pub(super) fn store_options(
        &self,
        from: impl Fn(StoredOptions) -> StoredOptions,
    ) -> Result<()> {
        let shared = self.shared();
        let defaults = StoredOptions::from(&shared.options.stream);
        let (options, position) = self.inner.change(shared, true, |locked| {
            let options = from(locked.state.options.unwrap_or(defaults));
            Ok((options, vec![Event::OptionsSet { options }]))
        })?;
        self.inner.note_limits();
        self.inner.ask_for_retention(shared);
        // A log that has stopped meanwhile has no appends to lay out.
        if let Ok(mut appender) = self.log()?.writer() {
            // Not `options`: another call may have come behind this one.
            appender.set_options(self.inner.state.lock().options.unwrap_or(options));
        }
        self.inner.settle(shared, position)
    }

    /// Makes everything durable that was appended, and what its groups did, before the call.
    /// Returns the last ID that is on disk for sure.
    ///
    /// # Errors
    /// `Poisoned` if a sync failed, now or earlier; `NoStream`, `Closed`.
    pub fn sync(&self) -> Result<EntryId> {
        let log = self.log()?;
        let shared = self.shared();
        let last = log.writer()?.last_id();
        let journaled = shared.journal.written();
        self.inner.sync_written(shared)?;
        shared.sync_journal(journaled)?;
        Ok(last)
    }

    /// The highest ID of which it is known that it and all before it are on disk.
    ///
    /// # Errors
    /// `NoStream`, `Closed`.
    pub fn durable_id(&self) -> Result<EntryId> {
        let log = self.log()?;
        if self.shared().journal.commit.durable() < self.inner.rests_on() {
            return Ok(EntryId::MIN);
        }
        // The end before the marks: an entry that comes in between would be taken for durable.
        let last = log.tail().last_id;
        let durable = log.known_durable();
        let all = durable >= log.written();
        let span = Span { published: durable, trimmed: EntryId::MIN, ..log.written_span() };
        let mut backward = crate::storage::cursor::Backward::seek(&span, EntryId::MAX);
        let found = backward.next(&mut span.reading())?.map_or(EntryId::MIN, |place| place.id);
        Ok(if all { found.max(last) } else { found })
    }

    /// Waits until the entry with this ID, and all before it, are on disk. Does the sync itself if
    /// nobody else does.
    ///
    /// # Errors
    /// `Poisoned`, `NoStream`, `Closed`.
    pub fn wait_durable(&self, id: EntryId) -> Result<()> {
        let log = self.log()?;
        let upto = self.position_of(log, id)?;
        self.inner.sync_to(self.shared(), log, upto)?;
        self.shared().sync_journal(self.inner.rests_on())
    }

    /// The same, but not longer than `longest`: the sync is the background's, which is asked for
    /// one at once, under every level.
    ///
    /// # Errors
    /// `TimedOut`; as [`Stream::wait_durable`].
    pub fn wait_durable_timeout(&self, id: EntryId, longest: Duration) -> Result<()> {
        let log = self.log()?;
        let upto = self.position_of(log, id)?;
        self.inner.wait_by(self.shared(), log, upto, Deadline::after(longest))
    }

    /// A position that covers the entry; the end if that is cheaper to tell.
    fn position_of(&self, log: &Log, id: EntryId) -> Result<u64> {
        let span = log.written_span();
        let all = Span { trimmed: EntryId::MIN, ..span };
        Ok(all.end_of(id).unwrap_or_else(|| log.written()))
    }
}

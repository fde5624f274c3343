//! The public calls on a stream.

use super::idempotent::Tried;
use super::trim::plan_trim;
use super::*;
use crate::few::Few;
use crate::read::Budget;

/// A stream: an append-only sequence of entries, and the groups that read it.
///
/// Cloning gives another handle. All calls may be made from any number of threads.
#[derive(Clone)]
pub struct Stream {
    handle: Arc<Handle>,
    pub(super) inner: Arc<StreamInner>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream(\"{}\")", self.name().escape_ascii())
    }
}

/// An entry that is written and maybe not on disk.
pub(super) struct Put<'a> {
    pub(super) log: &'a Log,
    pub(super) id: EntryId,
    pub(super) position: u64,
    /// What is to be trimmed once the entry is on disk.
    pub(super) later: Option<Trim>,
    /// It had been written before.
    pub(super) duplicate: bool,
}

/// The same of a batch.
pub(super) struct PutBatch<'a> {
    pub(super) log: &'a Log,
    pub(super) first: EntryId,
    pub(super) last: EntryId,
    pub(super) position: u64,
}

/// What an append did not find.
pub(super) enum NoRoom {
    /// A segment for so many bytes.
    Segment(u64),
    /// Room in the journal for what is to be remembered.
    Journal,
    /// The table in which it is.
    Table,
}

impl Stream {
    pub(crate) fn new(handle: Arc<Handle>, inner: Arc<StreamInner>) -> Stream {
        Stream { handle, inner }
    }

    pub(crate) fn inner(&self) -> &Arc<StreamInner> {
        &self.inner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    #[inline]
    pub(super) fn log(&self) -> Result<&Log> {
        self.inner.check(self.shared())?;
        self.inner.log(self.shared())
    }

    /// The stream's name, as it is now. Empty in a forked child.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        match self.shared().check_process() {
            Ok(()) => self.inner.state.lock().name.clone(),
            Err(_) => Vec::new(),
        }
    }

    /// Appends an entry under a generated ID (XADD with `*`) and returns the ID.
    ///
    /// # Errors
    /// `NoFields`, `EntryTooLarge`, `IdExhausted`, `StorageFull` (nothing was appended),
    /// `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XADD")]
    pub fn append<K, V>(&self, fields: impl IntoIterator<Item = (K, V)>) -> Result<EntryId>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut encoded = Encoded::new(fields)?;
        self.append_plain(encoded.draft())
    }

    /// Appends an entry, with an ID of the caller's choice, a trim in the same step, or more
    /// durability (XADD with options).
    ///
    /// # Errors
    /// As [`Stream::append`]; `IdZero`, `IdNotGreater`, `InvalidTrim`, `TimedOut`.
    #[doc(alias = "XADD")]
    #[doc(alias = "MAXLEN")]
    #[doc(alias = "MINID")]
    pub fn append_with<K, V>(
        &self,
        fields: impl IntoIterator<Item = (K, V)>,
        options: AppendOptions,
    ) -> Result<EntryId>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        Ok(self.append_outcome(fields, options)?.id)
    }

    /// [`Stream::put`] without any options, as most appends go.
    fn append_plain(&self, draft: &mut Draft) -> Result<EntryId> {
        let log = self.log()?;
        self.shared().check_writable()?;
        self.wait_for_room(log, draft.list().len(), None, None)?;
        let (id, position) =
            self.with_room(log, || self.try_append(log, draft, NewId::Auto, None))?;
        self.appended(log, position, false)?;
        Ok(id)
    }

    /// Writes an entry, and waits for nothing but room: `most` is for levels without a limit to
    /// what may not be on disk.
    pub(super) fn put(
        &self,
        draft: &mut Draft,
        options: &AppendOptions,
        most: Option<u64>,
    ) -> Result<Put<'_>> {
        let log = self.log()?;
        self.shared().check_writable()?;
        self.wait_for_room(log, draft.list().len(), options.timeout, most)?;
        // A frame may be on disk earlier than the acknowledgements that its trim would rest on, and
        // has no place for what it takes from the groups.
        let waits = || self.inner.state.lock().retention().keep_unacked;
        let later = options.trim.filter(|trim| {
            trim.policy != RefPolicy::KeepRef || waits() && !planted::unacked_in_frame()
        });
        let trim = options.trim.filter(|_| later.is_none());
        if let Some(idempotent) = &options.idempotent {
            let tried = self.append_once(log, draft.list(), options.id, trim, idempotent)?;
            let Tried { id, position, duplicate } = tried;
            return Ok(Put { log, id, position, later: later.filter(|_| !duplicate), duplicate });
        }
        let (id, position) =
            self.with_room(log, || self.try_append(log, draft, options.id, trim))?;
        Ok(Put { log, id, position, later, duplicate: false })
    }

    pub(super) fn trim_later(&self, later: Option<Trim>) {
        if let Some(trim) = later {
            // The entry is there. What stops this trim stops the next call too, and is told then.
            drop(self.trim(trim));
        }
    }

    /// Tries an append until there is a segment for it, which is made while the writer is free.
    #[inline]
    pub(super) fn with_room<T>(
        &self,
        log: &Log,
        mut attempt: impl FnMut() -> Result<Result<T, NoRoom>>,
    ) -> Result<T> {
        self.shared().make_space();
        let (mut relieved, mut again) = (false, false);
        loop {
            let made = match attempt() {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(NoRoom::Segment(need))) => log.make_room(need).map_err(Error::refused),
                Ok(Err(other)) => self.make_other_room(log, &other, &mut again),
                Err(error) => Err(error),
            };
            if !relieved && made.as_ref().is_err_and(|error| self.shared().relieve(error)) {
                relieved = true;
                continue;
            }
            if made.is_err() {
                self.inner.failed(self.shared(), log);
            }
            made?;
        }
    }

    #[inline]
    fn try_append(
        &self,
        log: &Log,
        draft: &mut Draft,
        want: NewId,
        trim: Option<Trim>,
    ) -> Result<Result<(EntryId, u64), NoRoom>> {
        // Before the lock, as nobody needs to wait meanwhile; the last ID has a say in any case.
        let now = if want == NewId::Auto { self.shared().disk.now_ms() } else { 0 };
        let len = draft.list().len();
        let mut appender = log.writer()?;
        appender.wake()?;
        let max = appender.options().max_entry_bytes;
        if len as u64 > max {
            return Err(Error::new(ErrorKind::EntryTooLarge { size: len as u64, max }));
        }
        let id = next_id(want, appender.last_id(), now)?;
        if let Some(need) = appender.lacks_room(len, None) {
            return Ok(Err(NoRoom::Segment(need)));
        }
        let plan = match &trim {
            Some(trim) => {
                let joins = appender.joins_block(len, None);
                let mut state = self.inner.state.lock();
                plan_trim(&mut state, log, &appender, trim, Some((id, joins)))?
            }
            None => None,
        };
        let position = appender.append_draft(id, draft, plan.map(|plan| plan.trimmed))?;
        if let Some(plan) = plan.filter(|plan| !appender.trims(plan)) {
            count_trim(&mut self.inner.state.lock(), log, appender.tail(), &plan);
        }
        Ok(Ok((id, position)))
    }

    /// What every append does once the writer is free again. Returns whether readers have to wait
    /// for the disk.
    #[inline]
    pub(super) fn written(&self, log: &Log) -> bool {
        let shared = self.shared();
        self.inner.care(shared, log);
        self.inner.ask_for_retention(shared);
        let strict = log.is_strict();
        if !strict {
            self.inner.waiters.notify();
            shared.kick.dirty();
        }
        strict
    }

    /// The same, and waits as the level or the caller wants it.
    pub(super) fn appended(&self, log: &Log, position: u64, durable: bool) -> Result<()> {
        let shared = self.shared();
        let strict = self.written(log);
        if strict || durable {
            self.inner.sync_to(shared, log, position)?;
            planted::unless(planted::lazy_creation(), || {
                shared.sync_journal(self.inner.rests_on())
            })?;
        }
        Ok(())
    }

    /// Blocks while too much is not on disk yet: what the level says, or else `most`.
    fn wait_for_room(
        &self,
        log: &Log,
        len: usize,
        timeout: Option<Duration>,
        most: Option<u64>,
    ) -> Result<()> {
        let level = self.inner.max_unsynced.load(Ordering::Relaxed);
        let most = most.filter(|_| level == u64::MAX).unwrap_or(level);
        let written = log.written() + len as u64;
        match written.checked_sub(most) {
            Some(upto) => self.wait_for_sync(log, upto.min(log.written()), timeout),
            None => Ok(()),
        }
    }

    #[cold]
    fn wait_for_sync(&self, log: &Log, upto: u64, timeout: Option<Duration>) -> Result<()> {
        if log.commit.durable() >= upto {
            return Ok(());
        }
        let synced = match timeout {
            None => self.inner.sync_to(self.shared(), log, upto),
            Some(longest) => self.inner.sync_by(self.shared(), log, upto, Deadline::after(longest)),
        };
        synced.map_err(Error::refused)
    }

    /// Appends all entries of a batch or none, in one step for readers and for crashes. Returns the
    /// first and the last ID; `None` for an empty batch.
    ///
    /// # Errors
    /// As [`Stream::append_with`]; `IdNotGreater` names the entry; `BatchTooLarge` if the batch
    /// does not fit into one segment.
    #[doc(alias = "XADD")]
    pub fn append_batch(&self, batch: &NewEntries) -> Result<Option<(EntryId, EntryId)>> {
        self.append_batch_with(batch, BatchOptions::new())
    }

    /// The same, with more durability or a limit of time.
    ///
    /// # Errors
    /// As [`Stream::append_batch`], and `TimedOut`.
    #[doc(alias = "XADD")]
    pub fn append_batch_with(
        &self,
        batch: &NewEntries,
        options: BatchOptions,
    ) -> Result<Option<(EntryId, EntryId)>> {
        let Some(put) = self.put_batch(batch, options, None)? else {
            return Ok(None);
        };
        self.appended(put.log, put.position, options.durable)?;
        Ok(Some((put.first, put.last)))
    }

    /// As [`Stream::put`]; `None` for an empty batch.
    pub(super) fn put_batch(
        &self,
        batch: &NewEntries,
        options: BatchOptions,
        most: Option<u64>,
    ) -> Result<Option<PutBatch<'_>>> {
        let log = self.log()?;
        if batch.is_empty() {
            return Ok(None);
        }
        self.shared().check_writable()?;
        self.wait_for_room(log, batch.bytes.len(), options.timeout, most)?;
        let (first, last, position) = self.with_room(log, || self.try_append_batch(log, batch))?;
        Ok(Some(PutBatch { log, first, last, position }))
    }

    /// Returns the first and the last ID and the position behind the batch, which is not empty.
    fn try_append_batch(
        &self,
        log: &Log,
        batch: &NewEntries,
    ) -> Result<Result<(EntryId, EntryId, u64), NoRoom>> {
        let mut appender = log.writer()?;
        appender.wake()?;
        let max = appender.options().max_entry_bytes;
        let now = self.shared().disk.now_ms();
        let mut entries = Vec::with_capacity(batch.len());
        let mut last = appender.last_id();
        for (index, (want, list)) in batch.lists().enumerate() {
            if list.len() as u64 > max {
                return Err(Error::new(ErrorKind::EntryTooLarge { size: list.len() as u64, max }));
            }
            last = next_id(want, last, now).map_err(|error| match error.kind() {
                ErrorKind::IdNotGreater { given, last, .. } => {
                    let (given, last) = (*given, *last);
                    error.with_kind(ErrorKind::IdNotGreater { index: Some(index), given, last })
                }
                _ => error,
            })?;
            entries.push((last, list));
        }
        if let Some(need) = appender.batch_lacks_room(&entries) {
            return Ok(Err(NoRoom::Segment(need)));
        }
        let position = appender.append_batch(&entries)?;
        let first = entries.first().map_or(last, |(first, _)| *first);
        Ok(Ok((first, last, position)))
    }

    /// The entry with this ID, if it lives.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `NoStream`, `Closed`.
    #[doc(alias = "XRANGE")]
    pub fn get(&self, id: EntryId) -> Result<Option<Entry>> {
        let span = self.log()?.span();
        let found = span.find(id)?;
        Ok(found.map(|place| EntryRef::new(id, span.list(&place)).to_entry()))
    }

    /// Copies of the entries with IDs in a range, in both directions (XRANGE; XREVRANGE by
    /// `rev()`). Times are ranges of IDs: from `EntryId::new(ms, 0)`.
    #[doc(alias = "XRANGE")]
    #[doc(alias = "XREVRANGE")]
    #[must_use]
    pub fn range(&self, ids: impl RangeBounds<EntryId>) -> OwnedRange {
        OwnedRange::new(self.log().map(Log::span), &ids)
    }

    /// A fixed view, from which entries can be borrowed without copying.
    ///
    /// # Errors
    /// `NoStream`, `Closed`.
    #[doc(alias = "XRANGE")]
    #[doc(alias = "XREVRANGE")]
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot { span: self.log()?.span() })
    }

    /// The position behind which a read from `start` begins.
    pub(crate) fn resolve(&self, start: Start) -> Result<EntryId> {
        Ok(match start {
            Start::First => EntryId::MIN,
            Start::Last => self.log()?.tail().last_id,
            Start::After(id) => id,
            Start::LastEntry => {
                let (span, tail) = self.log()?.look();
                span.before_last()?.unwrap_or(tail.last_id)
            }
        })
    }

    /// One look for entries above `after`.
    pub(crate) fn look(&self, after: EntryId, budget: &mut Budget) -> Result<Batch> {
        self.inner.look(self.shared(), after, budget)
    }

    /// Reads entries after a position, and waits for one if the options say so (XREAD). An elapsed
    /// wait gives an empty batch.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `NoStream` and `Closed` (also while waiting); `Poisoned` instead of a wait
    /// for entries that cannot come.
    #[doc(alias = "XREAD")]
    pub fn read(&self, from: Start, options: ReadOptions) -> Result<Batch> {
        let mut found = crate::wait::read(&[(self, from)], options)?;
        Ok(match found.pop() {
            Some((_, batch)) => batch,
            None => Batch::new(self.log()?.span().segments, Few::default()),
        })
    }

    /// An endless iterator over the entries after a position: those that there are, then those that
    /// are appended.
    ///
    /// # Errors
    /// `NoStream`, `Closed`.
    #[doc(alias = "XREAD")]
    pub fn tail(&self, from: Start) -> Result<crate::wait::Tail> {
        self.log()?;
        let after = self.resolve(from)?;
        Ok(crate::wait::Tail::new(self.clone(), after))
    }

    /// Removes single entries (XDEL) and returns how many there were. Their space comes back in the
    /// background, by whole segments, once all in a segment and before it are gone.
    ///
    /// # Errors
    /// `Corrupt`, `Poisoned`, `NoStream`, `Closed`, `StorageFull`.
    #[doc(alias = "XDEL")]
    pub fn delete(&self, ids: impl IntoIterator<Item = EntryId>) -> Result<u64> {
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let shared = self.shared();
        let (count, position) = self.inner.change(shared, true, |locked| {
            let mut found = Vec::new();
            for id in &ids {
                if locked.span.find(*id)?.is_some() {
                    found.push(*id);
                }
            }
            found.sort_unstable();
            found.dedup();
            Ok((found.len() as u64, deletions(&found).collect()))
        })?;
        self.inner.care(shared, self.log()?);
        self.inner.settle(shared, position)?;
        Ok(count)
    }

    /// The number of entries that live (XLEN). O(1).
    ///
    /// # Errors
    /// `NoStream`, `Closed`; what recovering the stream may give.
    #[doc(alias = "XLEN")]
    pub fn len(&self) -> Result<u64> {
        let locked = self.inner.lock(self.shared())?;
        Ok(locked.state.live.as_ref().map_or(0, |live| live.len(locked.tail)))
    }

    /// Whether no entry lives.
    ///
    /// # Errors
    /// As [`Stream::len`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

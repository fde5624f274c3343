//! Appends of producers that say who they are and what they send, so that what is sent again is not
//! appended again: XADD with IDMP, XCFGSET, XIDMPRECORD.
//!
//! The table is looked at and changed with the writer and the state locked, in one step with the
//! append; so of two that come at once one finds the other.

use super::api::NoRoom;
use super::trim::plan_trim;
use super::*;
use crate::format::content::iid_of;
use crate::format::event::Window;
use crate::format::frame::{Key, MAX_BODY};
use crate::options::{IdempotencyWindow, Idempotent, Iid};
use crate::state::{Counts, Idempotency};

/// So many bytes of frames at most are behind what the journal tells of producers, or a few more.
const MARK_EVERY: u64 = 8 << 20;
/// A producer and an iid take no more than this, in bytes.
const LARGEST_KEY: usize = 1 << 20;

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The ID of the entry; of the first one, if this was a duplicate.
    pub id: EntryId,
    /// Nothing was appended: the producer has sent this before.
    pub duplicate: bool,
}

/// What is told of a stream's idempotent producers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdempotencyInfo {
    /// How long and how much is remembered (`idmp-duration`, `idmp-maxsize`).
    pub window: IdempotencyWindow,
    /// How many producers have an iid that is remembered (`pids-tracked`).
    pub producers: u64,
    /// How many iids are remembered, of all producers (`iids-tracked`).
    pub iids: u64,
    /// How many were, over the life of the stream (`iids-added`).
    pub added: u64,
    /// How many duplicates were refused, over the life of the stream (`iids-duplicates`). The only
    /// number here that a crash may take back: to what it was when the store was last closed, or
    /// when the state journal was last told.
    pub duplicates: u64,
}

impl From<IdempotencyWindow> for Window {
    fn from(window: IdempotencyWindow) -> Window {
        let seconds = u32::try_from(window.duration.as_secs()).unwrap_or(u32::MAX);
        Window { seconds, most: window.max_iids }
    }
}

impl From<Window> for IdempotencyWindow {
    fn from(window: Window) -> IdempotencyWindow {
        let duration = Duration::from_secs(u64::from(window.seconds));
        IdempotencyWindow { duration, max_iids: window.most }
    }
}

impl IdempotencyInfo {
    pub(super) fn of(state: &mut StreamState, now_ms: u64) -> IdempotencyInfo {
        let Some(table) = &mut state.idempotency else {
            return IdempotencyInfo::default();
        };
        table.expire(now_ms);
        let Counts { producers, iids, added, duplicates } = table.counts();
        IdempotencyInfo { window: table.window().into(), producers, iids, added, duplicates }
    }
}

/// An entry that was appended, or had been before.
pub(super) struct Tried {
    pub(super) id: EntryId,
    pub(super) position: u64,
    pub(super) duplicate: bool,
}

/// Refuses what cannot be a producer's ID or an iid.
fn check_key(key: Key<'_>) -> Result<()> {
    let refuse =
        |argument, reason| Err(Error::new(ErrorKind::InvalidArgument { argument, reason }));
    if key.producer.is_empty() {
        return refuse("producer ID", "it must not be empty");
    }
    if key.iid.is_empty() {
        return refuse("idempotent ID", "it must not be empty");
    }
    if key.len() > LARGEST_KEY {
        return refuse("idempotent ID", "it has more than 1 MiB together with the producer ID");
    }
    Ok(())
}

/// Calls `append` with the key that an append with this field list has.
fn with_key<T>(
    idempotent: &Idempotent,
    list: &[u8],
    append: impl FnOnce(Key<'_>) -> Result<T>,
) -> Result<T> {
    let made;
    let iid = match &idempotent.iid {
        Iid::Given(iid) => iid,
        Iid::OfFields => {
            made = iid_of(list);
            &made[..]
        }
    };
    let key = Key { producer: &idempotent.producer, iid };
    check_key(key)?;
    let (size, max) = (list.len() + key.len(), MAX_BODY - 4096);
    if size > max {
        let (size, max) = (size as u64, max as u64);
        return Err(Error::new(ErrorKind::EntryTooLarge { size, max }));
    }
    append(key)
}

impl Stream {
    /// Appends as [`Stream::append_with`] does, and tells besides whether this was a duplicate
    /// ([`AppendOptions::idempotent`]).
    ///
    /// ```
    /// use streamlog::{AppendOptions, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let orders = store.stream("orders")?;
    /// let once = AppendOptions::new().idempotent("till-7", "order 1234");
    /// let first = orders.append_outcome([("total", "12.90")], once.clone())?;
    /// // The answer was lost on its way, and the till tries again.
    /// let again = orders.append_outcome([("total", "12.90")], once)?;
    /// assert_eq!((again.id, again.duplicate), (first.id, true));
    /// assert_eq!(orders.len()?, 1);
    /// # Ok::<(), streamlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Stream::append_with`].
    #[doc(alias = "XADD")]
    #[doc(alias = "IDMP")]
    #[doc(alias = "IDMPAUTO")]
    pub fn append_outcome<K, V>(
        &self,
        fields: impl IntoIterator<Item = (K, V)>,
        options: AppendOptions,
    ) -> Result<Appended>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        options.check()?;
        let mut encoded = Encoded::new(fields)?;
        let put = self.put(encoded.draft(), &options, None)?;
        self.appended(put.log, put.position, options.durable)?;
        self.trim_later(put.later);
        Ok(Appended { id: put.id, duplicate: put.duplicate })
    }

    /// Appends an entry with a key, unless its producer has done so before.
    #[inline(never)]
    pub(super) fn append_once(
        &self,
        log: &Log,
        list: &[u8],
        want: NewId,
        trim: Option<Trim>,
        idempotent: &Idempotent,
    ) -> Result<Tried> {
        with_key(idempotent, list, |key| {
            self.with_room(log, || self.try_append_once(log, list, want, trim, key))
        })
    }

    /// Makes room for what is remembered, or begins to remember.
    #[cold]
    pub(super) fn make_other_room(
        &self,
        log: &Log,
        lacks: &NoRoom,
        again: &mut bool,
    ) -> Result<()> {
        match lacks {
            NoRoom::Table => self.inner.begin_table(self.shared(), log),
            _ => self.shared().make_room(std::mem::replace(again, true)),
        }
    }

    /// The append of an entry with a key, in one step with the look for an earlier one.
    pub(super) fn try_append_once(
        &self,
        log: &Log,
        list: &[u8],
        want: NewId,
        trim: Option<Trim>,
        key: Key<'_>,
    ) -> Result<Result<Tried, NoRoom>> {
        let shared = self.shared();
        let mut appender = log.writer()?;
        appender.wake()?;
        let now_ms = shared.disk.now_ms();
        let durable = log.commit.durable();
        let mut state = self.inner.lock_state()?;
        let Some(table) = &mut state.idempotency else {
            return Ok(Err(NoRoom::Table));
        };
        table.sweep(now_ms, durable);
        if let Some((id, position)) = table.find(key.producer, key.iid, now_ms) {
            table.note_duplicate();
            return Ok(Ok(Tried { id, position, duplicate: true }));
        }
        let max = appender.options().max_entry_bytes;
        if list.len() as u64 > max {
            return Err(Error::new(ErrorKind::EntryTooLarge { size: list.len() as u64, max }));
        }
        let id = next_id(want, appender.last_id(), now_ms)?;
        if let Some(need) = appender.lacks_room(list.len(), Some(&key)) {
            return Ok(Err(NoRoom::Segment(need)));
        }
        if !shared.journal.reserve(table.growth(key.producer, key.iid)) {
            return Ok(Err(NoRoom::Journal));
        }
        let plan = match &trim {
            Some(trim) => {
                let joins = appender.joins_block(list.len(), Some(&key));
                plan_trim(&mut state, log, &appender, trim, Some((id, joins)))?
            }
            None => None,
        };
        let trimmed = plan.map(|plan| plan.trimmed);
        let position = appender.append(id, list, trimmed, Some(&key))?;
        if let Some(table) = &mut state.idempotency {
            table.insert(key.producer, key.iid, id, position, durable);
        }
        if let Some(plan) = plan.filter(|plan| !appender.trims(plan)) {
            count_trim(&mut state, log, appender.tail(), &plan);
        }
        Ok(Ok(Tried { id, position, duplicate: false }))
    }

    /// How long and how much the stream remembers of its idempotent producers.
    ///
    /// # Errors
    /// `NoStream`, `Closed`; what recovering the stream may give.
    #[doc(alias = "XCFGSET")]
    pub fn idempotency(&self) -> Result<IdempotencyWindow> {
        let locked = self.inner.lock(self.shared())?;
        let table = locked.state.idempotency.as_deref();
        Ok(table.map(Idempotency::window).unwrap_or_default().into())
    }

    /// Changes how long, or how much, the stream remembers of its idempotent producers (XCFGSET).
    ///
    /// Where that differs from before, everything that is remembered now is forgotten, of all
    /// producers; entries and lifetime counters stay. What is set to the value that it has changes
    /// nothing. Costs a sync if something was appended under an iid since the last one.
    ///
    /// # Errors
    /// `InvalidArgument` if neither is given; `InvalidConfig`, `StorageFull`, `Poisoned`,
    /// `ReadOnly`, `NoStream`, `Closed`.
    #[doc(alias = "XCFGSET")]
    pub fn set_idempotency(&self, duration: Option<Duration>, max_iids: Option<u32>) -> Result<()> {
        if duration.is_none() && max_iids.is_none() {
            return Err(Error::new(ErrorKind::InvalidArgument {
                argument: "idempotency",
                reason: "a duration or a number of iids must be given",
            }));
        }
        let wanted = |now: IdempotencyWindow| IdempotencyWindow {
            duration: duration.unwrap_or(now.duration),
            max_iids: max_iids.unwrap_or(now.max_iids),
        };
        wanted(IdempotencyWindow::default()).check()?;
        let position = self.change_durable(|state, durable| {
            let empty = Idempotency::default();
            let table = state.idempotency.as_deref().unwrap_or(&empty);
            let window = Window::from(wanted(table.window().into()));
            let differs = window != table.window();
            Ok(differs.then(|| table.set(window, durable)).into_iter().collect())
        })?;
        self.inner.settle(self.shared(), position)
    }

    /// Remembers that a producer has appended the entry with this ID, which is there, under this
    /// iid (XIDMPRECORD): to carry what another store remembers over to this one. If that is
    /// remembered already, nothing changes. Costs a sync if something is not on disk.
    ///
    /// # Errors
    /// `InvalidArgument`; `NoEntry` if no entry with the ID lives; `IidTaken` if the producer has
    /// another entry under the iid; `StorageFull`, `Corrupt`, `Poisoned`, `ReadOnly`, `NoStream`,
    /// `Closed`.
    #[doc(alias = "XIDMPRECORD")]
    pub fn record_idempotency(
        &self,
        producer: impl AsRef<[u8]>,
        iid: impl AsRef<[u8]>,
        id: EntryId,
    ) -> Result<()> {
        let (producer, iid) = (producer.as_ref(), iid.as_ref());
        check_key(Key { producer, iid })?;
        let shared = self.shared();
        let log = self.log()?;
        self.inner.check_writable(shared)?;
        if log.span().find(id)?.is_none() {
            return Err(Error::new(ErrorKind::NoEntry { id }));
        }
        // Not even the record of an iid may outlast its entry.
        self.inner.sync_written(shared)?;
        let position = self.change_durable(|state, durable| {
            let mut events = Vec::new();
            match &mut state.idempotency {
                None => events.push(Idempotency::default().set(Window::default(), durable)),
                Some(table) => match table.find(producer, iid, shared.disk.now_ms()) {
                    Some((known, _)) if known == id => return Ok(events),
                    Some((known, _)) => {
                        return Err(Error::new(ErrorKind::IidTaken { id: known }));
                    }
                    None => events.extend(table.mark(durable)),
                },
            }
            let (producer, iid) = (producer.into(), iid.into());
            events.push(Event::IdempotencyRecorded { producer, iid, id });
            Ok(events)
        })?;
        self.inner.settle(shared, position)
    }

    /// Changes the table by events that stand behind all that was appended so far, which is on disk
    /// then. Returns the position behind the record, or 0.
    fn change_durable(
        &self,
        mut decide: impl FnMut(&mut StreamState, u64) -> Result<Vec<Event>>,
    ) -> Result<u64> {
        let (shared, log) = (self.shared(), self.log()?);
        loop {
            let (done, position) = self.inner.change(shared, true, |locked| {
                let durable = log.commit.durable();
                let table = locked.state.idempotency.as_deref();
                if table.is_some_and(|table| !table.is_durable(durable)) {
                    return Ok((false, Vec::new()));
                }
                Ok((true, decide(&mut locked.state, durable)?))
            })?;
            if done {
                return Ok(position);
            }
            self.inner.sync_written(shared)?;
        }
    }
}

/// The end of the frames of which the journal may tell: an iid is nothing without its entry.
pub(super) fn told_end_of(log: &Log) -> u64 {
    if planted::pairs_early() { log.written() } else { log.commit.durable() }
}

impl StreamInner {
    /// Says in the journal that producers of this stream are remembered, before the first is: so
    /// streams without any need not be searched for them.
    pub(super) fn begin_table(&self, shared: &Shared, log: &Log) -> Result<()> {
        let ((), position) = self.change(shared, true, |locked| {
            let covered = log.commit.durable();
            let first = locked.state.idempotency.is_none();
            let set = || Idempotency::default().set(Window::default(), covered);
            Ok(((), first.then(set).into_iter().collect()))
        })?;
        self.set_rests_on(position);
        Ok(())
    }

    /// The events that tell the journal of producers, as far as frames are durable.
    pub(super) fn mark(&self, state: &StreamState) -> Vec<Event> {
        let log = self.log.get().filter(|log| !log.is_poisoned());
        match (&state.idempotency, log) {
            (Some(table), Some(log)) => table.mark(told_end_of(log)),
            _ => Vec::new(),
        }
    }

    /// Has the journal tell of producers once many frames do, which the next open would have to
    /// read.
    pub(super) fn mark_now_and_then(&self, shared: &Shared, log: &Log) -> Result<()> {
        let is_due = |state: &StreamState| {
            let covered = state.idempotency.as_ref().map(|table| table.covered());
            covered.is_some_and(|covered| log.commit.durable() >= covered + MARK_EVERY)
        };
        if !is_due(&self.state.lock()) {
            return Ok(());
        }
        let marked = self.change(shared, false, |locked| Ok(((), self.mark(&locked.state))));
        marked.map(drop)
    }

    /// Takes in what frames say of producers and the journal does not, in a log that was just
    /// recovered. Returns what is to be recorded. `keyed`: frames say something; `unsure`: the
    /// journal may have told of producers and does not any more.
    pub(super) fn recover_table(
        &self,
        log: &Log,
        keyed: bool,
        unsure: bool,
    ) -> Result<Option<Event>> {
        let mut state = self.state.lock();
        let first = state.idempotency.is_none();
        if first && !keyed && !unsure {
            return Ok(None);
        }
        let mut table = state.idempotency.take().unwrap_or_default();
        let (before, written) = (table.covered(), log.written());
        let span = Span { trimmed: EntryId::MIN, ..log.written_span() };
        planted::unless(planted::keys_unread(), || {
            span.each_key(before, |key, id, position| {
                table.insert(key.producer, key.iid, id, position, written);
            })
        })?;
        let gaps = log.home.damage.gaps();
        table.settle(written, |id| gaps.iter().any(|gap| gap.after < id && id < gap.before));
        // Where the log has lost what the journal had told of, new frames come to lie there.
        let record = match (first, before > written) {
            (true, _) => Some(Idempotency::default().set(table.window(), 0)),
            (false, true) => Some(table.set(table.window(), written)),
            (false, false) => None,
        };
        if first && !keyed && table.counts() == Counts::default() {
            return Ok(None);
        }
        state.idempotency = Some(table);
        Ok(record)
    }
}

//! Groups, consumers and what is delivered to them.
//!
//! Every call decides on the stream's state under its lock, writes one record to the state journal
//! and applies it, in `StreamInner::change`; nothing here touches the state in another way.

use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result, check_name};
use crate::few::Few;
use crate::format::event::{Event, GroupNumber, Ids, Single};
use crate::group::{ConsumerInfo, GroupInfo, GroupState, Pending, PendingSummary};
use crate::id::{EntryId, closed};
use crate::options::{ClaimOptions, GroupReadOptions, PendingFilter, ReadFrom, Start};
use crate::read::{Batch, Budget};
use crate::state::StreamState;
use crate::storage::cursor::{Place, Segments, Span};
use crate::store::{Shared, Store};
use crate::stream::{Locked, Stream};
use parking_lot::MutexGuard;
use std::ops::{Deref, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

mod answer;
mod claim;
pub use claim::{AutoClaim, AutoClaimIds};
mod delivery;
pub use delivery::{Claimed, Delivery};
mod read;
pub use read::Deliveries;
#[cfg(feature = "resp")]
pub(crate) use read::read_now;

/// A consumer group of a stream. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct Group {
    // One pointer: each delivery holds a handle.
    of: Arc<Origin>,
}

/// Which group it is.
#[derive(Debug)]
struct Origin {
    stream: Stream,
    number: GroupNumber,
    name: Box<[u8]>,
}

/// A consumer of a group: the name under which entries are pending. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct Consumer {
    group: Group,
    name: Arc<[u8]>,
}

impl Stream {
    fn group_of(&self, number: GroupNumber, name: &[u8]) -> Group {
        Group { of: Arc::new(Origin { stream: self.clone(), number, name: name.into() }) }
    }

    /// The group of this name; made at `start` if there is none.
    ///
    /// # Errors
    /// As [`Stream::create_group`], but for `GroupExists`.
    #[doc(alias = "XGROUP CREATE")]
    pub fn group(&self, name: impl AsRef<[u8]>, start: Start) -> Result<Group> {
        let name = name.as_ref();
        loop {
            if let Some(group) = self.get_group(name)? {
                return Ok(group);
            }
            match self.create_group(name, start) {
                Err(error) if matches!(error.kind(), ErrorKind::GroupExists { .. }) => {}
                other => return other,
            }
        }
    }

    /// Makes a group that has yet to read what lies behind `start` (XGROUP CREATE).
    ///
    /// # Errors
    /// `GroupExists`, `InvalidName`, `StorageFull`, `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XGROUP CREATE")]
    pub fn create_group(&self, name: impl AsRef<[u8]>, start: Start) -> Result<Group> {
        self.create_group_with(name, start, None)
    }

    /// The same; `entries_read` tells how many entries the group counts as having read
    /// (ENTRIESREAD), from which its lag follows.
    ///
    /// # Errors
    /// As [`Stream::create_group`].
    #[doc(alias = "XGROUP CREATE")]
    pub fn create_group_with(
        &self,
        name: impl AsRef<[u8]>,
        start: Start,
        entries_read: Option<u64>,
    ) -> Result<Group> {
        let name = name.as_ref();
        let shared = self.shared();
        let (number, position) = self.inner().change(shared, true, |locked| {
            let facts = locked.facts()?;
            let last_id = resolve(start, locked)?;
            let event = locked.state.groups.create_group(name, last_id, entries_read, &facts)?;
            let number = match &event {
                Event::GroupCreated { group, .. } => *group,
                _ => 0,
            };
            Ok((number, vec![event]))
        })?;
        self.inner().settle(shared, position)?;
        Ok(self.group_of(number, name))
    }

    /// The group of this name, if there is one.
    ///
    /// # Errors
    /// `NoStream`, `Closed`.
    pub fn get_group(&self, name: impl AsRef<[u8]>) -> Result<Option<Group>> {
        let name = name.as_ref();
        let found = self.inner().hold(self.shared())?.groups.find(name);
        Ok(found.map(|number| self.group_of(number, name)))
    }

    /// Removes a group with its pending entries (XGROUP DESTROY). `false` if there is none. Reads
    /// that wait for it end with `NoGroup`.
    ///
    /// # Errors
    /// `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XGROUP DESTROY")]
    pub fn remove_group(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        let name = name.as_ref();
        let shared = self.shared();
        let (removed, position) = self.inner().change(shared, false, |locked| {
            let groups = &locked.state.groups;
            let Some(group) = groups.find(name).and_then(|number| groups.get(number)) else {
                return Ok((None, Vec::new()));
            };
            Ok((groups.find(name), vec![group.remove()]))
        })?;
        let Some(number) = removed else {
            return Ok(false);
        };
        self.inner().waiters.wake_group(number);
        self.inner().settle(shared, position)?;
        Ok(true)
    }

    /// All groups, by name (XINFO GROUPS).
    ///
    /// # Errors
    /// `NoStream`, `Closed`.
    #[doc(alias = "XINFO GROUPS")]
    pub fn groups(&self) -> Result<Vec<GroupInfo>> {
        let mut locked = self.inner().lock(self.shared())?;
        let facts = locked.facts()?;
        Ok(locked.state.groups.infos(&facts))
    }
}

fn resolve(start: Start, locked: &Locked<'_>) -> Result<EntryId> {
    Ok(match start {
        Start::First => EntryId::MIN,
        Start::Last => locked.tail.last_id,
        Start::After(id) => id,
        Start::LastEntry => locked.span.before_last()?.unwrap_or(locked.tail.last_id),
    })
}

impl Group {
    /// The group's name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.of.name
    }

    /// The stream that it reads.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.of.stream
    }

    fn shared(&self) -> &Shared {
        self.of.stream.shared()
    }

    fn of<'a>(&self, locked: &'a Locked<'_>) -> Result<&'a GroupState> {
        self.within(&locked.state)
    }

    #[inline]
    fn within<'a>(&self, state: &'a StreamState) -> Result<&'a GroupState> {
        state.groups.get(self.of.number).ok_or_else(|| self.no_group())
    }

    #[cold]
    fn no_group(&self) -> Error {
        Error::new(ErrorKind::NoGroup { name: self.of.name.to_vec() })
    }

    /// Whether a change of the group has a chance.
    fn check(&self) -> Result<()> {
        let inner = self.of.stream.inner();
        let locked = inner.lock(self.shared())?;
        inner.check_writable(self.shared())?;
        self.of(&locked).map(drop)
    }

    /// Looks at the group without changing it.
    fn look<T>(&self, look: impl FnOnce(&GroupState) -> T) -> Result<T> {
        let state = self.of.stream.inner().hold(self.shared())?;
        Ok(look(self.within(&state)?))
    }

    /// Changes the group by what `decide` says. Returns its result and the record's position.
    fn change<T>(
        &self,
        grows: bool,
        mut decide: impl FnMut(&mut Locked<'_>, &Group) -> Result<(T, Vec<Event>)>,
    ) -> Result<(T, u64)> {
        self.of.stream.inner().change(self.shared(), grows, |locked| decide(locked, self))
    }

    /// A change that is durable on return under `Always`.
    fn change_durably<T>(
        &self,
        grows: bool,
        decide: impl FnMut(&mut Locked<'_>, &Group) -> Result<(T, Vec<Event>)>,
    ) -> Result<T> {
        let (result, position) = self.change(grows, decide)?;
        self.of.stream.inner().settle(self.shared(), position)?;
        Ok(result)
    }

    /// The consumer of this name, which comes into being with its first read or claim.
    ///
    /// # Errors
    /// `InvalidName`.
    pub fn consumer(&self, name: impl AsRef<[u8]>) -> Result<Consumer> {
        check_name("consumer", name.as_ref())?;
        Ok(Consumer { group: self.clone(), name: name.as_ref().into() })
    }

    /// Makes a consumer before its first read (XGROUP CREATECONSUMER). `false` if there is one.
    ///
    /// # Errors
    /// `InvalidName`, `NoGroup`, `StorageFull`, `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XGROUP CREATECONSUMER")]
    pub fn create_consumer(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        let now = self.shared().disk.now_ms();
        self.change_durably(true, |locked, group| {
            let event = group.of(locked)?.create_consumer(name.as_ref(), now)?;
            Ok((event.is_some(), event.into_iter().collect()))
        })
    }

    /// Removes a consumer and its pending records, and returns how many those were (XGROUP
    /// DELCONSUMER). Claim them first if they are to be worked on by others.
    ///
    /// # Errors
    /// `NoGroup`, `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XGROUP DELCONSUMER")]
    pub fn remove_consumer(&self, name: impl AsRef<[u8]>) -> Result<u64> {
        self.change_durably(false, |locked, group| {
            let removed = group.of(locked)?.remove_consumer(name.as_ref());
            Ok(match removed {
                Some((event, pending)) => (pending, vec![event]),
                None => (0, Vec::new()),
            })
        })
    }

    /// All consumers, by name (XINFO CONSUMERS).
    ///
    /// # Errors
    /// `NoGroup`, `NoStream`, `Closed`.
    #[doc(alias = "XINFO CONSUMERS")]
    pub fn consumers(&self) -> Result<Vec<ConsumerInfo>> {
        let now = self.shared().disk.now_ms();
        self.look(|group| group.consumer_infos(now))
    }

    /// Acknowledges entries: they are no longer pending for anyone (XACK). Returns how many were.
    /// Under [`Durability::Always`](crate::Durability::Always) that is durable on return.
    ///
    /// # Errors
    /// `NoGroup`, `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XACK")]
    pub fn ack(&self, ids: impl IntoIterator<Item = EntryId>) -> Result<u64> {
        let ids: Ids = ids.into_iter().collect();
        if let [id] = *ids {
            return self.ack_one(id, None).map(u64::from);
        }
        let (shared, inner) = (self.shared(), self.of.stream.inner());
        let ack = |state: &mut MutexGuard<'_, StreamState>, out: &mut Vec<Event>| {
            self.within(state).map(|group| group.ack(&ids, out))
        };
        let (count, (), position) = inner.change_held(shared, false, ack)?;
        inner.settle(shared, position)?;
        Ok(count)
    }

    /// The same for one of them. `false` if it was not pending any more. `held`: the segments of
    /// the view that gave it, if that is done with.
    pub(super) fn ack_one(&self, id: EntryId, mut held: Option<Segments>) -> Result<bool> {
        let (shared, inner) = (self.shared(), self.of.stream.inner());
        let ack = |state: &mut MutexGuard<'_, StreamState>, out: &mut Option<Single>| {
            held = held.take().and_then(|segments| inner.give_back(state, segments));
            *out = self.within(state)?.ack_one(id);
            Ok(())
        };
        match inner.change_one(shared, false, ack)? {
            Some(((), position)) => inner.settle(shared, position).map(|()| true),
            None => Ok(false),
        }
    }

    /// How much is pending, and for whom (XPENDING).
    ///
    /// # Errors
    /// `NoGroup`, `NoStream`, `Closed`.
    #[doc(alias = "XPENDING")]
    pub fn pending(&self) -> Result<PendingSummary> {
        self.look(GroupState::pending_summary)
    }

    /// The pending entries with IDs in a range (XPENDING with a range).
    ///
    /// # Errors
    /// `NoGroup`, `NoStream`, `Closed`.
    #[doc(alias = "XPENDING")]
    pub fn pending_range(
        &self,
        ids: impl RangeBounds<EntryId>,
        filter: PendingFilter,
    ) -> Result<Vec<Pending>> {
        let now = self.shared().disk.now_ms();
        let bounds = closed(&ids);
        self.look(|group| match bounds {
            Some((first, last)) => group.pending_range(first, last, &filter, now),
            None => Vec::new(),
        })
    }

    /// Moves the group's position (XGROUP SETID). What is pending stays so.
    ///
    /// # Errors
    /// `NoGroup`, `Poisoned`, `NoStream`, `Closed`.
    #[doc(alias = "XGROUP SETID")]
    pub fn set_id(&self, to: Start) -> Result<()> {
        self.set_id_with(to, None)
    }

    /// The same, with the number of entries that count as read (ENTRIESREAD).
    ///
    /// # Errors
    /// As [`Group::set_id`].
    #[doc(alias = "XGROUP SETID")]
    pub fn set_id_with(&self, to: Start, entries_read: Option<u64>) -> Result<()> {
        self.change_durably(false, |locked, group| {
            let facts = locked.facts()?;
            let last_id = resolve(to, locked)?;
            Ok(((), vec![group.of(locked)?.set(last_id, entries_read, &facts)]))
        })
    }

    /// What XINFO GROUPS tells of this group.
    ///
    /// # Errors
    /// `NoGroup`, `NoStream`, `Closed`.
    #[doc(alias = "XINFO GROUPS")]
    pub fn info(&self) -> Result<GroupInfo> {
        let mut locked = self.of.stream.inner().lock(self.shared())?;
        let facts = locked.facts()?;
        Ok(self.of(&locked)?.info(&facts))
    }
}

impl Consumer {
    /// The consumer's name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its group.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Whether a call will bring the consumer into being.
    pub(crate) fn is_new(&self) -> Result<bool> {
        self.group.look(|group| group.find_consumer(&self.name).is_none())
    }
}

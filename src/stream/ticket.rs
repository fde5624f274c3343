//! Appends that do not wait for the disk, and what stands for the wait.

use super::*;
use crate::commit::Seat;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How many bytes may be on their way to disk where the level sets no limit.
const MOST_UNSYNCED: u64 = 8 << 20;

/// The durability of an append that has not waited for it; from [`Stream::append_async`].
///
/// The entry is in the log when its ticket is there. A ticket only tells when the entry is on disk,
/// under every level: it can be waited for by a thread ([`Ticket::wait`]), looked at
/// ([`Ticket::is_durable`]), or awaited, as it is a future that gives the (last) ID. It needs no
/// runtime: its waker is called by the thread that did the sync, with no lock held, once everything
/// is settled, and should do no more than to have the task run elsewhere. A waker that panics is
/// passed over.
///
/// Dropping a ticket changes nothing but that nobody is told: the entry stays and becomes durable.
/// A ticket keeps no store open; closing the store, by a call or with its last handle, settles all
/// tickets. Each takes less than 128 bytes, and 16 more while it is awaited.
///
/// Tickets of a stream are settled in the order of its entries, all that share a sync at once. When
/// one of them is durable, so is everything before.
///
/// # Errors
/// Waiting and awaiting give `Poisoned` if a sync failed: whether the entry is there then shows
/// when the store is opened the next time. `NoStream` if the stream was removed before;
/// `ForkedProcess`.
pub struct Ticket {
    shared: Arc<Shared>,
    inner: Arc<StreamInner>,
    first: EntryId,
    last: EntryId,
    position: u64,
    /// Where the task waits: for the log, or, once that is durable, for the journal.
    seat: Option<Seat>,
    logged: bool,
    duplicate: bool,
}

const _: () = {
    const fn may_go_anywhere<T: Send + Sync + Unpin>() {}
    may_go_anywhere::<Ticket>();
    assert!(size_of::<Ticket>() < 128);
};

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("first", &self.first)
            .field("last", &self.last)
            .field("durable", &self.is_durable())
            .finish()
    }
}

impl Ticket {
    /// The ID of the entry; of the last one of a batch.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.last
    }

    /// The ID of the first entry of a batch; otherwise the same.
    #[must_use]
    pub fn first_id(&self) -> EntryId {
        self.first
    }

    /// Whether nothing was appended, as the producer had sent this before
    /// ([`AppendOptions::idempotent`]). The ticket then is that of the first entry.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.duplicate
    }

    /// Whether the entry, and all before it in its stream, are on disk. Never waits; `false` also
    /// if they never will be.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        let logged = self.log().is_ok_and(|log| log.commit.durable() >= self.position);
        logged && self.shared.journal.commit.durable() >= self.inner.rests_on()
    }

    /// Waits until the entry, and all before it in its stream, are on disk. Does the sync itself if
    /// nobody else does.
    ///
    /// # Errors
    /// `Poisoned`, `NoStream`, `ForkedProcess`.
    pub fn wait(&self) -> Result<()> {
        self.inner.sync_to(&self.shared, self.log()?, self.position)?;
        self.shared.sync_journal(self.inner.rests_on())
    }

    /// The same, but not longer than `longest`.
    ///
    /// # Errors
    /// `TimedOut`; as [`Ticket::wait`].
    pub fn wait_timeout(&self, longest: Duration) -> Result<()> {
        self.inner.wait_by(&self.shared, self.log()?, self.position, Deadline::after(longest))
    }

    fn log(&self) -> Result<&Log> {
        self.inner.open_log().ok_or_else(|| Error::new(ErrorKind::Closed))
    }

    fn commit(&self) -> Option<&crate::commit::Commit> {
        match self.logged {
            true => Some(&self.shared.journal.commit),
            false => self.log().ok().map(|log| &log.commit),
        }
    }
}

impl Future for Ticket {
    type Output = Result<EntryId>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<EntryId>> {
        let this = self.get_mut();
        // Ahead of all locks, which a thread may have held that a forked child does not have.
        this.shared.check_process()?;
        let Ticket { shared, inner, position, seat, logged, .. } = this;
        let ask = || inner.ask_sync(shared);
        if !*logged {
            let Some(log) = inner.log.get() else {
                return Poll::Ready(Err(Error::new(ErrorKind::Closed)));
            };
            ready!(log.commit.poll(*position, seat, context.waker(), ask))?;
            (*logged, *seat) = (true, None);
        }
        ready!(shared.journal.commit.poll(inner.rests_on(), seat, context.waker(), ask))?;
        *seat = None;
        Poll::Ready(Ok(this.last))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take()
            && self.shared.check_process().is_ok()
            && let Some(commit) = self.commit()
        {
            commit.leave(seat);
        }
    }
}

impl Stream {
    /// Appends an entry and does not wait for the disk, but has it written there at once, under
    /// every level: the ticket tells when that is done. So a few threads or tasks have thousands of
    /// durable appends in flight, and all that is written during one sync shares the next.
    ///
    /// Under `Always`, where readers see only what is durable, the entry comes to be seen when its
    /// ticket is settled; otherwise at once.
    ///
    /// Blocks while too much is not on disk yet, as each append under [`Durability::Interval`]
    /// does: that level's `max_unsynced_bytes`, or 8 MiB under the others.
    /// [`AppendOptions::timeout`] with [`Stream::append_async_with`] limits that.
    ///
    /// ```
    /// # fn main() -> streamlog::Result<()> {
    /// let store = streamlog::Store::in_memory()?;
    /// let stream = store.stream("s")?;
    /// let tickets = (0..1000)
    ///     .map(|n: u32| stream.append_async([("n", n.to_string())]))
    ///     .collect::<streamlog::Result<Vec<_>>>()?;
    /// for ticket in tickets {
    ///     ticket.wait()?; // in a task: let id = ticket.await?;
    ///     assert!(ticket.is_durable());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Stream::append`]; what goes wrong later is the ticket's.
    #[doc(alias = "XADD")]
    pub fn append_async<K, V>(&self, fields: impl IntoIterator<Item = (K, V)>) -> Result<Ticket>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.append_async_with(fields, AppendOptions::new())
    }

    /// The same with an ID of the caller's choice, a trim in the same step, or a limit of time.
    ///
    /// [`AppendOptions::durable`] adds nothing. A trim of a stream whose retention has
    /// `keep_unacked` is made behind the append, and waits as [`Stream::trim`] does.
    ///
    /// # Errors
    /// As [`Stream::append_with`]; what goes wrong later is the ticket's.
    #[doc(alias = "XADD")]
    pub fn append_async_with<K, V>(
        &self,
        fields: impl IntoIterator<Item = (K, V)>,
        options: AppendOptions,
    ) -> Result<Ticket>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        options.check()?;
        let mut encoded = Encoded::new(fields)?;
        let put = self.put(encoded.draft(), &options, Some(MOST_UNSYNCED))?;
        let mut ticket = self.ticket(put.log, (put.id, put.id), put.position);
        ticket.duplicate = put.duplicate;
        self.trim_later(put.later);
        Ok(ticket)
    }

    /// Appends all entries of a batch or none, as [`Stream::append_batch_with`] does, and does not
    /// wait for the disk. One ticket stands for all of them; `None` for an empty batch.
    ///
    /// # Errors
    /// As [`Stream::append_batch_with`]; what goes wrong later is the ticket's.
    #[doc(alias = "XADD")]
    pub fn append_batch_async(
        &self,
        batch: &NewEntries,
        options: BatchOptions,
    ) -> Result<Option<Ticket>> {
        let put = self.put_batch(batch, options, Some(MOST_UNSYNCED))?;
        Ok(put.map(|put| self.ticket(put.log, (put.first, put.last), put.position)))
    }

    /// The ticket of what was just written.
    fn ticket(&self, log: &Log, (first, last): (EntryId, EntryId), position: u64) -> Ticket {
        self.written(log);
        // Also for a ticket that nobody will look at before it is durable.
        self.inner.ask_sync(self.shared());
        Ticket {
            shared: Arc::clone(self.shared()),
            inner: Arc::clone(&self.inner),
            first,
            last,
            position,
            seat: None,
            logged: false,
            duplicate: false,
        }
    }
}

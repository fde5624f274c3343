//! Blocking reads, of one stream or several: look, register, look again, wait.

use crate::entry::Entry;
use crate::error::Result;
use crate::id::EntryId;
use crate::notify::{self, Waiter};
use crate::options::{Block, ReadOptions, Start};
use crate::read::{Batch, Budget};
use crate::store::{Shared, Store};
use crate::stream::{Stream, StreamInner};
use crate::sync::Deadline;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

mod subscribe;
pub use subscribe::Subscription;

pub(crate) fn deadline(block: Block) -> Option<Deadline> {
    match block {
        Block::No => None,
        Block::For(longest) => Some(Deadline::after(longest)),
        Block::Forever => Some(Deadline::NEVER),
    }
}

/// One look at every stream, in order, behind an ID each or for its last entry.
fn look(from: &[(&Stream, Option<EntryId>)], options: ReadOptions) -> Result<Vec<(Stream, Batch)>> {
    let mut budget = Budget::of(&options);
    let mut found = Vec::new();
    for (stream, after) in from {
        if budget.is_spent() {
            break;
        }
        let batch = match after {
            Some(after) => stream.look(*after, &mut budget)?,
            None => stream.inner().look_last(stream.shared(), &mut budget)?,
        };
        if !batch.is_empty() {
            found.push(((*stream).clone(), batch));
        }
    }
    Ok(found)
}

/// XREAD: the streams that have something, in the order of the call.
pub(crate) fn read(
    from: &[(&Stream, Start)],
    options: ReadOptions,
) -> Result<Vec<(Stream, Batch)>> {
    let mut resolved = Vec::with_capacity(from.len());
    for (stream, start) in from {
        // Which entry is the last is asked again at every look.
        let after = match start {
            Start::LastEntry => None,
            start => Some(stream.resolve(*start)?),
        };
        resolved.push((*stream, after));
    }
    let found = look(&resolved, options)?;
    let Some(deadline) = deadline(options.block) else {
        return Ok(found);
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let streams: Vec<_> =
        resolved.iter().map(|(stream, _)| (&**stream.shared(), stream.inner())).collect();
    let again = || Ok(Some(look(&resolved, options)?).filter(|found| !found.is_empty()));
    Ok(until(&streams, &Waiter::new(), deadline, again)?.unwrap_or_default())
}

/// Waits on streams until a look finds something; `None` if the time is over.
fn until<T>(
    streams: &[(&Shared, &Arc<StreamInner>)],
    waiter: &Waiter,
    deadline: Deadline,
    look: impl Fn() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let lists: Vec<_> = streams.iter().map(|(_, inner)| &inner.waiters).collect();
    let count = || streams.iter().fold(0u64, |sum, (_, inner)| sum.wrapping_add(inner.count()));
    let look = || {
        let found = look()?;
        // A stopped stream is read as it is, but nothing more will come.
        for (shared, inner) in streams.iter().filter(|_| found.is_none()) {
            inner.check_sound(shared)?;
        }
        Ok(found)
    };
    notify::until(&lists, waiter, deadline, count, look)
}

impl Store {
    /// Reads several streams, each from its position, and waits for any of them if the options say
    /// so (XREAD STREAMS). Streams that have nothing are left out; the count is for each stream,
    /// the bytes for all together.
    ///
    /// A call that would have to wait, for whichever stream, answers `Poisoned` instead if a failed
    /// sync has stopped one of them: of that one nothing comes any more, and who only waited for
    /// the others would never hear of it.
    ///
    /// # Errors
    /// As [`Stream::read`].
    #[doc(alias = "XREAD")]
    pub fn read(
        &self,
        from: &[(&Stream, Start)],
        options: ReadOptions,
    ) -> Result<Vec<(Stream, Batch)>> {
        read(from, options)
    }
}

/// How many entries a [`Tail`] takes at a time.
const TAIL_BATCH: usize = 256;

/// The entries of a stream without an end; from [`Stream::tail`].
///
/// `next` waits for as long as it takes. It ends, with an error as its last item, when the store is
/// closed, the stream is removed, or a failed sync has stopped the stream and all is read.
#[derive(Debug)]
pub struct Tail {
    stream: Stream,
    after: EntryId,
    ready: VecDeque<Entry>,
    ended: bool,
}

impl Tail {
    pub(crate) fn new(stream: Stream, after: EntryId) -> Tail {
        Tail { stream, after, ready: VecDeque::new(), ended: false }
    }

    /// The next entry if there is one now.
    ///
    /// # Errors
    /// As [`Stream::read`].
    pub fn try_next(&mut self) -> Result<Option<Entry>> {
        self.take(ReadOptions::new())
    }

    /// The next entry, or `None` if there is none for this long.
    ///
    /// # Errors
    /// As [`Stream::read`].
    pub fn next_timeout(&mut self, longest: Duration) -> Result<Option<Entry>> {
        self.take(ReadOptions::new().block(longest))
    }

    fn take(&mut self, options: ReadOptions) -> Result<Option<Entry>> {
        if self.ready.is_empty() {
            let batch = self.stream.read(Start::After(self.after), options.count(TAIL_BATCH))?;
            self.after = batch.last_id().unwrap_or(self.after);
            self.ready.extend(batch.into_entries());
        }
        Ok(self.ready.pop_front())
    }
}

impl Iterator for Tail {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let found = self.take(ReadOptions::new().block_forever());
        self.ended = found.is_err();
        found.transpose()
    }
}

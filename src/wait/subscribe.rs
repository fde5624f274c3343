//! Entries into a channel as they come, by a thread that ends with its receiver.
//!
//! The thread holds no handle of the store, so that the store can be closed, and opened again, by
//! whoever holds the last one. It waits as a reader does, or for room in the channel, and the drop
//! of its receiver ends both.

use super::until;
use crate::entry::Entry;
use crate::error::Result;
use crate::id::EntryId;
use crate::notify::Waiter;
use crate::options::Start;
use crate::read::Budget;
use crate::store::Shared;
use crate::stream::{Stream, StreamInner};
use crate::sync::Deadline;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select};
use std::ops::Deref;
use std::sync::Arc;

/// A channel that gets a stream's entries as they come; from [`Stream::subscribe`].
///
/// It is a crossbeam receiver, to be read or waited for together with others, and a handle of the
/// store like a stream. When it is dropped, its thread ends, and a receiver that was cloned from it
/// gets what is in the channel and then the end.
pub struct Subscription {
    receiver: Receiver<Result<Entry>>,
    /// Nothing is ever sent: the thread ends when this is gone.
    alive: Option<Sender<()>>,
    waiter: Arc<Waiter>,
    stream: Stream,
}

impl Deref for Subscription {
    type Target = Receiver<Result<Entry>>;

    fn deref(&self) -> &Receiver<Result<Entry>> {
        &self.receiver
    }
}

/// Waits for each entry. The item behind an error is the end.
impl Iterator for Subscription {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.stream.shared().check_process().is_ok() {
            self.alive = None;
            self.waiter.wake();
        } else {
            // A forked child has no such thread, and may not take a lock that the parent's has, as
            // the last end of a channel does when it goes.
            std::mem::forget((self.receiver.clone(), self.alive.clone()));
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscription({:?})", self.stream)
    }
}

/// What the thread has.
struct Feed {
    shared: Arc<Shared>,
    inner: Arc<StreamInner>,
    after: EntryId,
    waiter: Arc<Waiter>,
    alive: Receiver<()>,
    sender: Sender<Result<Entry>>,
}

/// A channel has room for all that it may hold from the start.
const MOST_HELD: usize = 1 << 16;

/// How many entries are taken at a time.
const BATCH: usize = 256;

impl Feed {
    fn run(mut self) {
        loop {
            match self.next() {
                // Only who is to end gets nothing.
                Ok(entries) if entries.is_empty() => return,
                Ok(entries) => {
                    if !entries.into_iter().all(|entry| self.send(Ok(entry))) {
                        return;
                    }
                }
                Err(error) => {
                    // Nobody may be left to hear of it.
                    let _heard = self.send(Err(error));
                    return;
                }
            }
        }
    }

    /// Whether the subscription has ended.
    fn ends(&self) -> bool {
        self.alive.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits for room in the channel; `false` if nobody is there any more.
    fn send(&self, message: Result<Entry>) -> bool {
        // Where both could go on, one is taken by chance.
        if self.ends() {
            return false;
        }
        select! {
            send(self.sender, message) -> sent => sent.is_ok(),
            recv(self.alive) -> _ended => false,
        }
    }

    /// Waits for the next entries.
    fn next(&mut self) -> Result<Vec<Entry>> {
        let look = || {
            if self.ends() {
                return Ok(Some(Vec::new()));
            }
            let mut budget = Budget::of_count(Some(BATCH));
            let batch = self.inner.look(&self.shared, self.after, &mut budget)?;
            Ok(Some(batch.into_entries()).filter(|entries| !entries.is_empty()))
        };
        let streams = [(&*self.shared, &self.inner)];
        let found = until(&streams, &self.waiter, Deadline::NEVER, look)?.unwrap_or_default();
        self.after = found.last().map_or(self.after, Entry::id);
        Ok(found)
    }
}

impl Stream {
    /// A channel that gets the entries after a position as they come, from a thread of its own. It
    /// holds at most `capacity` of them, and no more than 65,536. The thread ends with the
    /// [`Subscription`]; when the store is closed, the stream is removed or a failed sync has
    /// stopped it, it ends by itself, and the last message is the error.
    ///
    /// # Errors
    /// `NoStream`, `Closed`; `Io` if no thread can be started.
    #[doc(alias = "XREAD")]
    pub fn subscribe(&self, from: Start, capacity: usize) -> Result<Subscription> {
        let after = self.tail(from)?.after;
        let (sender, receiver) = bounded(capacity.clamp(1, MOST_HELD));
        let (alive, ends) = bounded(0);
        let waiter = Arc::new(Waiter::new());
        let feed = Feed {
            shared: Arc::clone(self.shared()),
            inner: Arc::clone(self.inner()),
            after,
            waiter: Arc::clone(&waiter),
            alive: ends,
            sender,
        };
        let thread = std::thread::Builder::new().name("streamlog-tail".into());
        match thread.spawn(move || feed.run()) {
            Ok(_detached) => {
                Ok(Subscription { receiver, alive: Some(alive), waiter, stream: self.clone() })
            }
            Err(e) => Err(crate::Error::io("start a thread for", &self.shared().dir, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use std::time::{Duration, Instant};

    /// Returns once nobody has the stream but the table and this handle.
    fn thread_ends(stream: &Stream) {
        let late = Instant::now() + Duration::from_secs(60);
        while Arc::strong_count(stream.inner()) > 2 {
            assert!(Instant::now() < late, "the thread goes on without its receiver");
            std::thread::yield_now();
        }
    }

    /// Fails if the drop of a `Subscription` does not wake its thread.
    #[test]
    fn the_thread_ends_with_its_receiver_whatever_it_waits_for() {
        let store = Store::in_memory().unwrap();
        let stream = store.stream("s").unwrap();
        for waits_for_room in [false, true] {
            let channel = stream.subscribe(Start::First, 2).unwrap();
            // Until it has nothing to do but to wait.
            while channel.len() < if waits_for_room { 2 } else { 0 } {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(20));
            drop(channel);
            thread_ends(&stream);
            for n in 0..10 {
                stream.append([("n", n.to_string())]).unwrap();
            }
        }
    }

    /// Fails if `Feed::send` waits for room alone.
    #[test]
    fn a_cloned_receiver_gets_what_is_there_and_then_the_end() {
        let store = Store::in_memory().unwrap();
        let stream = store.stream("s").unwrap();
        for n in 0..10 {
            stream.append([("n", n.to_string())]).unwrap();
        }
        let channel = stream.subscribe(Start::First, 2).unwrap();
        assert_eq!(channel.recv().unwrap().unwrap().get("n"), Some(&b"0"[..]));
        while channel.len() < 2 {
            std::thread::yield_now();
        }
        let clone = Receiver::clone(&channel);
        drop(channel);
        // Though the channel is full and its receiver lives.
        thread_ends(&stream);
        assert!(clone.iter().count() <= 4);
    }
}

//! Waiting for new entries: who waits on which stream, and who is woken by a publish.
//!
//! Each stream owns a [`WaitList`]. A reader that has to block makes a [`Waiter`], registers it on
//! the list of every stream that it reads, looks once more, and waits. No waiter is woken under a
//! lock, as waking may run a callback. Nothing polls but plain readers of a stream to which entries
//! come faster than threads can well be woken ([`until`]).
//!
//! Two classes wait on a list:
//! - Plain readers: a publish wakes all of them, since each sees every entry, and takes them off
//!   the list, so that what is published until they run finds nobody to wake. A reader that has
//!   looked in vain then calls [`Registration::look`], which puts it back, and looks once more.
//! - Group readers: new entries go to one reader each, so a publish gives the head of the group's
//!   queue the *turn* and wakes only that one. Who is done hands the turn on if something may be
//!   left, so that readers are served in the order in which they blocked. A reader that had its
//!   turn and found nothing keeps its place: those behind it would find nothing either.
//!
//! A blocking read goes like this (with several streams, each step is done for all of them):
//!
//! ```text
//! if not list.has_turn(group) { look; if something is there { return it } }
//! registration = list.register(&waiter, class)
//! may_look = registration.is_first()             // else others came before: queue up unseen
//! loop {
//!     if may_look {
//!         registration.look()
//!         if something is there { registration.served(more is left); return it }
//!         registration.block()
//!     }
//!     may_look = waiter.wait(deadline) == Woken  // and then look, whatever the reason was
//!     if not { return nothing }
//! }
//! ```
//!
//! What holds for the queue of a group:
//! - Nobody has the turn: the last look found nothing more, and nothing was published since.
//! - Somebody has it: he was woken or is looking. What is published meanwhile sets `dirty`, and
//!   giving up the turn in whatever way (served, blocked again, timed out, error, panic) passes it
//!   on if the queue is dirty or something may be left. So no wake-up gets lost with its receiver.
//! - A turn that is given while a look goes on (a reader of two streams) outlives that look.
//!
//! A closed store, a removed stream, a destroyed group: [`WaitList::wake_all`] and
//! [`WaitList::wake_group`] wake everyone, and everyone finds the reason by looking. Who queues up
//! at that moment is woken by the one before him, whose look has failed.

use crate::sync::{
    AtomicU64, Condvar, Deadline, Mutex, Ordering, planted, store_before_load, wait_until,
};
use std::collections::BTreeMap;
use std::sync::Arc;

// With the path, as the models take this file in from another folder.
#[path = "notify/until.rs"]
mod until;
pub(crate) use until::until;

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Every new entry.
    Reader,
    /// A new entry of this group that nobody else got.
    Group(u32),
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// Something may have changed: look.
    Woken,
    /// The time is over, and nobody has woken this waiter.
    TimedOut,
}

/// Whom to wake. However many wakes come before the waiter reacts, they count as one.
struct Signal {
    woken: Mutex<bool>,
    parked: Condvar,
    /// Runs in the thread that publishes; how a task's waker gets to know.
    call: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Signal {
    fn wake(&self) {
        {
            let mut woken = self.woken.lock();
            if *woken {
                return;
            }
            *woken = true;
            self.parked.notify_one();
        }
        if let Some(call) = &self.call {
            call();
        }
    }
}

/// One blocked call. Registered on any number of lists.
pub(crate) struct Waiter(Arc<Signal>);

impl Waiter {
    /// A waiter that parks the thread which calls [`Waiter::wait`].
    pub(crate) fn new() -> Waiter {
        Waiter::with(None)
    }

    /// A waiter that has a function called: once, and then not before [`Waiter::take`].
    #[allow(dead_code, reason = "for tasks, which come with an async front")]
    pub(crate) fn calling(call: impl Fn() + Send + Sync + 'static) -> Waiter {
        Waiter::with(Some(Box::new(call)))
    }

    fn with(call: Option<Box<dyn Fn() + Send + Sync>>) -> Waiter {
        Waiter(Arc::new(Signal { woken: Mutex::new(false), parked: Condvar::new(), call }))
    }

    /// Parks the thread. A wake that came earlier, or at the last moment, counts.
    pub(crate) fn wait(&self, deadline: Deadline) -> Wake {
        let mut woken = self.0.woken.lock();
        let mut over = false;
        loop {
            if std::mem::take(&mut *woken) {
                return Wake::Woken;
            }
            if over {
                return Wake::TimedOut;
            }
            over = wait_until(&self.0.parked, &mut woken, deadline);
        }
    }

    /// Ends the wait, as a publish does.
    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    /// Whether a wake has come since the last call.
    #[allow(dead_code, reason = "for tasks, which come with an async front")]
    pub(crate) fn take(&self) -> bool {
        std::mem::take(&mut *self.0.woken.lock())
    }
}

/// Who waits on one stream.
pub(crate) struct WaitList {
    /// How many registrations there are; changed under the lock, read without it.
    registered: AtomicU64,
    pace: until::Pace,
    queues: Mutex<Queues>,
}

impl std::fmt::Debug for WaitList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitList({})", self.registered.load(Ordering::Relaxed))
    }
}

struct Queues {
    /// Grows with every registration, so the order of tickets is the order of arrival.
    next_ticket: u64,
    readers: BTreeMap<u64, Arc<Signal>>,
    /// Only groups somebody waits for.
    groups: BTreeMap<u32, Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: BTreeMap<u64, Arc<Signal>>,
    /// Who may look, from being woken to being done. Always one of `waiting`.
    turn: Option<u64>,
    /// Something was published since the look of that one began.
    dirty: bool,
}

impl Queue {
    /// Gives the turn to the head, who is to be woken then.
    fn give(&mut self) -> Option<Arc<Signal>> {
        let (ticket, signal) = self.waiting.first_key_value()?;
        self.turn = Some(*ticket);
        self.dirty = false;
        Some(Arc::clone(signal))
    }

    /// Something was published.
    fn publish(&mut self) -> Option<Arc<Signal>> {
        if self.turn.is_none() {
            return self.give();
        }
        self.dirty = !planted::NO_DIRTY;
        None
    }

    /// Whoever had the turn is done.
    fn hand_on(&mut self, left: bool) -> Option<Arc<Signal>> {
        self.turn = None;
        if (left || self.dirty) && !planted::NO_BATON {
            return self.give();
        }
        None
    }
}

impl WaitList {
    pub(crate) fn new() -> WaitList {
        WaitList {
            registered: AtomicU64::new(0),
            pace: until::Pace::new(),
            queues: Mutex::new(Queues {
                next_ticket: 0,
                readers: BTreeMap::new(),
                groups: BTreeMap::new(),
            }),
        }
    }

    /// Whether nobody waits. One load; only as good as the fences around it.
    pub(crate) fn is_empty(&self) -> bool {
        self.registered.load(Ordering::Relaxed) == 0
    }

    /// Whether a reader of this group was woken and is not done. A newcomer then registers without
    /// looking first, so as not to overtake it. While all of them only wait, there is nothing for
    /// them, and a newcomer may find what they were not woken for: Redis, too, wakes nobody when a
    /// group's position is set back, and serves who comes next.
    pub(crate) fn has_turn(&self, group: u32) -> bool {
        let taken = |queues: &Queues| queues.groups.get(&group).is_some_and(|q| q.turn.is_some());
        !self.is_empty() && taken(&self.queues.lock())
    }

    /// Adds a waiter. It leaves the list when the registration is dropped.
    ///
    /// Why no wake-up gets lost: the publisher stores the data, passes a fence and loads
    /// `registered`; here `registered` is stored, then comes a fence, and the caller loads the
    /// data afterwards. Sequentially consistent fences have one order. If the publisher's is first,
    /// the caller sees the data; if this one is first, the publisher sees the registration.
    pub(crate) fn register(self: &Arc<Self>, waiter: &Waiter, class: Class) -> Registration {
        let mut queues = self.queues.lock();
        let ticket = queues.take_ticket();
        let signal = Arc::clone(&waiter.0);
        let first = match class {
            Class::Reader => {
                queues.readers.insert(ticket, signal);
                true
            }
            Class::Group(group) => {
                let queue = queues.groups.entry(group).or_default();
                let first = queue.waiting.is_empty();
                queue.waiting.insert(ticket, signal);
                if first {
                    // Nobody knows what is there: this one looks.
                    queue.turn = Some(ticket);
                }
                first
            }
        };
        self.registered.fetch_add(1, Ordering::Relaxed);
        drop(queues);
        store_before_load();
        let (list, signal) = (Arc::clone(self), Arc::clone(&waiter.0));
        Registration { list, signal, class, ticket, first, looking: first, left: true }
    }

    /// Entries were published: wakes all plain readers and the head of every group. To be called
    /// after the store that publishes, outside all locks that a callback must not meet. Costs a
    /// fence and a load if nobody waits.
    #[inline]
    pub(crate) fn notify(&self) {
        self.wake(|queues, woken| {
            let readers = std::mem::take(&mut queues.readers);
            if !readers.is_empty() {
                self.pace.wakes();
            }
            self.registered.fetch_sub(readers.len() as u64, Ordering::Relaxed);
            woken.extend(readers.into_values());
            for queue in queues.groups.values_mut() {
                woken.extend(queue.publish());
            }
        });
    }

    /// One group has entries to give out again.
    #[allow(dead_code, reason = "for the models of interleavings")]
    pub(crate) fn notify_group(&self, group: u32) {
        self.wake(|queues, woken| {
            if let Some(queue) = queues.groups.get_mut(&group) {
                woken.extend(queue.publish());
            }
        });
    }

    /// Everybody has to look: the store was closed or poisoned, the stream was removed or renamed.
    pub(crate) fn wake_all(&self) {
        self.wake(|queues, woken| {
            woken.extend(queues.readers.values().cloned());
            for queue in queues.groups.values_mut() {
                woken.extend(queue.publish());
                woken.extend(queue.waiting.values().cloned());
            }
        });
    }

    /// Everybody who waits for this group has to look: it was destroyed, or entries came back.
    /// Plain readers do so in vain, but for the server, which stands there for others.
    pub(crate) fn wake_group(&self, group: u32) {
        self.wake(|queues, woken| {
            if let Some(queue) = queues.groups.get_mut(&group) {
                woken.extend(queue.publish());
                woken.extend(queue.waiting.values().cloned());
            }
            woken.extend(queues.readers.values().cloned());
        });
    }

    /// Collects under the lock, wakes outside it.
    #[inline]
    fn wake(&self, collect: impl FnOnce(&mut Queues, &mut Vec<Arc<Signal>>)) {
        store_before_load();
        if !self.is_empty() {
            self.wake_those(collect);
        }
    }

    #[cold]
    fn wake_those(&self, collect: impl FnOnce(&mut Queues, &mut Vec<Arc<Signal>>)) {
        let mut woken = Vec::new();
        collect(&mut self.queues.lock(), &mut woken);
        wake_each(woken);
    }
}

impl Queues {
    fn take_ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }
}

/// A callback that panics must not cost the others their wake-up.
fn wake_each(signals: Vec<Arc<Signal>>) {
    struct Rest(std::vec::IntoIter<Arc<Signal>>);
    impl Drop for Rest {
        fn drop(&mut self) {
            for signal in &mut self.0 {
                signal.wake();
            }
        }
    }
    let mut rest = Rest(signals.into_iter());
    for signal in &mut rest.0 {
        signal.wake();
    }
}

/// The place of a waiter on one list; dropping it gives the place up and hands the turn on.
#[must_use]
pub(crate) struct Registration {
    list: Arc<WaitList>,
    signal: Arc<Signal>,
    class: Class,
    ticket: u64,
    /// Had nobody before it when it came.
    first: bool,
    /// Has the turn, and had it already when the present look began.
    looking: bool,
    /// Whether something may be left for the next when this one goes. True until a look says
    /// otherwise: who goes without having looked cannot know.
    left: bool,
}

impl Registration {
    /// Whether the caller may look at once, before any wake-up. If not, others came before it, and
    /// one of them will hand on what they leave.
    pub(crate) fn is_first(&self) -> bool {
        self.class == Class::Reader || self.first
    }

    /// Begins a look, which will see everything that was published by now.
    pub(crate) fn look(&mut self) {
        let Class::Group(group) = self.class else {
            return self.line_up();
        };
        let mut queues = self.list.queues.lock();
        if let Some(queue) = queues.groups.get_mut(&group) {
            self.looking = queue.turn == Some(self.ticket);
            if self.looking {
                queue.dirty = false;
            }
        }
    }

    /// Puts a reader on the list again whom a publish has taken off it, as in
    /// [`WaitList::register`]: ahead of the look.
    fn line_up(&self) {
        let mut queues = self.list.queues.lock();
        if !planted::NO_LINE_UP
            && queues.readers.insert(self.ticket, Arc::clone(&self.signal)).is_none()
        {
            self.list.registered.fetch_add(1, Ordering::Relaxed);
        }
        drop(queues);
        store_before_load();
    }

    /// The look found nothing: gives the turn up and keeps its place. What one reader of a group
    /// cannot have, those behind cannot have either, so Redis asks all of them and they line up
    /// again in the same order; here only the head is asked.
    pub(crate) fn block(&mut self) {
        let Class::Group(group) = self.class else {
            return;
        };
        if !std::mem::take(&mut self.looking) {
            // There was no turn, or it was given after the look began: then a wake-up is pending
            // and the turn is for the next look.
            return;
        }
        let mut queues = self.list.queues.lock();
        let queue = queues.groups.get_mut(&group);
        let next = queue.and_then(|queue| queue.hand_on(false));
        drop(queues);
        wake_each(next.into_iter().collect());
    }

    /// The look found something, and the reader goes. `left`: there may be more for others of its
    /// group, as far as this look could see. An end of the stream or group counts as more, since
    /// those behind have to hear of it; a look that failed just drops the registration.
    pub(crate) fn served(mut self, left: bool) {
        // A look without the turn says nothing about what came after the turn was given.
        self.left = left || !self.looking;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut queues = self.list.queues.lock();
        let mut next = None;
        // Kept to the end: it may be the last reference to a callback, which goes without the lock.
        let mut _own = None;
        let mut is_listed = true;
        match self.class {
            Class::Reader => {
                _own = queues.readers.remove(&self.ticket);
                is_listed = _own.is_some();
            }
            Class::Group(group) => {
                if let Some(queue) = queues.groups.get_mut(&group) {
                    _own = queue.waiting.remove(&self.ticket);
                    if queue.turn == Some(self.ticket) {
                        next = queue.hand_on(self.left);
                    }
                    if queue.waiting.is_empty() {
                        queues.groups.remove(&group);
                    }
                }
            }
        }
        if is_listed {
            self.list.registered.fetch_sub(1, Ordering::Relaxed);
        }
        drop(queues);
        wake_each(next.into_iter().collect());
    }
}

#[cfg(all(test, not(loom)))]
#[path = "notify/tests.rs"]
mod tests;

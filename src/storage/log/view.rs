//! What readers see of a log: where it ends, and what is trimmed.
//!
//! Nobody who looks takes a lock: whoever moves the end makes a number odd before and even after. A
//! reader that finds the number odd, or another one when it has read, reads again. What is trimmed
//! has a number of its own, which is odd as well while the end moves in one step with it; so what a
//! reader gets is of one moment, in which nobody trims and nobody moves the end.
//!
//! It relies on its users for one thing: the end is moved by one thread at a time (that which holds
//! the log's writer). Who trims need not be that thread, so there is a lock for those who trim.

use crate::commit::Mark;
use crate::id::EntryId;
use crate::sync::{
    AtomicU64, Mutex, Ordering, TURN_OVER, after_loads, before_stores, planted, wait_a_turn,
};

/// The end of the log as somebody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tail {
    pub(crate) last_id: EntryId,
    /// How many entries were appended over the stream's life.
    pub(crate) ordinal: u64,
}

/// What readers see at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) tail: Tail,
    /// Positions below this are published.
    pub(crate) published: u64,
    /// Entries up to and including this ID are gone.
    pub(crate) trimmed: EntryId,
}

/// What readers see now.
pub(crate) struct View {
    /// Odd while the end moves.
    turn: AtomicU64,
    ms: AtomicU64,
    seq: AtomicU64,
    ordinal: AtomicU64,
    published: Mark,
    /// Odd while what is trimmed changes.
    trims: AtomicU64,
    trimmed_ms: AtomicU64,
    trimmed_seq: AtomicU64,
    /// Held by who trims.
    trimming: Mutex<()>,
}

impl View {
    pub(crate) fn new(seen: Seen) -> View {
        View {
            turn: AtomicU64::new(0),
            ms: AtomicU64::new(seen.tail.last_id.ms),
            seq: AtomicU64::new(seen.tail.last_id.seq),
            ordinal: AtomicU64::new(seen.tail.ordinal),
            published: Mark::new(seen.published),
            trims: AtomicU64::new(0),
            trimmed_ms: AtomicU64::new(seen.trimmed.ms),
            trimmed_seq: AtomicU64::new(seen.trimmed.seq),
            trimming: Mutex::new(()),
        }
    }

    /// Moves the end, up to what is published now. The caller holds the writer.
    #[inline]
    pub(crate) fn publish(&self, tail: Tail, published: u64) {
        self.take_turn(tail, || self.published.advance_alone(published));
    }

    /// The same where nothing more is published.
    pub(crate) fn set_tail(&self, tail: Tail) {
        self.take_turn(tail, || ());
    }

    /// Publishes what trims, in one step with that. The caller holds the writer.
    pub(crate) fn publish_with_trim(&self, tail: Tail, published: u64, to: EntryId) {
        let publish = || self.published.advance_alone(published);
        self.with_trim(tail, publish, |trimmed| to.max(trimmed));
    }

    /// Sets the end and what is trimmed, in one step, to any others. The caller holds the writer.
    pub(crate) fn restart(&self, tail: Tail, trimmed: EntryId) {
        self.with_trim(tail, || (), |_| trimmed);
    }

    fn with_trim(&self, tail: Tail, publish: impl FnOnce(), trim: impl FnOnce(EntryId) -> EntryId) {
        if planted::NO_TRIM_LOCK {
            self.change_trim(trim, || ());
            return self.take_turn(tail, publish);
        }
        self.change_trim(trim, || self.take_turn(tail, publish));
    }

    /// Changes what is trimmed; what `meanwhile` does is seen in one step with that.
    fn change_trim(&self, trim: impl FnOnce(EntryId) -> EntryId, meanwhile: impl FnOnce()) {
        let one = self.trimming.lock();
        let trimmed = trim(self.raw_trimmed());
        let turn = self.trims.load(Ordering::Relaxed);
        self.trims.store(turn.wrapping_add(1), Ordering::Relaxed);
        before_stores();
        self.trimmed_ms.store(trimmed.ms, Ordering::Relaxed);
        self.trimmed_seq.store(trimmed.seq, Ordering::Relaxed);
        meanwhile();
        self.trims.store(turn.wrapping_add(2), TURN_OVER);
        drop(one);
    }

    fn raw_trimmed(&self) -> EntryId {
        let ms = self.trimmed_ms.load(Ordering::Relaxed);
        EntryId::new(ms, self.trimmed_seq.load(Ordering::Relaxed))
    }

    #[inline]
    fn take_turn(&self, tail: Tail, publish: impl FnOnce()) {
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        before_stores();
        self.ms.store(tail.last_id.ms, Ordering::Relaxed);
        self.seq.store(tail.last_id.seq, Ordering::Relaxed);
        self.ordinal.store(tail.ordinal, Ordering::Relaxed);
        publish();
        self.turn.store(turn.wrapping_add(2), TURN_OVER);
    }

    /// Trims up to an ID, if not more is trimmed already.
    pub(crate) fn trim(&self, to: EntryId) {
        self.change_trim(|trimmed| to.max(trimmed), || ());
    }

    pub(crate) fn trimmed(&self) -> EntryId {
        self.with_trimmed(|| ()).1
    }

    pub(crate) fn published(&self) -> u64 {
        self.published.get()
    }

    pub(crate) fn tail(&self) -> Tail {
        self.end().0
    }

    /// All of it, as it is at one moment.
    #[inline(always)]
    pub(crate) fn look(&self) -> Seen {
        let ((tail, published), trimmed) = self.with_trimmed(|| self.end());
        Seen { tail, published, trimmed }
    }

    /// What is trimmed, and something else that is of the same moment.
    #[inline(always)]
    fn with_trimmed<T>(&self, look: impl Fn() -> T) -> (T, EntryId) {
        let mut waits = 0;
        loop {
            let before = self.trims.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let (seen, trimmed) = (look(), self.raw_trimmed());
                after_loads();
                if self.trims.load(Ordering::Relaxed) == before {
                    return (seen, trimmed);
                }
            }
            waits += 1;
            wait_a_turn(waits);
        }
    }

    // What it returns would go through memory, and be waited for there.
    #[inline(always)]
    fn end(&self) -> (Tail, u64) {
        let mut waits = 0;
        loop {
            let before = self.turn.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let (ms, seq) = (self.ms.load(Ordering::Relaxed), self.seq.load(Ordering::Relaxed));
                let ordinal = self.ordinal.load(Ordering::Relaxed);
                let published = self.published.get();
                after_loads();
                if self.turn.load(Ordering::Relaxed) == before {
                    return (Tail { last_id: EntryId::new(ms, seq), ordinal }, published);
                }
            }
            waits += 1;
            wait_a_turn(waits);
        }
    }
}

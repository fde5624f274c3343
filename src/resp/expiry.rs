//! Keys that go by themselves: when, and that they do.
//!
//! The times are the streams' own (`Stream::expires_at`); here is a list of them, so that finding
//! what is due costs nothing where nothing expires. A time that the application sets is taken in
//! when the server starts, and when a client gives the key another name, copy or time.

use super::context::Context;
use super::engine::Engine;
use super::refusal::Refusal;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// How many keys are removed between two rounds of clients.
const TOGETHER: usize = 64;
/// A store that removes nothing is asked again after this.
const AGAIN_MS: u64 = 1000;
/// The system's clock is looked at so often at least: it may be set.
const LONGEST: Duration = Duration::from_secs(10);

/// The times at which keys go, in milliseconds since 1970, by their names in the store.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    by_name: HashMap<Vec<u8>, u64>,
    in_order: BTreeSet<(u64, Vec<u8>)>,
    not_before: u64,
    /// How many keys have gone.
    pub(crate) expired: u64,
}

impl Expiries {
    /// What a store that was just opened has.
    pub(crate) fn fill(&mut self, all: Vec<(Vec<u8>, u64)>) {
        self.by_name.clear();
        self.in_order.clear();
        all.iter().for_each(|(name, at)| self.set(name, Some(*at)));
    }

    pub(crate) fn set(&mut self, name: &[u8], at: Option<u64>) {
        if let Some(before) = self.by_name.remove(name) {
            self.in_order.remove(&(before, name.to_vec()));
        }
        if let Some(at) = at {
            self.by_name.insert(name.to_vec(), at);
            self.in_order.insert((at, name.to_vec()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.by_name.keys()
    }

    /// In Redis, too, a key is still there in the millisecond of its time.
    pub(crate) fn is_due(&self, name: &[u8], now_ms: u64) -> bool {
        self.by_name.get(name).is_some_and(|at| *at < now_ms)
    }

    fn due(&self, now_ms: u64) -> Vec<Vec<u8>> {
        let past = self.in_order.iter().take_while(|(at, _)| *at < now_ms.max(1));
        let past = past.filter(|_| self.not_before <= now_ms);
        past.take(TOGETHER).map(|(_, name)| name.clone()).collect()
    }

    /// How long nothing is due.
    fn rest(&self, now_ms: u64) -> Option<Duration> {
        let (at, _) = self.in_order.first()?;
        let next = at.saturating_add(1).max(self.not_before);
        Some(Duration::from_millis(next.saturating_sub(now_ms)).min(LONGEST))
    }
}

impl Context<'_> {
    /// Removes a key whose time is over. An error: it is not to be seen any more, and still there.
    pub(crate) fn expire(&mut self, name: &[u8]) -> Result<(), Refusal> {
        if self.space.expiries.is_empty() {
            return Ok(());
        }
        let now = self.now_ms();
        if !self.space.expiries.is_due(name, now) {
            return Ok(());
        }
        // The application may have said something else meanwhile.
        self.note_expiry(name);
        if self.space.expiries.is_due(name, now) && self.store.remove(name)? {
            self.space.changed(name, 1);
            self.space.gone(name);
            self.space.expiries.expired += 1;
        }
        Ok(())
    }

    /// Another stream has this name now, or it has another time.
    pub(crate) fn note_expiry(&mut self, name: &[u8]) {
        self.space.expiries.set(name, self.store.expiry_of(name));
    }
}

impl Engine {
    /// When keys are to be looked for that are due.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        if self.space.expiries.is_empty() {
            return None;
        }
        self.clock.reset();
        let rest = self.space.expiries.rest(self.clock.now_ms())?;
        Some(Instant::now() + rest)
    }

    /// Removes some of the keys that are due.
    pub(crate) fn sweep(&mut self) {
        if self.space.expiries.is_empty() {
            return;
        }
        self.clock.reset();
        let now = self.clock.now_ms();
        let due = self.space.expiries.due(now);
        if due.is_empty() {
            return;
        }
        let mut context = self.context(0, false);
        for name in &due {
            if context.expire(name).is_err() {
                context.space.expiries.not_before = now + AGAIN_MS;
                break;
            }
        }
        self.after_command();
    }
}

//! Which streams come to rest: those that nobody uses, and the oldest of too many.
//!
//! A stream at rest holds neither a map nor a descriptor; its handles go on working and take them
//! again. Nothing here waits for a lock, so that a call which finds no descriptor left may ask for
//! some under whatever locks it holds.

use super::*;
use std::time::Duration;

/// A stream that is not used for so long comes to rest.
const IDLE: Duration = Duration::from_secs(60);
/// At most so many streams do not rest, however recently they were used.
const AWAKE: usize = 256;
/// At most so many maps are held that no reader needs.
const MAPS: usize = 256;

impl Shared {
    /// Has calls that find no descriptor or map left come here.
    pub(super) fn relieve_itself(self: &Arc<Shared>) {
        let weak = Arc::downgrade(self);
        let relief = move || weak.upgrade().is_some_and(|shared| shared.rest_all());
        self.loss.relieve_by(relief);
    }

    /// When to look again who can rest; `None` if all do.
    pub(crate) fn next_rest(&self) -> Option<Duration> {
        let awake = |stream: &Arc<StreamInner>| stream.open_log().is_some_and(|log| log.is_awake());
        self.all_streams().iter().any(awake).then_some(IDLE / 2)
    }

    /// Lets streams rest that were not used for a while, and the oldest ones above the bounds.
    pub(crate) fn rest(&self) {
        let now = self.disk.monotonic();
        let streams = self.all_streams();
        let logs = streams.iter().filter_map(|stream| stream.open_log());
        let mut awake: Vec<_> = logs
            .filter(|log| log.is_awake())
            .map(|log| (std::cmp::Reverse(log.idle_for(now)), log))
            .collect();
        awake.sort_by_key(|(idle, _)| *idle);
        for (_, log) in &awake {
            log.give_up_surplus(false);
        }
        let mut left = awake.len();
        for (idle, log) in &awake {
            if idle.0 < IDLE && left <= AWAKE {
                break;
            }
            log.rest();
            left -= 1;
        }
        let mut maps: usize = awake.iter().map(|(_, log)| log.maps()).sum();
        for (_, log) in &awake {
            if maps <= MAPS {
                break;
            }
            // Readers map segments meanwhile.
            let before = log.maps();
            log.drop_maps();
            maps = maps.saturating_sub(before.saturating_sub(log.maps()));
        }
    }

    /// No descriptor or map is left: all streams rest that can. `false` if that is not known.
    pub(crate) fn rest_all(&self) -> bool {
        let Some(names) = self.names.try_read() else {
            return false;
        };
        let streams: Vec<_> = names.streams.values().cloned().collect();
        drop(names);
        for log in streams.iter().filter_map(|stream| stream.open_log()) {
            log.rest();
            log.drop_maps();
        }
        true
    }

    /// The same where no lock is held: what is not on disk is synced first, so that it can rest.
    pub(crate) fn rest_all_synced(&self) {
        self.flush_streams(|_| true);
        self.rest_all();
        self.loss.was_cleared();
    }

    /// Does what can be done about an error that something has run short. Returns whether to try
    /// again. No lock may be held.
    pub(crate) fn relieve(&self, error: &Error) -> bool {
        if error.is_shortage() {
            self.rest_all_synced();
            return true;
        }
        error.is_full() && self.give_up_surplus()
    }

    /// Gives up the segments that logs have ready beside the next one. Returns whether there were
    /// any.
    pub(crate) fn give_up_surplus(&self) -> bool {
        let streams = self.all_streams();
        let logs = streams.iter().filter_map(|stream| stream.open_log());
        logs.filter(|log| log.give_up_surplus(true)).count() > 0
    }

    /// Before a stream may open a file: closes others if there are too many. No lock may be held.
    #[inline]
    pub(crate) fn make_space(&self) {
        if self.loss.is_crowded() {
            self.rest_all_synced();
        }
    }
}

//! Memory made ready ahead of a log that grows fast, and let go behind it.
//!
//! The first store to a page of a map waits while the system finds and zeroes memory for it, which
//! costs a fast writer a third of its time. So the background has that done for the bytes that come
//! next. They count as changed from then on, and a sync writes them too: never more than a quarter
//! of what the log has to write anyway. A slow log is left alone, and one under `Always`, which
//! stores nothing through its map.
//!
//! What is not synced the system writes back by itself after a while. It asks every processor on
//! which the process runs about each page that the map has changed, one page after the other, and
//! so interrupts the writer. So the background gives up the process's own record of these pages,
//! many at once, some way behind the writer: readers that follow it closely do not notice.

use super::*;
use std::sync::Weak;

/// How often the writer looks at the clock, in bytes of the log.
const STEP: u64 = 1 << 20;
/// A log is fast that takes no longer for a step.
const FAST: Duration = Duration::from_millis(10);
/// How far the memory is made ready at most: the way of a fast log while the background is held up.
const REACH: u64 = 16 << 20;
/// How much at once, so that the writer is asked again where it is by then.
const PIECE: u64 = 2 << 20;
/// What is not worth a call: else there would be one for each append meanwhile, without an end.
const LEAST: u64 = 256 << 10;

/// What is let go is so far behind the writer.
const BEHIND: u64 = 8 << 20;
/// And so much at once.
const RUN: u64 = 8 << 20;

/// How fast a log grows, and how far ahead of its end the memory is ready.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The position at which to look at the clock again, and when that was done last.
    look_at: u64,
    looked: Duration,
    fast: bool,
    /// Ready up to this offset of the segment with this number, and all before it.
    ready: (u64, u64),
    /// The segment whose bytes were let go last, and up to where.
    kept: Option<(Weak<Region>, u64)>,
}

/// Bytes of a segment that nobody has stored to yet.
type Fresh = (Arc<Region>, u64, u64);

impl Pace {
    /// For a log that ends at this position.
    pub(super) fn new(position: u64) -> Pace {
        Pace { look_at: position + STEP, ..Pace::default() }
    }

    /// One that no clock changes.
    #[cfg(test)]
    pub(super) fn fixed(fast: bool) -> Pace {
        Pace { look_at: u64::MAX, fast, ..Pace::default() }
    }

    #[inline]
    pub(super) fn is_due(&self, position: u64) -> bool {
        position >= self.look_at
    }

    /// Takes in that the log has come so far. Returns whether there is something to make ready.
    pub(super) fn look(&mut self, position: u64, now: Duration) -> bool {
        self.fast = now.saturating_sub(self.looked) <= FAST;
        self.look_at = position + STEP;
        self.looked = now;
        self.fast
    }

    pub(super) fn is_fast(&self) -> bool {
        self.fast
    }

    fn ready_in(&self, number: u64) -> u64 {
        match self.ready.0.cmp(&number) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.ready.1,
            std::cmp::Ordering::Greater => u64::MAX,
        }
    }
}

impl Writer {
    /// What to make ready now, a piece at a time.
    fn next_fresh(&mut self, durable: u64) -> Option<Fresh> {
        let active = self.active.as_ref().filter(|_| self.pace.fast)?;
        let reach = active.end + REACH.min(self.position.saturating_sub(durable) / 4);
        let number = active.segment.number();
        let from = self.pace.ready_in(number).max(active.end);
        if let Some(to) = piece(from, reach, active.size) {
            self.pace.ready = (number, to);
            return Some((Arc::clone(active.region.region()), from, to));
        }
        let next = self.ready.first().filter(|_| reach > active.size)?;
        let number = next.header.number;
        let from = self.pace.ready_in(number);
        let to = piece(from, reach - active.size, next.size)?;
        self.pace.ready = (number, to);
        Some((Arc::clone(&next.region), from, to))
    }

    /// What to let go now: of the segment that is written, or all that is left of the one before.
    fn next_stale(&mut self) -> Option<Fresh> {
        let active = self.active.as_ref().filter(|_| self.pace.fast)?;
        let region = active.region.region();
        match &mut self.pace.kept {
            Some((kept, from)) if std::ptr::eq(kept.as_ptr(), Arc::as_ptr(region)) => {
                let (begin, end) = (*from, active.end.saturating_sub(BEHIND));
                (end >= begin + RUN).then(|| {
                    *from = end;
                    (Arc::clone(region), begin, end)
                })
            }
            kept => {
                let (before, from) = kept.replace((Arc::downgrade(region), 0))?;
                Some((before.upgrade()?, from, u64::MAX))
            }
        }
    }

    fn write_ahead(&mut self) -> bool {
        let Writer { active, blocks, .. } = self;
        active.as_ref().is_some_and(|active| blocks.write(&*active.file, active.end))
    }
}

/// The end of the next piece, of the bytes from `from` on that lie within reach.
fn piece(from: u64, reach: u64, size: u64) -> Option<u64> {
    let to = reach.min(size);
    let left = to.saturating_sub(from);
    (left >= LEAST || (left > 0 && to == size)).then(|| to.min(from + PIECE))
}

impl Log {
    /// Before a sync up to `target`: has blocks of the file written for those to come, if they are
    /// many.
    pub(super) fn ready_blocks(&self, target: u64) {
        let mut writer = self.writer.lock();
        let Writer { active: Some(active), blocks, .. } = &mut *writer else {
            return;
        };
        blocks.plan(target.saturating_sub(self.commit.durable()), active.end, active.size);
        while writer.write_ahead() {
            MutexGuard::bump(&mut writer);
        }
    }

    /// Lets go what a fast writer has left behind.
    fn let_go_behind(&self) {
        let stale = self.writer.lock().next_stale();
        if let Some((region, from, to)) = stale {
            region.let_go(from, to);
        }
    }

    /// Makes ready what a fast writer comes to next. What the system refuses is left to the writer.
    pub(super) fn make_ready(&self) {
        self.let_go_behind();
        while !self.is_strict() {
            let fresh = self.writer.lock().next_fresh(self.commit.durable());
            let Some((region, from, to)) = fresh else {
                return;
            };
            if region.touch(from, to).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_log::{append, log, sized};
    use super::*;

    /// The number of the segment that is being written, and its end.
    fn end(log: &Log) -> (u64, u64) {
        let writer = log.writer.lock();
        let active = writer.active.as_ref().unwrap();
        (active.segment.number(), active.end)
    }

    /// Fails if the way ahead is longer than a quarter of what is not durable, or ends where the
    /// segment does.
    #[test]
    fn the_way_ahead_is_a_part_of_what_is_not_durable() {
        let log = log(true);
        let mut ready = (0, 0);
        let mut crossed = 0;
        for ms in 1..200 {
            append(&log, ms);
            log.prepare(|_| false).unwrap();
            let (number, end) = end(&log);
            if ready < (number, end) {
                ready = (number, end);
            }
            ready = ready.max(log.writer.lock().pace.ready);
            let unsynced = log.written();
            let reach = REACH.min(unsynced / 4);
            let size = log.writer.lock().active.as_ref().unwrap().size;
            let ahead = if ready.0 == number { ready.1 - end } else { size - end + ready.1 };
            assert!(ahead <= reach, "{ahead} bytes ahead of {unsynced}");
            let next = log.writer.lock().ready.first().map(|next| next.size);
            let room = size - end + next.unwrap_or(0);
            assert!(ahead + LEAST > reach.min(room), "{ahead} bytes ahead behind entry {ms}");
            crossed += u32::from(ready.0 > number);
        }
        assert!(crossed > 10, "the next segment was made ready {crossed} times");
    }

    /// Fails if a slow log is hurried on, or one that stores nothing through its map, or if what
    /// was synced counts.
    #[test]
    fn nothing_is_made_ready_that_would_not_be_waited_for() {
        let (slow, strict, synced) = (log(false), log(true), log(true));
        strict.be_strict();
        for ms in 1..100 {
            for log in [&slow, &strict, &synced] {
                append(log, ms);
            }
            slow.prepare(|_| false).unwrap();
            strict.prepare(|_| false).unwrap();
            let written = synced.written();
            assert!(synced.writer.lock().next_fresh(written).is_none());
        }
        for log in [slow, strict] {
            assert_eq!(log.writer.lock().pace.ready, (0, 0));
        }
    }

    /// Fails if bytes are let go that are not some way behind the writer or in an older segment, or
    /// if some never are.
    #[test]
    fn what_is_left_behind_is_let_go_once() {
        let log = sized(true, 64 << 20);
        let (mut region, mut upto, mut segments) = (Weak::new(), 0, 0);
        for ms in 1..1_500 {
            append(&log, ms);
            let (stale, now) = {
                let mut writer = log.writer.lock();
                let stale = writer.next_stale();
                (stale, Arc::clone(writer.active.as_ref().unwrap().region.region()))
            };
            let Some((stale, from, to)) = stale else {
                continue;
            };
            if !std::ptr::eq(Arc::as_ptr(&stale), region.as_ptr()) {
                assert!(region.strong_count() == 0 || segments == 0, "one was left out");
                (region, upto) = (Arc::downgrade(&stale), 0);
            }
            assert_eq!(from, upto);
            upto = to;
            if to == u64::MAX {
                assert!(!Arc::ptr_eq(&stale, &now));
                region = Arc::downgrade(&now);
                upto = 0;
                segments += 1;
            } else {
                let end = end(&log).1;
                assert!(to + BEHIND <= end && to >= from + RUN, "{from} to {to} of {end}");
            }
        }
        assert!(segments > 3, "{segments}");
        log.writer.lock().pace.fast = false;
        for ms in 1_500..2_000 {
            append(&log, ms);
            assert!(log.writer.lock().next_stale().is_none());
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_step() {
        let mut pace = Pace::new(5);
        assert!(!pace.is_due(STEP + 4));
        assert!(pace.is_due(STEP + 5));
        assert!(!pace.look(STEP + 5, Duration::from_secs(60)), "a minute for one step");
        assert!(!pace.is_due(2 * STEP));
        assert!(pace.look(2 * STEP + 5, Duration::from_millis(60_010)));
        assert!(!pace.look(3 * STEP + 5, Duration::from_millis(60_021)));
    }
}

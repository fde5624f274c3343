//! The next segments of a log: made while nobody is held up.
//!
//! Making one takes two syncs. The background does it as soon as the last segment is half full; an
//! append that comes to the end before does it itself, with the writer free. One thread at a time
//! makes a segment, and the others that need it wait without a lock.
//!
//! While the system writes back what a fast log has written, a sync waits behind all of that, and
//! so does the search for room in the file system: longer than such a log takes to fill a segment.
//! So several are ready for it: as many as it fills in [`SPELL`], and no more bytes than half of
//! what it has written. A log that has become slow gives up all but the next one, and so does every
//! log where descriptors, maps or the disk run short.

use super::*;
use parking_lot::Condvar;

/// How long a log can go on in segments that are ready: the longest that one has taken to make,
/// with room.
const SPELL: Duration = Duration::from_millis(250);
/// How many are ready at most.
const MOST: u32 = 8;
/// A log that has filled no segment for so long gives up all that are ready but for the next one.
const SLOW: Duration = Duration::from_secs(10);

/// The segments that wait for their turn, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Ready {
    waiting: VecDeque<Prepared>,
    /// When the log went on in the last one, and how long it had been in the one before.
    entered: Duration,
    took: Duration,
}

impl Ready {
    /// None, for a log that goes on now.
    pub(super) fn new(now: Duration) -> Ready {
        Ready { waiting: VecDeque::new(), entered: now, took: Duration::MAX }
    }

    pub(super) fn first(&self) -> Option<&Prepared> {
        self.waiting.front()
    }

    pub(super) fn last(&self) -> Option<&Prepared> {
        self.waiting.back()
    }

    /// Whether there is one that takes so many bytes.
    pub(super) fn has_room(&self, least: u64) -> bool {
        self.waiting.iter().any(|prepared| prepared.size >= least)
    }

    /// The first one that takes so many bytes. Those before it are of no use then.
    pub(super) fn take(&mut self, log: &Log, least: u64) -> Option<Prepared> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|prepared| {
            let fits = prepared.size >= least;
            if !fits {
                log.discard(&prepared.header);
            }
            fits
        })
    }

    /// All of them, for a log that will not use them.
    pub(super) fn take_all(&mut self) -> VecDeque<Prepared> {
        self.slow_down();
        std::mem::take(&mut self.waiting)
    }

    /// All but the next one.
    pub(super) fn take_surplus(&mut self) -> VecDeque<Prepared> {
        self.slow_down();
        self.waiting.split_off(self.waiting.len().min(1))
    }

    /// No more than one is wanted until the log shows again how fast it is.
    fn slow_down(&mut self) {
        self.took = Duration::MAX;
    }

    /// The log goes on in another segment.
    pub(super) fn enter(&mut self, now: Duration) {
        self.took = now.saturating_sub(self.entered);
        self.entered = now;
    }

    /// How long the log takes to fill a segment, as far as it has shown by now.
    fn takes(&self, now: Duration) -> Duration {
        self.took.max(now.saturating_sub(self.entered))
    }

    /// Whether one more is wanted, of this size, by a log that goes on as it does and has come to
    /// this position.
    fn wants(&self, size: u64, position: u64, now: Duration) -> bool {
        let count = self.waiting.len() as u32;
        let bytes: u64 = self.waiting.iter().map(|prepared| prepared.size).sum();
        count < MOST
            && self.takes(now).saturating_mul(count) <= SPELL
            && bytes + size <= position / 2
    }
}

/// Who makes the next segment.
#[derive(Default)]
pub(super) struct Making {
    running: Mutex<bool>,
    ended: Condvar,
}

/// The one who does; wakes the others when it goes, however it goes.
pub(crate) struct Maker<'a>(&'a Making);

impl Making {
    pub(super) fn begin(&self) -> Maker<'_> {
        let mut running = self.running.lock();
        while *running {
            self.ended.wait(&mut running);
        }
        *running = true;
        Maker(self)
    }
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() = false;
        self.0.ended.notify_all();
    }
}

impl Log {
    /// Prepares what comes next: a segment if one is due, and memory for a fast writer. A fast one
    /// may be past the memory before the syncs of a segment end: `hand_over`, which is told whether
    /// it is one, has somebody else make the segment unless it returns `false`.
    pub(crate) fn prepare(&self, hand_over: impl FnOnce(bool) -> bool) -> Result<()> {
        self.care.store(false, Ordering::Relaxed);
        let (due, fast) = {
            let writer = self.writer.lock();
            // Who waits for a busy disk seems slow.
            (self.is_due(&writer), writer.pace.is_fast() || writer.ready.first().is_some())
        };
        let given = due && hand_over(fast);
        // Before the syncs that a segment takes, and behind them on into that.
        self.make_ready();
        if !due || given {
            return Ok(());
        }
        let made = self.make_due();
        self.make_ready();
        made
    }

    /// Makes a segment if one is due.
    pub(crate) fn make_due(&self) -> Result<()> {
        let made = self.make_next(|writer| self.is_due(writer).then_some(0));
        if made.is_ok() || self.is_poisoned() {
            return made;
        }
        let writer = self.writer.lock();
        if writer.ready.first().is_none() {
            return made;
        }
        // There is a next one, so nobody misses what there was no room for; others may.
        self.discard_surplus(writer);
        Ok(())
    }

    /// Whether a segment is to be made.
    pub(crate) fn is_segment_due(&self) -> bool {
        self.is_due(&self.writer.lock())
    }

    /// The first one is due once the segment that is written is half full. None is for a log that
    /// rests or has ended.
    fn is_due(&self, writer: &Writer) -> bool {
        let goes_on = !writer.closed && !self.is_poisoned();
        let Some(active) = writer.active.as_ref().filter(|_| goes_on) else {
            return false;
        };
        if writer.ready.first().is_none() {
            return active.end > active.size / 2;
        }
        let (size, now) = (writer.next_size(0), self.home.disk.monotonic());
        writer.ready.wants(size, writer.position, now) && !self.home.disk.is_short_of_maps()
    }

    /// Gives up all that are ready but for the next one, if the log has become slow or at any rate.
    /// Returns whether there were any.
    pub(crate) fn give_up_surplus(&self, at_any_rate: bool) -> bool {
        let Some(writer) = self.writer.try_lock() else {
            return false;
        };
        let slow = || writer.ready.takes(self.home.disk.monotonic()) >= SLOW;
        let gives = writer.ready.waiting.len() > 1 && (at_any_rate || slow());
        if gives {
            self.discard_surplus(writer);
        }
        gives
    }

    /// Gives up all that are ready but for the next one; the writer is free meanwhile.
    pub(super) fn discard_surplus(&self, mut writer: MutexGuard<'_, Writer>) {
        let surplus = writer.ready.take_surplus();
        drop(writer);
        self.discard_all(surplus);
    }

    /// Makes the next segment for an append that finds no room for `need` bytes.
    ///
    /// # Errors
    /// `StorageFull` and its kin; then nothing was changed.
    pub(crate) fn make_room(&self, need: u64) -> Result<()> {
        self.make_next(|writer| (!writer.has_room(need)).then_some(need))
    }

    /// `wanted` says whether a segment is still wanted, and for how many bytes at least.
    fn make_next(&self, wanted: impl Fn(&Writer) -> Option<u64>) -> Result<()> {
        let _one = self.making.begin();
        let (number, size, urgent) = {
            let mut writer = self.writer.lock();
            let Some(need) = wanted(&writer).filter(|_| !writer.closed) else {
                return Ok(());
            };
            let number = writer.next_number;
            writer.next_number += 1;
            (number, writer.next_size(need), need > 0)
        };
        let prepared = self.poison_if_sync(Prepared::new(&self.home, number, size))?;
        let mut writer = self.writer.lock();
        // Numbers grow along the log: a segment that was overtaken by another one is of no use.
        let of_use = !writer.closed && writer.next_number == number + 1;
        // Whoever goes on with a log that writes to no segment now makes its own.
        let of_use = of_use && (urgent || writer.active.is_some());
        if of_use {
            writer.ready.waiting.push_back(prepared);
            if writer.ready.waiting.len() > 1 {
                self.home.disk.step("another segment ready");
            }
        } else {
            drop(writer);
            self.discard(&prepared.header);
        }
        Ok(())
    }

    pub(super) fn discard_all(&self, prepared: VecDeque<Prepared>) {
        prepared.iter().for_each(|prepared| self.discard(&prepared.header));
    }

    pub(super) fn discard(&self, header: &FileHeader) {
        let path = self.home.dir.join(name::segment(header.number, header.generation));
        // An empty segment that stays is removed by the next recovery.
        drop(self.home.disk.remove_file(&path));
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_log::{append_of, sized};
    use super::*;

    const SEGMENT: u64 = 256 << 10;

    /// A log of so many full segments, of which each was filled in `took`, and one more that is
    /// more than half full.
    fn filled(segments: u64, took: Duration) -> Log {
        let log = sized(true, SEGMENT);
        while log.written() < segments * SEGMENT || !log.is_segment_due() {
            append(&log, 40 << 10);
        }
        set_pace(&log, took);
        log
    }

    /// The last segment was filled in that time, and the one that is written is not old.
    fn set_pace(log: &Log, took: Duration) {
        let mut writer = log.writer.lock();
        (writer.ready.took, writer.ready.entered) = (took, Duration::MAX);
    }

    /// Appends an entry of so many bytes.
    fn append(log: &Log, bytes: usize) {
        append_of(log, log.tail().last_id.ms + 1, bytes);
    }

    fn numbers(log: &Log) -> Vec<u64> {
        log.writer.lock().ready.waiting.iter().map(|prepared| prepared.header.number).collect()
    }

    /// How many are ready once none is due.
    fn make_all(log: &Log) -> usize {
        while log.is_segment_due() {
            let before = numbers(log).len();
            log.make_due().unwrap();
            assert_eq!(numbers(log).len(), before + 1);
        }
        numbers(log).len()
    }

    /// The numbers of the segments in the log's directory.
    fn files(log: &Log) -> Vec<u64> {
        let names = log.home.disk.read_dir(&log.home.dir).unwrap();
        let number = |name: &str| name::parse_segment(name).unwrap().0;
        let mut numbers: Vec<_> = names.iter().map(|(n, _)| number(n.to_str().unwrap())).collect();
        numbers.sort_unstable();
        numbers
    }

    fn of_list(log: &Log) -> Vec<u64> {
        log.segments().iter().map(|segment| segment.number()).collect()
    }

    /// Fails if a slow log takes room for more than one segment, or a fast one less than it fills
    /// while one is made, or if there is no end of them.
    #[test]
    fn as_many_are_ready_as_a_log_fills_in_a_spell() {
        let cases = [
            (SPELL * 2, 1),
            (SPELL, 2),
            (SPELL / 3, 4),
            (SPELL / 100, MOST as usize),
            (Duration::ZERO, MOST as usize),
            (Duration::MAX, 1),
        ];
        for (took, ready) in cases {
            let log = filled(50, took);
            assert_eq!(make_all(&log), ready, "for segments that took {took:?}");
        }
    }

    /// Fails if a log that has come not far takes more room than it has shown to need.
    #[test]
    fn no_more_is_ready_than_half_of_what_was_written() {
        let mut most = 0;
        for segments in 1..24 {
            let log = filled(segments, Duration::ZERO);
            let ready = make_all(&log);
            let sizes = log.writer.lock().ready.waiting.iter().map(|p| p.size).sum::<u64>();
            assert!(ready <= 1 || sizes <= log.written() / 2, "{sizes} of {}", log.written());
            most = most.max(ready);
        }
        assert_eq!(most, MOST as usize);
    }

    /// Fails if segments are begun in another order than that of their numbers, or if the files of
    /// those that nobody uses stay.
    #[test]
    fn what_is_ready_is_used_in_order_and_what_is_left_goes() {
        let log = filled(50, Duration::ZERO);
        assert!(make_all(&log) > 3);
        let (ready, listed) = (numbers(&log), of_list(&log));
        assert_eq!(files(&log), [listed.clone(), ready.clone()].concat());
        (0..12).for_each(|_| append(&log, 40 << 10));
        let left = numbers(&log);
        assert!((1..ready.len()).contains(&left.len()), "{left:?} of {ready:?}");
        assert_eq!([of_list(&log)[listed.len()..].to_vec(), left].concat(), ready);
        // An entry for which none of them has room: they are overtaken.
        append(&log, 300 << 10);
        assert_eq!(numbers(&log), []);
        assert_eq!(files(&log), of_list(&log));
        append(&log, 200 << 10);
        set_pace(&log, Duration::ZERO);
        assert!(make_all(&log) > 3);
        log.close(&|| ()).unwrap();
        assert_eq!(files(&log), of_list(&log));
    }

    /// Fails if a log that somebody else makes segments for makes them itself, or one that nobody
    /// does goes without, or if who is to make them is not told which log is fast.
    #[test]
    fn segments_of_a_fast_log_are_handed_over() {
        let log = filled(50, Duration::ZERO);
        let mut asked = Vec::new();
        let mut prepare = |log: &Log, takes: bool| {
            log.prepare(|fast| {
                asked.push(fast);
                takes
            })
            .unwrap();
            numbers(log).len()
        };
        assert_eq!(prepare(&log, true), 0);
        assert_eq!(prepare(&log, false), 1);
        // It seems slow while it waits; the one that is ready says more.
        log.writer.lock().pace = Pace::fixed(false);
        assert_eq!(prepare(&log, true), 1);
        let slow = filled(50, Duration::ZERO);
        slow.writer.lock().pace = Pace::fixed(false);
        assert_eq!(prepare(&slow, false), 1);
        assert_eq!(asked, [true, true, true, false]);
    }

    /// Fails if one is made for a log that takes no entry any more, which would ask for the next.
    #[test]
    fn none_is_due_for_a_log_that_has_ended() {
        let (closed, poisoned) = (filled(50, Duration::ZERO), filled(50, Duration::ZERO));
        closed.abandon(Error::new(ErrorKind::Closed));
        poisoned.poison(Error::new(ErrorKind::Closed));
        assert_eq!([closed.is_segment_due(), poisoned.is_segment_due()], [false; 2]);
    }

    /// Fails if a log that cannot rest, because something is not on disk, keeps what it does not
    /// need next where others lack descriptors.
    #[test]
    fn a_log_that_cannot_rest_keeps_the_next_one() {
        let log = filled(50, Duration::ZERO);
        assert!(make_all(&log) > 3);
        let all = numbers(&log);
        log.rest();
        assert_eq!(numbers(&log), all[..1]);
        assert_eq!(files(&log), [of_list(&log), numbers(&log)].concat());
    }

    /// Fails if a log that was fast once goes on taking room, or keeps what it has taken.
    #[test]
    fn a_log_that_has_become_slow_needs_only_the_next_one() {
        let log = filled(50, Duration::ZERO);
        assert_eq!(make_all(&log), MOST as usize);
        let all = numbers(&log);
        {
            let mut writer = log.writer.lock();
            let position = writer.position;
            writer.ready.waiting.truncate(2);
            writer.ready.entered = SPELL;
            assert!(writer.ready.wants(SEGMENT, position, SPELL + SPELL / 2));
            assert!(!writer.ready.wants(SEGMENT, position, SPELL + SPELL));
        }
        set_pace(&log, SLOW - Duration::from_millis(1));
        log.give_up_surplus(false);
        assert_eq!(numbers(&log), all[..2]);
        set_pace(&log, SLOW);
        log.give_up_surplus(false);
        assert_eq!(numbers(&log), all[..1]);
        set_pace(&log, Duration::ZERO);
        assert_eq!(make_all(&log), MOST as usize);
        log.give_up_surplus(true);
        assert_eq!((make_all(&log), numbers(&log)), (1, all[..1].to_vec()));
    }

    /// Fails if a log at rest has segments made, or keeps one that was being made.
    #[test]
    fn a_log_at_rest_has_none() {
        let log = filled(50, Duration::ZERO);
        assert!(make_all(&log) > 3);
        log.commit.set_durable(log.written());
        // It comes to rest while one is made.
        log.rest();
        assert_eq!((numbers(&log), log.is_segment_due()), (vec![], false));
        log.make_next(|_| Some(0)).unwrap();
        assert_eq!(numbers(&log), []);
        // It goes on, and has not shown that it is fast.
        log.wake(&mut log.writer.lock()).unwrap();
        while !log.is_segment_due() {
            append(&log, 40 << 10);
        }
        assert_eq!(make_all(&log), 1);
    }
}

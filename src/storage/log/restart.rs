//! A log that goes on with lower IDs (XSETID).
//!
//! Recovery and seeking rest on IDs that only grow along the frames. So where the last ID is
//! lowered below what frames tell, the log is restarted: it goes on in a new segment whose Begin
//! says that the IDs start anew. All that lies above the new last ID is dead by then; segments with
//! nothing that lives go, and of those that stay the entries above it are hidden.
//!
//! The segment counts only if the journal names it. Until then it is a file beside the log, so it
//! is made and synced with all locks free, and thrown away if anything changed meanwhile; the
//! record and the log's going on in it are one step under the locks. So the journal is never ahead
//! of the log, no crash finds the log restarted with the state of before, and nobody stops for a
//! sync.

use super::begin::Begun;
use super::next::Maker;
use super::*;

/// A segment with which a log can be restarted: complete, named and durable. Its file goes with it
/// unless the log was restarted.
pub(crate) struct Restart<'a> {
    log: &'a Log,
    header: FileHeader,
    begun: Option<Begun>,
    done: bool,
    /// Those that were ready when the log was restarted.
    overtaken: VecDeque<Prepared>,
    /// Nobody else makes a segment meanwhile, and whoever needs one waits.
    _only: &'a Maker<'a>,
}

impl Log {
    /// The right to make segments, for which others wait without a lock.
    pub(crate) fn only_maker(&self) -> Maker<'_> {
        self.making.begin()
    }

    /// Makes the segment that begins like this. All below its position is durable.
    ///
    /// # Errors
    /// `StorageFull` and its kin; then nothing was changed.
    pub(crate) fn make_restart<'a>(
        &'a self,
        only: &'a Maker<'a>,
        begin: Begin,
    ) -> Result<Restart<'a>> {
        let size = self.writer.lock().next_size(0);
        let prepared = self.poison_if_sync(Prepared::new(&self.home, begin.restart, size))?;
        let header = prepared.header;
        let mut restart = Restart {
            log: self,
            header,
            begun: None,
            done: false,
            overtaken: VecDeque::new(),
            _only: only,
        };
        let begun = prepared.begin(self, begin)?;
        self.poison_if_sync(begun.sync())?;
        restart.begun = Some(begun);
        Ok(restart)
    }

    /// How many segments restarts have left behind.
    pub(crate) fn count_retired(&self) -> usize {
        self.retired.lock().len()
    }

    /// Takes the first of them.
    pub(crate) fn take_retired(&self, count: usize) -> Vec<Arc<Segment>> {
        let mut retired = self.retired.lock();
        let count = count.min(retired.len());
        retired.drain(..count).collect()
    }
}

impl Appender<'_> {
    /// The highest ID that frames tell.
    pub(crate) fn top(&self) -> EntryId {
        self.writer.top
    }

    /// A number for a segment with which the log is restarted: above that of every other, and not
    /// 0, which stands for no restart.
    pub(crate) fn restart_number(&mut self) -> u64 {
        let number = self.writer.next_number.max(1);
        self.writer.next_number = number + 1;
        number
    }

    /// How the segment with this number begins if IDs are to go on above `last_id` now, behind as
    /// many segments as are `kept`.
    pub(crate) fn restart_begin(&self, number: u64, last_id: EntryId, kept: usize) -> Begin {
        let (writer, segments) = (&self.writer, self.log.segments());
        let previous = kept.checked_sub(1).and_then(|last| segments.get(last));
        let next = segments.get(kept);
        Begin {
            previous: previous.map(|last| (last.number(), last.end())),
            position: writer.position,
            last_id,
            ordinal: writer.ordinal,
            chain: match (previous, next) {
                (None, _) => 0,
                (_, Some(next)) => next.begin.chain,
                (_, None) => writer.chain,
            },
            restart: number,
            name: writer.name.clone(),
        }
    }

    /// Restarts the log: what readers see from now on is what is kept, and the new segment. Nothing
    /// can be appended before [`Restart::finish`].
    pub(crate) fn restart(&mut self, restart: &mut Restart<'_>, kept: usize, trimmed: EntryId) {
        let (log, writer) = (self.log, &mut *self.writer);
        let Some(begun) = &restart.begun else { return };
        restart.done = true;
        let begin = &begun.segment.begin;
        (writer.active, writer.parked) = (None, None);
        writer.last_id = begin.last_id;
        writer.top = begin.last_id;
        writer.restart = begin.restart;
        writer.enter(begun, log.home.disk.monotonic());
        writer.previous = Some((begun.segment.number(), begun.segment.end()));
        // All of it is durable, and what it was to show is gone.
        writer.hidden.clear();
        writer.hidden_trims = 0;
        log.append_trims.lock().set_back(begin.last_id);
        restart.overtaken = writer.ready.take_all();
        log.unsynced.lock().clear();
        let retired = {
            let mut segments = log.segments.write();
            let mut list = Vec::clone(&segments);
            let retired = list.split_off(kept.min(list.len()));
            list.push(Arc::clone(&begun.segment));
            *segments = Arc::new(list);
            retired
        };
        // Where damage is skipped, something may be in them that nobody has asked to be gone.
        if !log.skip_damage {
            log.retired.lock().extend(retired);
        }
        // Behind the list: whoever sees the lower trim must not see what it had hidden.
        let tail = self.tail();
        log.view.restart(tail, trimmed);
        log.restart_block.store(false, Ordering::Release);
    }
}

impl Restart<'_> {
    /// Whether the log would still be restarted like this.
    pub(crate) fn fits(&self, appender: &Appender<'_>, last_id: EntryId, kept: usize) -> bool {
        let now = || appender.restart_begin(self.header.number, last_id, kept);
        self.begun.as_ref().is_some_and(|begun| begun.segment.begin == now())
    }

    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// What will be there behind as many segments as are `kept`.
    pub(crate) fn span(&self, kept: usize, trimmed: EntryId) -> Span {
        let mut segments: Vec<_> = self.log.segments().iter().take(kept).cloned().collect();
        segments.extend(self.begun.as_ref().map(|begun| Arc::clone(&begun.segment)));
        let skip_damage = self.log.skip_damage;
        Span { segments: Arc::new(segments), published: u64::MAX, trimmed, skip_damage }
    }

    /// Lets appends go on in the segment.
    pub(crate) fn finish(mut self) {
        let mut writer = self.log.writer.lock();
        if let Some(begun) = self.begun.take().filter(|_| !writer.closed) {
            // It may have come to rest meanwhile.
            self.log.go_on_in(&mut writer, begun.active());
        }
    }
}

impl Drop for Restart<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.log.discard(&self.header);
        }
        // Numbers grow along the log. Here, as no lock is held any more.
        self.log.discard_all(std::mem::take(&mut self.overtaken));
    }
}

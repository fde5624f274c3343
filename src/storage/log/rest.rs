//! A log at rest: it holds no map and no descriptor, and takes them again with its next use.
//!
//! Only what is known to be on disk comes to rest, so that nothing of it has to be synced. A
//! segment gives its map up by another one over the same body taking its place in the list: whoever
//! has the old one keeps what it borrowed from it, and the map goes with the last of them.

use super::*;

/// The segment that is written on when the log is used again.
#[derive(Debug)]
pub(super) struct Parked {
    segment: Segment,
    end: u64,
    size: u64,
    entries: u64,
}

impl Log {
    /// Notes that the log is in use; asked by [`Log::idle_for`].
    #[inline]
    pub(super) fn note_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// For how long the log was not used, as far as those who ask from time to time can tell.
    pub(crate) fn idle_for(&self, now: Duration) -> Duration {
        let mut since = self.idle_since.lock();
        if self.used.swap(false, Ordering::Relaxed) {
            *since = now;
        }
        now.saturating_sub(*since)
    }

    /// Whether it holds a descriptor or a map.
    pub(crate) fn is_awake(&self) -> bool {
        !self.unsynced.lock().is_empty() || self.maps() > 0
    }

    /// How many maps the log holds, those of its readers not counted.
    pub(crate) fn maps(&self) -> usize {
        self.segments.read().iter().filter(|segment| segment.is_mapped()).count()
    }

    /// Gives up the maps of all segments but the one that is written.
    pub(crate) fn drop_maps(&self) {
        if let Some(writer) = self.writer.try_lock() {
            self.drop_maps_but(writer.active.as_ref().map(|active| active.segment.number()));
        }
    }

    fn drop_maps_but(&self, written: Option<u64>) {
        let mut segments = self.segments.write();
        let bare = |segment: &Arc<Segment>| match segment.is_mapped() {
            true if Some(segment.number()) != written => Arc::new(segment.without_map()),
            _ => Arc::clone(segment),
        };
        *segments = Arc::new(segments.iter().map(bare).collect());
    }

    /// Comes to rest, unless somebody writes or something is not on disk yet.
    pub(crate) fn rest(&self) {
        let Some(mut writer) = self.writer.try_lock() else {
            return;
        };
        let unsynced = self.written.get() > self.commit.durable() && !self.is_poisoned();
        if unsynced || !writer.hidden.is_empty() {
            self.discard_surplus(writer);
            return;
        }
        if let Some(Active { segment, end, size, entries, .. }) = writer.active.take() {
            segment.shrink();
            let segment = segment.without_map();
            writer.parked = Some(Parked { segment, end, size, entries });
        }
        let prepared = writer.ready.take_all();
        writer.pace = Pace::new(writer.position);
        // Many streams are at rest as a rule: none holds memory for what it does when it is used.
        writer.scratch = Vec::new();
        writer.hidden = VecDeque::new();
        *self.unsynced.lock() = Vec::new();
        self.drop_maps_but(None);
        drop(writer);
        self.discard_all(prepared);
    }

    /// Takes up the segment again that was being written.
    ///
    /// # Errors
    /// `TooManyFiles`, `TooManyMappings`, `Io`; the log goes on resting then.
    #[inline]
    pub(super) fn wake(&self, writer: &mut Writer) -> Result<()> {
        if writer.parked.is_none() { Ok(()) } else { self.take_up(writer) }
    }

    #[cold]
    fn take_up(&self, writer: &mut Writer) -> Result<()> {
        let Some(Parked { segment, end, size, entries }) = &writer.parked else {
            return Ok(());
        };
        let path = &segment.path;
        let open = self.home.disk.open(path, super::super::disk::OpenMode::Write);
        let file = open.map_err(|e| Error::io("open", path, e))?;
        let mapped = file.map(*size, true).map_err(|e| Error::io("map", path, e))?;
        let region = Arc::new(mapped.frozen_to(*end));
        let written = segment.without_map();
        written.set_region(Arc::clone(&region));
        let Some(region) = region.writer() else {
            return Err(Error::corrupt("the segment has a writer already").at(path));
        };
        let segment = Arc::new(written);
        let (end, size, entries) = (*end, *size, *entries);
        self.go_on_in(writer, Active { segment, file, region, end, size, entries });
        writer.parked = None;
        // The background looks from time to time who can rest again.
        self.ask_for_care();
        Ok(())
    }

    /// Goes on in a segment of the list, of which the log holds neither map nor descriptor.
    pub(super) fn go_on_in(&self, writer: &mut Writer, active: Active) {
        self.unsynced.lock().push(active.open());
        let mut segments = self.segments.write();
        let replaced = |old: &Arc<Segment>| match old.number() == active.segment.number() {
            true => Arc::clone(&active.segment),
            false => Arc::clone(old),
        };
        *segments = Arc::new(segments.iter().map(replaced).collect());
        drop(segments);
        writer.active = Some(active);
    }
}

impl Appender<'_> {
    /// Before an append: takes up again what a log at rest has given up.
    ///
    /// # Errors
    /// `TooManyFiles`, `TooManyMappings`, `Io`.
    #[inline]
    pub(crate) fn wake(&mut self) -> Result<()> {
        self.log.wake(&mut self.writer)
    }
}

impl Span {
    /// Whether maps that are not needed should be given up.
    pub(crate) fn is_short_of_maps(&self) -> bool {
        self.segments.last().is_some_and(|segment| segment.disk.is_short_of_maps())
    }

    /// From here on the view maps segments for itself alone. Those that are kept stay mapped.
    pub(crate) fn map_apart(&mut self, kept: [Option<usize>; 2]) {
        let segments = Arc::make_mut(&mut self.segments);
        for (n, segment) in segments.iter_mut().enumerate() {
            if !kept.contains(&Some(n)) {
                *segment = Arc::new(segment.without_map());
            }
        }
    }

    /// Gives up the map of one of its segments.
    pub(crate) fn drop_map(&mut self, segment: usize) {
        if let Some(segment) = Arc::make_mut(&mut self.segments).get_mut(segment) {
            *segment = Arc::new(segment.without_map());
        }
    }
}

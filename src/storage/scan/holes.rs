//! Stepping over damage: where the frames go on behind it, and what is missing in between.
//!
//! A frame whose header passes its checks says how long it is: only it is lost. Behind any other
//! one the frames are looked for at every multiple of eight. What is found must pass both of its
//! checksums, which are seeded with the file and the place (so that nothing inside an entry can be
//! taken for it), and its ID and number must lie between those on both sides. An entry's ID depends
//! on the block that it belongs to: within a block the walk goes on only if it is known where
//! blocks begin, and else with the next block.
//!
//! Entries have numbers, by which deletions are marked. Those behind a hole are counted from the
//! next thing that tells a number: a block start, or the end of the segment. Between two holes of
//! unknown size with nothing in between that tells, they cannot be counted, and both are one hole.

use super::*;

/// A stretch that does not pass its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The IDs on both sides of it; the second is [`EntryId::MAX`] if none follows.
    pub(crate) ids: (EntryId, EntryId),
    /// The numbers within the segment of the entries that are missing.
    pub(crate) ordinals: (u64, u64),
    /// The base of the block that the frame at `to` continues, if it continues one.
    pub(crate) base: Option<EntryId>,
}

impl Walk<'_> {
    /// Goes on behind the bad frame at `at`. Whatever `header` tells can be believed.
    pub(super) fn step_over(&mut self, at: u64, header: Option<&Header>) -> Result<u64> {
        if let Some(next) = header.and_then(|header| self.lose_body(at, header)) {
            return Ok(next);
        }
        let below = self.bounds.skip_below.min(self.bounds.stop);
        let limit = self.limit();
        let within = below.min(limit);
        let mut from = at + ALIGN;
        while let Some((place, header)) = next_frame(&mut self.window, self.seed, from, within)? {
            if self.resume(at, place, &header)? {
                return Ok(place);
            }
            from = place + header.frame_len();
        }
        // From here on a bad frame is the end of the log, so only what follows without one counts.
        let mut place = below;
        while place < limit
            && let Some((_, header)) =
                next_frame(&mut self.window, self.seed, place, place + ALIGN)?
        {
            if self.resume(at, place, &header)? {
                return Ok(place);
            }
            place += header.frame_len();
        }
        self.lose(at, below, Point { block: None, in_batch: false, ..self.now }, true);
        Ok(below)
    }

    /// Loses one frame. `None` if the header does not follow what came before.
    fn lose_body(&mut self, at: u64, header: &Header) -> Option<u64> {
        let (entries, uncertain) = match header.kind {
            Kind::Entry => (1, false),
            // How many there were stood in the body.
            Kind::Batch => (1, true),
            Kind::Close => (0, false),
            _ => return None,
        };
        let mut then = Point { closed: false, ..self.now };
        if let Some((base, ordinal)) = header.block {
            if base <= then.last_id || !self.fits(&then, header, self.uncounted(at), at) {
                return None;
            }
            let block = then.begin_block(base, ordinal, at, &self.begin)?;
            self.settle_told();
            self.settle(u64::from(block.ordinal));
            self.index.push(block);
            then.blocks = self.index.len();
            // The first entry of a block has the base for its ID.
            then.last_id = base;
            self.now.entries = then.entries;
        }
        let next = at + header.frame_len();
        then.entries += entries;
        then.in_batch = header.kind == Kind::Batch && header.flags & COMMIT == 0;
        then.chain = chain(then.chain, header.crc);
        self.lose(at, next, then, uncertain);
        Some(next)
    }

    /// Goes on with the good frame at `place`, behind damage that begins at `at`, if it can be told
    /// which entries it holds.
    fn resume(&mut self, at: u64, place: u64, header: &Header) -> Result<bool> {
        if place + header.frame_len() > self.limit() {
            return Ok(false);
        }
        let Some((then, next_id)) = self.state_at(at, place, header) else {
            return Ok(false);
        };
        let bytes = self.window.get(place, header.frame_len())?;
        let mut after = then;
        let taken = header
            .body(bytes, self.seed, place)
            .and_then(|body| take(&mut after, header, body, place, &self.begin));
        let fits = self.fits(&then, header, self.lost_from(at), place);
        if taken.is_none() || !fits || after.last_id >= next_id {
            return Ok(false);
        }
        self.lose(at, place, then, true);
        Ok(true)
    }

    /// Where the entries begin that were not counted, of those in front of `at`.
    pub(super) fn uncounted(&self, at: u64) -> u64 {
        self.loose.and_then(|n| self.holes.get(n)).map_or(at, |hole| hole.from)
    }

    /// The same if what is lost goes on at `at`: with what is lost right before, it is one hole.
    fn lost_from(&self, at: u64) -> u64 {
        let near = self.holes.last().filter(|last| last.to == at);
        self.uncounted(near.map_or(at, |last| last.from))
    }

    /// Whether there was room in `from..to` for the entries that a block start's number tells of.
    pub(super) fn fits(&self, then: &Point, header: &Header, from: u64, to: u64) -> bool {
        let most = most_entries(then, from, to);
        header.block.is_none_or(|(_, n)| n.saturating_sub(self.begin.ordinal) <= most)
    }

    /// What is known in front of a frame behind damage, and the ID that it must not reach.
    fn state_at(&self, at: u64, place: u64, header: &Header) -> Option<(Point, EntryId)> {
        let mut then =
            Point { block: None, loose: true, in_batch: false, closed: false, ..self.now };
        let Some(index) = self.bounds.index else {
            return header.block.map(|_| (then, EntryId::MAX));
        };
        let n = index.partition_point(|block| u64::from(block.offset) <= place);
        let next_id = index.get(n).map_or(EntryId::MAX, |next| next.id);
        let block = n.checked_sub(1).and_then(|n| index.get(n))?;
        let begins = u64::from(block.offset) == place;
        let told = header.block.map(|(id, n)| (id, n.saturating_sub(self.begin.ordinal)));
        if told != begins.then_some((block.id, u64::from(block.ordinal))) {
            return None;
        }
        if !begins {
            then.block = Some(block.id);
            if u64::from(block.offset) >= at {
                // The block's first entry is one of those that are lost.
                then.entries = then.entries.max(u64::from(block.ordinal) + 1);
                then.last_id = then.last_id.max(block.id);
            }
        }
        Some((then, next_id))
    }

    /// Notes a hole, behind which the state is `then`. `uncertain`: it may hold more entries than
    /// `then` counts.
    fn lose(&mut self, from: u64, to: u64, then: Point, uncertain: bool) {
        self.settle_told();
        let hole = Hole {
            from,
            to,
            ids: (self.now.last_id, EntryId::MAX),
            ordinals: (self.now.entries, then.entries),
            base: then.block,
        };
        let joined = match self.loose.filter(|_| uncertain) {
            Some(first) => {
                self.holes.truncate(first + 1);
                true
            }
            None => self.holes.last().is_some_and(|last| last.to == from),
        };
        match self.holes.last_mut().filter(|_| joined) {
            Some(last) => {
                *last = Hole {
                    from: last.from,
                    ids: (last.ids.0, hole.ids.1),
                    ordinals: (last.ordinals.0, hole.ordinals.1),
                    ..hole
                };
            }
            None => self.holes.push(hole),
        }
        if uncertain {
            self.loose = self.holes.len().checked_sub(1);
        }
        self.now = Point { end: to, loose: then.loose || uncertain, ..then };
        // It was durable, so a batch that it cuts was complete: what is left of that counts.
        self.committed = self.now;
    }

    /// What the last block start told holds.
    pub(super) fn settle_told(&mut self) {
        if let Some(more) = self.told.take() {
            self.add_lost(more);
        }
    }

    /// The entry that comes next has this number: what was counted from the last hole of unknown
    /// size on is counted anew.
    pub(super) fn settle(&mut self, number: u64) {
        self.add_lost(number.saturating_sub(self.now.entries));
    }

    fn add_lost(&mut self, more: u64) {
        let Some(first) = self.loose.take() else {
            return;
        };
        for (n, hole) in self.holes.iter_mut().enumerate().skip(first) {
            if n > first {
                hole.ordinals.0 += more;
            }
            hole.ordinals.1 += more;
        }
    }

    /// The holes that have no entry behind them yet have this one.
    pub(super) fn end_holes(&mut self, id: EntryId) {
        for hole in self.holes.iter_mut().rev() {
            if hole.ids.1 != EntryId::MAX {
                break;
            }
            hole.ids.1 = id;
        }
    }

    /// How many entries there are, those in holes included.
    pub(super) fn count_all(&mut self, done: &Point) -> u64 {
        for hole in &mut self.holes {
            // It may have been ended by a batch that was not complete.
            if hole.ids.1 > done.last_id {
                hole.ids.1 = EntryId::MAX;
            }
        }
        let most = most_entries(done, self.uncounted(done.end), self.limit());
        let entries = self.bounds.entries.map_or(done.entries, |entries| entries.min(most));
        if entries <= done.entries {
            return done.entries;
        }
        self.now = *done;
        if !done.loose {
            self.lose(done.end, done.end, Point { block: None, ..*done }, true);
        }
        self.settle(entries);
        entries
    }
}

/// An entry takes more than four bytes, so there are limits to what can have been lost.
fn most_entries(known: &Point, from: u64, to: u64) -> u64 {
    known.entries.saturating_add(to.saturating_sub(from) / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{encode_fields, write_bytes, write_varint};
    use crate::format::frame::FrameBuilder;
    use crate::storage::disk::{Disk, OpenMode};
    use crate::storage::mem::MemDisk;

    const SEED: u32 = 77;

    fn frame(out: &mut Vec<u8>, kind: Kind, block: Option<(EntryId, u64)>, body: &[u8]) {
        let mut frame = Vec::new();
        let builder = FrameBuilder::begin(&mut frame, kind, 0, block);
        frame.extend_from_slice(body);
        builder.end(&mut frame, SEED, out.len() as u64);
        out.append(&mut frame);
    }

    fn scan_all(mut bytes: Vec<u8>) -> Scan {
        let end = bytes.len() as u64;
        bytes.resize(4096, 0);
        let path = Path::new("/0");
        let file = MemDisk::new().open(path, OpenMode::CreateNew).unwrap();
        file.allocate(bytes.len() as u64).unwrap();
        file.write_at(&bytes, 0).unwrap();
        scan(&*file, path, SEED, &Bounds { skip_below: end, ..Bounds::until(end) }).unwrap()
    }

    /// One entry, bytes that are no frame, and a block of one entry that says how many lie before
    /// it: alone, or as the first part of a batch without an end.
    fn holed(number: u64, batch: bool) -> Scan {
        let mut bytes = vec![0; FILE_HEADER];
        let mut body = Vec::new();
        let begin = Begin {
            previous: None,
            position: 0,
            last_id: EntryId::MIN,
            ordinal: 0,
            chain: 0,
            restart: 0,
            name: Vec::new(),
        };
        begin.write(&mut body);
        frame(&mut bytes, Kind::Begin, None, &body);
        let mut entry = Vec::new();
        encode_fields(&mut entry, [("n", "1")], 100).unwrap();
        frame(&mut bytes, Kind::Entry, Some((EntryId::new(1, 0), 0)), &entry);
        bytes.extend([0x55; 64]);
        let block = Some((EntryId::new(9, 0), number));
        if batch {
            let mut body = Vec::new();
            write_varint(&mut body, 1);
            write_bytes(&mut body, &entry);
            frame(&mut bytes, Kind::Batch, block, &body);
        } else {
            frame(&mut bytes, Kind::Entry, block, &entry);
        }
        scan_all(bytes)
    }

    #[test]
    fn a_hole_swallows_no_more_entries_than_it_has_room_for() {
        let scan = holed(9, false);
        assert_eq!((scan.entries, scan.last_id), (10, EntryId::new(9, 0)));
        assert_eq!(scan.holes[0].ordinals, (1, 9));
        // What is said to be gone is marked entry by entry.
        let scan = holed(4_000_000_000, false);
        assert_eq!(scan.last_id, EntryId::new(1, 0));
        assert!(scan.holes.iter().all(|hole| hole.ordinals.1 < 100), "{:?}", scan.holes);
    }

    /// What is cut tells nothing: a length would count entries that were never there.
    #[test]
    fn a_batch_without_an_end_does_not_tell_what_a_hole_swallowed() {
        let scan = holed(9, true);
        assert_eq!((scan.entries, scan.last_id), (1, EntryId::new(1, 0)));
        assert!(scan.holes.iter().all(|hole| hole.ordinals.1 <= scan.entries), "{:?}", scan.holes);
    }
}

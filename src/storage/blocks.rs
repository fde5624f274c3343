//! Blocks of a file made ready for what is synced in small steps.
//!
//! A file system notes of each allocated block whether it was ever written. The first write to one
//! changes that note, and a sync that covers it has to wait for the file system's own journal too:
//! about twice as long as for a block that was written before. So zeros are written some way ahead
//! of a log that is synced often, now and then, and the sync that is due anyway takes them along.
//!
//! It relies on its caller's lock: nobody stores anything while zeros are written, and behind the
//! end that is told there are only zeros.

use super::disk::DiskFile;
use crate::planted;

/// A sync of no more than this is a small step, in bytes. With larger ones the file system's notes
/// cost less than to write everything twice.
const SMALL: u64 = 32 << 10;
/// So many small steps in a row are a habit.
const HABIT: u32 = 4;
/// For how many steps of the present size blocks are made ready.
const STEPS: u64 = 64;
/// How many bytes are made ready at least and at most.
const LEAST: u64 = 16 << 10;
const MOST: u64 = 256 << 10;
/// Whoever waits for the lock waits for no more than this.
const PIECE: u64 = 16 << 10;
/// What a system keeps a note of.
const BLOCK: u64 = 4096;

/// How a file is synced, how far its blocks are ready, and how far they are to be by the next sync.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blocks {
    small: u32,
    ready: u64,
    planned: u64,
}

impl Blocks {
    /// Goes on in another file, of which nothing is ready.
    pub(crate) fn change_file(&mut self) {
        (self.ready, self.planned) = (0, 0);
    }

    /// Takes in that a sync of so many bytes is about to begin, which end at `end` in a file of
    /// this size, and plans what is to be made ready before it.
    pub(crate) fn plan(&mut self, bytes: u64, end: u64, size: u64) {
        self.planned = 0;
        if bytes > SMALL {
            self.small = 0;
            return;
        }
        self.small = (self.small + 1).min(HABIT);
        let ahead = (bytes * STEPS).clamp(LEAST, MOST);
        if self.small == HABIT && self.ready < size.min(end + ahead / 4) {
            self.planned = size.min(self.from(end) + ahead);
        }
    }

    /// Writes the next zeros of what is planned, behind all that is stored. Tells whether there are
    /// more to write; whoever waits for the lock has his turn before that.
    pub(crate) fn write(&mut self, file: &dyn DiskFile, end: u64) -> bool {
        let from = self.from(end);
        let until = self.planned.min(from + PIECE);
        // What this cannot write the log can neither, and says so.
        if from >= until || file.ready_blocks(from, until).is_err() {
            return false;
        }
        self.ready = until;
        until < self.planned
    }

    fn from(&self, end: u64) -> u64 {
        if planted::early_zeros() {
            return end / BLOCK * BLOCK;
        }
        self.ready.max(end.next_multiple_of(BLOCK))
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::{Disk, OpenMode};
    use super::super::region::Region;
    use super::*;
    use parking_lot::Mutex;
    use std::io;
    use std::path::Path;

    /// Notes what is made ready, as often as it does not refuse it.
    #[derive(Debug, Default)]
    struct Noted {
        pieces: Mutex<Vec<(u64, u64)>>,
        refuses: bool,
    }

    impl DiskFile for Noted {
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn allocate(&self, _len: u64) -> io::Result<()> {
            Ok(())
        }
        fn read_at(&self, _buf: &mut [u8], _offset: u64) -> io::Result<()> {
            Ok(())
        }
        fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn map(&self, _len: u64, _writable: bool) -> io::Result<Region> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn ready_blocks(&self, from: u64, to: u64) -> io::Result<()> {
            if self.refuses {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.pieces.lock().push((from, to));
            Ok(())
        }
    }

    const SIZE: u64 = 1 << 20;

    impl Noted {
        /// A sync of so many bytes that end at `end`. Returns how far blocks are ready by then.
        fn sync(&self, blocks: &mut Blocks, bytes: u64, end: u64) -> u64 {
            blocks.plan(bytes, end, SIZE);
            let before = self.pieces.lock().len();
            while blocks.write(self, end) {
                assert!(self.pieces.lock().len() - before <= SIZE as usize / PIECE as usize);
            }
            let pieces = self.pieces.lock();
            let first = pieces.get(before).map_or(u64::MAX, |piece| piece.0);
            assert!(first >= end, "{first}, where something may be stored up to {end}");
            pieces.last().map_or(0, |piece| piece.1)
        }

        /// As many of them as are told, one by one from the beginning of the file.
        fn syncs(&self, blocks: &mut Blocks, bytes: u64, count: u32) -> u64 {
            let ends = (1..=u64::from(count)).map(|n| n * bytes);
            ends.fold(0, |_, end| self.sync(blocks, bytes, end))
        }
    }

    /// Fails if a block is made ready twice, left out, or touched where something may be stored; if
    /// more is written at once than others can wait for, or blocks are ready less or more ahead
    /// than the steps call for.
    #[test]
    fn blocks_are_made_ready_once_each_some_way_ahead() {
        for step in [100, 1000, 20_000] {
            let (file, mut blocks) = (Noted::default(), Blocks::default());
            let ahead = (step * STEPS).clamp(LEAST, MOST);
            for (n, end) in (448..=SIZE).step_by(step as usize).enumerate() {
                let ready = file.sync(&mut blocks, step, end);
                if n + 1 >= HABIT as usize {
                    assert!(ready >= SIZE.min(end + ahead / 4), "{ready} of {end} by {step}");
                }
                assert!(ready <= end + ahead / 4 + BLOCK + ahead, "{ready} of {end} by {step}");
            }
            let pieces = file.pieces.into_inner();
            let first = (448 + u64::from(HABIT - 1) * step).next_multiple_of(BLOCK);
            assert_eq!(pieces.first().map(|piece| piece.0), Some(first));
            assert_eq!(pieces.last().map(|piece| piece.1), Some(SIZE));
            assert!(pieces.windows(2).all(|pair| pair[0].1 == pair[1].0), "{pieces:?}");
            assert!(pieces.iter().all(|(from, to)| to - from <= PIECE), "{pieces:?}");
        }
    }

    /// Fails if a larger step between small ones does not end the habit.
    #[test]
    fn large_steps_and_single_ones_make_nothing_ready() {
        let (file, mut blocks) = (Noted::default(), Blocks::default());
        assert_eq!(file.syncs(&mut blocks, SMALL + 1, 20), 0);
        for _ in 0..3 {
            assert_eq!(file.syncs(&mut blocks, 100, HABIT - 1), 0);
            assert_eq!(file.syncs(&mut blocks, SMALL + 1, 1), 0);
        }
        assert_ne!(file.syncs(&mut blocks, SMALL, HABIT), 0);
    }

    /// Fails if what was planned for a file is written to the next one, or behind a step that plans
    /// nothing.
    #[test]
    fn another_file_is_begun_at_its_own_end() {
        let file = Noted::default();
        for begins_another in [true, false] {
            let mut blocks = Blocks { small: HABIT, ..Blocks::default() };
            blocks.plan(SMALL, SMALL, SIZE);
            assert!(blocks.write(&file, SMALL), "there is more to write");
            if begins_another {
                blocks.change_file();
            } else {
                blocks.plan(SMALL + 1, SMALL, SIZE);
            }
            file.pieces.lock().clear();
            assert!(!blocks.write(&file, 5000));
            assert_eq!(*file.pieces.lock(), []);
        }
        let mut blocks = Blocks { small: HABIT, ready: SIZE, planned: SIZE };
        blocks.change_file();
        file.sync(&mut blocks, 100, 5000);
        assert_eq!(*file.pieces.lock(), [(8192, 8192 + PIECE)]);
    }

    /// Fails if what could not be written counts as ready, or the last piece as one of more.
    #[test]
    fn what_is_refused_is_tried_again() {
        let mut blocks = Blocks { small: HABIT, ..Blocks::default() };
        let refusing = Noted { refuses: true, ..Noted::default() };
        assert_eq!(refusing.sync(&mut blocks, 100, 100), 0);
        let file = Noted::default();
        blocks.plan(100, 200, SIZE);
        assert!(!blocks.write(&file, 200), "one piece is all");
        assert_eq!(*file.pieces.lock(), [(BLOCK, BLOCK + PIECE)]);
    }

    /// Fails if zeros are written over what lies there, on the system's own files.
    #[test]
    fn a_file_keeps_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = super::super::real::RealDisk::new();
        let file = disk.open(&dir.path().join(Path::new("f")), OpenMode::CreateNew).unwrap();
        file.allocate(SIZE).unwrap();
        file.write_at(&[7; 5000], 0).unwrap();
        let mut blocks = Blocks { small: HABIT, ..Blocks::default() };
        blocks.plan(100, 5000, SIZE);
        while blocks.write(&*file, 5000) {}
        let mut bytes = vec![1; 1 << 16];
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes[..5000], [7; 5000]);
        assert!(bytes[5000..].iter().all(|byte| *byte == 0));
        assert_eq!(file.len().unwrap(), SIZE);
    }
}

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

    /// Notes what is made ready.
    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<(u64, u64)>>);

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
            self.0.lock().push((from, to));
            Ok(())
        }
    }

    const SIZE: u64 = 1 << 20;

    /// Syncs steps of so many bytes, one by one, up to `until`.
    fn noted(blocks: &mut Blocks, step: u64, mut end: u64, until: u64) -> Vec<(u64, u64)> {
        let file = Noted::default();
        while end + step <= until {
            end += step;
            blocks.plan(step, end, SIZE);
            while blocks.write(&file, end) {}
        }
        file.0.into_inner()
    }

    /// Fails if a block is made ready twice, left out, or touched where something may be stored.
    #[test]
    fn blocks_are_made_ready_once_each_and_behind_what_is_stored() {
        let mut blocks = Blocks::default();
        let pieces = noted(&mut blocks, 100, 448, SIZE - 48);
        assert_eq!(pieces.first(), Some(&(4096, 4096 + PIECE)));
        assert_eq!(pieces.last().map(|piece| piece.1), Some(SIZE));
        assert!(pieces.windows(2).all(|pair| pair[0].1 == pair[1].0), "{pieces:?}");
    }

    #[test]
    fn large_steps_and_single_ones_make_nothing_ready() {
        let mut blocks = Blocks::default();
        assert_eq!(noted(&mut blocks, SMALL + 1, 0, SIZE), []);
        assert_eq!(noted(&mut blocks, 100, 0, 100 * u64::from(HABIT - 1)), []);
        assert_eq!(noted(&mut blocks, SMALL + 1, 500, SIZE), []);
        assert_eq!(noted(&mut blocks, 100, 0, 100 * u64::from(HABIT)), [(4096, 4096 + PIECE)]);
    }

    #[test]
    fn another_file_is_begun_at_its_own_end() {
        let mut blocks = Blocks::default();
        noted(&mut blocks, 1000, 0, SIZE);
        blocks.change_file();
        assert_eq!(noted(&mut blocks, 100, 5000, 5100), [(8192, 8192 + PIECE)]);
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

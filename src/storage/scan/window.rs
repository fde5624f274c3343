//! A window over a file that moves forward.
//!
//! Reads by `read_at`, never through a map: a failing disk gives an error there and a signal here.

use crate::error::{Error, Result};
use crate::storage::disk::DiskFile;
use std::ops::Range;
use std::path::Path;

/// A window over a file that moves forward.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    file_len: u64,
    start: u64,
    bytes: Vec<u8>,
}

const WINDOW: u64 = 256 << 10;
/// What is read at first.
const FIRST: u64 = 4 << 10;

impl<'a> Window<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile, path: &'a Path) -> Result<Window<'a>> {
        let file_len = file.len().map_err(|e| Error::io("stat", path, e))?;
        Ok(Window { file, path, file_len, start: 0, bytes: Vec::new() })
    }

    pub(crate) fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The bytes from `offset` on: at least `len` of them, or all that the file has.
    pub(crate) fn get(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        let want = offset.saturating_add(len).min(self.file_len);
        if offset < self.start || want > self.start + self.bytes.len() as u64 {
            // Often all that is wanted is what stands at the beginning.
            let step = if self.bytes.is_empty() { FIRST } else { WINDOW };
            let end = want.max(offset.saturating_add(step).min(self.file_len));
            let size = end.saturating_sub(offset);
            // No longer than the file, so nothing on disk can ask for more memory than it takes.
            self.bytes.resize(usize::try_from(size).unwrap_or(0), 0);
            self.start = offset;
            if size > 0 {
                self.file
                    .read_at(&mut self.bytes, offset)
                    .map_err(|e| Error::io("read", self.path, e).offset(offset))?;
            }
        }
        let at = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(at..).unwrap_or_default())
    }

    /// The end of the last byte at or behind `from` that is not zero; `from` if all are.
    pub(crate) fn nonzero_end(&mut self, from: u64) -> Result<u64> {
        self.nonzero_end_in(from..self.file_len)
    }

    /// The same without reading what the system says was never written to. That is most of a long
    /// segment, and memory would have to be found for it, and zeroed.
    pub(crate) fn nonzero_end_of_data(&mut self, from: u64) -> Result<u64> {
        // All of them first: what is read brings its neighbours with it, which count from then on.
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut at = from;
        while at < self.file_len {
            let data = self.file.data_from(at);
            let data = data.map_err(|e| Error::io("seek", self.path, e).offset(at))?;
            let Some(range) = data.filter(|range| range.end > at) else {
                break;
            };
            at = range.end;
            ranges.push(range);
        }
        let mut found = from;
        for range in ranges {
            let (start, end) = (range.start.max(from), range.end.min(self.file_len));
            found = found.max(match self.nonzero_end_in(start..end)? {
                end if end > start => end,
                _ => from,
            });
        }
        Ok(found)
    }

    fn nonzero_end_in(&mut self, range: Range<u64>) -> Result<u64> {
        let mut found = range.start;
        let mut at = range.start;
        while at < range.end {
            let bytes = self.get(at, WINDOW)?;
            let step = bytes.len().min(WINDOW as usize);
            let bytes = bytes.get(..step).unwrap_or_default();
            if let Some(last) = last_nonzero(bytes) {
                found = at + last as u64 + 1;
            }
            at += step.max(1) as u64;
        }
        Ok(found)
    }
}

/// Where the last byte stands that is not zero. Most of what is looked at is zero, so whole blocks
/// are compared first: byte by byte, opening a long empty segment would take its time.
fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    const ZEROS: [u8; 256] = [0; 256];
    let whole = bytes.len() / ZEROS.len() * ZEROS.len();
    let (blocks, rest) = bytes.split_at_checked(whole)?;
    let in_rest = rest.iter().rposition(|byte| *byte != 0);
    if let Some(at) = in_rest {
        return Some(whole + at);
    }
    let mut blocks = blocks.chunks_exact(ZEROS.len());
    let block = blocks.rposition(|block| block != ZEROS)?;
    let start = block * ZEROS.len();
    let block = bytes.get(start..start + ZEROS.len())?;
    Some(start + block.iter().rposition(|byte| *byte != 0)?)
}

#[cfg(test)]
mod tests {
    use super::{Window, last_nonzero};
    use crate::storage::disk::{Disk, OpenMode};
    use crate::storage::real::RealDisk;

    /// Fails if what lies behind a hole is not looked for, or not what was stored last.
    #[test]
    fn what_was_written_is_found_behind_space_that_never_was() {
        const LEN: u64 = 16 << 20;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = RealDisk::new().open(&path, OpenMode::CreateNew).unwrap();
        file.allocate(LEN).unwrap();
        for (at, from) in [(0, 0), (0, 1), (9 << 20, 1), (LEN - 1, 0), (LEN - 1, LEN - 1)] {
            file.write_at(&[1], at).unwrap();
            file.sync().unwrap();
            let window = || Window::new(&*file, &path).unwrap();
            let end = window().nonzero_end_of_data(from).unwrap();
            assert_eq!(end, window().nonzero_end(from).unwrap());
            assert_eq!(end, if at < from { from } else { at + 1 });
        }
    }

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_wherever_it_stands() {
        for len in [0, 1, 8, 255, 256, 257, 511, 512, 600] {
            assert_eq!(last_nonzero(&vec![0; len]), None);
            for at in 0..len {
                let mut bytes = vec![0; len];
                bytes[at] = 1;
                bytes[at / 2] = 1;
                assert_eq!(last_nonzero(&bytes), Some(at), "{len} bytes");
            }
        }
    }
}

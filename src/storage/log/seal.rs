//! Footers for segments that get no more frames.

use super::*;
use crate::format::footer::{Footer, TRAILER};
use crate::storage::disk::OpenMode;
use crate::storage::scan::Window;
use std::path::Path;

impl Log {
    /// Gives footers to segments that have none and whose successor is known to be durable, so that
    /// a footer never lies behind frames that could still be cut.
    pub(crate) fn seal(&self) -> Result<()> {
        let segments = self.segments();
        let durable = self.commit.durable();
        for (n, segment) in segments.iter().enumerate() {
            let Some(next) = segments.get(n + 1) else {
                break;
            };
            if segment.sealed.load(Ordering::Acquire)
                || (durable <= next.position() + FILE_HEADER as u64 && !planted::early_footer())
            {
                continue;
            }
            self.seal_one(segment, next)?;
        }
        Ok(())
    }

    fn seal_one(&self, segment: &Arc<Segment>, next: &Segment) -> Result<()> {
        let last_id = match next.restarts().then(|| Span::last_in(segment)) {
            None => next.begin.last_id,
            // A segment with damage in it gets no footer.
            Some(Err(e)) if e.is_corruption() => return Ok(()),
            Some(last) => last?.unwrap_or(segment.begin.last_id),
        };
        let open = self.home.disk.open(&segment.path, OpenMode::Write);
        let file = open.map_err(|e| Error::io("open", &segment.path, e))?;
        let mut window = Window::new(&*file, &segment.path)?;
        let behind = window.nonzero_end(segment.end())?;
        let footer = Footer {
            end: segment.end(),
            entries: segment.entries(),
            last_id,
            chain: next.begin.chain,
            trimmed: self.durable_append_trim(),
            index: segment.index_copy(),
        };
        write_footer(&*file, &segment.path, &footer, segment.seed, behind)?;
        segment.sealed.store(true, Ordering::Release);
        Ok(())
    }
}

/// Writes a footer behind the frames (and behind whatever else is not zero there), and a trailer at
/// the end of the file, which grows if they do not fit.
///
/// # Errors
/// Any; the segment stays as good as it was, without a footer.
fn write_footer(
    file: &dyn DiskFile,
    path: &Path,
    footer: &Footer,
    seed: u32,
    behind: u64,
) -> Result<()> {
    let io = |op, e| Error::io(op, path, e);
    let offset = behind.max(footer.end).next_multiple_of(8);
    let (bytes, trailer) = footer.encode(seed, offset);
    let mut len = file.len().map_err(|e| io("stat", e))?;
    let need = offset + (bytes.len() + TRAILER) as u64;
    if need > len {
        len = need.next_multiple_of(4096);
        file.allocate(len).map_err(|e| io("allocate", e))?;
    }
    file.write_at(&bytes, offset).map_err(|e| io("write", e))?;
    file.write_at(&trailer, len - TRAILER as u64).map_err(|e| io("write", e))?;
    file.sync().map_err(|e| io("sync", e))
}

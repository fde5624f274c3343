//! The journal's files against what is known of them while it is in use.
//!
//! Of the running file and of those that were left in this life it is known up to where they are
//! written. Of one of an earlier life a frame is missed where one behind it proves that it was on
//! disk; anything else may be what a power cut left.

use super::load::unreadable;
use super::*;
use crate::format::frame::ALIGN;
use crate::storage::scan::{Window, next_frame, was_durable};

/// Something in a journal file that is not as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) path: PathBuf,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) what: &'static str,
}

impl Journal {
    /// Everything that is wrong with the files. Records are appended meanwhile; a checkpoint waits,
    /// which would take a file into use anew.
    ///
    /// # Errors
    /// `Io`, `TooManyFiles`.
    pub(crate) fn verify(&self) -> Result<Vec<Fault>> {
        let _one = self.begin_checkpoint();
        let known = {
            let inner = self.inner.lock();
            let running = Tail { slot: inner.slot, seed: inner.seed, at: inner.end };
            let mut known = inner.left;
            if let Some(known) = known.get_mut(inner.slot) {
                *known = Some(running);
            }
            known
        };
        let mut faults = Vec::new();
        for (slot, known) in known.into_iter().enumerate() {
            self.place.verify(slot, known, &mut faults)?;
        }
        Ok(faults)
    }
}

impl Place {
    fn verify(&self, slot: usize, known: Option<Tail>, faults: &mut Vec<Fault>) -> Result<()> {
        let path = &self.path(slot);
        let mut fault = |from, to, what| faults.push(Fault { path: path.clone(), from, to, what });
        let file = match self.disk.open(path, OpenMode::Read) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                fault(0, 0, "the journal file is missing");
                return Ok(());
            }
            opened => opened.map_err(|e| Error::io("open", path, e))?,
        };
        let mut window = Window::new(&*file, path)?;
        let begin = FILE_HEADER as u64;
        let header = FileHeader::decode(window.get(0, begin)?).ok().filter(|header| {
            header.kind == FileKind::Journal
                && header.uuid == self.uuid
                && known.is_none_or(|known| known.seed == header.seed())
        });
        if header.is_none() && (known.is_some() || unreadable(&mut window)?.is_damaged()) {
            fault(0, begin, "the header of the journal file is not what it was");
        }
        let seed = known.map(|known| known.seed).or(header.map(|header| header.seed()));
        let Some(seed) = seed else {
            return Ok(());
        };
        let end = match known {
            Some(known) => known.at,
            None => window.nonzero_end(begin)?,
        };
        let mut at = begin;
        while at < end {
            if let Some((_, header)) = next_frame(&mut window, seed, at, at + ALIGN)? {
                at += header.frame_len();
                continue;
            }
            if known.is_none() && !was_durable(&mut window, seed, at)? {
                break;
            }
            let next = next_frame(&mut window, seed, at + ALIGN, end)?;
            let to = next.map_or(end, |(place, _)| place);
            fault(at, to, "frames of the state journal fail their checks");
            at = to;
        }
        Ok(())
    }
}

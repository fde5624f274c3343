//! The next journal file: emptied, and its checkpoint written.

use super::*;
use crate::format::packed::Packed;

/// How long the files are, and up to where the next one was written to, if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) size: u64,
    pub(super) end: Option<u64>,
}

/// The file that a checkpoint is written to.
pub(super) struct NextFile {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) region: RegionWriter,
    pub(super) salt: u64,
    pub(super) seed: u32,
    pub(super) end: u64,
    /// Up to where all of it is on disk.
    synced: u64,
    pub(super) size: u64,
    /// The streams that have sections, and how many.
    contents: Vec<(u64, u64)>,
    /// What the events that were written may need more in a later checkpoint.
    pub(super) spare: u64,
    pub(super) scratch: Vec<u8>,
}

impl NextFile {
    /// Zeroes the file, so that nothing of its last turn lies behind what is written now; one that
    /// holds damage makes way for another one.
    pub(super) fn begin(
        place: &Place,
        files: &Files,
        slot: usize,
        turn: u64,
        used: Used,
    ) -> Result<NextFile> {
        let (path, size) = (place.path(slot), used.size);
        files.spare_damage(place, slot, size)?;
        let region = files.map(place, slot, size)?;
        let file = files.get(slot).ok_or_else(|| Error::new(ErrorKind::Closed))?;
        let len = file.len().map_err(|e| Error::io("stat", &path, e))?;
        zero(&*file, &path, (used.end.unwrap_or(len).min(len), used.end.is_none()))?;
        let header = FileHeader {
            kind: FileKind::Journal,
            uuid: place.uuid,
            stream: 0,
            number: turn,
            generation: 0,
            salt: place.disk.random(),
            created_ms: place.disk.now_ms(),
        };
        let mut next = NextFile {
            path,
            file,
            region,
            salt: header.salt,
            seed: header.seed(),
            end: FILE_HEADER as u64,
            synced: 0,
            size,
            contents: Vec::new(),
            spare: 0,
            scratch: Vec::new(),
        };
        next.store(0, &header.encode())?;
        Ok(next)
    }

    pub(super) fn store(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.region.write(at, bytes).map_err(|e| Error::io("write", &self.path, e).offset(at))
    }

    pub(super) fn frame(&mut self, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.frame_with(kind, Extras::default(), body)
    }

    /// Ends the checkpoint. Beside that it tells what is on disk of it for certain.
    pub(super) fn end_mark(
        &mut self,
        first_record: u64,
        next_record: u64,
        next_stream: u64,
    ) -> Result<()> {
        let sections = std::mem::take(&mut self.contents);
        let mark = CheckpointEnd { first_record, next_record, next_stream, sections };
        let distance = self.end - self.synced;
        let extras = Extras { durable_distance: Some(distance), ..Extras::default() };
        self.frame_with(Kind::CheckpointEnd, extras, |out| mark.write(out))
    }

    fn frame_with(
        &mut self,
        kind: Kind,
        extras: Extras,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let mut out = std::mem::take(&mut self.scratch);
        let frame = FrameBuilder::begin(&mut out, kind, extras.flags(), None);
        extras.write(&mut out);
        body(&mut out);
        frame.end(&mut out, self.seed, self.end);
        if self.end + out.len() as u64 > self.size {
            return Err(Error::new(ErrorKind::StorageFull { needed: self.size * 2 }));
        }
        let stored = self.store(self.end, &out);
        self.end += out.len() as u64;
        self.scratch = out;
        stored
    }

    /// Writes a stream's events in frames of `most` bytes each.
    pub(super) fn sections(
        &mut self,
        stream: u64,
        covers: u64,
        events: Events,
        most: usize,
    ) -> Result<()> {
        let mut count = 0;
        let mut section = Section { stream, covers, events: Packed::default() };
        let mut next = Packed::default();
        for event in events {
            self.spare += event.spare_in_checkpoint();
            next.clear();
            next.push(&event);
            if section.events.len() + next.len() > most && !section.events.is_empty() {
                self.frame(Kind::Section, |out| section.write(out))?;
                section.events.clear();
                count += 1;
            }
            section.events.extend(&next);
        }
        self.frame(Kind::Section, |out| section.write(out))?;
        self.contents.push((stream, count + 1));
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))?;
        self.synced = self.end;
        Ok(())
    }
}

/// Zeroes a file up to a place; `sparse`: what is zero already is not written.
fn zero(file: &dyn DiskFile, path: &Path, (size, sparse): (u64, bool)) -> Result<()> {
    let sync = || file.sync().map_err(|e| Error::io("sync", path, e));
    let mut header = [0; FILE_HEADER];
    file.read_at(&mut header, 0).map_err(|e| Error::io("read", path, e).offset(0))?;
    if header != [0; FILE_HEADER] && !planted::header_emptied_late() {
        // Durably before the rest: a power cut leaves no header in front of half a file, which
        // would look like damage.
        file.write_at(&[0; FILE_HEADER], 0).map_err(|e| Error::io("write", path, e).offset(0))?;
        sync()?;
    }
    let block = usize::try_from(size).map_or(64 << 10, |size| size.min(64 << 10));
    let zeros = vec![0u8; block];
    let mut buf = vec![0u8; if sparse { block } else { 0 }];
    let mut at = 0;
    while at < size {
        let step = usize::try_from(size - at).map_or(zeros.len(), |left| left.min(zeros.len()));
        let Some(zeros) = zeros.get(..step) else { break };
        let was = buf.get_mut(..step);
        let mut is_zero = false;
        if let Some(was) = was {
            file.read_at(was, at).map_err(|e| Error::io("read", path, e).offset(at))?;
            is_zero = was == zeros;
        }
        if !is_zero {
            file.write_at(zeros, at).map_err(|e| Error::io("write", path, e).offset(at))?;
        }
        at += step as u64;
    }
    // The old end mark must be gone before anything new can be taken for what it ends.
    sync()
}

//! The next journal file: emptied, and its checkpoint written.

use super::*;
use crate::format::packed::Packed;
use crate::storage::disk::ZEROS;

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
    /// holds damage makes way for another one. `used`: up to where it was written to, if that is
    /// known.
    pub(super) fn begin(
        place: &Place,
        files: &Files,
        slot: usize,
        turn: u64,
        size: u64,
        used: Option<u64>,
    ) -> Result<NextFile> {
        let path = place.path(slot);
        files.spare_damage(place, slot, size)?;
        let region = files.map(place, slot, size)?;
        let file = files.get(slot).ok_or_else(|| Error::new(ErrorKind::Closed))?;
        let len = file.len().map_err(|e| Error::io("stat", &path, e))?;
        zero(&*file, &path, len, used)?;
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
        self.region.region().let_go(0, self.end);
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))?;
        self.synced = self.end;
        Ok(())
    }
}

/// Zeroes a file of this length up to where it was used. Where that is not known all of it is
/// looked at, and what is zero already is not written.
fn zero(file: &dyn DiskFile, path: &Path, len: u64, used: Option<u64>) -> Result<()> {
    let sync = || file.sync().map_err(|e| Error::io("sync", path, e));
    let read = |buf: &mut [u8], at| {
        file.read_at(buf, at).map_err(|e| Error::io("read", path, e).offset(at))
    };
    let write = |bytes: &[u8], at| {
        file.write_at(bytes, at).map_err(|e| Error::io("write", path, e).offset(at))
    };
    let mut header = [0; FILE_HEADER];
    read(&mut header, 0)?;
    if header != [0; FILE_HEADER] && !planted::header_emptied_late() {
        // Durably before the rest: a power cut leaves no header in front of half a file, which
        // would look like damage.
        write(&[0; FILE_HEADER], 0)?;
        sync()?;
    }
    let end = used.unwrap_or(len).min(len);
    let mut was = Vec::new();
    for at in (0..end).step_by(ZEROS.len()) {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
        if used.is_none() {
            was.resize(zeros.len(), 0);
            read(&mut was, at)?;
            if was == zeros {
                continue;
            }
        }
        write(zeros, at)?;
    }
    // The old end mark must be gone before anything new can be taken for what it ends.
    sync()
}

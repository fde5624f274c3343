//! The state journal: everything about a store's streams that their frames do not say.
//!
//! Three files are used in turn. Each is complete in itself: a checkpoint (sections, stream by
//! stream), the records that were appended while it was written, an end mark, and then the records
//! since. A record is one command's events; records are numbered, each part of one names the record
//! that changed its stream before, and each tells which streams the records before it changed: a
//! damaged record stops only its own streams.
//!
//! What holds:
//! * Records go to one file at a time, in the order of their numbers, under one lock, by copying
//!   into a map. That lock is never held over a sync.
//! * A checkpoint is written to the next file beside the running one and takes over only when all
//!   but its last bytes are on disk; so the previous file, with every record up to the switch,
//!   stays whole until the new one is durable, and one file more before it is used again.
//! * A file that is taken into use again is zeroed first, its header durably before the rest,
//!   and gets a new salt; until its end mark is written it is no checkpoint. One that was left in
//!   this life is zeroed up to where it was written to: behind that it has been zero since.
//! * One that holds damage is not zeroed: it gets a name of its own, durably, and another file
//!   takes its place. A crash leaves one that looks like that only where it tears a header.
//! * Once the end mark is on disk, the file before is told so, and how to read this one without its
//!   header. A header that cannot be read is damage if the file before says that it was there, and
//!   else that of a file that was being begun.
//! * The same size is allocated to all three files, and used of them; one that grew before the disk
//!   was full is longer. Records that make the state grow are refused
//!   with `StorageFull` when the next checkpoint would not leave half of a file for records; all
//!   other records always find room, at the latest after a checkpoint. Taking away can lengthen a
//!   checkpoint too, as runs of IDs fall apart: what that may cost is set aside when they come.

use crate::commit::{Commit, Mark};
use crate::error::{Error, ErrorKind, Result};
use crate::format::brief::{Brief, Numbers, Words};
use crate::format::event::{Event, Events, Single};
use crate::format::frame::{Extras, FrameBuilder, Kind};
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::name;
use crate::format::record::{Before, CheckpointEnd, Close, Record, Section};
use crate::planted;
use crate::storage::blocks::Blocks;
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::region::RegionWriter;
use crate::storage::segment::full;
use parking_lot::{Condvar, Mutex};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod ahead;
mod checkpoint;
mod close;
mod combine;
mod files;
mod last;
mod load;
mod next;
mod recent;
mod sync;
mod verify;
use ahead::Pace;
pub use combine::JournalRecovery;
pub(crate) use combine::Loaded;
use files::{Files, sync_dir};
use last::Last;
pub(crate) use load::load;
use next::NextFile;
use recent::Recent;

/// How long the files are, in bytes. Always the default, but in the power-loss simulator, which
/// looks at thousands of journals a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The size of a file in a new store.
    pub(crate) first: u64,
    /// Files grow rather than being checkpointed up to this size.
    pub(crate) usual: u64,
    /// They grow up to this size where records come faster than a checkpoint is written.
    pub(crate) most: u64,
    /// A checkpoint is due when the records behind the last one exceed this and twice its size.
    pub(crate) due: u64,
    /// The most that one section's frame takes in events.
    pub(crate) section: usize,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { first: 256 << 10, usual: 8 << 20, most: 32 << 20, due: 4 << 20, section: 64 << 10 }
    }
}

/// What no record takes of a file: room for the end of the journal and the last that it is told.
const END_ROOM: u64 = 128;
/// What not even the end of the journal takes.
const LAST_ROOM: u64 = 64;

/// Why a record could not be appended.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The file is full: make room, then try again.
    Full,
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Error(error)
    }
}

/// What is known of the journal files: where they are and whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) uuid: [u8; 16],
    pub(crate) sizes: Sizes,
}

impl Place {
    fn path(&self, slot: usize) -> PathBuf {
        self.dir.join(name::JOURNALS.get(slot % 3).copied().unwrap_or_default())
    }
}

/// Where a file ends that another one takes over from.
#[derive(Clone, Copy, Debug)]
struct Tail {
    slot: usize,
    seed: u32,
    at: u64,
}

pub(crate) struct Journal {
    place: Place,
    files: Files,
    inner: Mutex<Inner>,
    /// End of the records, in bytes over the journal's life.
    written: Mark,
    pub(crate) commit: Commit,
    /// The background is wanted: a checkpoint is due.
    due: AtomicBool,
    /// One checkpoint at a time; whoever waits for room waits here.
    checkpointing: Mutex<bool>,
    checkpointed: Condvar,
}

struct Inner {
    slot: usize,
    turn: u64,
    seed: u32,
    region: RegionWriter,
    end: u64,
    size: u64,
    /// The end of the newest file of the process before, until it is superseded.
    newest: Option<Tail>,
    /// How far the files go that were left in this life, and not taken into use again.
    left: [Option<Tail>; 3],
    /// What the file before is told once the running one is on disk: which it is, where, and the
    /// frame.
    to_tell: Option<(usize, u64, Vec<u8>)>,
    /// The file that was told, until that is on disk.
    told: Option<usize>,
    /// `written` at the end mark: nothing before it can be less durable than the mark itself.
    switched_at: u64,
    /// Somebody has found no room since the last checkpoint was begun.
    crowded: bool,
    /// The file has grown and could not be mapped anew: nothing is stored through the old map.
    outgrown: bool,
    durable_told: u64,
    next_record: u64,
    next_stream: u64,
    /// The last record of each stream.
    last: Last,
    recent: Recent,
    numbers: Numbers,
    /// What the next checkpoint may take at most: the bytes of the one in the running file, what
    /// growing records added since, and what is set aside for runs that fall apart.
    state_bytes: u64,
    /// The same behind the last checkpoint.
    state_then: u64,
    /// What was set aside since the running checkpoint was begun.
    reserved: u64,
    checkpoint_bytes: u64,
    events_bytes: u64,
    /// As [`Sizes::due`].
    due_bytes: u64,
    /// Where the background is asked for a checkpoint: the end of the records, and what the next
    /// one may take.
    ask_at: u64,
    ask_for: u64,
    /// Up to where the memory of the running file was made ready.
    ready: u64,
    pace: Pace,
    scratch: Vec<u8>,
    closed: bool,
    /// How far each file's blocks were written before their turn.
    blocks: [Blocks; 3],
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({})", self.place.dir.display())
    }
}

/// The state of the store as events: what a checkpoint is made of.
pub(crate) trait Source {
    /// The numbers of the streams that exist.
    fn streams(&self) -> Vec<u64>;
    /// The events that rebuild a stream, as of the record that `covers` returns. `covers` is called
    /// once, while nothing can change the stream. `None` if the stream is gone.
    fn dump(&self, stream: u64, covers: &mut dyn FnMut() -> u64) -> Result<Option<(u64, Events)>>;
    /// Makes durable what records refer to, ahead of a sync of the records.
    fn sync_streams(&self);
}

impl Journal {
    /// Makes the files of a new store, or takes over after [`load`]; writes a first checkpoint of
    /// `source` in either case, so that all that was believed is on disk when this returns.
    pub(crate) fn start(place: Place, loaded: &Loaded, source: &dyn Source) -> Result<Journal> {
        let files = Files::open(&place, loaded)?;
        let size = files.make_equal(&place)?;
        sync_dir(&place)?;
        let inner = Inner {
            slot: loaded.slot,
            turn: loaded.turn,
            seed: 0,
            // Never written to: the first checkpoint, below, goes to the next file.
            region: files.map(&place, loaded.slot, size)?,
            end: size,
            size,
            newest: loaded.newest,
            left: [None; 3],
            to_tell: None,
            told: None,
            switched_at: 0,
            crowded: false,
            outgrown: false,
            durable_told: 0,
            next_record: loaded.next_record,
            next_stream: loaded.next_stream,
            last: Last::new(loaded.last.clone()),
            recent: Recent::new(loaded.next_record),
            numbers: Numbers::default(),
            state_bytes: 0,
            state_then: 0,
            reserved: 0,
            checkpoint_bytes: 0,
            events_bytes: 0,
            due_bytes: place.sizes.due,
            ask_at: 0,
            ask_for: 0,
            ready: 0,
            pace: Pace::default(),
            scratch: Vec::new(),
            closed: false,
            blocks: Default::default(),
        };
        let journal = Journal {
            place,
            files,
            inner: Mutex::new(inner),
            written: Mark::new(0),
            commit: Commit::new(0),
            due: AtomicBool::new(false),
            checkpointing: Mutex::new(false),
            checkpointed: Condvar::new(),
        };
        journal.checkpoint(source)?;
        planted::unless(planted::start_sync(), || journal.sync())?;
        Ok(journal)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    /// The damaged files that lie beside the journal, for the report.
    pub(crate) fn set_aside(&self) -> Vec<PathBuf> {
        self.files.set_aside()
    }

    /// A number for a stream that no stream ever had.
    pub(crate) fn take_stream_number(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.next_stream += 1;
        inner.next_stream - 1
    }

    /// The last record that changed a stream.
    pub(crate) fn last_record(&self, stream: u64) -> u64 {
        self.inner.lock().last.get(stream)
    }

    /// Sets room aside for what records will say some time of what frames say now. `false` if there
    /// is none: make room, then try again.
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        let mut inner = self.inner.lock();
        let fits = bytes == 0 || inner.state_bytes + bytes <= inner.size / 2;
        if fits {
            inner.state_bytes += bytes;
            inner.reserved += bytes;
        }
        fits
    }

    /// Appends one record. The caller holds whatever keeps the order of its streams' records.
    /// `grows`: the state may be larger afterwards, whatever the events are.
    pub(crate) fn append(&self, parts: &[(u64, &[Event])], grows: bool) -> Result<u64, Refused> {
        if let [(stream, [event])] = parts
            && let Some(event) = Single::of(event)
        {
            return self.append_one(*stream, &event, grows);
        }
        let mut inner = self.inner.lock();
        self.check_takes(&inner)?;
        self.append_in(&mut inner, parts, grows)
    }

    /// [`Journal::append`] of one of the most frequent events.
    #[inline]
    pub(crate) fn append_one(
        &self,
        stream: u64,
        event: &Single,
        grows: bool,
    ) -> Result<u64, Refused> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        self.check_takes(inner)?;
        let written = self.written.get();
        if !inner.tells_durable(self.commit.durable())
            && inner.recent.goes_on(inner.next_record, stream)
            && let Some(len) = self.append_brief(inner, stream, event, grows)?
        {
            self.written.advance_alone(written + len);
            return Ok(written + len);
        }
        self.append_one_in(inner, stream, event, grows)
    }

    #[cold]
    fn append_one_in(
        &self,
        inner: &mut Inner,
        stream: u64,
        event: &Single,
        grows: bool,
    ) -> Result<u64, Refused> {
        self.append_in(inner, &[(stream, &[event.event()])], grows)
    }

    #[inline]
    fn check_takes(&self, inner: &Inner) -> Result<(), Refused> {
        if inner.closed {
            return Err(Refused::Error(Error::new(ErrorKind::Closed)));
        }
        if let Some(cause) = self.commit.poisoned() {
            return Err(Refused::Error(Error::poisoned(&cause).refused()));
        }
        Ok(())
    }

    fn append_in(
        &self,
        inner: &mut Inner,
        parts: &[(u64, &[Event])],
        grows: bool,
    ) -> Result<u64, Refused> {
        let (written, durable) = (self.written.get(), self.commit.durable());
        let extras = inner.extras(durable, written);
        let len = self.append_any(inner, &extras, parts, grows)?;
        if extras.durable_distance.is_some() {
            inner.durable_told = durable;
        }
        self.written.advance_alone(written + len);
        Ok(written + len)
    }

    /// A record with one of the most frequent events, of the stream that had the record before;
    /// `None` if it takes more than that.
    #[inline]
    fn append_brief(
        &self,
        inner: &mut Inner,
        stream: u64,
        event: &Single,
        grows: bool,
    ) -> Result<Option<u64>, Refused> {
        let (number, mut words) = (inner.next_record, Words::default());
        let mut out = Brief::new(&mut words);
        let previous = inner.last.get(stream);
        if !Record::write_brief(&mut out, &mut inner.numbers, number, (stream, previous), event) {
            return Ok(None);
        }
        let Some(frame) = out.finish(Kind::Events, inner.seed, inner.end) else {
            return Ok(None);
        };
        let len = size_of_val(frame) as u64;
        let write = |region: &mut RegionWriter, at| region.write_words(at, frame, &[]);
        self.store(inner, (len, write), grows, event.spare())?;
        inner.recent.note_next((stream, inner.last.set(stream, number)), len);
        Ok(Some(len))
    }

    fn append_any(
        &self,
        inner: &mut Inner,
        extras: &Extras,
        parts: &[(u64, &[Event])],
        grows: bool,
    ) -> Result<u64, Refused> {
        let number = inner.next_record;
        let mut out = std::mem::take(&mut inner.scratch);
        let frame = FrameBuilder::begin(&mut out, Kind::Events, extras.flags(), None);
        extras.write(&mut out);
        let last = &inner.last;
        let changes = |stream| parts.iter().any(|(changed, _)| *changed == stream);
        let before = inner.recent.before(number, changes, last);
        let borrowed = parts.iter().map(|(stream, events)| (*stream, last.get(*stream), *events));
        Record::write(&mut out, number, &before, borrowed);
        frame.end(&mut out, inner.seed, inner.end);
        let len = out.len() as u64;
        let spare = parts.iter().flat_map(|(_, events)| *events).map(Event::spare).sum();
        let write = |region: &mut RegionWriter, at| region.write(at, &out);
        let stored = self.store(inner, (len, write), grows, spare);
        inner.scratch = out;
        stored?;
        let Inner { recent, last, .. } = inner;
        let streams = parts.iter().map(|(stream, _)| (*stream, last.set(*stream, number)));
        recent.note(number, streams, len);
        Ok(len)
    }

    /// Puts the next record's frame behind the others, if there is room for it: its length, and
    /// what writes it there.
    #[inline]
    fn store(
        &self,
        inner: &mut Inner,
        (len, write): (u64, impl FnOnce(&mut RegionWriter, u64) -> std::io::Result<()>),
        grows: bool,
        spare: u64,
    ) -> Result<(), Refused> {
        let growth = if grows || spare > 0 { len + spare } else { 0 };
        let room = inner.end + len + END_ROOM <= inner.size && !inner.outgrown;
        let tight = growth > 0 && inner.state_bytes + growth > inner.size / 2;
        if !room || tight {
            return Err(Refused::Full);
        }
        if let Err(e) = write(&mut inner.region, inner.end) {
            return Err(Refused::Error(Error::io("write", &self.place.path(inner.slot), e)));
        }
        self.place.disk.step("record stored");
        inner.end += len;
        inner.next_record += 1;
        inner.events_bytes += len;
        inner.state_bytes += growth;
        if inner.end >= inner.ask_at || inner.state_bytes >= inner.ask_for {
            // Asked again where the background could not do it.
            inner.ask_at = inner.end + inner.size / 16;
            inner.ask_for = inner.state_bytes + inner.size / 16;
            self.due.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Inner {
    fn extras(&self, durable: u64, written: u64) -> Extras {
        let tell = self.tells_durable(durable);
        let durable_distance = tell.then(|| written.saturating_sub(durable));
        Extras { durable_distance, ..Extras::default() }
    }

    /// Whether the next record tells how much is durable.
    #[inline]
    fn tells_durable(&self, durable: u64) -> bool {
        // Until the end mark is durable nothing behind it says anything about durability.
        durable >= self.switched_at && durable != self.durable_told
    }
}

#[cfg(test)]
mod tests;

//! One segment: its file, its map, its sparse index and which of its entries are deleted.
//!
//! Invariants:
//! * Frames lie from [`FILE_HEADER`] to `end` without a gap; `end` only grows while the segment is
//!   the last one and is final afterwards.
//! * The index is a hint: losing it costs time, never entries. An element is pushed before the
//!   frames that it leads to are published, so readers ignore elements at or above their limit.
//! * A deleted entry keeps its bytes; its bit in `deleted` hides it.

use super::damage::{Damage, Holes};
use super::disk::{Disk, DiskFile, OpenMode};
use super::region::Region;
use super::scan::Hole;
use crate::error::{Error, ErrorKind, Result};
use crate::format::footer::{BlockStart, Footer, TRAILER};
use crate::format::frame::Begin;
use crate::format::header::{FILE_HEADER, FileHeader, FileKind};
use crate::format::name;
use crate::planted;
use parking_lot::RwLock;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

mod index;
mod starts;
use index::Index;
pub(crate) use index::{Marks, Sought};

/// What identifies the segments of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) uuid: [u8; 16],
    pub(crate) stream: u64,
    pub(crate) damage: Arc<Damage>,
    has_steps: bool,
}

impl Home {
    pub(crate) fn new(disk: &Arc<dyn Disk>, dir: PathBuf, uuid: [u8; 16], stream: u64) -> Home {
        let has_steps = disk.has_steps();
        Home { disk: Arc::clone(disk), dir, uuid, stream, damage: Arc::default(), has_steps }
    }

    /// [`Disk::step`], for what happens so often that the call would be felt.
    #[inline]
    pub(crate) fn step(&self, what: &'static str) {
        if self.has_steps {
            self.disk.step(what);
        }
    }

    pub(crate) fn header(&self, number: u64) -> FileHeader {
        FileHeader {
            kind: FileKind::Segment,
            uuid: self.uuid,
            stream: self.stream,
            number,
            generation: 0,
            salt: self.disk.random(),
            created_ms: self.disk.now_ms(),
        }
    }
}

/// Makes a segment file that is complete, named and durable, with no frame in it.
///
/// # Errors
/// `StorageFull` and its kin; then nothing is left behind.
pub(crate) fn create(
    home: &Home,
    number: u64,
    size: u64,
) -> Result<(FileHeader, Arc<dyn DiskFile>)> {
    let header = home.header(number);
    let final_path = home.dir.join(name::segment(number, header.generation));
    let tmp = home.dir.join(format!("{}{}", name::segment(number, header.generation), name::TMP));
    let made = create_tmp(home, &tmp, &header, size).and_then(|file| {
        home.disk.rename(&tmp, &final_path).map_err(|e| Error::io("rename", &tmp, e))?;
        Ok(file)
    });
    let file = match made {
        Ok(file) => file,
        Err(error) => {
            drop(home.disk.remove_file(&tmp));
            return Err(error);
        }
    };
    let name_synced =
        planted::unless(planted::segment_name_sync(), || home.disk.sync_dir(&home.dir));
    if let Err(e) = name_synced {
        drop(home.disk.remove_file(&final_path));
        return Err(Error::io("sync directory", &home.dir, e));
    }
    Ok((header, file))
}

fn create_tmp(
    home: &Home,
    tmp: &Path,
    header: &FileHeader,
    size: u64,
) -> Result<Arc<dyn DiskFile>> {
    let file = match home.disk.open(tmp, OpenMode::CreateNew) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            // Left over by a crash; nobody refers to it.
            home.disk.remove_file(tmp).map_err(|e| Error::io("remove", tmp, e))?;
            home.disk.open(tmp, OpenMode::CreateNew)
        }
        other => other,
    }
    .map_err(|e| Error::io("create", tmp, e))?;
    file.allocate(size).map_err(|e| full(Error::io("allocate", tmp, e), size))?;
    file.write_at(&header.encode(), 0).map_err(|e| Error::io("write", tmp, e))?;
    let synced = planted::unless(planted::new_segment_sync(), || file.sync());
    synced.map_err(|e| Error::io("sync", tmp, e))?;
    Ok(file)
}

/// Says how much space would have been needed.
pub(crate) fn full(error: Error, needed: u64) -> Error {
    match error.kind() {
        crate::error::ErrorKind::StorageFull { .. } => {
            error.with_kind(crate::error::ErrorKind::StorageFull { needed })
        }
        _ => error,
    }
}

/// Where few maps are left, segments up to this size are read into memory instead, in bytes.
const COPIED: u64 = 1 << 20;

/// One bit an entry, by its number within the segment.
#[derive(Debug, Default)]
struct Bitmap {
    words: Vec<u64>,
}

/// A segment of an open stream: all that is known of it, and its map once somebody reads it.
#[derive(Debug)]
pub(crate) struct Segment {
    body: Arc<Body>,
    region: OnceLock<Arc<Region>>,
}

impl Deref for Segment {
    type Target = Body;

    #[inline]
    fn deref(&self) -> &Body {
        &self.body
    }
}

/// What is known of a segment, whoever has it mapped.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) header: FileHeader,
    pub(crate) path: PathBuf,
    pub(crate) seed: u32,
    pub(crate) begin: Begin,
    /// The first frame after Begin.
    pub(crate) first_offset: u64,
    end: AtomicU64,
    entries: AtomicU64,
    index: Index,
    /// The map that is left to readers when the file loses its name.
    kept: OnceLock<Arc<Region>>,
    deleted: RwLock<Bitmap>,
    deleted_count: AtomicU64,
    /// The entries from this number on are dead because the log was restarted behind them.
    cut: AtomicU32,
    pub(crate) sealed: AtomicBool,
    pub(super) holes: Holes,
    pub(super) damage: Arc<Damage>,
    pub(super) disk: Arc<dyn Disk>,
}

/// What recovery or creation knows of a segment.
#[derive(Debug)]
pub(crate) struct SegmentParts {
    pub(crate) header: FileHeader,
    /// Where checksums start: as the header says, if it can be read.
    pub(crate) seed: u32,
    pub(crate) begin: Begin,
    pub(crate) first_offset: u64,
    pub(crate) end: u64,
    pub(crate) entries: u64,
    pub(crate) index: Vec<BlockStart>,
    /// It has a footer, or must not get one.
    pub(crate) sealed: bool,
    pub(crate) holes: Vec<Hole>,
}

impl Segment {
    pub(crate) fn new(home: &Home, parts: SegmentParts) -> Segment {
        let path = home.dir.join(name::segment(parts.header.number, parts.header.generation));
        let mut body = Body {
            path,
            seed: parts.seed,
            header: parts.header,
            begin: parts.begin,
            first_offset: parts.first_offset,
            end: AtomicU64::new(parts.end),
            entries: AtomicU64::new(parts.entries),
            index: parts.index.into(),
            kept: OnceLock::new(),
            deleted: RwLock::default(),
            deleted_count: AtomicU64::new(0),
            cut: AtomicU32::new(u32::MAX),
            sealed: AtomicBool::new(parts.sealed),
            holes: Holes::default(),
            damage: Arc::clone(&home.damage),
            disk: Arc::clone(&home.disk),
        };
        body.mark_lost(&parts.holes);
        body.holes = Holes::new(parts.holes);
        Segment { body: Arc::new(body), region: OnceLock::new() }
    }

    /// The same segment for those who come from now on; it is mapped anew when it is read.
    pub(crate) fn without_map(&self) -> Segment {
        Segment { body: Arc::clone(&self.body), region: OnceLock::new() }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.region.get().is_some()
    }

    /// Before the file loses its name: whoever has the segment and has not mapped it can still do
    /// so. The caller is the last one to get it.
    ///
    /// # Errors
    /// As [`Segment::region`].
    pub(crate) fn keep_for_readers(self: &Arc<Segment>) -> Result<()> {
        if Arc::strong_count(self) > 1 || Arc::strong_count(&self.body) > 1 {
            self.region()?;
            if let Some(region) = self.region.get() {
                let _kept = self.body.kept.set(Arc::clone(region));
            }
        }
        Ok(())
    }

    /// Prepares a sync of what lies behind the position `durable`, where that was stored to a map:
    /// see [`Region::let_go`].
    pub(crate) fn let_go(&self, durable: u64) {
        if let Some(region) = self.region.get() {
            region.let_go(durable.saturating_sub(self.position()), self.end());
        }
    }

    /// Uses a region that is already mapped (the writer's).
    pub(crate) fn set_region(&self, region: Arc<Region>) {
        let _already = self.region.set(region);
    }

    /// The bytes of the segment's frames, mapped on first use.
    ///
    /// # Errors
    /// `Io`, `TooManyFiles`, `TooManyMappings`; `Corrupt` if the file is shorter than its frames.
    pub(crate) fn region(&self) -> Result<&Region> {
        if let Some(region) = self.region.get() {
            return Ok(region);
        }
        if let Some(kept) = self.body.kept.get() {
            return Ok(self.region.get_or_init(|| Arc::clone(kept)));
        }
        let file = self
            .disk
            .open(&self.path, OpenMode::Read)
            .map_err(|e| Error::io("open", &self.path, e))?;
        let len = file.len().map_err(|e| Error::io("stat", &self.path, e))?;
        let mut end = self.end();
        if len < end && self.holes.is_empty() {
            let error = Error::corrupt("the segment is shorter than its frames");
            return Err(error.at(&self.path).offset(len));
        }
        end = end.min(len);
        let map = || file.map(end, false).map_err(|e| Error::io("map", &self.path, e));
        let copy = || Region::copy_of(&*file, end).map_err(|e| Error::io("read", &self.path, e));
        let region = match end <= COPIED {
            true if self.disk.is_short_of_maps() => copy().or_else(|_| map())?,
            true => match map() {
                Err(e) if *e.kind() == ErrorKind::TooManyMappings => copy().map_err(|_| e)?,
                mapped => mapped?,
            },
            false => map()?,
        };
        Ok(self.region.get_or_init(|| Arc::new(region.frozen_to(end))))
    }
}

impl Body {
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Whether the log was restarted with it: IDs may be lower than before.
    pub(crate) fn restarts(&self) -> bool {
        self.begin.restarts(self.number())
    }

    /// The stream's position of the segment's first byte.
    pub(crate) fn position(&self) -> u64 {
        self.begin.position
    }

    /// How many entries of the stream lie before it.
    pub(crate) fn first_ordinal(&self) -> u64 {
        self.begin.ordinal
    }

    /// The end of its frames.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn end_position(&self) -> u64 {
        self.begin.position + self.end()
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Acquire)
    }

    /// The number of its entries but for those that a restart cut off.
    pub(crate) fn uncut_entries(&self) -> u64 {
        self.entries().min(u64::from(self.cut.load(Ordering::Acquire)))
    }

    /// The writer's: frames up to `end` with this many entries are complete.
    #[inline]
    pub(crate) fn grew(&self, end: u64, entries: u64) {
        self.entries.store(entries, Ordering::Release);
        self.end.store(end, Ordering::Release);
    }

    /// Marks an entry deleted; `false` if it was already.
    pub(crate) fn delete(&self, ordinal: u32) -> bool {
        let mut bitmap = self.deleted.write();
        let (word, bit) = (ordinal as usize / 64, ordinal % 64);
        if bitmap.words.len() <= word {
            bitmap.words.resize(word + 1, 0);
        }
        let Some(word) = bitmap.words.get_mut(word) else {
            return false;
        };
        let fresh = *word & (1 << bit) == 0;
        *word |= 1 << bit;
        if fresh {
            self.deleted_count.fetch_add(1, Ordering::Release);
        }
        fresh
    }

    #[inline]
    pub(crate) fn is_deleted(&self, ordinal: u32) -> bool {
        if self.deleted_count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let bitmap = self.deleted.read();
        bitmap.words.get(ordinal as usize / 64).is_some_and(|w| w & (1 << (ordinal % 64)) != 0)
    }

    /// The first entry numbered `from` or more that is not deleted, or how many there are without
    /// one: more may come at any time.
    pub(crate) fn next_live(&self, from: u32) -> Result<u32, u32> {
        let entries = u32::try_from(self.entries()).unwrap_or(u32::MAX);
        let bitmap = self.deleted.read();
        let mut next = from;
        while next < entries {
            let word = bitmap.words.get(next as usize / 64).copied().unwrap_or(0);
            let alive = !word >> (next % 64);
            if alive != 0 {
                let live = next + alive.trailing_zeros();
                return if live < entries { Ok(live) } else { Err(entries) };
            }
            next = (next / 64 + 1) * 64;
        }
        Err(entries)
    }

    pub(crate) fn deleted_count(&self) -> u64 {
        self.deleted_count.load(Ordering::Acquire)
    }

    /// How many of the entries numbered `from..to` are deleted.
    pub(crate) fn deleted_between(&self, from: u32, to: u32) -> u64 {
        if self.deleted_count() == 0 || from >= to {
            return 0;
        }
        let bitmap = self.deleted.read();
        let mut count = 0;
        for word in from / 64..=(to - 1) / 64 {
            let mut bits = bitmap.words.get(word as usize).copied().unwrap_or(0);
            if word == from / 64 {
                bits &= u64::MAX << (from % 64);
            }
            if word == (to - 1) / 64 {
                bits &= u64::MAX >> (63 - (to - 1) % 64);
            }
            count += u64::from(bits.count_ones());
        }
        count
    }

    /// The numbers of the deleted entries, ascending; without those that a restart cut off, whose
    /// IDs may be other entries' by now.
    pub(crate) fn deleted_ordinals(&self) -> Vec<u32> {
        let bitmap = self.deleted.read();
        let mut ordinals = Vec::new();
        for (n, word) in bitmap.words.iter().enumerate() {
            let mut bits = *word;
            while bits != 0 {
                ordinals.push(n as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        ordinals.retain(|ordinal| *ordinal < self.cut.load(Ordering::Acquire));
        ordinals
    }

    /// Marks the entries from a number on as cut off by a restart of the log.
    pub(crate) fn cut_off(&self, from: u32) {
        self.cut.store(from, Ordering::Release);
        for ordinal in from..u32::try_from(self.entries()).unwrap_or(u32::MAX) {
            self.delete(ordinal);
        }
    }
}

/// Reads the footer of a sealed segment; `None` if there is none that can be believed.
pub(crate) fn read_footer(file: &dyn DiskFile, seed: u32) -> Option<Footer> {
    let len = file.len().ok()?;
    let mut trailer = [0; TRAILER];
    let place = len.checked_sub(TRAILER as u64)?;
    file.read_at(&mut trailer, place).ok()?;
    let (offset, size, crc) = Footer::locate(&trailer, seed)?;
    if offset < FILE_HEADER as u64 || offset.checked_add(size)? > place {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_at(&mut bytes, offset).ok()?;
    Footer::decode(&bytes, seed, crc).filter(|footer| footer.end <= offset)
}

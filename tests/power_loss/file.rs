//! One file of the simulated disk: what processes see, and what a power cut would leave.
//!
//! Processes see `current`: heap memory that maps share, so that stores through a map need no
//! interception. The disk holds pages. What differs between the two is dirty; nobody marks it, it
//! is found by comparing. Pages that a failed sync gave up (the kernel marks them clean, although
//! they never reached the disk) are `lost`: they stay as they are on disk until somebody changes
//! them again.

use super::rng::{Rng, mix_bytes};
use crate::storage::region::{HeapMem, Region};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// What the page cache writes back at a time.
pub const PAGE: usize = 4096;
/// What a disk writes or does not write as a whole.
pub const SECTOR: usize = 512;

static ZEROS: [u8; PAGE] = [0; PAGE];

/// The unchanging contents of a page that is not all zero.
pub struct Page {
    hash: u64,
    bytes: [u8; PAGE],
}

/// A page; `None` is all zero.
pub type PageRef = Option<Arc<Page>>;

pub fn page_of(bytes: &[u8; PAGE]) -> PageRef {
    if *bytes == ZEROS {
        return None;
    }
    Some(Arc::new(Page { hash: mix_bytes(1, bytes), bytes: *bytes }))
}

pub fn page_bytes(page: &PageRef) -> &[u8; PAGE] {
    page.as_ref().map_or(&ZEROS, |page| &page.bytes)
}

pub fn page_hash(page: &PageRef) -> u64 {
    page.as_ref().map_or(0, |page| page.hash)
}

/// The pages of a file, shared until one of them changes. Missing ones are zero.
#[derive(Clone, Default)]
pub struct Pages(Arc<Vec<PageRef>>);

impl Pages {
    pub fn get(&self, index: u32) -> &PageRef {
        self.0.get(index as usize).unwrap_or(&None)
    }

    pub fn set(&mut self, index: u32, page: PageRef) {
        let pages = Arc::make_mut(&mut self.0);
        if pages.len() <= index as usize {
            pages.resize(index as usize + 1, None);
        }
        pages[index as usize] = page;
    }

    fn read(&self, offset: u64, buf: &mut [u8]) {
        let mut done = 0;
        while done < buf.len() {
            let (index, at) = place(offset + done as u64);
            let step = (PAGE - at).min(buf.len() - done);
            let from = &page_bytes(self.get(index))[at..at + step];
            buf[done..done + step].copy_from_slice(from);
            done += step;
        }
    }
}

fn place(offset: u64) -> (u32, usize) {
    let page = u32::try_from(offset / PAGE as u64).unwrap();
    (page, (offset % PAGE as u64) as usize)
}

fn pages_in(len: u64) -> u32 {
    u32::try_from(len.div_ceil(PAGE as u64)).unwrap()
}

/// A dirty page.
#[derive(Clone)]
pub struct Dirty {
    pub index: u32,
    /// What it holds now.
    pub page: PageRef,
    /// Which of its sectors differ from the disk, one bit each.
    pub sectors: u8,
}

/// Which sectors differ, one bit each.
fn differing(old: &[u8; PAGE], new: &[u8; PAGE]) -> u8 {
    let (old, new) = (old.as_chunks::<SECTOR>().0, new.as_chunks::<SECTOR>().0);
    let both = old.iter().zip(new).rev();
    both.fold(0, |bits, (old, new)| bits << 1 | u8::from(old != new))
}

/// Pages by number. Beyond what it holds every page counts as one of them; files of the simulator
/// are shorter.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageSet(u128);

impl PageSet {
    pub fn contains(self, page: u32) -> bool {
        page >= u128::BITS || self.0 >> page & 1 == 1
    }

    fn insert(&mut self, page: u32) {
        if page < u128::BITS {
            self.0 |= 1 << page;
        }
    }
}

/// The page as it was when only the first of its new bytes were there: files are written from
/// front to back between two syncs.
fn half_copied(old: &PageRef, new: &PageRef, rng: &mut Rng) -> PageRef {
    let (old, new) = (page_bytes(old), page_bytes(new));
    let differs = |index: &usize| old[*index] != new[*index];
    let first = (0..PAGE).find(differs).unwrap_or(0);
    let last = (0..PAGE).rfind(differs).unwrap_or(0);
    let end = first + rng.index(last + 1 - first);
    let mut page = *old;
    page[first..end].copy_from_slice(&new[first..end]);
    page_of(&page)
}

/// What a power cut has to choose from, for one file.
#[derive(Clone)]
pub struct FileCapture {
    pub disk: Pages,
    pub disk_len: u64,
    pub len: u64,
    pub dirty: Vec<Dirty>,
    /// The pages whose extents a sync has made durable; the others may read as zero after a cut.
    pub firm: PageSet,
}

/// A file as it is in one life of the machine.
pub struct FileState {
    /// What processes see; `None` as long as it equals the disk.
    mem: Option<Arc<HeapMem>>,
    /// A process may have stored through a map since memory and disk were last the same.
    mapped: bool,
    /// The pages that were written by calls since then.
    written: PageSet,
    len: u64,
    disk: Pages,
    disk_len: u64,
    firm: PageSet,
    lost: BTreeMap<u32, PageRef>,
}

fn too_short() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl FileState {
    pub fn new() -> FileState {
        FileState::from_disk(Pages::default(), 0)
    }

    /// The file as the machine finds it when it starts.
    pub fn from_disk(disk: Pages, len: u64) -> FileState {
        let mut file = FileState {
            mem: None,
            mapped: false,
            written: PageSet::default(),
            len,
            firm: PageSet::default(),
            disk,
            disk_len: len,
            lost: BTreeMap::new(),
        };
        file.all_is_firm();
        file
    }

    fn all_is_firm(&mut self) {
        for index in (0..pages_in(self.len)).filter(|index| self.disk.get(*index).is_some()) {
            self.firm.insert(index);
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Memory of its own with what processes see.
    fn fresh(&self, len: u64) -> io::Result<Arc<HeapMem>> {
        let fresh = HeapMem::zeroed(len as usize)?;
        let mut page = [0; PAGE];
        for index in 0..pages_in(self.len) {
            let at = u64::from(index) * PAGE as u64;
            let size = (self.len - at).min(PAGE as u64) as usize;
            match &self.mem {
                Some(mem) => mem.read(at as usize, &mut page[..size])?,
                None if self.disk.get(index).is_none() => continue,
                None => page = *page_bytes(self.disk.get(index)),
            }
            fresh.write(at as usize, &page[..size])?;
        }
        Ok(Arc::new(fresh))
    }

    fn memory(&mut self) -> io::Result<Arc<HeapMem>> {
        if self.mem.is_none() {
            self.mem = Some(self.fresh(self.len)?);
        }
        Ok(Arc::clone(self.mem.as_ref().unwrap()))
    }

    /// The processes that mapped the file are gone; the page cache stays.
    pub fn next_life(&mut self) {
        if self.mem.is_some() {
            self.mem = Some(self.fresh(self.len).unwrap());
        }
    }

    pub fn allocate(&mut self, len: u64) -> io::Result<()> {
        if len > self.len {
            self.mem = Some(self.fresh(len)?);
            self.len = len;
        }
        Ok(())
    }

    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        end.filter(|end| *end <= self.len).ok_or_else(too_short)?;
        match &self.mem {
            Some(mem) => mem.read(offset as usize, buf),
            None => {
                self.disk.read(offset, buf);
                Ok(())
            }
        }
    }

    pub fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        end.filter(|end| *end <= self.len).ok_or_else(too_short)?;
        let mem = self.memory()?;
        if mem.write(offset as usize, bytes).is_err() {
            // Bytes that a map of this life had frozen. With the last map gone they are only bytes
            // of a file again, and files that are used in turn are written over.
            drop(mem);
            if Arc::strong_count(self.mem.as_ref().unwrap()) > 1 {
                return Err(io::Error::other("a write below the frozen mark of a live map"));
            }
            self.mem = Some(self.fresh(self.len)?);
            self.memory()?.write(offset as usize, bytes)?;
        }
        for index in place(offset).0..pages_in(offset + bytes.len() as u64) {
            // Whatever was given up is dirty again once it is written again.
            self.lost.remove(&index);
            self.written.insert(index);
        }
        Ok(())
    }

    pub fn map(&mut self, len: u64, writable: bool) -> io::Result<Region> {
        if len > self.len {
            return Err(too_short());
        }
        self.mapped |= writable;
        Region::heap(self.memory()?, len, writable)
    }

    /// The pages that differ from the disk and that the kernel knows to be dirty.
    pub fn dirty(&self) -> Vec<Dirty> {
        let mut dirty = Vec::new();
        let Some(mem) = &self.mem else {
            return dirty;
        };
        let mut now = [0; PAGE];
        let changed = |index: &u32| self.mapped || self.written.contains(*index);
        for index in (0..pages_in(self.len)).filter(changed) {
            let at = u64::from(index) * PAGE as u64;
            let size = (self.len - at).min(PAGE as u64) as usize;
            mem.read(at as usize, &mut now[..size]).unwrap();
            now[size..].fill(0);
            let old = page_bytes(self.disk.get(index));
            if now == *old {
                continue;
            }
            let given_up = self.lost.get(&index);
            if given_up.is_none_or(|page| *page_bytes(page) != now) {
                dirty.push(Dirty { index, page: page_of(&now), sectors: differing(old, &now) });
            }
        }
        dirty
    }

    /// The end of what processes see that is not zero.
    pub fn nonzero_end(&self) -> u64 {
        let mut page = [0; PAGE];
        for index in (0..pages_in(self.len)).rev() {
            let at = u64::from(index) * PAGE as u64;
            if self.mem.is_none() && self.disk.get(index).is_none() {
                continue;
            }
            let size = (self.len - at).min(PAGE as u64) as usize;
            self.read_at(&mut page[..size], at).unwrap();
            if let Some(last) = page[..size].iter().rposition(|byte| *byte != 0) {
                return at + last as u64 + 1;
            }
        }
        0
    }

    pub fn capture(&self) -> FileCapture {
        FileCapture {
            disk: self.disk.clone(),
            disk_len: self.disk_len,
            len: self.len,
            dirty: self.dirty(),
            firm: self.firm,
        }
    }

    fn settle(&mut self, dirty: Vec<Dirty>) {
        for Dirty { index, page, .. } in dirty {
            self.firm.insert(index);
            self.lost.remove(&index);
            self.disk.set(index, page);
        }
    }

    /// Bytes and length reach the disk.
    pub fn sync(&mut self) {
        let dirty = self.dirty();
        self.settle(dirty);
        self.disk_len = self.len;
        // What was written back before is now certain too.
        self.all_is_firm();
        self.written = PageSet::default();
        // Pages that were given up stay different from the disk, but nobody may say so any more.
        self.mapped &= self.mem.as_ref().is_some_and(|mem| Arc::strong_count(mem) > 1);
    }

    /// A sync that fails: some pages reach the disk, the kernel gives the others up and calls them
    /// clean.
    pub fn fail_sync(&mut self, rng: &mut Rng) {
        let share = rng.pick(&[0, 0, 30, 80]);
        let (kept, lost): (Vec<_>, Vec<_>) =
            self.dirty().into_iter().partition(|_| rng.percent(share));
        self.settle(kept);
        self.lost.extend(lost.into_iter().map(|dirty| (dirty.index, dirty.page)));
        if rng.percent(50) {
            self.disk_len = self.len;
        }
    }

    /// The kernel writes some dirty pages of its own accord; now and then it commits lengths and
    /// extents as well. A page may be caught while bytes are being copied into it.
    pub fn write_back(&mut self, rng: &mut Rng) {
        let share = rng.pick(&[10, 50, 100]);
        let metadata = rng.percent(25);
        let mut chosen: Vec<Dirty> =
            self.dirty().into_iter().filter(|_| rng.percent(share)).collect();
        for dirty in &mut chosen {
            if rng.percent(20) {
                dirty.page = half_copied(self.disk.get(dirty.index), &dirty.page, rng);
            }
        }
        if metadata {
            self.settle(chosen);
            self.disk_len = self.len;
        } else {
            for Dirty { index, page, .. } in chosen {
                self.disk.set(index, page);
            }
        }
    }
}

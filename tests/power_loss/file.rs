//! One file of the simulated disk: what processes see, and what a power cut would leave.
//!
//! Processes see `current`: heap memory that maps share, so that stores through a map need no
//! interception. The disk holds pages. What differs between the two is dirty; nobody marks it, it
//! is found by comparing. Pages that a failed sync gave up (the kernel marks them clean, although
//! they never reached the disk) are `lost`: they stay as they are on disk until somebody changes
//! them again.

use super::rng::{Rng, mix_bytes};
use crate::storage::region::{HeapMem, Region};
use std::collections::{BTreeMap, BTreeSet};
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

/// A dirty page: its number and what it holds now.
pub type Dirty = (u32, PageRef);

/// What a power cut has to choose from, for one file.
#[derive(Clone)]
pub struct FileCapture {
    pub disk: Pages,
    pub disk_len: u64,
    pub len: u64,
    pub dirty: Vec<Dirty>,
    /// The pages whose extents a sync has made durable; the others may read as zero after a cut.
    pub firm: Arc<BTreeSet<u32>>,
}

/// A file as it is in one life of the machine.
pub struct FileState {
    /// What processes see; `None` as long as it equals the disk.
    mem: Option<Arc<HeapMem>>,
    len: u64,
    disk: Pages,
    disk_len: u64,
    firm: Arc<BTreeSet<u32>>,
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
        let firm = (0..pages_in(len)).filter(|i| disk.get(*i).is_some());
        FileState {
            mem: None,
            len,
            firm: Arc::new(firm.collect()),
            disk,
            disk_len: len,
            lost: BTreeMap::new(),
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    fn fresh(&self, len: u64) -> io::Result<Arc<HeapMem>> {
        let mem = HeapMem::zeroed(len as usize)?;
        for index in 0..pages_in(self.len) {
            let page = self.current(index);
            if page != ZEROS {
                let at = u64::from(index) * PAGE as u64;
                let size = (self.len - at).min(PAGE as u64) as usize;
                mem.write(at as usize, &page[..size])?;
            }
        }
        Ok(Arc::new(mem))
    }

    fn memory(&mut self) -> io::Result<Arc<HeapMem>> {
        if self.mem.is_none() {
            self.mem = Some(self.fresh(self.len)?);
        }
        Ok(Arc::clone(self.mem.as_ref().unwrap()))
    }

    /// What processes see of one page.
    fn current(&self, index: u32) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        let at = u64::from(index) * PAGE as u64;
        if at < self.len {
            let size = (self.len - at).min(PAGE as u64) as usize;
            match &self.mem {
                Some(mem) => mem.read(at as usize, &mut page[..size]).unwrap(),
                None => self.disk.read(at, &mut page[..size]),
            }
        }
        page
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
        }
        Ok(())
    }

    pub fn map(&mut self, len: u64, writable: bool) -> io::Result<Region> {
        if len > self.len {
            return Err(too_short());
        }
        Region::heap(self.memory()?, len, writable)
    }

    /// The pages that differ from the disk and that the kernel knows to be dirty.
    pub fn dirty(&self) -> Vec<Dirty> {
        if self.mem.is_none() {
            return Vec::new();
        }
        let mut dirty = Vec::new();
        for index in 0..pages_in(self.len) {
            let now = self.current(index);
            if now == *page_bytes(self.disk.get(index)) {
                continue;
            }
            let given_up = self.lost.get(&index);
            if given_up.is_none_or(|page| *page_bytes(page) != now) {
                dirty.push((index, page_of(&now)));
            }
        }
        dirty
    }

    pub fn capture(&self) -> FileCapture {
        FileCapture {
            disk: self.disk.clone(),
            disk_len: self.disk_len,
            len: self.len,
            dirty: self.dirty(),
            firm: Arc::clone(&self.firm),
        }
    }

    fn settle(&mut self, dirty: Vec<Dirty>) {
        let firm = Arc::make_mut(&mut self.firm);
        for (index, page) in dirty {
            firm.insert(index);
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
        let disk = &self.disk;
        let known = (0..pages_in(self.len)).filter(|i| disk.get(*i).is_some());
        Arc::make_mut(&mut self.firm).extend(known);
    }

    /// A sync that fails: some pages reach the disk, the kernel gives the others up and calls them
    /// clean.
    pub fn fail_sync(&mut self, rng: &mut Rng) {
        let share = rng.pick(&[0, 0, 30, 80]);
        let (kept, lost): (Vec<_>, Vec<_>) =
            self.dirty().into_iter().partition(|_| rng.percent(share));
        self.settle(kept);
        self.lost.extend(lost);
        if rng.percent(50) {
            self.disk_len = self.len;
        }
    }

    /// The kernel writes some dirty pages of its own accord; now and then it commits lengths and
    /// extents as well.
    pub fn write_back(&mut self, rng: &mut Rng) {
        let share = rng.pick(&[10, 50, 100]);
        let metadata = rng.percent(25);
        let chosen: Vec<Dirty> = self.dirty().into_iter().filter(|_| rng.percent(share)).collect();
        if metadata {
            self.settle(chosen);
            self.disk_len = self.len;
        } else {
            for (index, page) in chosen {
                self.disk.set(index, page);
            }
        }
    }
}

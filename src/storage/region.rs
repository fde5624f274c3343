//! One mapped file (or the heap in its place): the only module of storage with `unsafe`.
//!
//! A [`Region`] is a fixed run of memory with one *frozen* mark that only grows. Bytes below the
//! mark never change again and may be borrowed; bytes at or above it are only ever touched by
//! copying, through the one [`RegionWriter`].
//!
//! Invariants on which every `unsafe` block rests:
//! * I1: `base..base + len` is valid memory for as long as the region lives: a map is unmapped when
//!   it is dropped and its file is never shrunk; heap memory is freed when its last owner goes.
//! * I2: No reference to a byte at or above the mark exists, ever; copies go through raw pointers.
//! * I3: A byte below the mark is never written: every write checks its offset against the mark.
//! * I4: At most one [`RegionWriter`] exists for a region and it takes `&mut self` to write, so
//!   bytes at or above the mark have one writer and no concurrent reader. Heap memory that a file
//!   shares with regions has a lock besides, which every copy holds.
//! * I5: The mark is stored with `Release` after the bytes below it and loaded with `Acquire`.
//!
//! The storage layer adds what no type can say here: a file has at most one writable region at a
//! time, and [`DiskFile::write_at`](super::disk::DiskFile::write_at) is never called below its
//! mark. What others do to the file behind the map is outside the contract; the store's lock keeps
//! other writers out. A forked child has the maps too, and is refused every call that writes.
#![allow(unsafe_code)]

use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The byte ranges that leave the region or touch frozen bytes are refused with this.
fn out_of_range(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Zeroed heap memory that regions and the file of a heap disk share.
pub(crate) struct HeapMem {
    base: *mut u8,
    layout: Layout,
    /// Bytes below this are borrowed by someone through a region.
    frozen: AtomicU64,
    lock: Mutex<()>,
}

// SAFETY: the memory is owned by this value and freed once; all access keeps I2..I5.
unsafe impl Send for HeapMem {}
// SAFETY: as above; concurrent copies hold `lock`, borrows cover frozen bytes only.
unsafe impl Sync for HeapMem {}

impl HeapMem {
    pub(crate) fn zeroed(len: usize) -> io::Result<HeapMem> {
        let layout = Layout::from_size_align(len.max(8), 8)
            .map_err(|_| out_of_range("too large for the heap"))?;
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(HeapMem { base, layout, frozen: AtomicU64::new(0), lock: Mutex::new(()) })
    }

    /// Copies bytes out, frozen or not.
    pub(crate) fn read(&self, offset: usize, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len()).filter(|end| *end <= self.layout.size());
        if end.is_none() {
            return Err(out_of_range("read beyond the memory"));
        }
        let _guard = self.lock.lock();
        // SAFETY: I1 and the check above; I4: the lock keeps writers out; `buf` is a distinct
        // exclusive borrow, so the ranges do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(self.base.add(offset), buf.as_mut_ptr(), buf.len())
        };
        Ok(())
    }

    /// Copies bytes in at or above the mark.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len()).filter(|end| *end <= self.layout.size());
        if end.is_none() {
            return Err(out_of_range("write beyond the memory"));
        }
        let _guard = self.lock.lock();
        if (offset as u64) < self.frozen.load(Ordering::Acquire) {
            return Err(out_of_range("write below the frozen mark"));
        }
        // SAFETY: I1 and the range check; I3: the mark was checked under the lock that also guards
        // its growth; I2: no reference covers these bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset), bytes.len())
        };
        Ok(())
    }

    fn freeze(&self, upto: u64) {
        let _guard = self.lock.lock();
        self.frozen.fetch_max(upto, Ordering::AcqRel);
    }
}

impl Drop for HeapMem {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody else owns it any more.
        unsafe { dealloc(self.base, self.layout) };
    }
}

/// No system has smaller pages; one with larger ones refuses what does not begin at one.
pub(crate) const PAGE: usize = 4096;
/// For fewer bytes than this to be synced, their pages are asked about one by one.
#[cfg(target_os = "linux")]
const FEW_PAGES: usize = 4 * PAGE;

enum Mem {
    Map(memmap2::MmapRaw),
    Heap(Arc<HeapMem>),
}

/// A fixed run of memory that stands for the first bytes of a file.
pub(crate) struct Region {
    mem: Mem,
    len: u64,
    writable: bool,
    frozen: AtomicU64,
    has_writer: AtomicBool,
    _counted: Option<Counted>,
}

/// One more, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Arc<std::sync::atomic::AtomicUsize>);

impl Counted {
    pub(crate) fn new(count: &Arc<std::sync::atomic::AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Region {
    /// The first `len` bytes of a file, shared with it. All of them must be allocated.
    pub(crate) fn map(file: &std::fs::File, len: u64, writable: bool) -> io::Result<Region> {
        let size = usize::try_from(len).map_err(|_| out_of_range("too large to map"))?;
        let mut options = memmap2::MmapOptions::new();
        options.len(size);
        // A forked child keeps the map (no MADV_DONTFORK): what it borrowed before the fork must
        // stay readable (I1), and its unmapping must not meet something else at that address.
        let map =
            if writable { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        Ok(Region::over(Mem::Map(map), len, writable))
    }

    /// Heap memory in the place of a map.
    pub(crate) fn heap(mem: Arc<HeapMem>, len: u64, writable: bool) -> io::Result<Region> {
        if len > mem.layout.size() as u64 {
            return Err(out_of_range("region longer than its memory"));
        }
        Ok(Region::over(Mem::Heap(mem), len, writable))
    }

    /// The first `len` bytes of a file as they are now, on the heap.
    pub(crate) fn copy_of(file: &dyn super::disk::DiskFile, len: u64) -> io::Result<Region> {
        let size = usize::try_from(len).map_err(|_| out_of_range("too large for the heap"))?;
        let mem = HeapMem::zeroed(size)?;
        // There may be little memory left besides.
        let mut bytes = [0; 4096];
        for at in (0..size).step_by(bytes.len()) {
            let len = bytes.len().min(size - at);
            let part = bytes.get_mut(..len).unwrap_or_default();
            file.read_at(part, at as u64)?;
            mem.write(at, part)?;
        }
        Region::heap(Arc::new(mem), len, false)
    }

    fn over(mem: Mem, len: u64, writable: bool) -> Region {
        let frozen = AtomicU64::new(0);
        let has_writer = AtomicBool::new(false);
        Region { mem, len, writable, frozen, has_writer, _counted: None }
    }

    /// The same region, which is counted while it lives.
    pub(crate) fn counted(self, counted: Counted) -> Region {
        Region { _counted: Some(counted), ..self }
    }

    /// The same region with the bytes below `upto` final from the start, for files that nobody
    /// writes any more.
    pub(crate) fn frozen_to(self, upto: u64) -> Region {
        let upto = upto.min(self.len);
        if let Mem::Heap(mem) = &self.mem {
            mem.freeze(upto);
        }
        self.frozen.store(upto, Ordering::Release);
        self
    }

    /// Has the system find memory for these bytes, so that nobody who stores to them waits for
    /// that. Changes no byte, and says so if it cannot be done; the heap is always ready.
    pub(crate) fn touch(&self, from: u64, to: u64) -> io::Result<()> {
        if from >= to || to > self.len || !self.writable {
            return Err(out_of_range("no bytes of a region that is written"));
        }
        match &self.mem {
            Mem::Heap(_) => Ok(()),
            #[cfg(target_os = "linux")]
            Mem::Map(map) => {
                let advice = memmap2::Advice::PopulateWrite;
                map.advise_range(advice, from as usize, (to - from) as usize)
            }
            #[cfg(not(target_os = "linux"))]
            Mem::Map(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Gives up the process's own record of which pages of a map it has changed, of those that lie
    /// in `from..to` or begin before it: the file's pages are as changed as before, and whoever
    /// touches the map there finds them again.
    ///
    /// A sync asks every processor on which the process runs about each page that the map has
    /// changed, one after the other, and interrupts what it does there. This does so once for all.
    pub(crate) fn let_go(&self, from: u64, to: u64) {
        #[cfg(target_os = "linux")]
        if let Mem::Map(map) = &self.mem
            && let from = from as usize / PAGE * PAGE
            && let to = to.min(self.len) as usize / PAGE * PAGE
            && let len @ FEW_PAGES.. = to.saturating_sub(from)
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: all maps are shared with their files (`Region::map`), so the system takes
            // what it lets go from the file when it is touched again: no byte changes (I3), for
            // those who have borrowed some, too.
            let done = unsafe { map.unchecked_advise_range(advice, from, len) };
            // Without it the sync takes longer, and nothing else.
            drop(done);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (from, to);
    }

    fn base(&self) -> *mut u8 {
        match &self.mem {
            Mem::Map(map) => map.as_mut_ptr(),
            Mem::Heap(mem) => mem.base,
        }
    }

    /// Up to where bytes may be borrowed.
    #[inline]
    pub(crate) fn frozen(&self) -> u64 {
        self.frozen.load(Ordering::Acquire)
    }

    /// Borrows frozen bytes; `None` if the range is not all frozen.
    #[inline]
    pub(crate) fn slice(&self, from: u64, to: u64) -> Option<&[u8]> {
        if from > to || to > self.frozen() {
            return None;
        }
        // `frozen <= len <= isize::MAX`, so both fit into usize.
        let (from, size) = (from as usize, (to - from) as usize);
        // SAFETY: I1: inside the region; I2, I3, I5: bytes below the mark are never written again
        // and all stores to them happened before the mark was stored.
        Some(unsafe { std::slice::from_raw_parts(self.base().add(from), size) })
    }

    /// The one writer of this region; `None` if it was taken before or the region is read-only.
    pub(crate) fn writer(self: &Arc<Region>) -> Option<RegionWriter> {
        if !self.writable || self.has_writer.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(RegionWriter { region: Arc::clone(self) })
    }
}

/// Asks the processor to have this byte at hand soon, with all of its line; nothing where there is
/// no such byte, or no way to ask.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(byte) = bytes.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it reads and writes nothing, and takes any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}

/// How far behind a store the processor is asked for the lines of the stores to come: as far as a
/// writer of small frames comes while a line is on its way from another processor, which zeroed it.
const AHEAD: usize = 512;
const LINE: usize = 64;
/// What is stored at once and is longer than this, the processor foresees by itself.
const MOST_LINES: usize = 8;

/// Asks the processor to have these bytes of a map at hand soon, to be stored to: until they are,
/// the next locked instruction waits. Bytes behind the map are left out.
#[inline]
fn expect_stores(map: &memmap2::MmapRaw, from: usize, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (from..map.len().min(from + len)).step_by(LINE).take(MOST_LINES) {
        // Not the intrinsic, which only asks to read where the target may lack the instruction: on
        // processors without it, it does nothing.
        // SAFETY: it changes nothing that a program sees, and takes any address.
        unsafe {
            std::arch::asm!(
                "prefetchw byte ptr [{}]",
                in(reg) map.as_mut_ptr().wrapping_add(at),
                options(nostack, preserves_flags, readonly),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (map, from, len);
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.mem {
            Mem::Map(_) => "map",
            Mem::Heap(_) => "heap",
        };
        write!(f, "Region({kind}, {} bytes, {} frozen)", self.len, self.frozen())
    }
}

// SAFETY: a map belongs to no thread; all access goes through the methods here, which keep I2..I5.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// A byte of memory that is 1 until the process forks, and 0 in the child.
#[derive(Debug)]
pub(crate) struct WipedOnFork(memmap2::MmapRaw);

impl WipedOnFork {
    /// Fails where the system has no such memory.
    pub(crate) fn new() -> io::Result<WipedOnFork> {
        let mut page = memmap2::MmapMut::map_anon(1)?;
        page.fill(1);
        #[cfg(target_os = "linux")]
        {
            let advice = rustix::mm::Advice::LinuxWipeOnFork;
            // SAFETY: all of one anonymous map that is borrowed by nobody. In this process the
            // advice changes no byte; a child finds zeros where it found nothing before.
            unsafe { rustix::mm::madvise(page.as_mut_ptr().cast(), page.len(), advice) }?;
            Ok(WipedOnFork(memmap2::MmapRaw::from(page)))
        }
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }

    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        let byte = self.0.as_mut_ptr();
        // SAFETY: the map has this byte for as long as it lives, and all access to it is this one.
        unsafe { std::sync::atomic::AtomicU8::from_ptr(byte) }.load(Ordering::Relaxed) == 1
    }
}

/// The right to store into a region at or above its mark, and to move the mark.
#[derive(Debug)]
pub(crate) struct RegionWriter {
    region: Arc<Region>,
}

impl RegionWriter {
    /// What is written to.
    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// The region, if so many bytes may be stored there.
    #[inline(always)]
    fn open(&self, offset: u64, len: usize) -> io::Result<&Region> {
        let region = &*self.region;
        let end = offset.checked_add(len as u64).filter(|end| *end <= region.len);
        if end.is_none() || offset < region.frozen.load(Ordering::Relaxed) {
            return Err(out_of_range("write outside the open part of a region"));
        }
        Ok(region)
    }

    /// Copies bytes in. They become visible to borrowers by [`RegionWriter::freeze`].
    #[inline]
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match &self.open(offset, bytes.len())?.mem {
            Mem::Heap(mem) => mem.write(offset as usize, bytes),
            Mem::Map(map) => {
                // SAFETY: I1 and the check above; I3: at or above the mark, which only this writer
                // moves; I2, I4: nobody else touches these bytes.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        map.as_mut_ptr().add(offset as usize),
                        bytes.len(),
                    );
                }
                expect_stores(map, offset as usize + AHEAD, bytes.len());
                Ok(())
            }
        }
    }

    /// The same of words, the lower bytes of which come first, and of bytes behind them. What is in
    /// registers is stored from there: copied out of memory together with what stands behind it,
    /// it would have to get there first.
    #[inline(always)]
    pub(crate) fn write_words(
        &mut self,
        offset: u64,
        words: &[u64],
        behind: &[u8],
    ) -> io::Result<()> {
        const WORD: usize = size_of::<u64>();
        let front = WORD * words.len();
        match &self.open(offset, front + behind.len())?.mem {
            Mem::Heap(mem) => {
                for (n, word) in words.iter().enumerate() {
                    mem.write(offset as usize + WORD * n, &word.to_le_bytes())?;
                }
                mem.write(offset as usize + front, behind)
            }
            Mem::Map(_) if !offset.is_multiple_of(WORD as u64) => {
                Err(out_of_range("words beside the places of words"))
            }
            Mem::Map(map) => {
                for (n, word) in words.iter().enumerate() {
                    // SAFETY: as in `write`; a map begins with a page, so these are places of
                    // words. Volatile, as a loop that copies is taken for a call that does.
                    unsafe {
                        let place = map.as_mut_ptr().add(offset as usize + WORD * n);
                        place.cast::<u64>().write_volatile(word.to_le());
                    }
                }
                let at = offset as usize + front;
                // SAFETY: as in `write`.
                unsafe {
                    let place = map.as_mut_ptr().add(at);
                    std::ptr::copy_nonoverlapping(behind.as_ptr(), place, behind.len());
                }
                expect_stores(map, offset as usize + AHEAD, front + behind.len());
                Ok(())
            }
        }
    }

    /// Copies bytes out, wherever they lie.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let region = &*self.region;
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > region.len) {
            return Err(out_of_range("read beyond a region"));
        }
        match &region.mem {
            Mem::Heap(mem) => mem.read(offset as usize, buf),
            Mem::Map(map) => {
                // SAFETY: I1 and the check above; I4: only this writer stores, and it is borrowed.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        map.as_mut_ptr().add(offset as usize),
                        buf.as_mut_ptr(),
                        buf.len(),
                    );
                }
                Ok(())
            }
        }
    }

    /// Moves the mark: everything below `upto` is final from now on and may be borrowed.
    #[inline]
    pub(crate) fn freeze(&mut self, upto: u64) {
        let upto = upto.min(self.region.len);
        if let Mem::Heap(mem) = &self.region.mem {
            mem.freeze(upto);
        }
        if upto > self.region.frozen.load(Ordering::Relaxed) {
            self.region.frozen.store(upto, crate::sync::PUBLISH);
        }
    }
}

impl Drop for RegionWriter {
    fn drop(&mut self) {
        self.region.has_writer.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(len: u64) -> Arc<Region> {
        let mem = Arc::new(HeapMem::zeroed(len as usize).unwrap());
        Arc::new(Region::heap(mem, len, true).unwrap())
    }

    #[test]
    fn only_frozen_bytes_can_be_borrowed_and_they_cannot_be_written() {
        let region = heap(64);
        let mut writer = region.writer().unwrap();
        assert!(region.writer().is_none(), "there is one writer");
        writer.write(0, b"hello").unwrap();
        assert_eq!(region.slice(0, 5), None);
        writer.freeze(5);
        assert_eq!(region.slice(0, 5), Some(&b"hello"[..]));
        assert_eq!(region.slice(0, 6), None);
        assert!(writer.write(4, b"x").is_err());
        assert!(writer.write(60, b"12345").is_err());
        let mut out = [9; 2];
        writer.read(4, &mut out).unwrap();
        assert_eq!(&out, b"o\0");
        drop(writer);
        assert!(region.writer().is_some());
    }

    #[test]
    fn a_map_and_its_file_hold_the_same_bytes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let region = Arc::new(Region::map(&file, 8192, true).unwrap());
        let mut writer = region.writer().unwrap();
        writer.write(4090, b"across a page").unwrap();
        writer.freeze(8192);
        assert_eq!(region.slice(4090, 4103), Some(&b"across a page"[..]));
        use std::os::unix::fs::FileExt;
        let mut read = [0; 13];
        file.read_exact_at(&mut read, 4090).unwrap();
        assert_eq!(&read, b"across a page");
    }

    /// The page faults of this thread that needed no disk.
    #[cfg(target_os = "linux")]
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind_name = stat.rsplit(')').next().unwrap();
        behind_name.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    /// Fails if nothing is asked of the system, or of other bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn nobody_waits_for_bytes_that_were_touched() {
        const LEN: u64 = 16 << 20;
        let file = tempfile::tempfile().unwrap();
        file.set_len(LEN).unwrap();
        let region = Arc::new(Region::map(&file, LEN, true).unwrap());
        let mut writer = region.writer().unwrap();
        writer.write(0, b"first").unwrap();
        writer.freeze(5);
        if let Err(error) = region.touch(5, LEN / 2) {
            // A system that is too old for the call.
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            return;
        }
        let mut store = |from: u64, to: u64| {
            let before = faults();
            (from..to).step_by(4096).for_each(|at| writer.write(at, b"x").unwrap());
            faults() - before
        };
        let (touched, untouched) = (store(4096, LEN / 2), store(LEN / 2, LEN));
        assert!(touched < 4 && untouched > 4, "{touched} and {untouched} faults");
        assert_eq!(region.slice(0, 5), Some(&b"first"[..]));
        for (from, to) in [(5, 5), (0, LEN + 1)] {
            assert!(region.touch(from, to).is_err());
        }
    }
}

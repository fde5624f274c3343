//! Mapped files, for the limit rows and to ask which of a file's pages are in memory. The only
//! module here with unsafe code.

use memmap2::MmapMut;
use std::fs::File;
use std::io;
use std::path::Path;

/// A new file of `bytes` allocated bytes, mapped, with no page touched.
pub fn create(path: &Path, bytes: u64) -> io::Result<MmapMut> {
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    map(&file)
}

/// Memory that the system has found for this process, to be given back bit by bit.
pub struct Warm {
    memory: MmapMut,
    given: usize,
}

impl Warm {
    pub fn new(bytes: u64) -> io::Result<Warm> {
        const PAGE: usize = 4096;
        let mut memory = MmapMut::map_anon(usize::try_from(bytes).map_err(io::Error::other)?)?;
        // It is found and given back in large blocks where that can be had.
        drop(memory.advise(memmap2::Advice::HugePage));
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        Ok(Warm { memory, given: 0 })
    }

    /// Gives so many bytes back to the system, or what is left.
    #[expect(unsafe_code, reason = "pages of a map are given back in no other safe way")]
    pub fn give(&mut self, bytes: u64) -> io::Result<()> {
        let left = self.memory.len() - self.given;
        let bytes = usize::try_from(bytes).unwrap_or(left).min(left);
        // SAFETY: the map is anonymous and borrowed by this call alone: nobody sees its bytes
        // become zeros.
        unsafe {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            self.memory.unchecked_advise_range(advice, self.given, bytes)?;
        }
        self.given += bytes;
        Ok(())
    }
}

/// An existing file, mapped, with no page touched.
pub fn open(path: &Path) -> io::Result<MmapMut> {
    map(&File::options().read(true).write(true).open(path)?)
}

/// How many bytes of a file are in memory. Asking brings none in.
#[expect(unsafe_code, reason = "no safe wrapper of mincore exists")]
pub fn resident(path: &Path) -> io::Result<u64> {
    const PAGE: usize = 4096;
    let file = File::open(path)?;
    // An empty file cannot be mapped.
    if file.metadata()?.len() == 0 {
        return Ok(0);
    }
    let map = memmap2::MmapOptions::new().map_raw_read_only(&file)?;
    let mut pages = vec![0u8; map.len().div_ceil(PAGE)];
    let start = map.as_mut_ptr().cast();
    // SAFETY: the map is alive and as long as is said, begins at a page, and there is one byte of
    // answer for each of its pages.
    let failed = unsafe { libc::mincore(start, map.len(), pages.as_mut_ptr()) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(pages.iter().filter(|page| **page & 1 != 0).count() as u64 * PAGE as u64)
}

#[expect(unsafe_code, reason = "a shared map can be made in no other way")]
fn map(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file lies in a directory that this process's parent made for this measurement
    // alone; nobody else opens it, and it is never shortened.
    unsafe { MmapMut::map_mut(file) }
}

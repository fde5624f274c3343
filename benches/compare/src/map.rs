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

/// Has the system find so many bytes of memory, and gives them back.
pub fn warm(bytes: u64) -> io::Result<()> {
    const PAGE: usize = 4096;
    let mut memory = MmapMut::map_anon(usize::try_from(bytes).map_err(io::Error::other)?)?;
    memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    // What is never read need not be written, either.
    std::hint::black_box(&memory);
    Ok(())
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

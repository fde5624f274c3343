//! The cut itself, and what the kernel is made to write just before it.
#![allow(unsafe_code)]

use crate::sim::rng::Rng;
use rustix::fs::{Advice, fadvise};
use rustix::ioctl::{Setter, ioctl};
use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;

/// `EXT4_IOC_SHUTDOWN`: from then on every call fails, and what was not written never will be.
const SHUTDOWN: u32 = 0x8004_587d;

/// What is done with the file system's own journal at the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Everything is written first.
    Full = 0,
    /// What the journal holds is committed, so that pages written before count.
    LogFlushed = 1,
    /// Nothing more is written.
    NothingFlushed = 2,
}

/// Cuts the power of the file system that holds `root`, opened before.
pub(crate) fn cut(root: &File, how: How) -> std::io::Result<()> {
    // SAFETY: the call reads one u32 through the pointer that `Setter` passes, and keeps nothing.
    unsafe { ioctl(root, Setter::<SHUTDOWN, u32>::new(how as u32))? };
    Ok(())
}

/// Has chosen pages of the store's files written: what asks the kernel to forget pages makes it
/// write them first, and only these. So the cut finds new pages beside old ones, in any order.
pub(crate) fn write_some_pages(dir: &Path, rng: &mut Rng) {
    let Ok(names) = std::fs::read_dir(dir) else { return };
    for name in names.flatten() {
        let path = name.path();
        if path.is_dir() {
            write_some_pages(&path, rng);
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        let pages = file.metadata().map_or(0, |found| found.len().div_ceil(4096));
        for page in 0..pages.min(64) {
            if rng.percent(40) {
                // Nothing depends on whether it takes the advice.
                fadvise(&file, page * 4096, NonZeroU64::new(4096), Advice::DontNeed).unwrap_or(());
            }
        }
    }
}

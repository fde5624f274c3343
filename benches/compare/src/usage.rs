//! What the kernel says of the device, and of what this process holds and has written.

use crate::peer::Outcome;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A counter of sectors has this unit, whatever the device's own is.
const SECTOR: u64 = 512;

/// The block device that a directory lies on.
pub struct Device {
    stat: PathBuf,
}

impl Device {
    /// That of this directory.
    pub fn below(dir: &Path) -> Outcome<Device> {
        let device = fs::metadata(dir)?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let stat = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        let device = Device { stat };
        device.written().map_err(|_| "the directory lies on no block device of its own")?;
        Ok(device)
    }

    /// Bytes that were ever written to it, by anyone.
    pub fn written(&self) -> Outcome<u64> {
        Ok(sectors_written(&fs::read_to_string(&self.stat)?).ok_or("no count of sectors")? * SECTOR)
    }
}

/// The seventh number of a device's `stat`.
fn sectors_written(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(6)?.parse().ok()
}

/// Bytes of pages that this process made dirty, a whole folio at a time.
pub fn dirtied() -> Outcome<u64> {
    let io = fs::read_to_string("/proc/self/io")?;
    let count = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(count.ok_or("no write_bytes")?.trim().parse()?)
}

/// How many descriptors this process has.
pub fn descriptors() -> Outcome<usize> {
    // One of them is that of the directory.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// How many maps this process has.
pub fn maps() -> Outcome<usize> {
    Ok(fs::read_to_string("/proc/self/maps")?.lines().count())
}

/// Bytes that the file system gave to all that lies below a directory, directories included.
pub fn allocated(dir: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for found in fs::read_dir(dir)? {
        let found = found?;
        let about = found.metadata()?;
        bytes += about.blocks() * SECTOR;
        if about.is_dir() {
            bytes += allocated(&found.path())?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_written_are_the_seventh_number() {
        let stat = "  508 25 659 743 536 356 36839 165 0 434 267";
        assert_eq!(sectors_written(stat), Some(36_839));
        assert_eq!(sectors_written("1 2 3"), None);
    }

    #[test]
    fn an_open_file_is_a_descriptor() {
        let before = descriptors().expect("there is a list");
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null")).collect();
        // Other tests open and close files meanwhile, but not so many.
        assert!(descriptors().expect("there is a list") >= before + 25, "{}", files.len());
    }
}

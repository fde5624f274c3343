//! A heap disk whose clock and random numbers are the same in every run: an input that fails once
//! fails always.

use crate::storage::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use crate::storage::mem::MemDisk;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct FixedDisk {
    files: MemDisk,
    asked: AtomicU64,
}

impl FixedDisk {
    pub(super) fn new() -> Arc<FixedDisk> {
        Arc::new(FixedDisk { files: MemDisk::new(), asked: AtomicU64::new(0) })
    }

    /// How often anybody asked for the time or for a random number.
    fn tick(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a file there.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) {
        let file = self.open(path, OpenMode::CreateNew).unwrap();
        file.allocate(bytes.len() as u64).unwrap();
        file.write_at(bytes, 0).unwrap();
    }

    /// All bytes of a file.
    pub(super) fn bytes_of(&self, path: &Path) -> Vec<u8> {
        let file = self.open(path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }
}

impl Disk for FixedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        self.files.read_dir(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.files.open(path, mode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.files.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.files.sync_dir(path)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.files.sync_all(path)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn DiskLock>> {
        self.files.lock(path, holder)
    }

    fn holder(&self) -> String {
        "the fuzzer".to_owned()
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000 + self.tick()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.tick())
    }

    fn random(&self) -> u64 {
        // A step of splitmix64.
        let x = self.tick().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ (x >> 27)
    }
}

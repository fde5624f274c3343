//! The files of a store as bytes, and the disk that a case makes of them.

use crate::storage::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use crate::storage::mem::MemDisk;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub const DIR: &str = "/store";

/// Something that is not the file that its name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// A directory.
    Dir,
    /// A symbolic link to the file, which lies elsewhere.
    Link,
    /// A file that may not be opened.
    Unreadable,
}

/// A heap disk with a clock that stands, numbers from a seed, and odd things among its names.
#[derive(Debug)]
pub struct SweepDisk {
    disk: MemDisk,
    random: AtomicU64,
    odd: Option<(PathBuf, Odd)>,
}

/// A number that is not like the one before.
pub fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl SweepDisk {
    pub fn new(seed: u64) -> SweepDisk {
        SweepDisk { disk: MemDisk::new(), random: AtomicU64::new(seed), odd: None }
    }

    fn is_odd(&self, path: &Path) -> Option<Odd> {
        self.odd.as_ref().filter(|(odd, _)| odd == path).map(|(_, odd)| *odd)
    }

    /// What the files hold, without the zeros at the end of those that are longer than they need:
    /// the state journal allocates more than a sweep has time for.
    pub fn image(&self) -> Image {
        let mut image = Image::default();
        let mut left = vec![PathBuf::from(DIR)];
        while let Some(dir) = left.pop() {
            for (name, kind) in self.disk.read_dir(&dir).unwrap() {
                let path = dir.join(name);
                if kind == NameKind::Dir {
                    left.push(path);
                    continue;
                }
                let file = self.disk.open(&path, OpenMode::Read).unwrap();
                let mut bytes = vec![0; file.len().unwrap() as usize];
                file.read_at(&mut bytes, 0).unwrap();
                if dir.ends_with("state") {
                    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |n| n + 1);
                    bytes.truncate((end + 1024).next_multiple_of(1024).min(bytes.len()));
                }
                image.files.insert(path, bytes.into());
            }
            image.dirs.push(dir);
        }
        image
    }
}

/// A store's files.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Parents before children.
    pub dirs: Vec<PathBuf>,
    pub files: BTreeMap<PathBuf, Arc<[u8]>>,
    pub odd: Option<(PathBuf, Odd)>,
}

impl Image {
    /// A disk that holds this, and nothing of an earlier life.
    pub fn disk(&self, seed: u64) -> Arc<SweepDisk> {
        let mut disk = SweepDisk::new(seed);
        for dir in &self.dirs {
            disk.disk.create_dir(dir).unwrap();
        }
        for (path, bytes) in &self.files {
            let file = disk.disk.open(path, OpenMode::CreateNew).unwrap();
            file.allocate(bytes.len() as u64).unwrap();
            if !bytes.is_empty() {
                file.write_at(bytes, 0).unwrap();
            }
        }
        disk.odd.clone_from(&self.odd);
        Arc::new(disk)
    }
}

impl Disk for SweepDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        let mut names = self.disk.read_dir(path)?;
        for (name, kind) in &mut names {
            *kind = match self.is_odd(&path.join(&*name)) {
                Some(Odd::Dir) => NameKind::Dir,
                Some(Odd::Link) => NameKind::Other,
                _ => *kind,
            };
        }
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        match self.is_odd(path) {
            Some(_) if mode == OpenMode::CreateNew => Err(io::ErrorKind::AlreadyExists.into()),
            Some(Odd::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Odd::Unreadable) => Err(io::ErrorKind::PermissionDenied.into()),
            _ => self.disk.open(path, mode),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        match self.is_odd(path) {
            Some(Odd::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            _ => self.disk.remove_file(path),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_all(path)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path, holder)
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn random(&self) -> u64 {
        mix(self.random.fetch_add(1, Ordering::Relaxed))
    }
}

//! A disk that is only read: what is written stays on the heap.
//!
//! A store that is opened for reading recovers like any other; what recovery and the first
//! checkpoint write goes to copies, and the files below stay as they are, on a medium that cannot
//! be written or has no space too.
//!
//! Relies on its user to open segments for reading ([`OpenMode::Read`]): a file that is opened for
//! writing is copied to the heap whole.
//!
//! The lock: a writer holds `LOCK` for as long as it lives and, besides, a second file that readers
//! only probe. So no reader ever stands in a writer's way, and each can tell that one is there.

use super::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use super::mem::MemDisk;
use crate::sync::Mutex;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The files below and what lies over them.
#[derive(Debug)]
pub(crate) struct Overlay {
    base: Arc<dyn Disk>,
    top: MemDisk,
    /// What was removed, or renamed away, of the files below.
    gone: Mutex<BTreeSet<PathBuf>>,
    /// Who had written last when reading began.
    writer: OnceLock<u64>,
}

impl Overlay {
    pub(crate) fn new(base: Arc<dyn Disk>) -> Overlay {
        Overlay {
            base,
            top: MemDisk::new(),
            gone: Mutex::new(BTreeSet::new()),
            writer: OnceLock::new(),
        }
    }

    /// Makes a directory and all above it on the heap.
    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        if let Some(parent) = dir.parent() {
            self.make_dirs(parent)?;
        }
        match self.top.create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists && dir.parent().is_some() => Err(e),
            _ => Ok(()),
        }
    }

    fn below(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if self.gone.lock().contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.base.open(path, mode)
    }

    /// A copy of a file below.
    fn copy_up(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let below = self.below(path, OpenMode::Read)?;
        if let Some(parent) = path.parent() {
            self.make_dirs(parent)?;
        }
        let copy = self.top.open(path, OpenMode::CreateNew)?;
        let len = below.len()?;
        copy.allocate(len)?;
        let mut bytes = vec![0; 64 << 10];
        let mut at = 0;
        while at < len {
            let step = usize::try_from(len - at).map_or(bytes.len(), |left| left.min(bytes.len()));
            let part = bytes.get_mut(..step).unwrap_or_default();
            below.read_at(part, at)?;
            copy.write_at(part, at)?;
            at += step as u64;
        }
        Ok(copy)
    }
}

impl Disk for Overlay {
    fn below(&self) -> Option<Arc<dyn Disk>> {
        Some(Arc::clone(&self.base))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.read_dir(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.gone.lock().remove(path);
        self.make_dirs(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        let top = self.top.read_dir(path);
        let below = if self.gone.lock().contains(path) {
            Err(io::ErrorKind::NotFound.into())
        } else {
            self.base.read_dir(path)
        };
        let (mut names, below) = match (top, below) {
            (Ok(top), Ok(below)) => (top, below),
            (Ok(top), Err(e)) if e.kind() == io::ErrorKind::NotFound => (top, Vec::new()),
            (Err(_), below) => (Vec::new(), below?),
            (Ok(_), Err(e)) => return Err(e),
        };
        let gone = self.gone.lock();
        for (name, kind) in below {
            let known = names.iter().any(|(other, _)| *other == name);
            if !known && !gone.contains(&path.join(&name)) {
                names.push((name, kind));
            }
        }
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        match self.top.open(path, if mode == OpenMode::CreateNew { OpenMode::Read } else { mode }) {
            Ok(_) if mode == OpenMode::CreateNew => return Err(io::ErrorKind::AlreadyExists.into()),
            Ok(file) => return Ok(file),
            Err(_) => {}
        }
        match mode {
            OpenMode::Read => self.below(path, mode),
            OpenMode::Write => self.copy_up(path),
            OpenMode::CreateNew if self.below(path, OpenMode::Read).is_ok() => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            OpenMode::CreateNew => {
                if let Some(parent) = path.parent() {
                    self.make_dirs(parent)?;
                }
                self.top.open(path, mode)
            }
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.open(from, OpenMode::Write)?;
        self.top.rename(from, to)?;
        let mut gone = self.gone.lock();
        gone.insert(from.to_owned());
        gone.remove(to);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let above = self.top.remove_file(path);
        match self.below(path, OpenMode::Read) {
            Ok(_) => {
                self.gone.lock().insert(path.to_owned());
                Ok(())
            }
            Err(_) => above,
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.read_dir(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        drop(self.top.remove_dir(path));
        self.gone.lock().insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Locks nothing: tells only whether a writer is there.
    fn lock(&self, path: &Path, _holder: &str) -> io::Result<Box<dyn DiskLock>> {
        let writer = self.base.last_writer(path)?.ok_or(io::ErrorKind::WouldBlock)?;
        let _first_stays = self.writer.set(writer);
        Ok(Box::new(NoLock))
    }

    /// `None` also if there was one since reading began: what is read here is over then.
    fn last_writer(&self, path: &Path) -> io::Result<Option<u64>> {
        let writer = self.base.last_writer(path)?;
        Ok(writer.filter(|writer| self.writer.get() == Some(writer)))
    }

    fn now_ms(&self) -> u64 {
        self.base.now_ms()
    }

    fn monotonic(&self) -> Duration {
        self.base.monotonic()
    }

    fn random(&self) -> u64 {
        self.base.random()
    }
}

#[derive(Debug)]
struct NoLock;

impl DiskLock for NoLock {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &dyn Disk, path: &str) -> Vec<u8> {
        let file = disk.open(Path::new(path), OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn make(disk: &dyn Disk, path: &str, bytes: &[u8]) {
        let file = disk.open(Path::new(path), OpenMode::CreateNew).unwrap();
        file.allocate(bytes.len() as u64).unwrap();
        file.write_at(bytes, 0).unwrap();
    }

    fn names(disk: &dyn Disk, dir: &str) -> Vec<String> {
        let names = disk.read_dir(Path::new(dir)).unwrap();
        let mut names: Vec<_> =
            names.into_iter().map(|(name, _)| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Fails if anything reaches the files below, or if what was written above is not read back.
    #[test]
    fn what_is_written_stays_above_and_is_read_back() {
        let base = Arc::new(MemDisk::new());
        base.create_dir(Path::new("/d")).unwrap();
        make(&*base, "/d/a", b"below");
        make(&*base, "/d/b", b"gone");
        let over = Overlay::new(Arc::clone(&base) as Arc<dyn Disk>);
        assert_eq!(read(&over, "/d/a"), b"below");
        let file = over.open(Path::new("/d/a"), OpenMode::Write).unwrap();
        file.write_at(b"ABOVE", 0).unwrap();
        assert_eq!(read(&over, "/d/a"), b"ABOVE");
        over.remove_file(Path::new("/d/b")).unwrap();
        assert!(over.open(Path::new("/d/b"), OpenMode::Read).is_err());
        make(&over, "/d/b", b"anew");
        assert!(over.open(Path::new("/d/b"), OpenMode::CreateNew).is_err());
        over.rename(Path::new("/d/b"), Path::new("/d/c")).unwrap();
        assert!(over.create_dir(Path::new("/d")).is_err());
        over.create_dir(Path::new("/d/e")).unwrap();
        assert_eq!(names(&over, "/d"), ["a", "c", "e"]);
        assert_eq!(read(&over, "/d/c"), b"anew");
        assert_eq!(names(&*base, "/d"), ["a", "b"]);
        assert_eq!((read(&*base, "/d/a"), read(&*base, "/d/b")), (b"below".into(), b"gone".into()));
    }
}

//! The heap as a [`Disk`], for `Store::in_memory`: nothing outlives the value.

use super::clock::unix_ms;
use super::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use super::real::random_u64;
use super::region::{HeapMem, Region};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Files and directories on the heap. The root `/` exists.
#[derive(Debug)]
pub(crate) struct MemDisk {
    start: Instant,
    nodes: Mutex<BTreeMap<PathBuf, Node>>,
    locked: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Node {
    Dir,
    File(Arc<MemFile>),
}

impl MemDisk {
    pub(crate) fn new() -> MemDisk {
        let nodes = Mutex::new(BTreeMap::from([(PathBuf::from("/"), Node::Dir)]));
        MemDisk { start: Instant::now(), nodes, locked: Arc::new(AtomicBool::new(false)) }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn parent_exists(nodes: &BTreeMap<PathBuf, Node>, path: &Path) -> io::Result<()> {
    match path.parent().and_then(|parent| nodes.get(parent)) {
        Some(Node::Dir) => Ok(()),
        _ => Err(not_found()),
    }
}

impl Disk for MemDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut nodes = self.nodes.lock();
        parent_exists(&nodes, path)?;
        if nodes.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        nodes.insert(path.to_owned(), Node::Dir);
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        let nodes = self.nodes.lock();
        if !matches!(nodes.get(path), Some(Node::Dir)) {
            return Err(not_found());
        }
        let children = nodes.iter().filter(|(child, _)| child.parent() == Some(path));
        Ok(children
            .filter_map(|(child, node)| {
                let kind = match node {
                    Node::Dir => NameKind::Dir,
                    Node::File(_) => NameKind::File,
                };
                Some((child.file_name()?.to_owned(), kind))
            })
            .collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut nodes = self.nodes.lock();
        match (nodes.get(path), mode) {
            (Some(Node::File(_)), OpenMode::CreateNew) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(file)), _) => Ok(Arc::clone(file) as Arc<dyn DiskFile>),
            (None, OpenMode::CreateNew) => {
                parent_exists(&nodes, path)?;
                let file = Arc::new(MemFile::default());
                nodes.insert(path.to_owned(), Node::File(Arc::clone(&file)));
                Ok(file)
            }
            _ => Err(not_found()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut nodes = self.nodes.lock();
        parent_exists(&nodes, to)?;
        let node = nodes.remove(from).ok_or_else(not_found)?;
        nodes.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut nodes = self.nodes.lock();
        match nodes.get(path) {
            Some(Node::File(_)) => {
                nodes.remove(path);
                Ok(())
            }
            _ => Err(not_found()),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut nodes = self.nodes.lock();
        if nodes.keys().any(|child| child.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        nodes.remove(path).map(drop).ok_or_else(not_found)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _path: &Path, _holder: &str) -> io::Result<Box<dyn DiskLock>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemLock(Arc::clone(&self.locked))))
    }

    fn last_writer(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok((!self.locked.load(Ordering::Acquire)).then_some(0))
    }

    fn now_ms(&self) -> u64 {
        unix_ms()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        random_u64()
    }
}

#[derive(Debug)]
struct MemLock(Arc<AtomicBool>);

impl DiskLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// One file: its memory, made longer by copying.
#[derive(Debug, Default)]
struct MemFile {
    bytes: Mutex<Option<(Arc<HeapMem>, u64)>>,
}

impl std::fmt::Debug for HeapMem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeapMem")
    }
}

fn beyond_end() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl MemFile {
    fn memory(&self, end: u64) -> io::Result<Arc<HeapMem>> {
        match &*self.bytes.lock() {
            Some((mem, len)) if end <= *len => Ok(Arc::clone(mem)),
            _ => Err(beyond_end()),
        }
    }
}

fn end_of(offset: u64, len: usize) -> io::Result<u64> {
    offset.checked_add(len as u64).ok_or_else(beyond_end)
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().as_ref().map_or(0, |(_, len)| *len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock();
        let old = bytes.as_ref().map_or(0, |(_, len)| *len);
        if len <= old {
            return Ok(());
        }
        let size = usize::try_from(len).map_err(|_| beyond_end())?;
        let longer = HeapMem::zeroed(size)?;
        if let Some((mem, old)) = &*bytes {
            let mut copy = vec![0; usize::try_from(*old).map_err(|_| beyond_end())?];
            mem.read(0, &mut copy)?;
            longer.write(0, &copy)?;
        }
        *bytes = Some((Arc::new(longer), len));
        Ok(())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let mem = self.memory(end_of(offset, buf.len())?)?;
        mem.read(usize::try_from(offset).map_err(|_| beyond_end())?, buf)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mem = self.memory(end_of(offset, bytes.len())?)?;
        let offset = usize::try_from(offset).map_err(|_| beyond_end())?;
        mem.write(offset, bytes).or_else(|error| {
            // An earlier life has lent these bytes out. The same ones once more change nothing.
            let mut there = vec![0; bytes.len()];
            mem.read(offset, &mut there)?;
            if there == bytes { Ok(()) } else { Err(error) }
        })
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        Region::heap(self.memory(len)?, len, writable)
    }
}

//! A disk on the heap whose syncs fail, wait or are counted, and which can be full.

use crate::storage::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use crate::storage::mem::MemDisk;
use crate::storage::region::Region;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What is called at the steps of one name.
type Hook = Arc<dyn Fn() + Send + Sync>;

/// What the disk is told to do, and what it was asked for.
#[derive(Default)]
pub struct Plan {
    state: Mutex<State>,
    changed: Condvar,
    step: Mutex<Option<(&'static str, Hook)>>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plan")
    }
}

#[derive(Debug, Default)]
struct State {
    full: bool,
    /// Syncs of paths that contain this fail.
    failing: Option<String>,
    /// Syncs of paths that contain this wait.
    held: Option<String>,
    waiting: usize,
    log: Vec<String>,
}

impl Plan {
    pub fn full(&self, full: bool) {
        self.state.lock().unwrap().full = full;
    }

    pub fn fail(&self, part: Option<&str>) {
        self.state.lock().unwrap().failing = part.map(str::to_owned);
    }

    /// Lets syncs wait, or ends their wait.
    pub fn hold(&self, part: Option<&str>) {
        self.state.lock().unwrap().held = part.map(str::to_owned);
        self.changed.notify_all();
    }

    /// Returns once a sync waits.
    pub fn until_held(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.waiting == 0).unwrap());
    }

    /// Calls something between two steps of the writer, under whatever locks that has.
    pub fn at_step(&self, name: &'static str, hook: impl Fn() + Send + Sync + 'static) {
        *self.step.lock().unwrap() = Some((name, Arc::new(hook)));
    }

    /// What happened since the last call: `sync <path>`, `remove <path>`.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    fn note(&self, what: &str, path: &Path) {
        let line = format!("{what} {}", path.display());
        self.state.lock().unwrap().log.push(line);
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.note("sync", path);
        let text = path.display().to_string();
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        let held = |state: &mut State| {
            let part = state.held.as_ref();
            part.is_some_and(|part| text.contains(&**part))
        };
        if !held(&mut state) {
            state.waiting -= 1;
        } else {
            state = self.changed.wait_while(state, held).unwrap();
            state.waiting -= 1;
        }
        match &state.failing {
            Some(part) if text.contains(&**part) => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
pub struct FaultyDisk {
    pub plan: Arc<Plan>,
    disk: MemDisk,
}

impl FaultyDisk {
    pub fn new() -> FaultyDisk {
        FaultyDisk { plan: Arc::default(), disk: MemDisk::new() }
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        self.disk.read_dir(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FaultyFile {
            plan: Arc::clone(&self.plan),
            path: path.to_owned(),
            file: self.disk.open(path, mode)?,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.plan.note("remove", path);
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn sync_all(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path, holder)
    }

    fn now_ms(&self) -> u64 {
        self.disk.now_ms()
    }

    fn monotonic(&self) -> Duration {
        self.disk.monotonic()
    }

    fn random(&self) -> u64 {
        self.disk.random()
    }

    fn has_steps(&self) -> bool {
        true
    }

    fn step(&self, what: &'static str) {
        let planned = self.plan.step.lock().unwrap().clone();
        if let Some((_, hook)) = planned.filter(|(name, _)| *name == what) {
            hook();
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    plan: Arc<Plan>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.plan.state.lock().unwrap().full && len > self.file.len()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.allocate(len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn ready_blocks(&self, from: u64, to: u64) -> io::Result<()> {
        self.file.write_at(&vec![0; (to - from) as usize], from)
    }

    fn sync(&self) -> io::Result<()> {
        self.plan.sync(&self.path)
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        self.file.map(len, writable)
    }
}

//! A disk on the heap that writes down what is asked of it, fails where it is told to, stops a call
//! until it is let go, and knows which bytes were synced.
//!
//! Relies on [`MemDisk`] for the bytes. What it simplifies: names are durable at once, so a power
//! cut takes back bytes only (the power-loss simulator does the rest).

use crate::storage::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use crate::storage::mem::MemDisk;
use crate::storage::region::Region;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Longer than anything here takes; what is not there by then never comes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Which calls are meant: the name of the call, and a part of the path (`$` is its end).
#[derive(Clone, Copy, Debug)]
struct Rule {
    call: &'static str,
    path: &'static str,
    /// The operating system's number of the error.
    errno: i32,
}

#[derive(Default)]
struct State {
    /// Every call that changes something or makes it durable, as `call path`.
    calls: Vec<String>,
    rules: Vec<Rule>,
    gate: Option<(&'static str, &'static str)>,
    /// The place in `calls` of a call that stands still whatever it is.
    gate_at: Option<usize>,
    /// How many calls stand at the gate.
    held: usize,
    /// The bytes of each file as of its last sync.
    durable: BTreeMap<PathBuf, Vec<u8>>,
}

#[derive(Clone)]
pub(crate) struct FaultDisk {
    files: Arc<MemDisk>,
    state: Arc<(Mutex<State>, Condvar)>,
    now: Arc<AtomicU64>,
}

impl fmt::Debug for FaultDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultDisk")
    }
}

pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EIO: i32 = 5;
pub(crate) const ESTALE: i32 = 116;
const EOPNOTSUPP: i32 = 95;

impl FaultDisk {
    pub(crate) fn new() -> FaultDisk {
        let disk = FaultDisk {
            files: Arc::new(MemDisk::new()),
            state: Arc::default(),
            now: Arc::new(AtomicU64::new(1_000)),
        };
        // As on Linux; a test that wants the one call for everything takes the rule away.
        disk.fail("sync_all", "", EOPNOTSUPP);
        disk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(|held| held.into_inner())
    }

    pub(crate) fn set_clock(&self, ms: u64) {
        self.now.store(ms, Ordering::Relaxed);
    }

    /// From now on such calls fail, the first rule that fits first.
    pub(crate) fn fail(&self, call: &'static str, path: &'static str, errno: i32) {
        self.lock().rules.insert(0, Rule { call, path, errno });
    }

    /// No call fails any more.
    pub(crate) fn heal(&self) {
        self.lock().rules.clear();
    }

    /// From now on such calls stand still until [`FaultDisk::let_go`].
    pub(crate) fn hold(&self, call: &'static str, path: &'static str) {
        self.lock().gate = Some((call, path));
    }

    /// The call after the next `calls` ones stands still until [`FaultDisk::let_go`].
    pub(crate) fn hold_after(&self, calls: usize) {
        let mut state = self.lock();
        state.gate_at = Some(state.calls.len() + calls);
    }

    /// Waits until a call stands still.
    pub(crate) fn wait_held(&self) {
        let (_, changed) = &*self.state;
        let held = changed.wait_timeout_while(self.lock(), LONG, |state| state.held == 0);
        let (state, over) = held.unwrap();
        drop(state);
        assert!(!over.timed_out(), "no call came to the gate");
    }

    pub(crate) fn let_go(&self) {
        let mut state = self.lock();
        (state.gate, state.gate_at) = (None, None);
        drop(state);
        self.state.1.notify_all();
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().calls)
    }

    /// What every changing call goes through, before it has its effect.
    fn call(&self, call: &'static str, path: &Path) -> io::Result<()> {
        // The end can be asked for, so that a directory is told from what is in it.
        let text = format!("{}$", path.to_string_lossy());
        let mut state = self.lock();
        state.calls.push(format!("{call} {}", text.trim_end_matches('$')));
        let place = state.calls.len() - 1;
        let stands = |state: &mut State| {
            let fits = |(what, part): (&str, &str)| what == call && text.contains(part);
            state.gate.is_some_and(fits) || state.gate_at == Some(place)
        };
        if stands(&mut state) {
            state.held += 1;
            self.state.1.notify_all();
            state = self.state.1.wait_while(state, stands).unwrap();
            state.held -= 1;
        }
        let rule = state.rules.iter().find(|rule| rule.call == call && text.contains(rule.path));
        match rule {
            Some(rule) => Err(io::Error::from_raw_os_error(rule.errno)),
            None => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.files.open(path, OpenMode::Write)
    }

    /// All bytes of a file, as a process sees them.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let file = self.file(path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        if !bytes.is_empty() {
            file.read_at(&mut bytes, 0).unwrap();
        }
        bytes
    }

    /// Changes a file behind the store's back.
    pub(crate) fn scribble(&self, path: &Path, offset: u64, bytes: &[u8]) {
        self.file(path).unwrap().write_at(bytes, offset).unwrap();
    }

    /// The files of a directory, sorted.
    pub(crate) fn list(&self, dir: &Path) -> Vec<PathBuf> {
        let names = self.files.read_dir(dir).unwrap();
        let mut paths: Vec<_> = names.into_iter().map(|(name, _)| dir.join(name)).collect();
        paths.sort();
        paths
    }

    /// Another disk with what this one has after a power cut: all names, and of each file what was
    /// last synced.
    pub(crate) fn power_cut(&self) -> FaultDisk {
        let durable = self.lock().durable.clone();
        self.copy(|path, len| {
            let mut bytes = durable.get(path).cloned().unwrap_or_default();
            bytes.resize(len as usize, 0);
            bytes
        })
    }

    /// Another disk with all that this one has, synced or not.
    pub(crate) fn image(&self) -> FaultDisk {
        self.copy(|path, _| self.bytes(path))
    }

    fn copy(&self, content: impl Fn(&Path, u64) -> Vec<u8>) -> FaultDisk {
        let copy = FaultDisk::new();
        copy.set_clock(self.now_ms());
        let mut dirs = vec![PathBuf::from("/")];
        while let Some(dir) = dirs.pop() {
            for (name, kind) in self.files.read_dir(&dir).unwrap() {
                let path = dir.join(name);
                if kind == NameKind::Dir {
                    copy.files.create_dir(&path).unwrap();
                    dirs.push(path);
                    continue;
                }
                let file = copy.files.open(&path, OpenMode::CreateNew).unwrap();
                let bytes = content(&path, self.file(&path).unwrap().len().unwrap());
                if !bytes.is_empty() {
                    file.allocate(bytes.len() as u64).unwrap();
                    file.write_at(&bytes, 0).unwrap();
                }
                copy.lock().durable.insert(path, bytes);
            }
        }
        copy
    }

    fn wrap(&self, file: Arc<dyn DiskFile>, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(FaultFile { file, path: path.to_owned(), disk: self.clone() })
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        self.files.read_dir(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.files.open(path, mode)?, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", from)?;
        self.files.rename(from, to)?;
        let mut state = self.lock();
        if let Some(bytes) = state.durable.remove(from) {
            state.durable.insert(to.to_owned(), bytes);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path)?;
        self.files.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.files.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call("sync_dir", path)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.call("sync_all", path)
    }

    /// The tests end a life by forgetting its store, so nobody ever has the lock.
    fn lock(&self, _path: &Path, _holder: &str) -> io::Result<Box<dyn DiskLock>> {
        Ok(Box::new(NoLock))
    }

    fn now_ms(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.files.monotonic()
    }

    fn random(&self) -> u64 {
        self.files.random()
    }
}

#[derive(Debug)]
struct NoLock;

impl DiskLock for NoLock {}

#[derive(Debug)]
struct FaultFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    disk: FaultDisk,
}

impl FaultFile {
    /// A file that was made under a name for the time being has another one by now.
    fn path(&self) -> PathBuf {
        match self.path.to_string_lossy().strip_suffix(".tmp") {
            Some(path) if self.disk.file(&self.path).is_err() => path.into(),
            _ => self.path.clone(),
        }
    }
}

impl DiskFile for FaultFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.file.len()? {
            self.disk.call("allocate", &self.path())?;
        }
        self.file.allocate(len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.call("write", &self.path())?;
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let path = self.path();
        // What is there when the sync begins is what it covers, and nothing that comes later.
        let mut bytes = vec![0; self.file.len()? as usize];
        self.file.read_at(&mut bytes, 0)?;
        self.disk.call("sync", &path)?;
        self.disk.lock().durable.insert(path, bytes);
        Ok(())
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        assert!(len <= self.file.len()?, "bytes are mapped that have no space");
        self.file.map(len, writable)
    }
}

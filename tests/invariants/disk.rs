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
use std::thread::ThreadId;
use std::time::Duration;

/// Longer than anything here takes; what is not there by then never comes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The calls that are written down.
const CHANGING: [&str; 7] =
    ["rename", "remove", "sync", "sync_dir", "sync_all", "allocate", "write"];

/// Which calls are meant: the name of the call, and a part of the path (`$` is its end).
#[derive(Clone, Copy, Debug)]
struct Rule {
    call: &'static str,
    path: &'static str,
    /// The operating system's number of the error, or [`PANIC`].
    errno: i32,
}

/// A fault at one call, counted over all calls of one thread, reading ones included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Which call, from 0.
    pub(crate) at: usize,
    pub(crate) errno: i32,
    /// This many calls of the kind fail, from that one on.
    pub(crate) times: usize,
    /// The call has its effect before it says that it failed.
    pub(crate) after: bool,
}

/// A call of the seam: what it was, and on what.
pub(crate) type Called = (&'static str, PathBuf);

/// A step, and what happens then.
type Meanwhile = (&'static str, Arc<dyn Fn() + Send + Sync>);

#[derive(Default)]
struct State {
    /// Every call that changes something or makes it durable, as `call path`.
    calls: Vec<String>,
    rules: Vec<Rule>,
    /// The one thread whose calls are counted, and how many it made.
    counted: Option<(ThreadId, usize)>,
    /// Each of them, if that was asked for.
    every: Option<Vec<Called>>,
    fault: Option<Fault>,
    /// What happens at each of these steps.
    meanwhile: Option<Meanwhile>,
    /// The calls that met it.
    hits: Vec<Called>,
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

/// No error: the call panics.
pub(crate) const PANIC: i32 = -1;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EIO: i32 = 5;
pub(crate) const ESTALE: i32 = 116;
const EOPNOTSUPP: i32 = 95;
const EFBIG: i32 = 27;
const EDQUOT: i32 = 122;

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

    /// From now on this happens at each such step, in the thread that makes it.
    pub(crate) fn meanwhile(&self, step: &'static str, what: impl Fn() + Send + Sync + 'static) {
        self.lock().meanwhile = Some((step, Arc::new(what)));
    }

    /// From now on such calls fail, the first rule that fits first.
    pub(crate) fn fail(&self, call: &'static str, path: &'static str, errno: i32) {
        self.lock().rules.insert(0, Rule { call, path, errno });
    }

    /// No call fails any more.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        state.rules.clear();
        state.fault = None;
    }

    /// Counts the calls of this thread from now on, and lets one of them fail or keeps them all.
    pub(crate) fn count(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        state.counted = Some((std::thread::current().id(), 0));
        state.every = fault.is_none().then(Vec::new);
        state.fault = fault;
    }

    /// The counted calls.
    pub(crate) fn take_every(&self) -> Vec<Called> {
        self.lock().every.take().unwrap_or_default()
    }

    /// The calls that met the fault.
    pub(crate) fn hits(&self) -> Vec<Called> {
        self.lock().hits.clone()
    }

    /// How many calls were counted.
    pub(crate) fn counted(&self) -> usize {
        self.lock().counted.map_or(0, |(_, seen)| seen)
    }

    /// Every call goes through here: it has its effect, or fails before or behind it.
    fn through<T>(
        &self,
        call: &'static str,
        path: &Path,
        effect: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(fault) = self.meets(call, path) else {
            // What changes something asks for the rules itself, where it is written down.
            if !CHANGING.contains(&call) {
                self.rule(&self.lock(), call, &format!("{}$", path.display()))?;
            }
            return effect();
        };
        if fault.after {
            // What it says of itself is not heard.
            drop(effect());
        }
        Err(io::Error::from_raw_os_error(fault.errno))
    }

    fn meets(&self, call: &'static str, path: &Path) -> Option<Fault> {
        let mut state = self.lock();
        let (thread, seen) = state.counted.as_mut()?;
        if *thread != std::thread::current().id() {
            return None;
        }
        let number = *seen;
        *seen += 1;
        if let Some(every) = &mut state.every {
            every.push((call, path.to_owned()));
        }
        let fault = state.fault.filter(|fault| state.hits.len() < fault.times)?;
        let again = state.hits.first().is_some_and(|(kind, _)| *kind == call);
        if number != fault.at && !again {
            return None;
        }
        state.hits.push((call, path.to_owned()));
        Some(fault)
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
            // A test that failed lets nobody go: whoever it has left behind must not wait for ever.
            (state, _) = self.state.1.wait_timeout_while(state, 2 * LONG, stands).unwrap();
            state.held -= 1;
        }
        self.rule(&state, call, &text)
    }

    fn rule(&self, state: &State, call: &str, path: &str) -> io::Result<()> {
        let rule = state.rules.iter().find(|rule| rule.call == call && path.contains(rule.path));
        match rule {
            Some(Rule { errno: PANIC, .. }) => panic!("a planted panic in {call} {path}"),
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

    /// The same disk for the next process: its memory is another one, and its faults go on.
    pub(crate) fn next_life(&self) -> FaultDisk {
        let FaultDisk { files, now, .. } = self.image();
        FaultDisk { files, state: Arc::clone(&self.state), now }
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
        self.through("create_dir", path, || self.files.create_dir(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        self.through("read_dir", path, || self.files.read_dir(path))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let call = if mode == OpenMode::CreateNew { "create" } else { "open" };
        self.through(call, path, || Ok(self.wrap(self.files.open(path, mode)?, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.through("rename", from, || {
            self.call("rename", from)?;
            self.files.rename(from, to)?;
            let mut state = self.lock();
            if let Some(bytes) = state.durable.remove(from) {
                state.durable.insert(to.to_owned(), bytes);
            }
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.through("remove", path, || {
            self.call("remove", path)?;
            self.files.remove_file(path)
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.through("remove_dir", path, || self.files.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.through("sync_dir", path, || self.call("sync_dir", path))
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.through("sync_all", path, || self.call("sync_all", path))
    }

    /// The tests end a life by forgetting its store, so nobody ever has the lock.
    fn lock(&self, path: &Path, _holder: &str) -> io::Result<Box<dyn DiskLock>> {
        self.through("lock", path, || Ok(Box::new(NoLock) as Box<dyn DiskLock>))
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

    fn has_steps(&self) -> bool {
        true
    }

    fn step(&self, what: &'static str) {
        let state = self.lock();
        let meanwhile = state.meanwhile.clone().filter(|(step, _)| *step == what);
        drop(state);
        if let Some((_, meanwhile)) = meanwhile {
            meanwhile();
        }
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
        self.disk.through("len", &self.path(), || self.file.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let path = self.path();
        self.disk.through("allocate", &path, || {
            if len > self.file.len()? {
                self.disk.call("allocate", &path)?;
            }
            self.file.allocate(len)
        })
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.through("read", &self.path(), || self.file.read_at(buf, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let path = self.path();
        let Some(fault) = self.disk.meets("write", &path) else {
            self.disk.call("write", &path)?;
            return self.file.write_at(bytes, offset);
        };
        let written = match fault {
            Fault { after: false, .. } => 0,
            // A write that finds the disk full may have written a part, and never all.
            Fault { errno: ENOSPC | EFBIG | EDQUOT, .. } => bytes.len() / 2,
            Fault { .. } => bytes.len(),
        };
        self.file.write_at(bytes.get(..written).unwrap_or_default(), offset)?;
        Err(io::Error::from_raw_os_error(fault.errno))
    }

    fn ready_blocks(&self, from: u64, to: u64) -> io::Result<()> {
        self.write_at(&vec![0; (to - from) as usize], from)
    }

    fn sync(&self) -> io::Result<()> {
        let path = self.path();
        self.disk.through("sync", &path, || {
            // What is there when the sync begins is what it covers, and nothing that comes later.
            let mut bytes = vec![0; self.file.len()? as usize];
            if !bytes.is_empty() {
                self.file.read_at(&mut bytes, 0)?;
            }
            self.disk.call("sync", &path)?;
            self.disk.lock().durable.insert(path.clone(), bytes);
            Ok(())
        })
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        self.disk.through("map", &self.path(), || {
            assert!(len <= self.file.len()?, "bytes are mapped that have no space");
            self.file.map(len, writable)
        })
    }
}

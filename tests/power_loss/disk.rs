//! The simulated disk behind the crate's seam: a [`Disk`] whose power can be cut anywhere.
//!
//! Every call of the seam and every yield point is a numbered *step*. A step is taken before the
//! call has its effect, and for the calls that make something durable also after it. At a step the
//! kernel may write something back, and the state may be captured for crash images. The clock and
//! the random numbers come from the seed, so that a run can be repeated step by step.
//!
//! What it takes for granted, as the contract does: a sector is written whole or not at all, or is
//! torn within the bytes that changed; a rename is one change; a sync that answers `Ok` tells the
//! truth.

mod handles;

use super::file::{FileCapture, FileState};
use super::names::{NameOp, Names, NodeId, ROOT, Tree};
use super::rng::{Rng, mix, mix_bytes};
use crate::storage::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use handles::{SimFile, SimLock};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Calls that fail, counted from now; `None` is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The n-th sync of a file, a directory or everything fails, once.
    pub sync_in: Option<u64>,
    /// The n-th allocation or creation finds the disk full, once.
    pub space_in: Option<u64>,
}

/// What the world around the disk is like.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub seed: u64,
    /// How many steps in a hundred the kernel uses to write something back.
    pub write_back: u64,
    /// Whether there is a call that syncs everything.
    pub sync_all: bool,
    pub now_ms: u64,
}

/// The state at one step: all that a power cut chooses from.
pub struct Capture {
    pub step: u64,
    pub what: &'static str,
    pub durable: Tree,
    pub pending: Vec<NameOp>,
    pub files: BTreeMap<NodeId, FileCapture>,
    pub world: World,
}

/// What another thread does while a sync runs.
type Meanwhile = Box<dyn FnOnce() + Send>;

struct Inner {
    world: World,
    rng: Rng,
    /// Which machine or process life the disk is in; handles of an earlier one are dead.
    life: u64,
    names: Names,
    files: BTreeMap<NodeId, FileState>,
    nodes: NodeId,
    locked: BTreeSet<NodeId>,
    meanwhile: Option<Meanwhile>,
    elapsed: Duration,
    faults: Faults,
    faulted: u64,
    step: u64,
    wanted: BTreeSet<u64>,
    /// Captures are taken at every step that is called so.
    wanted_name: Option<&'static str>,
    captures: Vec<Capture>,
    /// What each step was, if asked for.
    log: Option<Vec<&'static str>>,
    /// A hash over every call, with what it was given, if somebody wants it.
    trace: Option<u64>,
}

/// One life's access to the simulated disk.
#[derive(Clone)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    life: u64,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimDisk(life {})", self.life)
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // A panic of the code under test while it held the disk is reported on its own.
    inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl SimDisk {
    pub fn empty(world: World) -> SimDisk {
        SimDisk::with(world, Tree::default(), BTreeMap::new())
    }

    /// The disk as the machine finds it after a power cut.
    pub fn with(world: World, tree: Tree, files: BTreeMap<NodeId, FileState>) -> SimDisk {
        let nodes = tree.all().map(|(_, _, node)| node).chain(files.keys().copied()).max();
        let inner = Inner {
            rng: Rng::of(&[world.seed, 1]),
            world,
            life: 0,
            names: Names::from_disk(tree),
            files,
            nodes: nodes.unwrap_or(ROOT),
            locked: BTreeSet::new(),
            meanwhile: None,
            elapsed: Duration::from_secs(1),
            faults: Faults::default(),
            faulted: 0,
            step: 0,
            wanted: BTreeSet::new(),
            wanted_name: None,
            captures: Vec::new(),
            log: None,
            trace: None,
        };
        SimDisk { inner: Arc::new(Mutex::new(inner)), life: 0 }
    }

    /// The process dies (or ends): its locks and maps go, the page cache stays.
    pub fn next_life(&self) -> SimDisk {
        let mut inner = lock(&self.inner);
        inner.life += 1;
        inner.locked.clear();
        for file in inner.files.values_mut() {
            file.next_life();
        }
        SimDisk { inner: Arc::clone(&self.inner), life: inner.life }
    }

    /// The process dies and nobody looks at the disk any more: its calls fail, and what it stores
    /// through maps does not matter.
    pub fn end_life(&self) {
        lock(&self.inner).life += 1;
    }

    /// Takes captures at these steps.
    pub fn want(&self, steps: impl IntoIterator<Item = u64>) {
        lock(&self.inner).wanted.extend(steps);
    }

    /// Takes captures at every step that is called so.
    pub fn want_each(&self, what: &'static str) {
        lock(&self.inner).wanted_name = Some(what);
    }

    pub fn take_captures(&self) -> Vec<Capture> {
        std::mem::take(&mut lock(&self.inner).captures)
    }

    /// The state as it is now, whatever was wanted.
    pub fn capture(&self) -> Capture {
        lock(&self.inner).capture("asked")
    }

    /// A step of its own, between two operations.
    pub fn boundary(&self) {
        lock(&self.inner).take_step("between operations");
    }

    pub fn keep_log(&self) {
        lock(&self.inner).log = Some(Vec::new());
    }

    pub fn take_log(&self) -> Vec<&'static str> {
        lock(&self.inner).log.take().unwrap_or_default()
    }

    pub fn steps(&self) -> u64 {
        lock(&self.inner).step
    }

    pub fn keep_trace(&self) {
        lock(&self.inner).trace = Some(0);
    }

    pub fn trace(&self) -> u64 {
        lock(&self.inner).trace.unwrap_or_default()
    }

    pub fn set_faults(&self, faults: Faults) {
        lock(&self.inner).faults = faults;
    }

    /// Everything that has a name now.
    pub fn paths(&self) -> Vec<PathBuf> {
        let inner = lock(&self.inner);
        let mut paths = Vec::new();
        collect(&inner.names.current, ROOT, Path::new("/"), &mut paths);
        paths
    }

    /// How far from an offset the last byte lies that is not zero, as processes see it; 0 if all
    /// are.
    pub fn nonzero_behind(&self, path: &Path, offset: u64) -> u64 {
        let inner = lock(&self.inner);
        let file = inner.names.find(path).ok().and_then(|node| inner.files.get(&node));
        file.map_or(0, |file| file.nonzero_end().saturating_sub(offset))
    }

    /// Reads a file from its beginning, as processes see it.
    pub fn peek(&self, path: &Path, bytes: &mut [u8]) -> io::Result<()> {
        let inner = lock(&self.inner);
        let file = inner.names.find(path).ok().and_then(|node| inner.files.get(&node));
        file.ok_or(io::ErrorKind::NotFound)?.read_at(bytes, 0)
    }

    /// Does this within the next sync of a file that has its final name.
    pub fn meanwhile(&self, what: impl FnOnce() + Send + 'static) {
        lock(&self.inner).meanwhile = Some(Box::new(what));
    }

    /// Forgets it, if no file was synced.
    pub fn no_meanwhile(&self) {
        lock(&self.inner).meanwhile = None;
    }

    /// Some bytes of a file that holds entries, from its first frame on.
    pub fn echo(&self, rng: &mut Rng) -> Vec<u8> {
        let inner = lock(&self.inner);
        let named = inner.names.current.all();
        let segments = named.filter(|(_, name, _)| name.as_encoded_bytes().ends_with(b".seg"));
        let segments: Vec<NodeId> = segments.map(|(.., node)| node).collect();
        let mut bytes = vec![0; 64 + 8 * rng.index(30)];
        if !segments.is_empty() {
            let file = &inner.files[&segments[rng.index(segments.len())]];
            drop(file.read_at(&mut bytes, 128));
        }
        bytes
    }

    /// How many calls have failed because they were told to.
    pub fn faulted(&self) -> u64 {
        lock(&self.inner).faulted
    }

    pub fn clock(&self) -> u64 {
        lock(&self.inner).world.now_ms
    }

    /// Sets the wall clock, also back; the other clock only goes on.
    pub fn move_clock(&self, ms: i64) {
        let mut inner = lock(&self.inner);
        inner.world.now_ms = inner.world.now_ms.saturating_add_signed(ms);
        inner.elapsed += Duration::from_millis(ms.unsigned_abs());
    }

    /// Enters a call: nothing of a dead life gets through.
    fn enter(
        &self,
        what: &'static str,
        detail: impl FnOnce() -> u64,
    ) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = lock(&self.inner);
        if inner.life != self.life {
            return Err(io::Error::other("this process has ended"));
        }
        if let Some(trace) = inner.trace {
            inner.trace = Some(mix(mix_bytes(trace, what.as_bytes()), detail()));
        }
        inner.take_step(what);
        Ok(inner)
    }
}

impl Inner {
    fn take_step(&mut self, what: &'static str) {
        self.step += 1;
        if let Some(log) = &mut self.log {
            log.push(what);
        }
        if self.world.write_back > 0 && self.rng.percent(self.world.write_back) {
            let mut files: Vec<_> = self.files.values_mut().collect();
            if !files.is_empty() {
                let chosen = self.rng.index(files.len());
                files[chosen].write_back(&mut self.rng);
            }
        }
        if self.wanted.remove(&self.step) || self.wanted_name == Some(what) {
            let capture = self.capture(what);
            self.captures.push(capture);
        }
    }

    fn capture(&self, what: &'static str) -> Capture {
        let Names { durable, pending, .. } = &self.names;
        let changed = pending.iter().flat_map(|op| &op.edits).filter_map(|(_, node)| *node);
        // What has no name and gets none is not there after a cut.
        let named = durable.all().map(|(_, _, node)| node).chain(changed);
        let named: BTreeSet<NodeId> = named.collect();
        let files = self.files.iter().filter(|(node, _)| named.contains(node));
        Capture {
            step: self.step,
            what,
            files: files.map(|(node, file)| (*node, file.capture())).collect(),
            durable: durable.clone(),
            pending: pending.clone(),
            world: self.world,
        }
    }

    /// Whether this call is the one that was told to fail.
    fn fails(&mut self, which: fn(&mut Faults) -> &mut Option<u64>) -> bool {
        let left = which(&mut self.faults);
        match left {
            Some(0) => {
                *left = None;
                self.faulted += 1;
                true
            }
            Some(more) => {
                *more -= 1;
                false
            }
            None => false,
        }
    }

    fn is_dir(&self, node: NodeId) -> bool {
        !self.files.contains_key(&node)
    }

    fn new_node(&mut self) -> NodeId {
        self.nodes += 1;
        self.nodes
    }

    fn file(&mut self, node: NodeId) -> &mut FileState {
        self.files.get_mut(&node).unwrap()
    }
}

fn collect(tree: &Tree, dir: NodeId, path: &Path, out: &mut Vec<PathBuf>) {
    for (name, node) in tree.list(dir) {
        let path = path.join(name);
        collect(tree, node, &path, out);
        out.push(path);
    }
}

fn io_error() -> io::Error {
    io::Error::other("input/output error (injected)")
}

fn full(inner: &mut Inner) -> io::Result<()> {
    if inner.fails(|faults| &mut faults.space_in) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

fn exists() -> io::Error {
    io::ErrorKind::AlreadyExists.into()
}

fn of_path(path: &Path) -> u64 {
    mix_bytes(0, path.as_os_str().as_encoded_bytes())
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.enter("create_dir", || of_path(path))?;
        let (dir, name) = inner.names.place(path)?;
        if inner.names.current.get(dir, name).is_some() {
            return Err(exists());
        }
        full(&mut inner)?;
        let node = inner.new_node();
        inner.names.change(&[(dir, name, Some(node))]);
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        let inner = self.enter("read_dir", || of_path(path))?;
        let dir = inner.names.find(path)?;
        if !inner.is_dir(dir) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let kind = |node| match inner.is_dir(node) {
            true => NameKind::Dir,
            false => NameKind::File,
        };
        let names = inner.names.current.list(dir);
        Ok(names.map(|(name, node)| (name.to_owned(), kind(node))).collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let what = match mode {
            OpenMode::Read => "open to read",
            OpenMode::Write => "open to write",
            OpenMode::CreateNew => "create",
        };
        let mut inner = self.enter(what, || of_path(path))?;
        let (dir, name) = inner.names.place(path)?;
        let node = match (inner.names.current.get(dir, name), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(exists()),
            (Some(node), _) if inner.is_dir(node) => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            (Some(node), _) => node,
            (None, OpenMode::CreateNew) => {
                full(&mut inner)?;
                let node = inner.new_node();
                inner.files.insert(node, FileState::new());
                inner.names.change(&[(dir, name, Some(node))]);
                node
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimFile { disk: self.clone(), node, writable: mode != OpenMode::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.enter("rename", || mix(of_path(from), of_path(to)))?;
        let node = inner.names.find(from)?;
        let ((dir, name), (new_dir, new_name)) = (inner.names.place(from)?, inner.names.place(to)?);
        let replaced = inner.names.current.get(new_dir, new_name);
        if replaced.is_some_and(|node| inner.is_dir(node)) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        inner.names.change(&[(dir, name, None), (new_dir, new_name, Some(node))]);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.enter("remove_file", || of_path(path))?;
        let node = inner.names.find(path)?;
        if inner.is_dir(node) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (dir, name) = inner.names.place(path)?;
        inner.names.change(&[(dir, name, None)]);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.enter("remove_dir", || of_path(path))?;
        let node = inner.names.find(path)?;
        if !inner.is_dir(node) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if inner.names.current.list(node).next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = inner.names.place(path)?;
        inner.names.change(&[(dir, name, None)]);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.enter("sync_dir", || of_path(path))?;
        let dir = inner.names.find(path)?;
        if inner.fails(|faults| &mut faults.sync_in) {
            inner.names.fail_sync(dir);
            return Err(io_error());
        }
        inner.names.sync(dir);
        inner.take_step("after sync_dir");
        Ok(())
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.enter("sync_all", || of_path(path))?;
        if !inner.world.sync_all {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if inner.fails(|faults| &mut faults.sync_in) {
            let Inner { files, rng, .. } = &mut *inner;
            files.values_mut().for_each(|file| file.fail_sync(rng));
            return Err(io_error());
        }
        inner.files.values_mut().for_each(FileState::sync);
        inner.names.sync_all();
        inner.take_step("after sync_all");
        Ok(())
    }

    fn lock(&self, path: &Path, _holder: &str) -> io::Result<Box<dyn DiskLock>> {
        let mut inner = self.enter("lock", || of_path(path))?;
        let (dir, name) = inner.names.place(path)?;
        let node = match inner.names.current.get(dir, name) {
            Some(node) => node,
            None => {
                let node = inner.new_node();
                // Who holds the lock is for people to read and differs from run to run; the file
                // stays empty here.
                inner.files.insert(node, FileState::new());
                inner.names.change(&[(dir, name, Some(node))]);
                node
            }
        };
        if !inner.locked.insert(node) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), node }))
    }

    fn now_ms(&self) -> u64 {
        self.clock()
    }

    fn monotonic(&self) -> Duration {
        let mut inner = lock(&self.inner);
        inner.elapsed += Duration::from_micros(1);
        inner.elapsed
    }

    fn random(&self) -> u64 {
        lock(&self.inner).rng.next()
    }

    fn has_steps(&self) -> bool {
        true
    }

    fn step(&self, what: &'static str) {
        drop(self.enter(what, || 0));
    }
}

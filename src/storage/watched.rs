//! What holds for every call of the seam, whoever makes it.
//!
//! * A call that a signal interrupted is made again.
//! * A call that finds no descriptor or map left is made once more, after somebody was asked to
//!   give up what is not needed. The memory allocator of the process needs maps, too, and ends it
//!   if there is none: so this crate takes no more than a share, and has some to give back.
//! * Some errors say that the file system is not there any more, whatever the call was: the first
//!   of them is kept, and somebody is told, so that nothing more is written.

use super::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode};
use super::region::{Counted, Region};
use crate::error::Error;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Whether and how the file system was lost.
pub(crate) struct Loss {
    cause: OnceLock<Error>,
    tell: Box<dyn Fn() + Send + Sync>,
    relief: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    maps: AtomicU64,
    /// How many maps there are, and from how many on there are too many.
    live_maps: Arc<AtomicUsize>,
    most_maps: AtomicUsize,
    /// How many files are open, and from how many on there are too many.
    files: AtomicUsize,
    most_files: AtomicUsize,
}

/// Usually so many open files are no trouble; where the process gets fewer, the bound follows.
const MOST_FILES: usize = 512;
const FEWEST_FILES: usize = 32;
/// A quarter of what Linux gives a process; where it gets fewer, the bound follows.
const MOST_MAPS: usize = 16_384;
const FEWEST_MAPS: usize = 64;
/// How many maps are held for others, and of how many bytes each.
const SPARE_MAPS: usize = 16;
const SPARE_BYTES: usize = 256 << 10;
/// From so many maps on it is looked, each so many maps, whether there are some left.
const FEW_MAPS: usize = 128;
const LOOK_EVERY: u64 = 4;
/// After so many maps somebody looks whether there are too many.
const MANY_MAPS: u64 = 64;
/// Where there are too many already, each time that so many more are made.
const A_FEW_MAPS: u64 = 16;

/// Maps that hold nothing. Two neighbours with the same rights would be one map.
struct Spare {
    writable: Vec<memmap2::MmapMut>,
    read_only: Vec<memmap2::Mmap>,
}

/// Of the whole process, as the limits are.
static SPARE: Mutex<Spare> = Mutex::new(Spare::NONE);

impl Spare {
    const NONE: Spare = Spare { writable: Vec::new(), read_only: Vec::new() };

    /// All of them, or none.
    fn take() -> Option<Spare> {
        let mut taken = Spare::NONE;
        for _ in 0..SPARE_MAPS / 2 {
            let map = || memmap2::MmapMut::map_anon(SPARE_BYTES).ok();
            taken.writable.push(map()?);
            taken.read_only.push(map()?.make_read_only().ok()?);
        }
        Some(taken)
    }

    /// Holds some for others, if there are as many again.
    fn hold() {
        let mut spare = SPARE.lock();
        if spare.writable.is_empty()
            && let Some(taken) = Spare::take()
            && Spare::take().is_some()
        {
            *spare = taken;
        }
    }
}

impl Loss {
    /// `tell` is called when the background has to look, by any thread and maybe under locks: it
    /// must not block.
    pub(crate) fn new(tell: impl Fn() + Send + Sync + 'static) -> Loss {
        let (cause, relief) = (OnceLock::new(), OnceLock::new());
        Loss {
            cause,
            tell: Box::new(tell),
            relief,
            maps: AtomicU64::new(0),
            live_maps: Arc::default(),
            most_maps: AtomicUsize::new(MOST_MAPS),
            files: AtomicUsize::new(0),
            most_files: AtomicUsize::new(MOST_FILES),
        }
    }

    fn is_short_of_maps(&self) -> bool {
        self.live_maps.load(Ordering::Relaxed) >= self.most_maps.load(Ordering::Relaxed)
    }

    /// Whether some files should be closed before more are opened.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.files.load(Ordering::Relaxed) >= self.most_files.load(Ordering::Relaxed)
    }

    /// Everything that could be closed was: what is open now is no reason to try that again.
    pub(crate) fn was_cleared(&self) {
        let files = self.files.load(Ordering::Relaxed);
        self.most_files.fetch_max(files + FEWEST_FILES, Ordering::Relaxed);
    }

    fn note_no_maps(&self) {
        *SPARE.lock() = Spare::NONE;
        let maps = self.live_maps.load(Ordering::Relaxed);
        self.most_maps.store((maps / 4 * 3).max(FEWEST_MAPS), Ordering::Relaxed);
    }

    /// A map was made. The allocator may be the one that finds the last one taken, and ends the
    /// process: so it is looked whether there are some left, and some are held for it.
    fn look_ahead(&self, made: u64) {
        if made.is_multiple_of(MANY_MAPS) {
            Spare::hold();
        }
        let many = self.live_maps.load(Ordering::Relaxed) >= FEW_MAPS && !self.is_short_of_maps();
        if many && made.is_multiple_of(LOOK_EVERY) && Spare::take().is_none() {
            self.note_no_maps();
            self.relieve();
        }
    }

    fn note_shortage(&self, error: &io::Error) {
        if error.raw_os_error() == Some(ENOMEM) {
            self.note_no_maps();
        }
        let files = self.files.load(Ordering::Relaxed);
        self.most_files.store((files / 4 * 3).max(FEWEST_FILES), Ordering::Relaxed);
    }

    /// `relief` gives up descriptors and maps, under whatever locks, and says whether it tried.
    pub(crate) fn relieve_by(&self, relief: impl Fn() -> bool + Send + Sync + 'static) {
        let _only_once = self.relief.set(Box::new(relief));
    }

    fn relieve(&self) -> bool {
        self.relief.get().is_some_and(|relief| relief())
    }

    #[inline]
    pub(crate) fn cause(&self) -> Option<&Error> {
        self.cause.get()
    }

    /// Makes a call until it is not interrupted.
    fn call<T>(
        &self,
        op: &'static str,
        path: &Path,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut relieved = false;
        loop {
            match call() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if !relieved && is_shortage(&e) => {
                    self.note_shortage(&e);
                    relieved = true;
                    if !self.relieve() {
                        return Err(e);
                    }
                }
                Err(e) if is_loss(&e) => {
                    // The caller gets the error itself.
                    let kept =
                        e.raw_os_error().map_or(e.kind().into(), io::Error::from_raw_os_error);
                    if self.cause.set(Error::io(op, path, kept)).is_ok() {
                        (self.tell)();
                    }
                    return Err(e);
                }
                done => return done,
            }
        }
    }
}

/// A stale handle, a device that is gone, a descriptor that is none.
fn is_loss(error: &io::Error) -> bool {
    const ENODEV: i32 = 19;
    const EBADF: i32 = 9;
    error.kind() == io::ErrorKind::StaleNetworkFileHandle
        || (cfg!(unix) && matches!(error.raw_os_error(), Some(ENODEV | EBADF)))
}

const ENOMEM: i32 = 12;

/// No descriptor, or no memory for a map, is left.
fn is_shortage(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE))
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loss({:?})", self.cause())
    }
}

/// A disk whose calls are watched.
#[derive(Debug)]
pub(crate) struct Watched {
    disk: Arc<dyn Disk>,
    loss: Arc<Loss>,
}

impl Watched {
    pub(crate) fn new(disk: Arc<dyn Disk>, loss: Arc<Loss>) -> Watched {
        Watched { disk, loss }
    }
}

impl Disk for Watched {
    fn below(&self) -> Option<Arc<dyn Disk>> {
        self.disk.below()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.loss.call("create directory", path, || self.disk.create_dir(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        self.loss.call("read directory", path, || self.disk.read_dir(path))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.loss.call("open", path, || self.disk.open(path, mode))?;
        let loss = Arc::clone(&self.loss);
        loss.files.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(WatchedFile { file, loss, path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.loss.call("rename", from, || self.disk.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.loss.call("remove", path, || self.disk.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.loss.call("remove directory", path, || self.disk.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.loss.call("sync directory", path, || self.disk.sync_dir(path))
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.loss.call("sync all of", path, || self.disk.sync_all(path))
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn DiskLock>> {
        self.loss.call("lock", path, || self.disk.lock(path, holder))
    }

    fn lock_besides(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.loss.call("lock", path, || self.disk.lock_besides(path))
    }

    fn last_writer(&self, path: &Path) -> io::Result<Option<u64>> {
        self.loss.call("lock", path, || self.disk.last_writer(path))
    }

    fn holder(&self) -> String {
        self.disk.holder()
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

    fn is_short_of_maps(&self) -> bool {
        self.loss.is_short_of_maps()
    }

    fn has_steps(&self) -> bool {
        self.disk.has_steps()
    }

    fn step(&self, what: &'static str) {
        self.disk.step(what);
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DiskFile>,
    loss: Arc<Loss>,
    path: PathBuf,
}

impl Drop for WatchedFile {
    fn drop(&mut self) {
        self.loss.files.fetch_sub(1, Ordering::Relaxed);
    }
}

impl DiskFile for WatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.loss.call("stat", &self.path, || self.file.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.loss.call("allocate", &self.path, || self.file.allocate(len))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.loss.call("read", &self.path, || self.file.read_at(buf, offset))
    }

    fn data_from(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.loss.call("seek", &self.path, || self.file.data_from(from))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.loss.call("write", &self.path, || self.file.write_at(bytes, offset))
    }

    fn ready_blocks(&self, from: u64, to: u64) -> io::Result<()> {
        self.loss.call("write", &self.path, || self.file.ready_blocks(from, to))
    }

    fn sync(&self) -> io::Result<()> {
        self.loss.call("sync", &self.path, || self.file.sync())
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        let made = self.loss.maps.fetch_add(1, Ordering::Relaxed);
        if self.loss.is_short_of_maps() && made.is_multiple_of(A_FEW_MAPS) {
            self.loss.relieve();
        }
        let map = self.loss.call("map", &self.path, || self.file.map(len, writable))?;
        self.loss.look_ahead(made);
        if made % MANY_MAPS == MANY_MAPS - 1 {
            (self.loss.tell)();
        }
        Ok(map.counted(Counted::new(&self.loss.live_maps)))
    }
}

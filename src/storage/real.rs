//! The operating system as a [`Disk`].

use super::clock::unix_ms;
use super::disk::{Disk, DiskFile, DiskLock, NameKind, OpenMode, ZEROS};
use super::region::Region;
use crate::format::name;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, Write};
#[cfg(target_os = "linux")]
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Files of the operating system. Files get mode 0600, directories 0700.
#[derive(Debug)]
pub(crate) struct RealDisk {
    start: Instant,
    /// Open since the store was locked: the kernel tells a failed write-back to every descriptor
    /// that was there before it, once, so a new one might hear nothing.
    #[cfg(target_os = "linux")]
    whole: std::sync::OnceLock<File>,
}

impl RealDisk {
    pub(crate) fn new() -> RealDisk {
        RealDisk {
            start: Instant::now(),
            #[cfg(target_os = "linux")]
            whole: std::sync::OnceLock::new(),
        }
    }
}

/// As much of a lock file is looked at.
const HOLDER: u64 = 256;

/// Eight bytes that differ between processes and calls: the standard library seeds its hashers
/// from the operating system.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().hash_one(Instant::now())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        #[allow(unused_mut)]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, NameKind)>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let kind = if kind.is_file() {
                NameKind::File
            } else if kind.is_dir() {
                NameKind::Dir
            } else {
                NameKind::Other
            };
            names.push((entry.file_name(), kind));
        }
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = options();
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Arc::new(RealFile::of(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Windows cannot open a directory as a file and makes names durable by itself.
        if cfg!(windows) { Ok(()) } else { File::open(path)?.sync_all() }
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let opened;
            let whole = match self.whole.get() {
                Some(whole) => whole,
                None => {
                    opened = File::open(path)?;
                    &opened
                }
            };
            Ok(rustix::fs::syncfs(whole)?)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = path;
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn DiskLock>> {
        let file = options().write(true).create(true).truncate(false).open(path)?;
        try_lock(&file)?;
        #[cfg(target_os = "linux")]
        if let Some(dir) = path.parent() {
            let _first_stays = self.whole.set(File::open(dir)?);
        }
        // For people only: where there is no room for it, the lock holds all the same.
        drop(tell_holder(&file, holder));
        Ok(Box::new(RealLock { file, _live: live(path), process: std::process::id() }))
    }

    fn last_writer(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut file = match options().open(path.with_file_name(name::LIVE)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Some(0)),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut number = [0; 8];
        // A writer that died before it wrote the number wrote nothing else either.
        Ok(Some(file.read_exact(&mut number).map_or(0, |()| u64::from_le_bytes(number))))
    }

    fn lock_besides(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        // Windows removes no file that is open, and a lock there keeps others from reading.
        if cfg!(windows) {
            return Ok(None);
        }
        let file = options().open(path)?;
        try_lock(&file)?;
        Ok(Some(Box::new(RealLock { file, _live: None, process: std::process::id() })))
    }

    fn holder(&self) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (pid, host) = (std::process::id(), host.trim());
        if host.is_empty() { format!("process {pid}") } else { format!("process {pid} on {host}") }
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

fn try_lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Writes who has the lock over what stands there. The file is not cut for that: on a full disk it
/// might not get back the space that it gives up.
fn tell_holder(mut file: &File, holder: &str) -> io::Result<()> {
    let before = usize::try_from(file.metadata()?.len().min(HOLDER)).unwrap_or_default();
    file.rewind()?;
    file.write_all(format!("{holder:before$}").as_bytes())
}

/// The kernel drops the lock with the last descriptor of the file, and a forked child has one too:
/// the lock is given back here, by the process that took it.
#[derive(Debug)]
struct RealLock {
    file: File,
    _live: Option<File>,
    process: u32,
}

/// The file that tells readers of a writer, locked, with a number of the writer's own in it. `None`
/// where the disk has no room for that; they cannot tell then.
fn live(lock: &Path) -> Option<File> {
    let path = lock.with_file_name(name::LIVE);
    let mut file = options().write(true).create(true).truncate(false).open(path).ok()?;
    // A reader holds it for an instant; one that was stopped in it holds nobody up for long.
    for _ in 0..1000 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            Ok(()) => {
                file.write_all(&random_u64().to_le_bytes()).ok()?;
                return Some(file);
            }
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}

impl DiskLock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            drop(self.file.unlock());
        }
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// Asked once.
    #[cfg(target_os = "linux")]
    notes_unwritten: std::sync::OnceLock<bool>,
}

impl RealFile {
    fn of(file: File) -> RealFile {
        RealFile {
            file,
            #[cfg(target_os = "linux")]
            notes_unwritten: std::sync::OnceLock::new(),
        }
    }

    /// For file systems that cannot allocate: zeros take real space everywhere.
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        for at in (from..to).step_by(ZEROS.len()) {
            let left = usize::try_from(to - at).unwrap_or(usize::MAX);
            self.write_at(ZEROS.get(..left).unwrap_or(&ZEROS), at)?;
        }
        Ok(())
    }

    fn grow(&self, from: u64, to: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;
            loop {
                let flags = rustix::fs::FallocateFlags::empty();
                match rustix::fs::fallocate(&self.file, flags, from, to - from) {
                    Ok(()) => return Ok(()),
                    Err(Errno::INTR) => {}
                    Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.write_zeros(from, to)
    }

    /// Whether the file system keeps notes of allocated blocks that were never written, and writes
    /// others where they are. One that puts everything that is written into a new place is known
    /// for gaining nothing by it.
    #[cfg(target_os = "linux")]
    fn notes_unwritten(&self) -> bool {
        /// As `statfs` tells them.
        const EXT4: u64 = 0xef53;
        const XFS: u64 = 0x5846_5342;
        *self.notes_unwritten.get_or_init(|| {
            let of = rustix::fs::fstatfs(&self.file);
            of.is_ok_and(|of| matches!(of.f_type as u64, EXT4 | XFS))
        })
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let old = self.len()?;
        if len <= old {
            return Ok(());
        }
        let grown = self.grow(old, len);
        if grown.is_err() {
            // A failed allocation may leave the file longer than it was (seen on ext4); nothing
            // above the old length is mapped, so it can be given back.
            drop(self.file.set_len(old));
        }
        grown
    }

    #[cfg(target_os = "linux")]
    fn data_from(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        use rustix::fs::{SeekFrom, seek};
        use rustix::io::Errno;
        // All other calls say where they read and write: nobody minds where the file stands.
        let range = seek(&self.file, SeekFrom::Data(from))
            .and_then(|start| Ok(start..seek(&self.file, SeekFrom::Hole(start))?));
        match range {
            Ok(range) => Ok(Some(range)),
            Err(Errno::NXIO) => Ok(None),
            // A file system that does not know.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(from..u64::MAX)),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            let got = std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset)?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = &mut buf[got..];
            offset += got as u64;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let put = std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset)?;
            bytes = &bytes[put..];
            offset += put as u64;
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn ready_blocks(&self, from: u64, to: u64) -> io::Result<()> {
        if self.notes_unwritten() { self.write_zeros(from, to) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        if len > self.len()? {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter"));
        }
        Region::map(&self.file, len, writable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if the lock file is cut before it is written, or keeps the end of a longer text.
    #[test]
    fn a_lock_file_gives_no_space_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let disk = RealDisk::new();
        let long = "process 4294967295 on a host with a long name";
        let mut lens = Vec::new();
        for holder in [long, "process 1", long] {
            let lock = disk.lock(&path, holder).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.trim(), holder);
            lens.push(text.len());
            drop(lock);
        }
        assert_eq!(lens, [long.len(); 3]);
    }
}

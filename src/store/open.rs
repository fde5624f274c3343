//! The directory of a store: made, recognised, locked.

use super::*;
use crate::format::header::{FILE_HEADER, FileHeader};

/// A directory that is this store's for as long as the locks are held.
pub(super) struct Taken {
    /// Names in it that are not the store's.
    pub(super) strays: Vec<PathBuf>,
    pub(super) locks: Vec<Box<dyn DiskLock>>,
    pub(super) uuid: [u8; 16],
    /// Where the UUID is from if not from the STORE file.
    pub(super) uuid_from: Option<PathBuf>,
}

/// Makes the directory if it is missing, locks it and learns whose it is.
pub(super) fn take_dir(disk: &dyn Disk, dir: &Path, options: &StoreOptions) -> Result<Taken> {
    if options.read_only {
        check_exists(disk, dir, options.on_damage == OnDamage::Skip)?;
    }
    make_dir(disk, dir)?;
    let strays = check_dir(disk, dir)?;
    let lock_path = dir.join(name::LOCK);
    let lock = disk.lock(&lock_path, &disk.holder()).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => {
            Error::new(ErrorKind::Locked { holder: holder_in(disk, &lock_path) }).at(dir)
        }
        _ => Error::io("lock", &lock_path, e),
    })?;
    let skip = options.on_damage == OnDamage::Skip;
    let (uuid, uuid_from) = match store_uuid(disk, dir).and_then(|uuid| own(disk, dir, uuid)) {
        Err(error) if options.salvage || (skip && error.is_corruption()) => {
            uuid_of_files(disk, dir).ok_or(error)?
        }
        found => (found?, None),
    };
    // Given back in this order: whoever gets the lock file finds nothing else locked.
    let locks = [lock_besides(disk, dir)?, Some(lock)].into_iter().flatten().collect();
    Ok(Taken { strays, locks, uuid, uuid_from })
}

/// What the lock file says of whoever has the store.
pub(super) fn holder_in(disk: &dyn Disk, path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let file = disk.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?.min(256)).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}

pub(super) fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    match disk.create_dir(dir) {
        Ok(()) => {
            // The name must last before anything in it is believed to.
            let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            disk.sync_dir(parent).map_err(|e| Error::io("sync directory", parent, e))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => {
            let error = Error::io("create directory", dir, e);
            Err(match error.kind() {
                ErrorKind::Io { .. } => error.with_kind(ErrorKind::Open),
                _ => error,
            })
        }
    }
}

/// Refuses to read where there is no store: a writer would make one.
pub(super) fn check_exists(disk: &dyn Disk, dir: &Path, skip_damage: bool) -> Result<()> {
    check_dir(disk, dir)?;
    let path = dir.join(name::STORE);
    match disk.open(&path, OpenMode::Read) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        _ => return Ok(()),
    }
    match uuid_of_files(disk, dir) {
        None => Err(Error::new(ErrorKind::NotALog).at(dir)),
        Some(_) if skip_damage => Ok(()),
        Some(_) => Err(Error::corrupt(STORE_IS_MISSING).at(&path)),
    }
}

const STORE_IS_MISSING: &str = "the STORE file is missing";

/// Which store the files below say that they belong to, and the first one that says so.
pub(super) fn uuid_of_files(disk: &dyn Disk, dir: &Path) -> Option<([u8; 16], Option<PathBuf>)> {
    uuids_of_files(disk, dir).next().map(|(uuid, path)| (uuid, Some(path)))
}

fn uuids_of_files<'a>(
    disk: &'a dyn Disk,
    dir: &Path,
) -> impl Iterator<Item = ([u8; 16], PathBuf)> + use<'a> {
    let (state, streams) = (dir.join(name::STATE), dir.join(name::STREAMS));
    let segments = move || list(disk, &streams).into_iter().flat_map(|dir| list(disk, &dir));
    let later = std::iter::once_with(segments).flatten();
    let is_kept = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(name::is_set_aside)
    };
    let state = list(disk, &state).into_iter().filter(move |path| !is_kept(path));
    state.chain(later).filter_map(|path| {
        let mut bytes = [0; FILE_HEADER];
        disk.open(&path, OpenMode::Read).ok()?.read_at(&mut bytes, 0).ok()?;
        Some((FileHeader::decode(&bytes).ok()?.uuid, path))
    })
}

/// What lies in a directory, if it can be read.
fn list(disk: &dyn Disk, dir: &Path) -> Vec<PathBuf> {
    let names = disk.read_dir(dir).unwrap_or_default();
    let mut paths: Vec<_> = names.into_iter().map(|(name, _)| dir.join(name)).collect();
    paths.sort();
    paths
}

/// The UUID in the STORE file, unless all other files are those of another store.
fn own(disk: &dyn Disk, dir: &Path, uuid: [u8; 16]) -> Result<[u8; 16]> {
    let mut found = uuids_of_files(disk, dir).map(|(other, _)| other == uuid);
    if found.next() == Some(false) && found.all(|same| !same) {
        let error = Error::corrupt("the STORE file is another store's");
        return Err(error.at(&dir.join(name::STORE)).offset(0));
    }
    Ok(uuid)
}

/// Refuses a directory that holds something and no store. Returns the names that are not ours.
pub(super) fn check_dir(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>> {
    let names = disk.read_dir(dir).map_err(|e| {
        let error = Error::io("read directory", dir, e);
        match error.kind() {
            ErrorKind::Io { .. } => error.with_kind(ErrorKind::Open),
            _ => error,
        }
    })?;
    let ours = [name::STORE, name::LOCK, name::LIVE, name::STATE, name::STREAMS];
    let is_ours =
        |text: &str| ours.contains(&text) || text.strip_suffix(name::TMP) == Some(name::STORE);
    let mut strays = Vec::new();
    let mut found = false;
    for (file, _) in names {
        let text = file.to_str().unwrap_or_default();
        found |= is_ours(text);
        if !is_ours(text) {
            strays.push(dir.join(&file));
        }
    }
    if !found && !strays.is_empty() {
        return Err(Error::new(ErrorKind::NotALog).at(dir));
    }
    strays.sort();
    Ok(strays)
}

/// Locks the STORE file, for the case that whoever has the store lost the lock file.
pub(super) fn lock_besides(disk: &dyn Disk, dir: &Path) -> Result<Option<Box<dyn DiskLock>>> {
    let path = dir.join(name::STORE);
    disk.lock_besides(&path).or_else(|e| match e.kind() {
        // The lock file names this process by now, and nothing names the other one.
        std::io::ErrorKind::WouldBlock => {
            Err(Error::new(ErrorKind::Locked { holder: String::new() }).at(dir))
        }
        // It is lost, and done without.
        std::io::ErrorKind::NotFound => Ok(None),
        _ => Err(Error::io("lock", &path, e)),
    })
}

/// Reads the STORE file, or writes it in a new store.
pub(super) fn store_uuid(disk: &dyn Disk, dir: &Path) -> Result<[u8; 16]> {
    let path = dir.join(name::STORE);
    match read_uuid(disk, &path) {
        Err(error) if error.is_missing_file() => new_store(disk, dir, &path),
        read => read,
    }
}

/// What the STORE file says.
pub(super) fn read_uuid(disk: &dyn Disk, path: &Path) -> Result<[u8; 16]> {
    let file = disk.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
    let len = file.len().map_err(|e| Error::io("stat", path, e))?;
    let mut bytes = vec![0; STORE_FILE.min(usize::try_from(len).unwrap_or(STORE_FILE))];
    file.read_at(&mut bytes, 0).map_err(|e| Error::io("read", path, e))?;
    let header = StoreHeader::decode(&bytes).map_err(|e| e.at(path).offset(0))?;
    Ok(header.uuid)
}

pub(super) fn new_store(disk: &dyn Disk, dir: &Path, path: &Path) -> Result<[u8; 16]> {
    // A journal without a STORE file is not a new store but one that lost it.
    let has_streams = disk.read_dir(&dir.join(name::STREAMS)).is_ok_and(|names| !names.is_empty());
    if has_streams || uuid_of_files(disk, dir).is_some() {
        return Err(Error::corrupt(STORE_IS_MISSING).at(path));
    }
    let mut uuid = [0; 16];
    for half in uuid.chunks_mut(8) {
        half.copy_from_slice(&disk.random().to_le_bytes());
    }
    let header = StoreHeader { uuid, created_ms: disk.now_ms() };
    let tmp = dir.join(format!("{}{}", name::STORE, name::TMP));
    let io = |op| move |e| Error::io(op, path, e);
    let file = match disk.open(&tmp, OpenMode::CreateNew) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.remove_file(&tmp).map_err(io("remove"))?;
            disk.open(&tmp, OpenMode::CreateNew)
        }
        other => other,
    }
    .map_err(io("create"))?;
    file.allocate(STORE_FILE as u64).map_err(io("allocate"))?;
    file.write_at(&header.encode(), 0).map_err(io("write"))?;
    file.sync().map_err(io("sync"))?;
    disk.rename(&tmp, path).map_err(io("rename"))?;
    disk.sync_dir(dir).map_err(io("sync directory"))?;
    Ok(uuid)
}

//! The three journal files: opened, allocated, mapped; and those that hold damage, set aside before
//! their place is taken.

use super::*;

/// The files that are used in turn.
pub(super) struct Files {
    slots: [Mutex<Slot>; 3],
    /// Damaged files that lie beside them under other names.
    set_aside: Mutex<Vec<PathBuf>>,
}

struct Slot {
    file: Arc<dyn DiskFile>,
    holds: Holds,
}

#[derive(Clone, Copy, PartialEq)]
enum Holds {
    /// Nothing that anybody will miss.
    Own,
    /// Damaged bytes, which must not be lost.
    Damage,
    /// The name is free: the file that had it is set aside, durably.
    Nothing,
}

impl Files {
    /// Opens the three files, making those that are missing. `damaged`: those that hold damage.
    pub(super) fn open(place: &Place, loaded: &Loaded) -> Result<Files> {
        let open = |slot| -> Result<Mutex<Slot>> {
            let file = open_or_make(place, slot)?;
            let damaged = loaded.damaged.contains(&slot);
            let holds = if damaged { Holds::Damage } else { Holds::Own };
            Ok(Mutex::new(Slot { file, holds }))
        };
        let set_aside = Mutex::new(loaded.report.set_aside.clone());
        Ok(Files { slots: [open(0)?, open(1)?, open(2)?], set_aside })
    }

    pub(super) fn get(&self, slot: usize) -> Option<Arc<dyn DiskFile>> {
        self.slots.get(slot).map(|slot| Arc::clone(&slot.lock().file))
    }

    pub(super) fn set_aside(&self) -> Vec<PathBuf> {
        self.set_aside.lock().clone()
    }

    /// Makes all files as long as the longest one. On a full disk they are used as far as all of
    /// them go: the longest may be what is left of an attempt to grow them. Returns that size.
    pub(super) fn make_equal(&self, place: &Place) -> Result<u64> {
        let (mut shortest, mut longest) = (u64::MAX, place.sizes.first);
        for slot in 0..self.slots.len() {
            let len = self.get(slot).map_or(Ok(0), |file| file.len());
            let len = len.map_err(|e| Error::io("stat", &place.path(slot), e))?;
            shortest = shortest.min(len);
            longest = longest.max(len);
        }
        if planted::unequal_journals() && shortest > 0 {
            return Ok(longest);
        }
        match self.allocate_all(place, longest, 2) {
            Err(e) if e.is_full() => {
                let size = shortest.max(place.sizes.first);
                self.allocate_all(place, size, 2).map(|()| size)
            }
            other => other.map(|()| longest),
        }
    }

    /// Makes all files this long, the running one last: if there is no space it is as it was.
    pub(super) fn allocate_all(&self, place: &Place, size: u64, running: usize) -> Result<()> {
        for slot in (1..=3).map(|n| (running + n) % 3) {
            if let Some(file) = self.get(slot) {
                allocate(place, slot, &*file, size)?;
            }
        }
        Ok(())
    }

    pub(super) fn map(&self, place: &Place, slot: usize, size: u64) -> Result<RegionWriter> {
        let path = place.path(slot);
        let taken = || Error::corrupt("the journal file has a writer already").at(&path);
        let file = self.get(slot).ok_or_else(taken)?;
        let region = file.map(size, true).map_err(|e| Error::io("map", &path, e))?;
        Arc::new(region).writer().ok_or_else(taken)
    }

    /// Before a file is written over: if it holds damage it gets another name and a new one takes
    /// its place. Each step is durable before the next: wherever this ends, the bytes are there
    /// under one of the names, and the next attempt goes on.
    pub(super) fn spare_damage(&self, place: &Place, slot: usize, size: u64) -> Result<()> {
        let Some(entry) = self.slots.get(slot) else {
            return Ok(());
        };
        let holds = entry.lock().holds;
        if holds == Holds::Own || planted::damage_written_over() {
            return Ok(());
        }
        if holds == Holds::Damage {
            self.rename(place, slot)?;
            entry.lock().holds = Holds::Nothing;
        }
        let file = open_or_make(place, slot)?;
        allocate(place, slot, &*file, size)?;
        sync_dir(place)?;
        *entry.lock() = Slot { file, holds: Holds::Own };
        Ok(())
    }

    fn rename(&self, place: &Place, slot: usize) -> Result<()> {
        let path = place.path(slot);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut set_aside = self.set_aside.lock();
        // A name that another one has would take its bytes from it.
        let names = (1..).map(|n| place.dir.join(name::set_aside(name, n)));
        let free = names.into_iter().find(|path| !set_aside.contains(path)).unwrap_or_default();
        match place.disk.rename(&path, &free) {
            Ok(()) => set_aside.push(free),
            // By an attempt that ended here.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("rename", &path, e)),
        }
        drop(set_aside);
        sync_dir(place)
    }
}

fn open_or_make(place: &Place, slot: usize) -> Result<Arc<dyn DiskFile>> {
    let path = place.path(slot);
    let file = match place.disk.open(&path, OpenMode::Write) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            place.disk.open(&path, OpenMode::CreateNew)
        }
        other => other,
    };
    file.map_err(|e| Error::io("open", &path, e))
}

fn allocate(place: &Place, slot: usize, file: &dyn DiskFile, size: u64) -> Result<()> {
    let path = place.path(slot);
    file.allocate(size).map_err(|e| full(Error::io("allocate", &path, e), size))
}

pub(super) fn sync_dir(place: &Place) -> Result<()> {
    let synced = place.disk.sync_dir(&place.dir);
    synced.map_err(|e| Error::io("sync directory", &place.dir, e))
}

//! What the kernel says of this process and of the files of a store.

use crate::map::Warm;
use crate::peer::Outcome;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Counters of this process. They only grow, but for `anon_kib`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Bytes that read calls returned, from memory or not.
    pub read_by_calls: u64,
    /// Bytes fetched from the device on behalf of this process, through maps too.
    pub read_from_device: u64,
    /// Page faults, with and without waiting for the device.
    pub faults: u64,
    /// Anonymous memory in use now.
    pub anon_kib: u64,
}

impl Counters {
    /// Reads them.
    pub fn now() -> Outcome<Counters> {
        Counters::of("self")
    }

    /// Those of this process and of another, which was started after all that is counted.
    pub fn with(other: Option<u32>) -> Outcome<Counters> {
        let mut counters = Counters::now()?;
        if let Some(other) = other {
            let other = Counters::of(&other.to_string())?;
            counters.read_by_calls += other.read_by_calls;
            counters.read_from_device += other.read_from_device;
            counters.faults += other.faults;
            counters.anon_kib += other.anon_kib;
        }
        Ok(counters)
    }

    fn of(process: &str) -> Outcome<Counters> {
        let about = |what: &str| fs::read_to_string(format!("/proc/{process}/{what}"));
        let (io, status, stat) = (about("io")?, about("status")?, about("stat")?);
        // The name in brackets may hold spaces; minflt and majflt are the 10th and 12th field.
        let after = stat.rsplit_once(')').ok_or("no name in stat")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let fault = |n: usize| fields.get(n).and_then(|text| text.parse::<u64>().ok());
        let (minor, major) = (fault(7).ok_or("no minflt")?, fault(9).ok_or("no majflt")?);
        Ok(Counters {
            read_by_calls: number(&io, "rchar:")?,
            read_from_device: number(&io, "read_bytes:")?,
            faults: minor + major,
            anon_kib: number(&status, "RssAnon:")?,
        })
    }
}

/// Gives as much warm memory back to the system as is taken from what is free, and a little more,
/// until `ended`: were it all given at once, the system might pass it on to its host first.
pub fn replace_taken(mut warm: Warm, ended: &AtomicBool) -> Outcome<()> {
    const AHEAD: u64 = 128 << 20;
    const STEP: u64 = 8 << 20;
    let free =
        || -> Outcome<u64> { Ok(number(&fs::read_to_string("/proc/meminfo")?, "MemFree:")? << 10) };
    let wanted = free()? + AHEAD;
    while !ended.load(Ordering::Relaxed) {
        let lacks = wanted.saturating_sub(free()?);
        if lacks >= STEP {
            warm.give(lacks / STEP * STEP)?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The processor time of this thread. Unlike the clock it does not count what other programs took,
/// nor what the thread waited for.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn number(text: &str, name: &str) -> Outcome<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    Ok(word.ok_or_else(|| format!("no {name}"))?.parse()?)
}

/// The files below a directory. What is none, such as a socket, is left out.
fn files(dir: &Path, each: &mut impl FnMut(&Path) -> Outcome<()>) -> Outcome<()> {
    for found in fs::read_dir(dir)? {
        let path = found?.path();
        if path.is_dir() {
            files(&path, each)?
        } else if path.is_file() {
            each(&path)?
        }
    }
    Ok(())
}

/// The files below a directory whose names end like this, by name.
pub fn files_with(dir: &Path, ending: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    files(dir, &mut |path| {
        if path.extension().is_some_and(|found| found == ending) {
            found.push(path.to_owned());
        }
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

/// Writes the files back and drops them from memory, so that the next to read them waits for the
/// device.
pub fn forget(dir: &Path) -> Outcome<()> {
    files(dir, &mut |path| {
        let file = File::open(path)?;
        file.sync_all()?;
        Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
    })
}

/// Waits until the files of a store are on the disk, for a peer that has no call for it.
pub fn sync_files(dir: &Path) -> Outcome<()> {
    files(dir, &mut |path| Ok(File::open(path)?.sync_all()?))
}

/// How many files a store has.
pub fn count(dir: &Path) -> Outcome<u64> {
    let mut count = 0;
    files(dir, &mut |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// How much room the files of a store take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Bytes of the files without the zeros that each ends with: room that was taken in advance
    /// is no cost of the entries that are there.
    pub used: u64,
    /// Bytes that the file system gave.
    pub allocated: u64,
    pub files: u64,
}

/// Measures it.
pub fn room(dir: &Path) -> Outcome<Room> {
    use std::os::unix::fs::MetadataExt;
    let mut room = Room::default();
    files(dir, &mut |path| {
        let found = path.metadata().map_err(Into::into);
        match found.and_then(|about| Ok((about.blocks() * 512, used(path)?))) {
            Ok((allocated, bytes)) => {
                room.allocated += allocated;
                room.used += bytes;
                room.files += 1;
                Ok(())
            }
            // A store that is in use renames files.
            Err(_) if !path.exists() => Ok(()),
            Err(error) => Err(error),
        }
    })?;
    Ok(room)
}

fn used(path: &Path) -> Outcome<u64> {
    use std::os::unix::fs::FileExt;
    const STEP: u64 = 1 << 16;
    let file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut bytes = vec![0; STEP as usize];
    while end > 0 {
        let from = (end - 1) / STEP * STEP;
        let part = &mut bytes[..(end - from) as usize];
        file.read_exact_at(part, from)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

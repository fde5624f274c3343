//! A toy store, right by its simplicity, into which known bugs can be planted.
//!
//! A simulator that finds nothing in broken code proves nothing. So before it is let loose on the
//! crate it has to pass this store, and to find each of [`BUGS`] in it.
//!
//! All changes go into one file of checked records. To open is to read the newest file up to its
//! first bad record, and to write what was read into a fresh file: under a temporary name, synced,
//! renamed, the directory synced. Nothing behind a torn tail can come back, and what the page cache
//! claimed is written again.

mod files;
mod groups;
mod state;

use super::call::{Answer, Call, Content, Entries, Fail, GroupKey, GroupView, Keep, Name};
use super::call::{Report, Subject, View, WantId};
use super::disk::SimDisk;
use super::plan::{Config, Level};
use crate::id::{EntryId, NewId, next_id};
use crate::storage::disk::{Disk, DiskFile, DiskLock, OpenMode};
use files::{LogFile, RECORD_HEADER, Read, path_of, read_file, record, write_file};
use state::{Change, Tag, ToyGroup, ToyState, ToyStream};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every bug that can be planted, by name.
pub const BUGS: &[&str] = &[
    "no sync of a record",
    "no sync of an acknowledgement",
    "no sync before the rename",
    "no sync of the directory",
    "old file removed before the rename",
    "no checksum",
    "goes on behind a torn tail",
    "believes the page cache",
    "batch as single records",
    "cursor before the pending records",
    "sync error dropped",
    "ID floor forgotten",
    "deletions forgotten",
];

const DIR: &str = "/store/streams";

pub struct Toy {
    disk: SimDisk,
    config: Config,
    state: ToyState,
    number: u64,
    log: LogFile,
    poisoned: bool,
    _lock: Box<dyn DiskLock>,
}

fn unsure(error: io::Error) -> Fail {
    match error.kind() {
        io::ErrorKind::StorageFull => Fail::Full,
        _ => Fail::Unsure(error.to_string()),
    }
}

fn refused<T>(text: &str) -> Result<T, Fail> {
    Err(Fail::Refused(text.to_owned()))
}

impl Toy {
    fn start(disk: &SimDisk, config: &Config) -> io::Result<Toy> {
        for (dir, parent) in [("/store", "/"), (DIR, "/store")] {
            match disk.create_dir(Path::new(dir)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => disk.sync_dir(Path::new(parent))?,
            }
        }
        let lock = disk.lock(Path::new("/store/LOCK"), "toy")?;
        let mut newest = None;
        for (name, _) in disk.read_dir(Path::new(DIR))? {
            let name = name.to_string_lossy().into_owned();
            match name.strip_suffix(".log").and_then(|name| name.parse::<u64>().ok()) {
                Some(number) => newest = newest.max(Some(number)),
                None => disk.remove_file(&Path::new(DIR).join(name))?,
            }
        }
        let mut state = ToyState::default();
        if let Some(number) = newest {
            let file = disk.open(&path_of(number), OpenMode::Write)?;
            let read = read_file(&*file, number, config.planted)?;
            let resumes = match config.planted {
                "goes on behind a torn tail" => true,
                "believes the page cache" => read.clean,
                _ => false,
            };
            if resumes {
                if config.planted != "believes the page cache" {
                    file.sync()?;
                }
                return Toy::resume(disk, config, lock, number, file, read);
            }
            state = read.state;
        }
        let number = newest.map_or(1, |number| number + 1);
        let log = write_file(disk, config, &state, number, 0)?;
        Ok(Toy {
            disk: disk.clone(),
            config: config.clone(),
            state,
            number,
            log,
            poisoned: false,
            _lock: lock,
        })
    }

    fn resume(
        disk: &SimDisk,
        config: &Config,
        lock: Box<dyn DiskLock>,
        number: u64,
        file: Arc<dyn DiskFile>,
        read: Read,
    ) -> io::Result<Toy> {
        let region = Arc::new(file.map(file.len()?, true)?);
        let writer = region.writer().ok_or_else(|| io::Error::other("two writers"))?;
        Ok(Toy {
            disk: disk.clone(),
            config: config.clone(),
            state: read.state,
            number,
            log: LogFile { size: file.len()?, file, writer, tail: read.tail },
            poisoned: false,
            _lock: lock,
        })
    }

    /// Writes one record and carries its changes out. `lasting`: under `Always`, only once it is
    /// on disk.
    fn commit(&mut self, changes: Vec<Change>, lasting: bool) -> Result<(), Fail> {
        if self.poisoned {
            return Err(Fail::Unsure("poisoned".to_owned()));
        }
        let size = record(0, 0, &changes).len() as u64;
        if self.log.tail + size > self.log.size {
            let next = self.number + 1;
            let made = write_file(&self.disk, &self.config, &self.state, next, size);
            self.log = made.map_err(|error| self.failed(error))?;
            self.number = next;
        }
        let bytes = record(self.number, self.log.tail, &changes);
        let (head, body) = bytes.split_at(RECORD_HEADER);
        self.disk.step("before the header of a record");
        self.put(0, head)?;
        self.disk.step("before the body of a record");
        self.put(RECORD_HEADER as u64, body)?;
        self.log.tail += size;
        if lasting && self.config.level == Level::Always {
            self.sync()?;
        }
        for change in &changes {
            self.state.apply(change);
        }
        Ok(())
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), Fail> {
        let written = self.log.writer.write(self.log.tail + at, bytes);
        written.map_err(|error| Fail::Wrong(error.to_string()))
    }

    fn failed(&mut self, error: io::Error) -> Fail {
        self.poisoned |= error.kind() != io::ErrorKind::StorageFull;
        unsure(error)
    }

    fn sync(&mut self) -> Result<(), Fail> {
        if self.poisoned {
            return Err(Fail::Unsure("poisoned".to_owned()));
        }
        if self.config.planted == "no sync of a record" {
            return Ok(());
        }
        match self.log.file.sync() {
            Err(_) if self.config.planted == "sync error dropped" => Ok(()),
            Err(error) => Err(self.failed(error)),
            Ok(()) => Ok(()),
        }
    }

    fn stream(&self, name: &Name) -> Result<&ToyStream, Fail> {
        let stream = self.state.streams.get(name);
        stream.ok_or_else(|| Fail::Refused("no such stream".to_owned()))
    }

    fn find(&self, key: &GroupKey) -> Result<(&ToyStream, &ToyGroup), Fail> {
        let stream = self.stream(&key.stream)?;
        match stream.groups.get(&key.group) {
            Some(group) => Ok((stream, group)),
            None => refused("no such group"),
        }
    }

    fn add(&mut self, name: &Name, entries: &[(WantId, Content)]) -> Result<Answer, Fail> {
        let now = self.disk.now_ms();
        let mut last = self.stream(name)?.last;
        let mut ids = Vec::new();
        let contents: Vec<Vec<u8>> = entries.iter().map(|(_, c)| c.0.to_vec()).collect();
        for (want, _) in entries {
            let want = match *want {
                WantId::Auto => NewId::Auto,
                WantId::AutoSeq(ms) => NewId::AutoSeq(ms),
                WantId::Exact(id) => NewId::Exact(id),
            };
            last = next_id(want, last, now).map_err(|error| Fail::Refused(error.to_string()))?;
            ids.push(last);
        }
        let added = |ids: &[EntryId], contents: &[Vec<u8>]| {
            let mut texts: Vec<&[u8]> = vec![name];
            texts.extend(contents.iter().map(Vec::as_slice));
            Change::new(Tag::Added, &texts, ids.to_vec(), vec![])
        };
        if self.config.planted == "batch as single records" {
            for (id, content) in ids.iter().zip(contents.chunks(1)) {
                self.commit(vec![added(&[*id], content)], true)?;
            }
        } else {
            self.commit(vec![added(&ids, &contents)], true)?;
        }
        Ok(Answer::Ids(ids))
    }

    fn remove(&mut self, name: &Name, ids: Vec<EntryId>) -> Result<Answer, Fail> {
        let stream = self.stream(name)?;
        let there = |id: &EntryId| stream.entries.contains_key(id);
        let ids: Vec<EntryId> = ids.into_iter().filter(there).collect();
        let count = ids.len() as u64;
        self.commit(vec![Change::new(Tag::Deleted, &[name], ids, vec![])], true)?;
        Ok(Answer::Count(count))
    }

    fn trim(&mut self, name: &Name, keep: Keep) -> Result<Answer, Fail> {
        let entries = &self.stream(name)?.entries;
        let ids = match keep {
            Keep::Newest(most) => {
                let gone = (entries.len() as u64).saturating_sub(most) as usize;
                entries.keys().take(gone).copied().collect()
            }
            Keep::From(first) => entries.range(..first).map(|(id, _)| *id).collect(),
        };
        self.remove(name, ids)
    }
}

impl Subject for Toy {
    const TAKES_ALL: bool = false;

    fn holds_entries(file: &OsStr) -> bool {
        file.as_encoded_bytes().ends_with(b".log")
    }

    fn open(disk: &SimDisk, config: &Config) -> Result<Toy, Fail> {
        Toy::start(disk, config).map_err(unsure)
    }

    fn call(&mut self, call: &Call) -> Result<Answer, Fail> {
        let simple = |tag, texts: &[&[u8]]| vec![Change::new(tag, texts, vec![], vec![])];
        match call {
            Call::CreateStream(name) => self.commit(simple(Tag::StreamMade, &[name]), true)?,
            Call::RemoveStream(name) => {
                self.commit(simple(Tag::StreamGone, &[name]), true)?;
                return Ok(Answer::Flag(true));
            }
            Call::Rename { from, to } => self.commit(simple(Tag::Renamed, &[from, to]), true)?,
            Call::Copy { from, to, replace } => {
                self.stream(from)?;
                if !replace && self.stream(to).is_ok() {
                    return Ok(Answer::Flag(false));
                }
                self.commit(simple(Tag::Copied, &[from, to]), true)?;
                self.sync()?;
                let copy = self.state.view().streams.remove(to);
                return Ok(Answer::Copied(Box::new(copy.unwrap_or_default())));
            }
            Call::Append { stream, content, id, durable, .. } => {
                let added = self.add(stream, &[(*id, content.clone())])?;
                if *durable {
                    self.sync()?;
                }
                let Answer::Ids(ids) = added else {
                    return refused("no ID");
                };
                return Ok(Answer::Id(ids[0]));
            }
            Call::Batch { stream, entries, durable } => {
                let added = self.add(stream, entries)?;
                if *durable {
                    self.sync()?;
                }
                return Ok(added);
            }
            Call::Delete { stream, ids } => return self.remove(stream, ids.clone()),
            Call::Trim { stream, keep, .. } => return self.trim(stream, *keep),
            Call::SyncStream(name) => {
                let last = self.stream(name)?.last;
                self.sync()?;
                return Ok(Answer::Id(last));
            }
            Call::Sync | Call::StepSync => self.sync()?,
            Call::StepPrepare | Call::StepCheckpoint => {}
            _ => return self.call_group(call),
        }
        Ok(Answer::Done)
    }

    fn group(&mut self, key: &GroupKey) -> Result<Option<GroupView>, Fail> {
        let stream = self.stream(&key.stream)?;
        Ok(stream.groups.get(&key.group).map(ToyGroup::view))
    }

    fn view(&mut self) -> Result<View, Fail> {
        Ok(self.state.view())
    }

    fn report(&mut self, _: &SimDisk) -> Result<Report, String> {
        Ok(Report::default())
    }

    fn close(mut self) -> Result<(), Fail> {
        self.sync()
    }
}

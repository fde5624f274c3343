//! Streams whose directories are there and of which the journal does not know.

use super::{Names, RecoveryReport, StoreOptions};
use crate::error::{Error, Result};
use crate::format::event::{Event, StoredOptions};
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::format::name;
use crate::format::record::NO_NUMBER;
use crate::journal::Loaded;
use crate::options::{OnDamage, Retention};
use crate::state::{Idempotency, StreamState};
use crate::storage::disk::{Disk, NameKind, OpenMode};
use crate::storage::scan::{Window, read_begin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Takes in streams whose directories are newer than the journal's end. Returns the directories of
/// removed ones, which may go once the journal that says so is durable again.
pub(super) fn adopt(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    uuid: [u8; 16],
    options: &StoreOptions,
    loaded: &mut Loaded,
    names: &mut Names,
    report: &mut RecoveryReport,
) -> Result<Vec<PathBuf>> {
    let streams = dir.join(name::STREAMS);
    let mut found =
        disk.read_dir(&streams).map_err(|e| Error::io("read directory", &streams, e))?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let known_end = loaded.next_stream;
    let refuse = options.on_damage == OnDamage::Refuse;
    // Where records are missing, a stream that no record knows may have been made by one of them.
    // Without any checkpoint all of them are: a stream is made only behind a durable one.
    let uncertain = loaded.has_holes() || loaded.turn == 0;
    let mut gone = Vec::new();
    for (file, kind) in found {
        let path = streams.join(&file);
        let number = file.to_str().and_then(name::parse_stream_dir);
        let possible = |number: &u64| kind == NameKind::Dir && *number < NO_NUMBER;
        let Some(number) = number.filter(possible) else {
            report.strays.push(path);
            continue;
        };
        if names.streams.contains_key(&number) {
            continue;
        }
        if loaded.turn == 0 && refuse {
            let what = "no journal file has a complete checkpoint";
            return Err(Error::corrupt(what).at(&dir.join(name::STATE)));
        }
        loaded.next_stream = loaded.next_stream.max(number + 1);
        let removed = loaded.removed.contains(&number);
        let lost = loaded.has_lost(number);
        let broken = !removed && (lost || uncertain);
        let begun =
            if number >= known_end || broken { stream_name(&**disk, &path, uuid)? } else { None };
        match begun {
            Some(stream) if broken || !names.by_name.contains_key(&stream) => {
                report.adopted.push(stream.clone());
                match (lost, broken) {
                    (true, _) => report.lost.push(stream.clone()),
                    (false, true) => report.uncertain.push(stream.clone()),
                    _ => {}
                }
                names.adopt(number, stream, options, broken, refuse);
            }
            // Damage deletes nothing.
            _ if broken => report.strays.push(path),
            // Removed, or never used.
            _ => gone.push(path),
        }
    }
    Ok(gone)
}

impl Names {
    /// Takes in a stream of which only the directory is known. If a later one has its name, it is
    /// kept without, and for good. What it is to keep is not known either, so it keeps everything.
    /// `broken`: records of it are missing, and not only those of an end that a power cut took
    /// back.
    fn adopt(
        &mut self,
        number: u64,
        name: Vec<u8>,
        options: &StoreOptions,
        broken: bool,
        refuse: bool,
    ) {
        let event = Event::StreamCreated {
            name: name.into(),
            options: StoredOptions {
                retention: Retention::new(),
                ..StoredOptions::from(&options.stream)
            },
        };
        let mut state = StreamState::default();
        state.apply(&event);
        if let Some(event) = Idempotency::first(options.idempotency.into()) {
            state.apply(&event);
        }
        state.restart_unsure = broken;
        let nameless = self.by_name.contains_key(&state.name);
        self.insert(number, state, (broken && refuse) || nameless);
    }
}

/// The name that the first segment of a directory says its stream has; none if that was not all of
/// it copied to there.
fn stream_name(disk: &dyn Disk, dir: &Path, uuid: [u8; 16]) -> Result<Option<Vec<u8>>> {
    let mut files = disk.read_dir(dir).map_err(|e| Error::io("read directory", dir, e))?;
    if files.iter().any(|(file, _)| file == name::COPYING) {
        return Ok(None);
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    for (file, _) in files {
        if file.to_str().and_then(name::parse_segment).is_none() {
            continue;
        }
        let path = dir.join(&file);
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        let mut window = Window::new(&*file, &path)?;
        let Ok(header) = FileHeader::decode(window.get(0, FILE_HEADER as u64)?) else {
            continue;
        };
        if header.uuid != uuid {
            continue;
        }
        if let Some((begin, ..)) = read_begin(&mut window, header.seed())? {
            return Ok(Some(begin.name));
        }
    }
    Ok(None)
}

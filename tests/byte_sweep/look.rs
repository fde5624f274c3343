//! Opens a store and reads all of it, by every way there is.

use super::fixture::{self, Fixture};
use super::image::{DIR, SweepDisk};
use crate::{EntryId, Error, OnDamage, PendingFilter, RecoveryReport, Store, Stream, Verification};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place that was named.
pub type Told = Vec<(PathBuf, Option<u64>)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLook {
    pub cursor: EntryId,
    pub entries_read: Option<u64>,
    pub pending: Vec<(EntryId, Vec<u8>, u64)>,
    pub consumers: Vec<Vec<u8>>,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Refuse,
    /// With damage being skipped; verified if that gives another store than the undamaged one, or
    /// if it has to be.
    Skip {
        verify: bool,
    },
    Salvage,
}

impl How {
    fn open(self, disk: &Arc<SweepDisk>) -> crate::Result<Store> {
        match self {
            How::Refuse => fixture::open(disk, OnDamage::Refuse),
            How::Skip { .. } => fixture::open(disk, OnDamage::Skip),
            How::Salvage => fixture::open_salvage(disk),
        }
    }
}

/// What a stream shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamLook {
    /// It could be opened.
    pub opened: bool,
    /// Reading it came to its end.
    pub whole: bool,
    /// Numbers of entries in the history.
    pub entries: Vec<usize>,
    pub length: u64,
    pub last_id: EntryId,
    pub max_deleted: EntryId,
    pub added: u64,
    pub groups: BTreeMap<Vec<u8>, GroupLook>,
}

#[derive(Debug, Default)]
pub struct Look {
    pub opened: bool,
    pub streams: BTreeMap<Vec<u8>, StreamLook>,
    /// Named by errors and by the report.
    pub told: Told,
    /// Groups were taken back, or streams have lost records, and the report says so.
    pub state_told: bool,
    pub errors: Vec<String>,
    /// What `Store::verify` said, where it was asked.
    pub verified: Option<crate::Result<Verification>>,
}

impl Look {
    fn error(&mut self, error: &Error) {
        if let Some((path, offset)) = error.location() {
            self.told.push((path.to_owned(), offset));
        }
        self.errors.push(error.to_string());
    }

    fn report(&mut self, report: &RecoveryReport) {
        let journal = &report.journal;
        if report.uuid_from.is_some() {
            self.told.push((Path::new(DIR).join("STORE"), Some(0)));
        }
        let cut = journal.cut.iter().map(|(path, at, _)| (path, *at));
        let others = journal.skipped.iter().chain(&journal.gaps).map(|(path, at)| (path, *at));
        self.told.extend(cut.chain(others).map(|(path, at)| (path.clone(), Some(at))));
        for stream in &report.streams {
            let cut = stream.cut.iter().map(|cut| (cut.path.clone(), Some(cut.offset)));
            let gaps = stream.gaps.iter().map(|gap| (gap.path.clone(), Some(gap.from)));
            let files = stream.set_aside.iter().chain(&stream.strays);
            let files = files.map(|path| (path.clone(), Some(0)));
            self.told.extend(cut.chain(gaps).chain(files));
        }
        self.told.extend(report.strays.iter().map(|path| (path.clone(), Some(0))));
        self.state_told |= !report.clamped.is_empty() || !report.lost.is_empty();
    }
}

/// Looks at a store. An `Err` is a finding: something that must not be, whatever the damage.
///
/// `closely`: backwards and entry by entry, too.
pub fn look(
    fixture: &Fixture,
    disk: &Arc<SweepDisk>,
    how: How,
    closely: bool,
) -> Result<Look, String> {
    let mut look = Look::default();
    let store = match how.open(disk) {
        Ok(store) => store,
        Err(error) => {
            look.error(&error);
            return Ok(look);
        }
    };
    look.opened = true;
    for name in store.names() {
        let mut seen = StreamLook::default();
        let result = see(fixture, &store, &name, closely, &mut seen, &mut look)?;
        if let Err(error) = result {
            seen.whole = false;
            look.error(&error);
        }
        look.streams.insert(name, seen);
    }
    look.report(&store.recovery());
    let wanted = match how {
        How::Refuse => false,
        How::Skip { verify } => verify || look.streams != fixture.looks,
        How::Salvage => look.streams != fixture.looks,
    };
    if wanted {
        look.verified = Some(store.verify());
    }
    if let Err(error) = store.close() {
        return Err(format!("closing gave: {error}"));
    }
    Ok(look)
}

fn see(
    fixture: &Fixture,
    store: &Store,
    name: &[u8],
    closely: bool,
    seen: &mut StreamLook,
    look: &mut Look,
) -> Result<crate::Result<()>, String> {
    let stream = match store.get(name) {
        Ok(Some(stream)) => stream,
        Ok(None) => return Err("a stream that is listed is not there".to_owned()),
        Err(error) => return Ok(Err(error)),
    };
    seen.opened = true;
    let Some(history) = fixture.streams.get(name) else {
        return Err(format!("there is a stream {}", name.escape_ascii()));
    };
    let number = |id: EntryId, list: &[u8]| {
        let found = history.entries.binary_search_by_key(&id, |(id, _)| *id);
        match found {
            Ok(n) if history.entries[n].1 == list => Ok(n),
            _ => Err(format!("entry {id} was never appended like this")),
        }
    };
    let snapshot = match stream.snapshot() {
        Ok(snapshot) => snapshot,
        Err(error) => return Ok(Err(error)),
    };
    let mut forward = snapshot.range(..);
    let failed = loop {
        match forward.next() {
            Some(Ok(entry)) => {
                let n = number(entry.id(), entry.list())?;
                if seen.entries.last().is_some_and(|last| *last >= n) {
                    return Err(format!("entry {} comes twice", entry.id()));
                }
                seen.entries.push(n);
            }
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    if let Some(error) = failed {
        match forward.next() {
            Some(Err(again)) if again.to_string() == error.to_string() => {}
            _ => return Err(format!("the iterator did not stay at {error}")),
        }
        look.error(&error);
    } else {
        seen.whole = true;
    }
    if closely {
        see_closely(&stream, seen, &number, look)?;
    }
    Ok(see_state(&stream, seen))
}

/// From the other end, and some entries by their IDs.
fn see_closely(
    stream: &Stream,
    seen: &StreamLook,
    number: &impl Fn(EntryId, &[u8]) -> Result<usize, String>,
    look: &mut Look,
) -> Result<(), String> {
    let Ok(snapshot) = stream.snapshot() else {
        return Err("the snapshot is gone".to_owned());
    };
    let mut back = Vec::new();
    let mut whole = true;
    for entry in snapshot.range(..).rev() {
        match entry {
            Ok(entry) => back.push(number(entry.id(), entry.list())?),
            Err(error) => {
                look.error(&error);
                whole = false;
                break;
            }
        }
    }
    back.reverse();
    if whole != seen.whole || (whole && back != seen.entries) {
        return Err(format!("backward {back:?}, forward {:?}", seen.entries));
    }
    let step = (seen.entries.len() / 7).max(1);
    for entry in snapshot.range(..).take(seen.entries.len()).step_by(step).flatten() {
        match snapshot.get(entry.id()) {
            Ok(Some(same)) if same == entry => {}
            other => return Err(format!("entry {} alone: {other:?}", entry.id())),
        }
    }
    Ok(())
}

fn see_state(stream: &Stream, seen: &mut StreamLook) -> crate::Result<()> {
    seen.length = stream.len()?;
    for info in stream.groups()? {
        let Some(group) = stream.get_group(&info.name)? else {
            continue;
        };
        let pending = group.pending_range(.., PendingFilter::new())?;
        let consumers = group.consumers()?.into_iter().map(|one| one.name).collect();
        let look = GroupLook {
            cursor: info.last_delivered_id,
            entries_read: info.entries_read,
            pending: pending.into_iter().map(|p| (p.id, p.consumer, p.deliveries)).collect(),
            consumers,
        };
        seen.groups.insert(info.name, look);
    }
    let info = stream.info()?;
    (seen.last_id, seen.max_deleted, seen.added) =
        (info.last_id, info.max_deleted_id, info.entries_added);
    Ok(())
}

/// Whether a place was named: this file (or one beside it) and, if asked for, where in it.
pub fn names(told: &Told, path: &Path, beside: bool, offset: bool) -> bool {
    told.iter().any(|(named, at)| {
        let near = named == path
            || (beside && (path.parent() == Some(named) || path.parent() == named.parent()));
        near && (!offset || at.is_some() || named != path)
    })
}

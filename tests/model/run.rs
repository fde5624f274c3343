//! A store and what it should hold, side by side; and how it is closed and opened again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamlog::{
    Consumer, Durability, Entry, EntryId, Error, Group, Snapshot, Start, Store, StoreOptions,
    Stream, StreamOptions,
};
use tempfile::TempDir;

use crate::copy::copy_dir;
use crate::groups::NaiveGroup;
use crate::naive::{NaiveEntry, NaiveStream};
use crate::op::{Begin, CONSUMERS, GROUPS, Layout, Level, Pick, STREAMS, Ways, Who};

/// `Err` says where the store and the model differ.
pub(crate) type Checked<T = ()> = Result<T, String>;

/// A snapshot, and what it has to show for ever.
pub(crate) struct Kept {
    pub(crate) snapshot: Snapshot,
    pub(crate) entries: Vec<NaiveEntry>,
    /// The stream that it is of, and the opening that it was taken in: what is deleted there
    /// disappears from it.
    pub(crate) number: u64,
    pub(crate) opening: u64,
    /// Its entries above this ID are no more the stream's: XSETID has gone back over them, and
    /// others may have their IDs.
    pub(crate) shared_to: EntryId,
}

pub(crate) struct Run {
    /// `None` in memory.
    dir: Option<TempDir>,
    options: StoreOptions,
    pub(crate) defaults: StreamOptions,
    /// Gone for a moment while it is opened again.
    store: Option<Store>,
    pub(crate) streams: BTreeMap<&'static str, NaiveStream>,
    pub(crate) snapshots: Vec<Kept>,
    pub(crate) opening: u64,
    serial: u64,
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

pub(crate) fn same<T: PartialEq + Debug>(what: &str, store: T, model: T) -> Checked {
    if store == model {
        return Ok(());
    }
    Err(format!("{what}\n  the store: {store:?}\n  the model: {model:?}"))
}

pub(crate) fn holds(what: &str, condition: bool, shown: impl Debug) -> Checked {
    if condition { Ok(()) } else { Err(format!("{what}: {shown:?}")) }
}

/// The name of an error's case.
pub(crate) fn class(error: &Error) -> String {
    let text = format!("{:?}", error.kind());
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// An answer whose error is compared by its class.
pub(crate) fn answer<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| class(&error))
}

/// An answer that must not be an error.
pub(crate) fn good<T>(what: &str, result: Result<T, Error>) -> Checked<T> {
    result.map_err(|error| format!("{what}: {error}"))
}

pub(crate) fn plain(entry: &Entry) -> NaiveEntry {
    let fields = entry.fields().map(|(name, value)| (name.to_vec(), value.to_vec()));
    (entry.id(), fields.collect())
}

fn cut_from(list: &[EntryId], n: u8, otherwise: EntryId) -> EntryId {
    match list.len() {
        0 => otherwise,
        len => list[usize::from(n) % len],
    }
}

impl Run {
    pub(crate) fn new(layout: &Layout, on_disk: bool) -> Checked<Run> {
        let level = match layout.level {
            Level::Manual => Durability::Manual,
            Level::Often => {
                Durability::Interval { every: Duration::from_millis(2), max_unsynced_bytes: 6000 }
            }
            Level::Always => Durability::Always,
        };
        let defaults = StreamOptions::new()
            .segment_bytes(4096 * u64::from(layout.segments))
            .block_entries(layout.block_entries)
            .block_bytes(layout.block_bytes);
        let mut run = Run {
            dir: on_disk.then(|| tempfile::tempdir().unwrap()),
            options: Store::options().durability(level).stream_defaults(defaults.clone()),
            defaults,
            store: None,
            streams: BTreeMap::new(),
            snapshots: Vec::new(),
            opening: 0,
            serial: 0,
        };
        run.store = Some(run.open()?);
        Ok(run)
    }

    fn open(&self) -> Checked<Store> {
        match &self.dir {
            Some(dir) => good("open", self.options.open(dir.path().join("store"))),
            None => good("open", self.options.open_in_memory()),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// A number that was not used before.
    pub(crate) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Nothing may be lost on any of these ways: nobody cuts the power.
    pub(crate) fn reopen(&mut self, way: Ways) -> Checked {
        if self.dir.is_none() {
            return Ok(());
        }
        let store = self.store.take().unwrap();
        match way {
            Ways::Close => good("close", store.close())?,
            Ways::Drop => drop(store),
            Ways::Abandon => {
                let copy = tempfile::tempdir().unwrap();
                copy_dir(self.dir.as_ref().unwrap().path(), copy.path());
                drop(store);
                self.dir = Some(copy);
            }
        }
        self.opening += 1;
        self.store = Some(self.open()?);
        Ok(())
    }

    /// The handle of a stream, which is there exactly if the model has it.
    pub(crate) fn stream(&self, stream: usize) -> Checked<Option<Stream>> {
        let name = STREAMS[stream];
        let found = good("get", self.store().get(name))?;
        let there = self.streams.contains_key(name);
        same(&format!("is there a stream {name}"), found.is_some(), there)?;
        Ok(found)
    }

    pub(crate) fn model(&mut self, stream: usize) -> &mut NaiveStream {
        self.streams.get_mut(STREAMS[stream]).unwrap()
    }

    /// The same for a consumer; it need not exist yet.
    pub(crate) fn consumer(&self, who: Who) -> Checked<Option<(Group, Consumer)>> {
        let Some(stream) = self.stream(who.stream)? else {
            return Ok(None);
        };
        let found = good("get_group", stream.get_group(GROUPS[who.group]))?;
        let there = self.streams[STREAMS[who.stream]].groups.contains_key(GROUPS[who.group]);
        same("is there the group", found.is_some(), there)?;
        let Some(group) = found else {
            return Ok(None);
        };
        let consumer = good("consumer", group.consumer(CONSUMERS[who.consumer]))?;
        Ok(Some((group, consumer)))
    }

    /// The model of a group that is there, apart from its stream's for what asks both.
    pub(crate) fn group<T>(
        &mut self,
        who: Who,
        call: impl FnOnce(&NaiveStream, &mut NaiveGroup) -> T,
    ) -> T {
        let stream = self.model(who.stream);
        let mut group = stream.groups.remove(GROUPS[who.group]).unwrap();
        let answer = call(stream, &mut group);
        stream.groups.insert(GROUPS[who.group], group);
        answer
    }

    pub(crate) fn pick(&self, stream: usize, pick: Pick) -> EntryId {
        let Some(model) = self.streams.get(STREAMS[stream]) else {
            return EntryId::new(1, 0);
        };
        let last = model.last;
        match pick {
            Pick::Live(n) => {
                let ids: Vec<EntryId> = model.entries.iter().map(|(id, _)| *id).collect();
                cut_from(&ids, n, last)
            }
            Pick::Gone(n) => cut_from(&model.gone, n, EntryId::new(1, 1)),
            Pick::Pending(n) => {
                let groups = model.groups.values();
                let ids: Vec<EntryId> =
                    groups.flat_map(|group| group.pending.iter().map(|r| r.id)).collect();
                cut_from(&ids, n, last)
            }
            Pick::Above(0, seq) => EntryId::new(last.ms, last.seq.saturating_add(u64::from(seq))),
            Pick::Above(ms, seq) => {
                EntryId::new(last.ms.saturating_add(u64::from(ms)), u64::from(seq))
            }
            Pick::Below(0) => EntryId::new(last.ms, last.seq.saturating_sub(1)),
            Pick::Below(ms) => EntryId::new(last.ms.saturating_sub(u64::from(ms)), 1),
            Pick::Zero => EntryId::MIN,
            Pick::Largest => EntryId::MAX,
        }
    }

    pub(crate) fn picks(&self, stream: usize, picks: &[Pick]) -> Vec<EntryId> {
        picks.iter().map(|pick| self.pick(stream, *pick)).collect()
    }

    /// Where to begin, as the API has it and as an ID.
    pub(crate) fn begin(&self, stream: usize, begin: Begin) -> (Start, EntryId) {
        let last = self.streams.get(STREAMS[stream]).map_or(EntryId::MIN, |model| model.last);
        match begin {
            Begin::First => (Start::First, EntryId::MIN),
            Begin::Last => (Start::Last, last),
            Begin::After(pick) => {
                let id = self.pick(stream, pick);
                (Start::After(id), id)
            }
        }
    }

    /// The background may enforce a retention at any moment, so it is done at once on both sides:
    /// every operation begins with streams on which there is nothing to enforce.
    pub(crate) fn enforce(&mut self) -> Checked {
        for (name, model) in self.streams.iter_mut().filter(|(_, model)| model.is_limited()) {
            let store = self.store.as_ref().unwrap();
            let stream = good("get", store.get(name))?.ok_or("the stream is gone")?;
            let removed = good("enforce_retention", stream.enforce_retention())?;
            let beyond = model.beyond();
            holds("enforce_retention removed too many", removed <= beyond, removed)?;
            model.drop_oldest(beyond);
            same("len, retained", good("len", stream.len())?, model.length())?;
        }
        Ok(())
    }
}

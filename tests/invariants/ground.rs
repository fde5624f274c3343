//! What the tests of the invariants share: lives of a store on a [`FaultDisk`], and short ways to
//! say what the tests say often.

use super::disk::{FaultDisk, LONG};
use crate::{
    AppendOptions, Durability, EntryId, Error, ErrorKind, GroupReadOptions, Result, Start, Store,
    StoreOptions, Stream, StreamOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

pub(crate) const DIR: &str = "/store";
/// Parts of paths: the state journal, and a store's first two streams.
pub(crate) const JOURNAL: &str = "/state/";
pub(crate) const FIRST: &str = "/streams/1/";
pub(crate) const SECOND: &str = "/streams/2/";

/// The file of a segment; streams are numbered from 1, segments from 0.
pub(crate) fn segment(stream: u64, number: u64) -> PathBuf {
    Path::new(DIR).join(format!("streams/{stream}/{number:010}.0000.seg"))
}

pub(crate) fn open_with(disk: &FaultDisk, options: &StoreOptions) -> Result<Store> {
    Store::open_on(Arc::new(disk.clone()), Path::new(DIR), options)
}

/// Opens with small segments and blocks, so that little is needed for a roll.
pub(crate) fn open(disk: &FaultDisk, level: Durability) -> Store {
    open_with(disk, &options(level)).unwrap()
}

pub(crate) fn options(level: Durability) -> StoreOptions {
    let small = StreamOptions::new().segment_bytes(8192);
    Store::options().durability(level).stream_defaults(small)
}

/// The process dies: nothing of the store runs any more, and its bytes are as they are.
pub(crate) fn die(store: Store) {
    std::mem::forget(store);
}

pub(crate) fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

pub(crate) fn try_put(stream: &Stream, ms: u64) -> Result<EntryId> {
    let fields = [("v", ms.to_string().repeat(100 / ms.to_string().len()))];
    stream.append_with(fields, AppendOptions::new().id(id(ms)))
}

pub(crate) fn put(stream: &Stream, ms: impl IntoIterator<Item = u64>) {
    for ms in ms {
        try_put(stream, ms).unwrap();
    }
}

/// The milliseconds of the IDs of what a reader sees.
pub(crate) fn seen(stream: &Stream) -> Vec<u64> {
    let ids = stream.range(..).map(|entry| entry.unwrap().id());
    ids.map(|id| id.ms).collect()
}

/// What a consumer gets that reads all that is new.
pub(crate) fn deliver(stream: &Stream, group: &str) -> Result<Vec<u64>> {
    let group = stream.group(group, Start::First)?;
    let delivery = group.consumer("c")?.read(GroupReadOptions::new())?;
    Ok(delivery.ids().map(|id| id.ms).collect())
}

pub(crate) fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error,
    }
}

pub(crate) fn is_poisoned<T>(result: Result<T>) -> bool {
    matches!(error(result).kind(), ErrorKind::Poisoned { .. })
}

pub(crate) fn is_full<T>(result: Result<T>) -> bool {
    matches!(error(result).kind(), ErrorKind::StorageFull { .. })
}

/// Runs a call that must not wait for anything; one that does is not waited for.
pub(crate) fn at_once<T: Send + 'static>(
    what: &str,
    call: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = channel();
    std::thread::spawn(move || drop(done.send(call())));
    match result.recv_timeout(LONG) {
        Ok(value) => value,
        Err(_) => panic!("{what}: the call waits"),
    }
}

/// The place of the first call that begins and goes on like this.
pub(crate) fn place(calls: &[String], call: &str, part: &str) -> Option<usize> {
    calls.iter().position(|text| {
        text.strip_prefix(call).is_some_and(|rest| rest.starts_with(' ') && rest.contains(part))
    })
}

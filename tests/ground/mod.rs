//! The ground that the scenario tests share: stores to run on, IDs as text, threads that wait.
//!
//! Relies on the public API only.
#![allow(dead_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use streamlog::{
    AppendOptions, Durability, Entry, EntryId, Error, ErrorKind, Result, Store, StoreOptions,
    Stream,
};

/// Runs a scenario on a store in memory and on one on disk.
pub(crate) fn on_both(scenario: impl Fn(&Store)) {
    on_both_with(&Store::options().durability(Durability::Manual), scenario);
}

/// The same with options.
pub(crate) fn on_both_with(options: &StoreOptions, scenario: impl Fn(&Store)) {
    let memory = options.open_in_memory().unwrap();
    scenario(&memory);
    memory.close().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let disk = options.open(dir.path()).unwrap();
    scenario(&disk);
    disk.close().unwrap();
}

pub(crate) fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

pub(crate) fn all(texts: &[&str]) -> Vec<EntryId> {
    texts.iter().map(|text| id(text)).collect()
}

/// Appends an entry with this ID and the ID's text as its only value.
pub(crate) fn put(stream: &Stream, text: &str) -> EntryId {
    try_put(stream, text).unwrap()
}

pub(crate) fn try_put(stream: &Stream, text: &str) -> Result<EntryId> {
    let options = AppendOptions::new().id(id(text));
    stream.append_with([("id", text)], options)
}

pub(crate) fn put_all(stream: &Stream, texts: &[&str]) {
    for text in texts {
        put(stream, text);
    }
}

/// Appends entries `from-0` to `to-0`.
pub(crate) fn put_range(stream: &Stream, from: u64, to: u64) {
    for ms in from..=to {
        put(stream, &format!("{ms}-0"));
    }
}

pub(crate) fn texts(ids: impl IntoIterator<Item = EntryId>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// The IDs of entries, each of which must hold what [`put`] stored.
pub(crate) fn checked(entries: impl IntoIterator<Item = Result<Entry>>) -> Vec<String> {
    let check = |entry: Result<Entry>| {
        let entry = entry.unwrap();
        let text = entry.id().to_string();
        assert_eq!(entry.get("id").unwrap(), text.as_bytes());
        text
    };
    entries.into_iter().map(check).collect()
}

pub(crate) fn live(stream: &Stream) -> Vec<String> {
    texts(stream.range(..).map(|entry| entry.unwrap().id()))
}

pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    error(result).kind().clone()
}

pub(crate) fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error,
    }
}

/// Starts a thread and returns once it sleeps: for calls that are expected to wait.
pub(crate) fn waiting<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("waits-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let thread = std::thread::Builder::new().name(name.clone());
    let thread = thread.spawn(body).unwrap();
    let mut asleep = 0;
    while asleep < 20 && !thread.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
        asleep = if sleeps(&name) { asleep + 1 } else { 0 };
    }
    thread
}

/// What the kernel says of a thread; where it cannot be asked, everyone sleeps.
fn sleeps(name: &str) -> bool {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return true;
    };
    for task in tasks.flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let Some((_, rest)) = stat.split_once('(') else {
            continue;
        };
        if let Some((comm, rest)) = rest.rsplit_once(')')
            && comm == name
        {
            return rest.trim_start().starts_with('S');
        }
    }
    false
}

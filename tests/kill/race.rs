//! Who has a store when several want it.

use crate::child::Orders;
use crate::report::Line;
use crate::{killer, temporary};
use std::path::Path;
use streamlog::{Error, ErrorKind, Result, Store};

/// How many processes race, and how often.
const RACERS: usize = 50;
const RACES: usize = 3;

type Outcome<T> = std::result::Result<T, String>;

fn text(error: Error) -> String {
    error.to_string()
}

fn orders(dir: &Path) -> Orders<'_> {
    Orders { dir, seed: 0, store: 0, life: 0, target: None }
}

/// The store is refused, and the error names who has it.
fn refused(opened: Result<Store>, holder: u32) -> Outcome<()> {
    let error = match opened {
        Ok(_) => return Err("the store was opened twice".into()),
        Err(error) => error,
    };
    let name = format!("process {holder}");
    match error.kind() {
        ErrorKind::Locked { holder } if holder.split(" on ").next() == Some(&name) => Ok(()),
        _ => Err(format!("{error} does not name {name}")),
    }
}

/// Of many processes that open one store at the same time one has it, and once that one is killed
/// the next one gets it: no lock outlives its holder.
pub(crate) fn race_to_open() -> Outcome<()> {
    let place = temporary(false);
    let dir = place.path().join("store");
    for race in 0..RACES {
        // The first race is for a store that nobody has made yet.
        let mut children: Vec<_> = (0..RACERS).map(|_| killer::start(&orders(&dir))).collect();
        let mut holders = Vec::new();
        let mut refusals = 0;
        for child in &mut children {
            match child.first_answer()? {
                Line::Done { .. } => holders.push(child.id()),
                Line::Broken(what) if what.contains("the store is open") => refusals += 1,
                other => return Err(format!("a child said {other:?}")),
            }
        }
        if (holders.len(), refusals) != (1, RACERS - 1) {
            let holders = holders.len();
            return Err(format!("race {race}: {holders} have the store, {refusals} do not"));
        }
        refused(Store::open(&dir), holders[0])?;
        // Killed, all of them.
        drop(children);
        let store = Store::open(&dir).map_err(|e| format!("after the kill: {e}"))?;
        store.close().map_err(text)?;
    }
    Ok(())
}

/// The lock tells two openings within one process apart no less than two processes.
pub(crate) fn open_twice() -> Outcome<()> {
    let place = temporary(false);
    let dir = place.path().join("store");
    let store = Store::open(&dir).map_err(text)?;
    refused(Store::open(&dir), std::process::id())?;
    // The refusal took nothing from who has it.
    refused(Store::open(&dir), std::process::id())?;
    let stream = store.stream("s").map_err(text)?;
    stream.append([("a", "b")]).map_err(text)?;
    // As long as there is a handle of any kind the store is open.
    drop(store);
    refused(Store::open(&dir), std::process::id())?;
    drop(stream);
    Store::open(&dir).map_err(text)?.close().map_err(text)
}

/// Fails if `lock_besides` (src/storage/real.rs) locks nothing: then both have the store.
pub(crate) fn remove_the_lock_file() -> Outcome<()> {
    let place = temporary(false);
    let dir = place.path().join("store");
    for made_before in [false, true] {
        let store = Store::open(&dir).map_err(text)?;
        let stream = store.stream("s").map_err(text)?;
        stream.append([("a", "b")]).map_err(text)?;
        std::fs::remove_file(dir.join("LOCK")).map_err(|e| e.to_string())?;
        let again = Store::open(&dir).map(drop);
        let locked = |error: &Error| matches!(error.kind(), ErrorKind::Locked { .. });
        if !again.as_ref().is_err_and(locked) {
            return Err(format!("made before: {made_before}, in this process: {again:?}"));
        }
        let mut child = killer::start(&orders(&dir));
        match child.first_answer()? {
            Line::Broken(what) if what.contains("the store is open") => {}
            other => return Err(format!("made before: {made_before}, a child said {other:?}")),
        }
        drop(child);
        // Who has it goes on, and so does the next one.
        stream.append([("a", "b")]).map_err(text)?;
        drop(stream);
        store.close().map_err(text)?;
    }
    let store = Store::open(&dir).map_err(text)?;
    let stream = store.stream("s").map_err(text)?;
    match stream.len().map_err(text)? {
        4 => Ok(()),
        other => Err(format!("{other} entries are there")),
    }
}

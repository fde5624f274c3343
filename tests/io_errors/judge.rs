//! What must be true once the fault is gone: what is stopped, what goes on, what is there.

use crate::disk::{FaultDisk, LONG};
use crate::error::ErrorKind;
use crate::known::{Known, View, view};
use crate::script::{DIR, Run, options};
use crate::table::{self, Scope};
use crate::younger;
use crate::{Durability, EntryId, Start, Store, Trim};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) type Judged<T = ()> = Result<T, String>;

fn text(error: crate::Error) -> String {
    error.to_string()
}

/// What a process finds that opens this disk.
pub(crate) fn opened(disk: &FaultDisk, level: Durability) -> Judged<View> {
    view(&open(disk, level)?).map_err(text)
}

fn open(disk: &FaultDisk, level: Durability) -> Judged<Store> {
    let store = Store::open_on(Arc::new(disk.clone()), Path::new(DIR), &options(level));
    store.map_err(|error| format!("the store does not open: {error}"))
}

/// The same, with a look at what it must not contradict, and with everything sent once more that
/// is to be there once.
fn looked_at(disk: &FaultDisk, level: Durability, known: &Known, cut: bool) -> Judged<View> {
    let store = open(disk, level)?;
    let view = view(&store).map_err(text)?;
    check(known, &view, cut)?;
    if let (Some(said), Some(seen)) =
        (known.streams.get(younger::STREAM), view.get(younger::STREAM))
    {
        younger::send_again(&store, said, seen, cut)?;
    }
    Ok(view)
}

/// All names below the store but the journal's.
pub(crate) fn files(disk: &FaultDisk) -> BTreeSet<PathBuf> {
    if !disk.list(Path::new("/")).iter().any(|path| path == Path::new(DIR)) {
        return BTreeSet::new();
    }
    let streams = Path::new(DIR).join("streams");
    let mut found: BTreeSet<PathBuf> = disk.list(Path::new(DIR)).into_iter().collect();
    if found.contains(&streams) {
        for dir in disk.list(&streams) {
            found.extend(disk.list(&dir));
            found.insert(dir);
        }
    }
    found
}

/// What the calls that met the fault stop in the store that is open now.
fn stopped(run: &Run, errno: i32) -> (bool, BTreeSet<u64>) {
    let mut streams = BTreeSet::new();
    let mut store = false;
    for (n, hit) in run.disk.hits().iter().enumerate().skip(run.hits_before) {
        match table::scope(hit, errno) {
            Scope::Nothing => {}
            // A stream that could not be opened is not stopped; it is opened with its next use.
            Scope::Stream(number) => {
                if run.opened.get(&number).is_some_and(|opened| *opened <= n) {
                    streams.insert(number);
                }
            }
            Scope::Store => store = true,
        }
    }
    (store, streams)
}

/// The fault is gone: looks at the store that is still open, if it is, and at what is on the disk.
pub(crate) fn judge(run: &mut Run, level: Durability, errno: i32) -> Judged {
    run.disk.heal();
    if run.store.is_none() {
        run.open().map_err(|error| format!("the store does not open: {error}"))?;
    }
    let (store, streams) = stopped(run, errno);
    // The first call that begins afterwards finds out that the file system is gone.
    drop(run.store.as_ref().map(Store::health));
    waiters(run, store, &streams)?;
    recorded(run, level)?;
    probe(run, store, &streams)?;
    health(run, store, &streams)?;
    let open = run.store.as_ref().ok_or("the store is gone")?;
    let live = view(open).map_err(|error| format!("reads do not go on: {error}"))?;
    check(&run.known, &live, false).map_err(|what| format!("live: {what}"))?;
    let durable: Vec<_> = run
        .streams
        .values()
        .map(|stream| (stream.name(), stream.durable_id().unwrap_or_default()))
        .collect();
    let image = run.disk.image();
    let cut = run.disk.power_cut();
    let reopened = looked_at(&image, level, &run.known, false);
    let after = reopened.map_err(|what| format!("reopened: {what}"))?;
    same(&run.known, &live, &after)?;
    let after = looked_at(&cut, level, &run.known, true);
    let after = after.map_err(|what| format!("after a power cut: {what}"))?;
    for (name, id) in durable {
        mark_tells_the_truth(&live, &after, &String::from_utf8_lossy(&name), id)?;
    }
    close(run, store || !streams.is_empty())
}

fn check(known: &Known, view: &View, power_lost: bool) -> Judged {
    for (name, said) in known.streams.iter().filter(|(_, said)| !said.loose) {
        let promised = !said.durable.is_empty() || (!power_lost && !said.entries.is_empty());
        match view.get(*name) {
            Some(seen) => {
                let checked = said.check(seen, power_lost).and_then(|()| match *name {
                    younger::STREAM => said.check_younger(seen, power_lost),
                    _ => Ok(()),
                });
                checked.map_err(|what| format!("{name}: {what}"))?;
            }
            None if promised => return Err(format!("the stream {name} is gone")),
            None => {}
        }
    }
    Ok(())
}

/// Of what readers saw, all that is called durable is there after a loss of power.
fn mark_tells_the_truth(live: &View, cut: &View, name: &str, id: EntryId) -> Judged {
    let Some(seen) = live.get(name) else { return Ok(()) };
    for (entry, _) in seen.entries.iter().filter(|(entry, _)| *entry <= id) {
        let there = cut.get(name).is_some_and(|cut| cut.entries.iter().any(|(e, _)| e == entry));
        if !there {
            return Err(format!("{name}: {entry} was called durable and is lost with the power"));
        }
    }
    Ok(())
}

/// What the process saw is what the next one finds, but for calls that did not say what they did.
fn same(known: &Known, live: &View, after: &View) -> Judged {
    let loose = |name: &str| known.streams.get(name).is_some_and(|said| said.loose);
    let names: BTreeSet<&String> = live.keys().chain(after.keys()).collect();
    for name in names.into_iter().filter(|name| !loose(name)) {
        let (Some(was), Some(is)) = (live.get(name), after.get(name)) else {
            return Err(format!("the stream {name} is there only before, or after, reopening"));
        };
        let said = known.streams.get(name.as_str()).cloned().unwrap_or_default();
        let may_come = |entry: &&(EntryId, String)| {
            was.entries.contains(entry) || !said.unsure.contains(&entry.1)
        };
        if !is.entries.iter().filter(may_come).eq(was.entries.iter()) {
            return Err(format!("{name} has other entries after reopening"));
        }
        if !said.groups_unsure && was.groups != is.groups {
            return Err(format!("{name}: {:?} became {:?}", was.groups, is.groups));
        }
    }
    Ok(())
}

/// The same before anything else happens: the checkpoint of the probe would write down what no
/// record says.
fn recorded(run: &Run, level: Durability) -> Judged {
    let open = run.store.as_ref().ok_or("the store is gone")?;
    let live = view(open).map_err(|error| format!("reads do not go on: {error}"))?;
    let after = opened(&run.disk.image(), level)?;
    same(&run.known, &live, &after).map_err(|what| format!("at the end of the script: {what}"))
}

fn waiters(run: &mut Run, store: bool, streams: &BTreeSet<u64>) -> Judged {
    let number = run.streams.get("a").map(|stream| stream.inner().number);
    let stopped = store || number.is_some_and(|number| streams.contains(&number));
    for (n, told) in run.waiting.iter().enumerate() {
        if !stopped {
            continue;
        }
        match told.recv_timeout(LONG) {
            Ok(Some(ErrorKind::Poisoned { .. })) => {}
            Ok(other) => return Err(format!("reader {n} ended with {other:?}")),
            Err(_) => return Err(format!("reader {n} was not woken")),
        }
    }
    Ok(())
}

/// What changes something works, or is refused for good.
fn probe(run: &mut Run, store: bool, streams: &BTreeSet<u64>) -> Judged {
    let names: Vec<&'static str> = run.streams.keys().copied().collect();
    for name in names {
        let stream = run.streams.get(name).cloned().ok_or("no handle")?;
        let stopped = store || streams.contains(&stream.inner().number);
        let what = |call: &str| format!("{call} on {name}, which is stopped: {stopped}");
        let answer = |call: &str, result: crate::Result<()>| match (&result, stopped) {
            (Ok(()), false) => Ok(()),
            (Err(error), true) if matches!(error.kind(), ErrorKind::Poisoned { .. }) => Ok(()),
            _ => Err(format!("{}: {result:?}", what(call))),
        };
        if !stopped {
            answer("append", run.put(name, 50, crate::AppendOptions::new()))?;
            if name == younger::STREAM {
                answer("append once", run.send("1"))?;
                answer("append another once", run.send("2"))?;
            }
        } else {
            answer("append", stream.append([("v", "no")]).map(drop))?;
        }
        answer("create a group", stream.create_group("probe", Start::Last).map(drop))?;
        answer("sync", stream.sync().map(drop))?;
        if stopped {
            answer("delete", stream.delete(run.known.of(name).newest(1)).map(drop))?;
            answer("trim", stream.trim(Trim::max_len(0)).map(drop))?;
        }
    }
    let Some(open) = &run.store else { return Ok(()) };
    let refused = |call: &str, result: crate::Result<()>| match (&result, store) {
        (Ok(()), false) => Ok(()),
        (Err(error), true) if matches!(error.kind(), ErrorKind::Poisoned { .. }) => Ok(()),
        _ => Err(format!("{call} on a store, which is stopped: {store}: {result:?}")),
    };
    refused("create a stream", open.stream("probe").map(drop))?;
    if !store {
        refused("remove a stream", open.remove("probe").map(drop))?;
    }
    refused("checkpoint", open.step_checkpoint())?;
    if !store {
        refused("prepare", open.step_prepare())?;
    }
    match open.sync() {
        Ok(()) if !store && streams_open(run, streams) == 0 => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::Poisoned { .. }) => {
            match store || streams_open(run, streams) > 0 {
                true => Ok(()),
                false => Err(format!("nothing is stopped, and a sync says {error}")),
            }
        }
        other => Err(format!("a sync of the store says {other:?}")),
    }
}

fn streams_open(run: &Run, streams: &BTreeSet<u64>) -> usize {
    run.streams.values().filter(|stream| streams.contains(&stream.inner().number)).count()
}

fn health(run: &Run, store: bool, streams: &BTreeSet<u64>) -> Judged {
    let Some(open) = &run.store else { return Ok(()) };
    let health = open.health();
    let wanted = if store { None } else { Some(streams_open(run, streams)) };
    let counted = wanted.is_none_or(|wanted| health.poisoned_streams.len() == wanted);
    match health.poisoned.is_some() == store && counted {
        true => Ok(()),
        false => Err(format!("the health is {health:?}; stopped: {store}, {streams:?}")),
    }
}

/// A close makes durable what can be, and says so if that is not all.
fn close(run: &mut Run, stopped: bool) -> Judged {
    let closed = run.close();
    if closed.is_ok() == stopped {
        return Err(format!("a close says {closed:?} where something is stopped: {stopped}"));
    }
    Ok(())
}

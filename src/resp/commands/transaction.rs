//! MULTI, EXEC and what belongs to them.
//!
//! One thread runs all commands, so a transaction needs nothing but to be run in one go. It is not
//! one on disk: a crash may leave the first of its commands done and the others not, as in Redis.

use super::super::client::Multi;
use super::super::context::{Answer, Done};
use super::super::engine::Engine;
use super::super::keys;
use super::super::out::Out;
use super::super::refusal::Refusal;
use super::table::{Command, FAST, NO_MULTI, NOT_QUEUED};
use crate::store::Store;
use crate::stream::Stamp;

pub(crate) const COMMANDS: &[Command] = &[
    Command::server("multi", 1, FAST | NOT_QUEUED, multi),
    Command::server("exec", 1, NOT_QUEUED, exec),
    Command::server("discard", 1, FAST | NOT_QUEUED, discard),
    Command::server("watch", -2, FAST | NOT_QUEUED | NO_MULTI, watch),
    Command::server("unwatch", 1, FAST, unwatch),
];

fn multi(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    if let Some(client) = engine.clients.get_mut(place) {
        if client.multi.is_some() {
            return Err(Refusal::of("ERR MULTI calls can not be nested"));
        }
        client.multi = Some(Multi::default());
    }
    out.ok();
    Ok(Done::Replied)
}

fn exec(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    expire_watched(engine, place);
    let Some(multi) = engine.clients.get_mut(place).and_then(|client| client.multi.take()) else {
        return Err(Refusal::of("ERR EXEC without MULTI"));
    };
    let broken = is_broken(engine, place);
    engine.unwatch(place);
    if multi.aborted {
        return Err(Refusal::EXEC_ABORT);
    }
    if broken {
        out.null_array();
        return Ok(Done::Replied);
    }
    out.array(multi.queue.len());
    for queued in &multi.queue {
        let words: Vec<&[u8]> = queued.words.iter().map(Vec::as_slice).collect();
        engine.call(place, queued.line, &words, false, out);
        if out.is_over() {
            break;
        }
    }
    Ok(Done::Replied)
}

/// A watched key whose time is over was changed, whether or not anybody has looked at it since.
fn expire_watched(engine: &mut Engine, place: usize) {
    if engine.space.expiries.is_empty() {
        return;
    }
    let Some(client) = engine.clients.get(place) else { return };
    let watched: Vec<_> = client.watching.keys().cloned().collect();
    let mut context = engine.context(0, false);
    for name in watched {
        // What cannot be removed has not changed.
        drop(context.expire(&name));
    }
    engine.note_broken();
}

fn discard(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    if engine.clients.get_mut(place).and_then(|client| client.multi.take()).is_none() {
        return Err(Refusal::of("ERR DISCARD without MULTI"));
    }
    engine.unwatch(place);
    out.ok();
    Ok(Done::Replied)
}

fn watch(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let Some(client) = engine.clients.get_mut(place) else { return Ok(Done::Replied) };
    if client.multi.is_some() {
        return Err(Refusal::of("ERR WATCH inside MULTI is not allowed"));
    }
    let db = client.db;
    for key in &args[1..] {
        let name = keys::name(db, key)?.into_owned();
        // What is over by now is no change any more.
        drop(engine.context(db, false).expire(&name));
        engine.note_broken();
        let Some(client) = engine.clients.get_mut(place) else { break };
        engine.space.watch(&name, place);
        client.watching.entry(name).or_insert_with_key(|name| stamp(&engine.store, name));
    }
    out.ok();
    Ok(Done::Replied)
}

/// What is there under a name. What cannot be looked at is as if it were not there: if that is
/// so for one moment only, the transaction is broken.
fn stamp(store: &Store, name: &[u8]) -> Option<Stamp> {
    store.get(name).ok()??.stamp().ok()
}

/// Whether something that the client watches was changed: by a client, or by the application that
/// has the store, of which nobody tells.
fn is_broken(engine: &Engine, place: usize) -> bool {
    let Some(client) = engine.clients.get(place) else { return true };
    let differs = |(name, then): (&Vec<u8>, &Option<Stamp>)| stamp(&engine.store, name) != *then;
    client.broken || client.watching.iter().any(differs)
}

fn unwatch(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    engine.unwatch(place);
    out.ok();
    Ok(Done::Replied)
}

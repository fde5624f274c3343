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
    let client = engine.clients.get_mut(place);
    let Some((multi, broken)) = client.and_then(|c| Some((c.multi.take()?, c.broken))) else {
        return Err(Refusal::of("ERR EXEC without MULTI"));
    };
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
    let watched: Vec<_> = client.watching.iter().cloned().collect();
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
        client.watching.insert(name);
    }
    out.ok();
    Ok(Done::Replied)
}

fn unwatch(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    engine.unwatch(place);
    out.ok();
    Ok(Done::Replied)
}

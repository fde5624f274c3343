//! Clients that wait, on the server and in a model: who is woken by what, in which order, and with
//! what answer.

use super::draw::Draw;
use super::number;
use crate::client::{Client, Outcome};
use crate::env::Env;
use std::collections::BTreeMap;

const KEYS: [&str; 2] = ["s", "t"];
const GROUPS: [&str; 2] = ["g", "h"];
const CLIENTS: usize = 6;

#[derive(Default)]
struct Group {
    last: u64,
    /// Which client has which entry.
    pending: BTreeMap<u64, usize>,
}

#[derive(Default)]
struct Stream {
    /// Their IDs are `n-0`.
    entries: Vec<u64>,
    last: u64,
    groups: BTreeMap<&'static str, Group>,
}

/// A call that waits, or is about to.
#[derive(Clone)]
struct Call {
    group: Option<&'static str>,
    keys: Vec<&'static str>,
    /// Of XREAD: behind which entry of each key; `None` is `+`.
    after: Vec<Option<u64>>,
    count: usize,
}

/// A key became ready, or is gone.
type Event = (&'static str, bool);

#[derive(Default)]
struct World {
    streams: BTreeMap<&'static str, Stream>,
    calls: [Option<Call>; CLIENTS],
    queues: BTreeMap<&'static str, Vec<usize>>,
    entries: u64,
}

/// What a command answers, and whom it wakes.
struct Written {
    command: String,
    expected: String,
    events: Vec<Event>,
}

fn written(command: String, expected: &str, events: &[Event]) -> Written {
    Written { command, expected: expected.to_owned(), events: events.to_vec() }
}

impl World {
    /// Runs a client's whole call; `None` if it finds nothing.
    fn execute(&mut self, client: usize, call: &Call) -> Option<String> {
        if let Some(group) = call.group {
            for key in &call.keys {
                if !self.streams.get(key).is_some_and(|s| s.groups.contains_key(group)) {
                    return Some(format!(
                        "-NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP \
                         with GROUP option"
                    ));
                }
            }
        }
        let mut rows = Vec::new();
        for (n, key) in call.keys.iter().enumerate() {
            let Some(stream) = self.streams.get_mut(key) else { continue };
            let all = &stream.entries;
            let after = |id: u64| all.iter().copied().filter(move |n| *n > id).take(call.count);
            let given: Vec<u64> = match call.group.and_then(|name| stream.groups.get_mut(name)) {
                Some(group) => {
                    let given: Vec<u64> = after(group.last).collect();
                    group.last = given.last().copied().unwrap_or(group.last);
                    group.pending.extend(given.iter().map(|id| (*id, client)));
                    given
                }
                None => match call.after.get(n).copied().flatten() {
                    Some(id) => after(id).collect(),
                    None => all.last().copied().into_iter().collect(),
                },
            };
            let entries: Vec<_> = given.iter().map(|id| format!("[{id}-0 [f v]]")).collect();
            if !entries.is_empty() {
                rows.push(format!("[{key} [{}]]", entries.join(" ")));
            }
        }
        (!rows.is_empty()).then(|| format!("[{}]", rows.join(" ")))
    }

    fn line_up(&mut self, client: usize, call: Call) {
        for key in KEYS.iter().filter(|key| call.keys.contains(key)) {
            self.queues.entry(key).or_default().push(client);
        }
        self.calls[client] = Some(call);
    }

    /// All who wait for these keys try again, in order; gives who is answered what.
    fn serve(&mut self, events: &[Event]) -> Vec<(usize, String)> {
        let mut answered = Vec::new();
        for (key, gone) in events {
            for client in self.queues.get(key).cloned().unwrap_or_default() {
                let Some(call) = self.calls[client].clone() else { continue };
                // Of a key that is gone only readers of groups are told.
                if *gone && call.group.is_none() {
                    continue;
                }
                self.calls[client] = None;
                self.queues.values_mut().for_each(|queue| queue.retain(|other| *other != client));
                match self.execute(client, &call) {
                    Some(answer) => answered.push((client, answer)),
                    None => self.line_up(client, call),
                }
            }
        }
        answered
    }

    fn write(&mut self, draw: &mut Draw) -> Option<Written> {
        let (key, group) = (draw.one(&KEYS), draw.one(&GROUPS));
        let other = if key == "s" { "t" } else { "s" };
        let there = self.streams.contains_key(key);
        Some(match draw.below(20) {
            0..8 => {
                self.entries += 1;
                let (id, stream) = (self.entries, self.streams.entry(key).or_default());
                stream.entries.push(id);
                stream.last = id;
                written(format!("XADD {key} {id}-0 f v"), &format!("{id}-0"), &[(key, false)])
            }
            8..10 => {
                let id = self.streams.get_mut(key)?.entries.pop()?;
                written(format!("XDEL {key} {id}-0"), ":1", &[])
            }
            10 if there => {
                self.streams.remove(key);
                written(format!("DEL {key}"), ":1", &[(key, true)])
            }
            10 => written(format!("DEL {key}"), ":0", &[]),
            11..15 => {
                let stream = self.streams.entry(key).or_default();
                let command = format!("XGROUP CREATE {key} {group} 0 MKSTREAM");
                if stream.groups.contains_key(group) {
                    let busy = "-\"BUSYGROUP Consumer Group name already exists\"";
                    return Some(written(command, busy, &[]));
                }
                stream.groups.insert(group, Group::default());
                let made = [(key, false)];
                written(command, "+OK", if there { &[] } else { &made })
            }
            15 => {
                let had = self.streams.get_mut(key)?.groups.remove(group).is_some();
                let command = format!("XGROUP DESTROY {key} {group}");
                let lost = [(key, false)];
                written(command, if had { ":1" } else { ":0" }, if had { &lost } else { &[] })
            }
            16 => {
                let stream = self.streams.remove(key)?;
                self.streams.insert(other, stream);
                written(format!("RENAME {key} {other}"), "+OK", &[(key, true), (other, false)])
            }
            _ => {
                self.streams.get_mut(key)?.groups.get_mut(group)?.last = 0;
                written(format!("XGROUP SETID {key} {group} 0"), "+OK", &[])
            }
        })
    }

    /// A call of a client that does not wait, and its words.
    fn call(&mut self, client: usize, draw: &mut Draw) -> (Call, String) {
        let keys = draw.one(&[vec!["s"], vec!["t"], vec!["s", "t"], vec!["t", "s"]]);
        let count = draw.one(&[1, 2, 1000]);
        let group = draw.one(&[None, Some("g"), Some("g"), Some("g"), Some("h")]);
        let (mut after, mut ids) = (Vec::new(), Vec::new());
        for key in &keys {
            let last = self.streams.get(key).map_or(0, |stream| stream.last);
            let (word, place) = draw.one(&[("$", Some(last)), ("+", None), ("0", Some(0))]);
            ids.push(if group.is_some() { ">" } else { word });
            after.push(place);
        }
        let who = group.map(|group| format!("XREADGROUP GROUP {group} c{client}"));
        let words = format!(
            "{} COUNT {count} BLOCK 0 STREAMS {} {}",
            who.unwrap_or("XREAD".to_owned()),
            keys.join(" "),
            ids.join(" ")
        );
        (Call { group, keys, after, count }, words)
    }
}

/// Each key once, in the order in which it first became ready; what is there again is not gone.
fn merged(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut merged: Vec<Event> = Vec::new();
    for (key, gone) in events {
        match merged.iter_mut().find(|(other, _)| *other == key) {
            Some((_, was_gone)) => *was_gone &= gone,
            None => merged.push((key, gone)),
        }
    }
    merged
}

pub(super) fn m2(env: &mut Env<'_>) -> Outcome {
    let seed = number("STREAMLOG_CONFORMANCE_SEED", 1);
    let (mut draw, mut world) = (Draw::new(seed), World::default());
    let clients: Result<Vec<Client>, String> = (0..CLIENTS).map(|_| env.client()).collect();
    let (mut clients, mut played) = (clients?, Vec::new());
    for _ in 0..number("STREAMLOG_CONFORMANCE_STEPS", 400) {
        let done = step(env, &mut clients, &mut world, &mut draw, &mut played);
        done.map_err(|error| {
            let last = played.len().saturating_sub(16);
            format!("seed {seed}, after {:?}: {error}", &played[last..])
        })?;
    }
    Ok(())
}

fn step(
    env: &mut Env<'_>,
    clients: &mut [Client],
    world: &mut World,
    draw: &mut Draw,
    played: &mut Vec<String>,
) -> Outcome {
    let free: Vec<_> = (0..CLIENTS).filter(|client| world.calls[*client].is_none()).collect();
    let answered = if !free.is_empty() && draw.below(10) < 6 {
        let client = draw.one(&free);
        let (call, words) = world.call(client, draw);
        played.push(format!("{client}: {words}"));
        clients[client].send(&words)?;
        match world.execute(client, &call) {
            Some(answer) => vec![(client, answer)],
            None => {
                world.line_up(client, call);
                Vec::new()
            }
        }
    } else {
        let together = draw.one(&[1, 1, 1, 3]);
        let all: Vec<Written> = {
            let several = std::iter::repeat_with(|| world.write(draw));
            several.flatten().take(together).collect()
        };
        played.push(all.iter().map(|one| one.command.clone()).collect::<Vec<_>>().join("; "));
        match all.as_slice() {
            [one] => env.c.is(&one.command, &one.expected)?,
            all => {
                env.c.ok("MULTI")?;
                for one in all {
                    env.c.is(&one.command, "+QUEUED")?;
                }
                let expected: Vec<_> = all.iter().map(|one| one.expected.as_str()).collect();
                env.c.is("EXEC", format!("[{}]", expected.join(" ")))?;
            }
        }
        let events = merged(all.iter().flat_map(|one| one.events.clone()));
        world.serve(&events)
    };
    for (client, answer) in answered {
        clients[client].reads(answer)?;
    }
    same(env, world)
}

/// As many wait as in the model, and the groups have given the same to the same.
fn same(env: &mut Env<'_>, world: &World) -> Outcome {
    let waiting = world.calls.iter().flatten().count();
    env.wait_blocked(i64::try_from(waiting).unwrap_or(i64::MAX))?;
    for (key, stream) in &world.streams {
        for (name, group) in &stream.groups {
            let row = |(id, client): (&u64, &usize)| format!("[{id}-0 c{client} * :1]");
            let rows: Vec<_> = group.pending.iter().map(row).collect();
            let expected = format!("[{}]", rows.join(" "));
            env.c.is(format!("XPENDING {key} {name} - + 100000"), expected)?;
        }
    }
    Ok(())
}

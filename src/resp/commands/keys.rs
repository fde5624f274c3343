//! Commands on whole streams: DEL, RENAME, COPY, SCAN and their kin.

use super::super::context::{Answer, Context, Done};
use super::super::engine::Engine;
use super::super::glob::fits;
use super::super::keys::{key_of, name};
use super::super::out::Out;
use super::super::refusal::Refusal;
use super::super::request::integer;
use super::connection::database;
use super::table::{Command, FAST, READ, WRITE};
use std::hash::Hasher;

pub(crate) const COMMANDS: &[Command] = &[
    Command::data("del", -2, WRITE, del),
    Command::data("unlink", -2, WRITE | FAST, del),
    Command::data("exists", -2, READ | FAST, exists),
    Command::data("touch", -2, READ | FAST, exists),
    Command::data("type", 2, READ | FAST, kind),
    Command::data("rename", 3, WRITE, rename),
    Command::data("renamenx", 3, WRITE | FAST, rename_new),
    Command::data("copy", -3, WRITE, copy),
    Command::data("move", 3, WRITE | FAST, move_key),
    Command::data("scan", -2, READ, scan),
    Command::data("keys", 2, READ, keys),
    Command::data("randomkey", 1, READ, random_key),
    Command::data("dbsize", 1, READ | FAST, db_size),
    Command::data("flushdb", -1, WRITE, flush_db),
    Command::data("flushall", -1, WRITE, flush_all),
    Command::server("swapdb", 3, WRITE | FAST, swap_db),
    Command::with_parts(
        "object",
        &[
            Command::data("encoding", 3, READ, encoding),
            Command::data("refcount", 3, READ, ref_count),
            Command::data("idletime", 3, READ, idle_time),
            Command::data("freq", 3, READ, freq),
        ],
    ),
];

pub(super) fn has(context: &mut Context<'_>, key: &[u8]) -> Result<bool, Refusal> {
    let name = name(context.db, key)?;
    context.space.note_read(&name);
    Ok(context.expire(&name).is_ok() && context.store.exists(&name))
}

pub(super) fn number(out: &mut Out, value: i64) -> Answer {
    out.int(value);
    Ok(Done::Replied)
}

/// Removes a name; `false` if there was none.
pub(super) fn remove(context: &mut Context<'_>, name: &[u8]) -> Result<bool, Refusal> {
    context.space.note_read(name);
    context.expire(name)?;
    let there = context.store.remove(name)?;
    if there {
        context.space.changed(name, 1);
        context.space.gone(name);
    }
    Ok(there)
}

fn del(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let mut removed = 0;
    for key in &args[1..] {
        let name = name(context.db, key)?;
        removed += i64::from(remove(context, &name)?);
    }
    number(out, removed)
}

fn exists(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let mut count = 0;
    for key in &args[1..] {
        count += i64::from(has(context, key)?);
    }
    number(out, count)
}

fn kind(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    out.simple(if has(context, args[1])? { "stream" } else { "none" });
    Ok(Done::Replied)
}

/// Gives a stream another name, in whatever databases the names are.
fn give_name(context: &mut Context<'_>, from: &[u8], to: &[u8]) -> Result<(), Refusal> {
    context.store.rename(from, to)?;
    context.space.changed(from, 1);
    context.space.gone(from);
    context.space.changed(to, 0);
    context.space.gone(to);
    context.note_expiry(to);
    context.space.signal(to);
    Ok(())
}

fn rename(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    if !has(context, args[1])? {
        return Err(Refusal::NO_SUCH_KEY);
    }
    let (from, to) = (name(context.db, args[1])?, name(context.db, args[2])?);
    if from != to {
        give_name(context, &from, &to)?;
    }
    out.ok();
    Ok(Done::Replied)
}

fn rename_new(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    if !has(context, args[1])? {
        return Err(Refusal::NO_SUCH_KEY);
    }
    if has(context, args[2])? {
        return number(out, 0);
    }
    let (from, to) = (name(context.db, args[1])?, name(context.db, args[2])?);
    give_name(context, &from, &to)?;
    number(out, 1)
}

const SAME: Refusal = Refusal::of("ERR source and destination objects are the same");

fn copy(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let (mut db, mut replace) = (context.db, false);
    let mut rest = &args[3..];
    while let [option, tail @ ..] = rest {
        rest = match tail {
            tail if option.eq_ignore_ascii_case(b"replace") => {
                replace = true;
                tail
            }
            [number, tail @ ..] if option.eq_ignore_ascii_case(b"db") => {
                db = database(number)?;
                tail
            }
            _ => return Err(Refusal::SYNTAX),
        };
    }
    let (from, to) = (name(context.db, args[1])?, name(db, args[2])?);
    if from == to {
        return Err(SAME);
    }
    context.space.note_read(&from);
    context.space.note_read(&to);
    context.expire(&from)?;
    context.expire(&to)?;
    let copied = context.store.copy(&from, &to, replace)?;
    if copied {
        context.space.changed(&to, 1);
        context.space.gone(&to);
        context.note_expiry(&to);
        context.space.signal(&to);
    }
    number(out, i64::from(copied))
}

fn move_key(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let db = database(args[2])?;
    if db == context.db {
        return Err(SAME);
    }
    let (from, to) = (name(context.db, args[1])?, name(db, args[1])?);
    context.space.note_read(&from);
    context.space.note_read(&to);
    context.expire(&from)?;
    context.expire(&to)?;
    if !context.store.exists(&from) || context.store.exists(&to) {
        return number(out, 0);
    }
    give_name(context, &from, &to)?;
    number(out, 1)
}

/// The names in the store of all keys of a database that are to be seen.
fn names_of(context: &mut Context<'_>, db: usize) -> Vec<Vec<u8>> {
    let mut names = all_names_of(context, db);
    if !context.space.expiries.is_empty() {
        let now = context.now_ms();
        names.retain(|name| !context.space.expiries.is_due(name, now));
    }
    names
}

/// The same with those whose time is over, as long as they are there.
fn all_names_of(context: &mut Context<'_>, db: usize) -> Vec<Vec<u8>> {
    context.space.note_all();
    let mut names = context.store.names();
    names.retain(|name| key_of(db, name).is_some());
    names
}

fn db_size(context: &mut Context<'_>, _: &[&[u8]], out: &mut Out) -> Answer {
    out.count(names_of(context, context.db).len() as u64);
    Ok(Done::Replied)
}

fn keys(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let names = names_of(context, context.db);
    let keys: Vec<&[u8]> = names
        .iter()
        .filter_map(|name| key_of(context.db, name))
        .filter(|key| fits(args[1], key, false))
        .collect();
    out.array(keys.len());
    keys.iter().for_each(|key| out.bulk(key));
    Ok(Done::Replied)
}

fn random_key(context: &mut Context<'_>, _: &[&[u8]], out: &mut Out) -> Answer {
    let names = names_of(context, context.db);
    let nth = place_of(&context.now_ms().to_le_bytes()) as usize % names.len().max(1);
    match names.get(nth).and_then(|name| key_of(context.db, name)) {
        Some(key) => out.bulk(key),
        None => out.null(),
    }
    Ok(Done::Replied)
}

/// A key's place in the order of SCAN. It depends on nothing but the key, so that keys which come
/// and go during a scan do not move the others. Never 0, which is the end.
fn place_of(key: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(key);
    (hasher.finish() >> 1).max(1)
}

fn scan(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    // As C's `strtoul` has it, a minus is no reason to refuse it.
    let digits = args[1].strip_prefix(b"-").unwrap_or(args[1]);
    let cursor = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    let cursor = cursor.map(|n| if digits == args[1] { n } else { n.wrapping_neg() });
    let cursor = cursor.ok_or(Refusal::of("ERR invalid cursor"))?;
    let (mut pattern, mut count, mut streams) = (None, Some(10), true);
    let options = args[2..].chunks(2);
    for option in options {
        let [option, value] = option else { return Err(Refusal::SYNTAX) };
        match &option.to_ascii_lowercase()[..] {
            b"match" => pattern = Some(*value),
            b"count" => {
                let value = integer(value).ok_or(Refusal::NOT_AN_INTEGER)?;
                count = usize::try_from(value).ok().filter(|count| *count > 0);
                count = Some(count.ok_or(Refusal::SYNTAX)?);
            }
            b"type" => streams = value.eq_ignore_ascii_case(b"stream"),
            _ => return Err(Refusal::SYNTAX),
        }
    }
    let names = names_of(context, context.db);
    let keys = names.iter().filter_map(|name| key_of(context.db, name));
    let mut placed: Vec<(u64, &[u8])> =
        keys.map(|key| (place_of(key), key)).filter(|(place, _)| *place >= cursor).collect();
    placed.sort_unstable();
    let next = placed.get(count.unwrap_or(usize::MAX)).map_or(0, |(place, _)| *place);
    let found = placed.iter().take_while(|(place, _)| next == 0 || *place < next);
    let found = found.filter(|(_, key)| streams && pattern.is_none_or(|p| fits(p, key, false)));
    let found: Vec<&[u8]> = found.map(|(_, key)| *key).collect();
    out.array(2);
    out.bulk(next.to_string().as_bytes());
    out.array(found.len());
    found.iter().for_each(|key| out.bulk(key));
    Ok(Done::Replied)
}

fn check_flush(args: &[&[u8]]) -> Result<(), Refusal> {
    match args {
        [_] => Ok(()),
        [_, how] if how.eq_ignore_ascii_case(b"sync") || how.eq_ignore_ascii_case(b"async") => {
            Ok(())
        }
        _ => Err(Refusal::SYNTAX),
    }
}

fn flush_db(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    check_flush(args)?;
    for name in all_names_of(context, context.db) {
        remove(context, &name)?;
    }
    out.ok();
    Ok(Done::Replied)
}

fn flush_all(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    check_flush(args)?;
    context.space.note_all();
    for name in context.store.names() {
        remove(context, &name)?;
    }
    context.space.dirty = context.space.dirty.saturating_add(1);
    out.ok();
    Ok(Done::Replied)
}

/// SWAPDB: the streams of both databases get each other's prefix, in one change.
fn swap_db(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let index = |word: &[u8], error: &'static str| {
        integer(word).ok_or(Refusal::of(error)).and_then(|_| database(word))
    };
    let first = index(args[1], "ERR invalid first DB index")?;
    let second = index(args[2], "ERR invalid second DB index")?;
    if first != second {
        let mut context = engine.context(0, false);
        let mut touched = Vec::new();
        for (from, to) in [(first, second), (second, first)] {
            for old in all_names_of(&mut context, from) {
                let key = key_of(from, &old).unwrap_or_default();
                touched.push(name(to, key)?.into_owned());
                touched.push(old);
            }
        }
        context.store.rename_all(|old| {
            let there = |from, to| Some(name(to, key_of(from, old)?).ok()?.into_owned());
            there(first, second).or_else(|| there(second, first))
        })?;
        touched.iter().for_each(|name| note_swapped(&mut context, name));
        context.space.dirty = context.space.dirty.saturating_add(1);
    }
    out.ok();
    Ok(Done::Replied)
}

fn note_swapped(context: &mut Context<'_>, name: &[u8]) {
    context.space.changed(name, 0);
    context.space.gone(name);
    context.note_expiry(name);
    if context.store.exists(name) {
        context.space.signal(name);
    }
}

/// Answers OBJECT; of a key that is not there there is nothing to say.
fn object(
    context: &mut Context<'_>,
    key: &[u8],
    out: &mut Out,
    say: impl FnOnce(&mut Out) -> Result<(), Refusal>,
) -> Answer {
    if has(context, key)? {
        say(out)?;
    } else {
        out.null();
    }
    Ok(Done::Replied)
}

fn encoding(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    object(context, args[2], out, |out| {
        out.bulk(b"stream");
        Ok(())
    })
}

fn ref_count(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    object(context, args[2], out, |out| {
        out.int(1);
        Ok(())
    })
}

fn idle_time(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    object(context, args[2], out, |out| {
        out.int(0);
        Ok(())
    })
}

fn freq(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    object(context, args[2], out, |_| {
        Err(Refusal::of(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
             note that when switching between policies at runtime LRU and LFU data will take \
             some time to adjust.",
        ))
    })
}

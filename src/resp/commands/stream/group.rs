//! XGROUP.

use super::args::{Parsed, id, id_or_end, int, is, is_sign, refused};
use super::prelude::*;
use super::reply;
use crate::consumer::Group;
use crate::options::Start;
use crate::resp::commands::table::{Command, WRITE};
use crate::stream::Stream;

pub(super) const PARTS: &[Command] = &[
    Command::data("create", -5, WRITE, create),
    Command::data("createconsumer", 5, WRITE, create_consumer),
    Command::data("delconsumer", 5, WRITE, remove_consumer),
    Command::data("destroy", 4, WRITE, destroy),
    Command::data("help", 2, 0, help),
    Command::data("setid", -5, WRITE, set_id),
];

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for \
                      CREATE you may want to use the MKSTREAM option to create an empty stream \
                      automatically.";
const NEGATIVE: &str = "ERR value for ENTRIESREAD must be positive or -1";

const HELP: &[&str] = &[
    "XGROUP <subcommand> <key> <group> [<arg> ...]. The subcommands are:",
    "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <n>]",
    "    Makes a group that has yet to read what lies behind the ID; $ is the last one.",
    "    MKSTREAM makes the stream too, ENTRIESREAD tells what counts as read.",
    "CREATECONSUMER <key> <group> <consumer>",
    "    Makes a consumer before its first read.",
    "DELCONSUMER <key> <group> <consumer>",
    "    Removes a consumer and what is pending for it; tells how much that was.",
    "DESTROY <key> <group>",
    "    Removes a group with all that is pending in it.",
    "HELP",
    "    Gives this text.",
    "SETID <key> <group> <id|$> [ENTRIESREAD <n>]",
    "    Moves the group's position.",
];

/// XGROUP HELP.
pub(super) fn help(_: &mut Context<'_>, _: &[&[u8]], out: &mut Out) -> Answer {
    reply::lines(out, HELP);
    Ok(Done::Replied)
}

/// The options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    /// `sub` is the subcommand as the client has written it.
    fn read(words: &[&[u8]], sub: &[u8], creates: bool) -> Parsed<Options> {
        let mut options = Options::default();
        let mut left = words;
        while !left.is_empty() {
            match left {
                [word, rest @ ..] if creates && is(word, "MKSTREAM") => {
                    options.make_stream = true;
                    left = rest;
                }
                [word, value, rest @ ..] if is(word, "ENTRIESREAD") => {
                    let value = int(value)?;
                    if value < -1 {
                        return refused(NEGATIVE);
                    }
                    options.entries_read = u64::try_from(value).ok();
                    left = rest;
                }
                _ => return Err(Refusal::unknown_or_wrong("XGROUP", sub)),
            }
        }
        Ok(options)
    }
}

/// The stream of a subcommand that needs one.
fn stream_of(context: &mut Context<'_>, key: &[u8]) -> Parsed<Stream> {
    context.stream(key)?.ok_or(Refusal::of(NO_KEY))
}

/// The group of a subcommand that needs one.
fn group_of(context: &mut Context<'_>, key: &[u8], group: &[u8]) -> Parsed<Group> {
    let found = stream_of(context, key)?.get_group(group)?;
    found.ok_or_else(|| Refusal::no_group_of_key(key, group))
}

fn create(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, sub, key, group, position, words @ ..] = args else {
        return Err(Refusal::arity("xgroup|create"));
    };
    let options = Options::read(words, sub, true)?;
    let stream = context.stream(key)?;
    if stream.is_none() && !options.make_stream {
        return refused(NO_KEY);
    }
    if words.len() > 3 {
        return Err(Refusal::unknown_or_wrong("XGROUP", sub));
    }
    let start = if is_sign(position, b'$') { Start::Last } else { Start::After(id(position)?) };
    let made = stream.is_none();
    let entries_read = options.entries_read;
    match stream {
        Some(stream) => drop(stream.create_group_with(group, start, entries_read)?),
        None => context.change_or_create(key, |_, stream| {
            stream.create_group_with(group, start, entries_read).map(drop)
        })?,
    }
    match made {
        true => context.changed(key, 1),
        false => context.group_changed(key, 1),
    }
    out.ok();
    Ok(Done::Replied)
}

fn set_id(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, sub, key, group, position, words @ ..] = args else {
        return Err(Refusal::arity("xgroup|setid"));
    };
    let options = Options::read(words, sub, false)?;
    let group = group_of(context, key, group)?;
    if !matches!(words.len(), 0 | 2) {
        return Err(Refusal::unknown_or_wrong("XGROUP", sub));
    }
    let to = match is_sign(position, b'$') {
        true => Start::Last,
        false => Start::After(id_or_end(position, 0)?),
    };
    group.set_id_with(to, options.entries_read)?;
    context.group_changed(key, 1);
    out.ok();
    Ok(Done::Replied)
}

fn destroy(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, _, key, group] = args else {
        return Err(Refusal::arity("xgroup|destroy"));
    };
    let removed = stream_of(context, key)?.remove_group(group)?;
    if removed {
        // Those who read as the group get to know that there is none.
        context.group_changed(key, 1);
        context.ready(key);
    }
    out.int(i64::from(removed));
    Ok(Done::Replied)
}

fn create_consumer(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, _, key, group, consumer] = args else {
        return Err(Refusal::arity("xgroup|createconsumer"));
    };
    let made = group_of(context, key, group)?.create_consumer(consumer)?;
    if made {
        context.group_changed(key, 1);
    }
    out.int(i64::from(made));
    Ok(Done::Replied)
}

fn remove_consumer(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, _, key, group, name] = args else {
        return Err(Refusal::arity("xgroup|delconsumer"));
    };
    let group = group_of(context, key, group)?;
    let is_there = !group.consumer(name)?.is_new()?;
    let pending = group.remove_consumer(name)?;
    if is_there {
        context.group_changed(key, 1);
    }
    out.count(pending);
    Ok(Done::Replied)
}

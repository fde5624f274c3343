//! XINFO.

use super::args::{Parsed, int, is};
use super::prelude::*;
use super::reply;
use crate::entry::Entry;
use crate::group::{ConsumerDetails, GroupDetails, GroupInfo, PendingDetails};
use crate::resp::commands::table::{Command, READ};
use crate::stream::{Stream, StreamInfo};
use std::time::Duration;

pub(super) const PARTS: &[Command] = &[
    Command::data("consumers", 4, READ, consumers),
    Command::data("groups", 3, READ, groups),
    Command::data("help", 2, 0, help),
    Command::data("stream", -3, READ, stream),
];

const HELP: &[&str] = &[
    "XINFO <subcommand> [<key> [<arg> ...]]. The subcommands are:",
    "CONSUMERS <key> <group>",
    "    Tells of the consumers of a group.",
    "GROUPS <key>",
    "    Tells of the groups of a stream.",
    "HELP",
    "    Gives this text.",
    "STREAM <key> [FULL [COUNT <count>]]",
    "    Tells of a stream; FULL with its first entries, groups, consumers and what is pending.",
];

/// XINFO HELP.
pub(super) fn help(_: &mut Context<'_>, _: &[&[u8]], out: &mut Out) -> Answer {
    reply::lines(out, HELP);
    Ok(Done::Replied)
}

fn stream_of(context: &mut Context<'_>, key: &[u8]) -> Parsed<Stream> {
    context.stream(key)?.ok_or(Refusal::NO_SUCH_KEY)
}

/// How many of each list FULL shows when nothing is said.
const FEW: usize = 10;

/// The words behind the key: how many of each list to show; `None` without FULL.
fn full(words: &[&[u8]], sub: &[u8]) -> Parsed<Option<usize>> {
    match words {
        [] => Ok(None),
        [word] if is(word, "FULL") => Ok(Some(FEW)),
        [word, count, value] if is(word, "FULL") && is(count, "COUNT") => {
            Ok(Some(match usize::try_from(int(value)?) {
                Ok(0) => usize::MAX,
                Ok(count) => count,
                Err(_) => FEW,
            }))
        }
        _ => Err(Refusal::unknown_or_wrong("XINFO", sub)),
    }
}

fn stream(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, sub, key, words @ ..] = args else {
        return Err(Refusal::arity("xinfo|stream"));
    };
    let stream = stream_of(context, key)?;
    let Some(count) = full(words, sub)? else {
        let info = stream.info()?;
        out.map(FACTS + 3);
        facts(out, &info);
        out.bulk(b"groups");
        out.count(info.groups as u64);
        out.bulk(b"first-entry");
        entry_or_null(out, info.first.as_ref());
        out.bulk(b"last-entry");
        entry_or_null(out, info.last.as_ref());
        return Ok(Done::Replied);
    };
    let (view, details) = stream.info_full_and_view(count)?;
    out.map(FACTS + 2);
    facts(out, &details.info);
    out.bulk(b"entries");
    // All entries of a long stream are more than memory should hold twice.
    let list = out.open_array();
    let mut written = 0;
    for entry in view.range(..).take(count) {
        if out.is_over() {
            break;
        }
        reply::entry(out, entry?);
        written += 1;
    }
    out.close_array(list, written);
    out.bulk(b"groups");
    out.array(details.groups.len());
    for group in &details.groups {
        group_details(out, group);
    }
    Ok(Done::Replied)
}

const FACTS: usize = 13;

/// What both forms of XINFO STREAM begin with.
fn facts(out: &mut Out, info: &StreamInfo) {
    out.bulk(b"length");
    out.count(info.length);
    out.bulk(b"radix-tree-keys");
    out.count(info.blocks);
    out.bulk(b"radix-tree-nodes");
    out.count(info.blocks + 1);
    out.bulk(b"last-generated-id");
    out.id(info.last_id);
    out.bulk(b"max-deleted-entry-id");
    out.id(info.max_deleted_id);
    out.bulk(b"entries-added");
    out.count(info.entries_added);
    out.bulk(b"recorded-first-entry-id");
    out.id(info.first_id);
    let producers = &info.idempotency;
    out.bulk(b"idmp-duration");
    out.count(producers.window.duration.as_secs());
    out.bulk(b"idmp-maxsize");
    out.count(producers.window.max_iids.into());
    out.bulk(b"pids-tracked");
    out.count(producers.producers);
    out.bulk(b"iids-tracked");
    out.count(producers.iids);
    out.bulk(b"iids-added");
    out.count(producers.added);
    out.bulk(b"iids-duplicates");
    out.count(producers.duplicates);
}

fn entry_or_null(out: &mut Out, entry: Option<&Entry>) {
    match entry {
        Some(entry) => reply::entry(out, entry.as_ref()),
        None => out.null(),
    }
}

fn count_or_null(out: &mut Out, count: Option<u64>) {
    match count {
        Some(count) => out.count(count),
        None => out.null(),
    }
}

fn group_details(out: &mut Out, group: &GroupDetails) {
    out.map(8);
    out.bulk(b"name");
    out.bulk(&group.info.name);
    position(out, &group.info);
    out.bulk(b"pel-count");
    out.count(group.info.pending);
    out.bulk(b"nacked-count");
    out.count(group.unowned);
    out.bulk(b"pending");
    out.array(group.pending.len());
    for one in &group.pending {
        out.array(4);
        out.id(one.id);
        out.bulk(&one.consumer);
        times(out, one);
    }
    out.bulk(b"consumers");
    out.array(group.consumers.len());
    for consumer in &group.consumers {
        consumer_details(out, consumer);
    }
}

fn position(out: &mut Out, info: &GroupInfo) {
    out.bulk(b"last-delivered-id");
    out.id(info.last_delivered_id);
    out.bulk(b"entries-read");
    count_or_null(out, info.entries_read);
    out.bulk(b"lag");
    count_or_null(out, info.lag);
}

fn times(out: &mut Out, one: &PendingDetails) {
    out.count(one.delivered_ms);
    out.count(one.deliveries);
}

fn consumer_details(out: &mut Out, consumer: &ConsumerDetails) {
    out.map(5);
    out.bulk(b"name");
    out.bulk(&consumer.name);
    out.bulk(b"seen-time");
    out.count(consumer.seen_ms);
    out.bulk(b"active-time");
    match consumer.active_ms {
        Some(active) => out.count(active),
        None => out.int(-1),
    }
    out.bulk(b"pel-count");
    out.count(consumer.pending_count);
    out.bulk(b"pending");
    out.array(consumer.pending.len());
    for one in &consumer.pending {
        out.array(3);
        out.id(one.id);
        times(out, one);
    }
}

fn groups(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, _, key] = args else {
        return Err(Refusal::arity("xinfo|groups"));
    };
    let groups = stream_of(context, key)?.groups()?;
    out.array(groups.len());
    for info in &groups {
        out.map(6);
        out.bulk(b"name");
        out.bulk(&info.name);
        out.bulk(b"consumers");
        out.count(info.consumers as u64);
        out.bulk(b"pending");
        out.count(info.pending);
        position(out, info);
    }
    Ok(Done::Replied)
}

fn consumers(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, _, key, name] = args else {
        return Err(Refusal::arity("xinfo|consumers"));
    };
    let group = stream_of(context, key)?.get_group(name)?;
    let Some(group) = group else {
        return Err(Refusal::no_group_of_key(key, name));
    };
    let consumers = group.consumers()?;
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    out.array(consumers.len());
    for consumer in &consumers {
        out.map(4);
        out.bulk(b"name");
        out.bulk(&consumer.name);
        out.bulk(b"pending");
        out.count(consumer.pending);
        out.bulk(b"idle");
        out.int(millis(consumer.idle));
        out.bulk(b"inactive");
        out.int(consumer.inactive.map_or(-1, millis));
    }
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_takes_a_count() {
        let of = |words: &[&[u8]]| full(words, b"Stream");
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[b"full"]).unwrap(), Some(10));
        assert_eq!(of(&[b"full", b"count", b"0"]).unwrap(), Some(usize::MAX));
        assert_eq!(of(&[b"full", b"count", b"-5"]).unwrap(), Some(10));
        assert_eq!(of(&[b"full", b"count", b"x"]).unwrap_err(), Refusal::NOT_AN_INTEGER);
        let bad = "ERR unknown subcommand or wrong number of arguments for 'Stream'. \
                   Try XINFO HELP.";
        assert_eq!(of(&[b"full", b"count"]).unwrap_err().0, bad);
        assert_eq!(of(&[b"other"]).unwrap_err().0, bad);
    }
}

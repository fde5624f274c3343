//! EXPIRE and its kin: when keys go.

use super::super::context::{Answer, Context, Done};
use super::super::keys::name;
use super::super::out::Out;
use super::super::refusal::{Refusal, shown};
use super::super::request::integer;
use super::keys::{has, number, remove};
use super::table::{Command, FAST, READ, WRITE};

pub(crate) const COMMANDS: &[Command] = &[
    Command::data("expire", -3, WRITE | FAST, expire),
    Command::data("pexpire", -3, WRITE | FAST, pexpire),
    Command::data("expireat", -3, WRITE | FAST, expire_at),
    Command::data("pexpireat", -3, WRITE | FAST, pexpire_at),
    Command::data("persist", 2, WRITE | FAST, persist),
    Command::data("ttl", 2, READ | FAST, ttl),
    Command::data("pttl", 2, READ | FAST, pttl),
    Command::data("expiretime", 2, READ | FAST, expire_time),
    Command::data("pexpiretime", 2, READ | FAST, pexpire_time),
];

/// Under which conditions a key gets another time.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn of(words: &[&[u8]]) -> Result<Conditions, Refusal> {
        let mut wanted = Conditions::default();
        for word in words {
            match &word.to_ascii_lowercase()[..] {
                b"nx" => wanted.nx = true,
                b"xx" => wanted.xx = true,
                b"gt" => wanted.gt = true,
                b"lt" => wanted.lt = true,
                _ => {
                    let text = format!("ERR Unsupported option {}", shown(word));
                    return Err(Refusal::new(text));
                }
            }
        }
        if wanted.nx && (wanted.xx || wanted.gt || wanted.lt) {
            return Err(Refusal::of(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if wanted.gt && wanted.lt {
            return Err(Refusal::of("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(wanted)
    }

    /// A key without a time counts as one that goes at the end of all times.
    fn are_met(&self, now: Option<i64>, wanted: i64) -> bool {
        (!self.nx || now.is_none())
            && (!self.xx || now.is_some())
            && (!self.gt || now.is_some_and(|now| wanted > now))
            && (!self.lt || now.is_none_or(|now| wanted < now))
    }
}

/// The time of a key, in milliseconds since 1970.
fn time_of(context: &Context<'_>, key: &[u8]) -> Result<Option<i64>, Refusal> {
    let at = context.store.expiry_of(&name(context.db, key)?);
    Ok(at.map(|at| i64::try_from(at).unwrap_or(i64::MAX)))
}

/// Sets a key's time to a number of units of so many milliseconds behind `from`.
fn set(
    context: &mut Context<'_>,
    args: &[&[u8]],
    out: &mut Out,
    unit: i64,
    from: u64,
    command: &str,
) -> Answer {
    let conditions = Conditions::of(&args[3..])?;
    let units = integer(args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let at = units.checked_mul(unit).and_then(|ms| ms.checked_add_unsigned(from));
    let at =
        at.ok_or_else(|| Refusal::new(format!("ERR invalid expire time in '{command}' command")))?;
    let Some(stream) = context.stream(args[1])? else { return number(out, 0) };
    if !conditions.are_met(time_of(context, args[1])?, at) {
        return number(out, 0);
    }
    let name = name(context.db, args[1])?;
    match u64::try_from(at).ok().filter(|at| *at > context.now_ms()) {
        Some(at) => {
            stream.set_expires_at(Some(at))?;
            context.note_expiry(&name);
            context.changed_quietly(args[1], 1);
        }
        None => _ = remove(context, &name)?,
    }
    number(out, 1)
}

fn expire(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    set(context, args, out, 1000, context.now_ms(), "expire")
}

fn pexpire(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    set(context, args, out, 1, context.now_ms(), "pexpire")
}

fn expire_at(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    set(context, args, out, 1000, 0, "expireat")
}

fn pexpire_at(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    set(context, args, out, 1, 0, "pexpireat")
}

fn persist(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let Some(stream) = context.stream(args[1])? else { return number(out, 0) };
    if time_of(context, args[1])?.is_none() {
        return number(out, 0);
    }
    stream.set_expires_at(None)?;
    context.note_expiry(&name(context.db, args[1])?);
    context.changed_quietly(args[1], 1);
    number(out, 1)
}

/// Replies what is to be said of a key's time: -2 if there is no key, -1 if it has none.
fn say(
    context: &mut Context<'_>,
    key: &[u8],
    out: &mut Out,
    of: impl FnOnce(i64, i64) -> i64,
) -> Answer {
    if !has(context, key)? {
        return number(out, -2);
    }
    let now = i64::try_from(context.now_ms()).unwrap_or(i64::MAX);
    out.int(time_of(context, key)?.map_or(-1, |at| of(at, now)));
    Ok(Done::Replied)
}

fn seconds(ms: i64) -> i64 {
    ms / 1000 + i64::from(ms % 1000 >= 500)
}

fn ttl(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    say(context, args[1], out, |at, now| seconds(at.saturating_sub(now).max(0)))
}

fn pttl(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    say(context, args[1], out, |at, now| at.saturating_sub(now).max(0))
}

fn expire_time(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    say(context, args[1], out, |at, _| seconds(at))
}

fn pexpire_time(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    say(context, args[1], out, |at, _| at)
}

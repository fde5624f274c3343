//! CLIENT: what connections there are, and what they are called.

use super::super::client::{Client, Reply};
use super::super::context::{Answer, Done};
use super::super::engine::{End, Engine};
use super::super::out::Out;
use super::super::refusal::{Refusal, shown};
use super::super::request::integer;
use super::table::{ADMIN, Command, FAST, NO_MULTI, Table};

pub(crate) const COMMANDS: &[Command] = &[Command::with_parts("client", PARTS)];

const PARTS: &[Command] = &[
    Command::server("id", 2, FAST, id),
    Command::server("info", 2, 0, info),
    Command::server("list", -2, ADMIN, list),
    Command::server("getname", 2, FAST, get_name),
    Command::server("setname", 3, FAST, set_name),
    Command::server("setinfo", 4, FAST, set_info),
    Command::server("unblock", -3, ADMIN, unblock),
    Command::server("kill", -3, ADMIN, kill),
    Command::server("reply", 3, NO_MULTI, reply),
    Command::server("no-evict", 3, ADMIN, no_evict),
    Command::server("no-touch", 3, FAST, no_touch),
    Command::server("getredir", 2, 0, get_redirection),
    Command::server("tracking", -3, 0, tracking),
    Command::server("trackinginfo", 2, 0, tracking_info),
];

pub(super) const UNCLEAN_NAME: Refusal =
    Refusal::of("ERR Client names cannot contain spaces, newlines or special characters.");

/// Whether a word can stand in a line of CLIENT LIST.
pub(super) fn is_clean(word: &[u8]) -> bool {
    word.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn me(engine: &mut Engine, place: usize) -> Result<&mut Client, Refusal> {
    engine.clients.get_mut(place).ok_or(Refusal::of("ERR No such client"))
}

fn replied(out: &mut Out) -> Answer {
    out.ok();
    Ok(Done::Replied)
}

fn id(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.count(me(engine, place)?.id);
    Ok(Done::Replied)
}

fn get_name(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    let client = me(engine, place)?;
    if client.name.is_empty() {
        out.null()
    } else {
        out.bulk(&client.name)
    }
    Ok(Done::Replied)
}

fn set_name(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    if !is_clean(args[2]) {
        return Err(UNCLEAN_NAME);
    }
    me(engine, place)?.name = args[2].to_vec();
    replied(out)
}

fn set_info(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let client = me(engine, place)?;
    let (what, value) = (args[2], args[3]);
    let field = if what.eq_ignore_ascii_case(b"lib-name") {
        &mut client.lib_name
    } else if what.eq_ignore_ascii_case(b"lib-ver") {
        &mut client.lib_ver
    } else {
        return Err(Refusal::new(format!("ERR Unrecognized option '{}'", shown(what))));
    };
    if !is_clean(value) {
        let what = shown(what).to_lowercase();
        return Err(Refusal::new(format!(
            "ERR {what} cannot contain spaces, newlines or special characters."
        )));
    }
    *field = value.to_vec();
    replied(out)
}

fn info(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    // The caller's own protocol is with its replies at the moment.
    let proto = out.proto();
    let line = engine.clients.get(place).map(|client| line_of(engine, client, proto));
    out.verbatim(&line.unwrap_or_default());
    Ok(Done::Replied)
}

fn list(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let mut ids = None;
    match args {
        [_, _] => {}
        [_, _, option, kind] if option.eq_ignore_ascii_case(b"type") => {
            let kinds: [&[u8]; 5] = [b"normal", b"master", b"slave", b"replica", b"pubsub"];
            if !kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
                let text = format!("ERR Unknown client type '{}'", shown(kind));
                return Err(Refusal::new(text));
            }
            if !kind.eq_ignore_ascii_case(b"normal") {
                ids = Some(Vec::new());
            }
        }
        [_, _, option, list @ ..] if option.eq_ignore_ascii_case(b"id") && !list.is_empty() => {
            let parse = |id: &&[u8]| integer(id).filter(|id| *id > 0);
            let list: Option<Vec<i64>> = list.iter().map(parse).collect();
            ids = Some(list.ok_or(Refusal::of("ERR Invalid client ID"))?);
        }
        _ => return Err(Refusal::SYNTAX),
    }
    let wanted = |client: &Client| {
        ids.as_ref().is_none_or(|ids| ids.iter().any(|id| u64::try_from(*id) == Ok(client.id)))
    };
    let mut text = String::new();
    for (other, client) in engine.clients.iter().filter(|(_, client)| wanted(client)) {
        let proto = if other == place { out.proto() } else { client.out.proto() };
        text.push_str(&line_of(engine, client, proto));
    }
    out.verbatim(&text);
    Ok(Done::Replied)
}

/// A line of CLIENT LIST.
fn line_of(engine: &Engine, client: &Client, proto: u8) -> String {
    let now = engine.now;
    let seconds = |since| now.saturating_duration_since(since).as_secs();
    let lines = &Table::get().lines;
    let cmd = lines.get(client.last_line).map_or("NULL", |line| &line.full_name);
    let flags = match (client.blocked, client.multi.is_some()) {
        (true, _) => "b",
        (false, true) => "x",
        (false, false) => "N",
    };
    let queued = client.multi.as_ref().map_or(-1, |multi| multi.queue.len() as i64);
    format!(
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub=0 psub=0 \
         ssub=0 multi={queued} watch={} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem={} obl=0 oll=0 \
         omem={} tot-mem={} events=rw cmd={cmd} user=default redir=-1 resp={proto} lib-name={} \
         lib-ver={}\n",
        client.id,
        client.address,
        client.local,
        shown(&client.name),
        seconds(client.since),
        seconds(client.last),
        client.db,
        client.watching.len(),
        client.multi.as_ref().map_or(0, |multi| multi.bytes),
        client.out.len(),
        client.out.len() + size_of::<Client>(),
        shown(&client.lib_name),
        shown(&client.lib_ver),
    )
}

fn unblock(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let end = match args {
        [_, _, _] => End::TimedOut,
        [_, _, _, how] if how.eq_ignore_ascii_case(b"timeout") => End::TimedOut,
        [_, _, _, how] if how.eq_ignore_ascii_case(b"error") => End::Refused,
        [_, _, _, _] => {
            return Err(Refusal::of("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
        _ => return Err(Refusal::unknown_or_wrong("CLIENT", args[1])),
    };
    let id = integer(args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let place = u64::try_from(id).ok().and_then(|id| engine.clients.find(id));
    let ended = place.is_some_and(|place| engine.end_wait(place, end));
    out.int(i64::from(ended));
    Ok(Done::Replied)
}

/// Which clients CLIENT KILL is about; what is not set says nothing.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn parse(args: &[&'a [u8]]) -> Result<Filter<'a>, Refusal> {
        let mut filter = Filter { skip_me: true, ..Filter::default() };
        for pair in args.chunks(2) {
            let [option, value] = pair else { return Err(Refusal::SYNTAX) };
            match &option.to_ascii_lowercase()[..] {
                b"id" => {
                    let id = integer(value).and_then(|id| u64::try_from(id).ok());
                    let id = id.filter(|id| *id > 0);
                    let none = Refusal::of("ERR client-id should be greater than 0");
                    filter.id = Some(id.ok_or(none)?);
                }
                b"addr" => filter.address = Some(value),
                b"laddr" => filter.local = Some(value),
                b"user" => filter.user = Some(value),
                b"type" => filter.kind = Some(value),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skip_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skip_me = false,
                _ => return Err(Refusal::SYNTAX),
            }
        }
        Ok(filter)
    }

    fn is_of(&self, client: &Client) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.address.is_none_or(|address| address == client.address.as_bytes())
            && self.local.is_none_or(|local| local == client.local.as_bytes())
            && self.user.is_none_or(|user| user == b"default")
            && self.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(b"normal"))
    }
}

/// CLIENT KILL, by address, or by ID and what else is known of clients here.
fn kill(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let old_form = args.len() == 3;
    let filter = match old_form {
        true => Filter { address: Some(args[2]), ..Filter::default() },
        false => Filter::parse(&args[2..])?,
    };
    let wanted = engine.clients.iter().filter(|(_, client)| filter.is_of(client));
    let wanted: Vec<usize> =
        wanted.map(|(other, _)| other).filter(|other| !filter.skip_me || *other != place).collect();
    if old_form && wanted.is_empty() {
        return Err(Refusal::of("ERR No such client"));
    }
    for other in &wanted {
        if let Some(client) = engine.clients.get_mut(*other) {
            // The caller is still to hear of it.
            client.closing = true;
            client.dead = *other != place;
        }
        engine.list(*other);
    }
    if old_form {
        out.ok()
    } else {
        out.count(wanted.len() as u64)
    }
    Ok(Done::Replied)
}

fn reply(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let client = me(engine, place)?;
    match &args[2].to_ascii_lowercase()[..] {
        b"on" => {
            client.reply = Reply::On;
            out.ok();
        }
        b"off" => client.reply = Reply::Off,
        b"skip" if client.reply == Reply::Off => {}
        b"skip" => client.reply = Reply::SkipNext,
        _ => return Err(Refusal::SYNTAX),
    }
    Ok(Done::Replied)
}

fn on_or_off(word: &[u8]) -> Result<bool, Refusal> {
    match &word.to_ascii_lowercase()[..] {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(Refusal::SYNTAX),
    }
}

/// Nothing is evicted here, so this is remembered only.
fn no_evict(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    me(engine, place)?.no_evict = on_or_off(args[2])?;
    replied(out)
}

fn no_touch(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    me(engine, place)?.no_touch = on_or_off(args[2])?;
    replied(out)
}

fn get_redirection(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.int(-1);
    Ok(Done::Replied)
}

fn tracking(_: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    if on_or_off(args[2])? {
        return Err(Refusal::of("ERR streamlog does not track what clients have cached"));
    }
    replied(out)
}

fn tracking_info(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.map(3);
    out.bulk(b"flags");
    out.set(1);
    out.bulk(b"off");
    out.bulk(b"redirect");
    out.int(-1);
    out.bulk(b"prefixes");
    out.array(0);
    Ok(Done::Replied)
}

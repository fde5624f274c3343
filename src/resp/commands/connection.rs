//! Commands on one's own connection: PING, AUTH, HELLO, SELECT and their kin.

use super::super::context::{Answer, Context, Done};
use super::super::engine::Engine;
use super::super::keys::DATABASES;
use super::super::out::Out;
use super::super::refusal::Refusal;
use super::super::request::integer;
use super::client::is_clean;
use super::table::{Command, FAST, NO_AUTH, NO_MULTI, NOT_QUEUED};
use subtle::ConstantTimeEq;

pub(crate) const COMMANDS: &[Command] = &[
    Command::data("ping", -1, FAST, ping),
    Command::data("echo", 2, FAST, echo),
    Command::server("auth", -2, FAST | NO_AUTH, auth),
    Command::server("hello", -1, FAST | NO_AUTH, hello),
    Command::server("select", 2, FAST, select),
    Command::server("quit", -1, FAST | NO_AUTH | NOT_QUEUED, quit),
    Command::server("reset", 1, FAST | NO_AUTH | NOT_QUEUED | NO_MULTI, reset),
];

/// What the server says it is to who asks for Redis's version.
pub(crate) const REDIS_VERSION: &str = "8.10.0";

fn ping(_: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    match args {
        [_] => out.simple("PONG"),
        [_, text] => out.bulk(text),
        _ => return Err(Refusal::arity("ping")),
    }
    Ok(Done::Replied)
}

fn echo(_: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    out.bulk(args[1]);
    Ok(Done::Replied)
}

/// Whether these words open the server. It takes the same time wherever they differ; only the
/// length of what was given shows, which its sender knows.
fn opens(password: Option<&[u8]>, user: &[u8], word: &[u8]) -> bool {
    let Some(password) = password else {
        return user == b"default";
    };
    let same_user = user.ct_eq(b"default");
    // Both are stretched to the length of what was given, and the lengths are compared besides.
    let stretched: Vec<u8> =
        (0..word.len()).map(|n| password.get(n).copied().unwrap_or(0)).collect();
    let same_length = (word.len() as u64).ct_eq(&(password.len() as u64));
    let same = stretched.as_slice().ct_eq(word) & same_length & same_user;
    same.into()
}

fn auth(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let (user, word) = match args {
        [_, word] => {
            if engine.config.password.is_none() {
                return Err(Refusal::of(
                    "ERR AUTH <password> called without any password configured for the default \
                     user. Are you sure your configuration is correct?",
                ));
            }
            (&b"default"[..], *word)
        }
        [_, user, word] => (*user, *word),
        _ => return Err(Refusal::SYNTAX),
    };
    log_in(engine, place, user, word)?;
    out.ok();
    Ok(Done::Replied)
}

fn log_in(engine: &mut Engine, place: usize, user: &[u8], word: &[u8]) -> Result<(), Refusal> {
    if !opens(engine.config.password.as_deref(), user, word) {
        return Err(Refusal::WRONG_PASS);
    }
    if let Some(client) = engine.clients.get_mut(place) {
        client.trusted = true;
    }
    Ok(())
}

/// HELLO: the protocol from here on, and what a client says of itself.
fn hello(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let mut proto = None;
    let mut name = None;
    let mut rest = args.get(1..).unwrap_or_default();
    if let [version, tail @ ..] = rest {
        let version = integer(version)
            .ok_or_else(|| Refusal::of("ERR Protocol version is not an integer or out of range"))?;
        if !(2..=3).contains(&version) {
            return Err(Refusal::NO_PROTO);
        }
        proto = Some(if version == 3 { 3 } else { 2 });
        rest = tail;
    }
    while let [option, tail @ ..] = rest {
        rest = match tail {
            [user, word, tail @ ..] if option.eq_ignore_ascii_case(b"auth") => {
                log_in(engine, place, user, word)?;
                tail
            }
            [given, tail @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                if !is_clean(given) {
                    return Err(super::client::UNCLEAN_NAME);
                }
                name = Some(given.to_vec());
                tail
            }
            _ => {
                let option = super::super::refusal::shown(option);
                let text = format!("ERR Syntax error in HELLO option '{option}'");
                return Err(Refusal::new(text));
            }
        };
    }
    let Some(client) = engine.clients.get_mut(place) else { return Ok(Done::Replied) };
    if !client.trusted {
        return Err(Refusal::of(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        client.name = name;
    }
    if let Some(proto) = proto {
        out.set_proto(proto);
    }
    introduce(client.id, out);
    Ok(Done::Replied)
}

fn introduce(id: u64, out: &mut Out) {
    out.map(7);
    let proto = i64::from(out.proto());
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"proto");
    out.int(proto);
    out.bulk(b"id");
    out.count(id);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"modules");
    out.array(0);
}

/// The number of a database in a command.
pub(super) fn database(word: &[u8]) -> Result<usize, Refusal> {
    let number = integer(word).ok_or(Refusal::NOT_AN_INTEGER)?;
    let number = usize::try_from(number).ok().filter(|number| *number < DATABASES);
    number.ok_or(Refusal::of("ERR DB index is out of range"))
}

fn select(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let db = database(args[1])?;
    if let Some(client) = engine.clients.get_mut(place) {
        client.db = db;
    }
    out.ok();
    Ok(Done::Replied)
}

fn quit(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    if let Some(client) = engine.clients.get_mut(place) {
        client.closing = true;
    }
    out.ok();
    Ok(Done::Replied)
}

/// RESET: as if the connection were new.
fn reset(engine: &mut Engine, place: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    engine.unwatch(place);
    let trusted = engine.config.password.is_none();
    if let Some(client) = engine.clients.get_mut(place) {
        client.multi = None;
        client.db = 0;
        client.name.clear();
        client.trusted = trusted;
        client.reply = super::super::client::Reply::On;
        client.no_evict = false;
        client.no_touch = false;
    }
    out.set_proto(2);
    out.simple("RESET");
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_opens() {
        let open = |word: &[u8]| opens(Some(b"secret"), b"default", word);
        assert!(open(b"secret"));
        for word in [&b""[..], b"secre", b"secrets", b"secret\0", b"Secret"] {
            assert!(!open(word), "{word:?}");
        }
        assert!(!opens(Some(b"secret"), b"root", b"secret"));
        assert!(opens(None, b"default", b"whatever"));
        assert!(!opens(None, b"root", b""));
    }
}

//! Commands on the server itself: CONFIG, COMMAND, SAVE, SHUTDOWN and their kin.

use super::super::config::{Config, Fsync};
use super::super::context::{Answer, Done};
use super::super::engine::Engine;
use super::super::glob::fits;
use super::super::out::Out;
use super::super::refusal::{Refusal, shown};
use super::super::request::integer;
use super::info::info;
use super::table::{
    ADMIN, BLOCKING, Command, FAST, Found, Line, NO_AUTH, NO_MULTI, READ, Run, Table, WRITE,
};
use std::time::SystemTime;

pub(crate) const COMMANDS: &[Command] = &[
    Command::server("info", -1, 0, info),
    Command::server("time", 1, FAST, time),
    Command::server("save", 1, ADMIN | NO_MULTI, save),
    Command::server("bgsave", -1, ADMIN, background_save),
    Command::server("bgrewriteaof", 1, ADMIN, rewrite),
    Command::server("lastsave", 1, FAST, last_save),
    Command::server("shutdown", -1, ADMIN | NO_MULTI, shutdown),
    Command::server("wait", 3, 0, wait),
    Command::server("role", 1, FAST, role),
    Command::with_parts(
        "config",
        &[
            Command::server("get", -3, ADMIN, config_get),
            Command::server("set", -4, ADMIN, config_set),
            Command::server("resetstat", 2, ADMIN, config_reset),
            Command::server("rewrite", 2, ADMIN, config_rewrite),
        ],
    ),
    Command {
        name: "command",
        arity: -1,
        flags: 0,
        run: Run::Server(command),
        parts: &[
            Command::server("count", 2, 0, command_count),
            Command::server("docs", -2, 0, command_docs),
            Command::server("info", -2, 0, command_info),
            Command::server("list", -2, 0, command_list),
        ],
    },
    Command::with_parts(
        "memory",
        &[
            Command::server("usage", -3, READ, memory_usage),
            Command::server("doctor", 2, 0, memory_doctor),
        ],
    ),
    Command::with_parts(
        "slowlog",
        &[
            Command::server("get", -2, ADMIN, nothing),
            Command::server("len", 2, ADMIN, zero),
            Command::server("reset", 2, ADMIN, fine),
        ],
    ),
    Command::with_parts("latency", &[Command::server("latest", 2, ADMIN, nothing)]),
];

fn fine(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.ok();
    Ok(Done::Replied)
}

fn nothing(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.array(0);
    Ok(Done::Replied)
}

fn zero(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.int(0);
    Ok(Done::Replied)
}

/// HELP of a command with parts that has none of its own: what parts there are.
pub(super) fn help(_: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let Some(Found::Line(line)) = args.first().map(|name| Table::get().find(&[name])) else {
        return Err(Refusal::SYNTAX);
    };
    let command = Table::get().lines[line].command;
    out.array(command.parts.len() + 2);
    let name = command.name.to_uppercase();
    out.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for part in command.parts {
        out.simple(&part.name.to_uppercase());
    }
    out.simple("HELP");
    Ok(Done::Replied)
}

fn time(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    out.array(2);
    out.bulk(since.as_secs().to_string().as_bytes());
    out.bulk(since.subsec_micros().to_string().as_bytes());
    Ok(Done::Replied)
}

fn role(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.array(3);
    out.bulk(b"master");
    out.int(0);
    out.array(0);
    Ok(Done::Replied)
}

/// There are no replicas to wait for.
fn wait(_: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    integer(args[1]).ok_or(Refusal::NOT_AN_INTEGER)?;
    match integer(args[2]) {
        None => Err(Refusal::of("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(Refusal::of("ERR timeout is negative")),
        Some(_) => {
            out.int(0);
            Ok(Done::Replied)
        }
    }
}

/// What was written is in the log; a snapshot adds that it is on disk, and the numbers that no
/// record tells of, such as how many duplicates were refused.
fn snapshot(engine: &mut Engine) -> Result<(), Refusal> {
    engine.store.sync()?;
    engine.store.shared().checkpoint()?;
    engine.space.dirty = 0;
    engine.last_save = engine.clock.now_ms() / 1000;
    Ok(())
}

fn save(engine: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    snapshot(engine)?;
    out.ok();
    Ok(Done::Replied)
}

fn background_save(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    match args {
        [_] => {}
        [_, how] if how.eq_ignore_ascii_case(b"schedule") => {}
        _ => return Err(Refusal::SYNTAX),
    }
    snapshot(engine)?;
    out.simple("Background saving started");
    Ok(Done::Replied)
}

/// Writes a checkpoint of the state journal, behind which its events are not needed any more.
fn rewrite(engine: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    engine.store.sync()?;
    engine.store.shared().checkpoint()?;
    out.simple("Background append only file rewriting started");
    Ok(Done::Replied)
}

fn last_save(engine: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.count(engine.last_save);
    Ok(Done::Replied)
}

/// The server ends; whose store it is closes it.
fn shutdown(engine: &mut Engine, place: usize, args: &[&[u8]], _: &mut Out) -> Answer {
    let known: [&[u8]; 4] = [b"nosave", b"save", b"now", b"force"];
    let abort = args.len() == 2 && args[1].eq_ignore_ascii_case(b"abort");
    if abort {
        return Err(Refusal::of("ERR No shutdown in progress."));
    }
    if !args[1..].iter().all(|word| known.iter().any(|known| known.eq_ignore_ascii_case(word))) {
        return Err(Refusal::SYNTAX);
    }
    engine.ends = true;
    if let Some(client) = engine.clients.get_mut(place) {
        client.closing = true;
    }
    Ok(Done::Replied)
}

fn config_get(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let wanted = |name: &&str| args[2..].iter().any(|word| fits(word, name.as_bytes(), true));
    let names: Vec<&str> = Config::names().filter(wanted).collect();
    out.map(names.len());
    for name in names {
        out.bulk(name.as_bytes());
        out.bulk(engine.config.get(name).unwrap_or_default().as_bytes());
    }
    Ok(Done::Replied)
}

/// CONFIG SET: all of the settings or none.
fn config_set(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    if !args.len().is_multiple_of(2) {
        return Err(Refusal::SYNTAX);
    }
    let refused = |name: &[u8], why: &str| {
        let name = shown(name);
        Refusal::new(format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
        ))
    };
    let pairs = || args[2..].chunks_exact(2).map(|pair| (pair[0], pair[1]));
    for (n, (name, _)) in pairs().enumerate() {
        if !Config::has(&shown(name)) {
            return Err(Refusal::new(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                shown(name)
            )));
        }
        if pairs().take(n).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(refused(name, "duplicate parameter"));
        }
    }
    let mut changed = engine.config.clone();
    for (name, value) in pairs() {
        changed.set(&shown(name), value).map_err(|why| refused(name, &why))?;
        let fsync = changed.appendfsync != engine.config.appendfsync;
        if fsync && (engine.home.is_none() || engine.config.appendfsync == Fsync::No) {
            return Err(refused(name, "the store was opened otherwise"));
        }
    }
    if changed.laid_out(Default::default()) != engine.config.laid_out(Default::default()) {
        engine.space.forget_nodes();
    }
    if changed.window() != engine.config.window() {
        engine.store.set_default_idempotency(changed.window())?;
    }
    engine.space.strict = engine.home.is_some() && changed.appendfsync == Fsync::Always;
    engine.config = changed;
    out.ok();
    Ok(Done::Replied)
}

fn config_reset(engine: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    engine.stats.reset();
    engine.space.expiries.expired = 0;
    out.ok();
    Ok(Done::Replied)
}

fn config_rewrite(_: &mut Engine, _: usize, _: &[&[u8]], _: &mut Out) -> Answer {
    Err(Refusal::of("ERR The server is running without a config file"))
}

/// Lines that are no parts.
fn commands() -> impl Iterator<Item = &'static Line> {
    let lines = Table::get().lines.iter();
    lines.filter(|line| line.full_name == line.command.name && !is_not_ours(line.command))
}

fn is_not_ours(command: &Command) -> bool {
    matches!(command.run, Run::NotOurs) && command.parts.is_empty()
}

fn command(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.array(commands().count());
    commands().for_each(|line| describe(line.command, line.command.name, out));
    Ok(Done::Replied)
}

fn command_count(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.count(commands().count() as u64);
    Ok(Done::Replied)
}

/// Clients have their own texts, and fall back to them.
fn command_docs(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.map(0);
    Ok(Done::Replied)
}

fn command_list(_: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let pattern = match args {
        [_, _] => None,
        [_, _, filter, kind, pattern]
            if filter.eq_ignore_ascii_case(b"filterby")
                && kind.eq_ignore_ascii_case(b"pattern") =>
        {
            Some(*pattern)
        }
        _ => return Err(Refusal::SYNTAX),
    };
    let names = commands().map(|line| line.command.name);
    let names = names.filter(|name| pattern.is_none_or(|p| fits(p, name.as_bytes(), true)));
    let names: Vec<&str> = names.collect();
    out.array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(Done::Replied)
}

fn command_info(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    if args.len() == 2 {
        return command(engine, place, args, out);
    }
    out.array(args.len() - 2);
    let table = Table::get();
    for name in &args[2..] {
        match table.find(&[name]) {
            Found::Line(line) if !is_not_ours(table.lines[line].command) => {
                let line = &table.lines[line];
                describe(line.command, &line.full_name, out);
            }
            _ => out.null(),
        }
    }
    Ok(Done::Replied)
}

fn describe(command: &Command, name: &str, out: &mut Out) {
    out.array(10);
    out.bulk(name.as_bytes());
    out.int(command.arity.into());
    let flags = [
        (WRITE, "write"),
        (READ, "readonly"),
        (BLOCKING, "blocking"),
        (ADMIN, "admin"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_MULTI, "no_multi"),
    ];
    let flags: Vec<&str> =
        flags.iter().filter(|(flag, _)| command.flags & flag != 0).map(|(_, name)| *name).collect();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.simple(flag));
    let keys: [i64; 3] = match command.name {
        "rename" | "renamenx" | "copy" => [1, 2, 1],
        "del" | "unlink" | "exists" | "touch" | "watch" => [1, -1, 1],
        "xread" | "xreadgroup" | "scan" | "keys" | "flushdb" | "flushall" | "swapdb" | "dbsize"
        | "randomkey" => [0, 0, 0],
        _ if name.contains('|') && command.flags & (READ | WRITE) != 0 => [2, 2, 1],
        _ if command.flags & (READ | WRITE) != 0 => [1, 1, 1],
        _ => [0, 0, 0],
    };
    keys.iter().for_each(|key| out.int(*key));
    out.set(0);
    out.set(0);
    out.array(0);
    out.array(command.parts.len());
    for part in command.parts {
        describe(part, &format!("{}|{}", command.name, part.name), out);
    }
}

/// What a stream takes in memory is about the same for all; on disk the caller may see for himself.
fn memory_usage(engine: &mut Engine, place: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    match &args[3..] {
        [] => {}
        [option, samples] if option.eq_ignore_ascii_case(b"samples") => {
            integer(samples).ok_or(Refusal::NOT_AN_INTEGER)?;
        }
        _ => return Err(Refusal::SYNTAX),
    }
    let db = engine.clients.get(place).map_or(0, |client| client.db);
    match engine.context(db, false).stream(args[2])? {
        Some(stream) => out.count(MEMORY_OF_A_STREAM + stream.name().len() as u64),
        None => out.null(),
    }
    Ok(Done::Replied)
}

const MEMORY_OF_A_STREAM: u64 = 2048;

fn memory_doctor(_: &mut Engine, _: usize, _: &[&[u8]], out: &mut Out) -> Answer {
    out.verbatim("Entries are on disk; what is in memory is small.");
    Ok(Done::Replied)
}

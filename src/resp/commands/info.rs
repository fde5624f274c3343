//! INFO: what the server says of itself, under Redis's names.

use super::super::context::{Answer, Done};
use super::super::engine::Engine;
use super::super::keys::{DATABASES, key_of};
use super::super::out::Out;
use super::connection::REDIS_VERSION;
use super::table::Table;
use std::fmt::Write;

type Section = fn(&Engine, &mut String) -> std::fmt::Result;

/// In Redis's order; those that are not in every answer have to be asked for.
const SECTIONS: &[(&str, bool, Section)] = &[
    ("Server", true, server),
    ("Clients", true, clients),
    ("Memory", true, memory),
    ("Persistence", true, persistence),
    ("Stats", true, stats),
    ("Replication", true, replication),
    ("CPU", true, cpu),
    ("Commandstats", false, command_stats),
    ("Errorstats", true, error_stats),
    ("Cluster", true, cluster),
    ("Keyspace", true, keyspace),
];

pub(super) fn info(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    let asked = |word: &str| args[1..].iter().any(|a| a.eq_ignore_ascii_case(word.as_bytes()));
    // It tells how many keys there are.
    engine.space.note_all();
    let (all, usual) = (asked("all") || asked("everything"), args.len() == 1 || asked("default"));
    let mut text = String::new();
    for (name, is_usual, section) in SECTIONS {
        if all || (usual && *is_usual) || asked(name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            text.push_str(&format!("# {name}\r\n"));
            // Writing to a string does not fail.
            if section(engine, &mut text).is_err() {
                break;
            }
        }
    }
    out.verbatim(&text);
    Ok(Done::Replied)
}

fn lines(text: &mut String, lines: &[(&str, String)]) -> std::fmt::Result {
    for (name, value) in lines {
        write!(text, "{name}:{value}\r\n")?;
    }
    Ok(())
}

fn server(engine: &Engine, text: &mut String) -> std::fmt::Result {
    let up = engine.now.saturating_duration_since(engine.started).as_secs();
    let fixed = |name| engine.config.get(name).unwrap_or_default();
    lines(
        text,
        &[
            ("redis_version", REDIS_VERSION.into()),
            ("server_name", "streamlog".into()),
            ("streamlog_version", env!("CARGO_PKG_VERSION").into()),
            ("redis_mode", "standalone".into()),
            ("os", std::env::consts::OS.into()),
            ("arch_bits", usize::BITS.to_string()),
            ("process_id", std::process::id().to_string()),
            ("tcp_port", fixed("port")),
            ("uptime_in_seconds", up.to_string()),
            ("uptime_in_days", (up / 86_400).to_string()),
            ("hz", fixed("hz")),
            ("config_file", String::new()),
        ],
    )
}

fn clients(engine: &Engine, text: &mut String) -> std::fmt::Result {
    let (blocking, on_no_key) = engine.space.waited();
    let watching = engine.clients.iter().filter(|(_, client)| !client.watching.is_empty());
    lines(
        text,
        &[
            ("connected_clients", engine.clients.len().to_string()),
            ("maxclients", engine.config.maxclients.to_string()),
            ("blocked_clients", engine.waits.len().to_string()),
            ("watching_clients", watching.count().to_string()),
            ("total_blocking_keys", blocking.to_string()),
            ("total_blocking_keys_on_nokey", on_no_key.to_string()),
        ],
    )
}

fn memory(engine: &Engine, text: &mut String) -> std::fmt::Result {
    let waiting: usize = engine.clients.iter().map(|(_, client)| client.out.len()).sum();
    lines(
        text,
        &[
            ("used_memory", waiting.to_string()),
            ("maxmemory", "0".into()),
            ("maxmemory_policy", "noeviction".into()),
            ("mem_clients_normal", waiting.to_string()),
        ],
    )
}

fn persistence(engine: &Engine, text: &mut String) -> std::fmt::Result {
    let health = engine.store.health();
    let sound = health.poisoned.is_none() && health.poisoned_streams.is_empty();
    let status = if sound { "ok" } else { "err" };
    lines(
        text,
        &[
            ("loading", "0".into()),
            ("rdb_changes_since_last_save", engine.space.dirty.to_string()),
            ("rdb_bgsave_in_progress", "0".into()),
            ("rdb_last_save_time", engine.last_save.to_string()),
            ("rdb_last_bgsave_status", status.into()),
            ("aof_enabled", "1".into()),
            ("aof_rewrite_in_progress", "0".into()),
            ("aof_rewrite_scheduled", "0".into()),
            ("aof_last_bgrewrite_status", status.into()),
            ("aof_last_write_status", status.into()),
            ("unsynced_bytes", health.unsynced_bytes.to_string()),
            ("open_streams", health.open_streams.to_string()),
        ],
    )
}

fn stats(engine: &Engine, text: &mut String) -> std::fmt::Result {
    let stats = &engine.stats;
    lines(
        text,
        &[
            ("total_connections_received", stats.connections.to_string()),
            ("total_commands_processed", stats.commands.to_string()),
            ("total_net_input_bytes", stats.net_in.to_string()),
            ("total_net_output_bytes", stats.net_out.to_string()),
            ("rejected_connections", stats.rejected_connections.to_string()),
            ("expired_keys", engine.space.expiries.expired.to_string()),
            ("evicted_keys", "0".into()),
            ("client_output_buffer_limit_disconnections", stats.output_limits.to_string()),
            ("total_error_replies", stats.errors.to_string()),
            ("group_commits", stats.syncs.to_string()),
        ],
    )
}

fn replication(_: &Engine, text: &mut String) -> std::fmt::Result {
    lines(text, &[("role", "master".into()), ("connected_slaves", "0".into())])
}

/// There is nothing portable to say.
fn cpu(_: &Engine, _: &mut String) -> std::fmt::Result {
    Ok(())
}

fn cluster(_: &Engine, text: &mut String) -> std::fmt::Result {
    lines(text, &[("cluster_enabled", "0".into())])
}

fn command_stats(engine: &Engine, text: &mut String) -> std::fmt::Result {
    for (line, calls) in Table::get().lines.iter().zip(&engine.stats.calls) {
        if calls.calls + calls.rejected + calls.failed == 0 {
            continue;
        }
        let micros = calls.time.as_micros();
        let each = micros as f64 / calls.calls.max(1) as f64;
        write!(
            text,
            "cmdstat_{}:calls={},usec={micros},usec_per_call={each:.2},rejected_calls={},\
             failed_calls={}\r\n",
            line.full_name, calls.calls, calls.rejected, calls.failed
        )?;
    }
    Ok(())
}

fn error_stats(engine: &Engine, text: &mut String) -> std::fmt::Result {
    for (code, count) in &engine.stats.by_code {
        write!(text, "errorstat_{code}:count={count}\r\n")?;
    }
    Ok(())
}

fn keyspace(engine: &Engine, text: &mut String) -> std::fmt::Result {
    let names = engine.store.names();
    for db in 0..DATABASES {
        let keys = names.iter().filter(|name| key_of(db, name).is_some()).count();
        if keys > 0 {
            let expiring = engine.space.expiries.names();
            let expires = expiring.filter(|name| key_of(db, name).is_some()).count();
            write!(text, "db{db}:keys={keys},expires={expires},avg_ttl=0\r\n")?;
        }
    }
    Ok(())
}

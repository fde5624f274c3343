//! The settings of CONFIG GET and CONFIG SET.
//!
//! Some are streamlog's own, some are remembered and mean nothing here: programs that were written
//! for Redis set them, and want to read them back.

use crate::options::{IdempotencyWindow, StreamOptions};
use std::collections::BTreeMap;
use std::time::Duration;

mod buffers;
use buffers::Buffers;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Entries in a node of a stream; 0 for no limit.
    pub(crate) stream_node_max_entries: i64,
    /// Bytes in a node of a stream; 0 for no limit.
    pub(crate) stream_node_max_bytes: i64,
    /// Seconds for which an idempotent ID is remembered, in new streams.
    pub(crate) stream_idmp_duration: i64,
    /// How many are remembered of one producer, in new streams.
    pub(crate) stream_idmp_maxsize: i64,
    pub(crate) maxclients: i64,
    pub(crate) proto_max_bulk_len: i64,
    pub(crate) query_buffer_limit: i64,
    /// What holds where `client-output-buffer-limit` sets no limit.
    pub(crate) output_limit: i64,
    buffers: Buffers,
    /// Seconds after which an idle client is sent away; 0 for never.
    pub(crate) timeout: i64,
    pub(crate) appendfsync: Fsync,
    pub(crate) password: Option<Vec<u8>>,
    /// Whether other machines can reach the server: then there has to be a password.
    pub(crate) open: bool,
    /// Whether DEBUG is allowed.
    pub(crate) debug: bool,
    /// What cannot be changed while the server runs.
    pub(crate) fixed: BTreeMap<&'static str, String>,
    remembered: BTreeMap<&'static str, String>,
}

/// When what was written goes to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fsync {
    Always,
    EverySec,
    No,
}

impl Fsync {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::EverySec => "everysec",
            Fsync::No => "no",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Fsync> {
        [Fsync::Always, Fsync::EverySec, Fsync::No]
            .into_iter()
            .find(|fsync| fsync.name().eq_ignore_ascii_case(text))
    }
}

type Get = fn(&Config) -> i64;
type Put = fn(&mut Config, i64);

enum Kind {
    Number(i64, i64, Get, Put),
    /// With an optional unit: `4kb`.
    Memory(i64, i64, Get, Put),
    Buffers,
    Fsync,
    Password,
    /// Set when the server starts.
    Fixed,
    Remembered(&'static str),
}

/// All names, in order.
const SETTINGS: &[(&str, Kind)] = &[
    ("aof-rewrite-incremental-fsync", Kind::Remembered("yes")),
    ("aof-use-rdb-preamble", Kind::Remembered("yes")),
    ("appendfsync", Kind::Fsync),
    ("appendonly", Kind::Remembered("yes")),
    ("auto-aof-rewrite-percentage", Kind::Remembered("100")),
    ("bind", Kind::Fixed),
    ("client-output-buffer-limit", Kind::Buffers),
    (
        "client-query-buffer-limit",
        Kind::Memory(1 << 20, i64::MAX, |c| c.query_buffer_limit, |c, v| c.query_buffer_limit = v),
    ),
    ("databases", Kind::Fixed),
    ("dir", Kind::Fixed),
    ("enable-debug-command", Kind::Fixed),
    ("hz", Kind::Remembered("10")),
    ("latency-monitor-threshold", Kind::Remembered("0")),
    ("lazyfree-lazy-user-del", Kind::Remembered("no")),
    ("lfu-decay-time", Kind::Remembered("1")),
    ("list-max-listpack-size", Kind::Remembered("-2")),
    ("loglevel", Kind::Remembered("notice")),
    ("maxclients", Kind::Number(1, 1 << 20, |c| c.maxclients, |c, v| c.maxclients = v)),
    ("maxmemory", Kind::Remembered("0")),
    ("maxmemory-policy", Kind::Remembered("noeviction")),
    ("no-appendfsync-on-rewrite", Kind::Remembered("no")),
    ("notify-keyspace-events", Kind::Remembered("")),
    ("port", Kind::Fixed),
    (
        "proto-max-bulk-len",
        Kind::Memory(1 << 20, i64::MAX, |c| c.proto_max_bulk_len, |c, v| c.proto_max_bulk_len = v),
    ),
    ("requirepass", Kind::Password),
    ("save", Kind::Remembered("")),
    ("slowlog-log-slower-than", Kind::Remembered("10000")),
    ("slowlog-max-len", Kind::Remembered("128")),
    (
        "stream-idmp-duration",
        Kind::Number(1, 86_400, |c| c.stream_idmp_duration, |c, v| c.stream_idmp_duration = v),
    ),
    (
        "stream-idmp-maxsize",
        Kind::Number(1, 10_000, |c| c.stream_idmp_maxsize, |c, v| c.stream_idmp_maxsize = v),
    ),
    (
        "stream-node-max-bytes",
        Kind::Memory(0, i64::MAX, |c| c.stream_node_max_bytes, |c, v| c.stream_node_max_bytes = v),
    ),
    (
        "stream-node-max-entries",
        Kind::Number(
            0,
            i64::MAX,
            |c| c.stream_node_max_entries,
            |c, v| c.stream_node_max_entries = v,
        ),
    ),
    ("timeout", Kind::Number(0, i32::MAX as i64, |c| c.timeout, |c, v| c.timeout = v)),
    ("unixsocket", Kind::Fixed),
];

impl Config {
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        SETTINGS.iter().map(|(name, _)| *name)
    }

    fn kind(name: &str) -> Option<&'static (&'static str, Kind)> {
        SETTINGS.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// Whether there is a setting of this name.
    pub(crate) fn has(name: &str) -> bool {
        Config::kind(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let (name, kind) = Config::kind(name)?;
        Some(match kind {
            Kind::Number(_, _, get, _) | Kind::Memory(_, _, get, _) => get(self).to_string(),
            Kind::Buffers => self.buffers.text(),
            Kind::Fsync => self.appendfsync.name().to_owned(),
            Kind::Password => {
                let word = self.password.as_deref().unwrap_or_default();
                String::from_utf8_lossy(word).into_owned()
            }
            Kind::Fixed => self.fixed.get(name).cloned().unwrap_or_default(),
            Kind::Remembered(default) => {
                self.remembered.get(name).map_or(*default, String::as_str).to_owned()
            }
        })
    }

    /// Changes one setting; or why not, in Redis's words. Unknown names are for the caller.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        let Some((name, kind)) = Config::kind(name) else {
            return Err("unknown".into());
        };
        let text = String::from_utf8_lossy(value).into_owned();
        match kind {
            Kind::Number(min, max, _, put) => {
                let number = text.parse().map_err(|_| NOT_A_NUMBER.to_owned())?;
                put(self, within(number, *min, *max)?);
            }
            Kind::Memory(min, max, _, put) => {
                let number = memory(&text).ok_or_else(|| NOT_MEMORY.to_owned())?;
                put(self, within(number, *min, *max)?);
            }
            Kind::Buffers => self.buffers.set(&text)?,
            Kind::Fsync => {
                self.appendfsync = Fsync::parse(&text).ok_or_else(|| NOT_FSYNC.to_owned())?;
            }
            Kind::Password if value.is_empty() && self.open => {
                return Err("others can reach this server, so it needs one".into());
            }
            Kind::Password => self.password = Some(value.to_vec()).filter(|word| !word.is_empty()),
            Kind::Fixed => return Err("can't set immutable config".into()),
            Kind::Remembered(_) => drop(self.remembered.insert(name, text)),
        }
        Ok(())
    }

    /// The most that may wait to be sent to a client who comes now.
    pub(crate) fn most_output(&self) -> usize {
        let own = u64::try_from(self.output_limit).unwrap_or(u64::MAX);
        usize::try_from(self.buffers.most().unwrap_or(own)).unwrap_or(usize::MAX)
    }

    /// What new streams remember of idempotent producers.
    pub(crate) fn window(&self) -> IdempotencyWindow {
        let seconds = u64::try_from(self.stream_idmp_duration).unwrap_or(1);
        let iids = u32::try_from(self.stream_idmp_maxsize).unwrap_or(1);
        IdempotencyWindow::new().duration(Duration::from_secs(seconds)).max_iids(iids)
    }

    /// The same as what the store has for streams that are made by the application.
    pub(crate) fn set_window(&mut self, window: IdempotencyWindow) {
        self.stream_idmp_duration = i64::try_from(window.duration.as_secs()).unwrap_or(i64::MAX);
        self.stream_idmp_maxsize = window.max_iids.into();
    }

    /// Whether nodes are to be laid out otherwise than the store does by itself.
    pub(crate) fn has_own_nodes(&self) -> bool {
        (self.stream_node_max_entries, self.stream_node_max_bytes) != NODES
    }

    /// The options of a stream with the node settings in them.
    pub(crate) fn laid_out(&self, options: StreamOptions) -> StreamOptions {
        if !self.has_own_nodes() {
            return options;
        }
        let limit = |value: i64, none: u32| match value {
            0 => none,
            value => u32::try_from(value).unwrap_or(u32::MAX),
        };
        options
            .block_entries(limit(self.stream_node_max_entries, u32::MAX))
            .block_bytes(limit(self.stream_node_max_bytes, 1 << 30))
    }
}

const NODES: (i64, i64) = (100, 4096);
const NOT_A_NUMBER: &str = "argument couldn't be parsed into an integer";
const NOT_MEMORY: &str = "argument must be a memory value";
const NOT_FSYNC: &str = "argument(s) must be one of the following: everysec, always, no";

impl Default for Config {
    fn default() -> Config {
        Config {
            stream_node_max_entries: NODES.0,
            stream_node_max_bytes: NODES.1,
            stream_idmp_duration: 100,
            stream_idmp_maxsize: 100,
            maxclients: 10_000,
            proto_max_bulk_len: 512 << 20,
            query_buffer_limit: 1 << 30,
            output_limit: 256 << 20,
            buffers: Buffers::default(),
            timeout: 0,
            appendfsync: Fsync::EverySec,
            password: None,
            open: false,
            debug: false,
            fixed: BTreeMap::new(),
            remembered: BTreeMap::new(),
        }
    }
}

fn within(value: i64, min: i64, max: i64) -> Result<i64, String> {
    if value < min || value > max {
        return Err(format!("argument must be between {min} and {max} inclusive"));
    }
    Ok(value)
}

/// A number of bytes: `100`, `4kb`, `1g`.
fn memory(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    text[..end].parse::<i64>().ok()?.checked_mul(units(&text[end..])?)
}

fn units(text: &str) -> Option<i64> {
    Some(match text.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_limits_and_units() {
        let mut config = Config::default();
        assert_eq!(
            config.set("stream-idmp-duration", b"0").unwrap_err(),
            "argument must be between 1 and 86400 inclusive"
        );
        config.set("Stream-Node-Max-Bytes", b"1kb").unwrap();
        assert_eq!(config.get("stream-node-max-bytes").unwrap(), "1024");
        assert!(config.has_own_nodes());
        assert!(config.set("port", b"1").is_err());
        assert!(config.set("timeout", b"x").is_err());
        config.set("save", b"3600 1").unwrap();
        assert_eq!(config.get("save").unwrap(), "3600 1");
    }

    #[test]
    fn names_are_in_order() {
        assert!(Config::names().is_sorted());
    }
}

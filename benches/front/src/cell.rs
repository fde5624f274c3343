//! The cells of the table: what is done, over what, at which level, and the floor of the ratio.

use crate::Outcome;
use crate::group;
use crate::server::{Kind, Server};
use std::process::Command;

/// The bytes of an entry's one field.
pub const PAYLOAD: usize = 100;
/// Connections of `redis-benchmark`.
const CONNECTIONS: u32 = 64;

/// What is measured.
#[derive(Clone, Copy)]
pub enum Work {
    /// XADD by 64 connections, so many commands in flight on each; how many a full run sends.
    Append { pipeline: u32, commands: u32 },
    /// XREADGROUP and XACK of so many entries at a time by so many connections; how many entries in
    /// all.
    Group { count: u32, connections: u32, entries: u32 },
}

/// One line of the table.
pub struct Cell {
    /// What is done.
    pub work: Work,
    /// Over a unix socket, or else over TCP.
    pub by_socket: bool,
    /// `appendfsync`.
    pub fsync: &'static str,
    /// What the ratio to Redis must reach; reads have none.
    pub floor: Option<f64>,
}

const fn append(pipeline: u32, commands: u32, by_socket: bool, fsync: &'static str) -> Cell {
    let floor = if matches!(fsync.as_bytes(), b"always") { 2.0 } else { 1.0 };
    Cell { work: Work::Append { pipeline, commands }, by_socket, fsync, floor: Some(floor) }
}

const fn read(count: u32, entries: u32, by_socket: bool, fsync: &'static str) -> Cell {
    let (floor, connections) =
        if matches!(fsync.as_bytes(), b"always") { (2.0, CONNECTIONS) } else { (1.0, 8) };
    let work = Work::Group { count, connections, entries };
    Cell { work, by_socket, fsync, floor: Some(floor) }
}

/// All of them, in the table's order.
pub const CELLS: [Cell; 16] = [
    append(1, 400_000, true, "everysec"),
    append(1, 400_000, false, "everysec"),
    append(64, 3_000_000, true, "everysec"),
    append(64, 3_000_000, false, "everysec"),
    append(1, 200_000, true, "always"),
    append(1, 200_000, false, "always"),
    append(64, 2_000_000, true, "always"),
    append(64, 2_000_000, false, "always"),
    read(1, 60_000, true, "everysec"),
    read(1, 60_000, false, "everysec"),
    read(100, 600_000, true, "everysec"),
    read(100, 600_000, false, "everysec"),
    read(1, 30_000, true, "always"),
    read(1, 30_000, false, "always"),
    read(100, 400_000, true, "always"),
    read(100, 400_000, false, "always"),
];

impl Cell {
    /// Names it in results.
    pub fn name(&self) -> String {
        let over = if self.by_socket { "unix" } else { "tcp" };
        match self.work {
            Work::Append { pipeline, .. } => format!("xadd-P{pipeline}-{over}-{}", self.fsync),
            Work::Group { count, .. } => format!("group-{count}-{over}-{}", self.fsync),
        }
    }

    /// What it is, for a reader.
    pub fn title(&self) -> String {
        let over = if self.by_socket { "unix socket" } else { "TCP" };
        match self.work {
            Work::Append { pipeline, .. } => {
                format!("XADD of {PAYLOAD} B, -c {CONNECTIONS} -P {pipeline}, {over}")
            }
            Work::Group { count, connections, .. } => {
                format!("XREADGROUP COUNT {count} and XACK, {connections} connections, {over}")
            }
        }
    }

    /// Whether it is measured of this server. The limit knows nothing of groups.
    pub fn is_for(&self, kind: Kind) -> bool {
        kind != Kind::Limit || matches!(self.work, Work::Append { .. })
    }

    /// Entries a second.
    pub fn measure(&self, server: &Server, quick: bool) -> Outcome<f64> {
        let share = |all: u32| if quick { all / 5 } else { all };
        match self.work {
            Work::Append { pipeline, commands } => self.append(server, pipeline, share(commands)),
            Work::Group { count, connections, entries } => {
                group::measure(server, (connections, self.by_socket), count, share(entries))
            }
        }
    }

    fn append(&self, server: &Server, pipeline: u32, commands: u32) -> Outcome<f64> {
        // Without a server it would try for ever.
        let mut benchmark = Command::new("timeout");
        benchmark.args(["300", "redis-benchmark"]);
        if self.by_socket {
            benchmark.arg("-s").arg(&server.socket);
        } else {
            benchmark.args(["-h", "127.0.0.1", "-p", &server.port.to_string()]);
        }
        let output = benchmark
            .args(["--csv", "-c", &CONNECTIONS.to_string(), "-P", &pipeline.to_string()])
            .args(["-n", &commands.to_string(), "XADD", "entries", "*", "data"])
            .arg("x".repeat(PAYLOAD))
            .output()
            .map_err(|error| format!("redis-benchmark cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // "test","rps",…: the second column of the last line.
        let line = text.lines().rfind(|line| line.starts_with('"')).unwrap_or_default();
        let rate = line.rsplit('"').nth(13).and_then(|cell| cell.parse().ok());
        rate.ok_or_else(|| format!("no rate in what redis-benchmark said: {text}").into())
    }
}

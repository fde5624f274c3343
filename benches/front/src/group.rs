//! A group's work, as a worker does it: read some new entries, acknowledge them, until there is
//! nothing left. Commands are encoded beforehand and replies are looked at no closer than it takes
//! to acknowledge, so that most of what is measured is the server.

use crate::Outcome;
use crate::cell::PAYLOAD;
use crate::server::Server;
use redis::{Connection, Value, cmd};
use std::time::Instant;

/// Entries that are appended in one pipeline, before the clock starts.
const FILL: u32 = 1000;

/// Entries a second that some connections, over TCP or a unix socket, read and acknowledge, so many
/// at a time.
pub fn measure(
    server: &Server,
    (connections, by_socket): (u32, bool),
    count: u32,
    entries: u32,
) -> Outcome<f64> {
    let mut first = server.connect(by_socket)?;
    cmd("XGROUP").arg(&["CREATE", "entries", "workers", "0", "MKSTREAM"]).exec(&mut first)?;
    let payload = "x".repeat(PAYLOAD);
    for _ in 0..entries / FILL {
        let mut pipe = redis::pipe();
        for _ in 0..FILL {
            pipe.cmd("XADD").arg(&["entries", "*", "data", &payload]).ignore();
        }
        pipe.exec(&mut first)?;
    }
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(server.connect(by_socket)?);
    }
    let begun = Instant::now();
    let worked = std::thread::scope(|scope| {
        let workers = open.into_iter().enumerate();
        let workers = workers.map(|(n, connection)| {
            scope.spawn(move || work(connection, n, count).map_err(|error| error.to_string()))
        });
        let workers: Vec<_> = workers.collect();
        workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
    });
    let took = begun.elapsed().as_secs_f64();
    let mut all = 0;
    for one in worked {
        all += one.map_err(|_| "a worker panicked")??;
    }
    let filled = entries / FILL * FILL;
    if all != filled {
        return Err(format!("{all} entries were read and acknowledged of {filled}").into());
    }
    Ok(f64::from(all) / took)
}

/// Reads and acknowledges until nothing is left; how many entries.
fn work(mut connection: Connection, n: usize, count: u32) -> Outcome<u32> {
    let consumer = format!("worker-{n}");
    let mut read = cmd("XREADGROUP");
    read.arg(&["GROUP", "workers", &consumer, "COUNT", &count.to_string()]);
    read.arg(&["STREAMS", "entries", ">"]);
    let mut all = 0;
    loop {
        let reply: Value = read.query(&mut connection)?;
        let ids = ids(&reply)?;
        if ids.is_empty() {
            return Ok(all);
        }
        let acknowledged: u32 =
            cmd("XACK").arg(&["entries", "workers"]).arg(&ids).query(&mut connection)?;
        all += acknowledged;
    }
}

/// The IDs in the reply of a read of one stream.
fn ids(reply: &Value) -> Outcome<Vec<&[u8]>> {
    let Value::Array(streams) = reply else { return Ok(Vec::new()) };
    let Some(Value::Array(stream)) = streams.first() else { return Err("no stream".into()) };
    let Some(Value::Array(entries)) = stream.get(1) else { return Err("no entries".into()) };
    let ids = entries.iter().map(|entry| match entry {
        Value::Array(parts) => match parts.first() {
            Some(Value::BulkString(id)) => Ok(id.as_slice()),
            _ => Err("an entry without an ID".into()),
        },
        _ => Err("no entry".into()),
    });
    ids.collect()
}

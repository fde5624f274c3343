//! Redis: a server of its own for each measurement, reached over a unix socket in the
//! measurement's directory, with an append-only file and neither snapshots nor rewriting of it.
//! Entries are a stream with the field `data`. A batch is a pipeline of `XADD`s; each thread has a
//! connection of its own.
//!
//! Durable is `appendfsync always`, without a sync it is `no`. Opening is to start the server and
//! to wait until it has replayed its file.

use super::{Id, Outcome, Peer};
use crate::process::sync_files;
use crate::workload::Level;
use redis::{Client, Cmd, Connection, ConnectionAddr, IntoConnectionInfo, Pipeline, Value, cmd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The row.
pub struct Redis {
    server: Server,
    client: Client,
    connection: Mutex<Connection>,
    dir: PathBuf,
}

/// A server that ends with this.
struct Server(Mutex<Child>);

/// The program. It is no crate's, so a machine may lack it.
pub const PROGRAM: &str = "redis-server";
const STREAM: &str = "entries";
const GROUP: &str = "workers";
const CONSUMER: &str = "only";
/// Entries that one command of a scan asks for.
const FETCH: usize = 1000;
/// How long a server may take to replay its file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why no row of Redis can run here.
pub fn missing() -> Option<String> {
    let found = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status();
    found.err().map(|error| format!("{PROGRAM} cannot be run: {error}"))
}

impl Server {
    fn start(dir: &Path, level: Level) -> Outcome<Server> {
        let fsync = match level {
            Level::Unsynced => "no",
            Level::Durable => "always",
        };
        let server = Command::new(PROGRAM)
            .current_dir(dir)
            .args(["--port", "0", "--unixsocket", "socket", "--dir", "."])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", fsync])
            .args(["--auto-aof-rewrite-percentage", "0", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Server(Mutex::new(server)))
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        let mut server = self.lock();
        // Both fail only if it has ended already.
        server.kill().and_then(|()| server.wait()).ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The first connection that is answered, when everything was loaded.
fn connect(server: &Server, client: &Client) -> Outcome<Connection> {
    let begun = Instant::now();
    loop {
        if let Some(ended) = server.lock().try_wait()? {
            return Err(format!("{PROGRAM} ended with {ended}").into());
        }
        let answered = client.get_connection().and_then(|mut connection| {
            cmd("PING").exec(&mut connection)?;
            Ok(connection)
        });
        match answered {
            Ok(connection) => return Ok(connection),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn add(payload: &[u8]) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(STREAM).arg("*").arg("data").arg(payload);
    add
}

fn bytes(value: &Value) -> Outcome<&[u8]> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        other => Err(format!("no string: {other:?}").into()),
    }
}

fn list(value: &Value) -> Outcome<&[Value]> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(&[]),
        other => Err(format!("no list: {other:?}").into()),
    }
}

fn id(value: &Value) -> Outcome<Id> {
    let text = str::from_utf8(bytes(value)?)?;
    let (ms, seq) = text.split_once('-').ok_or("no ID")?;
    Ok(Id(ms.parse()?, seq.parse()?))
}

/// An entry as replies have it: its ID and a list of fields and values.
fn entry(value: &Value) -> Outcome<(&Value, &[u8])> {
    let [id, fields] = list(value)? else {
        return Err("no entry".into());
    };
    let [_, payload] = list(fields)? else {
        return Err("not one field".into());
    };
    Ok((id, bytes(payload)?))
}

impl Redis {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what a range holds; how many, and the last one's ID.
    fn range(
        &self,
        (command, from, to): (&str, &str, &str),
        count: usize,
        each: &mut impl FnMut(&[u8]),
    ) -> Outcome<(u64, Option<Id>)> {
        let mut range = cmd(command);
        range.arg(STREAM).arg(from).arg(to).arg("COUNT").arg(count);
        let found: Value = range.query(&mut self.lock())?;
        let (found, mut last) = (list(&found)?, None);
        for value in found {
            let (found, payload) = entry(value)?;
            each(payload);
            last = Some(found);
        }
        Ok((found.len() as u64, last.map(id).transpose()?))
    }
}

impl Peer for Redis {
    type Lane = Connection;

    const SAME_IN_BATCHES: bool = true;

    fn open(dir: &Path, level: Level) -> Outcome<Redis> {
        let server = Server::start(dir, level)?;
        let address = ConnectionAddr::Unix(dir.join("socket"));
        let client = Client::open(address.into_connection_info()?)?;
        let connection = Mutex::new(connect(&server, &client)?);
        Ok(Redis { server, client, connection, dir: dir.to_owned() })
    }

    fn lane(&self, _lane: usize) -> Outcome<Connection> {
        Ok(self.client.get_connection()?)
    }

    fn append(&self, lane: &mut Connection, payload: &[u8]) -> Outcome<Id> {
        id(&add(payload).query(lane)?)
    }

    fn append_batch(&self, lane: &mut Connection, payloads: &[&[u8]]) -> Outcome<Id> {
        let mut pipeline = Pipeline::with_capacity(payloads.len());
        for payload in payloads {
            pipeline.add_command(add(payload));
        }
        let ids: Vec<Value> = pipeline.query(lane)?;
        id(ids.last().ok_or("an empty batch")?)
    }

    fn sync(&self) -> Outcome<()> {
        // There is no command for it; what was answered has been written.
        sync_files(&self.dir)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let (mut entries, mut from) = (0, "-".to_owned());
        loop {
            let (more, last) = self.range(("XRANGE", &from, "+"), FETCH, &mut each)?;
            entries += more;
            let Some(last) = last else {
                return Ok(entries);
            };
            from = format!("({}-{}", last.0, last.1);
        }
    }

    fn read_from(&self, id: Id, count: usize, mut each: impl FnMut(&[u8])) -> Outcome<u64> {
        let from = format!("{}-{}", id.0, id.1);
        Ok(self.range(("XRANGE", &from, "+"), count, &mut each)?.0)
    }

    fn has_last(&self) -> Outcome<bool> {
        let (found, _) = self.range(("XREVRANGE", "+", "-"), 1, &mut |_| ())?;
        Ok(found == 1)
    }

    fn read_and_ack(
        &self,
        batch: usize,
        mut each: impl FnMut(&[u8]),
        mut stop: impl FnMut(u64) -> bool,
    ) -> Outcome<()> {
        let mut connection = self.lock();
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(STREAM).arg(GROUP).arg("0");
        create.exec(&mut connection)?;
        loop {
            let mut read = cmd("XREADGROUP");
            read.arg("GROUP").arg(GROUP).arg(CONSUMER);
            read.arg("COUNT").arg(batch);
            read.arg("STREAMS").arg(STREAM).arg(">");
            let streams: Value = read.query(&mut connection)?;
            let Some(stream) = list(&streams)?.first() else {
                return Ok(());
            };
            let [_, entries] = list(stream)? else {
                return Err("no stream".into());
            };
            let mut acknowledge = cmd("XACK");
            acknowledge.arg(STREAM).arg(GROUP);
            for value in list(entries)? {
                let (id, payload) = entry(value)?;
                each(payload);
                acknowledge.arg(bytes(id)?);
            }
            if stop(acknowledge.query(&mut connection)?) {
                return Ok(());
            }
        }
    }

    fn other_process(&self) -> Option<u32> {
        Some(self.server.lock().id())
    }

    fn abandon(&self) {
        self.server.kill();
    }

    fn close(self) -> Outcome<()> {
        // It answers with nothing: the connection ends.
        cmd("SHUTDOWN").exec(&mut self.lock()).ok();
        let ended = self.server.lock().wait()?;
        if !ended.success() {
            return Err(format!("{PROGRAM} ended with {ended}").into());
        }
        Ok(())
    }

    fn finished(_dir: &Path) -> Outcome<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

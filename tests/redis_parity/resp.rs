//! A `redis-server` of our own on a private unix socket, and the RESP2 protocol to talk to it.
//!
//! The server lives as long as its `Server`; nothing is kept on disk and no port is opened.

use crate::op::Words;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How many entries a node of the radix tree takes, and a block of ours: small, so that `~`
/// trimming meets borders often.
pub(crate) const NODE_ENTRIES: u32 = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Array(Vec<Value>),
    Nil,
}

pub(crate) struct Server {
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Starts a server and waits until it listens. `Ok(None)` if there is none on the PATH.
    pub(crate) fn start() -> std::io::Result<Option<Server>> {
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("socket");
        let nodes = NODE_ENTRIES.to_string();
        let started = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--databases", "4"])
            .args(["--stream-node-max-entries", &nodes, "--stream-node-max-bytes", "0"])
            .args(["--dir"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            started => started?,
        };
        let server = Server { child, dir };
        let deadline = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(server.socket()).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen after 30 s");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(server))
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// A connection that works in a database of its own.
    pub(crate) fn client(&self, database: u32) -> Client {
        let stream = UnixStream::connect(self.socket()).unwrap();
        let mut client = Client { reader: BufReader::new(stream), out: Vec::new() };
        client.ask(&["SELECT", &database.to_string()]);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have died by itself; there is nothing to save.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    out: Vec<u8>,
}

impl Client {
    /// Sends one command and waits for its reply.
    pub(crate) fn call(&mut self, words: &Words) -> Value {
        self.out.clear();
        write!(self.out, "*{}\r\n", words.0.len()).unwrap();
        for word in &words.0 {
            write!(self.out, "${}\r\n", word.len()).unwrap();
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
        self.reader.get_mut().write_all(&self.out).unwrap();
        self.value()
    }

    /// The same for a command in plain words.
    pub(crate) fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Value {
        let mut command = Words::default();
        for word in words {
            command.put(word);
        }
        self.call(&command)
    }

    fn value(&mut self) -> Value {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r\n").expect("a whole line"));
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().expect("a number");
        match kind {
            "+" => Value::Simple(rest.to_owned()),
            "-" => Value::Error(rest.to_owned()),
            ":" => Value::Int(number()),
            "$" | "*" if number() < 0 => Value::Nil,
            "$" => {
                let mut bytes = vec![0; number() as usize + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Value::Bulk(bytes)
            }
            "*" => Value::Array((0..number()).map(|_| self.value()).collect()),
            _ => panic!("not RESP2: {line}"),
        }
    }
}

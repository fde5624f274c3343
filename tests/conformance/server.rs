//! What the tests are run against: our own process, a real `redis-server`, and two stubs that
//! give the same answer to everything, against which every test must fail.

use crate::client::Client;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `streamlog serve` as cargo has just built it.
    Ours,
    /// Redis 7.0.15 of the PATH: to check the tests, as far as its features go.
    Redis,
    /// Answers `+OK` to everything.
    StubOk,
    /// Answers `$-1` to everything.
    StubNil,
}

impl Target {
    pub(crate) fn is_stub(self) -> bool {
        matches!(self, Target::StubOk | Target::StubNil)
    }

    /// How long a test waits for a reply.
    pub(crate) fn patience(self) -> Duration {
        Duration::from_millis(if self.is_stub() { 100 } else { 30_000 })
    }
}

pub(crate) struct Server {
    pub(crate) target: Target,
    dir: TempDir,
    child: Option<Child>,
    /// Clients talk RESP3.
    resp3: bool,
}

impl Server {
    pub(crate) fn start(target: Target, resp3: bool) -> Result<Server, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut server = Server { target, dir, child: None, resp3 };
        server.launch()?;
        Ok(server)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn client(&self) -> Result<Client, String> {
        let mut client = Client::connect(&self.socket(), self.target.patience())?;
        if self.resp3 && !self.target.is_stub() {
            client.hello3_unseen()?;
        }
        Ok(client)
    }

    /// Ends the process without a warning, and starts it again on what it left.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.stop();
        self.launch()
    }

    fn launch(&mut self) -> Result<(), String> {
        let answer = match self.target {
            Target::Ours => return self.process(ours(&self.dir)?),
            Target::Redis => return self.process(redis(&self.dir)),
            Target::StubOk => b"+OK\r\n".as_slice(),
            Target::StubNil => b"$-1\r\n".as_slice(),
        };
        // A stub keeps nothing, so it need not end to be started again.
        if self.socket().exists() {
            return Ok(());
        }
        let listener = UnixListener::bind(self.socket()).map_err(|error| error.to_string())?;
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || parrot(stream, answer));
            }
        });
        Ok(())
    }

    fn process(&mut self, mut command: Command) -> Result<(), String> {
        std::fs::remove_file(self.socket()).ok();
        command.arg("--unixsocket").arg(self.socket());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let log = std::fs::File::create(self.dir.path().join("log"));
        command.stderr(log.map_err(|error| error.to_string())?);
        let started = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        self.child = Some(started);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.dir.path().join("log"));
                return Err(format!("{command:?} does not listen: {}", log.unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether it still serves.
    pub(crate) fn answers(&self) -> bool {
        let pong = self.client().and_then(|mut client| client.is("PING", "+PONG"));
        self.target.is_stub() || pong.is_ok()
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ours(dir: &TempDir) -> Result<Command, String> {
    let program = option_env!("CARGO_BIN_EXE_streamlog");
    let program = program.ok_or("the binary `streamlog` is not built")?;
    let mut command = Command::new(program);
    command.arg("serve").arg(dir.path().join("store"));
    command.args(["--no-port", "--enable-debug-command"]);
    if let Some(when) = std::env::var_os("STREAMLOG_CONFORMANCE_FSYNC") {
        command.arg("--appendfsync").arg(when);
    }
    Ok(command)
}

/// The log of commands is always on, so that what is to survive a restart does.
fn redis(dir: &TempDir) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--daemonize", "no", "--dir"]).arg(dir.path());
    command.args(["--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--appendfsync", "no"]);
    command.args(["--enable-debug-command", "yes", "--loglevel", "warning"]);
    command
}

/// Reads commands and gives the one answer to each.
fn parrot(stream: UnixStream, answer: &[u8]) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while skip_command(&mut reader).is_some() && out.write_all(answer).is_ok() {}
}

/// `None` at the end of the connection.
fn skip_command(reader: &mut BufReader<UnixStream>) -> Option<()> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let words = line.strip_prefix('*').map_or(0, |n| n.trim().parse().unwrap_or(0));
    for _ in 0..words {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let len: u64 = line.strip_prefix('$')?.trim().parse().ok()?;
        std::io::copy(&mut reader.by_ref().take(len + 2), &mut std::io::sink()).ok()?;
    }
    Some(())
}

/// Whether there is a Redis to compare with.
pub(crate) fn has_redis() -> bool {
    let asked = Command::new("redis-server").arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}

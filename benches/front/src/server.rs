//! The servers, each in a process and a directory of its own, reached over TCP and over a unix
//! socket.

use crate::Outcome;
use redis::{Client, Connection, ConnectionAddr, IntoConnectionInfo};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `streamlog serve`.
    Streamlog,
    /// `redis-server` with an append-only file, no snapshots, no rewriting.
    Redis,
    /// No product: see [`crate::limit`].
    Limit,
}

/// In the order in which they are measured.
pub const KINDS: [Kind; 3] = [Kind::Streamlog, Kind::Redis, Kind::Limit];

impl Kind {
    /// The row's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Streamlog => "streamlog",
            Kind::Redis => "redis",
            Kind::Limit => "limit",
        }
    }
}

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that ends with this.
pub struct Server {
    child: Child,
    /// Its TCP port on the loopback interface.
    pub port: u16,
    /// Its unix socket.
    pub socket: PathBuf,
}

/// Builds the library's program as a user would, and tells where it is.
pub fn build(root: &Path) -> Outcome<PathBuf> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--features", "resp", "--bin", "streamlog"])
        .current_dir(root)
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !built.success() {
        return Err("streamlog does not build".into());
    }
    Ok(root.join("target/release/streamlog"))
}

impl Server {
    /// Starts one in `dir` and waits until it answers.
    pub fn start(kind: Kind, program: &Path, dir: &Path, fsync: &str) -> Outcome<Server> {
        // Taken, let go, and used right away.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let socket = dir.join("socket");
        let mut command = match kind {
            Kind::Streamlog => {
                let mut command = Command::new(program);
                command.arg("serve").arg(dir.join("store"));
                command
            }
            Kind::Redis => {
                let mut command = Command::new("redis-server");
                command.arg("--dir").arg(dir).args(["--save", "", "--appendonly", "yes"]);
                command.args(["--auto-aof-rewrite-percentage", "0"]);
                command
            }
            Kind::Limit => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("limit").arg(port.to_string()).arg(&socket).arg(fsync);
                command
            }
        };
        if kind != Kind::Limit {
            command.args(["--port", &port.to_string(), "--appendfsync", fsync]);
            command.arg("--unixsocket").arg(&socket);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be run: {error}", kind.name()))?;
        let mut server = Server { child, port, socket };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait()? {
                return Err(format!("a server ended with {ended}").into());
            }
            match self.connect(true) {
                Ok(_answered) => return Ok(()),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// A connection that was answered.
    pub fn connect(&self, by_socket: bool) -> Outcome<Connection> {
        let address = if by_socket {
            ConnectionAddr::Unix(self.socket.clone())
        } else {
            ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port)
        };
        let mut connection = Client::open(address.into_connection_info()?)?.get_connection()?;
        redis::cmd("PING").exec(&mut connection)?;
        Ok(connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().and_then(|()| self.child.wait().map(drop)).ok();
    }
}

//! The server as a caller sees it: options, start, end.

use super::commands::table::Table;
use super::config::{Config, Fsync};
use super::engine::Engine;
use super::keys;
use super::listen::{Listener, check_guarded, resolve};
use super::turns::{Turns, Wakes};
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::store::{Store, StoreOptions};
use mio::Waker;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a [`Server`] is started.
///
/// ```
/// use streamlog::resp::ServerOptions;
///
/// let options = ServerOptions::new().port(0).password("a long one");
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerOptions {
    bind: String,
    port: Option<u16>,
    unix_socket: Option<PathBuf>,
    config: Config,
}

/// When the changes that clients make go to disk; of a server that has opened the store itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendFsync {
    /// No reply to a change is sent before the change is on disk. Clients that write at the same
    /// time share one sync.
    Always,
    /// Once a second.
    EverySecond,
    /// When the store is closed, and by SAVE.
    Never,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions::new()
    }
}

impl ServerOptions {
    /// Port 6380 of the loopback address, no password.
    pub fn new() -> ServerOptions {
        ServerOptions {
            bind: "127.0.0.1".into(),
            port: Some(6380),
            unix_socket: None,
            config: Config::default(),
        }
    }

    /// The address to listen on. One that other machines can reach needs a password.
    pub fn bind(mut self, address: impl Into<String>) -> ServerOptions {
        self.bind = address.into();
        self
    }

    /// The port; 0 for any that is free, which [`Server::local_addr`] tells.
    pub fn port(mut self, port: u16) -> ServerOptions {
        self.port = Some(port);
        self
    }

    /// No port at all, only the socket of [`ServerOptions::unix_socket`].
    pub fn no_port(mut self) -> ServerOptions {
        self.port = None;
        self
    }

    /// Also listens on a socket in the file system, which only the owner of the process can use.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> ServerOptions {
        self.unix_socket = Some(path.into());
        self
    }

    /// What clients have to give first (AUTH). An empty one is none.
    #[doc(alias = "AUTH")]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> ServerOptions {
        self.config.password = Some(password.into()).filter(|word| !word.is_empty());
        self
    }

    /// When changes go to disk, where the server opens the store; once a second by default.
    pub fn append_fsync(mut self, when: AppendFsync) -> ServerOptions {
        self.config.appendfsync = match when {
            AppendFsync::Always => Fsync::Always,
            AppendFsync::EverySecond => Fsync::EverySec,
            AppendFsync::Never => Fsync::No,
        };
        self
    }

    /// How many clients there may be at a time; 10,000 by default, and in any case not more than
    /// three quarters of the descriptors that the process may have: the store needs some, too.
    pub fn max_clients(mut self, clients: u32) -> ServerOptions {
        self.config.maxclients = i64::from(clients.max(1));
        self
    }

    /// The longest word of a command; 512 MiB by default. Of a client that has not given the
    /// password no word of more than 16 KiB is taken, and no command of more than ten words.
    pub fn max_bulk_bytes(mut self, bytes: u64) -> ServerOptions {
        self.config.proto_max_bulk_len = number(bytes);
        self
    }

    /// The longest command, and the most that may wait in a transaction; 1 GiB by default. Apart
    /// from that, a command has at most 1,048,576 words.
    pub fn max_query_bytes(mut self, bytes: u64) -> ServerOptions {
        self.config.query_buffer_limit = number(bytes);
        self
    }

    /// The most that may wait to be sent to one client; 256 MiB by default. A reply that is longer
    /// ends the connection. For those who come later a client can set it anew: CONFIG SET
    /// `client-output-buffer-limit` as in Redis, where of the class `normal` the hard limit counts,
    /// and 0 brings this one back.
    pub fn max_reply_bytes(mut self, bytes: u64) -> ServerOptions {
        self.config.output_limit = number(bytes);
        self
    }

    /// Clients that have sent nothing for so long are sent away; by default none are.
    pub fn idle_timeout(mut self, longest: Duration) -> ServerOptions {
        self.config.timeout = number(longest.as_secs()).min(i64::from(i32::MAX));
        self
    }

    /// Allows DEBUG, with which a client can have the store closed and opened again, or make the
    /// server sleep.
    pub fn enable_debug_command(mut self, yes: bool) -> ServerOptions {
        self.config.debug = yes;
        self
    }

    /// Opens a port on an open store. The application goes on using it: what it appends wakes the
    /// clients that wait for it, and its levels of durability hold for what they write, too. Under
    /// [`Durability::Always`] each of their changes waits for the disk by itself; a server with a
    /// store of its own shares syncs among clients ([`AppendFsync::Always`]).
    ///
    /// # Errors
    /// `InvalidConfig` for an address that others can reach without a password; `Io` and its kin
    /// for what the operating system refuses.
    pub fn start(self, store: &Store) -> Result<Server> {
        self.listen(store.clone(), None)
    }

    /// Opens the store in a directory and serves it. Nobody else has this store, so DEBUG RELOAD
    /// can close it and open it again.
    ///
    /// # Errors
    /// As [`StoreOptions::open`] and [`ServerOptions::start`].
    pub fn open(self, dir: impl AsRef<Path>, options: &StoreOptions) -> Result<Server> {
        let level = match self.config.appendfsync {
            // Those who write wait for syncs of the server's own; this one is for what is left.
            Fsync::Always | Fsync::EverySec => EVERY_SECOND,
            Fsync::No => Durability::Manual,
        };
        let options = options.clone().durability(level);
        let dir = dir.as_ref().to_owned();
        // A server that may not listen makes no store.
        self.addresses()?;
        let store = options.open(&dir)?;
        self.listen(store, Some((dir, options)))
    }

    /// Where to listen, if that is allowed.
    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let Some(port) = self.port else { return Ok(Vec::new()) };
        let addresses = resolve(&self.bind, port)?;
        check_guarded(&addresses, self.config.password.is_some())?;
        Ok(addresses)
    }

    fn listen(mut self, store: Store, home: Option<(PathBuf, StoreOptions)>) -> Result<Server> {
        let mut listeners = Vec::new();
        if self.port.is_some() {
            let addresses = self.addresses()?;
            self.config.open = check_guarded(&addresses, false).is_err();
            listeners.push(Listener::tcp(&addresses)?);
        }
        if let Some(path) = &self.unix_socket {
            listeners.push(Listener::unix(path)?);
        }
        let local_addr = listeners.iter().find_map(Listener::local_addr);
        self.fix(local_addr, home.as_ref());
        // Built before the first client waits for it.
        Table::get();
        let mut engine = Engine::new(store, home, self.config);
        engine.space.strict = engine.home.is_some() && engine.config.appendfsync == Fsync::Always;
        let wakes =
            Wakes::new().map_err(|e| Error::io("start a loop for", Path::new("the server"), e))?;
        let handle = ServerHandle {
            local_addr,
            stop: Arc::clone(&wakes.stop),
            waker: Arc::clone(&wakes.waker),
        };
        Ok(Server { handle, wakes, listeners, engine })
    }

    /// Writes down what CONFIG GET tells of the start.
    fn fix(&mut self, local: Option<SocketAddr>, home: Option<&(PathBuf, StoreOptions)>) {
        let debug = if self.config.debug { "local" } else { "no" };
        let path = |path: Option<&PathBuf>| {
            path.map(|path| path.display().to_string()).unwrap_or_default()
        };
        let fixed = [
            ("bind", self.bind.clone()),
            ("port", local.map_or(0, |address| address.port()).to_string()),
            ("unixsocket", path(self.unix_socket.as_ref())),
            ("databases", keys::DATABASES.to_string()),
            ("dir", path(home.map(|(dir, _)| dir))),
            ("enable-debug-command", debug.to_owned()),
        ];
        self.config.fixed.extend(fixed);
    }
}

/// Like [`Durability::EVERY_SECOND`], but with room for what a fast second brings.
const EVERY_SECOND: Durability =
    Durability::Interval { every: Duration::from_secs(1), max_unsynced_bytes: 256 << 20 };

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A server that listens; from [`ServerOptions::start`] or [`ServerOptions::open`]. Clients are
/// served while [`Server::run`] runs.
pub struct Server {
    handle: ServerHandle,
    wakes: Wakes,
    listeners: Vec<Listener>,
    engine: Engine,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({:?})", self.handle.local_addr)
    }
}

impl Server {
    /// Options to start a server with.
    pub fn options() -> ServerOptions {
        ServerOptions::new()
    }

    /// The address with the port that clients connect to; `None` if there is no port.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.local_addr
    }

    /// A handle with which other threads end the server.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves clients in this thread, until [`ServerHandle::shutdown`] or SHUTDOWN by a client.
    /// What was replied to by then holds as the level of durability says; a store that the server
    /// has opened itself is closed.
    ///
    /// # Errors
    /// `Io` if the event loop fails; what [`Store::close`] may give.
    pub fn run(self) -> Result<()> {
        Turns::new(self.wakes, self.listeners, self.engine)?.run()
    }
}

/// Ends a server from outside. Cloning gives another handle to the same server.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    local_addr: Option<SocketAddr>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl ServerHandle {
    /// The address with the port that clients connect to; `None` if there is no port.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Has the server end: what runs is run to its end, what is written is made durable as far as
    /// it was promised, all connections are closed. Does not wait for it.
    #[doc(alias = "SHUTDOWN")]
    pub fn shutdown(&self) {
        self.stop.store(true, Ordering::Release);
        // Where nothing can be woken any more, the server has ended.
        drop(self.waker.wake());
    }
}

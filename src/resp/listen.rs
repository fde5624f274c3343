//! Where clients come in: a port, a socket in the file system, or both.

use crate::error::{Error, ErrorKind, Result};
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// One place where clients come in.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

/// The connection of one client.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A client that has just come.
pub(crate) struct Arrival {
    pub(crate) socket: Socket,
    pub(crate) address: String,
    pub(crate) local: String,
}

fn refused(op: &'static str, at: &str, error: io::Error) -> Error {
    Error::io(op, Path::new(at), error)
}

/// The addresses that a name stands for.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let found = (host, port).to_socket_addrs().map_err(|e| refused("resolve", host, e))?;
    Ok(found.collect())
}

impl Listener {
    pub(crate) fn tcp(addresses: &[SocketAddr]) -> Result<Listener> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpListener::bind(*address) {
                Ok(listener) => return Ok(Listener::Tcp(listener)),
                Err(error) => last = error,
            }
        }
        let at = addresses.first().map(SocketAddr::to_string).unwrap_or_default();
        Err(refused("bind", &at, last))
    }

    /// Only the owner of the process can connect. A socket that a server has left behind which is
    /// there no more is taken away.
    #[cfg(unix)]
    pub(crate) fn unix(path: &Path) -> Result<Listener> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let is_socket =
            |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        if is_socket(path) && std::os::unix::net::UnixStream::connect(path).is_err() {
            std::fs::remove_file(path).map_err(|e| Error::io("remove", path, e))?;
        }
        // It gets its name when it is protected, so that nobody can slip in before.
        let mut first = path.as_os_str().to_owned();
        first.push("~");
        let first = PathBuf::from(first);
        if is_socket(&first) {
            // A start that did not come to its end has left it.
            std::fs::remove_file(&first).map_err(|e| Error::io("remove", &first, e))?;
        }
        let listener = UnixListener::bind(&first).map_err(|e| Error::io("bind", &first, e))?;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&first, mode).map_err(|e| Error::io("protect", path, e))?;
        if std::fs::symlink_metadata(path).is_ok() {
            drop(std::fs::remove_file(&first));
            return Err(Error::io("bind", path, io::ErrorKind::AddrInUse.into()));
        }
        std::fs::rename(&first, path).map_err(|e| Error::io("rename", path, e))?;
        Ok(Listener::Unix(listener, path.to_owned()))
    }

    #[cfg(not(unix))]
    pub(crate) fn unix(path: &Path) -> Result<Listener> {
        Err(Error::io("bind", path, io::ErrorKind::Unsupported.into()))
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        }
    }

    /// The next client; `WouldBlock` if there is none.
    pub(crate) fn accept(&self) -> io::Result<Arrival> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // Replies are written in one piece, and shall not wait for anything.
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?.to_string();
                let socket = Socket::Tcp(stream);
                Ok(Arrival { socket, address: address.to_string(), local })
            }
            #[cfg(unix)]
            Listener::Unix(listener, path) => {
                let (stream, _) = listener.accept()?;
                let address = format!("{}:0", path.display());
                Ok(Arrival { socket: Socket::Unix(stream), local: address.clone(), address })
            }
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            #[cfg(unix)]
            Listener::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Listener::Unix(_, path) = self {
            // One that stays is taken away by the next server.
            drop(std::fs::remove_file(path));
        }
    }
}

impl Socket {
    /// Tells of what can be read, once for each time.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.register(registry, token, Interest::READABLE),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.register(registry, token, Interest::READABLE),
        }
    }

    /// Tells of room for writing as well, or no more. It is asked for only while there is none:
    /// each reply that the other side takes would be told of otherwise.
    pub(crate) fn tell_of_room(
        &mut self,
        registry: &Registry,
        token: Token,
        yes: bool,
    ) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let what = if yes { both } else { Interest::READABLE };
        match self {
            Socket::Tcp(stream) => stream.reregister(registry, token, what),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.reregister(registry, token, what),
        }
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.deregister(registry),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.deregister(registry),
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_once(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.write_once(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    // Without the C library, whose calls look in a process of several threads at each time whether
    // they are to be cancelled.
    #[cfg(target_os = "linux")]
    fn read_once(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let flags = rustix::net::RecvFlags::empty();
        let (read, _) = match self {
            Socket::Tcp(stream) => rustix::net::recv(&*stream, into, flags)?,
            Socket::Unix(stream) => rustix::net::recv(&*stream, into, flags)?,
        };
        Ok(read)
    }

    #[cfg(target_os = "linux")]
    fn write_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = rustix::net::SendFlags::NOSIGNAL;
        Ok(match self {
            Socket::Tcp(stream) => rustix::net::send(&*stream, bytes, flags)?,
            Socket::Unix(stream) => rustix::net::send(&*stream, bytes, flags)?,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn read_once(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => io::Read::read(stream, into),
            #[cfg(unix)]
            Socket::Unix(stream) => io::Read::read(stream, into),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn write_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => io::Write::write(stream, bytes),
            #[cfg(unix)]
            Socket::Unix(stream) => io::Write::write(stream, bytes),
        }
    }
}

/// How many clients there can be with descriptors left for the store: a quarter of those that the
/// process may have, and 32 at least.
pub(crate) fn room_for_clients() -> usize {
    #[cfg(unix)]
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        return most.saturating_sub((most / 4).max(32)).max(1);
    }
    usize::MAX
}

/// Whether an address can be reached from this machine only, or else there has to be a password.
pub(crate) fn check_guarded(addresses: &[SocketAddr], password: bool) -> Result<()> {
    match addresses.iter().find(|address| !address.ip().is_loopback()) {
        Some(address) if !password => Err(Error::new(ErrorKind::InvalidConfig {
            field: "bind",
            value: address.ip().to_string(),
            allowed: "a loopback address, unless there is a password",
        })),
        _ => Ok(()),
    }
}

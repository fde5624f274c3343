//! What no server of one thread could do without: reads what clients send, finds the ends of the
//! commands, answers each XADD with an ID that is always the same. It keeps nothing. Under `always`
//! it writes what it has read in a round to a file whose blocks were written before, and syncs that
//! once before it answers, which is the least that such a promise takes.

use crate::Outcome;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Registry, Token, event::Source};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

const TCP: Token = Token(0);
const UNIX: Token = Token(1);
/// The tokens of connections begin here.
const FIRST: usize = 2;
/// The file that is written again and again.
const RING: u64 = 64 << 20;

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.read(to),
            Socket::Unix(socket) => socket.read(to),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.write_all(bytes),
            Socket::Unix(socket) => socket.write_all(bytes),
        }
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            Socket::Unix(socket) => socket.register(registry, token, Interest::READABLE),
        }
    }
}

struct Conn {
    socket: Socket,
    /// A command that is not all there.
    rest: Vec<u8>,
    replies: Vec<u8>,
}

/// Where rounds are stored.
struct Ring {
    file: File,
    at: u64,
}

impl Ring {
    fn new(path: &Path) -> io::Result<Ring> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        for at in (0..RING).step_by(1 << 20) {
            file.write_all_at(&[0; 1 << 20], at)?;
        }
        file.sync_all()?;
        Ok(Ring { file, at: 0 })
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at + bytes.len() as u64 > RING {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.file.sync_data()
    }
}

/// Serves until it is killed.
pub fn serve(port: u16, socket: &Path, always: bool) -> Outcome<()> {
    let mut poll = Poll::new()?;
    let mut tcp = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    let mut unix = UnixListener::bind(socket)?;
    poll.registry().register(&mut tcp, TCP, Interest::READABLE)?;
    poll.registry().register(&mut unix, UNIX, Interest::READABLE)?;
    let mut ring = always.then(|| Ring::new(&socket.with_extension("ring"))).transpose()?;
    let mut events = Events::with_capacity(1024);
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let mut scratch = vec![0; 64 << 10];
    let (mut heard, mut to_send) = (Vec::new(), Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        heard.clear();
        for event in &events {
            match event.token() {
                TCP => {
                    while let Some((stream, _)) = ready(tcp.accept())? {
                        stream.set_nodelay(true)?;
                        welcome(&mut conns, Socket::Tcp(stream), poll.registry())?;
                    }
                }
                UNIX => {
                    while let Some((stream, _)) = ready(unix.accept())? {
                        welcome(&mut conns, Socket::Unix(stream), poll.registry())?;
                    }
                }
                Token(n) => {
                    let conn = &mut conns[n - FIRST];
                    if conn.as_mut().is_some_and(|c| !c.hear(&mut scratch, &mut heard)) {
                        *conn = None;
                    }
                    to_send.push(n - FIRST);
                }
            }
        }
        if let Some(ring) = &mut ring
            && !heard.is_empty()
        {
            ring.store(&heard)?;
        }
        for conn in to_send.drain(..) {
            if let Some(conn) = &mut conns[conn]
                && !conn.replies.is_empty()
            {
                // What a client has in flight fits into its socket's room.
                conn.socket.write_all(&conn.replies)?;
                conn.replies.clear();
            }
        }
    }
}

/// `None` once there is nothing more.
fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn welcome(conns: &mut Vec<Option<Conn>>, socket: Socket, registry: &Registry) -> io::Result<()> {
    let mut socket = socket;
    socket.register(registry, Token(FIRST + conns.len()))?;
    conns.push(Some(Conn { socket, rest: Vec::new(), replies: Vec::new() }));
    Ok(())
}

impl Conn {
    /// Reads all there is; `false` at the end of the connection.
    fn hear(&mut self, scratch: &mut [u8], heard: &mut Vec<u8>) -> bool {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            heard.extend_from_slice(&scratch[..count]);
            if self.rest.is_empty() {
                let taken = answer(&scratch[..count], &mut self.replies);
                self.rest.extend_from_slice(&scratch[taken..count]);
            } else {
                self.rest.extend_from_slice(&scratch[..count]);
                let taken = answer(&self.rest, &mut self.replies);
                self.rest.drain(..taken);
            }
            if count < scratch.len() {
                return true;
            }
        }
    }
}

/// Answers the commands that are all there; how many bytes they are.
fn answer(input: &[u8], replies: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some((name, end)) = command(&input[at..]) {
        let reply: &[u8] = match name {
            b"XADD" => b"$15\r\n1700000000000-0\r\n",
            b"PING" => b"+PONG\r\n",
            _ => b"-ERR nothing but XADD and PING\r\n",
        };
        replies.extend_from_slice(reply);
        at += end;
    }
    at
}

/// The name of the command that the input begins with, and its end.
fn command(input: &[u8]) -> Option<(&[u8], usize)> {
    let (words, mut at) = number(input, 0)?;
    let mut name = None;
    for _ in 0..words {
        let (len, begin) = number(input, at)?;
        at = begin + len + 2;
        let word = input.get(begin..begin + len)?;
        name.get_or_insert(word);
    }
    (at <= input.len()).then_some((name.unwrap_or_default(), at))
}

/// The number of a line that begins with a sign at `at`, and where the next one begins.
fn number(input: &[u8], at: usize) -> Option<(usize, usize)> {
    let line = input.get(at + 1..)?;
    let len = line.iter().position(|byte| *byte == b'\r')?;
    let value = line[..len].iter().fold(0, |value, digit| value * 10 + usize::from(digit - b'0'));
    Some((value, at + len + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_commands_are_answered_once() {
        let add = b"*3\r\n$4\r\nXADD\r\n$1\r\ns\r\n$2\r\n\r\n\r\n";
        let all = [&add[..], b"*1\r\n$4\r\nPING\r\n", add].concat();
        for cut in 0..all.len() {
            let mut replies = Vec::new();
            let taken = answer(&all[..cut], &mut replies);
            let (whole, rest) = (&all[..taken], &all[taken..]);
            assert!(whole.len() <= cut);
            assert_eq!(answer(rest, &mut replies), rest.len());
            let id = "$15\r\n1700000000000-0\r\n";
            assert_eq!(String::from_utf8_lossy(&replies), format!("{id}+PONG\r\n{id}"));
        }
    }
}

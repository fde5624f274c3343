//! A server in a thread of the test, and a client that says and hears exactly what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use streamlog::resp::{Server, ServerHandle, ServerOptions};
use streamlog::{Result, Store};

/// Longer than anything here takes, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A server that ends with the test.
pub(crate) struct Served {
    pub(crate) handle: ServerHandle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Served {
    pub(crate) fn run(server: Server) -> Served {
        let handle = server.handle();
        Served { handle, thread: Some(std::thread::spawn(move || server.run())) }
    }

    /// On a store in memory.
    pub(crate) fn start(options: ServerOptions) -> Served {
        Served::on(&Store::in_memory().unwrap(), options)
    }

    pub(crate) fn on(store: &Store, options: ServerOptions) -> Served {
        Served::run(options.port(0).start(store).unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.local_addr().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Result<()> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the server has panicked");
        }
    }
}

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        let reader = BufReader::new(socket.try_clone().unwrap());
        Client { socket, reader }
    }

    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a command: words between blanks.
    pub(crate) fn send(&mut self, words: &str) {
        let words: Vec<&[u8]> = words.split_whitespace().map(str::as_bytes).collect();
        self.send_words(&words);
    }

    pub(crate) fn send_words(&mut self, words: &[&[u8]]) {
        self.raw(encoded(words));
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        // A connection that was reset is as closed as any other.
        self.reader.read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
        Some(String::from_utf8(line).unwrap().trim_end_matches("\r\n").to_owned())
    }

    /// The next reply, as it came but for the line ends, which are blanks; `None` at the end of
    /// the connection.
    pub(crate) fn reply(&mut self) -> Option<String> {
        let line = self.line()?;
        let (kind, rest) = line.split_at(1);
        let count = || rest.parse::<i64>().unwrap();
        Some(match kind {
            "$" | "=" if count() >= 0 => {
                let mut bytes = vec![0; usize::try_from(count()).unwrap() + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                String::from_utf8_lossy(&bytes).into_owned()
            }
            "*" | "%" | "~" if count() >= 0 => {
                let parts = if kind == "%" { count() * 2 } else { count() };
                let parts: Option<Vec<String>> = (0..parts).map(|_| self.reply()).collect();
                format!("{kind}[{}]", parts?.join(" "))
            }
            _ => line,
        })
    }

    pub(crate) fn ask(&mut self, words: &str) -> String {
        self.send(words);
        self.reply().unwrap_or_else(|| panic!("{words}: the connection has ended"))
    }

    /// Whether the server has closed the connection, and what it has said until then.
    pub(crate) fn until_end(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(reply) = self.reply() {
            all.push(reply);
        }
        all
    }

    pub(crate) fn ends_sending(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// One line of INFO.
    pub(crate) fn info(&mut self, field: &str) -> String {
        let text = self.ask("INFO everything");
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("there is no {field}")).trim().to_owned()
    }

    /// Waits until INFO says this.
    pub(crate) fn until_info(&mut self, field: &str, value: &str) {
        let late = std::time::Instant::now() + LONG;
        while self.info(field) != value {
            assert!(std::time::Instant::now() < late, "{field} does not become {value}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A command as clients send it.
pub(crate) fn encoded(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

//! A small client of the protocol: one command and its reply, pipelines, and calls whose reply
//! comes later because they block.

use crate::pattern;
use crate::reply::Reply;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub(crate) type Outcome = Result<(), String>;

pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    patience: Duration,
    /// For messages: the last thing that was sent.
    last: String,
    /// The protocol is RESP3 and the test was written for RESP2: maps are shown as what they are
    /// there.
    as_resp2: bool,
}

/// A map of XREAD is an array of pairs in RESP2, any other one a flat array.
fn without_maps(reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::Array(items.into_iter().map(without_maps).collect()),
        Reply::Map(pairs) => {
            let of_read = pairs.iter().all(|(_, value)| matches!(value, Reply::Array(_)));
            let pairs = pairs.into_iter().map(|(key, value)| [key, without_maps(value)]);
            Reply::Array(match of_read {
                true => pairs.map(|pair| Reply::Array(pair.to_vec())).collect(),
                false => pairs.flatten().collect(),
            })
        }
        other => other,
    }
}

/// What a test gives as one word of a command.
pub(crate) fn encode(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(200) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

impl Client {
    pub(crate) fn connect(socket: &Path, patience: Duration) -> Result<Client, String> {
        let failed = |error: std::io::Error| format!("no connection: {error}");
        let stream = UnixStream::connect(socket).map_err(failed)?;
        stream.set_read_timeout(Some(patience)).map_err(failed)?;
        stream.set_write_timeout(Some(patience)).map_err(failed)?;
        Ok(Client {
            reader: BufReader::new(stream),
            patience,
            last: String::new(),
            as_resp2: false,
        })
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> Outcome {
        let sent = self.reader.get_mut().write_all(bytes);
        sent.map_err(|error| format!("{}: not sent: {error}", self.last))
    }

    /// Sends the words, and does not wait for the reply.
    pub(crate) fn send_words(&mut self, words: &[impl AsRef<[u8]>]) -> Outcome {
        let shown: Vec<_> =
            words.iter().map(|word| String::from_utf8_lossy(word.as_ref()).into_owned()).collect();
        self.last = shorten(&shown.join(" "));
        self.send_bytes(&encode(words))
    }

    /// Sends a command in the notation of `pattern::words`, and does not wait for the reply.
    pub(crate) fn send(&mut self, command: impl AsRef<str>) -> Outcome {
        let words = pattern::words(command.as_ref());
        self.send_words(&words)
    }

    fn broken(&self, error: &std::io::Error) -> String {
        let what = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("no reply within {} ms", self.patience.as_millis())
            }
            _ => format!("the connection broke: {error}"),
        };
        format!("{}: {what}", self.last)
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).map_err(|error| self.broken(&error))?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if read == 0 => Err(format!("{}: the connection was closed", self.last)),
            None => Err(format!("{}: a line without CR LF", self.last)),
        }
    }

    fn exactly(&mut self, len: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; len + 2];
        self.reader.read_exact(&mut bytes).map_err(|error| self.broken(&error))?;
        match bytes.split_off(len) == b"\r\n" {
            true => Ok(bytes),
            false => Err(format!("{}: a bulk string without CR LF", self.last)),
        }
    }

    fn not_resp(&self, line: &str) -> String {
        format!("{}: not RESP: {line}", self.last)
    }

    fn several(&mut self, n: i64) -> Result<Vec<Reply>, String> {
        (0..n).map(|_| self.read_raw()).collect()
    }

    /// The next reply.
    pub(crate) fn read(&mut self) -> Result<Reply, String> {
        let reply = self.read_raw()?;
        Ok(if self.as_resp2 { without_maps(reply) } else { reply })
    }

    fn read_raw(&mut self) -> Result<Reply, String> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| self.not_resp(&line))?;
        let number = || rest.parse::<i64>().map_err(|_| self.not_resp(&line));
        let len = || number().and_then(|n| usize::try_from(n).map_err(|_| self.not_resp(&line)));
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(number()?),
            "_" => Reply::Null,
            "$" if rest == "-1" => Reply::NullBulk,
            "*" if rest == "-1" => Reply::NullArray,
            "$" => {
                let len = len()?;
                Reply::Bulk(self.exactly(len)?)
            }
            "*" | "~" | ">" => {
                let n = number()?;
                Reply::Array(self.several(n)?)
            }
            "%" => {
                let n = number()?;
                let flat = self.several(2 * n)?;
                let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                Reply::Map(pairs.collect())
            }
            "=" => {
                let len = len()?;
                let bytes = self.exactly(len)?;
                let (format, text) = bytes.split_at_checked(4).unwrap_or_default();
                Reply::Verbatim(String::from_utf8_lossy(format).into_owned(), text.to_vec())
            }
            "#" | "," | "(" => Reply::Other(line),
            _ => return Err(self.not_resp(&line)),
        })
    }

    /// The next reply is what the text says.
    pub(crate) fn reads(&mut self, expected: impl AsRef<str>) -> Outcome {
        let reply = self.read()?;
        pattern::expect(&reply, expected.as_ref())
            .map_err(|error| format!("{}: {error}", self.last))
    }

    /// Nothing arrives for this long.
    pub(crate) fn stays_silent(&mut self, time: Duration) -> Outcome {
        let failed = |error: std::io::Error| error.to_string();
        self.reader.get_ref().set_read_timeout(Some(time)).map_err(failed)?;
        let arrived = match self.reader.fill_buf() {
            Ok(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                None
            }
            Err(error) => Some(error.to_string()),
        };
        self.reader.get_ref().set_read_timeout(Some(self.patience)).map_err(failed)?;
        match arrived {
            None => Ok(()),
            Some(what) => Err(format!("{}: was to block, and got {what:?}", self.last)),
        }
    }

    /// One command, its reply as it comes, also an error.
    pub(crate) fn ask(&mut self, command: impl AsRef<str>) -> Result<Reply, String> {
        self.send(command)?;
        self.read()
    }

    /// The command gives what the text says (notation: `pattern.rs`).
    pub(crate) fn is(&mut self, command: impl AsRef<str>, expected: impl AsRef<str>) -> Outcome {
        self.send(command)?;
        self.reads(expected)
    }

    pub(crate) fn is_words(
        &mut self,
        words: &[impl AsRef<[u8]>],
        expected: impl AsRef<str>,
    ) -> Outcome {
        self.send_words(words)?;
        self.reads(expected)
    }

    /// The command gives `+OK`.
    pub(crate) fn ok(&mut self, command: impl AsRef<str>) -> Outcome {
        self.is(command, "+OK")
    }

    /// The command gives this error (without `-`).
    pub(crate) fn err(&mut self, command: impl AsRef<str>, error: &str) -> Outcome {
        self.is(command, format!("-{error}"))
    }

    fn asked<T>(
        &mut self,
        command: impl AsRef<str>,
        take: impl Fn(&Reply) -> Result<T, String>,
    ) -> Result<T, String> {
        let reply = self.ask(command)?;
        take(&reply).map_err(|error| format!("{}: {error}", self.last))
    }

    pub(crate) fn int(&mut self, command: impl AsRef<str>) -> Result<i64, String> {
        self.asked(command, Reply::int)
    }

    /// The reply is a bulk string.
    pub(crate) fn text(&mut self, command: impl AsRef<str>) -> Result<String, String> {
        self.asked(command, Reply::text)
    }

    /// The reply is an array of this.
    pub(crate) fn list(&mut self, command: impl AsRef<str>) -> Result<Vec<Reply>, String> {
        self.asked(command, |reply| reply.items().map(<[Reply]>::to_vec))
    }

    /// What stands at this path of the reply (see `Reply::deep`) is what the text says:
    /// `at("XINFO STREAM k", "groups.0.lag", ":5")`.
    pub(crate) fn at(
        &mut self,
        command: impl AsRef<str>,
        path: &str,
        expected: impl AsRef<str>,
    ) -> Outcome {
        let reply = self.ask(command)?;
        let found = reply.deep(path).and_then(|at| pattern::expect(at, expected.as_ref()));
        found.map_err(|error| format!("{}: {path}: {error}", self.last))
    }

    /// Several fields of one map reply: `fields("XINFO STREAM k", &[("length", ":5")])`.
    pub(crate) fn fields(&mut self, command: impl AsRef<str>, all: &[(&str, &str)]) -> Outcome {
        let reply = self.ask(command)?;
        for (path, expected) in all {
            let found = reply.deep(path).and_then(|at| pattern::expect(at, expected));
            found.map_err(|error| format!("{}: {path}: {error}", self.last))?;
        }
        Ok(())
    }

    /// Sends all commands in one write, then checks all replies.
    pub(crate) fn pipeline(&mut self, all: &[(&str, &str)]) -> Outcome {
        let mut bytes = Vec::new();
        for (command, _) in all {
            bytes.extend_from_slice(&encode(&pattern::words(command)));
        }
        self.last = "a pipeline".to_owned();
        self.send_bytes(&bytes)?;
        for (command, expected) in all {
            self.last = shorten(command);
            self.reads(expected)?;
        }
        Ok(())
    }

    /// Sends many commands in one write; no reply may be an error. Gives the replies.
    pub(crate) fn many(&mut self, commands: &[String]) -> Result<Vec<Reply>, String> {
        let mut replies = Vec::with_capacity(commands.len());
        // Bounded, so that neither side fills both sockets and waits for the other.
        for some in commands.chunks(200) {
            let bytes: Vec<u8> =
                some.iter().flat_map(|command| encode(&pattern::words(command))).collect();
            self.send_bytes(&bytes)?;
            for command in some {
                self.last = shorten(command);
                match self.read()? {
                    Reply::Error(error) => return Err(format!("{command}: {error}")),
                    reply => replies.push(reply),
                }
            }
        }
        Ok(replies)
    }

    /// Changes to RESP3, whose replies the test wants to see.
    pub(crate) fn hello3(&mut self) -> Outcome {
        self.as_resp2 = false;
        match self.ask("HELLO 3")? {
            Reply::Map(_) => Ok(()),
            other => Err(format!("HELLO 3: {other}")),
        }
    }

    /// Changes to RESP3, and lets the test believe that it was RESP2.
    pub(crate) fn hello3_unseen(&mut self) -> Outcome {
        self.hello3()?;
        self.as_resp2 = true;
        Ok(())
    }
}

/// For conditions that no pattern can say.
pub(crate) fn ensure(condition: bool, what: impl AsRef<str>) -> Outcome {
    match condition {
        true => Ok(()),
        false => Err(what.as_ref().to_owned()),
    }
}

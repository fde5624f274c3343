//! Which commands there are: their names, how many words they need, and who answers them.

use super::super::context::{Answer, Handler};
use super::super::engine::Engine;
use super::super::out::Out;
use super::{client, connection, debug, expire, keys, server, stream, transaction};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

/// One command, or one part of a command that has parts.
pub(crate) struct Command {
    /// In lower case; of a part, only its own word.
    pub(crate) name: &'static str,
    /// Redis's convention: the number of words with the name, of a part with both names; negative
    /// for a minimum.
    pub(crate) arity: i32,
    pub(crate) flags: u16,
    pub(crate) run: Run,
    /// The parts, if the second word chooses one. `run` is not asked then.
    pub(crate) parts: &'static [Command],
}

/// Who answers.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// A command on keys.
    Data(Handler),
    /// A command on the server or on the client, whose place is given.
    Server(ServerHandler),
    /// One that streamlog does not have, as it is about other types of data.
    NotOurs,
}

/// Like a [`Handler`], with all of the server at hand but for the caller's replies, which are
/// `out`.
pub(crate) type ServerHandler =
    fn(&mut Engine, client: usize, args: &[&[u8]], out: &mut Out) -> Answer;

/// It changes the store.
pub(crate) const WRITE: u16 = 1;
/// It reads the store.
pub(crate) const READ: u16 = 1 << 1;
/// It may wait.
pub(crate) const BLOCKING: u16 = 1 << 2;
/// Not within MULTI.
pub(crate) const NO_MULTI: u16 = 1 << 3;
/// Also before the password was given.
pub(crate) const NO_AUTH: u16 = 1 << 4;
/// For who runs the server.
pub(crate) const ADMIN: u16 = 1 << 5;
/// Run at once within MULTI, not queued.
pub(crate) const NOT_QUEUED: u16 = 1 << 7;
/// It takes a short time, whatever the data.
pub(crate) const FAST: u16 = 1 << 6;

impl Command {
    /// A command without parts.
    pub(crate) const fn data(
        name: &'static str,
        arity: i32,
        flags: u16,
        handler: Handler,
    ) -> Command {
        Command { name, arity, flags, run: Run::Data(handler), parts: &[] }
    }

    /// A command of the server's.
    pub(crate) const fn server(
        name: &'static str,
        arity: i32,
        flags: u16,
        handler: ServerHandler,
    ) -> Command {
        Command { name, arity, flags, run: Run::Server(handler), parts: &[] }
    }

    /// A command whose second word chooses a part.
    pub(crate) const fn with_parts(name: &'static str, parts: &'static [Command]) -> Command {
        Command { name, arity: -2, flags: 0, run: Run::NotOurs, parts }
    }

    /// A command on another type of data.
    pub(crate) const fn not_ours(name: &'static str, arity: i32) -> Command {
        Command { name, arity, flags: 0, run: Run::NotOurs, parts: &[] }
    }

    /// Whether it can be called with so many words.
    pub(crate) fn takes(&self, words: usize) -> bool {
        let needed = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= needed } else { words == needed }
    }
}

type Names = HashMap<&'static [u8], usize, BuildHasherDefault<Fnv>>;

/// Quick for short words. Nobody but this file puts any in, so it need not withstand anything.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Of the length, which words that differ in nothing else do not have in common.
    fn write_usize(&mut self, _: usize) {}
}

/// The part that every command with parts has.
static HELP: Command = Command::server("help", 2, 0, server::help);

/// A line of the table.
pub(crate) struct Line {
    pub(crate) command: &'static Command,
    /// `xgroup|create` for a part.
    pub(crate) full_name: String,
    parts: Names,
}

/// The commands by name.
pub(crate) struct Table {
    names: Names,
    pub(crate) lines: Vec<Line>,
}

/// What the words of a client stand for.
pub(crate) enum Found {
    /// The place in the table.
    Line(usize),
    Unknown,
    /// The command is known, its part is not.
    UnknownPart,
}

const LONGEST: usize = 32;

impl Table {
    pub(crate) fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Table::build)
    }

    fn build() -> Table {
        let mut table = Table { names: Names::default(), lines: Vec::new() };
        let all = [
            stream::COMMANDS,
            connection::COMMANDS,
            client::COMMANDS,
            keys::COMMANDS,
            expire::COMMANDS,
            transaction::COMMANDS,
            server::COMMANDS,
            debug::COMMANDS,
            super::NOT_OURS,
        ];
        for command in all.into_iter().flatten() {
            let mut parts = Names::default();
            let has_help = command.parts.iter().any(|part| part.name == HELP.name);
            let help = (!command.parts.is_empty() && !has_help).then_some(&HELP);
            for part in command.parts.iter().chain(help) {
                let full_name = format!("{}|{}", command.name, part.name);
                parts.insert(part.name.as_bytes(), table.lines.len());
                table.lines.push(Line { command: part, full_name, parts: Names::default() });
            }
            table.names.insert(command.name.as_bytes(), table.lines.len());
            let full_name = command.name.to_owned();
            table.lines.push(Line { command, full_name, parts });
        }
        table
    }

    /// Looks up what a client has written.
    pub(crate) fn find(&self, args: &[&[u8]]) -> Found {
        let mut lower = [0; LONGEST];
        let Some(line) = args.first().and_then(|name| self.names.get(lowered(name, &mut lower)?))
        else {
            return Found::Unknown;
        };
        let parts = &self.lines[*line].parts;
        if parts.is_empty() || args.len() < 2 {
            return Found::Line(*line);
        }
        match lowered(args[1], &mut lower).and_then(|part| parts.get(part)) {
            Some(part) => Found::Line(*part),
            None => Found::UnknownPart,
        }
    }
}

/// A word in lower case; `None` if no name is that long.
fn lowered<'a>(word: &[u8], space: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let lower = space.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    Some(lower)
}

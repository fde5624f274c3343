//! The commands of a client's turn: out of its bytes, and run.
//!
//! XADD commands in a row wait for each other, within what was read, and are run together.

use super::super::engine::{MOST, MOST_BYTES, is_plain_add};
use super::super::request::{Limits, Step};
use super::Turns;

/// How many commands one client may have run in a turn.
const COMMANDS: usize = 1024;
/// The most words of one command.
const WORDS: usize = 1 << 20;

/// Memory for so many words is kept from one turn to the next.
const KEPT: usize = 4096;

/// XADD commands on one key that were read and not run yet, and behind them the words of a command
/// that was just read.
#[derive(Default)]
pub(super) struct Adds<'a> {
    words: Vec<&'a [u8]>,
    /// The end of each command.
    ends: Vec<usize>,
    bytes: usize,
}

impl<'a> Adds<'a> {
    /// The words of those that wait, and of the command behind them.
    fn split(&self) -> (&[&'a [u8]], &[&'a [u8]]) {
        self.words.split_at(self.ends.last().copied().unwrap_or(0))
    }

    /// Its memory, for those of other input. That of a very long command is given back.
    fn emptied<'b>(mut self) -> Adds<'b> {
        if self.words.capacity() > KEPT {
            return Adds::default();
        }
        self.words.clear();
        self.ends.clear();
        Adds { words: self.words.into_iter().map(|_| &[][..]).collect(), ends: self.ends, bytes: 0 }
    }

    /// Whether the command behind them, of so many bytes, may be run with them.
    fn go_with(&self, size: usize) -> bool {
        let (waiting, last) = self.split();
        waiting.get(1) == last.get(1) && self.ends.len() < MOST && self.bytes + size <= MOST_BYTES
    }
}

impl Turns {
    /// Runs the commands at the front of the input; how much of it they took.
    pub(super) fn run_commands(&mut self, place: usize, input: &[u8]) -> usize {
        let Some(Some(conn)) = self.conns.get_mut(place) else { return input.len() };
        let mut parser = std::mem::take(&mut conn.parser);
        let mut adds = std::mem::take(&mut self.adds).emptied();
        let (mut taken, mut count) = (0, 0);
        let mut more = false;
        while taken < input.len() {
            if count == COMMANDS || !self.may_run(place) {
                more = true;
                break;
            }
            let limits = self.limits(place);
            match parser.step(&input[taken..], &limits) {
                Step::More => break,
                Step::Nothing => taken += parser.done(),
                Step::Request => {
                    count += 1;
                    if parser.input_words(&input[taken..], &mut adds.words) {
                        let size = parser.done();
                        taken += size;
                        self.run_or_wait(place, &mut adds, size);
                    } else {
                        self.run_adds(place, &mut adds);
                        let mut words = Vec::new();
                        parser.words(&input[taken..], &mut words);
                        self.engine.execute(place, &words);
                        taken += parser.done();
                    }
                }
                Step::Bad(refusal) => {
                    self.run_adds(place, &mut adds);
                    self.engine.refuse(place, &refusal);
                    taken = input.len();
                }
            }
        }
        self.run_adds(place, &mut adds);
        self.adds = adds.emptied();
        if let Some(Some(conn)) = self.conns.get_mut(place) {
            conn.parser = parser;
            conn.unparsed = more;
        }
        taken
    }

    /// Takes in the command that was just read, of so many bytes.
    fn run_or_wait(&mut self, place: usize, adds: &mut Adds<'_>, size: usize) {
        let is_add = size <= MOST_BYTES && is_plain_add(adds.split().1);
        let joins = adds.ends.is_empty() || is_add && adds.go_with(size);
        if !joins {
            self.run_adds(place, adds);
        }
        if is_add {
            adds.ends.push(adds.words.len());
            adds.bytes += size;
        } else {
            self.engine.execute(place, &adds.words);
            adds.words.clear();
        }
    }

    /// Runs those that wait.
    fn run_adds(&mut self, place: usize, adds: &mut Adds<'_>) {
        let waiting = adds.split().0.len();
        if waiting > 0 {
            self.engine.execute_adds(place, &adds.words[..waiting], &adds.ends);
            adds.words.drain(..waiting);
            adds.ends.clear();
            adds.bytes = 0;
        }
    }

    fn limits(&self, place: usize) -> Limits {
        let stranger = self.engine.clients.get(place).is_none_or(|client| !client.trusted);
        let bulk = usize::try_from(self.engine.config.proto_max_bulk_len).unwrap_or(usize::MAX);
        Limits { words: WORDS, bulk, stranger }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_for_each_other_than_a_reader_should_have_to_pass() {
        let add: [&[u8]; 5] = [b"XADD", b"s", b"*", b"f", b"v"];
        let mut adds = Adds::default();
        for size in [1, MOST_BYTES / 2] {
            adds.words.extend(add);
            assert!(adds.ends.is_empty() || adds.go_with(size));
            adds.ends.push(adds.words.len());
            adds.bytes += size;
        }
        adds.words.extend(add);
        assert!(adds.go_with(MOST_BYTES / 2 - 1));
        assert!(!adds.go_with(MOST_BYTES / 2));
        for _ in 2..MOST {
            assert!(adds.go_with(1));
            adds.ends.push(adds.words.len());
            adds.words.extend(add);
        }
        assert!(!adds.go_with(1));
        let other: [&[u8]; 5] = [b"XADD", b"t", b"*", b"f", b"v"];
        let adds = Adds { words: [add, other].concat(), ends: vec![5], bytes: 1 };
        assert!(!adds.go_with(1), "another key");
    }

    #[test]
    fn only_the_plain_ones_are_run_together() {
        let is = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            is_plain_add(&words)
        };
        assert!(is("XADD s * f v") && is("xAdd s * f v g w"));
        for line in [
            "XADD s *",
            "XADD s * f",
            "XADD s 5-* f v",
            "XADD s 5-5 f v",
            "XADD s ** f v",
            "XADD s NOMKSTREAM * f v",
            "XLEN s * f v",
            "XADD",
        ] {
            assert!(!is(line), "{line}");
        }
    }
}

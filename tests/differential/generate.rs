//! Random commands that meet each other: few keys, groups, consumers and IDs.
//!
//! What comes out depends on the seed alone, never on replies, so that a seed is all it takes to
//! play the same again.

use crate::side::{CLIENTS, Words};

#[path = "generate/commands.rs"]
mod commands;
#[path = "generate/groups.rs"]
mod groups;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Command {
        client: usize,
        words: Words,
    },
    /// Several commands in one write.
    Burst {
        client: usize,
        all: Vec<Words>,
    },
    /// A connection that waits is released.
    Unblock {
        client: usize,
        with_error: bool,
    },
}

/// What is played on empty databases.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) node_entries: u32,
    /// Replies wait for the disk.
    pub(crate) strict: bool,
    pub(crate) database: &'static str,
    pub(crate) steps: Vec<Step>,
}

pub(crate) struct Generator {
    state: u64,
    /// IDs that were asked for lately.
    known: Vec<String>,
    /// The millisecond at which appends roughly are.
    now: u64,
    /// How many commands a connection's transaction is still to have.
    multi: [u32; CLIENTS],
    in_multi: bool,
    /// With nodes of one entry all commands are played: what 7.0.15 does otherwise with nodes in
    /// which entries were deleted cannot show then.
    pub(crate) node_entries: u32,
}

/// Where a stream has such an ID, `*` does not depend on the clock.
pub(crate) const FUTURE_MS: u64 = 5_000_000_000_000;

impl Generator {
    pub(crate) fn new(seed: u64) -> Generator {
        let mut generator = Generator {
            state: seed,
            known: Vec::new(),
            now: 1,
            multi: [0; CLIENTS],
            in_multi: false,
            node_entries: 1,
        };
        if generator.one_in(3) {
            generator.node_entries = 3;
        }
        if generator.one_in(3) {
            generator.now = FUTURE_MS;
        }
        generator
    }

    pub(crate) fn script(&mut self, steps: usize) -> Script {
        let mut script = Vec::with_capacity(steps);
        for line in ["XGROUP CREATE a g 0 MKSTREAM", "XGROUP CREATE b g $ MKSTREAM"] {
            if !self.one_in(3) {
                script.push(Step::Command { client: 0, words: of(line) });
            }
        }
        while script.len() < steps {
            self.step(&mut script);
        }
        let (strict, database) = (self.one_in(5), self.pick(&["0", "0", "3"]));
        Script { node_entries: self.node_entries, strict, database, steps: script }
    }

    fn step(&mut self, script: &mut Vec<Step>) {
        let client = self.below(CLIENTS as u64) as usize;
        if self.multi[client] == 0 && self.one_in(30) {
            script.push(Step::Unblock { client, with_error: self.one_in(3) });
            return;
        }
        self.in_multi = self.multi[client] > 0;
        if !self.in_multi && self.one_in(25) {
            let all = self.burst();
            return script.push(Step::Burst { client, all });
        }
        let mut put = |words| script.push(Step::Command { client, words });
        if !self.in_multi && self.one_in(40) {
            self.multi[client] = 2 + self.below(6) as u32;
            return put(of("MULTI"));
        }
        if self.in_multi {
            self.multi[client] -= 1;
            if self.multi[client] == 0 {
                let end = if self.one_in(8) { "DISCARD" } else { "EXEC" };
                return put(of(end));
            }
        }
        let words = self.command();
        if self.in_multi
            && let Some(made) = makes_consumer(&words)
        {
            // 7.0.15 makes none if nothing is delivered, and within a transaction nobody can.
            made.into_iter().for_each(put);
            return script.push(Step::Command { client, words });
        }
        let words = if self.one_in(14) { self.spoil(words) } else { words };
        put(words);
    }

    fn burst(&mut self) -> Vec<Words> {
        let mut all = Vec::new();
        for _ in 0..2 + self.below(5) {
            let words = self.command();
            all.extend(makes_consumer(&words).into_iter().flatten());
            all.push(words);
        }
        all
    }

    /// The next random number (splitmix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    /// Makes a command of words that may be wrong.
    fn spoil(&mut self, mut words: Words) -> Words {
        let at = self.below(words.len() as u64) as usize;
        let junk = self.pick(JUNK).as_bytes().to_vec();
        match self.below(6) {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[at].clone()),
            2 => words[at] = junk,
            3 => words.push(junk),
            4 => words.truncate(at.max(1)),
            _ => {
                let other = self.below(words.len() as u64) as usize;
                words.swap(at, other);
            }
        }
        if words.is_empty() { of("PING") } else { words }
    }
}

/// Words for places where they do not belong. Nothing that only a newer Redis knows.
const JUNK: &[&str] = &[
    "",
    "-",
    "--",
    "1-",
    "-1",
    "5",
    "0",
    "007",
    "+5",
    " 5",
    "1.5",
    "-0",
    "5- -5",
    "5--05",
    "1-2-3",
    "abc",
    "(1",
    "(-",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1-18446744073709551615",
    "STREAMS",
    "COUNT",
    "GROUP",
    "NOACK",
    "MAXLEN",
    "MINID",
    "LIMIT",
    "NOMKSTREAM",
    "JUSTID",
    "FORCE",
    "IDLE",
    "a\0b",
    "x\r\ny",
    "=",
    "\u{ff}",
    ">",
    "$",
];

pub(crate) fn of(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// What makes the consumers of a read or a claim.
pub(crate) fn makes_consumer(words: &Words) -> Option<Vec<Words>> {
    let made = |key: &[u8], group: &[u8], name: &[u8]| {
        [b"XGROUP", &b"CREATECONSUMER"[..], key, group, name].map(<[u8]>::to_vec).to_vec()
    };
    match words.first()?.to_ascii_uppercase().as_slice() {
        b"XCLAIM" | b"XAUTOCLAIM" => Some(vec![made(words.get(1)?, words.get(2)?, words.get(3)?)]),
        b"XREADGROUP" => {
            let find = |from: usize, word: &[u8]| {
                let found = words.get(from..)?.iter().position(|w| w.eq_ignore_ascii_case(word))?;
                Some(from + found)
            };
            let group = find(1, b"GROUP")?;
            // A consumer may have the name of the keyword.
            let streams = find(group + 3, b"STREAMS")? + 1;
            let (name, group) = (words.get(group + 2)?, words.get(group + 1)?);
            let keys = words.get(streams..streams + (words.len() - streams) / 2)?;
            Some(keys.iter().map(|key| made(key, group, name)).collect())
        }
        _ => None,
    }
}

//! Random commands, on what is there.

use super::told::Scope;
use super::view::{Life, View};
use crate::EntryId;
use crate::sim::rng::Rng;

/// A command, and which keys its reply tells of.
#[derive(Clone, Debug)]
pub struct Command {
    pub words: Vec<Vec<u8>>,
    /// Where each one ends, of several that were read together.
    pub ends: Vec<usize>,
    pub scope: Scope,
}

impl Command {
    pub fn of(text: &str, keys: &[&str]) -> Command {
        let words = text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        Command { words, ends: Vec::new(), scope: Scope::Keys(keys) }
    }

    fn of_all(text: &str) -> Command {
        Command { scope: Scope::All, ..Command::of(text, &[]) }
    }

    pub fn blocks(&self) -> bool {
        self.words.iter().any(|word| word == b"BLOCK")
    }

    /// The key that it looks at whatever it finds, where it tells of several.
    pub fn surely(&self) -> Scope {
        let Scope::Keys(keys) = &self.scope else { return Scope::All };
        let first = self.words.iter().skip(1).find(|word| keys.contains(*word));
        Scope::Keys(first.cloned().into_iter().collect())
    }

    pub fn text(&self) -> String {
        let words = self.words.iter().map(|word| match word.len() {
            0..60 => word.escape_ascii().to_string(),
            long => format!("({long} bytes)"),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

const KEYS: &[&str] = &["a", "b", "c"];
const GROUPS: &[&str] = &["g", "h"];
const CONSUMERS: &[&str] = &["x", "y"];

/// What commands are made from.
pub struct Dice<'a> {
    pub rng: &'a mut Rng,
    pub view: &'a View,
    pub serial: &'a mut u64,
}

impl Dice<'_> {
    fn life(&self, key: &str) -> Option<&Life> {
        self.view.values().find(|life| life.name == key.as_bytes())
    }

    /// A key, most often one that there is.
    fn key(&mut self) -> &'static str {
        let key = self.rng.pick(KEYS);
        if self.life(key).is_none() && self.rng.percent(80) {
            return KEYS.iter().find(|key| self.life(key).is_some()).unwrap_or(&key);
        }
        key
    }

    fn some(&mut self, mut ids: Vec<EntryId>, most: u64) -> String {
        let mut chosen = Vec::new();
        for _ in 0..1 + self.rng.below(most) {
            if !ids.is_empty() {
                chosen.push(ids.swap_remove(self.rng.index(ids.len())).to_string());
            }
        }
        if chosen.is_empty() { "7-7".to_owned() } else { chosen.join(" ") }
    }

    fn entries(&mut self, key: &str, most: u64) -> String {
        let ids = self.life(key).map(|life| life.entries.keys().copied().collect());
        self.some(ids.unwrap_or_default(), most)
    }

    fn pending(&mut self, key: &str, group: &str, most: u64) -> String {
        let found = self.life(key).and_then(|life| life.groups.get(group.as_bytes()));
        let ids = found.map(|group| group.pending.keys().copied().collect());
        self.some(ids.unwrap_or_default(), most)
    }

    fn serial(&mut self) -> u64 {
        *self.serial += 1;
        *self.serial
    }

    pub fn command(&mut self, may_block: bool) -> Command {
        let key = self.key();
        match self.rng.below(100) {
            // Somebody who waits is served between them, and a transaction makes one change.
            0..6 if may_block => self.add_several(key),
            0..28 => self.add(key),
            28..50 => self.read(key, may_block),
            50..62 => self.settle(key),
            62..72 => self.remove(key),
            72..82 => self.group(key),
            82..90 => self.name(key),
            _ => self.look(),
        }
    }

    fn add(&mut self, key: &str) -> Command {
        let key = if self.rng.percent(20) { self.rng.pick(KEYS) } else { key };
        let serial = self.serial();
        let more = match self.rng.below(10) {
            0..7 => String::new(),
            7 => format!(" v {}", "x".repeat(300)),
            _ => format!(" v {}", "y".repeat(1500)),
        };
        let trim = match self.rng.below(10) {
            0 => "MAXLEN 4 ".to_owned(),
            1 => "MAXLEN ~ 3 ".to_owned(),
            2 => "NOMKSTREAM ".to_owned(),
            _ => String::new(),
        };
        Command::of(&format!("XADD {key} {trim}* n {serial}{more}"), &[key])
    }

    /// XADD commands in a row: all of their entries are there, or none.
    fn add_several(&mut self, key: &str) -> Command {
        let mut several = Command::of("", &[key]);
        several.words.clear();
        for _ in 0..2 + self.rng.below(3) {
            let text = format!("XADD {key} * n {} v {}", self.serial(), "z".repeat(200));
            several.words.extend(Command::of(&text, &[]).words);
            several.ends.push(several.words.len());
        }
        several
    }

    fn read(&mut self, key: &str, may_block: bool) -> Command {
        let (group, consumer) = (self.rng.pick(GROUPS), self.rng.pick(CONSUMERS));
        let count = 1 + self.rng.below(4);
        let block = if may_block && self.rng.percent(30) { "BLOCK 0 " } else { "" };
        let head = format!("XREADGROUP GROUP {group} {consumer} COUNT {count}");
        match self.rng.below(12) {
            0..6 => Command::of(&format!("{head} {block}STREAMS {key} >"), &[key]),
            6 => Command::of(&format!("{head} NOACK STREAMS {key} >"), &[key]),
            7 => Command::of(&format!("{head} CLAIM 3 STREAMS {key} >"), &[key]),
            8 => {
                let other = self.key();
                let text = format!("{head} {block}STREAMS {key} {other} > >");
                Command::of(&text, &[key, other])
            }
            9 => Command::of(&format!("{head} STREAMS {key} 0"), &[key]),
            10 => Command::of(&format!("XREAD {block}STREAMS {key} $"), &[key]),
            _ => Command::of(&format!("XREAD COUNT {count} STREAMS {key} 0"), &[key]),
        }
    }

    /// What becomes of pending entries.
    fn settle(&mut self, key: &str) -> Command {
        let (group, consumer) = (self.rng.pick(GROUPS), self.rng.pick(CONSUMERS));
        let ids = self.pending(key, group, 3);
        let count = ids.split(' ').count();
        let text = match self.rng.below(10) {
            0..5 => format!("XACK {key} {group} {ids}"),
            5 => format!("XCLAIM {key} {group} {consumer} 0 {ids}"),
            6 => format!("XAUTOCLAIM {key} {group} {consumer} 2 0-0 COUNT 2"),
            7 => format!("XNACK {key} {group} FAIL IDS {count} {ids}"),
            8 => format!("XACKDEL {key} {group} DELREF IDS {count} {ids}"),
            _ => format!("XACKDEL {key} {group} ACKED IDS {count} {ids}"),
        };
        Command::of(&text, &[key])
    }

    /// Entries that go.
    fn remove(&mut self, key: &str) -> Command {
        let ids = self.entries(key, 2);
        let count = ids.split(' ').count();
        let text = match self.rng.below(8) {
            0..3 => format!("XDEL {key} {ids}"),
            3 => format!("XDELEX {key} DELREF IDS {count} {ids}"),
            4 => format!("XTRIM {key} MINID {}", self.entries(key, 1)),
            5 => format!("XTRIM {key} MAXLEN ~ 2"),
            _ => format!("XTRIM {key} MAXLEN {}", self.rng.below(6)),
        };
        Command::of(&text, &[key])
    }

    fn group(&mut self, key: &str) -> Command {
        let (group, consumer) = (self.rng.pick(GROUPS), self.rng.pick(CONSUMERS));
        let text = match self.rng.below(10) {
            0..4 => format!("XGROUP CREATE {key} {group} 0 MKSTREAM"),
            4 => format!("XGROUP CREATE {key} {group} $ MKSTREAM"),
            5 => format!("XGROUP CREATECONSUMER {key} {group} {consumer}"),
            6 => format!("XGROUP DELCONSUMER {key} {group} {consumer}"),
            7 => format!("XGROUP SETID {key} {group} {}", self.entries(key, 1)),
            8 => format!("XGROUP DESTROY {key} {group}"),
            _ => format!("XSETID {key} 1800000000000-{}", self.serial()),
        };
        Command::of(&text, &[key])
    }

    fn name(&mut self, key: &str) -> Command {
        let other = self.rng.pick(KEYS);
        match self.rng.below(12) {
            0..4 => Command::of(&format!("RENAME {key} {other}"), &[key, other]),
            4 => Command::of(&format!("RENAMENX {key} {other}"), &[key, other]),
            // Refused without a look at it.
            5 | 6 if key == other => Command::of(&format!("COPY {key} {key}"), &[]),
            5 | 6 => Command::of(&format!("COPY {key} {other} REPLACE"), &[key, other]),
            7 => Command::of(&format!("DEL {key} {other}"), &[key, other]),
            8 => Command::of_all("FLUSHALL"),
            9 => Command::of(&format!("PERSIST {key}"), &[key]),
            // Long after all clocks.
            _ => {
                let at = 9_000_000_000_000 + self.serial();
                Command::of(&format!("PEXPIREAT {key} {at}"), &[key])
            }
        }
    }

    /// A command that changes nothing.
    pub fn look(&mut self) -> Command {
        let key = self.key();
        let group = self.rng.pick(GROUPS);
        let text = match self.rng.below(9) {
            0 => return Command::of_all("KEYS *"),
            1 => return Command::of_all("DBSIZE"),
            2 => format!("XLEN {key}"),
            3 => format!("EXISTS {key}"),
            4 => format!("XPENDING {key} {group} - + 10"),
            5 => format!("XINFO STREAM {key} FULL"),
            6 => format!("PEXPIRETIME {key}"),
            7 => format!("XINFO GROUPS {key}"),
            _ => format!("XREVRANGE {key} + -"),
        };
        Command::of(&text, &[key])
    }
}

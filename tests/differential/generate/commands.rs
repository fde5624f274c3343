//! Commands on streams and keys.

use super::*;

impl Generator {
    pub(super) fn command(&mut self) -> Words {
        let line = match self.below(100) {
            0..26 => self.add(),
            26..31 => self.delete(),
            31..35 => self.trim(),
            35..40 => self.range(),
            40..42 => format!("XLEN {}", self.key()),
            42..49 => self.read(),
            49..55 => self.info(),
            55..57 => self.set_id(),
            57..62 => self.keys(),
            _ => self.group_command(),
        };
        let mut words = of(&line);
        for word in &mut words {
            // A word may be empty, and may hold anything.
            match word.as_slice() {
                b"EMPTY" => word.clear(),
                b"STRANGE" => *word = b"c\0\r\n".to_vec(),
                _ => {}
            }
        }
        words
    }

    pub(super) fn key(&mut self) -> &'static str {
        if self.one_in(60) {
            return self.pick(&["EMPTY", "STRANGE", "none"]);
        }
        self.pick(&["a", "a", "a", "b", "b", "c"])
    }

    pub(super) fn id(&mut self) -> String {
        match self.below(12) {
            0..7 if !self.known.is_empty() => {
                let at = self.below(self.known.len() as u64) as usize;
                self.known[at].clone()
            }
            0..9 => {
                let ms = self.now.saturating_sub(self.below(3));
                format!("{ms}-{}", self.below(4))
            }
            9 => self.now.to_string(),
            10 => self.pick(&["0", "0-0", "0-1", "1-18446744073709551615"]).to_owned(),
            _ => "18446744073709551615-18446744073709551615".to_owned(),
        }
    }

    fn bound(&mut self) -> String {
        match self.below(5) {
            0 => "-".to_owned(),
            1 => "+".to_owned(),
            2 => format!("({}", self.id()),
            _ => self.id(),
        }
    }

    /// Mostly from the lowest to the highest.
    pub(super) fn bounds(&mut self, backward: bool) -> String {
        match self.below(3) {
            0 => format!("{} {}", self.bound(), self.bound()),
            _ if backward => "+ -".to_owned(),
            _ => "- +".to_owned(),
        }
    }

    pub(super) fn count(&mut self) -> &'static str {
        self.pick(&["1", "1", "2", "3", "10", "0", "-1"])
    }

    fn new_id(&mut self) -> String {
        if self.one_in(4) {
            self.now += self.below(3);
        }
        let id = match self.below(20) {
            0..4 => "*".to_owned(),
            4..8 => format!("{}-*", self.now),
            8..17 => {
                let seq = self.below(6);
                format!("{}-{seq}", self.now)
            }
            17 => self.now.to_string(),
            18 if self.one_in(8) => self.pick(&["18446744073709551615-*", "0-0", "-"]).to_owned(),
            _ => self.id(),
        };
        if id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            self.known.push(id.clone());
            if self.known.len() > 24 {
                self.known.remove(0);
            }
        }
        id
    }

    /// `MAXLEN` or `MINID` and what belongs to it.
    fn trimming(&mut self) -> String {
        let approximate = self.one_in(2);
        let sign = match approximate {
            true => "~ ",
            false => self.pick(&["", "= "]),
        };
        // An exact MINID that falls on a deleted entry may leave a dead node in 7.0.15.
        let min_id = self.one_in(3) && (approximate || self.node_entries == 1);
        let mut option = match min_id {
            true => format!("MINID {sign}{}", self.id()),
            false => format!("MAXLEN {sign}{}", self.below(8)),
        };
        if approximate && self.one_in(3) || self.one_in(30) {
            option += &format!(" LIMIT {}", self.below(6));
        }
        option
    }

    fn add(&mut self) -> String {
        let mut line = format!("XADD {}", self.key());
        if self.one_in(10) {
            line += " NOMKSTREAM";
        }
        if self.one_in(6) {
            line += &format!(" {}", self.trimming());
        }
        line += &format!(" {}", self.new_id());
        for _ in 0..1 + self.below(3) {
            let name = self.pick(&["f", "g", "EMPTY", "long-field-name", "7"]);
            let value = self.pick(&["v", "w", "EMPTY", "12345", "-1", "STRANGE"]);
            line += &format!(" {name} {value}");
        }
        line
    }

    fn delete(&mut self) -> String {
        let mut line = format!("XDEL {}", self.key());
        for _ in 0..1 + self.below(3) {
            line += &format!(" {}", self.id());
        }
        line
    }

    fn trim(&mut self) -> String {
        format!("XTRIM {} {}", self.key(), self.trimming())
    }

    fn range(&mut self) -> String {
        let backward = self.one_in(2);
        let command = if backward { "XREVRANGE" } else { "XRANGE" };
        let mut line = format!("{command} {} {}", self.key(), self.bounds(backward));
        if self.one_in(2) {
            line += &format!(" COUNT {}", self.count());
        }
        line
    }

    /// `BLOCK` with a time, or nothing.
    pub(super) fn block(&mut self) -> &'static str {
        match self.below(12) {
            0..4 => "BLOCK 0 ",
            4 => "BLOCK 100000000 ",
            5 if self.one_in(8) => "BLOCK 3 ",
            6 if self.one_in(6) => "BLOCK -1 ",
            _ => "",
        }
    }

    pub(super) fn some_count(&mut self) -> String {
        if self.one_in(2) { format!("COUNT {} ", self.count()) } else { String::new() }
    }

    fn read(&mut self) -> String {
        let (count, block) = (self.some_count(), self.block());
        let options = if self.one_in(2) { count + block } else { block.to_owned() + &count };
        let mut keys = String::new();
        let mut ids = String::new();
        for _ in 0..self.pick(&["1", "1", "2", "3"]).parse().unwrap_or(1) {
            keys += &format!(" {}", self.key());
            let end = block == "BLOCK 0 " || self.one_in(5);
            ids += &format!(" {}", if end { "$".to_owned() } else { self.id() });
        }
        format!("XREAD {options}STREAMS{keys}{ids}")
    }

    fn info(&mut self) -> String {
        let key = self.key();
        match self.below(8) {
            0..2 => format!("XINFO STREAM {key}"),
            2 => format!("XINFO STREAM {key} FULL"),
            3 => format!("XINFO STREAM {key} FULL COUNT {}", self.count()),
            4..6 => format!("XINFO GROUPS {key}"),
            6 => format!("XINFO CONSUMERS {key} {}", self.group()),
            _ => {
                format!("XINFO {} {key}", self.pick(&["STREAMS", "GROUPS x", "CONSUMERS", "HELP"]))
            }
        }
    }

    fn set_id(&mut self) -> String {
        if self.node_entries > 1 {
            return format!("XLEN {}", self.key());
        }
        let mut line = format!("XSETID {} {}", self.key(), self.id());
        if self.one_in(3) {
            line += &format!(" ENTRIESADDED {}", self.below(40));
        }
        if self.one_in(4) {
            line += &format!(" MAXDELETEDID {}", self.id());
        }
        line
    }

    /// Times far off, or gone by: no clock tells them apart.
    fn expiry(&mut self) -> String {
        let key = self.key();
        match self.below(6) {
            0..3 => {
                let command = self.pick(&["EXPIREAT", "PEXPIREAT"]);
                // Seconds that are far off as milliseconds, too.
                let time = self.pick(&["8000000000000", "8500000000700", "x", "-5"]);
                let when = self.pick(&["", "", " NX", " XX", " GT", " LT", " XX LT", " NX GT"]);
                format!("{command} {key} {time}{when}")
            }
            3 => format!("PERSIST {key}"),
            _ => format!("{} {key}", self.pick(&["EXPIRETIME", "PEXPIRETIME"])),
        }
    }

    fn keys(&mut self) -> String {
        match self.below(15) {
            13 => self.expiry(),
            0..2 => format!("DEL {}", self.key()),
            2..4 => format!("XLEN {}", self.key()),
            4 => format!("EXISTS {} {}", self.key(), self.key()),
            5 => format!("TYPE {}", self.key()),
            6..8 => format!("RENAME {} {}", self.key(), self.key()),
            8 if self.node_entries == 1 => {
                let replace = self.pick(&["", " REPLACE"]);
                format!("COPY {} {}{replace}", self.key(), self.key())
            }
            9 => "ECHO word".to_owned(),
            10 if self.one_in(3) => "UNWATCH".to_owned(),
            10 => format!("WATCH {}", self.key()),
            11 => "XNOTHING a b".to_owned(),
            12 => self.pick(&["XGROUP", "XGROUP x y", "XGROUP HELP x", "XINFO"]).to_owned(),
            _ => self.pick(&["EXEC", "DISCARD", "MULTI 1", "XADD a", "XLEN"]).to_owned(),
        }
    }
}

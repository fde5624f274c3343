//! Commands of groups.

use super::*;

/// Half an hour and more: no script takes that long.
const IDLE: &[&str] = &["0", "0", "1800000", "5400000", "-1"];

impl Generator {
    pub(super) fn group_command(&mut self) -> String {
        match self.below(38) {
            0..13 => self.read_group(),
            13..18 => self.ack(),
            18..22 => self.pending(),
            22..26 => self.claim(),
            26..30 => self.auto_claim(),
            _ => self.group_change(),
        }
    }

    pub(super) fn group(&mut self) -> &'static str {
        if self.one_in(40) {
            return self.pick(&["none", "EMPTY", "STRANGE"]);
        }
        self.pick(&["g", "g", "g", "h"])
    }

    fn consumer(&mut self) -> &'static str {
        self.pick(&["x", "x", "y", "y", "z", "EMPTY"])
    }

    fn read_group(&mut self) -> String {
        let name = format!("GROUP {} {} ", self.group(), self.consumer());
        let block = self.block();
        let mut options = [name, self.some_count(), block.to_owned()];
        if self.one_in(3) {
            options.rotate_left(1);
        }
        let options = options.concat() + if self.one_in(8) { "NOACK " } else { "" };
        // A call that 7.0.15 wakes is served from the key that woke it only.
        let several = block.is_empty() && self.one_in(4);
        let mut keys = String::new();
        let mut ids = String::new();
        for _ in 0..if several { 2 } else { 1 } {
            keys += &format!(" {}", self.key());
            let new = if block.is_empty() { self.one_in(2) } else { !self.one_in(10) };
            ids += &match self.below(4) {
                _ if new => " >".to_owned(),
                0..2 => " 0".to_owned(),
                _ => format!(" {}", self.id()),
            };
        }
        format!("XREADGROUP {options}STREAMS{keys}{ids}")
    }

    fn ack(&mut self) -> String {
        let mut line = format!("XACK {} {}", self.key(), self.group());
        for _ in 0..1 + self.below(3) {
            line += &format!(" {}", self.id());
        }
        line
    }

    fn pending(&mut self) -> String {
        let mut line = format!("XPENDING {} {}", self.key(), self.group());
        if self.one_in(3) {
            return line;
        }
        if self.one_in(3) {
            line += &format!(" IDLE {}", self.pick(IDLE));
        }
        line += &format!(" {} {}", self.bounds(false), self.count());
        if self.one_in(2) {
            line += &format!(" {}", self.consumer());
        }
        line
    }

    fn claim(&mut self) -> String {
        let (key, group, consumer) = (self.key(), self.group(), self.consumer());
        let mut line = format!("XCLAIM {key} {group} {consumer} {}", self.pick(IDLE));
        for _ in 0..1 + self.below(3) {
            line += &format!(" {}", self.id());
        }
        for _ in 0..self.below(3) {
            line += &match self.below(6) {
                0 => format!(" IDLE {}", self.pick(&["0", "3600000", "7200000", "-5"])),
                1 => format!(" TIME {}", self.pick(&["1600000000000", "-1", "9000000000000"])),
                2 => format!(" RETRYCOUNT {}", self.pick(&["0", "1", "7", "-1"])),
                3 => " FORCE".to_owned(),
                4 => " JUSTID".to_owned(),
                _ => format!(" LASTID {}", self.id()),
            };
        }
        line
    }

    fn auto_claim(&mut self) -> String {
        let (key, group, consumer) = (self.key(), self.group(), self.consumer());
        let idle = self.pick(IDLE);
        let start = match self.below(4) {
            0 => self.id(),
            1 => format!("({}", self.id()),
            _ => self.pick(&["-", "0", "0-0", "+"]).to_owned(),
        };
        let mut line = format!("XAUTOCLAIM {key} {group} {consumer} {idle} {start}");
        if self.one_in(2) {
            line += &format!(" COUNT {}", self.count());
        }
        if self.one_in(4) {
            line += " JUSTID";
        }
        line
    }

    fn group_change(&mut self) -> String {
        let (key, group) = (self.key(), self.group());
        let position = match self.below(4) {
            0 => "$".to_owned(),
            1 => self.id(),
            _ => "0".to_owned(),
        };
        match self.below(14) {
            0..6 => {
                let mut line = format!("XGROUP CREATE {key} {group} {position}");
                if self.one_in(2) {
                    line += " MKSTREAM";
                }
                if self.one_in(5) {
                    line += &format!(" ENTRIESREAD {}", self.pick(&["0", "2", "-1", "-2", "50"]));
                }
                line
            }
            6..9 => format!("XGROUP SETID {key} {group} {position}"),
            9 => {
                let read = self.pick(&["3", "-1", "x"]);
                format!("XGROUP SETID {key} {group} {position} ENTRIESREAD {read}")
            }
            10 => format!("XGROUP DESTROY {key} {group}"),
            11..13 => format!("XGROUP CREATECONSUMER {key} {group} {}", self.consumer()),
            _ => format!("XGROUP DELCONSUMER {key} {group} {}", self.consumer()),
        }
    }
}

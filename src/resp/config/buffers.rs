//! `client-output-buffer-limit`: how much may wait for a client, as Redis has it set and shown.
//!
//! Of the three classes there is only `normal` here, and of its three numbers only the hard limit
//! counts. The others are remembered, for programs that want to read back what they have set.

use super::units;

/// What is always allowed: in Redis, too, a client has a first buffer that is not counted.
const FIRST_BUFFER: u64 = 16 << 10;

const WRONG_COUNT: &str = "Wrong number of arguments in buffer limit configuration.";
const WRONG_CLASS: &str = "Invalid client class specified in buffer limit configuration.";
const WRONG_NUMBER: &str =
    "Error in hard, soft or soft_seconds setting in buffer limit configuration.";

/// How each class is shown.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// The limits of one class, in bytes and seconds; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Limit {
    hard: u64,
    soft: u64,
    soft_seconds: i32,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buffers([Limit; CLASSES.len()]);

impl Default for Buffers {
    fn default() -> Buffers {
        let megabytes =
            |hard: u64, soft: u64| Limit { hard: hard << 20, soft: soft << 20, soft_seconds: 60 };
        Buffers([Limit::default(), megabytes(256, 64), megabytes(32, 8)])
    }
}

impl Buffers {
    /// Changes the classes that are named, all or none.
    pub(super) fn set(&mut self, text: &str) -> Result<(), &'static str> {
        // Redis splits at each blank, and takes nothing for no words.
        let words: Vec<&str> = text.split(' ').collect();
        let words = if text.is_empty() { &[][..] } else { &words };
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(WRONG_COUNT);
        }
        let mut changed = self.clone();
        for [class, hard, soft, seconds] in groups {
            let place = place_of(class).and_then(|place| changed.0.get_mut(place));
            let place = place.ok_or(WRONG_CLASS)?;
            let limit = || {
                Some(Limit {
                    hard: bytes(hard)?,
                    soft: bytes(soft)?,
                    soft_seconds: whole_seconds(seconds)?,
                })
            };
            *place = limit().ok_or(WRONG_NUMBER)?;
        }
        *self = changed;
        Ok(())
    }

    /// As CONFIG GET shows them.
    pub(super) fn text(&self) -> String {
        let shown = CLASSES.iter().zip(&self.0).map(|(class, limit)| {
            format!("{class} {} {} {}", limit.hard, limit.soft, limit.soft_seconds)
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    /// The most that may wait for a client; `None` if that was not set.
    pub(super) fn most(&self) -> Option<u64> {
        let [normal, ..] = self.0;
        (normal.hard > 0).then(|| normal.hard.max(FIRST_BUFFER))
    }
}

fn place_of(class: &str) -> Option<usize> {
    let class = if class.eq_ignore_ascii_case("replica") { "slave" } else { class };
    CLASSES.iter().position(|other| other.eq_ignore_ascii_case(class))
}

/// Too many are as many as can be counted, and none at all are 0.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.is_empty() { 0 } else { number.parse().unwrap_or(u64::MAX) };
    Some(number.saturating_mul(u64::try_from(units(unit)?).ok()?))
}

fn whole_seconds(text: &str) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    text.parse().ok().filter(|seconds| *seconds >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";

    /// What redis-server 7.0.15 says to each of them.
    #[test]
    fn it_is_set_and_shown_as_in_redis() {
        let mut buffers = Buffers::default();
        assert_eq!(buffers.text(), DEFAULT);
        assert_eq!(buffers.most(), None);
        for (text, shown) in [
            ("", DEFAULT),
            (DEFAULT, DEFAULT),
            (
                "normal 1mb 0 60 pubsub 2k 1kb 5",
                "normal 1048576 0 60 slave 268435456 67108864 60 pubsub 2000 1024 5",
            ),
            ("slave 5 5 5 REPLICA 6 6 6", "normal 1048576 0 60 slave 6 6 6 pubsub 2000 1024 5"),
            ("NORMAL 10KB 10B +1", "normal 10240 10 1 slave 6 6 6 pubsub 2000 1024 5"),
            (
                "normal 18446744073709551616  2147483647",
                "normal 18446744073709551615 0 2147483647 slave 6 6 6 pubsub 2000 1024 5",
            ),
            ("normal 1 2 3 normal 4 kb ", "normal 4 0 0 slave 6 6 6 pubsub 2000 1024 5"),
        ] {
            assert_eq!(buffers.set(text), Ok(()), "{text}");
            assert_eq!(buffers.text(), shown);
        }
    }

    #[test]
    fn what_is_malformed_changes_nothing() {
        let mut buffers = Buffers::default();
        for (text, why) in [
            ("normal 0 0", WRONG_COUNT),
            (" normal 1 1 1", WRONG_COUNT),
            ("normal 1 1 1 ", WRONG_COUNT),
            ("1048576", WRONG_COUNT),
            ("normal 1 1 1 foo 1 1 1", WRONG_CLASS),
            ("master 1 1 1", WRONG_CLASS),
            ("normal 1 1 1 pubsub 1 x 1", WRONG_NUMBER),
            ("normal -1 0 0", WRONG_NUMBER),
            ("normal +1 0 0", WRONG_NUMBER),
            ("normal 1.5mb 0 0", WRONG_NUMBER),
            ("normal 10kk 0 0", WRONG_NUMBER),
            ("normal 1 x 0", WRONG_NUMBER),
            ("normal 1 1 -1", WRONG_NUMBER),
            ("normal 1 1 1x", WRONG_NUMBER),
            ("normal 0 0 2147483648", WRONG_NUMBER),
        ] {
            assert_eq!(buffers.set(text), Err(why), "{text}");
            assert_eq!(buffers.text(), DEFAULT);
        }
    }

    #[test]
    fn nobody_locks_himself_out() {
        let mut buffers = Buffers::default();
        buffers.set("normal 1 0 0").unwrap();
        assert_eq!(buffers.most(), Some(FIRST_BUFFER));
        buffers.set("normal 1mb 0 0 pubsub 1 1 1").unwrap();
        assert_eq!(buffers.most(), Some(1 << 20));
    }
}

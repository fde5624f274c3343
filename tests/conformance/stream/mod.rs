//! Equivalents of the tests of streams, s1 to s218.

use crate::client::{Client, Outcome};
use crate::registry::{Numbered, OutOfReach};

mod add;
mod delete;
mod idmp;
mod idmp_auto;
mod idmp_config;
mod idmp_counters;
mod idmp_life;
mod idmp_producers;
mod idmp_record;
mod log;
mod range;
mod read;
mod read_limits;
mod setid;
mod trim;

pub(crate) fn numbered() -> Vec<Numbered> {
    [
        add::TESTS,
        delete::TESTS,
        idmp::TESTS,
        idmp_auto::TESTS,
        idmp_config::TESTS,
        idmp_counters::TESTS,
        idmp_life::TESTS,
        idmp_producers::TESTS,
        idmp_record::TESTS,
        log::TESTS,
        range::TESTS,
        read::TESTS,
        read_limits::TESTS,
        setid::TESTS,
        trim::TESTS,
    ]
    .concat()
}

pub(crate) const OUT_OF_REACH: &[OutOfReach] = &[
    ("s65", "needs Redis's dump format (DUMP, RESTORE)"),
    ("s164", "needs lists (LPUSH)"),
    ("s214", "needs replication"),
    ("s218", "needs replication"),
];

/// Adds 1-0 to n-0, each with the field `f` that holds its number.
pub(crate) fn add_numbered(c: &mut Client, key: &str, n: u64) -> Outcome {
    let commands: Vec<String> = (1..=n).map(|i| format!("XADD {key} {i}-0 f {i}")).collect();
    c.many(&commands).map(drop)
}

/// How many entries there are.
fn has_len(c: &mut Client, key: &str, n: i64) -> Outcome {
    c.is(format!("XLEN {key}"), format!(":{n}"))
}

/// The stream holds exactly the entries n-0 with `f` n, for these n.
pub(crate) fn holds(c: &mut Client, key: &str, numbers: impl IntoIterator<Item = u64>) -> Outcome {
    let entries: Vec<String> = numbers.into_iter().map(|n| format!("[{n}-0 [f {n}]]")).collect();
    c.is(format!("XRANGE {key} - +"), format!("[{}]", entries.join(" ")))
}

/// What XINFO STREAM counts of idempotent producers.
struct Counters {
    pids: u32,
    iids: u32,
    added: u32,
    duplicates: u32,
}

fn tracks(c: &mut Client, key: &str, counters: Counters) -> Outcome {
    let Counters { pids, iids, added, duplicates } = counters;
    let expected = [
        ("pids-tracked", &*format!(":{pids}")),
        ("iids-tracked", &*format!(":{iids}")),
        ("iids-added", &*format!(":{added}")),
        ("iids-duplicates", &*format!(":{duplicates}")),
    ];
    c.fields(format!("XINFO STREAM {key}"), &expected)
}

/// Both parts of an ID.
fn parts(id: &str) -> Result<(u64, u64), String> {
    let parts =
        id.split_once('-').and_then(|(ms, seq)| Some((ms.parse().ok()?, seq.parse().ok()?)));
    parts.ok_or_else(|| format!("{id} is no ID"))
}

/// Random numbers that are the same in each run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

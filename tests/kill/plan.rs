//! What the child and the witness agree on beforehand, so that neither has to be told: which names
//! there are, and what an entry holds, given the number that its append was announced under.

use std::os::unix::fs::FileExt;
use std::path::Path;
use streamlog::{AppendOptions, Durability, EntryRef, NackMode, NackOptions, StreamOptions};

/// The streams that entries are appended to.
pub(crate) const STREAMS: [&str; 2] = ["orders", "events"];
/// The groups of each of them.
pub(crate) const GROUPS: [&str; 2] = ["workers", "audit"];
/// The stream that has no entries: its consumers come and go to fill the state journal.
pub(crate) const BALLAST: &str = "ballast";
/// The one group of it.
pub(crate) const BALLAST_GROUP: &str = "g";
/// How many threads make calls: three append, two read as members of the groups, one fills the
/// state journal.
pub(crate) const THREADS: usize = 6;
/// In the place of a thread's number: the background, in a checkpoint.
pub(crate) const CHECKPOINT: u64 = THREADS as u64;

/// The kinds of calls that kills are aimed at, by the words of the announcements. Those of opening
/// come before any other; a checkpoint is made by the background.
pub(crate) const KINDS: [&str; 19] = [
    "open",
    "recover",
    "append",
    "batch",
    "read",
    "ack",
    "claim",
    "autoclaim",
    "delete",
    "trimlen",
    "trimmin",
    "sync",
    "once",
    "nack",
    "ackdel",
    "delex",
    "trimref",
    "readclaim",
    "checkpoint",
];

/// The levels by their place in [`level`].
pub(crate) const LEVELS: [&str; 3] = ["Always", "Interval", "Manual"];

/// How many consumers one call on the ballast makes and removes.
pub(crate) const BALLAST_CONSUMERS: u64 = 64;

/// xorshift64*: small, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(parts: &[u64]) -> Random {
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for part in parts {
            state = mix(state ^ part);
        }
        Random(state | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Which entry this is, over all lives: the life, the thread, its call and the place in a batch.
pub(crate) fn token(life: u64, thread: u64, call: u64, index: u64) -> u64 {
    life << 44 | thread << 40 | call << 8 | index
}

/// Where a token has the place in a batch: no batch is so long, so this is an entry that is appended
/// once, however often it is sent.
const ONCE: u64 = 255;

/// The same of an entry that is sent until it was appended.
pub(crate) fn once_token(life: u64, thread: u64, call: u64) -> u64 {
    token(life, thread, call, ONCE)
}

pub(crate) fn is_once(token: u64) -> bool {
    token & 255 == ONCE
}

/// How an entry that is appended once is sent: its producer is the thread that sent it first.
pub(crate) fn once(token: u64) -> AppendOptions {
    let producer = format!("p{}", token >> 40 & 15);
    AppendOptions::new().idempotent(producer, token.to_string())
}

/// The fields of an entry. Most are short; some cross sectors and pages; some are empty or double.
pub(crate) fn fields(token: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut random = Random::new(&[token]);
    let mut fields = vec![(b"token".to_vec(), token.to_le_bytes().to_vec())];
    for _ in 0..random.below(4) {
        let len = match random.below(40) {
            // Three of them fit into the smallest limit of an entry.
            0 => random.below(2000),
            1..=4 => random.below(600),
            5 => 0,
            _ => random.below(60),
        };
        let value: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let name = ["a", "b", "a", ""][random.below(4) as usize];
        fields.push((name.into(), value));
    }
    fields
}

/// The number in an entry, if the entry is exactly what was to be appended under that number.
pub(crate) fn check_entry(entry: EntryRef<'_>) -> Result<u64, String> {
    let damaged = |what: &str| format!("entry {} is not as it was appended: {what}", entry.id());
    let bytes = entry
        .get("token")
        .and_then(|value| value.try_into().ok())
        .ok_or_else(|| damaged("no number"))?;
    let token = u64::from_le_bytes(bytes);
    let wanted = fields(token);
    let same = entry.fields().len() == wanted.len()
        && entry.fields().zip(&wanted).all(|((name, value), (n, v))| name == n && value == v);
    if same { Ok(token) } else { Err(damaged("other fields")) }
}

/// The place of a life's level in [`LEVELS`].
pub(crate) fn level_number(life: u64) -> usize {
    life as usize % LEVELS.len()
}

/// The durability of a life.
pub(crate) fn level(life: u64) -> Durability {
    match level_number(life) {
        0 => Durability::Always,
        1 => Durability::Interval {
            every: std::time::Duration::from_millis(10),
            max_unsynced_bytes: 256 << 10,
        },
        _ => Durability::Manual,
    }
}

/// Small segments, of another size in each store.
pub(crate) fn stream_options(store: u64) -> StreamOptions {
    let segment = (4 << 10) << (store % 5);
    StreamOptions::new()
        .segment_bytes(segment.max(8 << 10))
        .max_entry_bytes(7 << 10)
        .block_entries([100, 7, 1][store as usize % 3])
}

/// Whether the ballast is kept in motion all the time, so that checkpoints fall due. Not in most
/// stores: the long journal makes every opening slow.
pub(crate) fn busy_journal(store: u64) -> bool {
    store % 4 == 1
}

/// The highest turn that a file of the state journal has: each checkpoint begins another one.
pub(crate) fn highest_turn(dir: &Path) -> u64 {
    /// Where a journal file's header has its turn.
    const TURN: u64 = 40;
    let turn = |name: &str| {
        let file = std::fs::File::open(dir.join("state").join(name)).ok()?;
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, TURN).ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    ["0", "1", "2"].into_iter().filter_map(turn).max().unwrap_or(0)
}

/// Whether the threads of a life leave the groups' references alone: what goes goes by the policies
/// that heed them, but for calls that are to be hit.
pub(crate) fn is_careful(life: u64) -> bool {
    life % 2 == 1
}

/// The ways of giving deliveries back, and what each makes of their count.
pub(crate) const NACKS: u64 = 4;
/// The count that the last of the ways sets.
pub(crate) const RETRY_COUNT: u64 = 5;

pub(crate) fn nack(how: u64) -> (NackMode, NackOptions) {
    match how {
        0 => (NackMode::Silent, NackOptions::new()),
        1 => (NackMode::Fail, NackOptions::new()),
        2 => (NackMode::Fatal, NackOptions::new()),
        _ => (NackMode::Fail, NackOptions::new().retry_count(RETRY_COUNT)),
    }
}

/// The name of a consumer of the ballast: long, so that few calls make many bytes.
pub(crate) fn ballast_consumer(life: u64, call: u64, n: u64) -> String {
    format!("{life}-{call}-{n}-{:-<230}", "")
}

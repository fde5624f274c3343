//! What a run does: a configuration and a list of operations, drawn from a seed.
//!
//! Operations say what kind of thing to do and carry one random number; names and IDs are chosen
//! when the operation is carried out, from what the model knows then. Any operation can be left
//! out and the rest still makes sense, which shrinking relies on.

use super::rng::Rng;
use std::fmt;

/// What `Ok` stands for in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Always,
    Interval,
    Manual,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub level: Level,
    pub segment_bytes: u64,
    pub block_entries: u32,
    pub block_bytes: u32,
    /// The size of a new journal file, and up to how many times that it grows before a checkpoint
    /// is written instead, and where records come faster than that helps.
    pub journal: (u64, u64, u64),
    pub streams: usize,
    pub sync_all: bool,
    /// The store is opened with damage skipped: there is none, so that nothing may differ.
    pub skip_damage: bool,
    /// How many steps in a hundred write something back.
    pub write_back: u64,
    /// The bug that the toy is to have; empty for none.
    pub planted: &'static str,
}

/// How large the fields of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Tiny,
    Sector,
    Page,
    /// Bytes of the stream's own files, as if they were frames.
    Echo,
    /// A large part of a segment, so that the next append rolls.
    Segment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    Append {
        size: Size,
    },
    AppendExact,
    AppendDurable,
    AppendTrim,
    /// Under an iid, which may have been used before.
    AppendOnce,
    SetWindow,
    Record,
    BatchExact,
    Batch {
        entries: u8,
        size: Size,
    },
    Delete,
    Trim {
        approximate: bool,
    },
    SetRetention,
    Enforce,
    SetBack,
    SetUp,
    CreateGroup,
    RemoveGroup,
    SetGroup,
    CreateConsumer,
    RemoveConsumer,
    Read {
        no_ack: bool,
    },
    History,
    ReadMany,
    Ack,
    Claim,
    ClaimWith,
    AutoClaim,
    DeleteWith,
    TrimWith,
    AckDelete,
    Nack,
    ReadClaim,
    SyncStream,
    WaitDurable,
    Sync,
    SyncFound,
    StepSync,
    StepPrepare,
    StepCheckpoint,
    CreateStream,
    RemoveStream,
    Rename,
    RenameAll,
    Copy,
    SetOptions,
    /// A sync of any kind, with another thread at work.
    Meanwhile,
    /// Close and open.
    Reopen,
    /// Close and open at another level.
    ReopenOtherwise,
    /// The process dies and another one opens the store; the machine goes on.
    Kill,
    ClockForward,
    ClockBack,
    FailSync,
    FailSpace,
}

#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub kind: OpKind,
    /// Which stream, group, entry... where there are several.
    pub dice: u64,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub config: Config,
    pub ops: Vec<Op>,
}

/// From here on seeds are of runs whose journal files are full all the time, so that they grow.
pub const CROWDED: u64 = 1 << 40;

const JOURNALS: &[(u64, u64, u64)] =
    &[(4096, 2, 4), (4096, 4, 8), (8192, 1, 2), (8192, 2, 4), (16384, 2, 4)];
const CROWDED_JOURNALS: &[(u64, u64, u64)] =
    &[(512, 2, 16), (512, 1, 16), (1024, 1, 4), (1024, 2, 4)];

/// The operations that every store under test takes, and how often they come.
const COMMON: &[(u64, OpKind)] = &[
    (14, OpKind::Append { size: Size::Tiny }),
    (6, OpKind::Append { size: Size::Sector }),
    (3, OpKind::Append { size: Size::Page }),
    (4, OpKind::Append { size: Size::Segment }),
    (2, OpKind::Append { size: Size::Echo }),
    (2, OpKind::AppendExact),
    (2, OpKind::AppendDurable),
    (4, OpKind::Batch { entries: 3, size: Size::Tiny }),
    (2, OpKind::Batch { entries: 12, size: Size::Tiny }),
    (2, OpKind::Batch { entries: 3, size: Size::Sector }),
    (4, OpKind::Delete),
    (2, OpKind::Trim { approximate: false }),
    (2, OpKind::Trim { approximate: true }),
    (3, OpKind::CreateGroup),
    (1, OpKind::RemoveGroup),
    (1, OpKind::SetGroup),
    (1, OpKind::CreateConsumer),
    (1, OpKind::RemoveConsumer),
    (10, OpKind::Read { no_ack: false }),
    (1, OpKind::Read { no_ack: true }),
    (1, OpKind::History),
    (8, OpKind::Ack),
    (2, OpKind::Claim),
    (1, OpKind::AutoClaim),
    (1, OpKind::SyncStream),
    (3, OpKind::Sync),
    (4, OpKind::StepSync),
    (4, OpKind::StepPrepare),
    (3, OpKind::StepCheckpoint),
    (1, OpKind::CreateStream),
    (1, OpKind::RemoveStream),
    (1, OpKind::Rename),
    (1, OpKind::Copy),
    (2, OpKind::Reopen),
    (2, OpKind::Kill),
    (3, OpKind::ClockForward),
    (1, OpKind::ClockBack),
    (1, OpKind::FailSync),
    (1, OpKind::FailSpace),
];

/// Those that the crate takes besides.
const OTHERS: &[(u64, OpKind)] = &[
    (4, OpKind::AppendTrim),
    (7, OpKind::AppendOnce),
    (1, OpKind::SetWindow),
    (1, OpKind::Record),
    (2, OpKind::BatchExact),
    (2, OpKind::ReadMany),
    (4, OpKind::ClaimWith),
    (1, OpKind::WaitDurable),
    (3, OpKind::SetBack),
    (1, OpKind::SetUp),
    (2, OpKind::SetRetention),
    (3, OpKind::Enforce),
    (1, OpKind::SetOptions),
    (4, OpKind::Meanwhile),
    (3, OpKind::DeleteWith),
    (3, OpKind::TrimWith),
    (3, OpKind::AckDelete),
    (4, OpKind::Nack),
    (3, OpKind::ReadClaim),
    (1, OpKind::ReopenOtherwise),
    (2, OpKind::RenameAll),
    (3, OpKind::SyncFound),
];

/// All operations that the crate takes.
pub fn kinds() -> Vec<OpKind> {
    COMMON.iter().chain(OTHERS).map(|(_, kind)| *kind).collect()
}

fn kind(rng: &mut Rng, takes_all: bool) -> OpKind {
    let kinds = || COMMON.iter().chain(OTHERS.iter().filter(|_| takes_all));
    let mut left = rng.below(kinds().map(|(weight, _)| weight).sum());
    for (weight, kind) in kinds() {
        match left.checked_sub(*weight) {
            Some(more) => left = more,
            None => return *kind,
        }
    }
    OpKind::Sync
}

impl Plan {
    /// `takes_all`: of all operations, or of those that every store takes.
    pub fn of(seed: u64, takes_all: bool) -> Plan {
        let mut rng = Rng::of(&[seed, 2]);
        let config = Config {
            level: rng.pick(&[Level::Always, Level::Always, Level::Interval, Level::Manual]),
            segment_bytes: rng.pick(&[4096, 4096, 4096, 8192, 8192, 16384, 16384, 65536]),
            block_entries: rng.pick(&[100, 4, 1]),
            block_bytes: rng.pick(&[4096, 512]),
            journal: rng.pick(if seed < CROWDED { JOURNALS } else { CROWDED_JOURNALS }),
            streams: rng.pick(&[1, 1, 2]),
            sync_all: rng.percent(50),
            skip_damage: Rng::of(&[seed, 9]).percent(25),
            write_back: rng.pick(&[0, 2, 10]),
            planted: "",
        };
        let count = 20 + rng.below(41);
        let mut ops = Vec::new();
        while (ops.len() as u64) < count {
            let kind = kind(&mut rng, takes_all);
            // Runs of the same operation fill segments, and build up what is not yet on disk: with
            // three journal files it takes three checkpoints in a row to have none of them durable.
            let runs = matches!(
                kind,
                OpKind::Append { .. } | OpKind::Read { .. } | OpKind::Ack | OpKind::StepCheckpoint
            );
            let times = if runs && rng.percent(15) { 2 + rng.below(6) } else { 1 };
            for _ in 0..times {
                let dice = rng.next();
                ops.push(Op { kind, dice });
            }
        }
        Plan { seed, config, ops }
    }

    /// The same run with only these operations.
    pub fn only(&self, kept: &[Kept]) -> Plan {
        let ops = kept.iter().filter_map(|kept| {
            let op = *self.ops.get(kept.index)?;
            Some(if kept.small { op.smaller() } else { op })
        });
        Plan { ops: ops.collect(), ..self.clone() }
    }
}

impl Op {
    /// The same with less to write.
    pub fn smaller(self) -> Op {
        let kind = match self.kind {
            OpKind::Append { .. } => OpKind::Append { size: Size::Tiny },
            OpKind::Batch { .. } => OpKind::Batch { entries: 2, size: Size::Tiny },
            kind => kind,
        };
        Op { kind, ..self }
    }
}

/// An operation of a plan that shrinking has left, as it is or made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub index: usize,
    pub small: bool,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.index, if self.small { "s" } else { "" })
    }
}

impl Kept {
    /// Reads back what is written so.
    pub fn parse(text: &str) -> Option<Kept> {
        let (number, small) = match text.strip_suffix('s') {
            Some(number) => (number, true),
            None => (text, false),
        };
        Some(Kept { index: number.parse().ok()?, small })
    }
}

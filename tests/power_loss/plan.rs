//! What a run does: a configuration and a list of operations, drawn from a seed.
//!
//! Operations say what kind of thing to do and carry one random number; names and IDs are chosen
//! when the operation is carried out, from what the model knows then. Any operation can be left
//! out and the rest still makes sense, which shrinking relies on.

use super::rng::Rng;

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
    pub streams: usize,
    pub sync_all: bool,
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
    Batch {
        entries: u8,
        size: Size,
    },
    Delete,
    Trim {
        approximate: bool,
    },
    CreateGroup,
    RemoveGroup,
    SetGroup,
    CreateConsumer,
    RemoveConsumer,
    Read {
        no_ack: bool,
    },
    History,
    Ack,
    Claim,
    AutoClaim,
    SyncStream,
    Sync,
    StepSync,
    StepPrepare,
    StepCheckpoint,
    CreateStream,
    RemoveStream,
    Rename,
    Copy,
    /// Close and open.
    Reopen,
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

/// The operations and how often they come.
const KINDS: &[(u64, OpKind)] = &[
    (14, OpKind::Append { size: Size::Tiny }),
    (6, OpKind::Append { size: Size::Sector }),
    (3, OpKind::Append { size: Size::Page }),
    (4, OpKind::Append { size: Size::Segment }),
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

fn kind(rng: &mut Rng) -> OpKind {
    let mut left = rng.below(KINDS.iter().map(|(weight, _)| weight).sum());
    for (weight, kind) in KINDS {
        match left.checked_sub(*weight) {
            Some(more) => left = more,
            None => return *kind,
        }
    }
    OpKind::Sync
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut rng = Rng::of(&[seed, 2]);
        let config = Config {
            level: rng.pick(&[Level::Always, Level::Always, Level::Interval, Level::Manual]),
            segment_bytes: rng.pick(&[4096, 4096, 8192, 16384, 65536]),
            block_entries: rng.pick(&[100, 4, 1]),
            block_bytes: rng.pick(&[4096, 512]),
            streams: rng.pick(&[1, 1, 2]),
            sync_all: rng.percent(50),
            write_back: rng.pick(&[0, 2, 10]),
            planted: "",
        };
        let count = 20 + rng.below(41);
        let mut ops = Vec::new();
        while (ops.len() as u64) < count {
            let kind = kind(&mut rng);
            // Runs of the same operation fill segments, and build up what is not yet on disk.
            let append = matches!(kind, OpKind::Append { .. } | OpKind::Read { .. } | OpKind::Ack);
            let times = if append && rng.percent(15) { 2 + rng.below(6) } else { 1 };
            for _ in 0..times {
                let dice = rng.next();
                ops.push(Op { kind, dice });
            }
        }
        Plan { seed, config, ops }
    }

    /// The same run with only these operations.
    pub fn only(&self, kept: &[usize]) -> Plan {
        let ops = kept.iter().filter_map(|index| self.ops.get(*index).copied());
        Plan { ops: ops.collect(), ..self.clone() }
    }
}

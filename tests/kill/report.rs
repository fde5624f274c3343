//! What the child tells its parent: a line before each call and a line after it.
//!
//! Each line is one write of less than 4,096 bytes to a pipe, which the kernel does not take apart:
//! whatever the parent finds behind another line happened, in that thread's view, later. What a dead
//! child had written stays in the pipe.

use std::fmt::Write as _;
use streamlog::{EntryId, RefPolicy};

/// What a call is about to do. Streams and groups are given by their places in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Open,
    /// A stream is used for the first time: its files are recovered. It is made if it is missing.
    Recover {
        stream: usize,
    },
    /// One entry, by its number; trimmed to a length in the same step, if there is one.
    Append {
        stream: usize,
        token: u64,
        max_len: Option<u64>,
    },
    /// Entries with consecutive numbers.
    Batch {
        stream: usize,
        token: u64,
        count: u64,
    },
    /// One entry, by its number, unless it was appended before.
    Once {
        stream: usize,
        token: u64,
    },
    Delete {
        stream: usize,
        ids: Vec<EntryId>,
    },
    DeleteWith {
        stream: usize,
        ids: Vec<EntryId>,
        policy: RefPolicy,
    },
    /// To a lowest ID; never with the policy that heeds no group.
    TrimRef {
        stream: usize,
        min: EntryId,
        policy: RefPolicy,
    },
    TrimLen {
        stream: usize,
        keep: u64,
        exact: bool,
    },
    TrimMin {
        stream: usize,
        min: EntryId,
        exact: bool,
    },
    Read {
        stream: usize,
        group: usize,
        consumer: u64,
    },
    /// Takes over what is pending, then new entries: the count is of the former.
    ReadClaim {
        stream: usize,
        group: usize,
        consumer: u64,
    },
    History {
        stream: usize,
        group: usize,
        consumer: u64,
    },
    Ack {
        stream: usize,
        group: usize,
        ids: Vec<EntryId>,
    },
    AckDelete {
        stream: usize,
        group: usize,
        ids: Vec<EntryId>,
        policy: RefPolicy,
    },
    /// In one of the ways of the plan.
    Nack {
        stream: usize,
        group: usize,
        ids: Vec<EntryId>,
        how: u64,
    },
    Claim {
        stream: usize,
        group: usize,
        consumer: u64,
        ids: Vec<EntryId>,
    },
    AutoClaim {
        stream: usize,
        group: usize,
        consumer: u64,
    },
    Sync,
    Ballast {
        life: u64,
        call: u64,
    },
}

/// What a call gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The IDs that came back: of the entry, the first and last of a batch, what was delivered,
    /// what was deleted.
    pub(crate) ids: Vec<EntryId>,
    /// IDs that were reported to have no entry.
    pub(crate) gone: Vec<EntryId>,
    /// What was not deleted because a group references it.
    pub(crate) kept: Vec<EntryId>,
    pub(crate) count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The streams and groups exist.
    Ready,
    Intent {
        thread: u64,
        op: Op,
    },
    Done {
        thread: u64,
        done: Done,
    },
    /// The process is about to be killed, because this thread is in its call of this number (from
    /// 1). The last such line counts: the call may have ended in time.
    Aimed {
        thread: u64,
        call: u64,
    },
    /// The child saw something that must not be.
    Broken(String),
}

impl Op {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Op::Open => "open",
            Op::Recover { .. } => "recover",
            Op::Append { .. } => "append",
            Op::Batch { .. } => "batch",
            Op::Once { .. } => "once",
            Op::Delete { .. } => "delete",
            Op::DeleteWith { .. } => "delex",
            Op::TrimRef { .. } => "trimref",
            Op::TrimLen { .. } => "trimlen",
            Op::TrimMin { .. } => "trimmin",
            Op::Read { .. } => "read",
            Op::ReadClaim { .. } => "readclaim",
            Op::History { .. } => "history",
            Op::Ack { .. } => "ack",
            Op::AckDelete { .. } => "ackdel",
            Op::Nack { .. } => "nack",
            Op::Claim { .. } => "claim",
            Op::AutoClaim { .. } => "autoclaim",
            Op::Sync => "sync",
            Op::Ballast { .. } => "ballast",
        }
    }

    /// The stream that the call is about; the ballast is none of them.
    pub(crate) fn stream(&self) -> Option<usize> {
        match self {
            Op::Append { stream, .. }
            | Op::Batch { stream, .. }
            | Op::Once { stream, .. }
            | Op::Delete { stream, .. }
            | Op::DeleteWith { stream, .. }
            | Op::TrimRef { stream, .. }
            | Op::TrimLen { stream, .. }
            | Op::TrimMin { stream, .. }
            | Op::Read { stream, .. }
            | Op::ReadClaim { stream, .. }
            | Op::History { stream, .. }
            | Op::Ack { stream, .. }
            | Op::AckDelete { stream, .. }
            | Op::Nack { stream, .. }
            | Op::Claim { stream, .. }
            | Op::AutoClaim { stream, .. } => Some(*stream),
            Op::Open | Op::Recover { .. } | Op::Sync | Op::Ballast { .. } => None,
        }
    }

    fn numbers(&self) -> (Vec<u64>, &[EntryId]) {
        let n = |place: &usize| *place as u64;
        match self {
            Op::Open | Op::Sync => (vec![], &[]),
            Op::Recover { stream } => (vec![n(stream)], &[]),
            Op::Append { stream, token, max_len } => {
                (vec![n(stream), *token, max_len.unwrap_or(u64::MAX)], &[])
            }
            Op::Batch { stream, token, count } => (vec![n(stream), *token, *count], &[]),
            Op::Once { stream, token } => (vec![n(stream), *token], &[]),
            Op::Delete { stream, ids } => (vec![n(stream)], ids),
            Op::DeleteWith { stream, ids, policy } => {
                (vec![n(stream), policy_number(*policy)], ids)
            }
            Op::TrimRef { stream, min, policy } => {
                (vec![n(stream), policy_number(*policy)], std::slice::from_ref(min))
            }
            Op::TrimLen { stream, keep, exact } => (vec![n(stream), *keep, u64::from(*exact)], &[]),
            Op::TrimMin { stream, min, exact } => {
                (vec![n(stream), u64::from(*exact)], std::slice::from_ref(min))
            }
            Op::Read { stream, group, consumer }
            | Op::ReadClaim { stream, group, consumer }
            | Op::History { stream, group, consumer }
            | Op::AutoClaim { stream, group, consumer } => {
                (vec![n(stream), n(group), *consumer], &[])
            }
            Op::Ack { stream, group, ids } => (vec![n(stream), n(group)], ids),
            Op::AckDelete { stream, group, ids, policy } => {
                (vec![n(stream), n(group), policy_number(*policy)], ids)
            }
            Op::Nack { stream, group, ids, how } => (vec![n(stream), n(group), *how], ids),
            Op::Claim { stream, group, consumer, ids } => {
                (vec![n(stream), n(group), *consumer], ids)
            }
            Op::Ballast { life, call } => (vec![*life, *call], &[]),
        }
    }

    fn parse(word: &str, n: &[u64], ids: Vec<EntryId>) -> Option<Op> {
        let at = |index: usize| n.get(index).copied();
        let place = |index: usize| at(index).map(|value| value as usize);
        let stream = place(0);
        Some(match word {
            "open" => Op::Open,
            "recover" => Op::Recover { stream: stream? },
            "sync" => Op::Sync,
            "append" => Op::Append {
                stream: stream?,
                token: at(1)?,
                max_len: at(2).filter(|len| *len != u64::MAX),
            },
            "batch" => Op::Batch { stream: stream?, token: at(1)?, count: at(2)? },
            "once" => Op::Once { stream: stream?, token: at(1)? },
            "delete" => Op::Delete { stream: stream?, ids },
            "delex" => Op::DeleteWith { stream: stream?, ids, policy: policy(at(1)?)? },
            "trimref" => {
                Op::TrimRef { stream: stream?, min: *ids.first()?, policy: policy(at(1)?)? }
            }
            "trimlen" => Op::TrimLen { stream: stream?, keep: at(1)?, exact: at(2)? == 1 },
            "trimmin" => Op::TrimMin { stream: stream?, min: *ids.first()?, exact: at(1)? == 1 },
            "read" => Op::Read { stream: stream?, group: place(1)?, consumer: at(2)? },
            "readclaim" => Op::ReadClaim { stream: stream?, group: place(1)?, consumer: at(2)? },
            "history" => Op::History { stream: stream?, group: place(1)?, consumer: at(2)? },
            "autoclaim" => Op::AutoClaim { stream: stream?, group: place(1)?, consumer: at(2)? },
            "ack" => Op::Ack { stream: stream?, group: place(1)?, ids },
            "ackdel" => {
                Op::AckDelete { stream: stream?, group: place(1)?, ids, policy: policy(at(2)?)? }
            }
            "nack" => Op::Nack { stream: stream?, group: place(1)?, ids, how: at(2)? },
            "claim" => Op::Claim { stream: stream?, group: place(1)?, consumer: at(2)?, ids },
            "ballast" => Op::Ballast { life: at(0)?, call: at(1)? },
            _ => return None,
        })
    }
}

const POLICIES: [RefPolicy; 3] = [RefPolicy::KeepRef, RefPolicy::DelRef, RefPolicy::Acked];

fn policy_number(policy: RefPolicy) -> u64 {
    policy as u64
}

fn policy(number: u64) -> Option<RefPolicy> {
    POLICIES.get(usize::try_from(number).ok()?).copied()
}

fn write_ids(line: &mut String, ids: &[EntryId]) {
    for (n, id) in ids.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(line, "{comma}{id}").unwrap();
    }
    if ids.is_empty() {
        line.push('.');
    }
}

fn parse_ids(text: &str) -> Option<Vec<EntryId>> {
    if text == "." {
        return Some(Vec::new());
    }
    text.split(',').map(|id| id.parse().ok()).collect()
}

impl Line {
    /// The line with its end.
    pub(crate) fn to_text(&self) -> String {
        let mut line = String::new();
        match self {
            Line::Ready => line.push_str("ready"),
            Line::Broken(what) => {
                write!(line, "broken {}", what.replace('\n', " ")).unwrap();
                line.truncate(4000);
            }
            Line::Intent { thread, op } => {
                let (numbers, ids) = op.numbers();
                write!(line, "intent {thread} {} ", op.word()).unwrap();
                write_ids(&mut line, ids);
                for number in numbers {
                    write!(line, " {number}").unwrap();
                }
            }
            Line::Done { thread, done } => {
                write!(line, "done {thread} {} ", done.count).unwrap();
                write_ids(&mut line, &done.ids);
                line.push(' ');
                write_ids(&mut line, &done.gone);
                line.push(' ');
                write_ids(&mut line, &done.kept);
            }
            Line::Aimed { thread, call } => write!(line, "aimed {thread} {call}").unwrap(),
        }
        line.push('\n');
        assert!(line.len() < 4096, "a pipe would take this line apart");
        line
    }

    pub(crate) fn parse(text: &str) -> Option<Line> {
        if text == "ready" {
            return Some(Line::Ready);
        }
        if let Some(what) = text.strip_prefix("broken ") {
            return Some(Line::Broken(what.to_owned()));
        }
        let mut words = text.split(' ');
        match words.next()? {
            "intent" => {
                let thread = words.next()?.parse().ok()?;
                let word = words.next()?;
                let ids = parse_ids(words.next()?)?;
                let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
                let op = Op::parse(word, &numbers?, ids)?;
                Some(Line::Intent { thread, op })
            }
            "done" => {
                let thread = words.next()?.parse().ok()?;
                let count = words.next()?.parse().ok()?;
                let ids = parse_ids(words.next()?)?;
                let gone = parse_ids(words.next()?)?;
                let kept = parse_ids(words.next()?)?;
                let done = Done { ids, gone, kept, count };
                Some(Line::Done { thread, done })
            }
            "aimed" => {
                let thread = words.next()?.parse().ok()?;
                let call = words.next()?.parse().ok()?;
                Some(Line::Aimed { thread, call })
            }
            _ => None,
        }
    }
}

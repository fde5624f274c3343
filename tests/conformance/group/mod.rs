//! Equivalents of the tests of consumer groups, g1 to g181.

use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::pattern;
use crate::registry::{Numbered, OutOfReach};
use crate::reply::Reply;
use crate::server::Target;
use std::ops::RangeInclusive;

mod ackdel;
mod block;
mod claim;
mod create;
mod info;
mod lag;
mod limits;
mod nack;
mod nack_kept;
mod pending;
mod reclaim;
mod reclaim_kept;
mod reclaim_wait;
mod syntax;
mod unblock;

pub(crate) fn numbered() -> Vec<Numbered> {
    [
        ackdel::TESTS,
        block::TESTS,
        claim::TESTS,
        create::TESTS,
        info::TESTS,
        lag::TESTS,
        limits::TESTS,
        nack::TESTS,
        nack_kept::TESTS,
        pending::TESTS,
        reclaim::TESTS,
        reclaim_kept::TESTS,
        reclaim_wait::TESTS,
        syntax::TESTS,
        unblock::TESTS,
    ]
    .concat()
}

const STRINGS: &str = "needs a key of strings (SET)";
const REPLICATION: &str = "needs replication";
const DUMPS: &str = "needs Redis's dump format (RESTORE of a payload of an older version)";

pub(crate) const OUT_OF_REACH: &[OutOfReach] = &[
    ("g15", STRINGS),
    ("g39", STRINGS),
    ("g40", "needs a key of sets (SADD)"),
    ("g43", "needs a key of lists (LPUSH)"),
    ("g46", STRINGS),
    ("g49", "needs a client that is blocked on a list (BLPOP)"),
    ("g82", DUMPS),
    ("g83", DUMPS),
    ("g84", REPLICATION),
    ("g85", REPLICATION),
    ("g86", REPLICATION),
    ("g87", REPLICATION),
    ("g99", REPLICATION),
    ("g100", REPLICATION),
    ("g171", "needs Redis's dump format (DUMP, RESTORE)"),
    ("g178", REPLICATION),
    ("g179", REPLICATION),
];

/// Whether the server has what is younger than Redis 7.0, also where an old feature answers in
/// other words since.
fn is_young(env: &Env<'_>) -> bool {
    env.target() != Target::Redis
}

/// What many of these tests ask.
impl Client {
    /// Appends the entries `n-0` with the one field `f`, whose value is `n`.
    fn entries(&mut self, key: &str, ids: RangeInclusive<u64>) -> Outcome {
        for n in ids {
            self.is(format!("XADD {key} {n}-0 f {n}"), format!("{n}-0"))?;
        }
        Ok(())
    }

    /// Entries read and lag of a group as `XINFO GROUPS` has them.
    fn counts(&mut self, key: &str, group: &str, read: &str, lag: &str) -> Outcome {
        for row in self.list(format!("XINFO GROUPS {key}"))? {
            if row.get("name")?.text()? == group {
                let expect = |field: &str, text: &str| {
                    let found = pattern::expect(row.get(field)?, text);
                    found.map_err(|error| format!("{field} of group {group}: {error}"))
                };
                expect("entries-read", read)?;
                return expect("lag", lag);
            }
        }
        Err(format!("{key} has no group {group}"))
    }

    /// The same field of all rows of a reply.
    fn each(&mut self, command: &str, field: &str, expected: &str) -> Outcome {
        let rows = self.list(command)?;
        let values: Result<Vec<Reply>, String> =
            rows.iter().map(|row| row.get(field).cloned()).collect();
        pattern::expect(&Reply::Array(values?), expected)
            .map_err(|error| format!("{command}: {field}: {error}"))
    }

    /// The commands as one transaction; gives what EXEC answers.
    fn multi(&mut self, commands: &[&str], expected: &str) -> Outcome {
        self.ok("MULTI")?;
        for command in commands {
            self.is(command, "+QUEUED")?;
        }
        self.is("EXEC", expected)
    }
}

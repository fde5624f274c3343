//! The commands on streams, a file for each family.
//!
//! They stand on the library's calls and on what a command is given, [`Context`]: no socket, no
//! clock, no thread of their own. Where the order of checks shows in replies, it is Redis's.
//!
//! [`Context`]: super::super::context::Context

mod ack;
mod add;
mod args;
mod claim;
mod delete;
mod group;
mod idempotency;
mod info;
mod nack;
mod pending;
mod policy;
mod range;
mod read;
mod read_group;
mod read_words;
mod reply;
mod set;
mod trim;

use super::table::{BLOCKING, Command, FAST, READ, Run, WRITE};

/// What every family needs.
mod prelude {
    pub(super) use crate::resp::context::{Answer, Context, Done, Wait};
    pub(super) use crate::resp::out::Out;
    pub(super) use crate::resp::refusal::Refusal;
}

/// A command whose second word says what to do.
const fn parted(
    name: &'static str,
    flags: u16,
    help: crate::resp::context::Handler,
    parts: &'static [Command],
) -> Command {
    Command { name, arity: -2, flags, run: Run::Data(help), parts }
}

/// All of them, for the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::data("xack", -4, WRITE | FAST, ack::xack),
    Command::data("xackdel", -6, WRITE | FAST, ack::xackdel),
    Command::data("xadd", -5, WRITE | FAST, add::xadd),
    Command::data("xautoclaim", -6, WRITE | FAST, claim::xautoclaim),
    Command::data("xcfgset", -2, WRITE | FAST, idempotency::xcfgset),
    Command::data("xclaim", -6, WRITE | FAST, claim::xclaim),
    Command::data("xdel", -3, WRITE | FAST, delete::xdel),
    Command::data("xdelex", -5, WRITE | FAST, delete::xdelex),
    parted("xgroup", WRITE, group::help, group::PARTS),
    Command::data("xidmprecord", 5, WRITE | FAST, idempotency::xidmprecord),
    parted("xinfo", READ, info::help, info::PARTS),
    Command::data("xlen", 2, READ | FAST, range::xlen),
    Command::data("xnack", -7, WRITE | FAST, nack::xnack),
    Command::data("xpending", -3, READ, pending::xpending),
    Command::data("xrange", -4, READ, range::xrange),
    Command::data("xread", -4, READ | BLOCKING, read::xread),
    Command::data("xreadgroup", -7, WRITE | BLOCKING, read_group::xreadgroup),
    Command::data("xrevrange", -4, READ, range::xrevrange),
    Command::data("xsetid", -3, WRITE | FAST, set::xsetid),
    Command::data("xtrim", -4, WRITE, trim::xtrim),
];

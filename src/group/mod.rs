//! Consumer groups as a pure machine: commands are decided, events come out, events are applied.
//!
//! Nothing here knows of files, locks or clocks: the time, what the log holds and whether an entry
//! lives are arguments. A decision (`&self`) changes nothing; [`Groups::apply`] does, and it does
//! the same whether an event was made a moment ago or is read back from the journal.
//!
//! - `state`: the groups and consumers of one stream, and how events change them;
//! - `pending`: the pending entries list of one group;
//! - `counters`: `entries_read` and lag;
//! - `read`, `claim`: what reading, acknowledging and claiming mean;
//! - `nack`: what giving deliveries back means;
//! - `references`: which entries the groups hold on to, and how they let go of them;
//! - `info`, `details`: what is told of groups, consumers and pending entries;
//! - `freeze`: the state as the events that rebuild it;
//! - `recover`: what becomes of positions beyond the end of the recovered log.

mod claim;
mod counters;
mod details;
mod freeze;
mod info;
mod nack;
mod pending;
mod read;
mod recover;
mod references;
mod state;

#[cfg(test)]
mod model;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

pub(crate) use counters::LogFacts;
pub use details::{ConsumerDetails, GroupDetails, PendingDetails};
pub use info::{ConsumerInfo, GroupInfo, Pending, PendingSummary};
pub(crate) use state::{GroupState, Groups};

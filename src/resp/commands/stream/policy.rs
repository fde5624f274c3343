//! KEEPREF, DELREF and ACKED: what becomes of pending records when their entries go.

use super::args::is;
use super::prelude::*;
use crate::options::Trim;

/// What options that the library does not have yet are answered with.
pub(super) const NOT_YET: Refusal = Refusal::of("ERR this option is not served yet");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Keep,
    Delete,
    Acked,
}

impl Policy {
    pub(super) fn read(word: &[u8]) -> Option<Policy> {
        let words =
            [("KEEPREF", Policy::Keep), ("DELREF", Policy::Delete), ("ACKED", Policy::Acked)];
        words.into_iter().find(|(name, _)| is(word, name)).map(|(_, policy)| policy)
    }
}

pub(super) fn with_policy(trim: Trim, policy: Option<Policy>) -> Result<Trim, Refusal> {
    match policy {
        None | Some(Policy::Keep) => Ok(trim),
        Some(_) => Err(NOT_YET),
    }
}

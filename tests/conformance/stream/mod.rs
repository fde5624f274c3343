//! Equivalents of the tests of streams, s1 to s218.

use crate::registry::{Numbered, OutOfReach};

mod add;

pub(crate) fn numbered() -> Vec<Numbered> {
    [add::TESTS].concat()
}

pub(crate) const OUT_OF_REACH: &[OutOfReach] = &[
    ("s36", "needs a string key (SET) for the wrong type"),
    ("s65", "needs Redis's dump format (DUMP, RESTORE)"),
    ("s164", "needs lists (LPUSH)"),
    ("s214", "needs replication"),
    ("s218", "needs replication"),
];

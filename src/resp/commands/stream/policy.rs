//! KEEPREF, DELREF and ACKED, and the block of IDs that XDELEX and XACKDEL have beside them.

use super::args::{Parsed, ids, int_or, is, refused};
use super::prelude::*;
use crate::id::EntryId;
use crate::options::{Deletion, RefPolicy};

const NUMBER: &str = "ERR Number of IDs must be a positive integer";
const MISMATCH: &str = "ERR The `numids` parameter must match the number of arguments";
const NO_IDS: &str = "ERR IDS option is required";

/// The policy that a word names.
pub(super) fn policy(word: &[u8]) -> Option<RefPolicy> {
    let words = [
        ("KEEPREF", RefPolicy::KeepRef),
        ("DELREF", RefPolicy::DelRef),
        ("ACKED", RefPolicy::Acked),
    ];
    words.into_iter().find(|(name, _)| is(word, name)).map(|(_, policy)| policy)
}

/// The words of XDELEX and XACKDEL behind their names of things. The IDs are not read yet.
pub(super) struct IdsWords<'a> {
    pub(super) policy: RefPolicy,
    words: &'a [&'a [u8]],
}

impl<'a> IdsWords<'a> {
    pub(super) fn read(words: &'a [&'a [u8]]) -> Parsed<IdsWords<'a>> {
        let (mut chosen, mut block) = (None, None);
        let mut left = words;
        while !left.is_empty() {
            match left {
                [word, number, rest @ ..] if block.is_none() && is(word, "IDS") => {
                    let number = match int_or(number, NUMBER)? {
                        number @ 1.. => usize::try_from(number).unwrap_or(usize::MAX),
                        _ => return refused(NUMBER),
                    };
                    let Some((ids, rest)) = rest.split_at_checked(number) else {
                        return refused(MISMATCH);
                    };
                    block = Some(ids);
                    left = rest;
                }
                [word, rest @ ..] if chosen.is_none() && policy(word).is_some() => {
                    chosen = policy(word);
                    left = rest;
                }
                _ => return Err(Refusal::SYNTAX),
            }
        }
        let Some(words) = block else {
            return refused(NO_IDS);
        };
        Ok(IdsWords { policy: chosen.unwrap_or_default(), words })
    }

    /// Strict, all or none.
    pub(super) fn ids(&self) -> Parsed<Vec<EntryId>> {
        ids(self.words)
    }

    /// The reply where there is nothing of that name.
    pub(super) fn none(&self, out: &mut Out) {
        out.array(self.words.len());
        self.words.iter().for_each(|_| out.int(-1));
    }
}

/// What became of each ID.
pub(super) fn deletions(out: &mut Out, told: &[Deletion]) {
    out.array(told.len());
    for one in told {
        out.int(match one {
            Deletion::Deleted => 1,
            Deletion::NotFound => -1,
            Deletion::Referenced => 2,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        IdsWords::read(&words).map_or_else(|refusal| refusal.0.into_owned(), |_| "fine".into())
    }

    #[test]
    fn the_policy_stands_in_front_or_behind() {
        for line in ["IDS 1 1-1", "DELREF IDS 2 1 2", "ids 1 1-1 acked"] {
            assert_eq!(text(line), "fine", "{line}");
        }
        let words: [&[u8]; 4] = [b"IDS", b"1", b"1-1", b"acked"];
        assert_eq!(IdsWords::read(&words).unwrap().policy, RefPolicy::Acked);
    }

    #[test]
    fn each_error_has_its_text() {
        for line in ["KEEPREF DELREF IDS 1 1", "IDS 1 1 2", "IDS", "other IDS 1 1", "IDS 1 1 IDS"] {
            assert_eq!(text(line), Refusal::SYNTAX.0, "{line}");
        }
        for line in ["IDS 0 1", "IDS -1 1", "IDS x 1", "IDS 9223372036854775808 1"] {
            assert_eq!(text(line), NUMBER, "{line}");
        }
        assert_eq!(text("IDS 3 1 2"), MISMATCH);
        assert_eq!(text("KEEPREF"), NO_IDS);
    }
}

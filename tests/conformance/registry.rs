//! The numbered tests: which there are, what each needs, and which are out of reach.

use crate::client::Outcome;
use crate::env::Env;
use crate::rows::ROWS;
use crate::{group, row_tests, stream, younger};

/// An equivalent of one test of Redis's own suite, or (`r1`…) a test of a feature
/// that none of them shows.
#[derive(Clone, Copy)]
pub(crate) struct Numbered {
    /// `s17` is number 17 of the stream tests, `g4` number 4 of those of consumer groups.
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    /// The first version of Redis that is to pass it: decides whether 7.0.15 is asked.
    pub(crate) since: (u8, u8),
    /// It restarts the process or leaves the server changed.
    pub(crate) own_server: bool,
    pub(crate) run: fn(&mut Env<'_>) -> Outcome,
}

impl Numbered {
    pub(crate) const fn new(
        code: &'static str,
        title: &'static str,
        run: fn(&mut Env<'_>) -> Outcome,
    ) -> Numbered {
        Numbered { code, title, since: (7, 0), own_server: false, run }
    }

    pub(crate) const fn since(self, major: u8, minor: u8) -> Numbered {
        Numbered { since: (major, minor), ..self }
    }

    pub(crate) const fn own_server(self) -> Numbered {
        Numbered { own_server: true, ..self }
    }
}

/// A number without a test, and why.
pub(crate) type OutOfReach = (&'static str, &'static str);

/// How many numbers there are: s1 to s218, g1 to g181.
pub(crate) const ALL: [(char, u32); 2] = [('s', 218), ('g', 181)];

pub(crate) fn numbered() -> Vec<Numbered> {
    [stream::numbered(), group::numbered()].concat()
}

/// All that can be run.
pub(crate) fn all() -> Vec<Numbered> {
    [numbered(), row_tests::TESTS.to_vec(), younger::TESTS.to_vec()].concat()
}

pub(crate) fn out_of_reach() -> Vec<OutOfReach> {
    [stream::OUT_OF_REACH, group::OUT_OF_REACH].concat()
}

/// Every number is a test or out of reach, none is both or twice. Gives what is missing.
pub(crate) fn missing() -> Result<Vec<String>, String> {
    let mut codes: Vec<&str> = numbered().iter().map(|test| test.code).collect();
    codes.extend(out_of_reach().iter().map(|(code, _)| code));
    codes.sort_unstable();
    if let Some(pair) = codes.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{} is there twice", pair[0]));
    }
    let all = ALL.iter().flat_map(|(kind, n)| (1..=*n).map(move |n| format!("{kind}{n}")));
    let all: Vec<String> = all.collect();
    let tests = self::all();
    for (row, codes) in ROWS {
        if let Some(code) = codes.iter().find(|code| !tests.iter().any(|t| t.code == **code)) {
            return Err(format!("{row} names {code}, which is no test"));
        }
    }
    if let Some(code) = codes.iter().find(|code| !all.iter().any(|known| known == *code)) {
        return Err(format!("there is no number {code}"));
    }
    Ok(all.into_iter().filter(|code| codes.binary_search(&code.as_str()).is_err()).collect())
}

//! The command line: which tests are run against what, and what is printed about it.

use crate::client::Outcome;
use crate::registry::{self, Numbered};
use crate::rows::ROWS;
use crate::runner::{self, Outcomes, Way};
use crate::server::{self, Target};
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(Default)]
struct Wanted {
    redis: bool,
    count: bool,
    no_stubs: bool,
    resp3: bool,
    codes: Vec<String>,
}

impl Wanted {
    fn way(&self, target: Target) -> Way {
        Way { target, resp3: self.resp3, quiet: false }
    }
}

fn wanted() -> Wanted {
    let mut wanted = Wanted::default();
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--redis" => wanted.redis = true,
            "--count" => wanted.count = true,
            "--resp3" => wanted.resp3 = true,
            "--no-stubs" => wanted.no_stubs = true,
            // The options of the usual harness, which are meant for other programs of `tests/`.
            option if option.starts_with("--") => {}
            code => wanted.codes.push(code.to_owned()),
        }
    }
    wanted
}

fn split(code: &str) -> (&str, u32) {
    let (kind, digits) = code.split_at_checked(1).unwrap_or((code, ""));
    (kind, digits.parse().unwrap_or(0))
}

/// Whether a test is one of `s17` or `s10..s20`.
fn is_chosen(code: &str, codes: &[String]) -> bool {
    let (kind, n) = split(code);
    codes.is_empty()
        || codes.iter().any(|wanted| match wanted.split_once("..") {
            None => wanted == code,
            Some((from, to)) => {
                let (from, to) = (split(from), split(to));
                kind == from.0 && kind == to.0 && (from.1..=to.1).contains(&n)
            }
        })
}

fn failures(outcomes: &Outcomes) -> usize {
    outcomes.values().filter(|outcome| outcome.is_err()).count()
}

pub(crate) fn main() -> ExitCode {
    let wanted = wanted();
    let checked = crate::pattern::self_test().and_then(|()| registry::missing());
    let missing = match checked {
        Ok(missing) => missing,
        Err(error) => {
            println!("the tests themselves are wrong: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut tests = registry::all();
    tests.retain(|test| is_chosen(test.code, &wanted.codes));
    // The slowest first would be best; those with a server of their own are slow.
    tests.sort_by_key(|test| !test.own_server);
    let passed = match (wanted.redis, wanted.count) {
        (true, _) => on_redis(&tests, &wanted),
        (false, true) => count(&tests, &missing),
        (false, false) => on_ours(&tests, &wanted),
    };
    match passed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Those of younger versions are left out, unless they were asked for by their codes.
fn on_redis(tests: &[Numbered], wanted: &Wanted) -> Outcome {
    if !server::has_redis() {
        return Err("there is no redis-server on the PATH".to_owned());
    }
    let all = !wanted.codes.is_empty();
    let known: Vec<Numbered> = tests.iter().filter(|t| all || t.since <= (7, 0)).copied().collect();
    let outcomes = runner::run(wanted.way(Target::Redis), &known);
    println!(
        "on redis-server: {} of {} pass; {} are of younger versions",
        known.len() - failures(&outcomes),
        known.len(),
        tests.len() - known.len()
    );
    match failures(&outcomes) {
        0 => Ok(()),
        n => Err(format!("{n} tests fail on the real server")),
    }
}

/// The codes of tests that pass against a stub and therefore prove nothing.
fn worthless(tests: &[Numbered]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for stub in [Target::StubOk, Target::StubNil] {
        let outcomes = runner::run(Way { target: stub, resp3: false, quiet: true }, tests);
        found.extend(outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(code, _)| *code));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// In both protocols.
fn on_ours(tests: &[Numbered], wanted: &Wanted) -> Outcome {
    let worthless = if wanted.no_stubs { Vec::new() } else { worthless(tests) };
    if !wanted.no_stubs {
        println!("{} fail against both stubs, as they must", tests.len() - worthless.len());
    }
    let mut failed = 0;
    for resp3 in [false, true] {
        let way = Way { resp3, ..wanted.way(Target::Ours) };
        if wanted.resp3 && !resp3 {
            continue;
        }
        let outcomes = runner::run(way, tests);
        let passed = tests.len() - failures(&outcomes);
        println!("{passed} of {} pass in RESP{}", tests.len(), if resp3 { 3 } else { 2 });
        failed += failures(&outcomes);
    }
    match (failed, worthless.as_slice()) {
        (0, []) => Ok(()),
        (n, []) => Err(format!("{n} tests fail")),
        (n, codes) => Err(format!("{n} tests fail; these pass against a stub: {codes:?}")),
    }
}

/// Reasons, each with the codes that have it.
fn print_out_of_reach() {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (code, why) in registry::out_of_reach() {
        reasons.entry(why).or_default().push(code);
    }
    for (why, codes) in reasons {
        println!("out of reach  {why}: {}", codes.join(" "));
    }
}

fn count(tests: &[Numbered], missing: &[String]) -> Outcome {
    let worthless = worthless(tests);
    let outcomes = runner::run(Way { target: Target::Ours, resp3: false, quiet: true }, tests);
    let good = |code: &str| {
        !worthless.contains(&code) && outcomes.get(code).is_some_and(|outcome| outcome.is_ok())
    };
    print_out_of_reach();
    for code in missing {
        println!("not written   {code}");
    }
    for code in &worthless {
        println!("worthless     {code:5} passes against a stub");
    }
    for test in tests {
        if let Some(Err(error)) = outcomes.get(test.code) {
            println!("fails         {:5} {}: {error}", test.code, test.title);
        }
    }
    for (row, codes) in ROWS {
        let bad: Vec<_> = codes.iter().filter(|code| !good(code)).copied().collect();
        if !bad.is_empty() {
            println!("row fails     {row}: {}", bad.join(" "));
        }
    }
    let all: usize = registry::ALL.iter().map(|(_, n)| *n as usize).sum();
    let in_reach = all - registry::out_of_reach().len();
    let passing = registry::numbered().iter().filter(|test| good(test.code)).count();
    let rows = ROWS.iter().filter(|(_, codes)| codes.iter().all(|code| good(code))).count();
    println!("numbered tests: {passing} pass / {in_reach} in reach / {all} all");
    println!("rows of features: {rows} pass / {} all", ROWS.len());
    // What the project promises: every row, and 95 % of the tests in reach.
    match rows == ROWS.len() && passing * 100 >= in_reach * 95 {
        true => Ok(()),
        false => Err("less than was promised".to_owned()),
    }
}

//! The rules of the house that no lint knows: who may name what, and how long things may get.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

struct Source {
    /// From the crate's root, with slashes.
    name: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let others = ["src/fuzzing/seeds.rs", "src/group/model.rs", "src/group/naive.rs"];
        self.name.ends_with("tests.rs") || others.contains(&self.name.as_str())
    }

    /// The lines up to the first test module, without comments and string contents that could be
    /// taken for code.
    fn code(&self) -> Vec<&str> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().collect()
    }

    fn names(&self, word: &str) -> Option<usize> {
        self.code()
            .iter()
            .position(|line| !line.trim_start().starts_with("//") && line.contains(word))
            .map(|n| n + 1)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(dir: &Path, out: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            // What cargo builds of the crates below benches/ holds generated sources.
            if !path.ends_with("target") {
                collect(&path, out);
            }
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            out.push(Source { name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

fn sources(dir: &str) -> Vec<Source> {
    let mut out = Vec::new();
    collect(&root().join(dir), &mut out);
    assert!(!out.is_empty(), "there is nothing in {dir}");
    out
}

fn check(mut bad: Vec<String>) {
    bad.sort();
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

/// Every place in files that `choose` picks where one of these words stands.
fn places(choose: impl Fn(&Source) -> bool, words: &[&str]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test() && choose(source)) {
        for word in words {
            if let Some(line) = source.names(word) {
                bad.push(format!("{}:{line} names {word}", source.name));
            }
        }
    }
    bad
}

fn in_folder<'a>(folders: &'a [&'a str]) -> impl Fn(&Source) -> bool + 'a {
    move |source| folders.iter().any(|folder| source.name.starts_with(folder))
}

const OUTSIDE_WORLD: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "memmap2",
    "rustix",
    "Mutex<",
];

#[test]
fn format_and_groups_are_pure() {
    check(places(in_folder(&["src/format/", "src/group/", "src/state.rs"]), &OUTSIDE_WORLD));
}

#[test]
fn the_lowest_layer_knows_nothing_above_it() {
    let lowest = ["src/id.rs", "src/entry.rs", "src/options", "src/error.rs"];
    let above = [
        "crate::format",
        "crate::storage",
        "crate::group",
        "crate::journal",
        "crate::stream",
        "crate::store",
        "crate::commit",
    ];
    check(places(in_folder(&lowest), &above));
    check(places(in_folder(&lowest), &OUTSIDE_WORLD));
}

#[test]
fn no_layer_names_one_above_it() {
    let format =
        ["crate::storage", "crate::group", "crate::journal", "crate::stream", "crate::store"];
    check(places(in_folder(&["src/format/"]), &format));
    let group =
        ["crate::storage", "crate::journal", "crate::stream", "crate::store", "crate::commit"];
    check(places(in_folder(&["src/group/"]), &group));
    let storage =
        ["crate::group", "crate::journal", "crate::stream", "crate::store", "crate::state"];
    check(places(in_folder(&["src/storage/"]), &storage));
    let waiting = ["crate::storage", "crate::stream", "crate::store", "crate::journal"];
    check(places(in_folder(&["src/commit.rs", "src/notify.rs", "src/sync.rs"]), &waiting));
    let journal = ["crate::stream", "crate::store", "crate::consumer", "crate::state"];
    check(places(in_folder(&["src/journal"]), &journal));
}

#[test]
fn files_are_touched_in_storage_only() {
    // A socket is a file without being one of the store's, and a program reads its own files.
    let others = ["src/storage/", "src/bin/", "src/resp/listen.rs"];
    let outside = |source: &Source| !others.iter().any(|other| source.name.starts_with(other));
    check(places(outside, &["std::fs", "memmap2", "rustix::fs", "rustix::mm", "File::open"]));
}

#[test]
fn unsafe_code_lives_in_three_files() {
    // Memory, and the instructions of some processors.
    let known = ["src/storage/region.rs", "src/format/wide.rs", "src/storage/ticks.rs"];
    let others = |source: &Source| !known.contains(&source.name.as_str());
    check(places(others, &["unsafe ", "allow(unsafe_code)"]));
}

#[test]
fn nothing_is_left_undone() {
    check(places(|_| true, &["todo!", "unimplemented!", "dbg!", "FIXME", "XXX"]));
}

#[test]
fn every_file_says_what_it_is_for() {
    let begins = |text: &str| text.starts_with("//!") || text.starts_with("#![doc");
    // What is included into another file cannot have a comment of the file.
    let included =
        |source: &Source| source.name == "tests/ground/source.rs" && source.text.starts_with("// ");
    let bad = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .chain(sources("benches"))
        .chain(sources("examples"))
        .filter(|source| !begins(&source.text) && !included(source))
        .map(|source| format!("{} does not begin with its purpose", source.name));
    check(bad.collect());
}

#[test]
fn files_lines_and_functions_stay_short() {
    let mut bad = Vec::new();
    for source in sources("src") {
        let code = source.code();
        if code.len() > 500 {
            bad.push(format!("{} has {} lines of code", source.name, code.len()));
        }
        for (n, line) in source.text.lines().enumerate() {
            if line.chars().count() > 100 {
                bad.push(format!("{}:{} is longer than 100 characters", source.name, n + 1));
            }
            if !line.is_ascii() {
                bad.push(format!("{}:{} is not ASCII", source.name, n + 1));
            }
        }
        for (line, len) in functions(&code) {
            if len > 60 {
                bad.push(format!("{}:{line} is a function of {len} lines", source.name));
            }
        }
    }
    check(bad);
}

/// First line and length of each function, by counting braces.
fn functions(code: &[&str]) -> Vec<(usize, usize)> {
    let is_fn = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = ["pub(crate) ", "pub(super) ", "pub(in "]
            .iter()
            .fold(line, |l, p| l.strip_prefix(p).unwrap_or(l));
        let line = line.strip_prefix("const ").unwrap_or(line);
        line.starts_with("fn ") || line.starts_with("unsafe fn ")
    };
    let mut found = Vec::new();
    let mut n = 0;
    while n < code.len() {
        if !is_fn(code[n]) {
            n += 1;
            continue;
        }
        let (mut depth, mut started, mut end) = (0i64, false, n);
        while end < code.len() {
            let opened = code[end].matches('{').count() as i64;
            depth += opened - code[end].matches('}').count() as i64;
            started |= opened > 0;
            if (started && depth <= 0) || (!started && code[end].ends_with(';')) {
                break;
            }
            end += 1;
        }
        found.push((n + 1, end - n + 1));
        n = end + 1;
    }
    found
}

/// The words in capitals of one cell of README's table, and the calls that another one names.
fn commands_and_calls(row: &str) -> Option<(Vec<String>, Vec<String>)> {
    let [_, left, right, _] = row.split('|').collect::<Vec<_>>()[..] else { return None };
    let is_command = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    let words = left.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| is_command(word));
    // `stream.snapshot()?.range(ids)`: what a call gives back is asked further, a handle is not.
    let is_call =
        |name: &&str| !["", "store", "stream", "group", "consumer", "delivery"].contains(name);
    let mut calls = Vec::new();
    for code in right.split('`').skip(1).step_by(2) {
        let path = code.replace("()?", "");
        let (first, rest) = path.split_once('.').unwrap_or(("", &path));
        let names = rest.split(['(', ' ']).next().into_iter().flat_map(|names| names.split('.'));
        calls.extend([first].into_iter().filter(is_call).chain(names).map(str::to_owned));
    }
    Some((words.map(str::to_owned).collect(), calls))
}

/// Whether the lines above the one with this number, up to the next that is neither comment nor
/// attribute, give the item one of these names.
fn has_alias(code: &[&str], n: usize, commands: &BTreeSet<String>) -> bool {
    let above = code[..n].iter().rev().map(|line| line.trim());
    let above = above.take_while(|line| line.starts_with(['/', '#']));
    let mut aliases = above.filter_map(|line| line.strip_prefix("#[doc(alias = \""));
    aliases.any(|alias| commands.contains(alias.split(['"', ' ']).next().unwrap_or_default()))
}

/// Who searches the documentation for a command of Redis finds the call. Fails if the alias of a
/// call in README's table is taken away.
#[test]
fn calls_in_the_table_of_commands_are_found_by_the_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut table = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
    for (commands, calls) in readme.lines().filter_map(commands_and_calls) {
        for call in calls.into_iter().filter(|_| !commands.is_empty()) {
            table.entry(call).or_default().extend(commands.iter().cloned());
        }
    }
    assert!(table.len() >= 40, "{table:?}");
    let mut missing: BTreeSet<&String> = table.keys().filter(|call| *call != "rev").collect();
    let mut bad = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let handles = ["src/store/", "src/stream/", "src/consumer", "src/wait", "src/read.rs"];
        if !handles.iter().any(|part| source.name.starts_with(part)) {
            continue;
        }
        // Behind it stand what calls give back, with calls of their own.
        let code: Vec<_> =
            source.code().into_iter().take_while(|line| *line != "pub struct Batch {").collect();
        for (n, line) in code.iter().enumerate() {
            let Some(rest) = line.trim().strip_prefix("pub fn ") else { continue };
            let name = rest.split(['(', '<']).next().unwrap();
            // What only gives a part of the handle back asks nothing of the stream.
            let Some(commands) = table.get(name).filter(|_| !line.contains("(&self) -> &")) else {
                continue;
            };
            missing.retain(|call| *call != name);
            if !has_alias(&code, n, commands) {
                bad.push(format!("{}:{} {name} has no alias of {commands:?}", source.name, n + 1));
            }
        }
    }
    bad.extend(missing.into_iter().map(|call| format!("README names {call}, which is no call")));
    check(bad);
}

#[test]
fn no_drawer_for_odds_and_ends() {
    let bad = sources("src").into_iter().filter(|source| {
        let stem = Path::new(&source.name).file_stem().unwrap().to_str().unwrap().to_owned();
        ["util", "utils", "common", "types", "helpers", "misc"].contains(&stem.as_str())
    });
    check(bad.map(|source| source.name).collect());
}

#[test]
fn every_file_is_part_of_the_crate() {
    let all = sources("src");
    let roots = ["src/lib.rs", "src/bin/streamlog.rs"].map(str::to_owned);
    let mut declared: BTreeSet<String> = BTreeSet::from(roots);
    for source in &all {
        let folder = match source.name.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_owned(),
            None if source.name == "src/lib.rs" => "src".to_owned(),
            None => source.name.trim_end_matches(".rs").to_owned(),
        };
        for line in source.text.lines() {
            let words: Vec<&str> = line.trim().trim_end_matches(';').split_whitespace().collect();
            if let Some(at) = words.iter().position(|word| *word == "mod")
                && let Some(name) = words.get(at + 1).filter(|_| line.trim().ends_with(';'))
            {
                declared.insert(format!("{folder}/{name}.rs"));
                declared.insert(format!("{folder}/{name}/mod.rs"));
            }
        }
    }
    let bad = all.iter().filter(|source| !declared.contains(&source.name));
    check(bad.map(|source| format!("{} is in no module", source.name)).collect());
}

#[test]
fn no_test_throws_its_answer_away() {
    let mut bad = Vec::new();
    for source in sources("tests").into_iter().chain(sources("src")) {
        let mut before = "{";
        for (n, line) in source.text.lines().map(str::trim).enumerate() {
            let begins = before.ends_with([';', '{', '}']);
            if begins && line.starts_with("matches!(") && line.ends_with(");") {
                bad.push(format!("{}:{} has a matches! that nobody looks at", source.name, n + 1));
            }
            before = if line.is_empty() { before } else { line };
        }
    }
    check(bad);
}

#[test]
fn what_is_published_names_no_machine() {
    let home = ["/", "root", "/"].concat();
    let mut bad = Vec::new();
    for dir in ["src", "tests", "benches", "examples"] {
        for source in sources(dir) {
            if source.text.contains(&home) {
                bad.push(format!("{} names a path of one machine", source.name));
            }
        }
    }
    check(bad);
}

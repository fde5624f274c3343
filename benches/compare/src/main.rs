//! Measures streamlog beside its peers, and beside rows called `limit` that do the least that such
//! a log must do. Every figure is a ratio taken in one run; `benches/README.md` tells how.

mod floors;
mod machine;
mod map;
mod measure;
mod memory;
mod payload;
mod peer;
mod process;
mod report;
mod results;
mod runner;
mod syncs;
mod workload;

use measure::Order;
use peer::Outcome;
use results::Results;
use runner::Plan;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workload::{WORKLOADS, Workload};

const USAGE: &str = "\
compare [--quick] [--all] [--only W1,W6,..] [--row NAME].. [--repetitions N]
        [--scratch DIR] [--results DIR]
    measures, writes results/full.csv and .md (with --quick: quick.csv and .md), prints the floors;
    ends with 1 if a floor was not reached or a measurement failed
compare report FILE.csv
    makes FILE.md again from raw results
compare syncs
    counts with strace how often each durable append of each row syncs, writes results/syncs.md;
    ends with 1 if a row syncs less than once an append
compare list
    names workloads and rows";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["child", step, workload, row, size, dir] => child(step, workload, row, (size, dir)),
        ["report", file] => again(Path::new(file)),
        ["syncs"] => syncs::check(&home().join("target/scratch"), &home().join("results")),
        ["list"] => {
            list();
            Ok(true)
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(true)
        }
        _ => plan(&words).and_then(|(plan, folder)| compare(&plan, &folder)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn child(step: &str, workload: &str, row: &str, (size, dir): (&str, &str)) -> Outcome<bool> {
    let workload = workload::find(workload).ok_or("no such workload")?;
    let row = peer::find(row).ok_or("no such row")?;
    let (quick, fills) = (size == "quick", step == "fill");
    (row.run)(&Order {
        workload,
        quick,
        patient: row.patient,
        fills,
        appends: step.parse().ok(),
        dir: PathBuf::from(dir),
    })?;
    Ok(true)
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn list() {
    for Workload {
        id,
        title,
        by_default,
        ..
    } in WORKLOADS
    {
        println!(
            "{id:5} {}{title}",
            if *by_default { "" } else { "(--all) " }
        );
    }
    for row in peer::ROWS {
        let missing = (row.missing)().map_or(String::new(), |why| format!(" ({why})"));
        println!("{}{missing}", row.name);
    }
}

fn plan(words: &[&str]) -> Outcome<(Plan, PathBuf)> {
    let home = home();
    let (mut quick, mut all) = (false, false);
    let (mut only, mut rows) = (Vec::new(), Vec::new());
    let mut repetitions = None;
    let (mut scratch, mut folder) = (home.join("target/scratch"), home.join("results"));
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or(USAGE);
        match *word {
            "--quick" => quick = true,
            "--all" => all = true,
            "--only" => only = names(value()?),
            "--row" => rows.push(value()?.to_owned()),
            "--repetitions" => repetitions = Some(value()?.parse()?),
            "--scratch" => scratch = PathBuf::from(value()?),
            "--results" => folder = PathBuf::from(value()?),
            _ => return Err(USAGE.into()),
        }
    }
    for name in &rows {
        peer::find(name).ok_or_else(|| format!("no row {name}; see compare list"))?;
    }
    let workloads = if only.is_empty() {
        WORKLOADS
            .iter()
            .filter(|workload| all || workload.by_default)
            .collect()
    } else {
        let found = only.iter().map(|id| workload::find(id));
        found
            .collect::<Option<Vec<_>>>()
            .ok_or("no such workload; see compare list")?
    };
    let repetitions = repetitions.unwrap_or(if quick { 1 } else { 3 });
    Ok((
        Plan {
            workloads,
            rows,
            repetitions,
            quick,
            scratch,
        },
        folder,
    ))
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

fn compare(plan: &Plan, folder: &Path) -> Outcome<bool> {
    if machine::is_busy() {
        eprintln!("other programs run on this machine: ratios will be off, rates wrong");
    }
    let (results, all) = runner::run(plan)?;
    fs::create_dir_all(folder)?;
    let raw = folder.join(if plan.quick { "quick.csv" } else { "full.csv" });
    fs::write(&raw, results.to_csv())?;
    Ok(again(&raw)? && all)
}

fn again(raw: &Path) -> Outcome<bool> {
    let results = Results::from_csv(&fs::read_to_string(raw)?)?;
    let table = raw.with_extension("md");
    fs::write(&table, report::markdown(&results))?;
    print!("{}", report::floors(&results));
    println!("tables: {}", table.display());
    Ok(!report::any_failed(&results))
}

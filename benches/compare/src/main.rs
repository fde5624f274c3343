//! Measures streamlog beside its peers, and beside rows called `limit` that do the least that such
//! a log must do. Every figure is a ratio taken in one run; `benches/README.md` tells how.

mod alone;
mod budget;
mod curves;
mod floors;
mod machine;
mod map;
mod measure;
mod memory;
mod payload;
mod peer;
mod plot;
mod process;
mod report;
mod results;
mod runner;
mod syncs;
mod usage;
mod workload;

use measure::Order;
use peer::Outcome;
use results::Results;
use runner::Plan;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workload::{Task, Workload};

const USAGE: &str = "\
compare [--quick] [--all] [--only W1,W6,..] [--row NAME].. [--repetitions N]
        [--scratch DIR] [--results DIR]
    measures, writes results/full.csv, .md and .svg (with --quick: quick.*), prints budgets and
    floors; ends with 1 if a floor was not reached or a measurement failed
compare curves [--quick] [--huge] [the same words]
    measures what things cost as there are more of them, writes results/curves.csv, .md and .svg;
    --huge goes to 100 M entries, which take 14 GB
compare report FILE.csv
    makes FILE.md and the pictures again from raw results
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
        ["curves", ref words @ ..] => {
            plan(words, true).and_then(|(plan, folder)| compare(&plan, &folder))
        }
        _ => plan(&words, false).and_then(|(plan, folder)| compare(&plan, &folder)),
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
    let order = Order {
        workload,
        quick,
        patient: row.patient,
        fills,
        appends: step.parse().ok(),
        again: step == "again",
        dir: PathBuf::from(dir),
    };
    match workload.task {
        Task::Alone(task) => task.run(row.name, &order)?,
        _ => (row.run)(&order)?,
    }
    Ok(true)
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn list() {
    for Workload { id, title, by_default, .. } in workload::all() {
        println!(
            "{id:5} {}{title}",
            match (by_default, curves::size(id)) {
                (true, _) => "",
                (false, Some(_)) => "(curves) ",
                (false, None) => "(--all) ",
            }
        );
    }
    for row in peer::ROWS {
        let missing = (row.missing)().map_or(String::new(), |why| format!(" ({why})"));
        println!("{}{missing}", row.name);
    }
}

fn plan(words: &[&str], curves: bool) -> Outcome<(Plan, PathBuf)> {
    let home = home();
    let (mut quick, mut all, mut huge) = (false, false, false);
    let (mut only, mut rows) = (Vec::new(), Vec::new());
    let mut repetitions = None;
    let (mut scratch, mut folder) = (home.join("target/scratch"), home.join("results"));
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or(USAGE);
        match *word {
            "--quick" => quick = true,
            "--all" => all = true,
            "--huge" => huge = true,
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
    let workloads = chosen(&only, all, curves.then_some((quick, huge)))?;
    let asked = repetitions.is_some();
    let repetitions = repetitions.unwrap_or(match (curves, quick) {
        (_, true) => 1,
        (_, false) => 3,
    });
    if curves && rows.is_empty() {
        let drawn = peer::ROWS.iter().filter(|row| curves::shows(row.name));
        rows.extend(drawn.map(|row| row.name.to_owned()));
    }
    Ok((Plan { workloads, rows, repetitions, asked, quick, curves, scratch }, folder))
}

/// The workloads of these names; if there are none, those of the curves (small or huge), all, or the
/// default ones.
fn chosen(
    only: &[String],
    all: bool,
    curves: Option<(bool, bool)>,
) -> Outcome<Vec<&'static Workload>> {
    if !only.is_empty() {
        let found = only.iter().map(|id| workload::find(id));
        let found = found.collect::<Option<Vec<_>>>();
        return Ok(found.ok_or("no such workload; see compare list")?);
    }
    if let Some((quick, huge)) = curves {
        return Ok(curves::points(quick, huge));
    }
    let wanted =
        |workload: &&Workload| workload.by_default || all && curves::size(workload.id).is_none();
    Ok(workload::all().filter(wanted).collect())
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
    let name = results.run().replace(' ', "-");
    let raw = folder.join(format!("{name}.csv"));
    fs::write(&raw, results.to_csv())?;
    Ok(again(&raw)? && all)
}

fn again(raw: &Path) -> Outcome<bool> {
    let results = Results::from_csv(&fs::read_to_string(raw)?)?;
    let table = raw.with_extension("md");
    fs::write(&table, report::markdown(&results))?;
    for picture in plot::pictures(&results)? {
        let path = report::picture_path(raw, &picture.name);
        fs::write(&path, picture.svg)?;
        println!("picture: {}", path.display());
    }
    println!("tables: {}", table.display());
    if results.is_of_curves() {
        return Ok(true);
    }
    print!("{}{}", report::floors(&results), report::budgets(&results));
    Ok(!report::any_failed(&results) && !budget::any_failed(&results))
}

//! Measures `streamlog serve` beside `redis-server`, both with the same clients, on the same
//! machine, in turn: appends by `redis-benchmark`, group reads with acknowledgements by a small
//! client of its own. Needs `redis-server` and `redis-benchmark` on the path.
//!
//! Only ratios of one repetition count: the two servers are measured right after each other.

mod cell;
mod group;
mod limit;
mod server;
mod table;

use cell::{CELLS, Cell};
use server::{KINDS, Kind, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::Sample;

/// What everything here may fail with: it ends the program with its text.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
front [--quick] [--repetitions N] [--only PART] [--program STREAMLOG]
    measures, writes results/front.csv and front.md (with --quick: quick.*), prints the table; ends
    with 1 if a floor was not reached. --only: cells whose name holds PART, nothing is written then
front report FILE.csv
    makes the table again from raw results
front limit PORT SOCKET APPENDFSYNC
    the limit that appends are measured beside, until it is killed";

struct Plan {
    quick: bool,
    repetitions: u32,
    only: String,
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["report", file] => again(Path::new(file)),
        ["limit", port, socket, fsync] => port
            .parse()
            .map_err(Into::into)
            .and_then(|port| limit::serve(port, Path::new(socket), fsync == "always"))
            .map(|()| true),
        _ => plan(&words).and_then(|plan| run(&plan)),
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

fn plan(words: &[&str]) -> Outcome<Plan> {
    let mut plan = Plan { quick: false, repetitions: 0, only: String::new(), program: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or(USAGE);
        match *word {
            "--quick" => plan.quick = true,
            "--repetitions" => plan.repetitions = value()?.parse()?,
            "--only" => value()?.clone_into(&mut plan.only),
            "--program" => plan.program = Some(PathBuf::from(value()?)),
            _ => return Err(USAGE.into()),
        }
    }
    if plan.repetitions == 0 {
        plan.repetitions = if plan.quick { 1 } else { 3 };
    }
    Ok(plan)
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(plan: &Plan) -> Outcome<bool> {
    let program = match &plan.program {
        Some(program) => program.clone(),
        None => server::build(&home().join("../.."))?,
    };
    let scratch = home().join("target/scratch");
    let mut samples = Vec::new();
    for repetition in 1..=plan.repetitions {
        for cell in CELLS.iter().filter(|cell| cell.name().contains(&plan.only)) {
            for kind in KINDS.into_iter().filter(|kind| cell.is_for(*kind)) {
                let rate = measure(cell, kind, &program, (&scratch, plan.quick))?;
                eprintln!("{repetition} {} {}: {rate:.0}/s", cell.name(), kind.name());
                samples.push(Sample { cell: cell.name(), row: kind.name(), repetition, rate });
            }
        }
    }
    if !plan.only.is_empty() {
        print!("{}", table::markdown(&[], &samples)?);
        return Ok(table::passes(&samples));
    }
    let folder = home().join("results");
    fs::create_dir_all(&folder)?;
    let raw = folder.join(if plan.quick { "quick.csv" } else { "front.csv" });
    fs::write(&raw, table::csv(&table::about(), &samples))?;
    again(&raw)
}

/// What a cell reached on a fresh server, in entries a second.
fn measure(cell: &Cell, kind: Kind, program: &Path, at: (&Path, bool)) -> Outcome<f64> {
    let (scratch, quick) = at;
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    fs::create_dir_all(scratch)?;
    let server = Server::start(kind, program, scratch, cell.fsync)?;
    let rate = cell.measure(&server, quick)?;
    drop(server);
    fs::remove_dir_all(scratch)?;
    Ok(rate)
}

fn again(raw: &Path) -> Outcome<bool> {
    let (about, samples) = table::parse(&fs::read_to_string(raw)?)?;
    let text = table::markdown(&about, &samples)?;
    fs::write(raw.with_extension("md"), &text)?;
    print!("{text}");
    Ok(table::passes(&samples))
}

//! The parent: runs each measurement in a fresh process and a new directory. Workload, repetition,
//! row is the order, so that the rows of one repetition are measured close to each other; which
//! row begins changes from repetition to repetition.

use crate::machine;
use crate::peer::{Outcome, ROWS, Row};
use crate::results::{Results, Sample};
use crate::workload::Workload;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is to be run.
pub struct Plan {
    pub workloads: Vec<&'static Workload>,
    /// Rows by name; all if empty.
    pub rows: Vec<String>,
    pub repetitions: u32,
    /// Whether somebody asked for so many.
    pub asked: bool,
    pub quick: bool,
    /// Whether it is the curves that are run.
    pub curves: bool,
    /// Where the stores are made, on the disk that is to be measured.
    pub scratch: PathBuf,
}

/// Runs it. A measurement that fails is reported and left out; `false` if there was one.
pub fn run(plan: &Plan) -> Outcome<(Results, bool)> {
    fs::create_dir_all(&plan.scratch)?;
    let mut about = vec![(
        "run".to_owned(),
        match (plan.quick, plan.curves) {
            (false, false) => "full",
            (true, false) => "quick",
            (false, true) => "curves",
            (true, true) => "quick curves",
        }
        .to_owned(),
    )];
    about.push(("repetitions".to_owned(), plan.repetitions.to_string()));
    about.extend(machine::about(&plan.scratch));
    let mut results = Results { about, samples: Vec::new() };
    let rows: Vec<&Row> = ROWS.iter().filter(|row| is_here(plan, row)).collect();
    let mut all = true;
    for workload in &plan.workloads {
        let serves = |row: &&Row| row.measures(&workload.task);
        let mut rows: Vec<&Row> = rows.iter().copied().filter(serves).collect();
        let most = if plan.asked { u32::MAX } else { workload.repetitions(plan.quick) };
        for repetition in 0..plan.repetitions.min(most) {
            for row in &rows {
                match measure(plan, workload, row) {
                    Ok(figures) => keep(&mut results, workload, row, repetition, figures),
                    Err(error) => {
                        eprintln!("{} {} FAILED: {error}", workload.id, row.name);
                        all = false;
                    }
                }
            }
            if !rows.is_empty() {
                rows.rotate_left(1);
            }
        }
    }
    Ok((results, all))
}

/// Whether a row is asked for and can run; tells if it cannot.
fn is_here(plan: &Plan, row: &Row) -> bool {
    let asked = |name: &String| name.eq_ignore_ascii_case(row.name);
    if !plan.rows.is_empty() && !plan.rows.iter().any(asked) {
        return false;
    }
    let missing = (row.missing)();
    if let Some(why) = &missing {
        eprintln!("{} is left out: {why}", row.name);
    }
    missing.is_none()
}

fn keep(
    results: &mut Results,
    workload: &Workload,
    row: &Row,
    repetition: u32,
    figures: Vec<(String, f64)>,
) {
    let main = figures.iter().find(|(name, _)| name == workload.metric);
    let main = main.map_or("-".to_owned(), |(_, value)| format!("{value:.2}"));
    eprintln!("{:5} {:27} #{repetition} {}: {main}", workload.id, row.name, workload.metric);
    results.samples.extend(figures.into_iter().map(|(metric, value)| Sample {
        workload: workload.id.to_owned(),
        row: row.name.to_owned(),
        repetition,
        metric,
        value,
    }));
}

fn measure(plan: &Plan, workload: &Workload, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let dir = plan.scratch.join("run");
    remove(&dir)?;
    fs::create_dir(&dir)?;
    let done = (|| {
        let mut figures = Vec::new();
        if workload.fill.is_some() {
            figures.extend(child(plan, workload, row, (&dir, "fill"))?);
        }
        figures.extend(child(plan, workload, row, (&dir, "measure"))?);
        Ok(figures)
    })();
    remove(&dir)?;
    // What the next one finds: an idle disk, and no page that waits to be written.
    rustix::fs::sync();
    done
}

pub fn remove(dir: &Path) -> Outcome<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// walrus-rust can be told in no other way where to write, and not to print.
pub fn told<'a>(command: &'a mut Command, dir: &Path) -> &'a mut Command {
    command.env("WALRUS_DATA_DIR", dir.join("store")).env("WALRUS_QUIET", "1")
}

fn child(
    plan: &Plan,
    workload: &Workload,
    row: &Row,
    (dir, step): (&Path, &str),
) -> Outcome<Vec<(String, f64)>> {
    let size = if plan.quick { "quick" } else { "full" };
    let output = told(&mut Command::new(std::env::current_exe()?), dir)
        .args(["child", step, workload.id, row.name, size])
        .arg(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{step} ended with {}", output.status).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ').ok_or("a line without a value")?;
        Ok((name.to_owned(), value.parse()?))
    };
    lines.lines().map(figure).collect()
}

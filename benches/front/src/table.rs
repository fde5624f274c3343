//! Raw results and the table that follows from them.

use crate::Outcome;
use crate::cell::{CELLS, Cell};
use crate::server::{KINDS, Kind};
use std::fmt::Write;
use std::process::Command;

/// One measurement.
pub struct Sample {
    /// [`Cell::name`].
    pub cell: String,
    /// The server's name.
    pub row: &'static str,
    /// Which round.
    pub repetition: u32,
    /// Entries a second.
    pub rate: f64,
}

const HEAD: &str = "cell,row,repetition,entries_per_second";

/// What a reader must know to judge the figures.
pub fn about() -> Vec<(String, String)> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
        text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = file("/proc/cpuinfo");
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = processor.map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    [
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("streamlog at", said("git", &["describe", "--always", "--dirty"])),
        ("redis-server", said("redis-server", &["--version"])),
        ("processor", format!("{cores} x {processor}")),
        ("kernel", said("uname", &["-srm"])),
        ("load when it ended", file("/proc/loadavg").trim().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The file of raw results.
pub fn csv(about: &[(String, String)], samples: &[Sample]) -> String {
    let mut text = String::new();
    for (name, value) in about {
        text.push_str(&format!("# {name}: {value}\n"));
    }
    text.push_str(&format!("{HEAD}\n"));
    for Sample { cell, row, repetition, rate } in samples {
        text.push_str(&format!("{cell},{row},{repetition},{rate}\n"));
    }
    text
}

/// Names and values of the heading, and the measurements.
pub type Raw = (Vec<(String, String)>, Vec<Sample>);

/// Reads what [`csv`] wrote.
pub fn parse(text: &str) -> Outcome<Raw> {
    let (mut about, mut samples) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| *line != HEAD) {
        if let Some(heading) = line.strip_prefix("# ") {
            let (name, value) = heading.split_once(": ").ok_or("a heading without a value")?;
            about.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let [cell, row, repetition, rate] = line.split(',').collect::<Vec<_>>()[..] else {
            return Err(format!("not a result: {line}").into());
        };
        let row = KINDS.iter().map(|kind| kind.name()).find(|name| *name == row);
        samples.push(Sample {
            cell: cell.to_owned(),
            row: row.ok_or("no such row")?,
            repetition: repetition.parse()?,
            rate: rate.parse()?,
        });
    }
    Ok((about, samples))
}

/// The rates of a cell and row, in the order of repetitions.
fn rates(samples: &[Sample], cell: &Cell, row: &str) -> Vec<f64> {
    let name = cell.name();
    let own = samples.iter().filter(|sample| sample.cell == name && sample.row == row);
    own.map(|sample| sample.rate).collect()
}

/// The ratios of one server to Redis, one a repetition, sorted.
fn ratios(samples: &[Sample], cell: &Cell, of: Kind) -> Vec<f64> {
    let [ours, theirs] = [of, Kind::Redis].map(|kind| rates(samples, cell, kind.name()));
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(our, their)| our / their).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Whether each cell that was measured reached its floor.
pub fn passes(samples: &[Sample]) -> bool {
    CELLS.iter().all(|cell| {
        let reached = ratios(samples, cell, Kind::Streamlog);
        reached.is_empty() || cell.floor.is_none_or(|floor| median(&reached) >= floor)
    })
}

/// The table.
pub fn markdown(about: &[(String, String)], samples: &[Sample]) -> Outcome<String> {
    let mut text = String::from(
        "<!-- Made by `front report`; do not edit. -->\n# `streamlog serve` beside `redis-server`\n\n",
    );
    if !about.is_empty() {
        text.push_str("| | |\n|---|---|\n");
        for (name, value) in about {
            writeln!(text, "| {name} | {value} |")?;
        }
        text.push('\n');
    }
    text.push_str(
        "Ratios of entries a second, taken within a repetition: the median, and the least and the \
         most in brackets. The limit keeps nothing, answers every XADD alike, and under `always` \
         syncs once a round before it does: it shows what these clients, the sockets and the disk \
         leave to a server of one thread.\n\n| what | appendfsync | streamlog | Redis | ratio | floor | | limit to Redis |\n\
         |---|---|---:|---:|---|---:|---|---:|\n",
    );
    for cell in &CELLS {
        let reached = ratios(samples, cell, Kind::Streamlog);
        let (Some(least), Some(most)) = (reached.first(), reached.last()) else { continue };
        let [ours, theirs] = [Kind::Streamlog, Kind::Redis].map(|kind| {
            let mut rates = rates(samples, cell, kind.name());
            rates.sort_by(f64::total_cmp);
            median(&rates) / 1000.0
        });
        let ratio = median(&reached);
        let floor = cell.floor.map_or("–".to_owned(), |floor| format!("{floor:.1}"));
        let limits = ratios(samples, cell, Kind::Limit);
        let limit = match limits.is_empty() {
            true => "–".to_owned(),
            false => format!("{:.2}", median(&limits)),
        };
        let verdict = match cell.floor {
            Some(floor) if ratio < floor => "FAIL",
            Some(_) => "PASS",
            None => "",
        };
        writeln!(
            text,
            "| {} | {} | {ours:.1} k/s | {theirs:.1} k/s | {ratio:.2} ({least:.2} to {most:.2}) \
             | {floor} | {verdict} | {limit} |",
            cell.title(),
            cell.fsync,
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_committed_tables_follow_from_the_committed_raw_results() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let mut seen = 0;
        for entry in fs::read_dir(folder).expect("the folder is committed") {
            let raw = entry.expect("it can be read").path();
            if raw.extension().is_some_and(|ending| ending == "csv") {
                let text = fs::read_to_string(&raw).expect("a text");
                let (about, samples) = parse(&text).expect("raw results");
                assert!(csv(&about, &samples) == text, "{}", raw.display());
                let table = fs::read_to_string(raw.with_extension("md")).expect("a table");
                let made = markdown(&about, &samples).expect("a table");
                assert!(made == table, "{}", raw.display());
                seen += 1;
            }
        }
        assert!(seen > 0, "no results are committed");
    }
}

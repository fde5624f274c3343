//! The tables, from raw results alone.

use crate::budget::{self, Reached};
use crate::curves::{self, Family};
use crate::floors::{self, Floor};
use crate::peer::OURS;
use crate::results::{Results, Spread};
use crate::workload::{self, Workload};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The whole report as markdown.
pub fn markdown(results: &Results) -> String {
    let mut text = String::from("<!-- Made by `compare report`; do not edit. -->\n");
    text.push_str("# streamlog beside its peers and limits\n\n| | |\n|---|---|\n");
    for (name, value) in &results.about {
        line(&mut text, &format!("| {name} | {value} |"));
    }
    if results.is_of_curves() {
        for family in curves::FAMILIES {
            growth(&mut text, results, family);
        }
        return text;
    }
    text.push_str("\n## Budgets\n\n| | what | floor | goal | reached | |\n");
    text.push_str("|---|---|---:|---:|---|---|\n");
    for reached in budget::check(results) {
        line(&mut text, &format!("| {} |", cells(&reached).join(" | ")));
    }
    text.push_str("\n## Floors\n\n| floor | asked | reached | |\n|---|---|---|---|\n");
    for floor in floors::check(results) {
        let Floor { what, asked, reached, .. } = &floor;
        line(&mut text, &format!("| {what} | {asked} | {reached} | {} |", verdict(&floor)));
    }
    for workload in workload::all() {
        section(&mut text, results, workload);
    }
    text
}

/// The cells of a budget: number, what, floor, goal, reached with least to most, verdict.
fn cells(reached: &Reached) -> [String; 6] {
    let of = reached.line;
    [
        of.id.to_owned(),
        of.what.to_owned(),
        of.unit.bound(of.better, of.floor),
        of.unit.bound(of.better, of.goal),
        reached.text(),
        reached.verdict().name().to_owned(),
    ]
}

/// The table of the budgets for the terminal, its columns aligned.
pub fn budgets(results: &Results) -> String {
    let head = ["", "what", "floor", "goal", "reached", ""].map(str::to_owned);
    let mut lines = vec![head];
    lines.extend(budget::check(results).iter().map(cells));
    let width = |column: usize| lines.iter().map(|cells| cells[column].len()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for cells in &lines {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let padded = padded.collect::<Vec<_>>().join("  ");
        line(&mut text, padded.trim_end());
    }
    text
}

/// Where a picture of raw results lies.
pub fn picture_path(raw: &Path, name: &str) -> PathBuf {
    let stem = raw.file_stem().map_or_else(Default::default, |stem| stem.to_string_lossy());
    raw.with_file_name(format!("{stem}-{name}.svg"))
}

/// A curve as a table: a line for each point and row.
fn growth(text: &mut String, results: &Results, family: &Family) {
    let mut metrics: Vec<&str> = Vec::new();
    for point in family.points {
        for metric in results.metrics(point.id) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
    }
    if metrics.is_empty() {
        return;
    }
    line(text, &format!("\n## {}: {}\n", family.id, family.title));
    line(text, &format!("| {} | row | {} |", family.of, metrics.join(" | ")));
    line(text, &format!("|---:|---|{}", "---:|".repeat(metrics.len())));
    for point in family.points {
        for row in results.rows(point.id) {
            let spread = |metric: &&str| results.spread(point.id, row, metric);
            let spreads: Vec<_> = metrics.iter().map(spread).collect();
            if spreads.iter().any(Option::is_some) {
                let size = curves::size(point.id).unwrap_or(0);
                let cells = spreads.iter().map(|spread| spread.map_or("-".to_owned(), range));
                let cells = cells.collect::<Vec<_>>().join(" | ");
                line(text, &format!("| {size} | {row} | {cells} |"));
            }
        }
    }
}

/// The median, and least and most where they differ from it as written.
fn range(spread: Spread) -> String {
    let [median, least, most] = [spread.median, spread.least, spread.most].map(short);
    if least == most {
        return median;
    }
    format!("{median} ({least} to {most})")
}

/// One line a floor for the terminal.
pub fn floors(results: &Results) -> String {
    let mut text = String::new();
    for floor in floors::check(results) {
        let Floor { what, asked, reached, .. } = &floor;
        line(&mut text, &format!("{} {what}: {reached} (asked: {asked})", verdict(&floor)));
    }
    text
}

/// Whether a floor was measured and not reached.
pub fn any_failed(results: &Results) -> bool {
    floors::check(results).iter().any(|floor| floor.passed == Some(false))
}

fn verdict(floor: &Floor) -> &'static str {
    match floor.passed {
        Some(true) => "PASS",
        Some(false) => "FAIL",
        None => "NOT RUN",
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

fn section(text: &mut String, results: &Results, workload: &Workload) {
    let Workload { id, title, metric, payload, .. } = workload;
    let metrics = results.metrics(id);
    if metrics.is_empty() {
        return;
    }
    let better = if workload.more_is_better { "more" } else { "less" };
    line(text, &format!("\n## {id}: {title}\n\n{payload} B; `{metric}`, {better} is better.\n"));
    let limit = workload.limit.map_or(String::new(), |_| " of the limit |".to_owned());
    line(text, &format!("| row | median | least to most | streamlog / row |{limit}"));
    line(text, &format!("|---|---:|---:|---:|{}", if limit.is_empty() { "" } else { "---:|" }));
    for row in results.rows(id) {
        let Some(spread) = results.spread(id, row, metric) else {
            continue;
        };
        let ours = results.ratio(id, metric, (OURS, row)).filter(|_| row != OURS);
        let Spread { median, least, most } = spread;
        let (median, least, most) = (short(median), short(least), short(most));
        let mut cells = format!("| {row} | {median} | {least} to {most} | {} |", ratio(ours));
        if let Some(limit) = workload.limit {
            let of = results.ratio(id, metric, (row, limit)).filter(|_| row != limit);
            write!(cells, " {} |", ratio(of)).expect("a string takes everything");
        }
        line(text, &cells);
    }
    let others: Vec<&str> = metrics.into_iter().filter(|name| name != metric).collect();
    if !others.is_empty() {
        details(text, results, id, &others);
    }
}

/// What else was counted: medians.
fn details(text: &mut String, results: &Results, workload: &str, metrics: &[&str]) {
    line(text, &format!("\n| medians of | {} |", metrics.join(" | ")));
    line(text, &format!("|---|{}", "---:|".repeat(metrics.len())));
    for row in results.rows(workload) {
        let spreads: Vec<_> =
            metrics.iter().map(|metric| results.spread(workload, row, metric)).collect();
        if spreads.iter().any(Option::is_some) {
            let cells = spreads.iter().map(|s| s.map_or("-".to_owned(), |s| short(s.median)));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            line(text, &format!("| {row} | {cells} |"));
        }
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |Spread { median, least, most }| {
        format!("{median:.2} ({least:.2} to {most:.2})")
    })
}

/// Three digits and a unit of thousands.
pub fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 999.5e6 => (value / 1e9, " G"),
        size if size >= 999.5e3 => (value / 1e6, " M"),
        size if size >= 9_999.5 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 99.95 || size.fract() == 0.0 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot;

    #[test]
    fn figures_are_cut_to_three_digits() {
        let figures = [0.0, 0.1834, 1.0, 45.67, 512.3, 9999.0, 123_456.0, 5_060_000.0, 10.2e9];
        let texts: Vec<String> = figures.into_iter().map(short).collect();
        let expected = ["0", "0.18", "1", "45.7", "512", "9999", "123 k", "5.06 M", "10.2 G"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn the_committed_tables_follow_from_the_committed_raw_results() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let mut pictures = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(&folder).expect("the folder is committed") {
            let raw = entry.expect("it can be read").path();
            if raw.extension().is_some_and(|ending| ending == "csv") {
                let text = std::fs::read_to_string(&raw).expect("a text");
                let results = Results::from_csv(&text).expect("raw results");
                assert!(results.to_csv() == text, "{}", raw.display());
                let table = std::fs::read_to_string(raw.with_extension("md")).expect("a table");
                assert!(markdown(&results) == table, "{}", raw.display());
                for picture in plot::pictures(&results).expect("they can be drawn") {
                    let path = picture_path(&raw, &picture.name);
                    let drawn = std::fs::read_to_string(&path).expect("a picture");
                    assert!(picture.svg == drawn, "{}", path.display());
                    pictures.insert(path);
                }
            }
        }
        for entry in std::fs::read_dir(folder).expect("the folder is committed") {
            let path = entry.expect("it can be read").path();
            let known = path.extension().is_none_or(|ending| ending != "svg");
            assert!(known || pictures.contains(&path), "no results for {}", path.display());
        }
    }

    /// Fails if the figures in the README are not those of the last full run.
    #[test]
    fn the_readme_tells_what_the_full_run_printed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = |path: &str| std::fs::read_to_string(root.join(path)).expect("a text");
        let (readme, table) = (text("../../README.md"), text("results/full.md"));
        let told: Vec<_> = readme.lines().filter(|line| line.starts_with("| W")).collect();
        assert!(told.len() > 10, "{} lines", told.len());
        for line in told {
            assert!(table.lines().any(|known| known == line), "{line}");
        }
    }

    #[test]
    fn the_table_of_budgets_is_aligned() {
        let text = budgets(&Results::default());
        let columns: Vec<_> = text.lines().map(|line| line.find("NOT RUN")).skip(1).collect();
        assert_eq!(columns.len(), budget::LINES.len());
        assert!(columns[0].is_some() && columns.iter().all(|column| *column == columns[0]));
    }
}

//! The tables, from raw results alone.

use crate::floors::{self, Floor};
use crate::peer::{OURS, ROWS};
use crate::results::{Results, Spread};
use crate::workload::{WORKLOADS, Workload};
use std::fmt::Write;

/// The whole report as markdown.
pub fn markdown(results: &Results) -> String {
    let mut text = String::from("<!-- Made by `compare report`; do not edit. -->\n");
    text.push_str("# streamlog beside its peers and limits\n\n| | |\n|---|---|\n");
    for (name, value) in &results.about {
        line(&mut text, &format!("| {name} | {value} |"));
    }
    text.push_str("\n## Floors\n\n| floor | asked | reached | |\n|---|---|---|---|\n");
    for floor in floors::check(results) {
        let Floor {
            what,
            asked,
            reached,
            ..
        } = &floor;
        line(
            &mut text,
            &format!("| {what} | {asked} | {reached} | {} |", verdict(&floor)),
        );
    }
    for workload in WORKLOADS {
        section(&mut text, results, workload);
    }
    text
}

/// One line a floor for the terminal.
pub fn floors(results: &Results) -> String {
    let mut text = String::new();
    for floor in floors::check(results) {
        let Floor {
            what,
            asked,
            reached,
            ..
        } = &floor;
        line(
            &mut text,
            &format!("{} {what}: {reached} (asked: {asked})", verdict(&floor)),
        );
    }
    text
}

/// Whether a floor was measured and not reached.
pub fn any_failed(results: &Results) -> bool {
    floors::check(results)
        .iter()
        .any(|floor| floor.passed == Some(false))
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
    let Workload {
        id,
        title,
        metric,
        payload,
        ..
    } = workload;
    let metrics = results.metrics(id);
    if metrics.is_empty() {
        return;
    }
    let better = if workload.more_is_better {
        "more"
    } else {
        "less"
    };
    line(
        text,
        &format!("\n## {id}: {title}\n\n{payload} B; `{metric}`, {better} is better.\n"),
    );
    let limit = workload
        .limit
        .map_or(String::new(), |_| " of the limit |".to_owned());
    line(
        text,
        &format!("| row | median | least to most | streamlog / row |{limit}"),
    );
    line(
        text,
        &format!(
            "|---|---:|---:|---:|{}",
            if limit.is_empty() { "" } else { "---:|" }
        ),
    );
    for row in ROWS {
        let Some(spread) = results.spread(id, row.name, metric) else {
            continue;
        };
        let ours = results
            .ratio(id, metric, (OURS, row.name))
            .filter(|_| row.name != OURS);
        let Spread {
            median,
            least,
            most,
        } = spread;
        let (median, least, most) = (short(median), short(least), short(most));
        let mut cells = format!(
            "| {} | {median} | {least} to {most} | {} |",
            row.name,
            ratio(ours)
        );
        if let Some(limit) = workload.limit {
            let of = results
                .ratio(id, metric, (row.name, limit))
                .filter(|_| row.name != limit);
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
    for row in ROWS {
        let spreads: Vec<_> = metrics
            .iter()
            .map(|metric| results.spread(workload, row.name, metric))
            .collect();
        if spreads.iter().any(Option::is_some) {
            let cells = spreads
                .iter()
                .map(|s| s.map_or("-".to_owned(), |s| short(s.median)));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            line(text, &format!("| {} | {cells} |", row.name));
        }
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread.map_or(
        "-".to_owned(),
        |Spread {
             median,
             least,
             most,
         }| { format!("{median:.2} ({least:.2} to {most:.2})") },
    )
}

/// Three digits and a unit of thousands.
fn short(value: f64) -> String {
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

    #[test]
    fn figures_are_cut_to_three_digits() {
        let figures = [
            0.0,
            0.1834,
            1.0,
            45.67,
            512.3,
            9999.0,
            123_456.0,
            5_060_000.0,
            10.2e9,
        ];
        let texts: Vec<String> = figures.into_iter().map(short).collect();
        let expected = [
            "0", "0.18", "1", "45.7", "512", "9999", "123 k", "5.06 M", "10.2 G",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn the_committed_tables_follow_from_the_committed_raw_results() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        for entry in std::fs::read_dir(folder).expect("the folder is committed") {
            let raw = entry.expect("it can be read").path();
            if raw.extension().is_some_and(|ending| ending == "csv") {
                let text = std::fs::read_to_string(&raw).expect("a text");
                let results = Results::from_csv(&text).expect("raw results");
                assert_eq!(results.to_csv(), text, "{}", raw.display());
                let table = std::fs::read_to_string(raw.with_extension("md")).expect("a table");
                assert_eq!(markdown(&results), table, "{}", raw.display());
            }
        }
    }
}

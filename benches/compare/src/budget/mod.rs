//! The performance budgets: what has to be reached in each run, what is aimed at, and what a run
//! gave. Most are ratios that were taken in one run; the rest are numbers that a change of the
//! machine should not touch, or times that are stated in the budgets as such.

mod lines;

use crate::peer::OURS;
use crate::results::{Results, Spread};
pub use lines::LINES;

/// One line of the table.
pub struct Line {
    /// The number of the budget.
    pub id: &'static str,
    pub what: &'static str,
    pub measure: Measure,
    pub better: Better,
    /// What has to be reached.
    pub floor: Option<f64>,
    pub goal: Option<f64>,
    pub unit: Unit,
}

/// How the raw results give the figure of a line, each of them by repetition.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// streamlog's figure divided by a row's.
    To(&'static str, Metric),
    /// The same, where the row is the best of all that are neither a limit nor streamlog.
    ToBest(Metric),
    /// streamlog's own figure.
    Ours(Metric),
    /// streamlog's figure divided by another of its own.
    Within(Metric, Metric),
    /// By how much the worst of some figures grows from one workload to another.
    Growth { from: &'static str, to: &'static str, metrics: &'static [&'static str] },
}

/// A figure of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub workload: &'static str,
    pub name: &'static str,
}

/// Which way is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

/// How figures of a line are written.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// A number of times another figure.
    Times,
    /// A figure in a unit, divided by this before it is compared.
    Of(&'static str, f64),
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The goal was reached.
    Goal,
    /// The floor was reached, or there is none.
    Pass,
    Fail,
    /// The run did not measure what it takes.
    NotRun,
}

impl Verdict {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Goal => "GOAL",
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::NotRun => "NOT RUN",
        }
    }
}

/// A line and what a run gave.
pub struct Reached {
    pub line: &'static Line,
    pub spread: Option<Spread>,
    /// Which row the ratio was taken to, where that is not said by the line.
    pub to: Option<String>,
}

impl Reached {
    /// The medians decide.
    pub fn verdict(&self) -> Verdict {
        let Some(spread) = self.spread else {
            return Verdict::NotRun;
        };
        let reaches = |bound: f64| match self.line.better {
            Better::More => spread.median >= bound,
            Better::Less => spread.median <= bound,
        };
        if self.line.floor.is_some_and(|floor| !reaches(floor)) {
            Verdict::Fail
        } else if self.line.goal.is_some_and(reaches) {
            Verdict::Goal
        } else {
            Verdict::Pass
        }
    }

    /// Median, least and most.
    pub fn text(&self) -> String {
        let to = self.to.as_ref().map_or(String::new(), |row| format!(", {row}"));
        self.spread.map_or("not measured".to_owned(), |Spread { median, least, most }| {
            let unit = self.line.unit;
            let [median, least, most] = [median, least, most].map(|value| unit.number(value));
            format!("{median}{} ({least} to {most}{to})", unit.name())
        })
    }
}

impl Unit {
    fn name(self) -> String {
        match self {
            Unit::Times => " x".to_owned(),
            Unit::Of(name, _) => format!(" {name}"),
        }
    }

    fn number(self, value: f64) -> String {
        let digits = match value.abs() {
            size if size >= 99.95 => 0,
            size if size >= 9.995 => 1,
            size if size >= 0.1 => 2,
            _ => 3,
        };
        format!("{value:.digits$}")
    }

    /// A bound, as the table states it.
    pub fn bound(self, better: Better, bound: Option<f64>) -> String {
        let sign = if better == Better::More { ">=" } else { "<=" };
        bound.map_or("-".to_owned(), |bound| format!("{sign} {bound}{}", self.name()))
    }
}

/// All lines against a run.
pub fn check(results: &Results) -> Vec<Reached> {
    LINES.iter().map(|line| reached(results, line)).collect()
}

fn reached(results: &Results, line: &'static Line) -> Reached {
    let mut to = None;
    let spread = match line.measure {
        Measure::To(row, metric) => results.ratio(metric.workload, metric.name, (OURS, row)),
        Measure::ToBest(metric) => {
            let row = best(results, metric, line.better);
            to = row.map(str::to_owned);
            row.and_then(|row| results.ratio(metric.workload, metric.name, (OURS, row)))
        }
        Measure::Ours(metric) => results.spread(metric.workload, OURS, metric.name),
        Measure::Within(above, below) => within(results, above, below),
        Measure::Growth { from, to, metrics } => growth(results, (from, to), metrics),
    };
    let by = if let Unit::Of(_, by) = line.unit { by } else { 1.0 };
    let spread = spread.map(|Spread { median, least, most }| Spread {
        median: median / by,
        least: least / by,
        most: most / by,
    });
    Reached { line, spread, to }
}

/// Whether a row is neither a limit nor streamlog.
fn is_peer(row: &str) -> bool {
    row != OURS && !row.starts_with("limit: ")
}

/// The peer with the best median.
fn best(results: &Results, metric: Metric, better: Better) -> Option<&str> {
    let median = |row: &str| Some(results.spread(metric.workload, row, metric.name)?.median);
    let peers = results.rows(metric.workload).into_iter().filter(|row| is_peer(row));
    let medians = peers.filter_map(|row| Some((row, median(row)?)));
    let ordered = medians.max_by(|a, b| match better {
        Better::More => a.1.total_cmp(&b.1),
        Better::Less => b.1.total_cmp(&a.1),
    });
    ordered.map(|(row, _)| row)
}

fn within(results: &Results, above: Metric, below: Metric) -> Option<Spread> {
    let below = results.by_repetition(below.workload, OURS, below.name);
    let above = results.by_repetition(above.workload, OURS, above.name);
    Spread::of(above.iter().filter_map(|(n, value)| Some(value / below.get(n)?)))
}

/// Of each repetition the figure that grows most, in times. `None` if one of them is missing.
fn growth(results: &Results, (from, to): (&str, &str), metrics: &[&str]) -> Option<Spread> {
    let figures = |workload| {
        let all = metrics.iter().map(|metric| results.by_repetition(workload, OURS, metric));
        all.collect::<Vec<_>>()
    };
    let (from, to) = (figures(from), figures(to));
    let repetitions = to.first()?.keys();
    let worst = repetitions.filter_map(|n| {
        let times = from.iter().zip(&to).map(|(from, to)| Some(to.get(n)? / from.get(n)?));
        times.collect::<Option<Vec<f64>>>()?.into_iter().max_by(f64::total_cmp)
    });
    Spread::of(worst)
}

/// Whether a floor was measured and not reached.
pub fn any_failed(results: &Results) -> bool {
    check(results).iter().any(|reached| reached.verdict() == Verdict::Fail)
}

#[cfg(test)]
mod tests;

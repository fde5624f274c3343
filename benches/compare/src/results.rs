//! Raw results: one line a figure, in a file of comma-separated values whose first lines tell of
//! the machine. Every table is made from such a file alone, so it can be made again.

use crate::peer::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One figure of one measuring process.
#[derive(Clone, Debug)]
pub struct Sample {
    pub workload: String,
    pub row: String,
    pub repetition: u32,
    pub metric: String,
    pub value: f64,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub about: Vec<(String, String)>,
    pub samples: Vec<Sample>,
}

/// Median, least and most of some figures.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

const HEAD: &str = "workload,row,repetition,metric,value";

impl Results {
    /// The file's text.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.about {
            writeln!(text, "# {name}: {value}").expect("a string takes everything");
        }
        writeln!(text, "{HEAD}").expect("a string takes everything");
        for s in &self.samples {
            let (workload, row, metric) = (&s.workload, quoted(&s.row), &s.metric);
            writeln!(text, "{workload},{row},{},{metric},{}", s.repetition, s.value)
                .expect("a string takes everything");
        }
        text
    }

    /// Reads what [`Results::to_csv`] wrote.
    pub fn from_csv(text: &str) -> Outcome<Results> {
        let mut results = Results::default();
        for line in text.lines().filter(|line| *line != HEAD) {
            if let Some(about) = line.strip_prefix("# ") {
                let (name, value) = about.split_once(": ").ok_or("a heading without a value")?;
                results.about.push((name.to_owned(), value.to_owned()));
            } else {
                let sample = sample(line).ok_or_else(|| format!("not a result: {line}"))?;
                results.samples.push(sample);
            }
        }
        Ok(results)
    }

    /// What was run, in a word or two.
    pub fn run(&self) -> &str {
        let run = self.about.iter().find(|(name, _)| name == "run");
        run.map_or("full", |(_, value)| value)
    }

    /// Whether the run was a quick one, with smaller stores.
    pub fn is_quick(&self) -> bool {
        self.run().starts_with("quick")
    }

    /// Whether it holds what things cost as there are more of them.
    pub fn is_of_curves(&self) -> bool {
        self.run().ends_with("curves")
    }

    /// A figure by repetition.
    pub fn by_repetition(&self, workload: &str, row: &str, metric: &str) -> BTreeMap<u32, f64> {
        let wanted = |s: &&Sample| s.workload == workload && s.row == row && s.metric == metric;
        self.samples.iter().filter(wanted).map(|s| (s.repetition, s.value)).collect()
    }

    /// The spread of a figure.
    pub fn spread(&self, workload: &str, row: &str, metric: &str) -> Option<Spread> {
        Spread::of(self.by_repetition(workload, row, metric).into_values())
    }

    /// The spread of one row's figure divided by another's of the same repetition: what was
    /// measured at nearly the same time is compared, so that a slow minute hits both.
    pub fn ratio(&self, workload: &str, metric: &str, rows: (&str, &str)) -> Option<Spread> {
        let below = self.by_repetition(workload, rows.1, metric);
        let above = self.by_repetition(workload, rows.0, metric);
        Spread::of(above.iter().filter_map(|(n, value)| Some(value / below.get(n)?)))
    }

    /// The rows of a workload, in the order in which they first came. They are asked of the results,
    /// since this program may have been built without a peer that was measured.
    pub fn rows(&self, workload: &str) -> Vec<&str> {
        let mut rows: Vec<&str> = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.workload == workload) {
            if !rows.contains(&sample.row.as_str()) {
                rows.push(&sample.row);
            }
        }
        rows
    }

    /// The metrics that a workload has, in the order in which they first came.
    pub fn metrics(&self, workload: &str) -> Vec<&str> {
        let mut metrics: Vec<&str> = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.workload == workload) {
            if !metrics.contains(&sample.metric.as_str()) {
                metrics.push(&sample.metric);
            }
        }
        metrics
    }
}

/// Only rows' names could hold a comma.
fn quoted(name: &str) -> String {
    if name.contains(',') { format!("\"{name}\"") } else { name.to_owned() }
}

fn sample(line: &str) -> Option<Sample> {
    let (workload, rest) = line.split_once(',')?;
    let (row, rest) = match rest.strip_prefix('"') {
        Some(rest) => rest.split_once("\",")?,
        None => rest.split_once(',')?,
    };
    let mut words = rest.split(',');
    let repetition = words.next()?.parse().ok()?;
    let (metric, value) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let (workload, row) = (workload.to_owned(), row.to_owned());
    Some(Sample { workload, row, repetition, metric, value })
}

impl Spread {
    /// Of any figures; `None` if there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Spread { median, least, most })
    }
}

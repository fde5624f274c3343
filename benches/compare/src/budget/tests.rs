//! The arithmetic of the budgets, on results made by hand.

use super::*;
use crate::results::Sample;
use crate::workload::{self, LIMIT_MAP};

fn results(samples: &[(&str, &str, u32, &str, f64)]) -> Results {
    let sample =
        |&(workload, row, repetition, metric, value): &(&str, &str, u32, &str, f64)| Sample {
            workload: workload.to_owned(),
            row: row.to_owned(),
            repetition,
            metric: metric.to_owned(),
            value,
        };
    Results { about: Vec::new(), samples: samples.iter().map(sample).collect() }
}

const W1: Metric = Metric { workload: "W1", name: "entries_per_s" };

/// A line that lives as long as the program, as those of the table do.
fn line(measure: Measure, better: Better, floor: f64, goal: f64) -> &'static Line {
    Box::leak(Box::new(Line {
        id: "W1",
        what: "a line of the tests",
        measure,
        better,
        floor: Some(floor),
        goal: Some(goal),
        unit: Unit::Times,
    }))
}

fn median(results: &Results, measure: Measure) -> Option<f64> {
    let line = line(measure, Better::More, 0.0, 0.0);
    reached(results, line).spread.map(|spread| spread.median)
}

#[test]
fn a_ratio_is_taken_within_a_repetition() {
    // The median of ours is 20 and that of the limit 40, but each repetition gives another ratio.
    let results = results(&[
        ("W1", OURS, 0, "entries_per_s", 10.0),
        ("W1", OURS, 1, "entries_per_s", 20.0),
        ("W1", OURS, 2, "entries_per_s", 90.0),
        ("W1", LIMIT_MAP, 0, "entries_per_s", 100.0),
        ("W1", LIMIT_MAP, 1, "entries_per_s", 20.0),
        ("W1", LIMIT_MAP, 2, "entries_per_s", 40.0),
    ]);
    assert_eq!(median(&results, Measure::To(LIMIT_MAP, W1)), Some(1.0));
    assert_eq!(median(&results, Measure::Ours(W1)), Some(20.0));
    assert_eq!(median(&results, Measure::To("raft-engine", W1)), None);
}

#[test]
fn the_best_peer_is_no_limit_and_not_streamlog() {
    let mut samples =
        vec![("W1", OURS, 0, "entries_per_s", 50.0), ("W1", LIMIT_MAP, 0, "entries_per_s", 100.0)];
    let alone = results(&samples);
    assert_eq!(median(&alone, Measure::ToBest(W1)), None);
    samples.push(("W1", "raft-engine", 0, "entries_per_s", 10.0));
    let results = results(&samples);
    let reached = reached(&results, line(Measure::ToBest(W1), Better::More, 5.0, 6.0));
    assert_eq!(reached.to.as_deref(), Some("raft-engine"));
    assert_eq!(reached.verdict(), Verdict::Pass);
    assert_eq!(reached.text(), "5.00 x (5.00 to 5.00, raft-engine)");
}

#[test]
fn what_is_within_is_divided_by_repetition() {
    let results = results(&[
        ("W5b", OURS, 0, "entries_per_s", 30.0),
        ("W5", OURS, 0, "entries_per_s", 10.0),
        ("W5b", OURS, 1, "entries_per_s", 30.0),
    ]);
    let of = |workload| Metric { workload, name: "entries_per_s" };
    assert_eq!(median(&results, Measure::Within(of("W5b"), of("W5"))), Some(3.0));
    assert_eq!(median(&results, Measure::Within(of("W5"), of("W4"))), None);
}

#[test]
fn the_figure_that_grows_most_is_the_growth() {
    let mut samples = vec![
        ("few", OURS, 0, "open_ms", 1.0),
        ("many", OURS, 0, "open_ms", 2.0),
        ("few", OURS, 0, "anon_kib", 10.0),
    ];
    let measure = Measure::Growth { from: "few", to: "many", metrics: &["open_ms", "anon_kib"] };
    assert_eq!(median(&results(&samples), measure), None, "one of the figures is missing");
    samples.push(("many", OURS, 0, "anon_kib", 70.0));
    assert_eq!(median(&results(&samples), measure), Some(7.0));
}

#[test]
fn a_median_is_compared_the_way_that_is_better() {
    let verdict = |better, value, (floor, goal)| {
        let results = results(&[("W1", OURS, 0, "entries_per_s", value)]);
        reached(&results, line(Measure::Ours(W1), better, floor, goal)).verdict()
    };
    assert_eq!(verdict(Better::More, 0.49, (0.5, 0.9)), Verdict::Fail);
    assert_eq!(verdict(Better::More, 0.5, (0.5, 0.9)), Verdict::Pass);
    assert_eq!(verdict(Better::More, 0.9, (0.5, 0.9)), Verdict::Goal);
    assert_eq!(verdict(Better::Less, 3.1, (3.0, 1.0)), Verdict::Fail);
    assert_eq!(verdict(Better::Less, 3.0, (3.0, 1.0)), Verdict::Pass);
    assert_eq!(verdict(Better::Less, 1.0, (3.0, 1.0)), Verdict::Goal);
}

#[test]
fn a_figure_is_compared_in_the_unit_of_its_bounds() {
    let results = results(&[("W13", OURS, 0, "device_bytes_per_append", 8192.0)]);
    let of_always = check(&results)
        .into_iter()
        .find(|reached| reached.line.id == "W13" && reached.spread.is_some())
        .expect("the budgets have it");
    assert_eq!(of_always.text(), "2.00 pages (2.00 to 2.00)");
    assert_eq!(of_always.verdict(), Verdict::Pass);
}

#[test]
fn without_results_nothing_passes_and_nothing_fails() {
    let empty = results(&[]);
    assert!(check(&empty).iter().all(|reached| reached.verdict() == Verdict::NotRun));
    assert!(!any_failed(&empty));
}

#[test]
fn a_missed_floor_fails_the_run() {
    let slow = results(&[("W12", OURS, 0, "p99_us", 11.0)]);
    assert!(any_failed(&slow));
    let quick = results(&[("W12", OURS, 0, "p99_us", 9.0)]);
    assert!(!any_failed(&quick));
}

#[test]
fn every_goal_is_beyond_its_floor() {
    for line in LINES {
        if let (Some(floor), Some(goal)) = (line.floor, line.goal) {
            match line.better {
                Better::More => assert!(goal > floor, "{} {}", line.id, line.what),
                Better::Less => assert!(goal < floor, "{} {}", line.id, line.what),
            }
        }
        assert!(line.floor.or(line.goal).is_some(), "{} {}", line.id, line.what);
    }
}

#[test]
fn every_line_names_a_workload_that_there_is() {
    let known = |id: &str| workload::find(id).is_some();
    for line in LINES {
        let workloads = match line.measure {
            Measure::To(_, metric) | Measure::ToBest(metric) | Measure::Ours(metric) => {
                vec![metric.workload]
            }
            Measure::Within(above, below) => vec![above.workload, below.workload],
            Measure::Growth { from, to, .. } => vec![from, to],
        };
        assert!(workloads.into_iter().all(known), "{} {}", line.id, line.what);
    }
}

//! The flights example's own ground: the committed data, and the witness's bookkeeping. A witness
//! that overlooks a fault would make the example worthless, so each kind of fault is told to it
//! here by hand-written reports.
//!
//! Relies on the example's modules, compiled into this test; starts no process and opens no store.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../examples/flights/csv.rs"]
mod csv;
#[path = "../examples/flights/tally.rs"]
mod tally;
#[path = "../examples/flights/wire.rs"]
mod wire;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

use csv::Flights;
use std::ops::Range;
use streamlog::EntryId;
use tally::{Tally, Verdict};
use wire::Report;

fn day() -> Range<u64> {
    csv::day(2013, 2, 8).unwrap()
}

/// Three flights, two of them in the same minute and the last one cancelled.
fn three() -> Flights {
    let text = "year,month,day,dep_time,sched_dep_time,carrier,flight,origin,dest\n\
                2013,2,8,604,600,AA,1,JFK,LAX\n\
                2013,2,8,601,600,BB,2,LGA,BOS\n\
                2013,2,8,NA,2359,CC,3,EWR,ORD\n";
    Flights::parse(text.to_owned(), "three").unwrap()
}

fn id(flights: &Flights, row: usize) -> EntryId {
    EntryId::new(flights.ms(row).unwrap(), row as u64)
}

/// A run in which nothing went wrong, as lines.
fn good_run(flights: &Flights) -> Vec<String> {
    let mut lines = vec!["last none".to_owned()];
    for row in 0..flights.len() {
        let (id, sum) = (id(flights, row), flights.checksum(row));
        lines.push(format!("appended {row} {id}"));
        for who in ["workers amelia", "analytics analyst"] {
            lines.push(format!("ask {who}"));
            lines.push(format!("got {who} new {row} {id} {sum}"));
            lines.push(format!("finish {who} {row}"));
            lines.push(format!("acked {who} {row}"));
        }
    }
    for row in 0..flights.len() {
        let (id, sum) = (id(flights, row), flights.checksum(row));
        lines.push(format!("seen {row} {id} {sum} {}", flights.cancelled(row)));
    }
    lines
}

fn verdict_of(flights: &Flights, lines: &[String]) -> Verdict {
    let mut tally = Tally::new(flights);
    for line in lines {
        match line.as_str() {
            "kill" => drop(tally.killed(false)),
            line => tally.note(&Report::parse(line).unwrap()).unwrap(),
        }
    }
    tally.verdict(&day())
}

/// Where the first line stands that begins so.
fn place(lines: &[String], begin: &str) -> usize {
    lines.iter().position(|line| line.starts_with(begin)).unwrap()
}

/// The good run with `more` put in before the first line that begins so.
fn with(flights: &Flights, before: &str, more: &[String]) -> Verdict {
    let mut lines = good_run(flights);
    let at = place(&lines, before);
    lines.splice(at..at, more.iter().cloned());
    verdict_of(flights, &lines)
}

/// The good run without the first line that begins so.
fn without(flights: &Flights, begin: &str) -> Verdict {
    let mut lines = good_run(flights);
    lines.remove(place(&lines, begin));
    verdict_of(flights, &lines)
}

#[test]
fn the_slice_holds_930_flights_in_order_of_which_472_were_cancelled() {
    let flights = Flights::load(None).unwrap();
    assert_eq!(flights.len(), 930);
    assert_eq!(flights.within(&day()), 0..930);
    let in_file = include_str!("../examples/data/flights-2013-02-08.csv");
    for (row, line) in in_file.lines().skip(1).enumerate() {
        let values: Vec<_> = flights.fields(row).map(|(_, value)| value).collect();
        assert_eq!(values[1..].join(","), line, "sorting moved row {row}");
    }
    let cancelled = (0..930).filter(|row| flights.cancelled(*row)).count();
    assert_eq!(cancelled, 472);
}

#[test]
fn scheduled_times_become_milliseconds_as_though_the_clock_showed_utc() {
    let flights = three();
    assert_eq!(flights.ms(0), Some(1_360_303_200_000));
    assert_eq!(flights.describe(2), "2013-02-08 23:59, CC 3 EWR-ORD");
    assert_eq!(day(), 1_360_281_600_000..1_360_368_000_000);
    assert_eq!(csv::day(2013, 2, 29), None);
    let march = csv::day(2012, 3, 1).unwrap();
    assert_eq!(csv::day(2012, 2, 29).unwrap().end, march.start);
}

#[test]
fn a_bad_file_is_refused_with_the_line_and_the_reason() {
    let header = "year,month,day,dep_time,sched_dep_time,carrier,flight,origin,dest\n";
    let row = |row: &str| format!("{header}{row}\n");
    let no_date = "bad: line 2: this is no date and time";
    for (text, message) in [
        (String::new(), "bad: the file is empty"),
        (header.to_owned(), "bad: there are no flights in it"),
        ("year,month\n".to_owned(), "bad: line 1: there is no column `day`"),
        (row("2013,2,8"), "bad: line 2: 3 values instead of 9"),
        (row("2013,2,8,,x,A,1,B,C"), "bad: line 2: `sched_dep_time` is `x`, not a whole number"),
        (row("2013,2,29,,600,A,1,B,C"), no_date),
        (row("2013,2,8,,2400,A,1,B,C"), no_date),
        (row("2013,2,8,,600,\"A\",1,B,C"), "bad: line 2: quoted values are not supported"),
    ] {
        let error = Flights::parse(text, "bad").err().unwrap();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn reports_go_there_and_back() {
    let mut lines = good_run(&three());
    for line in [
        "last 2 7-1",
        "begin amelia 0",
        "died amelia",
        "drained",
        "got workers amelia claim 1 7-1 9",
        "got workers amelia history 1 7-1 9",
    ] {
        lines.push(line.to_owned());
    }
    for line in lines {
        assert_eq!(Report::parse(&line).unwrap().to_string(), line);
    }
    for line in ["", "last", "acked workers amelia", "drained 1", "begin amelia x"] {
        assert!(Report::parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_good_run_is_clean() {
    let flights = three();
    let verdict = verdict_of(&flights, &good_run(&flights));
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!(verdict.cancelled, (1, 1));
    assert_eq!(verdict.sums[0].acknowledged, 3);
}

#[test]
fn a_row_that_no_worker_finished_is_lost() {
    let verdict = without(&three(), "finish workers amelia 1");
    assert_eq!(verdict.lost, [1]);
    assert!(!verdict.is_clean());
}

#[test]
fn a_row_that_the_reader_does_not_find_is_lost() {
    let verdict = without(&three(), "seen 1 ");
    assert_eq!(verdict.lost, [1]);
    assert!(!verdict.is_clean());
}

#[test]
fn a_confirmed_append_that_is_gone_after_a_restart_is_lost_even_if_it_is_made_again() {
    let flights = three();
    let more = ["kill".to_owned(), format!("last 0 {}", id(&flights, 0))];
    let verdict = with(&flights, "ask workers", &more);
    assert!(verdict.is_clean(), "the log ends where it should: {verdict:?}");
    let verdict = with(&flights, "ask workers", &["kill".into(), "last none".into()]);
    assert_eq!(verdict.lost, [0]);
    let again = format!("appended 0 {}", id(&flights, 0));
    assert_eq!(with(&flights, "ask workers", &[again]).lost, [0]);
}

#[test]
fn an_append_whose_answer_a_kill_swallowed_counts_as_appended() {
    let flights = three();
    let mut lines = good_run(&flights);
    let at = place(&lines, "appended 0");
    let last = format!("last 0 {}", id(&flights, 0));
    lines.splice(at..=at, ["kill".to_owned(), last]);
    let verdict = verdict_of(&flights, &lines);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.appended, verdict.found_late), (3, 1));
}

#[test]
fn a_row_that_a_group_was_never_given_is_skipped() {
    for group in ["workers amelia", "analytics analyst"] {
        let verdict = without(&three(), &format!("got {group} new 2"));
        assert_eq!(verdict.skipped, [2]);
        assert!(!verdict.is_clean());
    }
}

#[test]
fn a_row_with_two_ids_was_appended_twice() {
    let flights = three();
    let sum = flights.checksum(0);
    let other = EntryId::new(flights.ms(0).unwrap(), 9);
    let more = format!("got analytics analyst new 0 {other} {sum}");
    let verdict = with(&flights, "appended 1", &[more]);
    assert_eq!(verdict.twice, [0]);
    assert!(!verdict.is_clean());
}

#[test]
fn an_entry_with_other_contents_or_another_time_is_wrong() {
    let flights = three();
    let (id, sum) = (id(&flights, 0), flights.checksum(0));
    let other_sum = format!("seen 0 {id} {} false", sum ^ 1);
    assert_eq!(with(&flights, "appended 1", &[other_sum]).wrong, [0]);
    let other_time = format!("appended 1 {}-1", id.ms + 1);
    let verdict = with(&flights, "appended 1", &[other_time]);
    assert_eq!(verdict.wrong, [1]);
    assert!(!verdict.is_clean());
}

#[test]
fn an_acknowledgement_is_undone_only_by_a_call_that_began_after_it() {
    let flights = three();
    let (id, sum) = (id(&flights, 0), flights.checksum(0));
    let ask = "ask workers igor".to_owned();
    let got = format!("got workers igor claim 0 {id} {sum}");
    let verdict = with(&flights, "appended 1", &[ask.clone(), got.clone()]);
    assert_eq!(verdict.undone, [0]);
    assert!(!verdict.is_clean());
    // The claim was under way when the acknowledgement was made: either may have come first.
    let mut lines = good_run(&flights);
    let acked = place(&lines, "acked workers amelia 0");
    lines.insert(acked + 1, got);
    lines.insert(acked, ask);
    let verdict = verdict_of(&flights, &lines);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!(verdict.sums[0].redelivered, 1);
}

#[test]
fn an_acknowledgement_cut_off_by_a_kill_counts_unless_the_row_comes_back() {
    let flights = three();
    let mut lines = good_run(&flights);
    let acked = place(&lines, "acked workers amelia 0");
    lines.remove(acked);
    let pending = verdict_of(&flights, &lines);
    assert_eq!(pending.sums[0].pending, 1, "nobody was killed, so it is pending");
    assert!(!pending.is_clean());
    lines.insert(acked, "kill".to_owned());
    lines.insert(acked + 1, format!("last 0 {}", id(&flights, 0)));
    let cut = verdict_of(&flights, &lines);
    assert!(cut.is_clean(), "{cut:?}");
    assert_eq!(cut.sums[0].cut, 1);
    let (id, sum) = (id(&flights, 0), flights.checksum(0));
    lines.insert(acked + 2, format!("got workers igor claim 0 {id} {sum}"));
    let back = verdict_of(&flights, &lines);
    assert_eq!(back.sums[0].pending, 1, "it came back and nobody acknowledged it");
}

#[test]
fn a_kill_names_the_entry_that_was_begun_last() {
    let flights = three();
    let mut tally = Tally::new(&flights);
    let ids = [id(&flights, 0), id(&flights, 1)];
    for line in [
        format!("appended 0 {}", ids[0]),
        "begin amelia 0".to_owned(),
        format!("appended 1 {}", ids[1]),
    ] {
        tally.note(&Report::parse(&line).unwrap()).unwrap();
    }
    let hit = tally.killed(false);
    assert_eq!((hit.row, hit.id), (Some(0), Some(ids[0])));
    assert_eq!((hit.worker.as_deref(), hit.in_hand), (Some("amelia"), 1));
    // The next child has begun nothing yet.
    let hit = tally.killed(false);
    assert_eq!((hit.row, hit.worker, hit.in_hand), (Some(1), None, 0));
}

#[test]
fn a_report_of_a_row_that_does_not_exist_ends_the_run() {
    let flights = three();
    let mut tally = Tally::new(&flights);
    let report = Report::parse("acked workers amelia 3").unwrap();
    assert!(tally.note(&report).is_err());
}

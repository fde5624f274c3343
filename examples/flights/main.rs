//! The main job: a day of real flights goes through the log while workers die and the process that
//! holds the store is killed, and an outside witness says what became of every single flight.
//!
//! ```text
//! cargo run --release --example flights                    # 8 February 2013, 930 flights
//! cargo run --release --example flights -- --sabotage      # the same, with two faults built in
//! cargo run --release --example flights -- flights.csv     # the whole year, with a progress bar
//! ```
//!
//! # Who does what
//! The process that you start is the **witness**. It runs itself again as a **child** that opens
//! the store. In the child one producer appends the flights with event-time IDs (`ms-*`: the
//! scheduled departure; several flights share a minute), four workers share them in the group
//! `workers`, and one reader sees all of them in the group `analytics`. Workers stop at random in
//! mid-work; another one, or the same name again, takes over and claims what was left. The witness
//! kills the child with SIGKILL at least five times in a run, starts the next one on the same
//! directory, and at last starts a **reader** that answers a question from the log by time range.
//!
//! The witness never opens the store. It knows the CSV and the reports that came through the
//! child's stdout (`wire.rs`), and everything in the table is counted from these two alone.
//!
//! # What the numbers mean
//! A *row* is a flight of the CSV. Each kind of report is made after the fact that it names: a row
//! is reported as appended, delivered or acknowledged after the call returned.
//!
//! - **appended**: rows whose append was confirmed, or which a restarted child found in the log. A
//!   kill can swallow a confirmation; the next child asks the log where to go on, so that such a
//!   row is not appended again.
//! - **delivered**: rows that came to a consumer of the group. **redelivered**: deliveries of rows
//!   that the group had been given before.
//! - **acknowledged**: rows whose acknowledgement was confirmed, or whose acknowledgement was under
//!   way when a kill struck and which never came back.
//! - **pending**: delivered rows that are not acknowledged.
//! - **lost**: rows that no worker ever finished, or whose confirmed append was gone after a
//!   restart, or (on the day in question) which the reader did not find in the log.
//! - **skipped**: rows that one of the two groups was never given.
//! - **appended twice**: rows that were met under two IDs.
//! - **undone acknowledgements**: rows that a group got again by a call that began after their
//!   acknowledgement was confirmed.
//! - **wrong**: rows whose entry had other contents or another time than the CSV says.
//!
//! The exit code is 0 only if the last six and `pending` are all zero and the log's answer is the
//! CSV's; 1 if the table shows a fault; 2 if the run could not be made.

mod args;
mod csv;
mod hold;
mod random;
mod reader;
mod table;
mod tally;
mod wire;
mod witness;
mod work;

use args::Command;
use std::io::{self, Write};
use std::process::ExitCode;

/// What fallible parts of this program return; the text is for a person.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // If stderr is gone too there is nobody left to tell.
            writeln!(io::stderr(), "flights: {error}").unwrap_or_default();
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<bool> {
    match args::parse(std::env::args_os().skip(1))? {
        Command::Help => {
            io::stdout().write_all(args::HELP.as_bytes())?;
            Ok(true)
        }
        Command::Witness(args) => witness::run(&args),
        Command::Hold(args) => hold::run(&args).map(|()| true),
        Command::Read(args) => reader::run(&args).map(|()| true),
    }
}

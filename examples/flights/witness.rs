//! The parent: starts the children, kills them, listens to them, and draws up the account.
//!
//! It never opens the store. A child is killed after a number of reports that the seed decides, so
//! that kills fall into the work however fast the machine is, and then after a moment more, so
//! that they do not always fall behind a report.

use crate::Outcome;
use crate::args::{HoldArgs, ReadArgs, WitnessArgs};
use crate::csv::{self, Flights};
use crate::random::Random;
use crate::table::{self, Bar};
use crate::tally::Tally;
use crate::wire::Report;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{self, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

/// If the children tell of nothing new for so long, the work will never be done.
const PATIENCE: Duration = Duration::from_secs(30);
/// Reports of progress that each row takes at least, but for a few that a kill swallows: appended,
/// given to two groups, begun, finished in two, acknowledged in one. The lives of all killed
/// children together stay below this, so that there is always work left for the next kill.
const STEPS_PER_ROW: u64 = 7;
/// How many steps a kill waits for a report of the kind that it is aimed at.
const AIMING: u64 = 40;
/// The day of the question, in words.
const DAY: &str = "8 February 2013";

/// Makes a run; whether nothing was amiss.
pub(crate) fn run(args: &WitnessArgs) -> Outcome<bool> {
    let flights = Flights::load(args.csv.as_deref())?;
    let seed = match args.seed {
        Some(seed) => seed,
        None => SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64 % 1_000_000,
    };
    let mut random = Random::new(&[seed]);
    let rows = flights.len() as u64;
    let chosen = 5 + random.below(4);
    let kills = args.kills.unwrap_or(chosen);
    let place = Place::new(args.dir.clone(), seed)?;
    let mut out = io::stdout();
    let (level, shown) = (args.level.word(), place.dir.display());
    writeln!(out, "seed {seed}: {rows} flights, {kills} kills, durability {level}, in {shown}")?;
    let mut run = Run {
        bar: Bar::new(args.csv.is_some(), rows),
        tally: Tally::new(&flights),
        hold: HoldArgs {
            dir: place.dir.clone(),
            csv: args.csv.clone(),
            level: args.level,
            seed,
            ..HoldArgs::default()
        },
        flights: &flights,
        random,
        kills,
    };
    if args.sabotage {
        run.plan_sabotage()?;
    }
    let day = csv::day(2013, 2, 8).ok_or("the calendar is wrong")?;
    let reader = ReadArgs { dir: place.dir.clone(), times: day.clone() };
    let complete = run.hold_until_drained()? & run.live(reader.to_args())?;
    run.bar.clear()?;
    let verdict = run.tally.verdict(&day);
    let clean = complete && verdict.is_clean();
    table::print(&verdict, &run.tally, DAY)?;
    table::print_verdict(&verdict, clean, &flights)?;
    if args.keep || !place.temporary || !(clean || args.sabotage) {
        writeln!(out, "The store is kept in {}.", place.dir.display())?;
    } else {
        std::fs::remove_dir_all(&place.dir)?;
    }
    Ok(clean)
}

struct Run<'a> {
    flights: &'a Flights,
    tally: Tally<'a>,
    bar: Bar,
    random: Random,
    /// What the next child is told.
    hold: HoldArgs,
    kills: u64,
}

impl Run<'_> {
    /// Chooses an entry and an acknowledgement that will be dropped, and says which.
    fn plan_sabotage(&mut self) -> Outcome<()> {
        let rows = self.flights.len() as u64;
        let entry = self.random.between(rows / 4, rows / 2) as usize;
        let ack = self.random.between(rows / 2 + 1, rows * 3 / 4) as usize;
        if ack >= self.flights.len() {
            return Err("sabotage needs more flights than these".into());
        }
        self.hold.drop_entry = Some(entry);
        self.hold.drop_ack = Some(ack);
        let (entry_is, ack_is) = (self.flights.describe(entry), self.flights.describe(ack));
        let mut out = io::stdout();
        writeln!(out, "sabotage: the entry of row {entry} ({entry_is}) will be dropped,")?;
        writeln!(out, "sabotage: an acknowledgement of row {ack} ({ack_is}) will be dropped")?;
        Ok(())
    }

    /// Starts one child after the other until one comes to its end; `false` if that takes for ever.
    fn hold_until_drained(&mut self) -> Outcome<bool> {
        let per_life = STEPS_PER_ROW * self.flights.len() as u64 / (self.kills + 1);
        for life in 0..self.kills {
            self.hold.life = life;
            let plan = Plan {
                steps: per_life * self.random.between(50, 95) / 100,
                aim: *self.random.choose(&[Aim::Anything, Aim::Append, Aim::Ack]),
                moment: Duration::from_micros(self.random.below(20_000)),
            };
            if !self.live_and_die(&plan)? {
                return Ok(false);
            }
            // Only one acknowledgement is to be dropped, and this one was.
            self.hold.drop_ack = self.hold.drop_ack.filter(|row| !self.tally.is_acked(*row));
        }
        self.hold.life = self.kills;
        self.live(self.hold.to_args())
    }

    /// Runs a child to its end; `false` if it makes no progress any more.
    fn live(&mut self, args: Vec<OsString>) -> Outcome<bool> {
        let mut child = Child::start(args)?;
        let said = self.hear(&mut child, |_, _| false)?;
        match said {
            Said::Enough | Said::Stuck => return self.give_up(child),
            Said::AllItHad => {}
        }
        let status = child.process.wait()?;
        match status.success() && self.tally.take_drained() {
            true => Ok(true),
            false => Err(format!("a child ended by itself: {status}").into()),
        }
    }

    /// Runs a child until it is to be killed; `false` if it makes no progress any more.
    fn live_and_die(&mut self, plan: &Plan) -> Outcome<bool> {
        let mut child = Child::start(self.hold.to_args())?;
        let said = self.hear(&mut child, |tally, report| {
            let over = tally.steps().saturating_sub(plan.steps);
            tally.steps() >= plan.steps && (plan.aim.fits(report) || over > AIMING)
        })?;
        match said {
            Said::Enough => {}
            Said::Stuck => return self.give_up(child),
            Said::AllItHad => {
                let status = child.process.wait()?;
                return Err(format!("a child ended before its kill: {status}").into());
            }
        }
        if plan.aim == Aim::Anything {
            std::thread::sleep(plan.moment);
        }
        child.process.kill()?;
        child.process.wait()?;
        // What it managed to say before the kill is still in the pipe.
        self.hear(&mut child, |_, _| false)?;
        if self.tally.take_drained() {
            return Err("a child was done before its kill: too many kills for the flights".into());
        }
        let steps = self.tally.steps();
        let hit = self.tally.killed(plan.aim == Aim::Append);
        self.bar.clear()?;
        table::print_kill(self.tally.kills(), steps, &hit, self.flights)?;
        Ok(true)
    }

    /// Takes note of what a child says until it has said enough, or all.
    fn hear(
        &mut self,
        child: &mut Child,
        enough: impl Fn(&Tally<'_>, &Report<'_>) -> bool,
    ) -> Outcome<Said> {
        let (mut news, mut since) = (self.tally.news(), Instant::now());
        while since.elapsed() < PATIENCE {
            let line = match child.lines.recv_timeout(PATIENCE) {
                Ok(line) => line?,
                Err(RecvTimeoutError::Timeout) => return Ok(Said::Stuck),
                Err(RecvTimeoutError::Disconnected) => return Ok(Said::AllItHad),
            };
            let report = Report::parse(&line)?;
            self.tally.note(&report)?;
            self.bar.set(self.tally.done())?;
            if enough(&self.tally, &report) {
                return Ok(Said::Enough);
            }
            if self.tally.news() > news {
                (news, since) = (self.tally.news(), Instant::now());
            }
        }
        Ok(Said::Stuck)
    }

    /// Ends a run that would never end; the table will show why.
    fn give_up(&mut self, child: Child) -> Outcome<bool> {
        drop(child);
        self.tally.killed(false);
        self.bar.clear()?;
        let seconds = PATIENCE.as_secs();
        writeln!(io::stdout(), "Nothing new for {seconds} s: the run is given up.")?;
        Ok(false)
    }
}

/// When and how a child is to die.
struct Plan {
    /// After so many steps at the earliest.
    steps: u64,
    aim: Aim,
    /// How long after the report, if the kill is aimed at nothing.
    moment: Duration,
}

/// The report that a kill follows as fast as it can. It may come a little late all the same: a
/// signal takes longer than an append or an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Any report, and then a moment.
    Anything,
    /// An append: another one may be under way.
    Append,
    /// The end of the work on an entry: its acknowledgement is under way.
    Ack,
}

impl Aim {
    fn fits(self, report: &Report<'_>) -> bool {
        match self {
            Aim::Anything => true,
            Aim::Append => matches!(report, Report::Appended { .. }),
            Aim::Ack => matches!(report, Report::Finish { .. }),
        }
    }
}

/// Why the witness stopped listening to a child.
enum Said {
    Enough,
    /// Its end of the pipe is closed.
    AllItHad,
    Stuck,
}

/// A child process and what it says.
struct Child {
    process: process::Child,
    lines: Receiver<io::Result<String>>,
}

impl Child {
    fn start(args: Vec<OsString>) -> Outcome<Child> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().ok_or("the child has no stdout")?;
        // A thread of its own, because a read of a pipe cannot be given a time limit.
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || pass_lines(out, &tell));
        Ok(Child { process, lines })
    }
}

impl Drop for Child {
    /// No child outlives the witness's interest in it, whatever went wrong.
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            // There is nothing to be done about a process that cannot be waited for.
            self.process.wait().ok();
        }
    }
}

/// Passes on whole lines; what a kill cut short is dropped.
fn pass_lines(out: ChildStdout, tell: &Sender<io::Result<String>>) {
    let mut out = BufReader::new(out);
    loop {
        let mut line = String::new();
        let passed = match out.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => tell.send(Ok(line)),
            Ok(_) => return,
            Err(error) => tell.send(Err(error)),
        };
        if passed.is_err() {
            return;
        }
    }
}

/// Where the store is.
struct Place {
    dir: PathBuf,
    temporary: bool,
}

impl Place {
    fn new(wanted: Option<PathBuf>, seed: u64) -> Outcome<Place> {
        let temporary = wanted.is_none();
        let dir = wanted.unwrap_or_else(|| {
            let pid = process::id();
            std::env::temp_dir().join(format!("streamlog-flights-{pid}-{seed}"))
        });
        let bad = |error: io::Error| format!("cannot use {}: {error}", dir.display());
        std::fs::create_dir_all(&dir).map_err(bad)?;
        if std::fs::read_dir(&dir).map_err(bad)?.next().is_some() {
            return Err(format!("{} is not empty", dir.display()).into());
        }
        Ok(Place { dir, temporary })
    }
}

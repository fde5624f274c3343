//! The command line: of the program, and of the two hidden roles in which it runs itself.

use crate::Outcome;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use streamlog::Durability;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Real flights through streamlog, with workers that die and a process that is killed.

Usage: flights [options] [CSV]

  CSV                 flights of nycflights13, e.g. the whole year (examples/data/README.md);
                      without it, the 930 flights of 8 February 2013
  --seed N            repeats the random choices of a run; when they take effect still depends on
                      how the operating system runs the threads
  --sabotage          loses one entry and one acknowledgement on purpose; the table must show it
  --kills N           how often the process is killed (default: 5 to 8, from the seed)
  --durability LEVEL  always, interval or manual (default: interval)
  --dir DIR           keeps the store here; the directory must be empty or not exist
  --keep              does not remove the temporary directory
  --help              prints this

Exit code: 0 if nothing was lost or skipped and the answer is right, 1 if the table shows a fault,
2 if the run could not be made.
";

/// The role of this process.
pub(crate) enum Command {
    Help,
    Witness(WitnessArgs),
    Hold(HoldArgs),
    Read(ReadArgs),
}

/// What the person asked for.
#[derive(Default)]
pub(crate) struct WitnessArgs {
    pub(crate) csv: Option<PathBuf>,
    pub(crate) seed: Option<u64>,
    pub(crate) sabotage: bool,
    pub(crate) kills: Option<u64>,
    pub(crate) level: Level,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) keep: bool,
}

/// What the child that holds the store needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HoldArgs {
    pub(crate) dir: PathBuf,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) level: Level,
    pub(crate) seed: u64,
    /// Which child of the run this is, from 0.
    pub(crate) life: u64,
    /// Sabotage: this row is reported as appended and is not.
    pub(crate) drop_entry: Option<usize>,
    /// Sabotage: the next acknowledgement of this row is reported and not made.
    pub(crate) drop_ack: Option<usize>,
}

/// What the reader needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadArgs {
    pub(crate) dir: PathBuf,
    /// In milliseconds since 1970.
    pub(crate) times: Range<u64>,
}

/// The durability levels by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    Always,
    #[default]
    Interval,
    Manual,
}

impl Level {
    const ALL: [Level; 3] = [Level::Always, Level::Interval, Level::Manual];

    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Always => "always",
            Level::Interval => "interval",
            Level::Manual => "manual",
        }
    }

    /// What the store is opened with.
    pub(crate) fn durability(self) -> Durability {
        match self {
            Level::Always => Durability::Always,
            Level::Interval => Durability::EVERY_SECOND,
            Level::Manual => Durability::Manual,
        }
    }
}

const HOLD: &str = "__hold";
const READ: &str = "__read";

/// Reads the arguments behind the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Outcome<Command> {
    let mut args = args.into_iter().peekable();
    match args.peek().and_then(|first| first.to_str()) {
        Some(HOLD) => parse_hold(args.skip(1)).map(Command::Hold),
        Some(READ) => parse_read(args.skip(1)).map(Command::Read),
        _ => parse_witness(args),
    }
}

fn parse_witness(mut args: impl Iterator<Item = OsString>) -> Outcome<Command> {
    let mut found = WitnessArgs::default();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--help" | "-h") => return Ok(Command::Help),
            Some("--sabotage") => found.sabotage = true,
            Some("--keep") => found.keep = true,
            Some("--seed") => found.seed = Some(number(&arg, args.next())?),
            Some("--kills") => found.kills = Some(number(&arg, args.next())?),
            Some("--dir") => found.dir = Some(value(&arg, args.next())?.into()),
            Some("--durability") => found.level = level(&arg, args.next())?,
            Some(option) if option.starts_with('-') => return Err(unknown(&arg)),
            _ if found.csv.is_some() => return Err("more than one CSV was given".into()),
            _ => found.csv = Some(arg.into()),
        }
    }
    Ok(Command::Witness(found))
}

fn parse_hold(mut args: impl Iterator<Item = OsString>) -> Outcome<HoldArgs> {
    let mut found = HoldArgs::default();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--dir") => found.dir = value(&arg, args.next())?.into(),
            Some("--csv") => found.csv = Some(value(&arg, args.next())?.into()),
            Some("--durability") => found.level = level(&arg, args.next())?,
            Some("--seed") => found.seed = number(&arg, args.next())?,
            Some("--life") => found.life = number(&arg, args.next())?,
            Some("--drop-entry") => found.drop_entry = Some(number(&arg, args.next())?),
            Some("--drop-ack") => found.drop_ack = Some(number(&arg, args.next())?),
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(found)
}

fn parse_read(mut args: impl Iterator<Item = OsString>) -> Outcome<ReadArgs> {
    let mut found = ReadArgs::default();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--dir") => found.dir = value(&arg, args.next())?.into(),
            Some("--from") => found.times.start = number(&arg, args.next())?,
            Some("--to") => found.times.end = number(&arg, args.next())?,
            _ => return Err(unknown(&arg)),
        }
    }
    Ok(found)
}

impl HoldArgs {
    /// The arguments that [`parse`] reads back as these.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args = vec![HOLD.into(), "--dir".into(), self.dir.clone().into()];
        let mut add = |name: &str, value: OsString| args.extend([name.into(), value]);
        if let Some(csv) = &self.csv {
            add("--csv", csv.into());
        }
        add("--durability", self.level.word().into());
        add("--seed", self.seed.to_string().into());
        add("--life", self.life.to_string().into());
        if let Some(row) = self.drop_entry {
            add("--drop-entry", row.to_string().into());
        }
        if let Some(row) = self.drop_ack {
            add("--drop-ack", row.to_string().into());
        }
        args
    }
}

impl ReadArgs {
    /// The arguments that [`parse`] reads back as these.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let (from, to) = (self.times.start.to_string(), self.times.end.to_string());
        let mut args = vec![READ.into(), "--dir".into(), self.dir.clone().into()];
        args.extend(["--from".into(), from.into(), "--to".into(), to.into()]);
        args
    }
}

fn unknown(arg: &OsStr) -> Box<dyn std::error::Error + Send + Sync> {
    format!("unknown option {}; --help lists them", arg.display()).into()
}

fn value(option: &OsStr, value: Option<OsString>) -> Outcome<OsString> {
    value.ok_or_else(|| format!("{} needs a value", option.display()).into())
}

fn number<T: FromStr>(option: &OsStr, given: Option<OsString>) -> Outcome<T> {
    let text = value(option, given)?;
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let (option, text) = (option.display(), text.display());
        format!("{option} needs a whole number, not {text}").into()
    })
}

fn level(option: &OsStr, given: Option<OsString>) -> Outcome<Level> {
    let text = value(option, given)?;
    let found = Level::ALL.into_iter().find(|level| text == level.word());
    found.ok_or_else(|| {
        let text = text.display();
        format!("--durability is always, interval or manual, not {text}").into()
    })
}

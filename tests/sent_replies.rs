//! What the server has told its clients, against cuts of the power: under `appendfsync always` a
//! reply that went out holds, whatever the disk has lost.
//!
//! The engine of `src/resp` runs on the power-loss simulator's disk, without sockets: a few clients
//! have random commands run, syncs begin and end as the event loop has them, and replies are sent
//! as far as `Client::may_send` lets them. The power is cut at steps of the disk, in commands and in
//! syncs. What a reply has told, by changing a stream or by looking at it, has to be there.
//!
//! * `STREAMLOG_REPLIES_SEED`: the seed of the first run.
//! * `STREAMLOG_REPLIES_STATES`: how many states are judged (2,000; with `--release` 20,000).
//!
//! The crate's own sources are compiled in as modules, so that the seam stays private.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

include!("ground/source.rs");

/// Inline, so that the folder beside the module is found.
#[path = "../src"]
mod front {
    pub mod resp;
}
use front::resp;

/// The simulated disk.
#[path = "power_loss"]
mod sim {
    pub mod disk;
    pub mod file;
    pub mod image;
    pub mod names;
    pub mod rng;
}

#[path = "sent_replies/machine.rs"]
mod machine;
#[path = "sent_replies/together.rs"]
mod together;
#[path = "sent_replies/told.rs"]
mod told;
#[path = "sent_replies/view.rs"]
mod view;
#[path = "sent_replies/words.rs"]
mod words;

use std::process::ExitCode;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

fn main() -> ExitCode {
    let first = setting("STREAMLOG_REPLIES_SEED", 1);
    let wanted = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    let wanted = setting("STREAMLOG_REPLIES_STATES", wanted);
    if let Err(wrong) = together::check() {
        println!("commands that were run together: {wrong}");
        return ExitCode::FAILURE;
    }
    let mut stats = machine::Stats::default();
    for seed in first.. {
        if let Err(wrong) = machine::run(seed, &mut stats) {
            println!("found: {} after {} states", wrong.what, stats.states);
            println!("seed {seed}, the last commands:");
            wrong.commands.iter().for_each(|command| println!("  {command}"));
            return ExitCode::FAILURE;
        }
        if stats.states >= wanted {
            println!("{} runs from seed {first} on: {stats:?}", seed + 1 - first);
            break;
        }
    }
    // A run in which nothing was told, or nothing lost, shows nothing.
    let seen = [stats.told, stats.held, stats.woken, stats.lost, stats.in_commands, stats.in_syncs];
    if seen.contains(&0) {
        println!("something that it is about never happened");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

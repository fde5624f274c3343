//! The same random command streams over the wire to `streamlog serve` and to a real `redis-server`
//! 7.0.15: the replies are equal byte for byte, in RESP2 and in RESP3.
//!
//! ```text
//! cargo test --features resp --test differential
//! STREAMLOG_DIFF_COMMANDS=1000000 cargo test --features resp --test differential
//! ```
//!
//! Several connections work on few keys, groups, consumers and IDs, with valid and invalid words,
//! within MULTI and blocked. What differs on purpose is in `differential/DEVIATIONS.md`, and
//! nowhere else. Commands come in scripts, each on empty databases; one that shows a difference is
//! cut down to the fewest commands that still show it. `STREAMLOG_DIFF_SEED` chooses what is
//! played. Without a `redis-server` 7.0 on the PATH the test says so and passes; with
//! `STREAMLOG_REQUIRE_REDIS=1` it fails.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "conformance/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/masks.rs"]
mod masks;
#[path = "conformance/pattern.rs"]
#[allow(dead_code)]
mod pattern;
#[path = "differential/play.rs"]
mod play;
#[path = "conformance/reply.rs"]
#[allow(dead_code)]
mod reply;
#[path = "conformance/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "differential/side.rs"]
mod side;

use generate::Generator;
use play::Player;
use server::{Server, Target};
use std::io::Write;
use std::process::Command;

const SEED: u64 = 20_261_126;
const COMMANDS: u64 = 10_000;
/// So many commands are played before everything is removed.
const SCRIPT: usize = 400;

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name);
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Whether there is a server to compare with; says why if not.
fn has_redis() -> bool {
    let asked = Command::new("redis-server").arg("--version").output();
    let version = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let missing = match version {
        Ok(version) if version.contains("v=7.0.") => return true,
        Ok(other) => format!("the deviations are those of 7.0.15, and this is {other}"),
        Err(_) => "there is no redis-server on the PATH".to_owned(),
    };
    let required = std::env::var("STREAMLOG_REQUIRE_REDIS").is_ok_and(|value| value == "1");
    assert!(!required, "STREAMLOG_REQUIRE_REDIS=1, but {missing}");
    say(&format!("SKIPPED, nothing was compared: {missing}"));
    false
}

/// Past the capture of the test harness.
fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn replies_are_those_of_a_real_server() {
    if !has_redis() {
        return;
    }
    let seed = number("STREAMLOG_DIFF_SEED", SEED);
    let commands = number("STREAMLOG_DIFF_COMMANDS", COMMANDS);
    let redis = Server::start(Target::Redis, false).unwrap();
    let ours = Server::start(Target::Ours, false).unwrap();
    let mut player = Player::new(&redis, &ours);
    for number in 0..commands.div_ceil(SCRIPT as u64) {
        let seed = seed.wrapping_add(number);
        let script = Generator::new(seed).script(SCRIPT);
        if let Err(failure) = player.play(&script) {
            // Its connections may be in the middle of something.
            drop(player);
            let report = shrink::report(&redis, &ours, seed, script, failure);
            panic!("{report}");
        }
    }
    say(&player.summary());
    player.check_coverage();
}

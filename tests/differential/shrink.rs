//! Cuts a script that shows a difference down to the fewest commands that still do.

use crate::generate::{Script, Step};
use crate::play::{Failure, Player};
use crate::server::Server;
use std::fmt::Write;

/// Which failure a script shows; on new connections, as the old ones may be in the middle of
/// something.
fn failure(redis: &Server, ours: &Server, script: &Script) -> Option<Failure> {
    Player::new(redis, ours).play(script).err()
}

/// Removes ever smaller pieces for as long as a difference is left.
fn shrink(
    redis: &Server,
    ours: &Server,
    mut script: Script,
    mut last: Failure,
) -> (Script, Failure) {
    script.steps.truncate(last.step + 1);
    let mut size = script.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < script.steps.len() {
            let mut shorter = script.clone();
            let end = (at + size).min(shorter.steps.len());
            shorter.steps.drain(at..end);
            match failure(redis, ours, &shorter) {
                Some(found) => (script, last) = (shorter, found),
                None => at += size,
            }
        }
        size /= 2;
    }
    (script, last)
}

fn shown(words: &[Vec<u8>]) -> String {
    let one = |word: &Vec<u8>| match word.is_empty() {
        true => "\"\"".to_owned(),
        false => word.escape_ascii().to_string(),
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// What to tell of a difference.
pub(crate) fn report(
    redis: &Server,
    ours: &Server,
    seed: u64,
    script: Script,
    first: Failure,
) -> String {
    let (step, entries) = (first.step, script.node_entries);
    let mut text = format!(
        "the replies differ: STREAMLOG_DIFF_SEED={seed}, step {step}, connection {}, nodes of \
         {entries}\n{}\nredis: {}\nours:  {}\n",
        first.client,
        shown(&first.words),
        first.redis,
        first.ours
    );
    let (script, last) = shrink(redis, ours, script, first);
    text += "\nthe fewest commands that show a difference:\n";
    for step in &script.steps {
        match step {
            Step::Command { client, words } => writeln!(text, "{client}: {}", shown(words)),
            Step::Burst { client, all } => {
                let all: Vec<String> = all.iter().map(|words| shown(words)).collect();
                writeln!(text, "{client}: at once: {}", all.join(" | "))
            }
            Step::Unblock { client, .. } => writeln!(text, "{client} is unblocked"),
        }
        .unwrap();
    }
    text + &format!("{}\nredis: {}\nours:  {}\n", shown(&last.words), last.redis, last.ours)
}

//! Random commands of groups, also of those younger than Redis 7.0, played on the server and on a
//! model that is written from the reference: each reply and then the whole state must be the same.
//!
//! `STREAMLOG_CONFORMANCE_SEED` picks another sequence, `STREAMLOG_CONFORMANCE_STEPS` another
//! length.

use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use crate::reply::Reply;
use draw::{Draw, Step};
use state::{Id, Model, shown};

mod draw;
mod rules;
mod state;
mod waits;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("m1", "random commands of groups do what a model does", m1).since(8, 10),
    Numbered::new("m2", "random waits are woken as those of a model", waits::m2).since(7, 2),
];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn m1(env: &mut Env<'_>) -> Outcome {
    let seed = number("STREAMLOG_CONFORMANCE_SEED", 1);
    let (mut draw, mut model) = (Draw::new(seed), Model::default());
    let mut played = Vec::new();
    env.c.ok("CONFIG SET stream-node-max-entries 3")?;
    env.c.ok("XGROUP CREATE s g0 0 MKSTREAM")?;
    model.create("g0", (0, 0));
    for _ in 0..number("STREAMLOG_CONFORMANCE_STEPS", 600) {
        let Some(step) = draw.step(&mut model) else { continue };
        played.push(step.command().to_owned());
        let done = play(env, &mut model, &step);
        done.map_err(|error| {
            let last = played.len().saturating_sub(12);
            format!("seed {seed}, after {:?}: {error}", &played[last..])
        })?;
    }
    Ok(())
}

fn play(env: &mut Env<'_>, model: &mut Model, step: &Step) -> Outcome {
    match step {
        Step::Asked { command, expected } => env.c.is(command, expected)?,
        Step::Reload => {
            env.reload()?;
            same(env, model)?;
            let groups: Vec<_> = model.groups.keys().cloned().collect();
            for group in groups {
                claim_all(env, model, &group)?;
            }
        }
    }
    same(env, model)
}

fn same(env: &mut Env<'_>, model: &Model) -> Outcome {
    env.c.is("XINFO STREAM s FULL COUNT 0", model.full())
}

/// What was delivered in the same millisecond may come in another order once it was loaded; so all
/// is claimed, and the order is that of the reply from then on.
fn claim_all(env: &mut Env<'_>, model: &mut Model, group: &str) -> Outcome {
    let reply = env.c.ask(format!("XREADGROUP GROUP {group} a CLAIM 0 STREAMS s >"))?;
    let nothing = crate::pattern::expect(&reply, "nil*");
    let rows = if nothing.is_ok() { &[] } else { reply.path(&[0, 1])?.items()? };
    let ids = rows.iter().map(id_of).collect::<Result<Vec<Id>, String>>()?;
    let expected = model.claimable(group);
    let claimed = ids.get(..expected.len()).unwrap_or_default();
    let as_sets = |ids: &[Id]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    ensure(as_sets(claimed) == as_sets(&expected), format!("{group}: {reply}"))?;
    // Only those of one age may have changed places.
    let ages = |ids: &[Id]| ids.iter().map(|id| model.rank(group, *id)).collect::<Vec<_>>();
    ensure(ages(claimed) == ages(&expected), format!("{group}: {reply}, and not {expected:?}"))?;
    let told = model.claim(group, "a", claimed);
    let new = model.deliver(group, "a", usize::MAX, false);
    let rows: Vec<_> =
        told.into_iter().chain(new.iter().map(|id| shown(*id, Some(":0 :0")))).collect();
    match rows.is_empty() {
        true => nothing,
        false => crate::pattern::expect(&reply, &format!("[[s [{}]]]", rows.join(" "))),
    }
}

fn id_of(row: &Reply) -> Result<Id, String> {
    let text = row.at(0)?.text()?;
    let parts =
        text.split_once('-').and_then(|(ms, seq)| Some((ms.parse().ok()?, seq.parse().ok()?)));
    parts.ok_or(format!("{text} is no ID"))
}

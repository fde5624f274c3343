//! `XREADGROUP` and `XREAD` that wait: what wakes them, with what, and in which order.

use super::is_young;
use crate::client::{Outcome, ensure};
use crate::env::{Env, sleep_ms};
use crate::registry::Numbered;
use std::time::{Duration, Instant};

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g37", "Blocking XREADGROUP will not reply with an empty array", g37),
    Numbered::new("g38", "Blocking XREADGROUP: key deleted", g38),
    Numbered::new("g41", "Blocking XREADGROUP: flushed DB", g41),
    Numbered::new("g42", "Blocking XREADGROUP: swapped DB, key doesn't exist", g42),
    Numbered::new("g44", "XREAD and XREADGROUP against wrong parameter", g44),
    Numbered::new("g45", "Blocking XREAD: key deleted", g45),
    Numbered::new("g47", "Blocking XREADGROUP for stream that ran dry", g47),
    Numbered::new("g48", "Blocking XREADGROUP will ignore BLOCK if ID is not >", g48),
    Numbered::new("g50", "Blocked XREADGROUP clients of one stream: no endless loop", g50),
    Numbered::new("g51", "Blocked XREADGROUP keeps its deadline when reprocessed", g51),
];

const SHORT: Duration = Duration::from_millis(60);

/// What a reader whose stream is gone is told.
fn gone(env: &Env<'_>, key: &str) -> String {
    if is_young(env) {
        format!(
            "-NOGROUP No such key '{key}' or consumer group 'g' in XREADGROUP with GROUP option"
        )
    } else {
        "-UNBLOCKED the stream key no longer exists".to_owned()
    }
}

fn g37(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 666 f v", "666-0")?;
    c.ok("XGROUP CREATE s g $")?;
    c.is("XADD s 667 f2 v2", "667-0")?;
    c.is("XDEL s 667", ":1")?;
    // There was something behind the cursor, and there is not any more.
    c.is("XREADGROUP GROUP g c BLOCK 10 STREAMS s >", "nil*")?;
    c.is("XREADGROUP GROUP g c STREAMS s >", "nil*")?;
    if is_young(env) {
        let mut waiter = env.blocked("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >", 1)?;
        let c = &mut env.c;
        c.multi(&["XADD s 668 f v", "XDEL s 668"], "[668-0 :1]")?;
        waiter.stays_silent(SHORT)?;
        env.wait_blocked(1)?;
        env.c.is("XADD s 669 f v", "669-0")?;
        waiter.reads("[[s [[669-0 [f v]]]]]")?;
        env.c.is("XPENDING s g", "[:1 669-0 669-0 [[c 1]]]")?;
    }
    env.c.is("XREADGROUP GROUP g d BLOCK 10 STREAMS s 0", "[[s []]]")
}

fn g38(env: &mut Env<'_>) -> Outcome {
    let gone = gone(env, "s");
    for delete in ["DEL s", "UNLINK s"] {
        env.c.is("XADD s 1-0 f v", "1-0")?;
        env.c.ok("XGROUP CREATE s g $")?;
        let mut waiter = env.blocked("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >", 1)?;
        env.c.is(delete, ":1")?;
        waiter.reads(&gone)?;
        env.wait_blocked(0)?;
        // The connection is as good as before.
        waiter.is("EXISTS s", ":0")?;
    }
    if is_young(env) {
        // Deleted and made anew with its group in one step: it never was away.
        env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
        let mut waiter = env.blocked("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >", 1)?;
        let steps = ["DEL s", "XGROUP CREATE s g 0 MKSTREAM", "XADD s 1-0 f v"];
        env.c.multi(&steps, "[:1 +OK 1-0]")?;
        waiter.reads("[[s [[1-0 [f v]]]]]")?;
    }
    Ok(())
}

fn g41(env: &mut Env<'_>) -> Outcome {
    let (first, second) = (gone(env, "a"), gone(env, "b"));
    for flush in ["FLUSHALL", "FLUSHDB"] {
        env.c.ok("XGROUP CREATE a g $ MKSTREAM")?;
        env.c.ok("XGROUP CREATE b g $ MKSTREAM")?;
        let mut one = env.blocked("XREADGROUP GROUP g c BLOCK 20000 STREAMS a >", 1)?;
        let mut other = env.blocked("XREADGROUP GROUP g c BLOCK 20000 STREAMS b >", 2)?;
        env.c.ok(flush)?;
        one.reads(&first)?;
        other.reads(&second)?;
        env.wait_blocked(0)?;
    }
    Ok(())
}

fn g42(env: &mut Env<'_>) -> Outcome {
    let gone = gone(env, "s");
    env.c.ok("SELECT 9")?;
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    let mut waiter = env.client()?;
    waiter.ok("SELECT 9")?;
    waiter.send("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >")?;
    env.wait_blocked(1)?;
    env.c.ok("SWAPDB 9 10")?;
    waiter.reads(&gone)?;
    env.wait_blocked(0)?;
    // The stream is in the other database now, and whoever waits there is served.
    waiter.is("EXISTS s", ":0")?;
    waiter.ok("SELECT 10")?;
    waiter.send("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >")?;
    env.wait_blocked(1)?;
    env.c.ok("SELECT 10")?;
    env.c.is("XADD s 1-0 f v", "1-0")?;
    waiter.reads("[[s [[1-0 [f v]]]]]")?;
    env.c.ok("FLUSHDB")?;
    env.c.ok("SELECT 0")
}

fn g44(env: &mut Env<'_>) -> Outcome {
    let (read, group) = if is_young(env) {
        (
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must \
             be specified.",
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must \
             be specified.",
        )
    } else {
        let both = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be \
                    specified.";
        (both, both)
    };
    let young = is_young(env);
    let c = &mut env.c;
    c.is("XADD s 666 f v", "666-0")?;
    c.ok("XGROUP CREATE s g $")?;
    c.err("XREADGROUP GROUP g c COUNT 1 STREAMS s", group)?;
    c.err("XREADGROUP GROUP g c STREAMS s > s", group)?;
    c.err("XREAD COUNT 1 STREAMS s", read)?;
    c.err("XREAD STREAMS s 0 s", read)?;
    let not_here = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                    <group> <consumer> option.";
    c.err("XREAD STREAMS s >", not_here)?;
    c.err("XREAD BLOCK 0 STREAMS s >", not_here)?;
    let grouped = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
    c.err("XREAD GROUP g c STREAMS s 0", grouped)?;
    c.err("XREADGROUP COUNT 1 COUNT 1 STREAMS s >", "ERR Missing GROUP option for XREADGROUP")?;
    let meaningless = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read \
                       the history of this consumer by specifying a proper ID, or use the > ID to \
                       get new messages. The $ ID would just return an empty result set.";
    c.err("XREADGROUP GROUP g c STREAMS s $", meaningless)?;
    if young {
        c.err("XREADGROUP GROUP g c STREAMS s +", &meaningless.replace('$', "+"))?;
    }
    c.is("XINFO CONSUMERS s g", "[]")
}

fn g45(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD s 666 f v", "666-0")?;
    let mut waiter = env.blocked("XREAD BLOCK 20000 STREAMS s other $ $", 1)?;
    blocking_keys(env, 2, 0)?;
    env.c.is("DEL s", ":1")?;
    waiter.stays_silent(SHORT)?;
    env.wait_blocked(1)?;
    // A later stream of that name serves it, as soon as it is beyond what the old one had.
    env.c.is("XADD s 665 f v", "665-0")?;
    waiter.stays_silent(SHORT)?;
    env.wait_blocked(1)?;
    env.c.is("XADD s 667 f v", "667-0")?;
    waiter.reads("[[s [[667-0 [f v]]]]]")?;
    env.wait_blocked(0)?;
    blocking_keys(env, 0, 0)
}

fn g47(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 666 f v", "666-0")?;
    c.ok("XGROUP CREATE s g $")?;
    c.is("XDEL s 666", ":1")?;
    let mut waiter = env.blocked("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >", 1)?;
    let small = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    env.c.err("XADD s 665 f v", small)?;
    env.c.err("XADD s 666 f v", small)?;
    waiter.stays_silent(SHORT)?;
    env.c.is("XADD s 667 f v", "667-0")?;
    waiter.reads("[[s [[667-0 [f v]]]]]")?;
    env.c.is("XPENDING s g", "[:1 667-0 667-0 [[c 1]]]")?;
    env.c.is("XDEL s 667", ":1")?;
    env.c.is("XREADGROUP GROUP g c BLOCK 10 STREAMS s >", "nil*")?;
    // A cursor that is put back wakes nobody; the next entry brings the earlier ones along.
    env.c.is("XADD s 668 f v", "668-0")?;
    env.c.is("XREADGROUP GROUP g c STREAMS s >", "[[s [[668-0 [f v]]]]]")?;
    waiter.send("XREADGROUP GROUP g d BLOCK 20000 STREAMS s >")?;
    env.wait_blocked(1)?;
    env.c.ok("XGROUP SETID s g 0")?;
    waiter.stays_silent(SHORT)?;
    env.c.is("XADD s 669 f v", "669-0")?;
    waiter.reads("[[s [[668-0 [f v]] [669-0 [f v]]]]]")?;
    env.c.is("XPENDING s g", "[:3 667-0 669-0 [[c 1] [d 2]]]")
}

fn g48(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 666 f v", "666-0")?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS s 665", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c STREAMS s >", "[[s [[666-0 [f v]]]]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS s 665", "[[s [[666-0 [f v]]]]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS s 666", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS s 999", "[[s []]]")?;
    // One stream whose history is asked is enough for an answer.
    c.ok("XGROUP CREATE other g $ MKSTREAM")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS other s > 0", "[[s [[666-0 [f v]]]]]")?;
    env.wait_blocked(0)
}

fn g50(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    let mut waiters = Vec::new();
    for n in 1..=3 {
        let command = format!("XREADGROUP GROUP g c{n} COUNT 1 BLOCK 20000 STREAMS s >");
        waiters.push(env.blocked(&command, n)?);
    }
    blocking_keys(env, 1, 1)?;
    // One entry: the first who came has it, the others go on waiting, and the server is awake.
    env.c.is("XADD s 1-0 f 1", "1-0")?;
    waiters[0].reads("[[s [[1-0 [f 1]]]]]")?;
    env.wait_blocked(2)?;
    env.c.is("PING", "+PONG")?;
    waiters[1].stays_silent(SHORT)?;
    waiters[2].stays_silent(SHORT)?;
    env.c.is("XPENDING s g", "[:1 1-0 1-0 [[c1 1]]]")?;
    // The first stands behind the others now. Two at once are one for each.
    waiters[0].send("XREADGROUP GROUP g c1 COUNT 1 BLOCK 20000 STREAMS s >")?;
    env.wait_blocked(3)?;
    env.c.multi(&["XADD s 2-0 f 2", "XADD s 3-0 f 3"], "[2-0 3-0]")?;
    env.wait_blocked(1)?;
    env.c.is("PING", "+PONG")?;
    waiters[0].stays_silent(SHORT)?;
    let mut got = [waiters[1].read()?.to_string(), waiters[2].read()?.to_string()];
    got.sort_unstable();
    let want = ["[[s [[2-0 [f 2]]]]]", "[[s [[3-0 [f 3]]]]]"];
    ensure(got == want, format!("got {got:?}"))?;
    // One that is gone takes nothing.
    waiters[1].send("XREADGROUP GROUP g c2 BLOCK 20000 STREAMS s >")?;
    env.wait_blocked(2)?;
    drop(waiters.remove(0));
    env.wait_blocked(1)?;
    env.c.is("XADD s 4-0 f 4", "4-0")?;
    waiters[0].reads("[[s [[4-0 [f 4]]]]]")?;
    env.wait_blocked(0)?;
    blocking_keys(env, 0, 0)
}

/// For how many keys somebody waits, and of them also for their end; Redis 7.0 does not tell.
fn blocking_keys(env: &mut Env<'_>, all: i64, on_no_key: i64) -> Outcome {
    if !is_young(env) {
        return Ok(());
    }
    env.wait_info("total_blocking_keys", all)?;
    env.wait_info("total_blocking_keys_on_nokey", on_no_key)
}

fn g51(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    let began = Instant::now();
    let mut waiter = env.blocked("XREADGROUP GROUP g c BLOCK 3000 STREAMS s >", 1)?;
    let young = is_young(env);
    for n in 1..=3 {
        sleep_ms(600);
        // It is looked at again, and there is nothing for it.
        if young {
            let add = format!("XADD s {n}-0 f v");
            let delete = format!("XDEL s {n}-0");
            env.c.multi(&[&add, &delete], &format!("[{n}-0 :1]"))?;
        } else {
            env.c.ok("XGROUP SETID s g $")?;
        }
        waiter.stays_silent(Duration::from_millis(30))?;
    }
    waiter.reads("nil*")?;
    let took = began.elapsed();
    ensure(took >= Duration::from_millis(3000), format!("it ended after {took:?}"))?;
    // Had it begun anew at the third look, it would have lasted 4800 ms and more.
    ensure(took < Duration::from_millis(4700), format!("it ended after {took:?}"))?;
    env.wait_blocked(0)?;
    env.c.is("XPENDING s g", "[:0 nil nil nil*]")
}

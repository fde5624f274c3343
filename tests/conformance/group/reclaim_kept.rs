//! `XREADGROUP` with `CLAIM` when consumers, cursors and entries go away, after the log was loaded
//! again, in transactions, and many times over.

use super::reclaim::{age, read};
use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g134", "XREADGROUP CLAIM after consumer deleted with pending messages", g134)
        .since(8, 4),
    Numbered::new("g135", "XREADGROUP CLAIM after XGROUP SETID moves past pending messages", g135)
        .since(8, 4),
    Numbered::new("g136", "XREADGROUP CLAIM after XGROUP SETID moves before pending", g136)
        .since(8, 4),
    Numbered::new("g137", "XREADGROUP CLAIM when pending messages get trimmed", g137).since(8, 4),
    Numbered::new("g138", "XREADGROUP CLAIM state persists across RDB save/load", g138).since(8, 4),
    Numbered::new("g139", "XREADGROUP CLAIM idle time and RDB reload", g139).since(8, 4),
    Numbered::new("g140", "XREADGROUP CLAIM multiple groups persist correctly", g140).since(8, 4),
    Numbered::new("g141", "XREADGROUP CLAIM NOACK state not persisted", g141).since(8, 4),
    Numbered::new("g142", "XREADGROUP CLAIM high delivery counts persist in RDB", g142).since(8, 4),
    Numbered::new("g143", "XREADGROUP CLAIM usage stability with repeated claims", g143)
        .since(8, 4),
    Numbered::new("g144", "XREADGROUP CLAIM with large number of PEL messages", g144).since(8, 4),
    Numbered::new("g145", "XREADGROUP CLAIM within MULTI/EXEC transaction", g145).since(8, 4),
];

fn g134(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XCLAIM s g c2 0 3-0 JUSTID", "[3-0]")?;
    c.is("XGROUP DELCONSUMER s g c1", ":2")?;
    // Its records went with it; the other consumer's did not.
    c.is("XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >", "[[s [[3-0 [f 3] * :1]]]]")?;
    c.is("XPENDING s g", "[:1 3-0 3-0 [[c3 1]]]")?;
    c.is("XGROUP DELCONSUMER s g c3", ":1")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "nil*")?;
    c.is("XLEN s", ":3")
}

fn g135(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, true)?;
    c.ok("XGROUP SETID s g 3-0")?;
    // The cursor is beyond all, and the records are still there.
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1]]]]")?;
    c.is("XPENDING s g", "[:2 1-0 2-0 [[c2 2]]]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "3-0")
}

fn g136(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1]]]]")?;
    c.ok("XGROUP SETID s g 0")?;
    // Claimed with what they have been delivered so far, and then as new ones; which they are.
    c.is(
        "XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :2] [2-0 [f 2] * :2] [1-0 [f 1] :0 :0] [2-0 [f 2] :0 :0]]]]",
    )?;
    c.is("XPENDING s g - + 10", "[[1-0 c3 :0..60000 :1] [2-0 c3 :0..60000 :1]]")?;
    c.is("XPENDING s g", "[:2 1-0 2-0 [[c3 2]]]")?;
    // A count that ends between the two.
    c.ok("XGROUP SETID s g 0")?;
    c.is(
        "XREADGROUP GROUP g c4 COUNT 3 CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [1-0 [f 1] :0 :0]]]]",
    )?;
    c.is("XPENDING s g - + 10", "[[1-0 c4 :0..60000 :1] [2-0 c4 :0..60000 :2]]")
}

fn g137(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 5, false)?;
    c.is("XTRIM s MAXLEN 2", ":3")?;
    // What is gone is passed over, uses up no count, and stays pending.
    c.is("XREADGROUP GROUP g c2 COUNT 1 CLAIM 0 STREAMS s >", "[[s [[4-0 [f 4] * :1]]]]")?;
    c.is("XPENDING s g", "[:5 1-0 5-0 [[c1 4] [c2 1]]]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[5-0 [f 5] * :1] [4-0 [f 4] * :2]]]]")?;
    c.is("XTRIM s MAXLEN 0", ":2")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "nil*")?;
    // One that is gone, however old, ends no waiting either.
    c.is("XREADGROUP GROUP g c2 CLAIM 0 BLOCK 30 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:5 1-0 5-0 [[c1 3] [c2 2]]]")?;
    c.is("XPENDING s g - + 2", "[[1-0 c1 :0..60000 :1] [2-0 c1 :0..60000 :1]]")
}

fn g138(env: &mut Env<'_>) -> Outcome {
    read(&mut env.c, 3, true)?;
    let c = &mut env.c;
    c.is("XREADGROUP GROUP g c2 COUNT 1 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] * :1]]]]")?;
    age(c, "c1", "3-0", 500_000)?;
    age(c, "c2", "1-0", 300_000)?;
    env.c.ok("SAVE")?;
    env.reload()?;
    let c = &mut env.c;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 2] [c2 1]]]")?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c2 :300000..360000 :2] [2-0 c1 :0..60000 :1] [3-0 c1 :500000..560000 :1]]",
    )?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "3-0")?;
    // By age, as before; then what nobody has read.
    c.is(
        "XREADGROUP GROUP g c3 CLAIM 200000 STREAMS s >",
        "[[s [[3-0 [f 3] :500000..560000 :1] [1-0 [f 1] :300000..360000 :2] [4-0 [f 4] :0 :0]]]]",
    )?;
    c.is("XPENDING s g", "[:4 1-0 4-0 [[c1 1] [c3 3]]]")
}

fn g139(env: &mut Env<'_>) -> Outcome {
    read(&mut env.c, 2, false)?;
    age(&mut env.c, "c1", "1-0 2-0", 400_000)?;
    let c = &mut env.c;
    c.is("XREADGROUP GROUP g c2 COUNT 1 CLAIM 300000 STREAMS s >", "[[s [[1-0 [f 1] * :1]]]]")?;
    env.reload()?;
    // What was claimed just before is young, what was not is as old as it was.
    let c = &mut env.c;
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..60000 :2] [2-0 c1 :400000..460000 :1]]")?;
    c.is(
        "XREADGROUP GROUP g c3 CLAIM 300000 STREAMS s >",
        "[[s [[2-0 [f 2] :400000..460000 :1]]]]",
    )?;
    c.is("XREADGROUP GROUP g c3 CLAIM 300000 STREAMS s >", "nil*")
}

fn g140(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    for (group, n) in [("g1", 1), ("g2", 2), ("g3", 3)] {
        c.ok(format!("XGROUP CREATE s {group} 0"))?;
        let read = format!("XREADGROUP GROUP {group} c COUNT {n} STREAMS s >");
        c.at(read, &format!("0.1.{}.0", n - 1), format!("{n}-0"))?;
    }
    c.is("XREADGROUP GROUP g2 d COUNT 1 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] * :1]]]]")?;
    c.is("XACK s g3 2-0", ":1")?;
    env.reload()?;
    let c = &mut env.c;
    c.is("XPENDING s g1", "[:1 1-0 1-0 [[c 1]]]")?;
    c.is("XPENDING s g2", "[:2 1-0 2-0 [[c 1] [d 1]]]")?;
    c.is("XPENDING s g3", "[:2 1-0 3-0 [[c 2]]]")?;
    c.is(
        "XREADGROUP GROUP g1 e CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :1] [2-0 [f 2] :0 :0] [3-0 [f 3] :0 :0]]]]",
    )?;
    c.is(
        "XREADGROUP GROUP g2 e CLAIM 0 STREAMS s >",
        "[[s [[2-0 [f 2] * :1] [1-0 [f 1] * :2] [3-0 [f 3] :0 :0]]]]",
    )?;
    c.is("XREADGROUP GROUP g3 e CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] * :1] [3-0 [f 3] * :1]]]]")
}

fn g141(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, true)?;
    c.is(
        "XREADGROUP GROUP g c2 NOACK CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :1] [2-0 [f 2] :0 :0]]]]",
    )?;
    env.reload()?;
    let c = &mut env.c;
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..60000 :2]]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "2-0")?;
    // That it was once read without a record does not last: the next reading makes records.
    c.entries("s", 3..=3)?;
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :2] [3-0 [f 3] :0 :0]]]]",
    )?;
    c.is("XPENDING s g", "[:2 1-0 3-0 [[c2 2]]]")
}

fn g142(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    let nearly = i64::MAX - 1;
    c.is("XCLAIM s g c1 0 1-0 RETRYCOUNT 1000000 JUSTID", "[1-0]")?;
    c.is(format!("XCLAIM s g c1 0 2-0 RETRYCOUNT {nearly} JUSTID"), "[2-0]")?;
    for _ in 0..12 {
        c.at("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >", "0.0", "s")?;
    }
    env.reload()?;
    let c = &mut env.c;
    let most = i64::MAX;
    c.is(
        "XPENDING s g - + 10",
        format!("[[1-0 c1 * :1000012] [2-0 c1 * :{most}] [3-0 c1 * :13]]"),
    )?;
    // Further than that nothing counts.
    let reply = c.ask("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >")?;
    let counts = [0, 1, 2].map(|n| reply.path(&[0, 1, n]).map(ToString::to_string));
    let text = counts.into_iter().collect::<Result<Vec<_>, _>>()?.join(" ");
    ensure(text.contains(&format!(":{most}")) && text.contains(":1000012"), &text)?;
    c.is("XPENDING s g 2 2 1", format!("[[2-0 c2 * :{most}]]"))
}

fn g143(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    let claims: Vec<_> =
        (0..1000).map(|n| format!("XREADGROUP GROUP g c{} CLAIM 0 STREAMS s >", n % 4)).collect();
    for (n, reply) in c.many(&claims)?.iter().enumerate() {
        let count = n + 1;
        let expected =
            format!("[[s [[1-0 [f 1] * :{count}] [2-0 [f 2] * :{count}] [3-0 [f 3] * :{count}]]]]");
        crate::pattern::expect(reply, &expected)?;
    }
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c3 3]]]")?;
    c.each("XINFO CONSUMERS s g", "pending", "[:0 :0 :0 :3]")?;
    c.is("XPENDING s g - + 1", "[[1-0 c3 * :1001]]")?;
    c.is("XACK s g 1-0 2-0 3-0", ":3")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >", "nil*")
}

fn g144(env: &mut Env<'_>) -> Outcome {
    const MANY: usize = 10_000;
    let c = &mut env.c;
    c.ok("XGROUP CREATE s g 0 MKSTREAM")?;
    let adds: Vec<_> = (1..=MANY).map(|n| format!("XADD s {n}-0 f {n}")).collect();
    c.many(&adds)?;
    let delivered = c.list("XREADGROUP GROUP g c1 STREAMS s >")?;
    let n = delivered[0].at(1)?.items()?.len();
    ensure(n == MANY, format!("{n} were delivered"))?;
    let claim = "XREADGROUP GROUP g c2 COUNT 1000 CLAIM 0 STREAMS s >";
    for page in 0..10 {
        let claimed = c.ask(claim)?;
        let entries = claimed.path(&[0, 1])?.items()?;
        ensure(entries.len() == 1000, format!("{} on page {page}", entries.len()))?;
        let (first, last) = (page * 1000 + 1, page * 1000 + 1000);
        crate::pattern::expect(&entries[0], &format!("[{first}-0 [f {first}] * :1]"))?;
        crate::pattern::expect(&entries[999], &format!("[{last}-0 [f {last}] * :1]"))?;
    }
    c.is("XPENDING s g", format!("[:{MANY} 1-0 {MANY}-0 [[c2 {MANY}]]]"))?;
    let all = c.ask("XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >")?;
    let n = all.path(&[0, 1])?.items()?.len();
    ensure(n == MANY, format!("{n} were claimed"))?;
    c.is("XPENDING s g", format!("[:{MANY} 1-0 {MANY}-0 [[c3 {MANY}]]]"))
}

fn g145(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, true)?;
    // Each command sees what those before have done; waiting there is none.
    c.multi(
        &[
            "XREADGROUP GROUP g c2 COUNT 1 CLAIM 0 STREAMS s >",
            "XACK s g 1-0",
            "XREADGROUP GROUP g c3 CLAIM 0 BLOCK 0 STREAMS s >",
            "XREADGROUP GROUP g c4 CLAIM 60000 BLOCK 0 STREAMS s >",
            "XREADGROUP GROUP none c CLAIM 0 STREAMS s >",
            "XPENDING s g",
        ],
        "[[[s [[1-0 [f 1] * :1]]]] :1 [[s [[2-0 [f 2] * :1] [3-0 [f 3] :0 :0]]]] nil* \
          -\"NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option\" \
          [:2 2-0 3-0 [[c3 2]]]]",
    )?;
    c.ok("MULTI")?;
    c.is("XREADGROUP GROUP g c5 CLAIM 0 STREAMS s >", "+QUEUED")?;
    c.ok("DISCARD")?;
    c.is("XPENDING s g", "[:2 2-0 3-0 [[c3 2]]]")
}

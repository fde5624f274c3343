//! XADD IDMPAUTO: what is the same content and what is not.

use super::{Counters, has_len, tracks};
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s70", "IDMPAUTO: what is refused", s70).since(8, 6),
    Numbered::new("s71", "IDMPAUTO: the same content is one entry", s71).since(8, 6),
    Numbered::new("s72", "IDMPAUTO: the order of fields does not count", s72).since(8, 6),
    Numbered::new("s73", "IDMPAUTO: other content is another entry", s73).since(8, 6),
    Numbered::new("s74", "IDMPAUTO of one pair", s74).since(8, 6),
    Numbered::new("s75", "IDMPAUTO of many pairs", s75).since(8, 6),
    Numbered::new("s76", "IDMPAUTO of any bytes", s76).since(8, 6),
    Numbered::new("s77", "IDMPAUTO of letters beyond ASCII", s77).since(8, 6),
    Numbered::new("s78", "IDMPAUTO of long values", s78).since(8, 6),
    Numbered::new("s79", "IDMPAUTO of empty values", s79).since(8, 6),
    Numbered::new("s80", "IDMPAUTO with MAXLEN", s80).since(8, 6),
    Numbered::new("s81", "IDMPAUTO with MINID", s81).since(8, 6),
    Numbered::new("s82", "IDMPAUTO with NOMKSTREAM", s82).since(8, 6),
    Numbered::new("s83", "IDMPAUTO with KEEPREF", s83).since(8, 6),
    Numbered::new("s84", "IDMPAUTO at any place among the options", s84).since(8, 6),
    Numbered::new("s85", "IDMPAUTO is saved", s85).since(8, 6),
    Numbered::new("s86", "IDMPAUTO: groups see one entry", s86).since(8, 6),
    Numbered::new("s87", "IDMPAUTO: names count", s87).since(8, 6),
    Numbered::new("s88", "IDMPAUTO of numbers", s88).since(8, 6),
    Numbered::new("s89", "IDMPAUTO: producers do not share content", s89).since(8, 6),
    Numbered::new("s90", "IDMPAUTO by several producers", s90).since(8, 6),
];

/// Each of these contents makes an entry of its own, and is known the second time.
fn all_differ(c: &mut Client, contents: &[&str]) -> Outcome {
    let mut ids: Vec<String> = Vec::new();
    for content in contents {
        let id = c.text(format!("XADD k IDMPAUTO p * {content}"))?;
        ensure(!ids.contains(&id), format!("{content} was taken for another content"))?;
        ids.push(id);
    }
    for (content, id) in contents.iter().zip(&ids) {
        c.is(format!("XADD k IDMPAUTO p * {content}"), id)?;
    }
    let n = contents.len() as u32;
    has_len(c, "k", n.into())?;
    tracks(c, "k", Counters { pids: 1, iids: n, added: n, duplicates: n })
}

fn s70(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xadd' command";
    for command in ["XADD k IDMPAUTO p", "XADD k IDMPAUTO p *", "XADD k IDMPAUTO p * f"] {
        c.err(command, arity)?;
    }
    let empty = "ERR syntax error, IDMPAUTO requires a non-empty producer ID";
    c.err(r#"XADD k IDMPAUTO "" * f v"#, empty)?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err("XADD k IDMPAUTO * f v", invalid)?;
    let twice = "ERR syntax error, IDMP/IDMPAUTO specified multiple times";
    c.err("XADD k IDMPAUTO p1 IDMPAUTO p2 * f v", twice)?;
    c.err(r#"XADD k IDMPAUTO p1 IDMPAUTO "" * f v"#, twice)?;
    c.err("XADD k IDMPAUTO p1 IDMP p2 r * f v", twice)?;
    let auto = "ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs";
    for id in ["1-1", "1-*", "7"] {
        c.err(format!("XADD k IDMPAUTO p {id} f v"), auto)?;
    }
    c.is("EXISTS k", ":0")?;
    c.is("XADD k idmpauto p * f v", "@")
}

fn s71(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMPAUTO p * f 1 g 2")?;
    c.is("XADD k IDMPAUTO p * f 1 g 2", &id)?;
    c.is("XRANGE k - +", format!("[[{id} [f 1 g 2]]]"))?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 1 })?;
    let other = c.text("XADD k IDMPAUTO p * f 1 g 3")?;
    ensure(id != other, "another value was taken for the same")?;
    has_len(c, "k", 2)
}

fn s72(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMPAUTO p * a 1 b 2 c 3")?;
    for content in ["c 3 b 2 a 1", "b 2 a 1 c 3", "a 1 c 3 b 2"] {
        c.is(format!("XADD k IDMPAUTO p * {content}"), &id)?;
    }
    c.is("XRANGE k - +", format!("[[{id} [a 1 b 2 c 3]]]"))?;
    // Names and values are not one heap: who has which value counts.
    let other = c.text("XADD k IDMPAUTO p * a 2 b 1 c 3")?;
    ensure(id != other, "values may not change their names")?;
    has_len(c, "k", 2)
}

fn s73(env: &mut Env<'_>) -> Outcome {
    all_differ(&mut env.c, &["f 1", "f 2", "g 1", "f 1 g 1", "f 1 f 1", "F 1", "f 1 g 2"])
}

fn s74(env: &mut Env<'_>) -> Outcome {
    // The border between name and value counts.
    all_differ(&mut env.c, &["f v", "fv x", "f vx", "v f", "fvx y"])
}

fn s75(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let pairs: Vec<String> = (0..100).map(|n| format!("field{n} value{n}")).collect();
    let id = c.text(format!("XADD k IDMPAUTO p * {}", pairs.join(" ")))?;
    c.is(format!("XADD k IDMPAUTO p * {}", pairs.join(" ")), &id)?;
    let backwards: Vec<String> = pairs.iter().rev().cloned().collect();
    c.is(format!("XADD k IDMPAUTO p * {}", backwards.join(" ")), &id)?;
    let mut changed = pairs.clone();
    changed[50] = "field50 other".to_owned();
    let other = c.text(format!("XADD k IDMPAUTO p * {}", changed.join(" ")))?;
    let fewer = c.text(format!("XADD k IDMPAUTO p * {}", pairs[..99].join(" ")))?;
    ensure(id != other && id != fewer, "one pair of a hundred does not count")?;
    has_len(c, "k", 3)
}

fn s76(env: &mut Env<'_>) -> Outcome {
    let contents = [
        r#"f "\x00""#,
        r#"f "\x00\x00""#,
        r#"f "a\x00b""#,
        r#"f "a\x00c""#,
        r#""f\x00" v"#,
        r#""f\x00\x00" v"#,
        r#"f "\xff\xfe\r\n""#,
    ];
    all_differ(&mut env.c, &contents)
}

fn s77(env: &mut Env<'_>) -> Outcome {
    all_differ(&mut env.c, &["поле значение", "поле значениє", "フィールド 値", "f 🚀", "f é"])
}

fn s78(env: &mut Env<'_>) -> Outcome {
    let long = "v".repeat(100_000);
    let contents = [format!("f {long}"), format!("f {long}w"), format!("{long} f")];
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    all_differ(&mut env.c, &contents)
}

fn s79(env: &mut Env<'_>) -> Outcome {
    all_differ(&mut env.c, &[r#"f """#, r#"f " ""#, r#""" f"#, r#""" """#, r#"f "" g """#, "f 0"])
}

fn s80(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(c.text(format!("XADD k IDMPAUTO p MAXLEN 3 * f {n}"))?);
    }
    has_len(c, "k", 3)?;
    c.is("XADD k MAXLEN 1 IDMPAUTO p * f 1", &ids[0])?;
    c.is("XADD k MAXLEN 1 IDMPAUTO p * f 5", &ids[4])?;
    c.is("XRANGE k - + COUNT 1", format!("[[{} [f 3]]]", ids[2]))?;
    has_len(c, "k", 3)
}

fn s81(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 1-0 f old", "1-0")?;
    c.is("XADD k 2-0 f old", "2-0")?;
    let id = c.text("XADD k IDMPAUTO p MINID 2 * f v")?;
    c.is("XADD k IDMPAUTO p MINID 1000 * f v", &id)?;
    c.is("XRANGE k - +", format!("[[2-0 [f old]] [{id} [f v]]]"))
}

fn s82(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k NOMKSTREAM IDMPAUTO p * f v", "nil")?;
    c.is("EXISTS k", ":0")?;
    c.is("XADD k 1-1 f v", "1-1")?;
    let id = c.text("XADD k IDMPAUTO p NOMKSTREAM * f v")?;
    c.is("XADD k NOMKSTREAM IDMPAUTO p * f v", id)?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 1 })?;
    has_len(c, "k", 2)
}

fn s83(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k KEEPREF IDMPAUTO p * f v")?;
    c.is("XADD k IDMPAUTO p KEEPREF * f v", &id)?;
    c.is("XADD k IDMPAUTO p KEEPREF MAXLEN 1 * f w", "@")?;
    c.is("XADD k KEEPREF MAXLEN 1 IDMPAUTO p * f v", &id)?;
    has_len(c, "k", 1)
}

fn s84(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMPAUTO p MAXLEN 10 * f v")?;
    let orders = [
        "MAXLEN 10 IDMPAUTO p",
        "NOMKSTREAM IDMPAUTO p MINID 0",
        "DELREF MAXLEN ~ 10 LIMIT 5 IDMPAUTO p NOMKSTREAM",
        "MAXLEN ~ 10 idmpauto p LIMIT 5",
    ];
    for options in orders {
        c.is(format!("XADD k {options} * f v"), &id)?;
    }
    has_len(c, "k", 1)?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 4 })
}

fn s85(env: &mut Env<'_>) -> Outcome {
    let first = env.c.text("XADD k IDMPAUTO p * a 1 b 2")?;
    let second = env.c.text("XADD k IDMPAUTO q * a 1 b 2")?;
    env.reload()?;
    env.c.is("XADD k IDMPAUTO p * b 2 a 1", &first)?;
    env.c.is("XADD k IDMPAUTO q * a 1 b 2", &second)?;
    has_len(&mut env.c, "k", 2)?;
    tracks(&mut env.c, "k", Counters { pids: 2, iids: 2, added: 2, duplicates: 2 })?;
    env.c.is("XADD k IDMPAUTO p * a 1 b 3", "@")?;
    has_len(&mut env.c, "k", 3)
}

fn s86(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("XGROUP CREATE k g $ MKSTREAM")?;
    let id = c.text("XADD k IDMPAUTO p * f v")?;
    c.is("XADD k IDMPAUTO p * f v", &id)?;
    c.is("XREADGROUP GROUP g a STREAMS k >", format!("[[k [[{id} [f v]]]]]"))?;
    c.is("XADD k IDMPAUTO p * f v", &id)?;
    c.is("XREADGROUP GROUP g b STREAMS k >", "nil*")?;
    c.is("XPENDING k g", format!("[:1 {id} {id} [[a 1]]]"))?;
    c.is(format!("XACK k g {id}"), ":1")
}

fn s87(env: &mut Env<'_>) -> Outcome {
    all_differ(&mut env.c, &["a 1", "b 1", "A 1", "a 1 b 1", "a 1 c 1", "aa 1"])
}

fn s88(env: &mut Env<'_>) -> Outcome {
    // Numbers are text: 1, 01 and 1.0 differ.
    all_differ(&mut env.c, &["1 2", "2 1", "12 3", "1 23", "f 1", "f 01", "f 1.0", "f -1", "f 10"])
}

fn s89(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let first = c.text("XADD k IDMPAUTO p1 * f v")?;
    let second = c.text("XADD k IDMPAUTO p2 * f v")?;
    ensure(first != second, "a producer knows what another one sent")?;
    c.is("XADD k IDMPAUTO p1 * f v", &first)?;
    c.is("XADD k IDMPAUTO p2 * f v", &second)?;
    has_len(c, "k", 2)?;
    tracks(c, "k", Counters { pids: 2, iids: 2, added: 2, duplicates: 2 })
}

fn s90(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let requests: Vec<String> = (0..10)
        .flat_map(|p| (0..10).map(move |n| format!("XADD k IDMPAUTO p{p} * n {n} m {}", n % 3)))
        .collect();
    let first = c.many(&requests)?;
    let mut backwards = requests.clone();
    backwards.reverse();
    let mut second = c.many(&backwards)?;
    second.reverse();
    ensure(first == second, "a repeated request got another ID")?;
    has_len(c, "k", 100)?;
    tracks(c, "k", Counters { pids: 10, iids: 100, added: 100, duplicates: 100 })
}

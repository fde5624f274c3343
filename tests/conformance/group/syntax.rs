//! The words of `XREADGROUP`: which are needed, which are refused, and with what text.

use super::is_young;
use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g5", "XREADGROUP basic argument count validation", g5),
    Numbered::new("g6", "XREADGROUP GROUP keyword validation", g6),
    Numbered::new("g7", "XREADGROUP empty group name handling", g7),
    Numbered::new("g8", "XREADGROUP STREAMS keyword validation", g8),
    Numbered::new("g9", "XREADGROUP stream and ID pairing", g9),
    Numbered::new("g10", "XREADGROUP COUNT parameter validation", g10),
    Numbered::new("g11", "XREADGROUP BLOCK parameter validation", g11),
    Numbered::new("g12", "XREADGROUP stream ID format validation", g12),
    Numbered::new("g13", "XREADGROUP nonexistent group", g13),
    Numbered::new("g14", "XREADGROUP nonexistent stream with existing group", g14),
    Numbered::new("g16", "XREADGROUP boundary value validation", g16),
    Numbered::new("g17", "XREADGROUP malformed parameter syntax", g17),
];

const SYNTAX: &str = "-ERR syntax error";
const ARITY: &str = "-ERR wrong number of arguments for 'xreadgroup' command";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument";
const NO_INT: &str = "-ERR value is not an integer or out of range";
const NO_TIMEOUT: &str = "-ERR timeout is not an integer or out of range";

fn unbalanced(young: bool) -> &'static str {
    if young {
        "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be \
         specified."
    } else {
        "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
    }
}

/// A stream of three entries with a group that has read none of them.
fn three(c: &mut Client) -> Outcome {
    c.entries("s", 1..=3)?;
    c.is("XGROUP CREATE s g 0", "+OK")?;
    Ok(())
}

/// Nothing of what was refused may have read anything or made a consumer.
fn untouched(c: &mut Client) -> Outcome {
    c.is(
        "XINFO GROUPS s",
        "[{name g consumers :0 pending :0 last-delivered-id 0-0 entries-read nil lag :3}]",
    )?;
    Ok(())
}

fn g5(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    for words in [
        "XREADGROUP",
        "XREADGROUP GROUP",
        "XREADGROUP GROUP g",
        "XREADGROUP GROUP g c",
        "XREADGROUP GROUP g c STREAMS",
        "XREADGROUP GROUP g c STREAMS s",
        "xreadgroup group g c streams s",
    ] {
        c.is(words, ARITY)?;
    }
    untouched(c)?;
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s []]]")?;
    Ok(())
}

fn g6(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    for words in [
        "XREADGROUP GROUPS g c STREAMS s >",
        "XREADGROUP INVALID g c STREAMS s >",
        "XREADGROUP GROU g c STREAMS s >",
        "XREADGROUP g GROUP c STREAMS s >",
        "XREADGROUP GROUP g c extra STREAMS s >",
    ] {
        c.is(words, SYNTAX)?;
    }
    c.is("XREADGROUP COUNT 1 BLOCK 1 STREAMS s >", "-ERR Missing GROUP option for XREADGROUP")?;
    untouched(c)?;
    c.is("XREADGROUP group g c COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XREADGROUP COUNT 1 GrOuP g c STREAMS s >", "[[s [[2-0 [f 2]]]]]")?;
    Ok(())
}

fn g7(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    let none = "-NOGROUP No such key 's' or consumer group '' in XREADGROUP with GROUP option";
    c.is("XREADGROUP GROUP \"\" c STREAMS s >", none)?;
    c.is("XREADGROUP GROUP \"\" c STREAMS s 0", none)?;
    untouched(c)?;
    // It is a name as any other, once somebody creates it.
    c.is("XGROUP CREATE s \"\" 0", "+OK")?;
    c.is("XREADGROUP GROUP \"\" c COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XREADGROUP GROUP \"\" \"\" COUNT 1 STREAMS s >", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XPENDING s \"\"", "[:2 1-0 2-0 [[\"\" 1] [c 1]]]")?;
    c.is("XGROUP DESTROY s \"\"", ":1")?;
    c.is("XREADGROUP GROUP \"\" c STREAMS s >", none)?;
    Ok(())
}

fn g8(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    for words in [
        "XREADGROUP GROUP g c STREAM s >",
        "XREADGROUP GROUP g c STREAMSS s >",
        "XREADGROUP GROUP g c INVALID s >",
        "XREADGROUP GROUP g c s > STREAMS",
        "XREADGROUP GROUP g c COUNT 1 s >",
        "XREADGROUP GROUP g c NOACK s >",
    ] {
        c.is(words, SYNTAX)?;
    }
    untouched(c)?;
    c.is("XREADGROUP GROUP g c COUNT 1 sTREAMs s >", "[[s [[1-0 [f 1]]]]]")?;
    Ok(())
}

fn g9(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    let c = &mut env.c;
    three(c)?;
    c.is("XADD s2 5-0 f v", "5-0")?;
    c.is("XGROUP CREATE s2 g 0", "+OK")?;
    let odd = unbalanced(young);
    c.is("XREADGROUP GROUP g c STREAMS s s2 >", odd)?;
    c.is("XREADGROUP GROUP g c STREAMS s > >", odd)?;
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS s", odd)?;
    c.is("XREADGROUP GROUP g c STREAMS s s2 s > >", odd)?;
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS a b c d >", odd)?;
    untouched(c)?;
    // First all the keys, then all the IDs: `s2` is the first ID here.
    c.is("XREADGROUP GROUP g c STREAMS s > s2 >", INVALID_ID)?;
    c.is(
        "XREADGROUP GROUP g c COUNT 1 STREAMS s s2 > >",
        "[[s [[1-0 [f 1]]]] [s2 [[5-0 [f v]]]]]",
    )?;
    c.is("XREADGROUP GROUP g c STREAMS s s2 2 0", "[[s []] [s2 [[5-0 [f v]]]]]")?;
    Ok(())
}

fn g10(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    for count in ["abc", "1.5", "+5", "007", "-0", "5e1", "\"\"", "\" 5\"", "9223372036854775808"] {
        c.is(format!("XREADGROUP GROUP g c COUNT {count} STREAMS s >"), NO_INT)?;
    }
    c.is("XREADGROUP GROUP g c COUNT STREAMS s >", NO_INT)?;
    // Behind the streams it is taken for the first ID.
    c.is("XREADGROUP GROUP g c STREAMS s > COUNT 1", INVALID_ID)?;
    untouched(c)?;
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    // Zero and less are no limit, and the last of several counts.
    c.is("XREADGROUP GROUP g c COUNT 0 STREAMS s 0", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XREADGROUP GROUP g c COUNT 9 COUNT 1 STREAMS s >", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c COUNT -1 STREAMS s 0", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c COUNT -5 STREAMS s >", "[[s [[3-0 [f 3]]]]]")?;
    Ok(())
}

fn g11(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    let c = &mut env.c;
    three(c)?;
    for ms in ["abc", "1.5", "+5", "-0", "\"\"", "9223372036854775808"] {
        c.is(format!("XREADGROUP GROUP g c BLOCK {ms} STREAMS s >"), NO_TIMEOUT)?;
    }
    c.is("XREADGROUP GROUP g c BLOCK -1 STREAMS s >", "-ERR timeout is negative")?;
    c.is("XREADGROUP GROUP g c BLOCK STREAMS s >", NO_TIMEOUT)?;
    if young {
        let most = i64::MAX;
        let far = format!("XREADGROUP GROUP g c BLOCK {most} STREAMS s >");
        c.is(&far, "-ERR timeout is out of range")?;
    }
    untouched(c)?;
    // With something to read nobody waits, whatever the time.
    c.is("XREADGROUP GROUP g c BLOCK 0 COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 100000 STREAMS s >", "[[s [[2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 5 STREAMS s >", "nil*")?;
    Ok(())
}

fn g12(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    for id in [
        "invalid-id",
        "123-",
        "-123",
        "--",
        "123-abc",
        "abc-def",
        "1-",
        "-1",
        "bad",
        "\"\"",
        "1-1-1",
        "-",
        "*",
        "1-*",
        "(1",
        ">>",
        "18446744073709551616-0",
        "0-18446744073709551616",
    ] {
        c.is(format!("XREADGROUP GROUP g c STREAMS s {id}"), INVALID_ID)?;
    }
    let long = "1".repeat(128);
    c.is(format!("XREADGROUP GROUP g c STREAMS s {long}"), INVALID_ID)?;
    untouched(c)?;
    c.is("XREADGROUP GROUP g c COUNT 2 STREAMS s >", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    // Half an ID is one: the second half is 0.
    c.is("XREADGROUP GROUP g c STREAMS s 1", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c STREAMS s 1-1", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0-0", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c STREAMS s 2", "[[s []]]")?;
    Ok(())
}

fn g13(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    let none = "-NOGROUP No such key 's' or consumer group 'nope' in XREADGROUP with GROUP option";
    c.is("XREADGROUP GROUP nope c STREAMS s >", none)?;
    c.is("XREADGROUP GROUP nope c COUNT 5 NOACK STREAMS s >", none)?;
    c.is("XREADGROUP GROUP nope c STREAMS s 0", none)?;
    // It does not even begin to wait.
    c.is("XREADGROUP GROUP nope c BLOCK 0 STREAMS s >", none)?;
    // Nor does it serve the stream that stands before.
    c.is("XADD s2 1-0 f v", "1-0")?;
    c.is("XGROUP CREATE s2 nope 0", "+OK")?;
    c.is("XREADGROUP GROUP nope c STREAMS s2 s > >", none)?;
    c.is("XPENDING s2 nope", "[:0 nil nil nil*]")?;
    c.is(
        "XREADGROUP GROUP G c STREAMS s >",
        "-NOGROUP No such key 's' or consumer group 'G' in XREADGROUP with GROUP option",
    )?;
    untouched(c)?;
    Ok(())
}

fn g14(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    let none = "-NOGROUP No such key 'no' or consumer group 'g' in XREADGROUP with GROUP option";
    c.is("XREADGROUP GROUP g c STREAMS no >", none)?;
    c.is("XREADGROUP GROUP g c STREAMS no 0", none)?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS no >", none)?;
    c.is("XREADGROUP GROUP g c STREAMS s no > >", none)?;
    untouched(c)?;
    c.is("EXISTS no", ":0")?;
    Ok(())
}

fn g16(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    three(c)?;
    let most = i64::MAX;
    c.is(format!("XREADGROUP GROUP g c COUNT {most}9 STREAMS s >"), NO_INT)?;
    c.is("XREADGROUP GROUP g c BLOCK STREAMS s >", NO_TIMEOUT)?;
    c.is(
        "XREADGROUP GROUP g c BLOCK -9223372036854775808 STREAMS s >",
        "-ERR timeout is negative",
    )?;
    untouched(c)?;
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is(
        format!("XREADGROUP GROUP g c COUNT {most} STREAMS s >"),
        "[[s [[2-0 [f 2]] [3-0 [f 3]]]]]",
    )?;
    let least = i64::MIN;
    c.is(format!("XREADGROUP GROUP g c COUNT {least} STREAMS s 2"), "[[s [[3-0 [f 3]]]]]")?;
    // The greatest ID but one is a place in the history, the greatest of all means what > means.
    let max = u64::MAX;
    c.is(format!("XREADGROUP GROUP g c STREAMS s {max}-{}", max - 1), "[[s []]]")?;
    c.is("XADD s 4-0 f 4", "4-0")?;
    c.is(format!("XREADGROUP GROUP g c STREAMS s {max}-{max}"), "[[s [[4-0 [f 4]]]]]")?;
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS s 0-0", "[[s [[1-0 [f 1]]]]]")?;
    // Names may be long.
    let name = "n".repeat(250);
    c.is(format!("XGROUP CREATE s {name} 0"), "+OK")?;
    c.is(format!("XREADGROUP GROUP {name} {name} COUNT 1 STREAMS s >"), "[[s [[1-0 [f 1]]]]]")?;
    c.is(format!("XPENDING s {name}"), format!("[:1 1-0 1-0 [[{name} 1]]]"))?;
    Ok(())
}

fn g17(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    let c = &mut env.c;
    three(c)?;
    let odd = unbalanced(young);
    for (words, want) in [
        ("XREADGROUP GROUP g c COUNT 1 BLOCK STREAMS s >", NO_TIMEOUT),
        ("XREADGROUP GROUP g c COUNT 1 BLOCK 1", SYNTAX),
        ("XREADGROUP GROUP g c NOACK NOACK COUNT", SYNTAX),
        ("XREADGROUP GROUP g c NOACK 1 STREAMS s >", SYNTAX),
        ("XREADGROUP GROUP g c TIMEOUT 1000 STREAMS s >", SYNTAX),
        ("XREADGROUP GROUP g c COUNT 1 COUNT STREAMS s >", NO_INT),
        ("XREADGROUP STREAMS s > GROUP g c", odd),
        ("XREADGROUP NOACK STREAMS s > GROUP g", "-ERR Missing GROUP option for XREADGROUP"),
        ("XREADGROUP COUNT 1 NOACK BLOCK 0 GROUP g", SYNTAX),
        ("XREADGROUP GROUP GROUP g c STREAMS s >", SYNTAX),
    ] {
        c.is(words, want)?;
    }
    c.is("XREADGROUP GROUP g c NOACK STREAMS s > NOACK", odd)?;
    untouched(c)?;
    // What can be told apart is taken as it stands, also where a name is a keyword.
    c.is("XGROUP CREATE s STREAMS 0", "+OK")?;
    c.is("XREADGROUP GROUP STREAMS COUNT COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XPENDING s STREAMS", "[:1 1-0 1-0 [[COUNT 1]]]")?;
    Ok(())
}

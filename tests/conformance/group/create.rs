//! `XGROUP CREATE`, `SETID` and `CREATECONSUMER`: what they need, what they set, what they refuse.

use super::is_young;
use crate::client::Outcome;
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g1", "XGROUP CREATE: creation and duplicate group name detection", g1),
    Numbered::new("g2", "XGROUP CREATE: with ENTRIESREAD parameter", g2),
    Numbered::new("g3", "XGROUP CREATE: automatic stream creation fails without MKSTREAM", g3),
    Numbered::new("g4", "XGROUP CREATE: automatic stream creation works with MKSTREAM", g4),
    Numbered::new("g71", "XGROUP CREATECONSUMER: create consumer if does not exist", g71),
    Numbered::new("g72", "XGROUP CREATECONSUMER: group must exist", g72),
    Numbered::new(
        "g96",
        "XGROUP CREATE with ENTRIESREAD larger than stream entries should cap the value",
        g96,
    )
    .since(8, 2),
    Numbered::new(
        "g97",
        "XGROUP SETID with ENTRIESREAD larger than stream entries should cap the value",
        g97,
    )
    .since(8, 2),
];

const NO_KEY: &str = "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE \
                      you may want to use the MKSTREAM option to create an empty stream \
                      automatically.";

fn g1(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.is("XGROUP CREATE s g $", "+OK")?;
    c.is("XGROUP CREATE s other 2-0", "+OK")?;
    let before = "[{name g consumers :0 pending :0 last-delivered-id 3-0 entries-read nil lag :0} \
        {name other consumers :0 pending :0 last-delivered-id 2-0 entries-read nil lag nil}]";
    c.is("XINFO GROUPS s", before)?;
    c.is("XGROUP CREATE s g $", "-BUSYGROUP Consumer Group name already exists")?;
    c.is("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists")?;
    c.is("XGROUP CREATE s other 0 MKSTREAM", "-BUSYGROUP Consumer Group name already exists")?;
    c.is("XINFO GROUPS s", before)?;
    // Names differ by case, and the same name is free on another stream.
    c.is("XGROUP CREATE s G $", "+OK")?;
    c.is("XADD s2 1-0 a b", "1-0")?;
    c.is("XGROUP CREATE s2 g $", "+OK")?;
    c.is("XGROUP CREATE s x -", INVALID_ID)?;
    c.is("XGROUP CREATE s x +", INVALID_ID)?;
    c.is("XGROUP CREATE s x bad", INVALID_ID)?;
    c.is(
        "XGROUP CREATE s g 0 FOO",
        "-ERR unknown subcommand or wrong number of arguments for \
        'CREATE'. Try XGROUP HELP.",
    )?;
    c.is("XGROUP CREATE s", "-ERR wrong number of arguments for 'xgroup|create' command")?;
    c.at("XINFO STREAM s", "groups", ":3")?;
    Ok(())
}

const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument";

fn g2(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=4)?;
    c.is("XGROUP CREATE s g0 $ ENTRIESREAD 0", "+OK")?;
    c.is("XGROUP CREATE s g3 $ entriesread 3", "+OK")?;
    c.is("XGROUP CREATE s gx $ ENTRIESREAD -1", "+OK")?;
    let positive = "-ERR value for ENTRIESREAD must be positive or -1";
    c.is("XGROUP CREATE s bad $ ENTRIESREAD -3", positive)?;
    c.is("XGROUP CREATE s bad $ ENTRIESREAD -2", positive)?;
    c.is("XGROUP CREATE s bad $ ENTRIESREAD x", "-ERR value is not an integer or out of range")?;
    c.is(
        "XGROUP CREATE s bad $ ENTRIESREAD",
        "-ERR unknown subcommand or wrong number of \
        arguments for 'CREATE'. Try XGROUP HELP.",
    )?;
    c.is(
        "XINFO GROUPS s",
        "[{name g0 consumers :0 pending :0 last-delivered-id 4-0 entries-read :0 lag :4} \
          {name g3 consumers :0 pending :0 last-delivered-id 4-0 entries-read :3 lag :1} \
          {name gx consumers :0 pending :0 last-delivered-id 4-0 entries-read nil lag :0}]",
    )?;
    c.is("XGROUP SETID s g0 $ ENTRIESREAD -3", positive)?;
    c.is("XGROUP SETID s g0 2-0 ENTRIESREAD 2", "+OK")?;
    c.counts("s", "g0", ":2", ":2")?;
    c.is("XGROUP SETID s g0 2-0", "+OK")?;
    c.counts("s", "g0", "nil", "nil")?;
    Ok(())
}

fn g3(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XGROUP CREATE s g $", NO_KEY)?;
    c.is("XGROUP CREATE s g 0 ENTRIESREAD 0", NO_KEY)?;
    // The key is asked for before the ID is looked at.
    c.is("XGROUP CREATE s g bad", NO_KEY)?;
    c.is("EXISTS s", ":0")?;
    c.is("XGROUP SETID s g $", NO_KEY)?;
    c.is("XGROUP DESTROY s g", NO_KEY)?;
    c.is("XGROUP CREATECONSUMER s g c", NO_KEY)?;
    c.is("XGROUP DELCONSUMER s g c", NO_KEY)?;
    c.is("EXISTS s", ":0")?;
    c.is("XLEN s", ":0")?;
    Ok(())
}

fn g4(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XGROUP CREATE s g $ MKSTREAM", "+OK")?;
    c.is("EXISTS s", ":1")?;
    c.is("TYPE s", "+stream")?;
    c.is("XLEN s", ":0")?;
    let row = "[{name g consumers :0 pending :0 last-delivered-id 0-0 entries-read nil lag :0}]";
    c.is("XINFO GROUPS s", row)?;
    c.at("XINFO STREAM s", "last-generated-id", "0-0")?;
    c.at("XINFO STREAM s", "entries-added", ":0")?;
    // On a stream that is there the word changes nothing of it.
    c.is("XADD s 1-0 a b", "1-0")?;
    c.is("XGROUP CREATE s h 0 mkstream ENTRIESREAD 0", "+OK")?;
    c.is("XLEN s", ":1")?;
    c.counts("s", "h", ":0", ":1")?;
    c.is("XREADGROUP GROUP g c STREAMS s >", "[[s [[1-0 [a b]]]]]")?;
    // An ID that is no ID leaves no stream behind.
    c.is("XGROUP CREATE new g bad MKSTREAM", INVALID_ID)?;
    c.is("EXISTS new", ":0")?;
    Ok(())
}

fn g71(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    let c = &mut env.c;
    c.is("XGROUP CREATE s g $ MKSTREAM", "+OK")?;
    c.is("XADD s 1-0 f v", "1-0")?;
    c.is("XINFO CONSUMERS s g", "[]")?;
    // By a read first, and by hand: the list is by name, not by age.
    c.is("XREADGROUP GROUP g Bob COUNT 1 STREAMS s >", "[[s [[1-0 [f v]]]]]")?;
    c.is("XGROUP CREATECONSUMER s g Alice", ":1")?;
    c.is("XGROUP CREATECONSUMER s g Alice", ":0")?;
    c.is("XGROUP CREATECONSUMER s g Bob", ":0")?;
    c.each("XINFO CONSUMERS s g", "name", "[Alice Bob]")?;
    c.each("XINFO CONSUMERS s g", "pending", "[:0 :1]")?;
    if young {
        c.at("XINFO CONSUMERS s g", "0.inactive", ":-1")?;
        c.at("XINFO CONSUMERS s g", "1.inactive", ":0..99999")?;
    }
    c.is("XGROUP DELCONSUMER s g Alice", ":0")?;
    c.is("XGROUP DELCONSUMER s g Alice", ":0")?;
    c.is("XGROUP DELCONSUMER s g Bob", ":1")?;
    c.is("XINFO CONSUMERS s g", "[]")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    Ok(())
}

fn g72(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 1-0 f v", "1-0")?;
    let none = "-NOGROUP No such consumer group 'g' for key name 's'";
    c.is("XGROUP CREATECONSUMER s g c", none)?;
    c.is("XGROUP DELCONSUMER s g c", none)?;
    c.is("XGROUP SETID s g 0", none)?;
    c.is("XINFO CONSUMERS s g", none)?;
    c.is("XINFO GROUPS s", "[]")?;
    c.is("XGROUP CREATE s G 0", "+OK")?;
    c.is("XGROUP CREATECONSUMER s g c", none)?;
    c.is("XGROUP CREATECONSUMER s G c", ":1")?;
    c.is("XGROUP CREATECONSUMER none g c", NO_KEY)?;
    c.is("EXISTS none", ":0")?;
    Ok(())
}

fn g96(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 1-0 f v", "1-0")?;
    c.is("XGROUP CREATE s g $ ENTRIESREAD 9999", "+OK")?;
    c.counts("s", "g", ":1", ":0")?;
    c.entries("s", 2..=3)?;
    c.counts("s", "g", ":1", ":2")?;
    c.is("XGROUP CREATE s exact 2 ENTRIESREAD 3", "+OK")?;
    c.counts("s", "exact", ":3", ":0")?;
    c.is("XGROUP CREATE s below 2 ENTRIESREAD 2", "+OK")?;
    c.counts("s", "below", ":2", ":1")?;
    c.is("XGROUP CREATE s most 2 ENTRIESREAD 9223372036854775807", "+OK")?;
    c.counts("s", "most", ":3", ":0")?;
    // What was ever added counts, not what is left.
    c.is("XTRIM s MAXLEN 1", ":2")?;
    c.is("XGROUP CREATE s left $ ENTRIESREAD 5", "+OK")?;
    c.counts("s", "left", ":3", ":0")?;
    // A new stream has had none.
    c.is("XGROUP CREATE new g $ MKSTREAM ENTRIESREAD 7", "+OK")?;
    c.counts("new", "g", ":0", ":0")?;
    Ok(())
}

fn g97(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 1-0 f v", "1-0")?;
    c.is("XGROUP CREATE s g 0", "+OK")?;
    c.counts("s", "g", "nil", ":1")?;
    c.is("XGROUP SETID s g $ ENTRIESREAD 9999", "+OK")?;
    c.counts("s", "g", ":1", ":0")?;
    c.entries("s", 2..=4)?;
    c.counts("s", "g", ":1", ":3")?;
    c.is("XGROUP SETID s g 2 ENTRIESREAD 5", "+OK")?;
    c.counts("s", "g", ":4", ":0")?;
    c.is("XGROUP SETID s g 2 ENTRIESREAD 3", "+OK")?;
    c.counts("s", "g", ":3", ":1")?;
    c.is("XGROUP SETID s g 2 ENTRIESREAD -1", "+OK")?;
    c.counts("s", "g", "nil", "nil")?;
    Ok(())
}

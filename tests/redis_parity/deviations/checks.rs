//! Shows on a real Redis 7.0.15 that each deviation is there: what it answers, literally.

use super::*;
use crate::resp::{Client, Value};

type Check = fn(&mut Redis);

/// Each deviation with the check that 7.0.15 passes and the reference would not.
pub(crate) const LIST: [(&str, Check); 14] = [
    (FULL_MILLISECOND, full_millisecond),
    (ENTRIES_READ_CAPPED, entries_read_is_not_capped),
    (CONSUMERS_APPEAR, consumers_appear_with_data_only),
    (ENTRIES_READ_RULE, entries_read_by_the_older_rule),
    (LAG_RULE, lag_by_the_older_rule),
    (LAG_NOT_NEGATIVE, lag_goes_below_zero),
    (DELIVERIES_SATURATE, deliveries_wrap),
    (EMPTY_INTERVAL, an_impossible_bound_is_an_error),
    (XSETID_MAX_DELETED, xsetid_goes_below_a_deleted_id),
    (XSETID_ENDS_A_NODE, xsetid_goes_on_in_the_node),
    (XSETID_ENTRIES_READ, xsetid_leaves_the_groups),
    (EMPTIED_NODE, an_emptied_node_stays),
    (COPY_PACKS, a_copy_keeps_the_nodes),
    (ID_GRAMMAR, ids_are_read_loosely),
];

/// Redis as one types at it: a line in, a line out.
pub(crate) struct Redis(pub(crate) Client);

impl Redis {
    /// The reply on one line; arrays in brackets.
    fn say(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split(' ').collect();
        let value = self.0.ask(&words);
        text(&value)
    }

    fn expect(&mut self, line: &str, reply: &str) {
        assert_eq!(self.say(line), reply, "{line}");
    }

    /// Entries-read and lag of the only group.
    fn counters(&mut self) -> (String, String) {
        let groups = self.say("XINFO GROUPS k");
        let words: Vec<_> = groups.trim_matches(['[', ']']).split(' ').collect();
        let after = |name| {
            let at = words.iter().position(|word| *word == name).unwrap();
            words[at + 1].to_owned()
        };
        (after("entries-read"), after("lag"))
    }

    fn expect_counters(&mut self, entries_read: &str, lag: &str) {
        assert_eq!(self.counters(), (entries_read.into(), lag.into()));
    }

    fn fill(&mut self, ids: &[&str]) {
        for id in ids {
            self.say(&format!("XADD k {id} f v"));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Simple(text) | Value::Error(text) => text.clone(),
        Value::Int(n) => n.to_string(),
        Value::Bulk(bytes) => bytes.escape_ascii().to_string(),
        Value::Nil => "nil".into(),
        Value::Array(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(" ")),
    }
}

fn full_millisecond(redis: &mut Redis) {
    redis.fill(&["1-18446744073709551615"]);
    redis.expect("XADD k 1-* f v", "ERR Elements are too large to be stored");
}

fn entries_read_is_not_capped(redis: &mut Redis) {
    redis.fill(&["1-0"]);
    redis.expect("XGROUP CREATE k g $ ENTRIESREAD 9999", "OK");
    redis.expect_counters("9999", "-9998");
    redis.expect("XGROUP SETID k g $ ENTRIESREAD 8888", "OK");
    redis.expect_counters("8888", "-8887");
}

fn consumers_appear_with_data_only(redis: &mut Redis) {
    redis.expect("XGROUP CREATE k g 0 MKSTREAM", "OK");
    redis.expect("XREADGROUP GROUP g reads STREAMS k >", "nil");
    redis.expect("XCLAIM k g claims 0 1-0", "[]");
    redis.expect("XAUTOCLAIM k g claims 0 0", "[0-0 [] []]");
    redis.expect("XINFO CONSUMERS k g", "[]");
    // A list of deleted IDs alone is not enough either.
    redis.fill(&["1-0"]);
    redis.expect("XREADGROUP GROUP g reads STREAMS k >", "[[k [[1-0 [f v]]]]]");
    redis.expect("XDEL k 1-0", "1");
    redis.expect("XAUTOCLAIM k g claims 0 0", "[0-0 [] [1-0]]");
    assert!(!redis.say("XINFO CONSUMERS k g").contains("claims"));
    redis.expect("XREADGROUP GROUP g asks STREAMS k 0", "[[k []]]");
    assert!(redis.say("XINFO CONSUMERS k g").contains("asks"), "history creates it");
}

/// Test 80 of stream-cgroups.tcl: the reference ends with 1/1 and 3/0.
fn entries_read_by_the_older_rule(redis: &mut Redis) {
    redis.expect("XGROUP CREATE k g $ MKSTREAM", "OK");
    redis.fill(&["1-0"]);
    redis.say("XREADGROUP GROUP g c STREAMS k >");
    redis.fill(&["2-0", "3-0"]);
    redis.expect("XDEL k 2-0", "1");
    redis.expect_counters("1", "nil");
    redis.expect("XDEL k 1-0", "1");
    redis.expect_counters("1", "2");
    redis.say("XREADGROUP GROUP g c STREAMS k >");
    redis.expect_counters("2", "1");
}

/// Test 81 of stream-cgroups.tcl: the reference has a lag of 1 here, the length.
fn lag_by_the_older_rule(redis: &mut Redis) {
    redis.expect("XGROUP CREATE k g $ MKSTREAM", "OK");
    redis.fill(&["1-0", "2-0", "3-0", "4-0", "5-0"]);
    redis.say("XREADGROUP GROUP g c COUNT 1 STREAMS k >");
    redis.expect_counters("1", "4");
    redis.expect("XTRIM k MAXLEN 1", "4");
    redis.expect_counters("1", "4");
}

fn lag_goes_below_zero(redis: &mut Redis) {
    redis.fill(&["1-0", "2-0"]);
    redis.expect("XGROUP CREATE k g 0 ENTRIESREAD 2", "OK");
    redis.say("XREADGROUP GROUP g c STREAMS k >");
    redis.expect_counters("4", "-2");
}

fn deliveries_wrap(redis: &mut Redis) {
    redis.fill(&["1-0"]);
    redis.expect("XGROUP CREATE k g 0", "OK");
    redis.expect("XCLAIM k g c 0 1-0 FORCE JUSTID RETRYCOUNT 9223372036854775807", "[1-0]");
    redis.expect("XCLAIM k g c 0 1-0", "[[1-0 [f v]]]");
    let pending = redis.say("XPENDING k g - + 1");
    assert!(pending.ends_with(" -9223372036854775808]]"), "{pending}");
}

fn an_impossible_bound_is_an_error(redis: &mut Redis) {
    redis.fill(&["1-0"]);
    let max = "18446744073709551615-18446744073709551615";
    redis.expect(&format!("XRANGE k ({max} +"), "ERR invalid start ID for the interval");
    redis.expect("XRANGE k - (0-0", "ERR invalid end ID for the interval");
    redis.expect("XRANGE k + -", "[]");
}

fn xsetid_goes_below_a_deleted_id(redis: &mut Redis) {
    redis.fill(&["1-0", "2-0"]);
    redis.expect("XDEL k 2-0", "1");
    redis.expect("XSETID k 1-0", "OK");
}

fn xsetid_goes_on_in_the_node(redis: &mut Redis) {
    redis.fill(&["1-0", "2-0"]);
    redis.expect("XDEL k 2-0", "1");
    redis.expect("XSETID k 2-0 MAXDELETEDID 1-0", "OK");
    redis.expect("XSETID k 1-0", "OK");
    redis.expect("XADD k 2-0 f v", "2-0");
    let info = redis.say("XINFO STREAM k");
    assert!(info.contains("length 2 radix-tree-keys 1 "), "{info}");
}

fn xsetid_leaves_the_groups(redis: &mut Redis) {
    redis.fill(&["1-0", "2-0", "3-0"]);
    redis.expect("XGROUP CREATE k g 0", "OK");
    redis.say("XREADGROUP GROUP g c STREAMS k >");
    redis.expect("XTRIM k MAXLEN 1", "2");
    redis.expect("XSETID k 3-0 ENTRIESADDED 1", "OK");
    redis.expect_counters("3", "-2");
}

fn an_emptied_node_stays(redis: &mut Redis) {
    redis.fill(&["1-0", "2-0"]);
    redis.expect("XDEL k 2-0", "1");
    redis.expect("XTRIM k MINID 2-0", "1");
    let info = redis.say("XINFO STREAM k");
    assert!(info.contains("length 0 radix-tree-keys 1 "), "{info}");
    redis.expect("XTRIM k MINID 18446744073709551615-18446744073709551615", "0");
    let info = redis.say("XINFO STREAM k");
    assert!(info.contains("length 0 radix-tree-keys 0 "), "the way to bring it there: {info}");
}

fn a_copy_keeps_the_nodes(redis: &mut Redis) {
    redis.fill(&["1-0", "2-0", "3-0", "4-0", "5-0"]);
    redis.expect("XDEL k 1-0 2-0 3-0", "3");
    redis.expect("COPY k copy", "1");
    let info = redis.say("XINFO STREAM copy");
    assert!(info.contains("length 2 radix-tree-keys 2 "), "{info}");
}

fn ids_are_read_loosely(redis: &mut Redis) {
    redis.expect("XADD k +5-1 f v", "5-1");
    redis.expect("XADD k 10-+2 f v", "10-2");
    redis.expect("XADD k 10--05 f v", "10-18446744073709551611");
    let blank = redis.0.ask(&["XADD", "k", " 11-1", "f", "v"]);
    assert_eq!(blank, Value::Bulk(b"11-1".into()));
    let nul = redis.0.ask(&["XADD", "k", "12-1\0x", "f", "v"]);
    assert_eq!(nul, Value::Bulk(b"12-1".into()));
}

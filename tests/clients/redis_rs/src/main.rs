//! The steps of `redis_py.py`, through redis-rs, in RESP2 and then in RESP3.

use redis::streams::*;
use redis::{Commands, Connection, RedisResult, Value};
use std::time::Duration;

fn connect(port: u16, protocol: &str) -> RedisResult<Connection> {
    redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol={protocol}"))?.get_connection()
}

/// Appends to `key` from another connection, in a moment.
fn later(port: u16, key: &'static str) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        let mut other = connect(port, "resp2").expect("another connection");
        let _: String = other.xadd(key, "*", &[("rings", "1")]).expect("XADD of another");
    })
}

fn steps(port: u16, protocol: &str, told: &mut Vec<&'static str>) -> RedisResult<()> {
    let mut r = connect(port, protocol)?;
    let _: () = redis::cmd("FLUSHALL").query(&mut r)?;

    let id: String = r.xadd("orders", "1-1", &[("item", "tea"), ("price", "3")])?;
    assert_eq!(id, "1-1");
    for n in 0..9 {
        let _: String = r.xadd("orders", "*", &[("n", n)])?;
    }
    assert_eq!(r.xlen::<_, usize>("orders")?, 10);
    told.push("produce");

    let range: StreamRangeReply = r.xrange_count("orders", "-", "+", 2)?;
    assert_eq!(range.ids.len(), 2);
    assert_eq!(range.ids[0].get::<String>("item").as_deref(), Some("tea"));
    let back: StreamRangeReply = r.xrevrange("orders", "+", "(1-1")?;
    assert_eq!(back.ids.len(), 9);
    told.push("read_range");

    let _: () = r.xgroup_create("orders", "kitchen", "0")?;
    let ann = StreamReadOptions::default().group("kitchen", "ann").count(4);
    let got: StreamReadReply = r.xread_options(&["orders"], &[">"], &ann)?;
    assert_eq!(got.keys[0].ids.len(), 4);
    let bob = StreamReadOptions::default().group("kitchen", "bob").count(2);
    let _: StreamReadReply = r.xread_options(&["orders"], &[">"], &bob)?;
    told.push("group_read");

    let summary: StreamPendingReply = r.xpending("orders", "kitchen")?;
    assert_eq!(summary.count(), 6);
    let listed: StreamPendingCountReply = r.xpending_count("orders", "kitchen", "-", "+", 10)?;
    assert_eq!((listed.ids.len(), listed.ids[0].times_delivered), (6, 1));
    told.push("pending");

    let claimed: StreamClaimReply = r.xclaim("orders", "kitchen", "bob", 0, &["1-1"])?;
    assert_eq!(claimed.ids[0].id, "1-1");
    told.push("claim");

    let auto: StreamAutoClaimReply = r.xautoclaim_options(
        "orders",
        "kitchen",
        "cleo",
        0,
        "0-0",
        StreamAutoClaimOptions::default().count(3),
    )?;
    assert_eq!(auto.claimed.len(), 3);
    told.push("auto_claim");

    assert_eq!(r.xack::<_, _, _, usize>("orders", "kitchen", &["1-1", "9-9"])?, 1);
    told.push("acknowledge");

    let info: StreamInfoStreamReply = r.xinfo_stream("orders")?;
    assert_eq!((info.length, info.groups), (10, 1));
    let groups: StreamInfoGroupsReply = r.xinfo_groups("orders")?;
    assert_eq!(groups.groups[0].pending, 5);
    let consumers: StreamInfoConsumersReply = r.xinfo_consumers("orders", "kitchen")?;
    assert_eq!(consumers.consumers.len(), 3);
    told.push("info");

    assert_eq!(r.xtrim::<_, usize>("orders", StreamMaxlen::Equals(6))?, 4);
    told.push("trim");

    let thread = later(port, "bell");
    let block = StreamReadOptions::default().block(5000);
    let got: StreamReadReply = r.xread_options(&["bell"], &["$"], &block)?;
    assert_eq!(got.keys[0].ids.len(), 1);
    thread.join().expect("the other thread");
    told.push("blocking_read");

    let _: () = r.xgroup_create_mkstream("queue", "workers", "$")?;
    let thread = later(port, "queue");
    let block = StreamReadOptions::default().group("workers", "w").block(5000);
    let got: StreamReadReply = r.xread_options(&["queue"], &[">"], &block)?;
    assert_eq!(got.keys[0].ids.len(), 1);
    thread.join().expect("the other thread");
    told.push("blocking_group_read");

    let mut pipe = redis::pipe();
    for n in 0..100 {
        pipe.xadd("piped", "*", &[("n", n)]).ignore();
    }
    let (length,): (usize,) = pipe.xlen("piped").query(&mut r)?;
    assert_eq!(length, 100);
    told.push("pipeline");

    let mut all = redis::pipe();
    all.atomic().xadd("both", "*", &[("n", 1)]).ignore();
    let (length,): (usize,) = all.xlen("both").query(&mut r)?;
    assert_eq!(length, 1);
    told.push("transaction");

    let nobody = StreamReadOptions::default().group("nobody", "c");
    let failed: RedisResult<Value> = r.xread_options(&["orders"], &[">"], &nobody);
    let message = failed.expect_err("a group that is not there").to_string();
    assert!(message.contains("NOGROUP") || message.contains("No such key"), "{message}");
    told.push("errors");
    Ok(())
}

fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|p| p.parse().ok()).expect("a port");
    let lock = include_str!("../Cargo.lock");
    let version = lock.split("name = \"redis\"\nversion = \"").nth(1);
    println!("version {}", version.and_then(|v| v.split('"').next()).unwrap_or("unknown"));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let done = steps(port, "resp2", &mut first).and_then(|()| steps(port, "resp3", &mut second));
    // A step passed when it did in both protocols.
    for step in &second {
        println!("ok {step}");
    }
    if let Err(error) = done {
        println!("failed: {error} (RESP2 passed {}, RESP3 {})", first.len(), second.len());
        std::process::exit(1);
    }
}

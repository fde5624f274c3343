//! The commands, by what they are about.

use table::Command;

pub(crate) mod client;
mod connection;
mod debug;
mod expire;
mod info;
mod keys;
mod server;
pub(crate) mod stream;
pub(crate) mod table;
mod transaction;

/// Commands of Redis's on other types of data. Their names are known so that who sends one hears
/// why it is refused, and not that there is no such thing.
pub(crate) const NOT_OURS: &[Command] = &[
    Command::not_ours("append", 3),
    Command::not_ours("blmove", 6),
    Command::not_ours("blpop", -3),
    Command::not_ours("brpop", -3),
    Command::not_ours("bzpopmin", -3),
    Command::not_ours("decr", 2),
    Command::not_ours("decrby", 3),
    Command::not_ours("dump", 2),
    Command::not_ours("eval", -3),
    Command::not_ours("evalsha", -3),
    Command::not_ours("fcall", -3),
    Command::not_ours("geoadd", -5),
    Command::not_ours("get", 2),
    Command::not_ours("getdel", 2),
    Command::not_ours("getex", -2),
    Command::not_ours("getrange", 4),
    Command::not_ours("getset", 3),
    Command::not_ours("hdel", -3),
    Command::not_ours("hget", 3),
    Command::not_ours("hgetall", 2),
    Command::not_ours("hincrby", 4),
    Command::not_ours("hlen", 2),
    Command::not_ours("hmget", -3),
    Command::not_ours("hmset", -4),
    Command::not_ours("hset", -4),
    Command::not_ours("incr", 2),
    Command::not_ours("incrby", 3),
    Command::not_ours("lindex", 3),
    Command::not_ours("llen", 2),
    Command::not_ours("lmove", 5),
    Command::not_ours("lpop", -2),
    Command::not_ours("lpush", -3),
    Command::not_ours("lrange", 4),
    Command::not_ours("mget", -2),
    Command::not_ours("migrate", -6),
    Command::not_ours("monitor", 1),
    Command::not_ours("mset", -3),
    Command::not_ours("pfadd", -2),
    Command::not_ours("psubscribe", -2),
    Command::not_ours("psync", -3),
    Command::not_ours("publish", 3),
    Command::not_ours("replicaof", 3),
    Command::not_ours("restore", -4),
    Command::not_ours("rpop", -2),
    Command::not_ours("rpoplpush", 3),
    Command::not_ours("rpush", -3),
    Command::not_ours("sadd", -3),
    Command::not_ours("scard", 2),
    Command::not_ours("set", -3),
    Command::not_ours("setbit", 4),
    Command::not_ours("setex", 4),
    Command::not_ours("setnx", 3),
    Command::not_ours("setrange", 4),
    Command::not_ours("slaveof", 3),
    Command::not_ours("smembers", 2),
    Command::not_ours("sort", -2),
    Command::not_ours("spop", -2),
    Command::not_ours("spublish", 3),
    Command::not_ours("srem", -3),
    Command::not_ours("ssubscribe", -2),
    Command::not_ours("strlen", 2),
    Command::not_ours("subscribe", -2),
    Command::not_ours("sync", 1),
    Command::not_ours("zadd", -4),
    Command::not_ours("zcard", 2),
    Command::not_ours("zincrby", 4),
    Command::not_ours("zrange", -4),
    Command::not_ours("zrem", -3),
    Command::not_ours("zscore", 3),
];

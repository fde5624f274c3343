//! A server that speaks Redis's protocol (RESP2 and RESP3) on an open store.
//!
//! A program opens a port on the store that it works with, so that `redis-cli`, or a side-car in
//! another language, can look and take part. Either side's appends wake the other's readers.
//!
//! ```
//! use streamlog::{Store, resp::ServerOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::in_memory()?;
//! let server = ServerOptions::new().port(0).start(&store)?; // 0: any that is free
//! let (address, handle) = (server.local_addr(), server.handle());
//! let serving = std::thread::spawn(move || server.run());
//! println!("redis-cli -p {}", address.map_or(0, |address| address.port()));
//!
//! handle.shutdown();
//! serving.join().unwrap()?;
//! # Ok(())
//! # }
//! ```
//!
//! Or the program `streamlog` serves a store that nobody else has:
//!
//! ```sh
//! cargo run --release --features resp -- serve data
//! ```
//!
//! # What it speaks
//!
//! All commands on streams up to Redis 8.10, with Redis's replies, errors and order of waking;
//! MULTI, EXEC and WATCH; what clients use of the commands on whole keys (DEL, RENAME, COPY, SCAN,
//! EXPIRE and their kin), on connections (HELLO, AUTH, SELECT, CLIENT) and on the server (INFO,
//! CONFIG, COMMAND). Commands on other types of data, scripts, pub/sub and replication get an error
//! that says that they are not served.
//!
//! - Database 0 has the store's streams under their own names. The streams of databases 1 to 15 are
//!   in the store under names with a prefix of four bytes (`\0db` and the number). SWAPDB renames
//!   them all in one change on disk.
//! - SAVE and BGSAVE make everything durable, BGREWRITEAOF writes a checkpoint of the state journal
//!   besides, and DEBUG RELOAD closes the store and opens it again, if the server has opened it.
//! - A key with a time (EXPIRE) is removed by the server when that has come, and is not there for
//!   its clients from then on. The time is the stream's own
//!   ([`Stream::expires_at`](crate::Stream::expires_at)) and runs on while nobody serves it. One
//!   that the application sets is heeded from the next start on, or once a client renames the key,
//!   copies it or sets its time.
//! - WATCH sees what the application does to entries with the library. A transaction is run in one
//!   go among clients; the application may come in between.
//! - The commands of a transaction are run in one go, and are not one change on disk: a crash may
//!   leave the first of them done and the others not.
//!
//! # What survives
//!
//! On a store that the application has open, its levels of durability hold. Under
//! [`Durability::Always`](crate::Durability::Always) each change of a client waits for the disk,
//! and the other clients wait with it.
//!
//! A server that has opened the store itself ([`ServerOptions::open`], `streamlog serve`) has
//! [`AppendFsync`]. Under [`AppendFsync::Always`] it runs all commands that have come, hands one
//! sync over to a thread of its own, goes on, and holds back every reply to a change until a sync
//! that began behind it is done. That goes for everything a command changes, deliveries and claims
//! included. A read of a stream that has such changes waits for the same sync, so that nobody
//! learns of what a power cut can undo; other reads wait for nothing. If a sync fails, the clients
//! whose replies it held back get none: their connections end, and whether what they wrote is
//! there the next opening tells. The streams that it hit answer `MISCONF` to further changes.
//!
//! # Who may do what
//!
//! It listens on a loopback address, or has a password: any other start is refused. The password
//! is compared in the same time wherever it differs. Everyone who has it may do everything, DEBUG
//! excepted, which has to be switched on. There is no TLS; for other machines, put a tunnel in
//! front. A socket in the file system is for the owner of the process only.
//!
//! Nobody can harm the others: what is no request ends its own connection, with Redis's error; who
//! has not given the password may send words of 16 KiB and no more than ten at a time; words,
//! commands, transactions, connections and waiting replies have limits ([`ServerOptions`]); a turn
//! of one client has at most 1024 commands and 64 KiB, then the next one has his; a client that
//! does not read his replies is not read from either. A command that takes long (a range of a
//! million entries) keeps the others waiting, as in Redis.
//!
//! # How it works, and what it costs
//!
//! One thread with an event loop (the crate mio) runs all commands one after another, as Redis
//! does: so order, transactions and the order of waking are exact by construction, and nothing
//! needs a lock. Requests are parsed where they were read, and replies of one turn go out in one
//! call. XADD commands in a row on one key, with generated IDs and no options, are appended
//! together, up to 16 of them or 4 KiB, where nobody waits for the key: each has its own reply, and
//! on a store of the level `Always` they share a sync. A connection that is idle costs less than
//! five kilobytes, its socket aside.

mod arrivals;
mod client;
mod commands;
pub(crate) mod config;
mod context;
pub(crate) mod engine;
mod expiry;
mod glob;
mod keys;
mod keyspace;
mod listen;
mod out;
mod refusal;
pub(crate) mod request;
mod server;
mod stats;
mod syncer;
mod turns;
mod waits;

pub use server::{AppendFsync, Server, ServerHandle, ServerOptions};

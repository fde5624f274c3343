//! A server that speaks Redis's protocol on an open store.

mod arrivals;
mod client;
mod commands;
pub(crate) mod config;
mod context;
pub(crate) mod engine;
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

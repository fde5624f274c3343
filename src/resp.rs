//! A server that speaks Redis's protocol on an open store.

// Until the server calls all of it.
#![allow(dead_code)]

mod client;
mod commands;
mod config;
mod context;
mod engine;
mod glob;
mod keys;
mod keyspace;
mod out;
mod refusal;
mod request;
mod stats;
mod waits;

//! The server on its sockets: who may come in, how much he may send, and that nobody harms others.
//!
//! What single commands answer is asked elsewhere; here they are what a connection is tried with.
#![allow(clippy::unwrap_used, missing_docs)]

mod auth;
mod blocked;
mod client;
mod durable;
mod expire;
mod fairness;
mod keys;
mod limits;
mod malformed;
mod together;
mod transactions;

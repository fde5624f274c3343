//! The parts of the power-loss simulator, from the disk up.

pub mod audit;
pub mod call;
pub mod campaign;
pub mod check;
pub mod closing;
pub mod disk;
pub mod engine;
pub mod every;
pub mod explore;
pub mod file;
pub mod fuzz;
pub mod image;
pub mod learn;
pub mod minimise;
pub mod model;
pub mod names;
pub mod plan;
pub mod resolve;
pub mod rng;
pub mod run;
pub mod selftest;
pub mod sent;
pub mod series;
pub mod shrink;
pub mod stats;
pub mod toy;

//! A run whose operations and power cuts a fuzzer chooses, instead of a seed.
//!
//! The input: three bytes for the configuration, four for the seed of what is left to chance (what
//! the kernel writes back by itself, how an image mixes old and new), a byte that says how many
//! moments follow, each of two bytes, and then two bytes for each operation.

use super::engine::Engine;
use super::plan::{Config, Level, Op, Plan, kinds};
use super::rng::mix;
use super::run::{Budget, run_cut};
use super::series::describe;
use super::stats::Stats;

/// No input has more operations or more moments, so that each takes little time.
const MOST_OPS: usize = 60;
const MOST_CUTS: usize = 8;
const BUDGET: Budget = Budget { captures: MOST_CUTS, images: 4 };

/// Takes bytes off the front; what is missing is zero.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn short(&mut self) -> u64 {
        u64::from(self.byte()) | u64::from(self.byte()) << 8
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}

fn config(input: &mut Input<'_>) -> Config {
    let mixed = input.byte();
    let segment_bytes = input.pick(&[4096, 4096, 8192, 16384]);
    let last = input.byte();
    Config {
        level: [Level::Always, Level::Interval, Level::Manual][usize::from(mixed) % 3],
        streams: 1 + usize::from(mixed >> 2 & 1),
        sync_all: mixed & 8 != 0,
        block_entries: [100, 4, 1, 3][usize::from(mixed >> 4 & 3)],
        block_bytes: [4096, 512][usize::from(mixed >> 6 & 1)],
        segment_bytes,
        journal: [(4096, 2, 4), (4096, 4, 8), (8192, 1, 2), (16384, 2, 4)][usize::from(mixed >> 7)],
        write_back: [0, 0, 2, 10][usize::from(last) % 4],
        skip_damage: last & 4 != 0,
        planted: "",
    }
}

/// Carries out what the input says. Panics if a promise is broken.
pub fn crash_ops(data: &[u8]) -> Stats {
    let mut input = Input(data);
    let config = config(&mut input);
    let seed = input.short() | input.short() << 16;
    let count = usize::from(input.byte()) % (MOST_CUTS + 1);
    let cuts: Vec<u64> = (0..count).map(|_| input.short()).collect();
    let kinds = kinds();
    let mut ops = Vec::new();
    while !input.0.is_empty() && ops.len() < MOST_OPS {
        let kind = input.pick(&kinds);
        let dice = mix(u64::from(input.byte()), ops.len() as u64);
        ops.push(Op { kind, dice });
    }
    let plan = Plan { seed, config, ops };
    let run = run_cut::<Engine>(&plan, BUDGET, None, |log| {
        let steps = log.len().max(1) as u64;
        cuts.iter().map(|cut| 1 + cut % steps).collect()
    });
    run.unwrap_or_else(|found| panic!("{}", describe(&plan, &found)))
}

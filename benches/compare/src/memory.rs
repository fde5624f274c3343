//! `limit: memory`: how fast this machine reads memory in sequence, through a mapped file as the
//! scans do: once adding up 8-byte words, which is no checksum, and once with crc32fast.

use crate::map;
use crate::measure::{Order, figure};
use crate::payload::Payloads;
use crate::peer::Outcome;
use memmap2::Advice;
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

const PASSES: usize = 5;

/// Measures it.
pub fn run(order: &Order) -> Outcome<()> {
    let bytes = if order.quick { 256 << 20 } else { 1 << 30 };
    let path = order.dir.join("memory");
    let mut file = File::create_new(&path)?;
    let mut payloads = Payloads::new(1 << 20, 0);
    for _ in 0..bytes >> 20 {
        file.write_all(payloads.next())?;
    }
    drop(file);
    let map = map::open(&path)?;
    map.advise(Advice::PopulateRead)?;
    let words = |bytes: &[u8]| {
        let (words, _) = bytes.as_chunks::<8>();
        words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
    };
    figure("sum_bytes_per_s", speed(&map, words));
    figure("crc32fast_bytes_per_s", speed(&map, |bytes| u64::from(crc32fast::hash(bytes))));
    Ok(())
}

/// The median over some passes; the first, which fills the page tables, does not count.
fn speed(bytes: &[u8], pass: impl Fn(&[u8]) -> u64) -> f64 {
    black_box(pass(black_box(bytes)));
    let mut speeds: Vec<f64> = (0..PASSES)
        .map(|_| {
            let start = Instant::now();
            black_box(pass(black_box(bytes)));
            bytes.len() as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    speeds[PASSES / 2]
}

//! The pictures, from raw results alone: bars of throughput with the limit as a line, percentiles
//! of latencies, and what things cost as there are more of them.

mod bars;
mod lines;

use crate::peer::{OURS, Outcome};
use crate::results::{Results, Spread};
use crate::workload::LIMIT_MAP;
use plotters::prelude::RGBColor;

/// A picture: the end of its file's name, and its text.
pub struct Picture {
    pub name: String,
    pub svg: String,
}

/// All that a run has figures for.
pub fn pictures(results: &Results) -> Outcome<Vec<Picture>> {
    let mut pictures = Vec::new();
    let mut add = |name: &str, svg: Option<String>| {
        pictures.extend(svg.map(|svg| Picture { name: name.to_owned(), svg }));
    };
    add("throughput", bars::throughput(results)?);
    add("latency", lines::latency(results)?);
    for family in crate::curves::FAMILIES {
        let name = family.id.trim_start_matches("C-");
        add(name, lines::growth(results, family)?);
    }
    Ok(pictures)
}

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const LIMIT: RGBColor = RGBColor(0x55, 0x55, 0x55);
const OUR_COLOUR: RGBColor = RGBColor(0x0b, 0x57, 0xa4);
/// Told apart by who does not see all colours, too: lightness differs.
const COLOURS: [RGBColor; 9] = [
    RGBColor(0xe6, 0x7e, 0x00),
    RGBColor(0x2a, 0x9d, 0x5c),
    RGBColor(0xc2, 0x3b, 0x8a),
    RGBColor(0x7a, 0xb8, 0xe0),
    RGBColor(0x8c, 0x56, 0x2b),
    RGBColor(0xd6, 0xb8, 0x00),
    RGBColor(0x6a, 0x4c, 0xa8),
    RGBColor(0xd1, 0x49, 0x3a),
    RGBColor(0x3f, 0x7f, 0x7f),
];
/// Of the other limits, and of peers that few will ask for.
const OTHERS: RGBColor = RGBColor(0x9a, 0x9a, 0x9a);

/// The colour of a row, the same in every picture.
fn colour(row: &str) -> RGBColor {
    const PEERS: [&str; 9] = [
        "raft-engine",
        "commitlog",
        "yaque",
        "fjall",
        "LMDB",
        "SQLite",
        "Redis",
        "okaywal",
        "redb",
    ];
    match row {
        OURS => OUR_COLOUR,
        LIMIT_MAP => LIMIT,
        row => PEERS.iter().position(|peer| *peer == row).map_or(OTHERS, |place| COLOURS[place]),
    }
}

/// The rows that have a figure, in the order in which they were measured, with its spread.
fn rows<'a>(results: &'a Results, workload: &str, metric: &str) -> Vec<(&'a str, Spread)> {
    let spread = |row: &'a str| Some((row, results.spread(workload, row, metric)?));
    results.rows(workload).into_iter().filter_map(spread).collect()
}

/// The powers of ten around some values; at least one decade.
fn decades(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    let least = values.iter().copied().reduce(f64::min)?;
    let most = values.iter().copied().reduce(f64::max)?;
    let from = 10f64.powf(least.log10().floor());
    let to = 10f64.powf(most.log10().ceil());
    Some((from, if to > from { to } else { from * 10.0 }))
}

/// A number on an axis.
fn tick(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 0.999e9 => (value / 1e9, " G"),
        size if size >= 0.999e6 => (value / 1e6, " M"),
        size if size >= 0.999e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    // A power of ten is not exact, so that what is nearly whole is written as whole.
    let whole = (value * 1000.0).round() / 1000.0;
    format!("{whole}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_begin_and_end_at_powers_of_ten() {
        assert_eq!(decades([7.0, 250.0].into_iter()), Some((1.0, 1000.0)));
        assert_eq!(decades([0.02, 0.0].into_iter()), Some((0.01, 0.1)));
        assert_eq!(decades([10.0].into_iter()), Some((10.0, 100.0)));
        assert_eq!(decades([0.0].into_iter()), None);
    }

    #[test]
    fn ticks_are_short() {
        let texts = [0.01, 1.0, 1000.0, 1e4, 1e6, 2e9].map(tick);
        assert_eq!(texts, ["0.01", "1", "1 k", "10 k", "1 M", "2 G"]);
    }

    #[test]
    fn rows_have_colours_of_their_own() {
        let of = |name| {
            let RGBColor(red, green, blue) = colour(name);
            (red, green, blue)
        };
        assert_ne!(of(OURS), of(LIMIT_MAP));
        assert_ne!(of(OURS), of("raft-engine"));
    }
}

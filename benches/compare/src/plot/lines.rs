//! Percentiles of latencies, and growth: points joined by lines, with the spread of each.

use super::{FONT, GRID, INK, colour, decades, rows, tick};
use crate::curves::{self, Family, Figure};
use crate::peer::{OURS, Outcome};
use crate::results::{Results, Spread};
use crate::workload::{self, Workload};
use plotters::coord::Shift;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const PANEL: (u32, u32) = (460, 330);
/// Room for the title of a picture.
const HEAD: u32 = 30;
const PERCENTILES: &[&str] = &["p50", "p99", "p99.9", "p99.99", "max"];

struct Line {
    name: String,
    colour: RGBColor,
    points: Vec<(f64, Spread)>,
}

struct Panel {
    title: String,
    /// What the axes are of.
    axes: (String, String),
    lines: Vec<Line>,
    /// What stands along the bottom; the points' places are numbers of these.
    labels: Vec<String>,
    /// Whether lines go up from left to right.
    rises: bool,
}

/// One line of percentiles.
fn percentiles(
    results: &Results,
    (workload, row, before): (&str, &str, &str),
    (name, colour): (&str, RGBColor),
) -> Option<Line> {
    let spread = |(n, part): (usize, &&str)| {
        let metric = format!("{before}{part}_us");
        Some((n as f64, results.spread(workload, row, &metric)?))
    };
    let points: Vec<_> = PERCENTILES.iter().enumerate().filter_map(spread).collect();
    let name = name.to_owned();
    (!points.is_empty()).then_some(Line { name, colour, points })
}

fn latency_panel(results: &Results, id: &str) -> Option<Panel> {
    let title = match id {
        "W12" => "W12: 200,000 appends/s, a sync each 10 ms".to_owned(),
        "W14" => "W14: 200,000 appends/s".to_owned(),
        id => format!("{id}: {}", workload::find(id)?.title),
    };
    let lines: Vec<Line> = if id == "W14" {
        let of = |before, name, colour| percentiles(results, (id, OURS, before), (name, colour));
        let with = of("with_readers_", "four readers", colour(OURS));
        let without = of("alone_", "no reader", super::COLOURS[0]);
        with.into_iter().chain(without).collect()
    } else {
        let found = rows(results, id, "p50_us");
        let line =
            |(row, _): &(&str, Spread)| percentiles(results, (id, row, ""), (row, colour(row)));
        found.iter().filter_map(line).collect()
    };
    let axes = ("part of the appends".to_owned(), "us".to_owned());
    let most = lines.iter().map(|line| line.points.len()).max()?;
    let labels = PERCENTILES[..most].iter().map(|&name| name.to_owned()).collect();
    Some(Panel { title, axes, lines, labels, rises: true })
}

/// Latencies of appends; `None` if the run measured none.
pub fn latency(results: &Results) -> Outcome<Option<String>> {
    let panels = ["W12", "W14", "W4", "W5"];
    let panels = panels.iter().filter_map(|id| latency_panel(results, id)).collect();
    picture("How long an append takes", panels)
}

fn growth_panel(results: &Results, family: &Family, figure: &Figure) -> Option<Panel> {
    let measured = |point: &&Workload| !results.metrics(point.id).is_empty();
    let points: Vec<&Workload> = family.points.iter().filter(measured).collect();
    let line = |row: &str| {
        let spread = |(n, point): (usize, &&Workload)| {
            Some((n as f64, results.spread(point.id, row, figure.metric)?))
        };
        let points: Vec<_> = points.iter().enumerate().filter_map(spread).collect();
        let (name, colour) = (row.to_owned(), colour(row));
        (!points.is_empty()).then_some(Line { name, colour, points })
    };
    let mut names: Vec<&str> = Vec::new();
    for row in points.iter().flat_map(|point| results.rows(point.id)) {
        if !names.contains(&row) {
            names.push(row);
        }
    }
    let lines: Vec<Line> = names.into_iter().filter_map(line).collect();
    let axes = (family.of.to_owned(), figure.unit.to_owned());
    let title = figure.title.to_owned();
    let labels = points.iter().filter_map(|point| curves::size(point.id)).map(size_label);
    let labels = labels.collect();
    (!lines.is_empty()).then_some(Panel { title, axes, lines, labels, rises: false })
}

/// One curve; `None` if the run did not measure it.
pub fn growth(results: &Results, family: &Family) -> Outcome<Option<String>> {
    let panels = family.figures.iter().filter_map(|figure| growth_panel(results, family, figure));
    picture(family.title, panels.collect())
}

fn picture(title: &str, panels: Vec<Panel>) -> Outcome<Option<String>> {
    if panels.is_empty() {
        return Ok(None);
    }
    let columns = if panels.len() > 4 { 3 } else { 2.min(panels.len()) };
    let lines = panels.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, HEAD + PANEL.1 * lines as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root.titled(title, (FONT, 16).into_font().color(&INK))?;
        for (area, panel) in root.split_evenly((lines, columns)).iter().zip(&panels) {
            draw(area, panel)?;
        }
        root.present()?;
    }
    Ok(Some(svg))
}

/// A size on an axis: sizes are powers of ten, or of two.
fn size_label(size: u64) -> String {
    match size {
        0 => "0".to_owned(),
        size if size % (1 << 20) == 0 => format!("{} Mi", size >> 20),
        size if size % (1 << 10) == 0 => format!("{} Ki", size >> 10),
        size => tick(size as f64),
    }
}

/// Where an axis ends, so that the names of the lines hide none of them. Percentiles rise, and
/// leave room for few names by themselves.
fn with_room(panel: &Panel, (low, high): (f64, f64)) -> f64 {
    const NAME: f64 = 14.0;
    let names = panel.lines.len();
    if names < 2 || panel.rises && names < 3 {
        return high;
    }
    let part = (NAME * (names + 1) as f64 / f64::from(PANEL.1 - HEAD - 70)).min(0.6);
    high * (high / low).powf(part / (1.0 - part))
}

fn draw(area: &Area, panel: &Panel) -> Outcome<()> {
    let spreads = panel.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let (low, high) = decades(spreads.flat_map(|s| [s.least, s.most])).unwrap_or((1.0, 10.0));
    let high = with_room(panel, (low, high));
    let along = -0.3..panel.labels.len() as f64 - 0.7;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 14).into_font().color(&INK))
        .margin(10)
        .margin_right(18)
        .x_label_area_size(40)
        .y_label_area_size(58)
        .build_cartesian_2d(along, (low..high).log_scale())?;
    let label = |place: &f64| {
        let number = place.round().max(0.0);
        let name = panel.labels.get(number as usize).filter(|_| (number - place).abs() < 0.01);
        name.cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .x_desc(panel.axes.0.as_str())
        .y_desc(panel.axes.1.as_str())
        .x_labels(panel.labels.len())
        .y_labels(if high / low < 40.0 { 12 } else { 6 })
        .x_label_formatter(&label)
        .y_label_formatter(&|value: &f64| tick(*value))
        .label_style((FONT, 11).into_font().color(&INK))
        .axis_desc_style((FONT, 12).into_font().color(&INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for line in &panel.lines {
        let colour = line.colour;
        let points = line.points.iter().map(|(x, spread)| (*x, spread.median));
        let path = PathElement::new(points.clone().collect::<Vec<_>>(), colour.stroke_width(2));
        let key = move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled());
        chart.draw_series([path])?.label(line.name.clone()).legend(key);
        chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        let spread = |(x, spread): &(f64, Spread)| {
            PathElement::new([(*x, spread.least), (*x, spread.most)], colour)
        };
        chart.draw_series(line.points.iter().map(spread))?;
    }
    if panel.lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font((FONT, 11).into_font().color(&INK))
            .draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let texts = [16, 1000, 1024, 10_000, 65_536, 1 << 20, 10_000_000].map(size_label);
        assert_eq!(texts, ["16", "1 k", "1 Ki", "10 k", "64 Ki", "1 Mi", "10 M"]);
    }

    #[test]
    fn names_of_lines_get_room_above_them() {
        let line = || Line { name: String::new(), colour: INK, points: Vec::new() };
        let panel = |lines: usize, rises| Panel {
            title: String::new(),
            axes: (String::new(), String::new()),
            lines: (0..lines).map(|_| line()).collect(),
            labels: Vec::new(),
            rises,
        };
        let end = |lines, rises| with_room(&panel(lines, rises), (1.0, 100.0));
        assert_eq!((end(1, false), end(2, true)), (100.0, 100.0));
        assert!(end(2, false) > 100.0 && end(7, true) > end(3, true));
    }
}

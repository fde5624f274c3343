//! Percentiles of latencies, and growth: points joined by lines, with the spread of each.

use super::{FONT, GRID, INK, colour, decades, rows, tick};
use crate::curves::{self, Family, Figure};
use crate::peer::{OURS, Outcome};
use crate::results::{Results, Spread};
use crate::workload;
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
    /// Whether the numbers along the bottom stand for percentiles.
    of_percentiles: bool,
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
    (!lines.is_empty()).then_some(Panel { title, axes, lines, of_percentiles: true })
}

/// Latencies of appends; `None` if the run measured none.
pub fn latency(results: &Results) -> Outcome<Option<String>> {
    let panels = ["W12", "W14", "W4", "W5"];
    let panels = panels.iter().filter_map(|id| latency_panel(results, id)).collect();
    picture("How long an append takes", panels)
}

fn growth_panel(results: &Results, family: &Family, figure: &Figure) -> Option<Panel> {
    let line = |row: &str| {
        let spread =
            |id: &str| Some((curves::size(id)? as f64, results.spread(id, row, figure.metric)?));
        let points: Vec<_> = family.points.iter().filter_map(|point| spread(point.id)).collect();
        let (name, colour) = (row.to_owned(), colour(row));
        (!points.is_empty()).then_some(Line { name, colour, points })
    };
    let mut names: Vec<&str> = Vec::new();
    for row in family.points.iter().flat_map(|point| results.rows(point.id)) {
        if !names.contains(&row) {
            names.push(row);
        }
    }
    let lines: Vec<Line> = names.into_iter().filter_map(line).collect();
    let axes = (family.of.to_owned(), figure.unit.to_owned());
    let title = figure.title.to_owned();
    (!lines.is_empty()).then_some(Panel { title, axes, lines, of_percentiles: false })
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

fn along(panel: &Panel) -> (f64, f64) {
    let places = panel.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
    if panel.of_percentiles {
        return (0.0, places.fold(1.0, f64::max) + 0.3);
    }
    let least = places.clone().fold(f64::MAX, f64::min);
    let most = places.fold(0.0, f64::max);
    // A little room, so that the first and the last point do not lie on the frame.
    (least / 1.15, (most * 1.15).max(least * 2.0))
}

fn draw(area: &Area, panel: &Panel) -> Outcome<()> {
    let spreads = panel.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let (low, high) = decades(spreads.flat_map(|s| [s.least, s.most])).unwrap_or((1.0, 10.0));
    // Room for the names of the lines, so that they hide none.
    let room = if panel.lines.len() > 1 && !panel.of_percentiles { 0.4 } else { 0.0 };
    let high = high * (high / low).powf(room);
    let (from, to) = along(panel);
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(&panel.title, (FONT, 14).into_font().color(&INK))
        .margin(10)
        .margin_right(18)
        .x_label_area_size(40)
        .y_label_area_size(58);
    if panel.of_percentiles {
        let mut chart = builder.build_cartesian_2d(-0.3..to, (low..high).log_scale())?;
        let label = |place: &f64| {
            let whole = (place.round() - place).abs() < 0.01;
            let name = PERCENTILES.get(place.round().max(0.0) as usize);
            name.filter(|_| whole && *place > -0.5).map_or(String::new(), |name| (*name).to_owned())
        };
        mesh!(chart, panel, &label);
        series!(chart, panel);
    } else {
        let mut chart =
            builder.build_cartesian_2d((from..to).log_scale(), (low..high).log_scale())?;
        mesh!(chart, panel, &|place: &f64| tick(*place));
        series!(chart, panel);
    }
    Ok(())
}

/// Axes and grid. The charts differ in the types of their coordinates, not in their looks.
macro_rules! mesh {
    ($chart:ident, $panel:ident, $label:expr) => {
        $chart
            .configure_mesh()
            .x_desc($panel.axes.0.as_str())
            .y_desc($panel.axes.1.as_str())
            .x_labels(5)
            .y_labels(6)
            .x_label_formatter($label)
            .y_label_formatter(&|value: &f64| tick(*value))
            .label_style((FONT, 11).into_font().color(&INK))
            .axis_desc_style((FONT, 12).into_font().color(&INK))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?
    };
}
use mesh;

/// Lines, points, spreads and the names of the lines.
macro_rules! series {
    ($chart:ident, $panel:ident) => {
        for line in &$panel.lines {
            let colour = line.colour;
            let points = line.points.iter().map(|(x, spread)| (*x, spread.median));
            let path = PathElement::new(points.clone().collect::<Vec<_>>(), colour.stroke_width(2));
            $chart.draw_series([path])?.label(line.name.clone()).legend(move |(x, y)| {
                Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled())
            });
            $chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
            let spread = |(x, spread): &(f64, Spread)| {
                PathElement::new([(*x, spread.least), (*x, spread.most)], colour)
            };
            $chart.draw_series(line.points.iter().map(spread))?;
        }
        if $panel.lines.len() > 1 {
            $chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.85))
                .border_style(GRID)
                .label_font((FONT, 11).into_font().color(&INK))
                .draw()?;
        }
    };
}
use series;

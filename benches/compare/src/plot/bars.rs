//! Throughput per workload: a bar for streamlog and each peer, a line for each limit.

use super::{FONT, GRID, INK, LIMIT, colour, decades, rows, tick};
use crate::peer::{OURS, Outcome};
use crate::report::short;
use crate::results::{Results, Spread};
use crate::workload;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The workloads that have a rate.
const SHOWN: &[&str] = &["W1", "W2", "W3", "W4", "W5", "W6", "W6b", "W7", "W9", "W9b"];
const COLUMNS: usize = 2;
const WIDTH: u32 = 620;
const BAR: i32 = 18;
const NAMES: i32 = 104;
const VALUES: i32 = 64;
const HEAD: i32 = 48;
const FOOT: i32 = 30;

struct Panel<'a> {
    title: String,
    bars: Vec<(&'a str, Spread)>,
    limits: Vec<(&'a str, Spread)>,
}

impl<'a> Panel<'a> {
    fn of(results: &'a Results, id: &str) -> Option<Panel<'a>> {
        let workload = workload::find(id)?;
        let all = rows(results, id, workload.metric);
        let (limits, mut bars): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(row, _)| row.starts_with("limit: "));
        if bars.is_empty() {
            return None;
        }
        // Ours first, then the quickest.
        bars.sort_by(|a, b| {
            let ours = (b.0 == OURS).cmp(&(a.0 == OURS));
            ours.then(b.1.median.total_cmp(&a.1.median))
        });
        let metric = workload.metric.replace("_per_s", " a second");
        Some(Panel {
            title: format!("{id}: {}, {metric} (log scale)", workload.title),
            bars,
            limits,
        })
    }

    fn height(&self) -> i32 {
        HEAD + FOOT + BAR * self.bars.len() as i32
    }
}

/// All of them in one picture; `None` if the run measured no such workload.
pub fn throughput(results: &Results) -> Outcome<Option<String>> {
    let panels: Vec<Panel> = SHOWN.iter().filter_map(|id| Panel::of(results, id)).collect();
    let lines: Vec<i32> = panels
        .chunks(COLUMNS)
        .map(|line| line.iter().map(Panel::height).max().unwrap_or(0))
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let size = (WIDTH * COLUMNS.min(panels.len()) as u32, lines.iter().sum::<i32>() as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let mut top = 0;
        for (line, height) in panels.chunks(COLUMNS).zip(lines) {
            for (column, panel) in line.iter().enumerate() {
                let left = column as i32 * WIDTH as i32;
                let area = root.clone().shrink((left, top), (WIDTH, height as u32));
                draw(&area, panel)?;
            }
            top += height;
        }
        root.present()?;
    }
    Ok(Some(svg))
}

fn text(size: i32, colour: &'static RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(colour).pos(Pos::new(h, v))
}

fn draw(area: &Area, panel: &Panel) -> Outcome<()> {
    let values = panel.bars.iter().chain(&panel.limits).flat_map(|(_, s)| [s.least, s.most]);
    let (from, to) = decades(values).ok_or("rates that are all zero")?;
    let (left, right) = (NAMES, WIDTH as i32 - VALUES);
    let (top, bottom) = (HEAD, HEAD + BAR * panel.bars.len() as i32);
    let place = |value: f64| {
        let part = (value.max(from) / from).log10() / (to / from).log10();
        left + (part * f64::from(right - left)).round() as i32
    };
    let title = text(14, &INK, HPos::Left, VPos::Center);
    area.draw(&Text::new(panel.title.clone(), (8, 14), title))?;
    let mut decade = from;
    while decade <= to * 1.001 {
        let x = place(decade);
        area.draw(&PathElement::new([(x, top), (x, bottom + 4)], GRID))?;
        let label = text(11, &INK, HPos::Center, VPos::Top);
        area.draw(&Text::new(tick(decade), (x, bottom + 7), label))?;
        decade *= 10.0;
    }
    for (n, (row, spread)) in panel.bars.iter().enumerate() {
        bar(area, (row, spread), top + BAR * n as i32, (left, &place))?;
    }
    for (n, (row, spread)) in panel.limits.iter().enumerate() {
        let x = place(spread.median);
        let style = LIMIT.stroke_width(2);
        area.draw(&PathElement::new([(x, top - 4), (x, bottom)], style))?;
        // Each on a line of its own, so that two of them do not write over each other.
        let label = text(11, &LIMIT, HPos::Right, VPos::Bottom);
        let line = top - 5 - 12 * n as i32;
        area.draw(&Text::new(format!("{row}: {}", short(spread.median)), (x + 4, line), label))?;
    }
    Ok(())
}

fn bar(
    area: &Area,
    (row, spread): (&str, &Spread),
    top: i32,
    (left, place): (i32, &dyn Fn(f64) -> i32),
) -> Outcome<()> {
    let (upper, lower) = (top + 3, top + BAR - 3);
    let middle = top + BAR / 2;
    let end = place(spread.median);
    let filled = colour(row).filled();
    area.draw(&Rectangle::new([(left, upper), (end, lower)], filled))?;
    let (least, most) = (place(spread.least), place(spread.most));
    area.draw(&PathElement::new([(least, middle), (most, middle)], INK))?;
    let name = text(12, &INK, HPos::Right, VPos::Center);
    area.draw(&Text::new(row.to_owned(), (left - 6, middle), name))?;
    // In a column of their own, where no line of a limit crosses them.
    let value = text(11, &INK, HPos::Right, VPos::Center);
    area.draw(&Text::new(short(spread.median), (WIDTH as i32 - 14, middle), value))?;
    Ok(())
}

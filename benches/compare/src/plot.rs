//! The results as pictures: an SVG a benchmark.
//!
//! Each case is a panel, with a row for each system, the best on top: a line from the least figure
//! to the greatest, a dot at the median, and the median in words. The scale is logarithmic, since a
//! thread and a task can be three orders of magnitude apart; a length on it is a ratio.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::plan::Bench;
use crate::results::{Results, Series};
use crate::table::{grouped, number};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

const WIDTH: u32 = 860;
const HEAD: u32 = 36;
const PANEL_HEAD: u32 = 26;
const ROW: u32 = 18;
const AXIS: u32 = 30;
const FOOT_LINE: u32 = 14;
const NAMES: u32 = 110;
/// To the right of the scale: room for the greatest median in words.
const NUMBERS: u32 = 90;

const LISLE: RGBColor = RGBColor(0xc2, 0x3b, 0x22);
const PEER: RGBColor = RGBColor(0x45, 0x6a, 0x8c);
const TEXT: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Draws one benchmark into the folder, if it was measured.
pub fn draw(bench: &Bench, results: &Results, machine: &[String], folder: &Path) -> Drawn {
    let panels = results.panels(bench.name);
    if panels.is_empty() {
        return Ok(());
    }
    let foot = foot_lines(machine);
    let panels_height: u32 = panels.iter().map(|panel| panel_height(panel)).sum();
    let height = HEAD + panels_height + FOOT_LINE * (foot.len() as u32 + 1);
    let file = folder.join(format!("{}.svg", bench.name));
    let root = SVGBackend::new(&file, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let head = format!("{}: {}", bench.name, bench.title);
    write(&root, &head, (12, 12), 17, HPos::Left)?;

    let mut rest = root.split_vertically(HEAD).1;
    for panel in &panels {
        let (area, below) = rest.split_vertically(panel_height(panel));
        draw_panel(&area, panel)?;
        rest = below;
    }
    for (line, text) in foot.iter().enumerate() {
        write(&rest, text, (12, (FOOT_LINE * line as u32) as i32 + 6), 10, HPos::Left)?;
    }
    root.present()?;
    Ok(())
}

fn panel_height(panel: &[&Series]) -> u32 {
    PANEL_HEAD + ROW * panel.len() as u32 + AXIS
}

fn draw_panel(area: &Area<'_>, panel: &[&Series]) -> Drawn {
    let (params, unit) = (&panel[0].params, &panel[0].unit);
    let name = if params.is_empty() { unit.clone() } else { format!("{params}, {unit}") };
    write(area, &name, (12, 6), 13, HPos::Left)?;

    let (least, greatest) = limits(panel);
    let rows = panel.len() as f64;
    let chart = ChartBuilder::on(area)
        .margin_top(PANEL_HEAD)
        .margin_right(NUMBERS)
        .x_label_area_size(AXIS)
        .y_label_area_size(NAMES)
        .build_cartesian_2d((least..greatest).log_scale(), rows..0.0)?;
    let (origin_x, origin_y) = area.get_base_pixel();
    for value in steps().filter(|step| (least..=greatest).contains(step)) {
        let line = PathElement::new([(value, 0.0), (value, rows)], FAINT);
        chart.plotting_area().draw(&line)?;
        let (x, y) = chart.backend_coord(&(value, rows));
        let at = (x - origin_x, y - origin_y + 4);
        write(area, &step(value), at, 11, HPos::Center)?;
    }

    for (row, series) in panel.iter().enumerate() {
        let middle = row as f64 + 0.5;
        let colour = if series.is_lisle() { LISLE } else { PEER };
        let (min, median, max) = (series.min(), series.median(), series.max());
        let line = PathElement::new([(min, middle), (max, middle)], colour.stroke_width(3));
        chart.plotting_area().draw(&line)?;
        chart.plotting_area().draw(&Circle::new((median, middle), 5, colour.filled()))?;

        let (_, y) = chart.backend_coord(&(least, middle));
        let (x, _) = chart.backend_coord(&(max, middle));
        let (x, y) = (x - origin_x, y - origin_y - 5);
        write(area, series.system, (NAMES as i32 - 8, y), 12, HPos::Right)?;
        write(area, &number(median), (x + 10, y), 12, HPos::Left)?;
    }
    Ok(())
}

/// The marks of the scale.
fn steps() -> impl Iterator<Item = f64> {
    (-3..12).flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(power)))
}

/// The marks around all figures.
fn limits(panel: &[&Series]) -> (f64, f64) {
    let least = panel.iter().map(|series| series.min()).fold(f64::INFINITY, f64::min);
    let greatest = panel.iter().map(|series| series.max()).fold(0.0, f64::max);
    let least = least.max(1e-3);
    let below = steps().take_while(|step| *step <= least * 0.95).last().unwrap_or(least / 2.0);
    let above = steps().find(|step| *step >= greatest * 1.05).unwrap_or(greatest * 2.0);
    (below, above)
}

/// A mark in words.
fn step(value: f64) -> String {
    if value < 1.0 { format!("{value}") } else { grouped(value.round() as i64) }
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: u32, side: HPos) -> Drawn {
    let style = ("sans-serif", size).into_font().color(&TEXT).pos(Pos::new(side, VPos::Top));
    area.draw_text(text, &style, at)?;
    Ok(())
}

/// What the picture was made of, in lines that are not too long for it.
fn foot_lines(machine: &[String]) -> Vec<String> {
    const LONGEST: usize = 140;
    let mut lines: Vec<String> = Vec::new();
    for text in machine {
        let mut line = String::new();
        for word in text.split(' ') {
            if line.len() + word.len() > LONGEST {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(word);
            line.push(' ');
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::BENCHES;

    #[test]
    fn a_picture_shows_every_system() {
        let mut results = Results::default();
        for (system, value) in [("lisle", 65.0), ("go", 464.0), ("crossbeam", 22_000.0)] {
            results.add("pingpong", "workers=1", system, "ns", value);
            results.add("pingpong", "workers=1", system, "ns", value * 1.2);
        }
        let folder = std::env::temp_dir().join(format!("compare-plot-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for bench in BENCHES {
            draw(bench, &results, &["machine: a test".to_owned()], &folder).unwrap();
        }
        let svg = std::fs::read_to_string(folder.join("pingpong.svg")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        for text in ["lisle", "go", "crossbeam", "workers=1, ns", "machine: a test"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn limits_are_round_and_around() {
        let mut results = Results::default();
        results.add("switch", "", "lisle", "ns", 1.8);
        results.add("switch", "", "swapcontext", "ns", 278.0);
        assert_eq!(limits(&results.panels("switch")[0]), (1.0, 500.0));
    }
}

//! The panel of latency by percentile: each further nine takes the same room, so that the tail is seen.

use super::frame::{Frame, Key, heading, legend};
use super::page::{Page, Place};
use super::scale::{Axis, log_ends, log_ticks, percentile_ticks, time};
use super::style::Style;

/// How opaque the band of the rounds is.
const BAND: f64 = 0.14;

/// The height of the field.
const HEIGHT: f64 = 390.0;

/// The most ticks of latency.
const TICKS: usize = 12;

/// The latency of one setting.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What the legend calls it, and why rounds of it are missing.
    pub name: String,
    /// How it looks.
    pub style: Style,
    /// Latency in nanoseconds over percentiles in nines, of all rounds together; empty if there is none.
    pub line: Vec<Place>,
    /// Percentile, and the lowest and highest latency that one of the rounds has there; empty if there is one round.
    pub band: Vec<(f64, f64, f64)>,
}

/// Draws the panel below `top` and returns where the next thing may begin. At least one curve has a line.
pub fn draw(page: &mut Page, top: f64, curves: &[Curve]) -> f64 {
    let banded = curves.iter().any(|curve| !curve.band.is_empty());
    let explanation =
        if banded { "Line: all rounds together. Band: from the lowest to the highest round." } else { "" };
    let top = heading(page, top, "Latency by percentile", explanation);
    let key = |curve: &Curve| if curve.line.is_empty() { Key::Nothing } else { Key::Series(curve.style) };
    let entries: Vec<_> = curves.iter().map(|curve| (key(curve), curve.name.clone())).collect();
    let frame = Frame::below(legend(page, top, &entries), HEIGHT);
    let most = curves.iter().filter_map(|curve| curve.line.last()).map(|last| last.0).fold(1.0, f64::max);
    let (across, upwards) = (frame.across((0.0, most), false), frame.upwards(latencies(curves), true));
    let percentiles = percentile_ticks(most);
    let below: Vec<_> = percentiles.iter().map(|(nines, text)| (across.at(*nines), text.clone())).collect();
    let beside: Vec<_> =
        log_ticks(upwards.values, TICKS).into_iter().map(|value| (upwards.at(value), time(value))).collect();
    frame.axes(page, (&below, "Percentile of requests"), (&beside, "Latency (log scale)"));
    let place = |(nines, latency): Place| (across.at(nines), upwards.at(latency));
    for curve in curves {
        band(page, curve, &across, &upwards);
    }
    for curve in curves.iter().filter(|curve| !curve.line.is_empty()) {
        curve.style.line(page, &curve.line.iter().copied().map(place).collect::<Vec<_>>());
    }
    for curve in curves {
        for (nines, _) in &percentiles {
            if let Some(latency) = value_at(&curve.line, *nines) {
                curve.style.point(page, place((*nines, latency)), false);
            }
        }
    }
    frame.end()
}

fn band(page: &mut Page, curve: &Curve, across: &Axis, upwards: &Axis) {
    let lower = curve.band.iter().map(|(nines, low, _)| (across.at(*nines), upwards.at(*low)));
    let upper = curve.band.iter().rev().map(|(nines, _, high)| (across.at(*nines), upwards.at(*high)));
    if !curve.band.is_empty() {
        page.fill(lower.chain(upper).collect(), curve.style.color, BAND);
    }
}

/// Round values around all latencies of the curves.
fn latencies(curves: &[Curve]) -> (f64, f64) {
    let lines = curves.iter().flat_map(|curve| curve.line.iter().map(|place| place.1));
    let bands = curves.iter().flat_map(|curve| curve.band.iter().flat_map(|(_, low, high)| [*low, *high]));
    let (least, most) =
        lines.chain(bands).fold((f64::INFINITY, 1.0), |(least, most), value| (value.min(least), value.max(most)));
    log_ends(least.max(1.0), most)
}

/// The height of a line at `x`; `None` before its beginning and after its end.
fn value_at(line: &[Place], x: f64) -> Option<f64> {
    let after = line.iter().position(|place| place.0 >= x)?;
    let ((x1, y1), before) = (line[after], after.checked_sub(1));
    match before.map(|before| line[before]) {
        Some((x0, y0)) => Some(y0 + (y1 - y0) * (x - x0) / (x1 - x0)),
        None => (x1 <= x).then_some(y1),
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "halves and whole numbers are exact")]
mod tests {
    use super::*;
    use crate::plot::page::Mark;
    use crate::plot::render::svg;

    fn curve(name: &str) -> Curve {
        let line = vec![(0.0, 1e5), (1.0, 2e5), (2.0, 9e5), (2.5, 4e6)];
        let band = line.iter().map(|(nines, value)| (*nines, value * 0.9, value * 1.2)).collect();
        Curve { name: name.to_owned(), style: Style::of(0, 1, 0, 1), line, band }
    }

    #[test]
    fn each_curve_is_named_and_both_axes_have_units() {
        let mut page = Page::default();
        page.height = draw(&mut page, 0.0, &[curve("ours"), curve("<theirs> & co")]);
        let document = svg(&page).unwrap();
        for text in ["ours", "&lt;theirs&gt; &amp; co", "100 µs", "5 ms", "99 %", "Latency (log scale)", "Band: from"]
        {
            assert!(document.contains(&format!("\n{text}")) || document.contains(text), "{text} is not in {document}");
        }
        assert!(!document.contains("99.9 %"), "three samples in a thousand do not show it");
    }

    #[test]
    fn a_curve_without_a_line_is_named_all_the_same() {
        let mut page = Page::default();
        let none = Curve { line: Vec::new(), band: Vec::new(), ..curve("none") };
        draw(&mut page, 0.0, &[curve("ours"), none]);
        assert!(page.marks.iter().any(|mark| matches!(mark, Mark::Text { text, .. } if text == "none")));
    }

    #[test]
    fn a_line_has_values_between_its_points_and_none_beyond() {
        let line = [(0.0, 10.0), (1.0, 20.0), (3.0, 40.0)];
        assert_eq!(value_at(&line, 0.0), Some(10.0));
        assert_eq!(value_at(&line, 0.5), Some(15.0));
        assert_eq!(value_at(&line, 2.0), Some(30.0));
        assert_eq!(value_at(&line, 3.0), Some(40.0));
        assert_eq!((value_at(&line, 3.5), value_at(&line, -1.0), value_at(&[], 0.0)), (None, None, None));
    }
}

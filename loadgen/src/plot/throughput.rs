//! The panel of latency over throughput: what more load costs, and where it stops giving more replies.

use super::frame::{Frame, Key, TEXT, heading, legend};
use super::labels::find_room;
use super::page::{Align, Color, FAINT, INK, Page, Place};
use super::scale::{Axis, linear_ticks, log_ends, log_ticks, number, time};
use super::style::{DASHED, LINE_WIDTH, Style, dashed};

/// The height of the field.
const HEIGHT: f64 = 340.0;

/// The most ticks of rate besides zero.
const RATES: usize = 8;

/// The most ticks of latency.
const TICKS: usize = 10;

/// One setting of a report.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `clients=8`.
    pub label: String,
    /// Replies per second.
    pub rate: f64,
    /// In nanoseconds.
    pub p50: f64,
    /// In nanoseconds.
    pub p99: f64,
    /// Whether there were errors, or the generator was the bottleneck.
    pub doubtful: bool,
    /// How its points look.
    pub style: Style,
}

/// The settings of a report in the order in which they are joined.
#[derive(Clone, Debug)]
pub struct Trend {
    /// What the legend calls it.
    pub name: String,
    /// The colour of its lines.
    pub color: Color,
    /// At least one.
    pub settings: Vec<Setting>,
}

/// Draws the panel below `top` and returns where the next thing may begin. There is at least one trend.
pub fn draw(page: &mut Page, top: f64, trends: &[Trend]) -> f64 {
    let top = heading(page, top, "Latency over throughput", "");
    let frame = Frame::below(legend(page, top, &entries(trends)), HEIGHT);
    let all = || trends.iter().flat_map(|trend| &trend.settings);
    let most = all().map(|setting| setting.rate).fold(0.0, f64::max);
    let least = all().map(|setting| setting.p50).fold(f64::INFINITY, f64::min);
    let slowest = all().map(|setting| setting.p99).fold(1.0, f64::max);
    let rates = linear_ticks(most, RATES);
    let across = frame.across((0.0, rates[rates.len() - 1]), false);
    let upwards = frame.upwards(log_ends(least.max(1.0), slowest), true);
    let below: Vec<_> = rates.into_iter().map(|rate| (across.at(rate), number(rate))).collect();
    let beside: Vec<_> =
        log_ticks(upwards.values, TICKS).into_iter().map(|value| (upwards.at(value), time(value))).collect();
    frame.axes(page, (&below, "Replies per second"), (&beside, "Latency (log scale)"));
    let drawn: Vec<Drawn<'_>> = trends.iter().map(|trend| Drawn::new(trend, &across, &upwards)).collect();
    for trend in &drawn {
        dashed(page, &trend.p99, trend.of.color, LINE_WIDTH, DASHED);
        dashed(page, &trend.p50, trend.of.color, LINE_WIDTH, None);
    }
    for trend in &drawn {
        for ((setting, p50), p99) in trend.of.settings.iter().zip(&trend.p50).zip(&trend.p99) {
            setting.style.point(page, *p99, setting.doubtful);
            setting.style.point(page, *p50, setting.doubtful);
        }
    }
    label(page, &frame, &drawn);
    frame.end()
}

/// A trend whose places are known.
struct Drawn<'a> {
    of: &'a Trend,
    p50: Vec<Place>,
    p99: Vec<Place>,
}

impl<'a> Drawn<'a> {
    fn new(of: &'a Trend, across: &Axis, upwards: &Axis) -> Self {
        let places = |latency: fn(&Setting) -> f64| {
            of.settings.iter().map(|setting| (across.at(setting.rate), upwards.at(latency(setting)))).collect()
        };
        Self { of, p50: places(|setting| setting.p50), p99: places(|setting| setting.p99) }
    }
}

/// Labels the upper point of each setting.
fn label(page: &mut Page, frame: &Frame, drawn: &[Drawn<'_>]) {
    let points: Vec<Place> = drawn.iter().flat_map(|trend| trend.p50.iter().chain(&trend.p99)).copied().collect();
    let paths = drawn.iter().flat_map(|trend| [&trend.p50, &trend.p99]);
    let lines: Vec<_> = paths.flat_map(|path| path.windows(2).map(|pair| (pair[0], pair[1]))).collect();
    let labels = drawn.iter().flat_map(|trend| trend.of.settings.iter().zip(&trend.p99));
    let wanted: Vec<_> = labels.map(|(setting, place)| (*place, setting.label.clone())).collect();
    for ((_, text), room) in wanted.iter().zip(find_room(&wanted, frame, &points, &lines)) {
        if let Some(place) = room {
            page.text(place, Align::Left, text, TEXT, INK);
        }
    }
}

fn entries(trends: &[Trend]) -> Vec<(Key, String)> {
    let mut entries = Vec::new();
    if trends.len() > 1 {
        entries.extend(trends.iter().map(|trend| (Key::Line(trend.color, None), trend.name.clone())));
    }
    entries.push((Key::Line(FAINT, None), "p50".to_owned()));
    entries.push((Key::Line(FAINT, DASHED), "p99".to_owned()));
    let doubtful = trends.iter().flat_map(|trend| &trend.settings).find(|setting| setting.doubtful);
    entries
        .extend(doubtful.map(|setting| (Key::Hollow(setting.style), "errors, or generator at its limit".to_owned())));
    entries
}

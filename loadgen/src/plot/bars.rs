//! Bars: one number for each of several things, in groups, with whiskers from the least to the most that was measured. They lie, so
//! that long names can be read.

use super::frame::{Frame, MARGIN, TEXT, title};
use super::page::{Align, Color, FAINT, INK, PAPER, Page, WIDTH, shorten, text_width};
use super::scale::{Axis, linear_ticks, log_ends, log_ticks, number};
use serde::Deserialize;

/// The most bars of one picture.
const BARS_MAX: usize = 100;

/// The height of a bar, and of what is between two of them.
const THICK: f64 = 17.0;
/// See [`THICK`].
const GAP: f64 = 8.0;

/// The height of a group's name.
const GROUP: f64 = 28.0;

/// The most room that names may take.
const NAMES: f64 = 380.0;

/// The room between a bar and its label.
const BESIDE: f64 = 8.0;

/// The least length of a whisker: a shorter one is a blot.
const SEEN: f64 = 3.0;

/// The least length of the axis.
const LEAST: f64 = 160.0;

/// The most room that a label may take.
const LABEL: f64 = 320.0;

/// The most ticks.
const TICKS: usize = 7;

/// The colour of bars that are meant.
const MEANT: Color = (0, 114, 178);

/// The colour of other bars.
const OTHER: Color = (165, 178, 189);

/// A picture of bars, as another program writes it in JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// Under which circumstances, in a sentence.
    #[serde(default)]
    pub subtitle: String,
    /// What the numbers count: `rows per second`.
    pub unit: String,
    /// Whether equal lengths are equal ratios.
    #[serde(default)]
    pub log: bool,
    /// From the top to the bottom.
    pub groups: Vec<Group>,
}

/// Bars that belong together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Empty if there is only one group.
    #[serde(default)]
    pub name: String,
    /// From the top to the bottom.
    pub bars: Vec<Bar>,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Whose it is.
    pub name: String,
    /// `null` if there is none, which `note` then explains.
    pub value: Option<f64>,
    /// The least of what was measured.
    pub least: Option<f64>,
    /// The most of it.
    pub most: Option<f64>,
    /// What is to be known about it, in a few words.
    #[serde(default)]
    pub note: String,
    /// Whether the picture is about this one.
    #[serde(default)]
    pub emphasis: bool,
}

impl Bars {
    /// The picture; the error is the end of a sentence.
    pub(super) fn page(&self) -> Result<Page, String> {
        let values = self.check()?;
        let mut page = Page::default();
        let mut top = title(&mut page, &self.title);
        if !self.subtitle.is_empty() {
            let subtitle = shorten(&self.subtitle, TEXT, WIDTH - 2.0 * MARGIN);
            page.text((MARGIN, top + 8.0), Align::Left, &subtitle, TEXT, FAINT);
            top += 22.0;
        }
        let names = self.bars().map(|bar| text_width(&bar.name, TEXT)).fold(0.0, f64::max).min(NAMES);
        let left = MARGIN + names + 10.0;
        let heights: f64 = self.groups.iter().map(Group::height).sum();
        let ends = self.ends(&values);
        let right = self.right(left, Axis { values: ends, places: (0.0, 1.0), log: self.log });
        let frame = Frame { left, top: top + 6.0, right, bottom: top + 6.0 + heights };
        let across = frame.across(ends, self.log);
        let ticks: Vec<_> = self.ticks(ends).into_iter().map(|value| (across.at(value), number(value))).collect();
        frame.ticks_below(&mut page, &ticks);
        self.rows(&mut page, &frame, &across);
        page.stroke(vec![(left, frame.top), (left, frame.bottom)], INK, 1.0);
        let unit = if self.log { format!("{} (logarithmic)", self.unit) } else { self.unit.clone() };
        page.text((left, frame.bottom + 38.0), Align::Left, &unit, TEXT, FAINT);
        page.height = (frame.bottom + 54.0).ceil();
        Ok(page)
    }

    /// Where the axis ends so that each label has room behind its bar. `part` says which part of the axis a value takes.
    fn right(&self, left: f64, part: Axis) -> f64 {
        let room = |bar: &Bar| {
            let end = [bar.value, bar.most].into_iter().flatten().map(|value| part.at(value)).fold(0.0, f64::max);
            let length = WIDTH - MARGIN - BESIDE - text_width(&shown(bar), TEXT) - left;
            if end > 0.0 { length / end } else { f64::INFINITY }
        };
        // The label of the last tick is about as wide as that of a bar.
        let most = WIDTH - MARGIN - 20.0 - left;
        left + self.bars().map(room).fold(most, f64::min).max(LEAST)
    }

    fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.groups.iter().flat_map(|group| &group.bars)
    }

    /// All numbers, if they can be drawn.
    fn check(&self) -> Result<Vec<f64>, String> {
        let count = self.bars().count();
        if count > BARS_MAX {
            return Err(format!("{count} bars are too many for a picture, which takes {BARS_MAX}"));
        }
        let mut values = Vec::new();
        for bar in self.bars() {
            let numbers: Vec<f64> = [bar.least, bar.value, bar.most].into_iter().flatten().collect();
            if numbers.iter().any(|number| !number.is_finite() || *number < 0.0 || (self.log && *number == 0.0)) {
                let lowest = if self.log { "above zero, as the axis is logarithmic" } else { "zero or above" };
                return Err(format!("{}: a number is to be {lowest}", bar.name));
            }
            if !numbers.is_sorted() {
                return Err(format!("{}: the value is not between the least and the most", bar.name));
            }
            values.extend(numbers);
        }
        if values.is_empty() { Err("no bar has a value".to_owned()) } else { Ok(values) }
    }

    /// The ends of the axis. A logarithmic one begins at a power of ten below the least value, so that its bar has a length.
    fn ends(&self, values: &[f64]) -> (f64, f64) {
        let most = values.iter().copied().fold(0.0, f64::max);
        if !self.log {
            return (0.0, if most > 0.0 { most } else { 1.0 });
        }
        let least = values.iter().copied().fold(f64::INFINITY, f64::min) / 1.5;
        (log_ends(10f64.powf(least.log10().floor()), most).0, most)
    }

    fn ticks(&self, ends: (f64, f64)) -> Vec<f64> {
        let mut ticks = if self.log { log_ticks(ends, TICKS) } else { linear_ticks(ends.1, TICKS) };
        ticks.retain(|tick| *tick <= ends.1);
        ticks
    }

    fn rows(&self, page: &mut Page, frame: &Frame, across: &Axis) {
        let any = self.bars().any(|bar| bar.emphasis);
        let mut y = frame.top;
        for group in &self.groups {
            if !group.name.is_empty() {
                let name = shorten(&group.name, TEXT + 1.0, WIDTH - 2.0 * MARGIN);
                page.text((MARGIN, y + GROUP - 9.0), Align::Left, &name, TEXT + 1.0, INK);
                y += GROUP;
            }
            for bar in &group.bars {
                y += GAP / 2.0;
                let color = if any && !bar.emphasis { OTHER } else { MEANT };
                row(page, bar, color, (frame.left, y), across);
                y += THICK + GAP / 2.0;
            }
            y += GAP;
        }
    }
}

impl Group {
    fn height(&self) -> f64 {
        let name = if self.name.is_empty() { 0.0 } else { GROUP };
        name + self.bars.len() as f64 * (THICK + GAP) + GAP
    }
}

/// One bar with its name, whisker and label.
fn row(page: &mut Page, bar: &Bar, color: Color, (left, top): (f64, f64), across: &Axis) {
    let middle = top + THICK / 2.0;
    let baseline = middle + TEXT * 0.36;
    page.text((left - 10.0, baseline), Align::Right, &shorten(&bar.name, TEXT, NAMES), TEXT, INK);
    let mut end = left;
    if let Some(value) = bar.value {
        end = across.at(value);
        page.bar((left, top), (end, top + THICK), color);
    }
    let spread = bar.least.zip(bar.most).map(|(least, most)| (across.at(least), across.at(most)));
    if let Some((from, to)) = spread.filter(|(from, to)| to - from >= SEEN) {
        // Below the whisker lies a wider one in the colour of the page, so that it is seen on the bar, too.
        for (color, more) in [(PAPER, 1.2), (INK, 0.0)] {
            page.stroke(vec![(from - more, middle), (to + more, middle)], color, 1.2 + 2.0 * more);
            for x in [from, to] {
                let half = 4.0 + more;
                page.stroke(vec![(x, middle - half), (x, middle + half)], color, 1.2 + 2.0 * more);
            }
        }
        end = end.max(to);
    }
    let color = if bar.value.is_some() { INK } else { FAINT };
    page.text((end + BESIDE, baseline), Align::Left, &shown(bar), TEXT, color);
}

/// What stands behind a bar.
fn shown(bar: &Bar) -> String {
    let text = match (bar.value, bar.note.as_str()) {
        (Some(value), "") => number(value),
        (Some(value), note) => format!("{} ({note})", number(value)),
        (None, "") => "no value".to_owned(),
        (None, note) => note.to_owned(),
    };
    // A bar without a value takes no room of the axis, so all of that is for its note.
    shorten(&text, TEXT, if bar.value.is_some() { LABEL } else { WIDTH - 2.0 * MARGIN - NAMES - 2.0 * BESIDE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::page::Mark;
    use crate::plot::render::svg;

    const JSON: &str = r#"{"title": "Rows <each> second", "unit": "rows per second", "groups": [
        {"name": "1 client", "bars": [
            {"name": "ours & theirs", "value": 2000.0, "least": 1500.0, "most": 2500.0, "emphasis": true},
            {"name": "other", "value": 1000.0},
            {"name": "absent", "value": null, "note": "no package for this Python"}]}]}"#;

    fn read() -> Bars {
        serde_json::from_str(JSON).unwrap()
    }

    /// The lengths of the bars of a page.
    fn lengths(page: &Page) -> Vec<f64> {
        let length = |mark: &Mark| match mark {
            Mark::Fill { corners, .. } => Some(corners[1].0 - corners[0].0),
            _ => None,
        };
        page.marks.iter().filter_map(length).collect()
    }

    fn texts(page: &Page) -> Vec<&str> {
        let marks = page.marks.iter();
        marks.filter_map(|mark| if let Mark::Text { text, .. } = mark { Some(text.as_str()) } else { None }).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_say_them() {
        let page = read().page().unwrap();
        let lengths = lengths(&page);
        assert_eq!(lengths.len(), 2);
        assert!((lengths[0] - 2.0 * lengths[1]).abs() < 1e-6, "{lengths:?}");
        for text in ["1 client", "other", "2,000", "1,000", "no package for this Python", "rows per second"] {
            assert!(texts(&page).contains(&text), "{text} is not in {:?}", texts(&page));
        }
    }

    #[test]
    fn a_logarithmic_bar_grows_by_the_same_for_each_factor() {
        let mut bars = read();
        bars.log = true;
        bars.groups[0].bars.truncate(2);
        bars.groups[0].bars[0] = Bar { value: Some(100.0), least: None, most: None, ..bars.groups[0].bars[0].clone() };
        bars.groups[0].bars[1].value = Some(10.0);
        let lengths = lengths(&bars.page().unwrap());
        // The axis begins at 1: the power of ten below the least value.
        assert!((lengths[0] - 2.0 * lengths[1]).abs() < 1e-6, "{lengths:?}");
    }

    #[test]
    fn markup_in_names_of_bars_is_escaped() {
        let document = svg(&read().page().unwrap()).unwrap();
        assert!(document.contains("Rows &lt;each&gt; second") && document.contains("ours &amp; theirs"), "{document}");
    }

    #[test]
    fn bars_that_cannot_be_drawn_are_refused_by_name() {
        let refused = |change: fn(&mut Bars)| {
            let mut bars = read();
            change(&mut bars);
            bars.page().unwrap_err()
        };
        let outside = refused(|bars| bars.groups[0].bars[0].least = Some(2001.0));
        assert_eq!(outside, "ours & theirs: the value is not between the least and the most");
        let negative = refused(|bars| bars.groups[0].bars[1].value = Some(-1.0));
        assert_eq!(negative, "other: a number is to be zero or above");
        let zero = refused(|bars| {
            bars.log = true;
            bars.groups[0].bars[1].value = Some(0.0);
        });
        assert_eq!(zero, "other: a number is to be above zero, as the axis is logarithmic");
        assert_eq!(refused(|bars| bars.groups.clear()), "no bar has a value");
        let many = refused(|bars| bars.groups[0].bars = vec![bars.groups[0].bars[1].clone(); 101]);
        assert_eq!(many, "101 bars are too many for a picture, which takes 100");
    }

    #[test]
    fn an_unknown_field_is_refused_rather_than_overlooked() {
        let error = serde_json::from_str::<Bars>(&JSON.replace("emphasis", "emphasise")).unwrap_err();
        assert!(error.to_string().contains("unknown field `emphasise`"), "{error}");
    }
}

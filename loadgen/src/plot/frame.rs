//! The field that curves are drawn in, with its grid, ticks and titles, and the headings and legends above it.

use super::page::{Align, Color, FAINT, GRID, INK, Page, Place, WIDTH, shorten, text_width};
use super::scale::Axis;
use super::style::{LINE_WIDTH, Style, dashed};

/// The room on both sides of a page.
pub const MARGIN: f64 = 28.0;

/// The size of a picture's title.
const TITLE: f64 = 18.0;

/// The size of a panel's heading.
const HEADING: f64 = 14.0;

/// The size of other text.
pub const TEXT: f64 = 12.0;

/// The height of a line of a legend.
const ROW: f64 = 19.0;

/// The length of the line that stands for a series in a legend.
const KEY: f64 = 34.0;

/// A tick: where, and what is written there.
pub type Tick = (f64, String);

/// A field of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Its left side.
    pub left: f64,
    /// Its upper side.
    pub top: f64,
    /// Its right side.
    pub right: f64,
    /// Its lower side.
    pub bottom: f64,
}

impl Frame {
    /// A field below `top` with room for the labels of both axes.
    pub fn below(top: f64, height: f64) -> Self {
        let top = top + 26.0;
        Self { left: MARGIN + 52.0, top, right: WIDTH - MARGIN - 14.0, bottom: top + height }
    }

    /// Where the next thing below the horizontal axis and its title may begin.
    pub fn end(&self) -> f64 {
        self.bottom + 56.0
    }

    /// An axis from the left to the right.
    pub fn across(&self, values: (f64, f64), log: bool) -> Axis {
        Axis { values, places: (self.left, self.right), log }
    }

    /// An axis from the bottom to the top.
    pub fn upwards(&self, values: (f64, f64), log: bool) -> Axis {
        Axis { values, places: (self.bottom, self.top), log }
    }

    /// Draws both axes with their grid. The vertical one has its title above it, where it is read without turning the head.
    pub fn axes(&self, page: &mut Page, across: (&[Tick], &str), upwards: (&[Tick], &str)) {
        for (y, text) in upwards.0 {
            page.stroke(vec![(self.left, *y), (self.right, *y)], GRID, 1.0);
            page.text((self.left - 8.0, y + TEXT * 0.36), Align::Right, text, TEXT, INK);
        }
        self.ticks_below(page, across.0);
        page.stroke(vec![(self.left, self.bottom), (self.right, self.bottom)], INK, 1.0);
        page.text((MARGIN, self.top - 14.0), Align::Left, upwards.1, TEXT, FAINT);
        page.text((self.right, self.bottom + 37.0), Align::Right, across.1, TEXT, FAINT);
    }

    /// Draws the grid and the labels of the horizontal axis; a label without room is left out.
    pub fn ticks_below(&self, page: &mut Page, ticks: &[Tick]) {
        let mut taken = f64::NEG_INFINITY;
        for (x, text) in ticks {
            page.stroke(vec![(*x, self.top), (*x, self.bottom)], GRID, 1.0);
            let half = text_width(text, TEXT) / 2.0;
            if x - half >= taken {
                page.text((*x, self.bottom + 18.0), Align::Middle, text, TEXT, INK);
                taken = x + half + 6.0;
            }
        }
    }
}

/// Writes the title of a picture and returns where the next thing may begin.
pub fn title(page: &mut Page, text: &str) -> f64 {
    if text.is_empty() {
        return 14.0;
    }
    page.text((MARGIN, 36.0), Align::Left, &shorten(text, TITLE, WIDTH - 2.0 * MARGIN), TITLE, INK);
    50.0
}

/// Writes the heading of a panel with an explanation below it, and returns where the next thing may begin.
pub fn heading(page: &mut Page, top: f64, text: &str, explanation: &str) -> f64 {
    page.text((MARGIN, top + 18.0), Align::Left, text, HEADING, INK);
    if explanation.is_empty() {
        return top + 28.0;
    }
    page.text((MARGIN, top + 36.0), Align::Left, &shorten(explanation, TEXT, WIDTH - 2.0 * MARGIN), TEXT, FAINT);
    top + 46.0
}

/// What stands before an entry of a legend.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// The line and the point of a series.
    Series(Style),
    /// A series without a line.
    Nothing,
    /// A line of a colour, with dashes or without.
    Line(Color, Option<(f64, f64)>),
    /// A hollow point of whichever series.
    Hollow(Style),
}

/// Writes a legend in as many columns as there is room for, each read from its top to its bottom, and returns where the next thing may begin.
pub fn legend(page: &mut Page, top: f64, entries: &[(Key, String)]) -> f64 {
    let room = WIDTH - 2.0 * MARGIN;
    let texts: Vec<String> = entries.iter().map(|(_, text)| shorten(text, TEXT, room - KEY - 8.0)).collect();
    let widest = texts.iter().map(|text| text_width(text, TEXT)).fold(0.0, f64::max) + KEY + 30.0;
    let columns = ((room / widest) as usize).max(1);
    let rows = entries.len().div_ceil(columns).max(1);
    for (index, ((key, _), text)) in entries.iter().zip(&texts).enumerate() {
        let x = MARGIN + (index / rows) as f64 * widest;
        let y = top + ROW * ((index % rows) as f64 + 0.5);
        draw_key(page, *key, (x, y));
        let color = if matches!(key, Key::Nothing) { FAINT } else { INK };
        page.text((x + KEY + 8.0, y + TEXT * 0.36), Align::Left, text, TEXT, color);
    }
    top + ROW * rows as f64 + 6.0
}

fn draw_key(page: &mut Page, key: Key, (x, y): Place) {
    let (line, middle) = ([(x, y), (x + KEY, y)], (x + KEY / 2.0, y));
    match key {
        Key::Series(style) => {
            style.line(page, &line);
            style.point(page, middle, false);
        }
        Key::Line(color, dash) => dashed(page, &line, color, LINE_WIDTH, dash),
        Key::Hollow(style) => Style { color: FAINT, ..style }.point(page, middle, true),
        Key::Nothing => {}
    }
}

//! What a picture consists of before it is SVG or PNG: fills, strokes and lines of text on a page, in points of which a
//! page is a thousand wide. Layout happens here and is tested here; files are written in `render`.

use dejavu::sans;
use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};
use std::sync::Once;

/// Red, green, blue.
pub type Color = (u8, u8, u8);

/// A place on the page, from its upper left corner.
pub type Place = (f64, f64);

/// The width of each page.
pub const WIDTH: f64 = 1000.0;

/// The page: white, so that it reads the same on a dark ground.
pub const PAPER: Color = (255, 255, 255);

/// Text and axes.
pub const INK: Color = (38, 38, 38);

/// Text that explains.
pub const FAINT: Color = (110, 110, 110);

/// The grid.
pub const GRID: Color = (226, 226, 226);

/// The height of a text from the top of its letters to the bottom of theirs, as a part of its size: what a box around it
/// needs above and below the baseline.
pub const ASCENT: f64 = 0.76;
/// See [`ASCENT`].
pub const DESCENT: f64 = 0.24;

/// The family under which the embedded font is known, and which an SVG leaves to its reader.
pub const FAMILY: FontFamily<'static> = FontFamily::SansSerif;

/// The height of the embedded font's line (ascent and descent of its `hhea` table) in units of its size. The rasteriser takes sizes in
/// lines.
pub const LINE: f64 = 1.164;

/// Where a text begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the place.
    Left,
    /// Around the place.
    Middle,
    /// Before the place.
    Right,
}

/// One thing on the page.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A polygon.
    Fill {
        /// Its corners.
        corners: Vec<Place>,
        /// Its colour.
        color: Color,
        /// 0 is not seen, 1 hides what is below.
        alpha: f64,
    },
    /// A line through all places.
    Stroke {
        /// From the first to the last.
        places: Vec<Place>,
        /// Its colour.
        color: Color,
        /// Its width.
        width: f64,
    },
    /// A line of text.
    Text {
        /// On its baseline.
        place: Place,
        /// How the place is meant.
        align: Align,
        /// What it says.
        text: String,
        /// The size of the font.
        size: f64,
        /// Its colour.
        color: Color,
    },
}

/// A picture: what comes later lies above.
#[derive(Debug, Default)]
pub struct Page {
    /// How high it is.
    pub height: f64,
    /// What is on it.
    pub marks: Vec<Mark>,
}

impl Page {
    /// A polygon.
    pub fn fill(&mut self, corners: Vec<Place>, color: Color, alpha: f64) {
        self.marks.push(Mark::Fill { corners, color, alpha });
    }

    /// A rectangle between two corners.
    pub fn bar(&mut self, from: Place, to: Place, color: Color) {
        self.fill(vec![from, (to.0, from.1), to, (from.0, to.1)], color, 1.0);
    }

    /// A line.
    pub fn stroke(&mut self, places: Vec<Place>, color: Color, width: f64) {
        self.marks.push(Mark::Stroke { places, color, width });
    }

    /// A line of text. Characters that no XML may contain are shown as such.
    pub fn text(&mut self, place: Place, align: Align, text: &str, size: f64, color: Color) {
        let seen = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c };
        self.marks.push(Mark::Text { place, align, text: text.chars().map(seen).collect(), size, color });
    }
}

/// How long `text` is in the embedded font, which is among the widest that readers of an SVG put in its place.
pub fn text_width(text: &str, size: f64) -> f64 {
    // The layout is in whole pixels, so it is asked for a large font.
    const LARGE: f64 = 1000.0;
    load_font();
    let font = FontDesc::new(FAMILY, LARGE * LINE, FontStyle::Normal);
    // The font is there, and nothing else makes the layout fail.
    let ((left, _), (right, _)) = font.layout_box(text).unwrap_or_default();
    f64::from(right - left) * size / LARGE
}

/// `text`, or as much of its beginning as is no longer than `room`.
pub fn shorten(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let cut = |at: usize| text[..at].trim_end().to_owned() + "…";
    let fitting = ends.partition_point(|at| text_width(&cut(*at), size) <= room);
    cut(ends[fitting.saturating_sub(1)])
}

/// Gives the embedded font to the rasteriser, once.
pub fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        let taken = register_font(FAMILY.as_str(), FontStyle::Normal, sans::regular());
        assert!(taken.is_ok(), "the font within this program is a font");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_its_advances_in_the_font() {
        // DejaVu Sans: "0" advances by 1303 of 2048 units.
        assert!((text_width("0000", 2048.0) - 4.0 * 1303.0).abs() < 3.0);
        assert!(text_width("", 12.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_text_that_is_too_long_ends_in_an_ellipsis_within_its_room() {
        let long = "a server with a very long name";
        let short = shorten(long, 12.0, 100.0);
        assert!(short.ends_with('…') && short.starts_with("a server"), "{short}");
        assert!(text_width(&short, 12.0) <= 100.0);
        assert_eq!(shorten("short", 12.0, 100.0), "short");
        assert_eq!(shorten(long, 12.0, 0.0), "…");
    }

    #[test]
    fn characters_that_xml_cannot_hold_are_replaced() {
        let mut page = Page::default();
        page.text((0.0, 0.0), Align::Left, "a\u{7}b\nc", 12.0, INK);
        assert!(matches!(&page.marks[0], Mark::Text { text, .. } if text == "a\u{fffd}b\u{fffd}c"));
    }
}

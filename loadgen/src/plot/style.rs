//! How series are told apart: by colour, by the shape of their points and by dashes, so that one is enough.

use super::page::{Color, PAPER, Page, Place};
use std::f64::consts::PI;

/// Okabe and Ito's colours, which colour-blind readers can tell apart, without the yellow, which is not seen on white.
const COLORS: [Color; 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (0, 0, 0)];

/// Five shapes and seven colours: thirty-five series before two look the same.
const SHAPES: [Shape; 5] = [
    Shape { corners: 24, turned: 0.0, radius: 4.0 },
    Shape { corners: 4, turned: PI / 4.0, radius: 5.0 },
    Shape { corners: 3, turned: 0.0, radius: 5.4 },
    Shape { corners: 4, turned: 0.0, radius: 5.4 },
    Shape { corners: 3, turned: PI, radius: 5.4 },
];

/// Lengths of a dash and of the gap after it; none is a line without gaps.
const DASHES: [Option<(f64, f64)>; 4] = [None, Some((9.0, 4.0)), Some((4.5, 3.0)), Some((2.4, 3.6))];

/// The dashes of a line that means something by being dashed.
pub const DASHED: Option<(f64, f64)> = Some((6.0, 4.0));

/// The width of lines.
pub const LINE_WIDTH: f64 = 1.8;

/// A regular polygon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    corners: u32,
    turned: f64,
    radius: f64,
}

/// The look of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Of its lines and points.
    pub color: Color,
    /// Of its points.
    pub shape: Shape,
    /// Of its lines.
    pub dash: Option<(f64, f64)>,
}

impl Style {
    /// The look of point `point` of report `report` in a picture of `reports`, of which the longest has `points`. Of a single report,
    /// points have colours; of several, reports have them, and points have shapes and dashes.
    pub fn of(report: usize, reports: usize, point: usize, points: usize) -> Self {
        let (color, shape, dash) = match (reports, points) {
            (1, _) => (point, point, point / COLORS.len()),
            (_, 1) => (report, report, report / COLORS.len()),
            _ => (report, point, point),
        };
        Self {
            color: COLORS[color % COLORS.len()],
            shape: SHAPES[shape % SHAPES.len()],
            dash: DASHES[dash % DASHES.len()],
        }
    }

    /// Draws a point: filled, or hollow.
    pub fn point(&self, page: &mut Page, place: Place, hollow: bool) {
        // A rim in the colour of the page parts points from lines and from each other.
        page.fill(self.shape.around(place, 1.4), PAPER, 1.0);
        page.fill(self.shape.around(place, 0.0), self.color, 1.0);
        if hollow {
            page.fill(self.shape.around(place, -1.6), PAPER, 1.0);
        }
    }

    /// Draws a line with its dashes.
    pub fn line(&self, page: &mut Page, places: &[Place]) {
        dashed(page, places, self.color, LINE_WIDTH, self.dash);
    }
}

impl Shape {
    /// Its corners around `place`, with its sides moved outwards by `more`.
    fn around(&self, (x, y): Place, more: f64) -> Vec<Place> {
        let inner = PI / f64::from(self.corners);
        let radius = self.radius + more / inner.cos();
        let corner = |index| self.turned - PI / 2.0 + 2.0 * inner * f64::from(index);
        (0..self.corners).map(|index| (x + radius * corner(index).cos(), y + radius * corner(index).sin())).collect()
    }
}

/// Draws a line with dashes, the beginning of the line being the beginning of one.
pub fn dashed(page: &mut Page, places: &[Place], color: Color, width: f64, dash: Option<(f64, f64)>) {
    match dash {
        None => page.stroke(places.to_vec(), color, width),
        Some(lengths) => {
            for piece in dashes(places, lengths) {
                page.stroke(piece, color, width);
            }
        }
    }
}

/// The pieces of a line that its dashes leave.
fn dashes(places: &[Place], (length, gap): (f64, f64)) -> Vec<Vec<Place>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Place> = places.first().copied().into_iter().collect();
    let (mut inked, mut left) = (true, length);
    for pair in places.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let rest = (to.0 - from.0).hypot(to.1 - from.1);
            if rest < left {
                left -= rest;
                break;
            }
            from = (from.0 + (to.0 - from.0) * left / rest, from.1 + (to.1 - from.1) * left / rest);
            if inked {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece.push(from);
            }
            inked = !inked;
            left = if inked { length } else { gap };
        }
        if inked {
            piece.push(to);
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_around_a_corner() {
        let pieces = dashes(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)], (4.0, 2.0));
        let expected = [
            vec![(0.0, 0.0), (4.0, 0.0)],
            vec![(6.0, 0.0), (10.0, 0.0)],
            vec![(10.0, 2.0), (10.0, 6.0)],
            vec![(10.0, 8.0), (10.0, 10.0)],
        ];
        assert_eq!(pieces, expected);
        assert_eq!(dashes(&[], (4.0, 2.0)), Vec::<Vec<Place>>::new());
    }

    #[test]
    fn a_dash_that_is_longer_than_the_line_is_the_line() {
        assert_eq!(dashes(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], (9.0, 4.0)), [[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]]);
    }

    #[test]
    fn no_two_of_thirty_series_look_the_same() {
        for (reports, points) in [(1, 30), (30, 1), (7, 4)] {
            let mut seen: Vec<Style> = Vec::new();
            for report in 0..reports {
                for point in 0..points {
                    let style = Style::of(report, reports, point, points);
                    assert!(!seen.contains(&style), "report {report} of {reports}, point {point} of {points}");
                    seen.push(style);
                }
            }
        }
    }

    #[test]
    fn the_sides_of_a_shape_move_by_what_it_grows() {
        let square = SHAPES[1];
        let (small, large) = (square.around((0.0, 0.0), 0.0), square.around((0.0, 0.0), 2.0));
        assert!((large[0].0 - small[0].0 - 2.0).abs() < 1e-9, "{small:?} {large:?}");
    }
}

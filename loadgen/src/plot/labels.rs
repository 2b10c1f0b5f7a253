//! Finds room for the labels of points: beside their points, within the field, not on each other, and where there is a choice, neither
//! on lines nor on other points.

use super::frame::{Frame, TEXT};
use super::page::{ASCENT, DESCENT, Place, text_width};

/// How near a label may come to its point.
const NEAR: f64 = 8.0;

/// How far it may be moved from there.
const FAR: f64 = 15.0;

/// What a label on a line costs; a place that is worse by so much is taken instead.
const ON_LINE: f64 = 4.0;

/// What a label on another point costs.
const ON_POINT: f64 = 12.0;

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    /// What a text of `width` covers if it begins at `place` on its baseline.
    fn of(place: Place, width: f64) -> Self {
        Self { left: place.0, top: place.1 - ASCENT * TEXT, right: place.0 + width, bottom: place.1 + DESCENT * TEXT }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn grown(&self, by: f64) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    fn holds(&self, (x, y): Place) -> bool {
        self.left <= x && x <= self.right && self.top <= y && y <= self.bottom
    }

    /// Whether a line from one place to another touches it: it ends inside, or it crosses a diagonal.
    fn touched(&self, from: Place, to: Place) -> bool {
        let rising = ((self.left, self.bottom), (self.right, self.top));
        let falling = ((self.left, self.top), (self.right, self.bottom));
        self.holds(from) || self.holds(to) || cross((from, to), rising) || cross((from, to), falling)
    }
}

/// Whether two lines cross.
fn cross(one: (Place, Place), other: (Place, Place)) -> bool {
    let side = |line: (Place, Place), place: Place| {
        (line.1.0 - line.0.0) * (place.1 - line.0.1) - (line.1.1 - line.0.1) * (place.0 - line.0.0)
    };
    side(one, other.0) * side(one, other.1) < 0.0 && side(other, one.0) * side(other, one.1) < 0.0
}

/// Where each label of `wanted` (its point and its text) begins on its baseline; `None` where there is no room without covering
/// another one.
pub fn find_room(
    wanted: &[(Place, String)],
    frame: &Frame,
    points: &[Place],
    lines: &[(Place, Place)],
) -> Vec<Option<Place>> {
    let field = Area { left: frame.left, top: frame.top, right: frame.right, bottom: frame.bottom };
    let mut taken: Vec<Area> = Vec::new();
    let mut found = Vec::new();
    for (point, text) in wanted {
        let width = text_width(text, TEXT);
        let mut best: Option<(f64, Place)> = None;
        for (rank, place) in candidates(*point, width).into_iter().enumerate() {
            let area = Area::of(place, width);
            let inside = field.holds((area.left, area.top)) && field.holds((area.right, area.bottom));
            if !inside || taken.iter().any(|other| other.overlaps(&area.grown(3.0))) {
                continue;
            }
            let on_points = points.iter().filter(|at| **at != *point && area.grown(5.0).holds(**at)).count();
            let on_lines = lines.iter().filter(|line| area.grown(2.0).touched(line.0, line.1)).count();
            let cost = rank as f64 * 0.2 + on_points as f64 * ON_POINT + on_lines as f64 * ON_LINE;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, place));
            }
        }
        taken.extend(best.map(|(_, place)| Area::of(place, width)));
        found.push(best.map(|(_, place)| place));
    }
    found
}

/// Places around a point for a text of `width`, the better ones first.
fn candidates((x, y): Place, width: f64) -> Vec<Place> {
    let mut places = Vec::new();
    for away in [NEAR, FAR] {
        let (right, left, middle) = (x + away, x - away - width, x - width / 2.0);
        let (above, beside, below) = (y - away, y + TEXT * 0.36, y + away + ASCENT * TEXT);
        places.extend([(middle, above), (left, above), (right, below), (right, beside), (left, beside)]);
        places.extend([(right, above), (middle, below), (left, below)]);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, right: 400.0, bottom: 300.0 };

    fn areas(wanted: &[(Place, String)], found: &[Option<Place>]) -> Vec<Area> {
        let all = wanted.iter().zip(found);
        all.filter_map(|((_, text), place)| place.map(|place| Area::of(place, text_width(text, TEXT)))).collect()
    }

    fn crowd(step: f64) -> Vec<(Place, String)> {
        (0..12).map(|index| ((100.0 + f64::from(index) * step, 150.0), format!("clients={index}"))).collect()
    }

    #[test]
    fn labels_of_a_crowd_never_cover_each_other() {
        for step in [0.0, 3.0, 15.0, 60.0] {
            let wanted = crowd(step);
            let found = find_room(&wanted, &FRAME, &[], &[]);
            let areas = areas(&wanted, &found);
            assert!(!areas.is_empty());
            for (index, area) in areas.iter().enumerate() {
                assert!(areas[..index].iter().all(|other| !other.overlaps(area)), "step {step}: {areas:?}");
            }
        }
    }

    #[test]
    fn labels_at_the_edges_stay_within_the_field() {
        let corners = [(0.0, 0.0), (400.0, 0.0), (0.0, 300.0), (400.0, 300.0)];
        let wanted: Vec<_> = corners.into_iter().map(|place| (place, "rate=1000".to_owned())).collect();
        let found = find_room(&wanted, &FRAME, &[], &[]);
        let areas = areas(&wanted, &found);
        assert_eq!(areas.len(), 4);
        assert!(areas.iter().all(|area| area.left >= 0.0 && area.right <= 400.0), "{areas:?}");
        assert!(areas.iter().all(|area| area.top >= 0.0 && area.bottom <= 300.0), "{areas:?}");
    }

    #[test]
    fn a_label_keeps_off_a_line_if_it_can() {
        let wanted = [((200.0, 150.0), "clients=8".to_owned())];
        let line = ((150.0, 139.0), (400.0, 139.0));
        let found = find_room(&wanted, &FRAME, &[], &[line]);
        let area = areas(&wanted, &found)[0];
        assert!(!area.touched(line.0, line.1), "{area:?}");
    }

    #[test]
    fn a_line_through_a_rectangle_touches_it_without_ending_inside() {
        let area = Area { left: 0.0, top: 0.0, right: 10.0, bottom: 4.0 };
        assert!(area.touched((-5.0, 2.0), (15.0, 3.0)));
        assert!(area.touched((5.0, -5.0), (6.0, 9.0)));
        assert!(area.touched((5.0, 1.0), (50.0, 90.0)));
        // Through a corner, each crossing one diagonal alone.
        assert!(area.touched((-1.0, 2.0), (3.0, -1.0)));
        assert!(area.touched((-1.0, 2.0), (3.0, 5.0)));
        assert!(!area.touched((-5.0, 5.0), (15.0, 6.0)));
        assert!(!area.touched((11.0, -5.0), (11.0, 9.0)));
    }
}

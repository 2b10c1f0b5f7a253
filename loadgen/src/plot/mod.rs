//! Pictures of results: latency by percentile, latency over throughput, and bars. Nothing is measured here.
//!
//! A picture is laid out as marks on a `page`, which `render` then writes as SVG or PNG; both therefore show the same. `gather` takes
//! from reports what the panels show.

mod bars;
mod frame;
mod gather;
mod labels;
mod page;
mod percentiles;
mod render;
mod scale;
mod style;
mod throughput;

use crate::result::Report;
use page::Page;
use std::path::Path;

pub use bars::Bars;

/// The most lines of one picture: more cannot be told apart.
const LINES_MAX: usize = 64;

/// One line in a picture.
#[derive(Debug)]
pub struct Series<'a> {
    /// What the legend calls it.
    pub name: String,
    /// What it shows.
    pub report: &'a Report,
}

/// Draws `series` to `path`, `.svg` or `.png`: latency by percentile of every point, and, where reports have several points, latency
/// over throughput. The error is a sentence.
pub fn draw(path: &Path, title: &str, series: &[Series<'_>]) -> Result<(), String> {
    let page = page(title, series).map_err(|why| format!("cannot draw {}: {why}", path.display()))?;
    render::write(path, &page)
}

/// Whether a picture could be drawn to a file of this name. The error is a sentence.
pub fn check(path: &Path) -> Result<(), String> {
    render::form(path).map(|_| ())
}

/// Draws bars to `path`, `.svg` or `.png`. The error is a sentence.
pub fn draw_bars(path: &Path, bars: &Bars) -> Result<(), String> {
    let page = bars.page().map_err(|why| format!("cannot draw {}: {why}", path.display()))?;
    render::write(path, &page)
}

fn page(title: &str, series: &[Series<'_>]) -> Result<Page, String> {
    let lines: usize = series.iter().map(|one| one.report.points.len()).sum();
    if lines > LINES_MAX {
        return Err(format!("{lines} lines are too many for a picture, which takes {LINES_MAX}"));
    }
    let (curves, trends) = gather::gather(series)?;
    let lines = curves.iter().any(|curve| !curve.line.is_empty());
    let joined = trends.iter().any(|trend| trend.settings.len() > 1);
    if !lines && !joined {
        return Err("no round has a latency that is the server's".to_owned());
    }
    let mut page = Page::default();
    let mut end = frame::title(&mut page, title);
    if lines {
        end = percentiles::draw(&mut page, end, &curves);
    }
    if joined {
        end = throughput::draw(&mut page, end, &trends);
    }
    page.height = end.ceil();
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::page::{ASCENT, Align, DESCENT, Mark, WIDTH, text_width};
    use super::*;
    use crate::result::examples;

    /// Latencies with a tail, in microseconds.
    fn latencies(factor: f64, count: u32) -> Vec<f64> {
        (1..=count).map(|index| factor * (1.0 + 20.0 / f64::from(index))).collect()
    }

    fn sweep(factor: f64, clients: &[u32]) -> Report {
        let point = |clients: &u32| {
            let slower = factor * f64::from(*clients).sqrt();
            let rounds = [1.0, 1.1].map(|spread| {
                let rate = 1e6 * f64::from(*clients) / slower / (1.0 + f64::from(*clients) / 8.0);
                examples::round(rate, &latencies(slower * spread, 2000))
            });
            examples::point(&format!("clients={clients}"), rounds.to_vec())
        };
        examples::report(clients.iter().map(point).collect())
    }

    fn series<'a>(reports: &'a [(&str, Report)]) -> Vec<Series<'a>> {
        reports.iter().map(|(name, report)| Series { name: (*name).to_owned(), report }).collect()
    }

    /// What each text of a page covers: left, top, right, bottom.
    fn covered(page: &Page) -> Vec<(&str, [f64; 4])> {
        let cover = |mark| match mark {
            &Mark::Text { place: (x, y), align, ref text, size, .. } => {
                let width = text_width(text, size);
                let left = match align {
                    Align::Left => x,
                    Align::Middle => x - width / 2.0,
                    Align::Right => x - width,
                };
                Some((text.as_str(), [left, y - ASCENT * size, left + width, y + DESCENT * size]))
            }
            _ => None,
        };
        page.marks.iter().filter_map(cover).collect()
    }

    #[test]
    fn no_text_of_a_picture_covers_another_or_leaves_the_page() {
        let long =
            "a server with a name that says more about it than anybody wants to know, and then some of its options";
        let mut reports = [(long, sweep(100.0, &[1, 2, 4, 8, 16, 32, 64])), ("b", sweep(700.0, &[1, 2, 4, 8]))];
        reports[0].1.points[6].rounds[0].generator.bottleneck = Some("its threads did not sleep".to_owned());
        reports[1].1.points[0].rounds[0].errors.insert("timeout".to_owned(), 1);
        for count in [1, 2] {
            let page = page(&long.repeat(2), &series(&reports[..count])).unwrap();
            let covered = covered(&page);
            for (index, (text, [left, top, right, bottom])) in covered.iter().enumerate() {
                assert!(
                    *left >= 0.0 && *top >= 0.0 && *right <= WIDTH && *bottom <= page.height,
                    "{text}: {left} {right}"
                );
                for (other, [l, t, r, b]) in &covered[..index] {
                    let apart = left >= r || l >= right || top >= b || t >= bottom;
                    assert!(apart, "{text} covers {other}");
                }
            }
        }
    }

    #[test]
    fn a_picture_of_several_reports_names_all_and_is_the_same_each_time() {
        let reports = [("<ours>", sweep(100.0, &[1, 8])), ("theirs & others", sweep(900.0, &[1, 8]))];
        let folder = tempfile::tempdir().unwrap();
        let draw_to = |name: &str| {
            let path = folder.path().join(name);
            draw(&path, "Latency of \"digits\"", &series(&reports)).unwrap();
            std::fs::read(path).unwrap()
        };
        let first = draw_to("first.svg");
        assert_eq!(first, draw_to("second.SVG"));
        let document = String::from_utf8(first).unwrap();
        let texts =
            ["&lt;ours&gt;, clients=8", "theirs &amp; others, clients=1", "Latency of &quot;digits&quot;", "p99"];
        for text in texts.into_iter().chain(["Replies per second", "Percentile of requests", " ms\n", "µs\n"]) {
            assert!(document.contains(text), "{text} is not in {document}");
        }
    }

    #[test]
    fn a_single_setting_has_no_panel_of_throughput() {
        let reports = [("ours", sweep(100.0, &[8])), ("theirs", sweep(200.0, &[8]))];
        let page = page("", &series(&reports)).unwrap();
        assert!(covered(&page).iter().all(|(text, _)| *text != "Replies per second"));
    }

    #[test]
    fn nothing_to_draw_is_a_sentence_with_the_path() {
        let expected = "cannot draw p.svg: no round has a latency that is the server's";
        assert_eq!(draw(Path::new("p.svg"), "", &[]).unwrap_err(), expected);
        let silent = examples::point("", vec![examples::round(0.0, &[])]);
        for points in [vec![], vec![examples::point("", vec![])], vec![silent]] {
            let reports = [("ours", examples::report(points))];
            assert_eq!(draw(Path::new("p.svg"), "", &series(&reports)).unwrap_err(), expected);
        }
    }

    #[test]
    fn more_lines_than_can_be_told_apart_are_refused() {
        let many = examples::report(vec![examples::point("x", vec![]); 65]);
        let error = draw(Path::new("p.svg"), "", &series(&[("ours", many)])).unwrap_err();
        assert_eq!(error, "cannot draw p.svg: 65 lines are too many for a picture, which takes 64");
    }

    #[test]
    fn bars_are_drawn_to_both_kinds_of_files_or_refused_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"title": "t", "unit": "s", "groups": [{"bars": [{"name": "a", "value": 1.5}]}]}"#;
        let mut bars: Bars = serde_json::from_str(text).unwrap();
        let (svg, png) = (folder.path().join("bars.svg"), folder.path().join("bars.png"));
        draw_bars(&svg, &bars).unwrap();
        draw_bars(&png, &bars).unwrap();
        assert!(std::fs::read_to_string(svg).unwrap().contains("\n1.5\n"));
        assert!(std::fs::read(png).unwrap().starts_with(b"\x89PNG"));
        bars.groups.clear();
        assert_eq!(draw_bars(Path::new("p.svg"), &bars).unwrap_err(), "cannot draw p.svg: no bar has a value");
    }
}

//! Writes a page as SVG or PNG. Where things are has been decided before.

use super::page::{Align, Color, FAMILY, LINE, Mark, PAPER, Page, Place, WIDTH, load_font};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontStyle, RGBColor, ShapeStyle, TextStyle};
use std::path::Path;

/// An SVG's units for each point of the page: the backends take whole numbers, and curves need finer ones.
const SVG_UNITS: f64 = 10.0;

/// A PNG's pixels for each point of the page, so that it is sharp on a dense screen.
const PNG_PIXELS: u32 = 2;

/// Each pixel of a PNG is the mean of a square of so many drawn ones, which smooths all edges alike.
const PNG_SAMPLES: u32 = 2;

/// An SVG's text is lowered by this part of its size when it hangs from its place, a PNG's by half of its line: what plotters does.
const SVG_HANGS: f64 = 0.76;

/// plotters divides the size that it is told by this one when it writes an SVG.
const SVG_LINE: f64 = 1.24;

/// What a picture is written as.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Svg,
    Png,
}

/// The form that a file's name ends with. The error is a sentence.
pub fn form(path: &Path) -> Result<Form, String> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "svg" => Ok(Form::Svg),
        "png" => Ok(Form::Png),
        _ => Err(format!("cannot draw {}: the name of a picture ends in .svg or .png", path.display())),
    }
}

/// Writes `page` to `path` in the form that its name ends with. The error is a sentence.
pub fn write(path: &Path, page: &Page) -> Result<(), String> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot draw {}: {why}", path.display());
    let bytes = match form(path)? {
        Form::Svg => svg(page).map(String::into_bytes),
        Form::Png => png(page),
    };
    std::fs::write(path, bytes.map_err(|why| cannot(&why))?).map_err(|why| cannot(&why))
}

/// The page as an SVG document.
pub fn svg(page: &Page) -> Result<String, String> {
    let mut document = String::new();
    let (width, height) = ((WIDTH * SVG_UNITS) as u32, (page.height * SVG_UNITS).ceil() as u32);
    let mut backend = SVGBackend::with_string(&mut document, (width, height));
    let mut pen = Pen { backend: &mut backend, scale: SVG_UNITS, line: SVG_LINE, hangs: SVG_HANGS, joins: false };
    let paper = vec![(0.0, 0.0), (WIDTH, 0.0), (WIDTH, page.height), (0.0, page.height)];
    pen.mark(&Mark::Fill { corners: paper, color: PAPER, alpha: 1.0 })?;
    pen.draw(page)?;
    drop(backend);
    // The document is as large as the page; only its inner coordinates are finer.
    let finer = format!("width=\"{width}\" height=\"{height}\"");
    let as_page = format!("width=\"{WIDTH}\" height=\"{}\"", f64::from(height) / SVG_UNITS);
    Ok(document.replacen(&finer, &as_page, 1))
}

/// The page as a PNG file.
fn png(page: &Page) -> Result<Vec<u8>, String> {
    let (width, height) = (WIDTH as u32 * PNG_PIXELS, page.height.ceil() as u32 * PNG_PIXELS);
    let (fine_width, fine_height) = (width * PNG_SAMPLES, height * PNG_SAMPLES);
    // The paper is white: the three bytes of each pixel are the same.
    let mut fine = vec![PAPER.0; fine_width as usize * fine_height as usize * 3];
    let mut backend = BitMapBackend::with_buffer(&mut fine, (fine_width, fine_height));
    let scale = f64::from(PNG_PIXELS * PNG_SAMPLES);
    Pen { backend: &mut backend, scale, line: LINE, hangs: LINE / 2.0, joins: true }.draw(page)?;
    drop(backend);
    let pixels = average(&fine, fine_width as usize * 3, PNG_SAMPLES as usize);
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive);
    encoder.write_image(&pixels, width, height, ExtendedColorType::Rgb8).map_err(|why| why.to_string())?;
    Ok(file)
}

/// The mean of each square of `samples` by `samples` pixels of three bytes, of lines of `stride` bytes.
fn average(fine: &[u8], stride: usize, samples: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(fine.len() / (samples * samples));
    for lines in fine.chunks_exact(stride * samples) {
        for x in (0..stride).step_by(3 * samples) {
            for channel in 0..3 {
                let square = (0..samples * samples).map(|i| (i / samples) * stride + x + (i % samples) * 3 + channel);
                let sum: usize = square.map(|at| usize::from(lines[at])).sum();
                pixels.push((sum / (samples * samples)) as u8);
            }
        }
    }
    pixels
}

/// Draws a page with one of the backends.
struct Pen<'a, B> {
    backend: &'a mut B,
    /// Its units for each point of the page.
    scale: f64,
    /// What it multiplies the size of a font with.
    line: f64,
    /// How far the baseline is below a text's top, in sizes of the font.
    hangs: f64,
    /// Whether lines are drawn piece by piece with round joints: the rasteriser leaves holes in a wide line that bends sharply.
    joins: bool,
}

impl<B: DrawingBackend> Pen<'_, B> {
    fn draw(&mut self, page: &Page) -> Result<(), String> {
        load_font();
        page.marks.iter().try_for_each(|mark| self.mark(mark))?;
        self.backend.present().map_err(|why| why.to_string())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), String> {
        let drawn = match mark {
            Mark::Fill { corners, color, alpha } => {
                let corners: Vec<_> = corners.iter().map(|place| self.at(*place)).collect();
                self.backend.fill_polygon(corners, &rgb(*color).mix(*alpha))
            }
            Mark::Stroke { places, color, width } => {
                let width = (width * self.scale).round().max(1.0) as u32;
                let style = rgb(*color).stroke_width(width);
                let places: Vec<_> = places.iter().map(|place| self.at(*place)).collect();
                if self.joins {
                    return self.pieces(&places, style);
                }
                self.backend.draw_path(places, &style)
            }
            Mark::Text { place, align, text, size, color } => {
                let font = FontDesc::new(FAMILY, size * self.scale * self.line, FontStyle::Normal);
                let side = match align {
                    Align::Left => HPos::Left,
                    Align::Middle => HPos::Center,
                    Align::Right => HPos::Right,
                };
                let color = rgb(*color);
                let style = TextStyle::from(font).color(&color).pos(Pos::new(side, VPos::Top));
                let top = self.at((place.0, place.1 - size * self.hangs));
                self.backend.draw_text(text, &style, top)
            }
        };
        drawn.map_err(|why| why.to_string())
    }

    fn pieces(&mut self, places: &[(i32, i32)], style: ShapeStyle) -> Result<(), String> {
        for (index, pair) in places.windows(2).enumerate() {
            if index > 0 && style.stroke_width > 2 {
                let joint = self.backend.draw_circle(pair[0], style.stroke_width / 2, &style.color, true);
                joint.map_err(|why| why.to_string())?;
            }
            self.backend.draw_path(pair.iter().copied(), &style).map_err(|why| why.to_string())?;
        }
        Ok(())
    }

    fn at(&self, (x, y): Place) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }
}

fn rgb((red, green, blue): Color) -> RGBColor {
    RGBColor(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::page::INK;

    fn page() -> Page {
        let mut page = Page { height: 50.0, ..Page::default() };
        page.stroke(vec![(10.0, 10.0), (20.5, 10.0), (20.5, 30.0)], INK, 1.5);
        page.fill(vec![(100.0, 10.0), (120.0, 10.0), (120.0, 30.0), (100.0, 30.0)], (0, 114, 178), 1.0);
        page.text((500.0, 40.0), Align::Middle, "a <b> & \"c\"", 12.0, INK);
        page
    }

    #[test]
    fn an_svg_is_as_large_as_its_page_with_finer_coordinates_inside() {
        let document = svg(&page()).unwrap();
        assert!(document.starts_with("<svg width=\"1000\" height=\"50\" viewBox=\"0 0 10000 500\""), "{document}");
        assert!(document.contains("points=\"100,100 205,100 205,300 \""), "{document}");
        assert!(document.contains("font-family=\"sans-serif\" font-size=\"120"), "{document}");
        assert!(document.trim_end().ends_with("</svg>"), "{document}");
    }

    #[test]
    fn markup_in_a_text_of_an_svg_is_escaped() {
        let document = svg(&page()).unwrap();
        assert!(document.contains("a &lt;b&gt; &amp; &quot;c&quot;"), "{document}");
    }

    #[test]
    fn a_png_has_two_pixels_for_each_point() {
        let file = png(&page()).unwrap();
        // The signature, then the length and name of the first chunk, then width and height (PNG specification, 5.2 and 11.2.1).
        assert_eq!(file[..8], [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a]);
        assert_eq!(file[12..16], *b"IHDR");
        assert_eq!((file[16..20].to_vec(), file[20..24].to_vec()), (vec![0, 0, 0x07, 0xd0], vec![0, 0, 0, 100]));
        let picture = image::load_from_memory(&file).unwrap().to_rgb8();
        assert_eq!(picture.get_pixel(0, 0).0, [255, 255, 255]);
        assert_eq!(picture.get_pixel(220, 40).0, [0, 114, 178]);
        assert_eq!(picture.get_pixel(30, 20).0, [38, 38, 38]);
        let written = (0..2000).filter(|x| picture.get_pixel(*x, 74).0[0] < 128).count();
        assert!(written > 20, "{written} dark pixels on a line through the text");
    }

    #[test]
    fn a_square_of_samples_becomes_their_mean() {
        let fine = [0, 0, 0, 100, 0, 40, 200, 0, 0, 100, 200, 40];
        assert_eq!(average(&fine, 6, 2), [100, 50, 20]);
    }

    #[test]
    fn another_ending_is_a_sentence_with_the_path() {
        for name in ["picture.gif", "picture"] {
            let error = write(Path::new(name), &page()).unwrap_err();
            assert_eq!(error, format!("cannot draw {name}: the name of a picture ends in .svg or .png"));
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_sentence_with_the_path() {
        let error = write(Path::new("/nonexistent/p.svg"), &page()).unwrap_err();
        assert!(error.starts_with("cannot draw /nonexistent/p.svg: No such file"), "{error}");
    }
}

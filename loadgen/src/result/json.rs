//! Reports as JSON files: written by `--json`, read again by `compare`, `ab` and `plot`. The path `-` is the standard output
//! or input. Numbers come back exactly.

use super::{FORMAT, Report};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// The most bytes that are read as a report. A round is some KiB, most of it its histogram; this is tens of thousands of them.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Writes a report to a file. The error is a sentence.
pub fn write(path: &Path, report: &Report) -> Result<(), String> {
    let written =
        if path == Path::new("-") { write_to(&mut io::stdout().lock(), report) } else { write_file(path, report) };
    written.map_err(|error| format!("{}: the result cannot be written: {error}", name(path, "standard output")))
}

/// Reads a report from a file. The error is a sentence.
pub fn read(path: &Path) -> Result<Report, String> {
    let name = name(path, "standard input");
    if path == Path::new("-") {
        return read_from(&mut io::stdin().lock(), &name);
    }
    let mut file = File::open(path).map_err(|error| format!("{name} cannot be opened: {error}"))?;
    read_from(&mut file, &name)
}

/// Reads a report from anything; `name` is what the error calls it.
pub fn read_from(reader: &mut impl Read, name: &str) -> Result<Report, String> {
    let mut text = Vec::new();
    let read = reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| format!("{name} cannot be read: {error}"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{name} has more than {FILE_BYTES_MAX} bytes and is no result of graphpipe-loadgen"));
    }
    let value: Value = serde_json::from_slice(&text).map_err(|error| format!("{name} is not JSON: {error}"))?;
    // The version comes first: of another version, any other field may be missing.
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => {
            return Err(format!("{name} is a result in format {format}, and this program reads format {FORMAT}"));
        }
        None => return Err(format!("{name} is no result of graphpipe-loadgen: it does not say its format")),
    }
    serde_json::from_value(value).map_err(|error| format!("{name} is not a whole result in format {FORMAT}: {error}"))
}

fn name(path: &Path, stream: &str) -> String {
    if path == Path::new("-") { stream.to_owned() } else { path.display().to_string() }
}

fn write_file(path: &Path, report: &Report) -> io::Result<()> {
    write_to(&mut BufWriter::new(File::create(path)?), report)
}

fn write_to(writer: &mut impl Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *writer, report)?;
    writer.write_all(b"\n")?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{point, report, round};
    use super::super::{Batches, Knee, Late, Server};
    use super::*;

    fn full() -> Report {
        let mut round = round(1_234.5, &[250.0; 4]);
        round.errors.insert("busy (5)".to_owned(), 3);
        round.error_texts.insert("busy (5)".to_owned(), "the lane is full: \"digits\"\n".to_owned());
        round.late = Some(Late { sent_late: 2, own_fault: 1, p50_us: 0.5, p99_us: 12.0, max_us: 1_500.0 });
        round.server = Some(Server { cpu_us_per_request: 12.5, cores: 0.75, rss_bytes: u64::MAX });
        round.batches = Some(Batches { count: 2, rows: 9.0, buckets: vec![(Some(4.0), 1), (None, 1)] });
        round.verified = Some(4);
        let mut report = report(vec![point("clients=8", vec![round.clone(), round])]);
        report.knee = Some(Knee { objective: "p99<5ms".to_owned(), rate: Some(900.0), failed_at: None, remark: None });
        report
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, &full()).unwrap();
        assert_eq!(read(&path).unwrap(), full());
    }

    #[test]
    fn the_names_in_the_file_are_those_of_the_form() {
        let mut text = Vec::new();
        write_to(&mut text, &full()).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["format"], 1);
        assert_eq!(value["points"][0]["load"]["arrivals"], "closed");
        assert_eq!(value["points"][0]["rounds"][1]["errors"]["busy (5)"], 3);
        assert_eq!(value["points"][0]["rounds"][0]["batches"]["buckets"][1], serde_json::json!([null, 1]));
        assert_eq!(text.last(), Some(&b'\n'));
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let read = |text: &str| read_from(&mut text.as_bytes(), "a.json").unwrap_err();
        assert_eq!(read(r#"{"format": 2}"#), "a.json is a result in format 2, and this program reads format 1");
        let none = "a.json is no result of graphpipe-loadgen: it does not say its format";
        assert_eq!(read(r#"{"version": "0.1.0"}"#), none);
        assert_eq!(read("[1, 2]"), none);
        assert_eq!(read(r#"{"format": 1}"#), "a.json is not a whole result in format 1: missing field `version`");
        assert!(read("{").starts_with("a.json is not JSON: "), "{}", read("{"));
    }

    #[test]
    fn a_file_that_is_not_there_or_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none").join("a.json");
        let name = path.display().to_string();
        assert!(read(&path).unwrap_err().starts_with(&format!("{name} cannot be opened: ")));
        let error = write(&path, &full()).unwrap_err();
        assert!(error.starts_with(&format!("{name}: the result cannot be written: ")), "{error}");
    }

    #[test]
    fn input_without_end_is_not_read_to_its_end() {
        let error = read_from(&mut io::repeat(b' '), "standard input").unwrap_err();
        assert_eq!(error, "standard input has more than 268435456 bytes and is no result of graphpipe-loadgen");
    }
}

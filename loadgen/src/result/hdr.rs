//! Histograms as text and as a log: HdrHistogram's V2 format, compressed, base64, and its interval log, which HdrHistogram's
//! own tools read. What is read is compared with limits before anything is sized by it.

use super::{Latency, Report};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use std::io::{self, Read, Write};
use std::time::{Duration, UNIX_EPOCH};

/// The most bytes that one histogram may have when it is unpacked. The largest that HdrHistogram can describe (five digits,
/// 64-bit values) has six million counts of at most nine bytes; ours, of three digits, are some KiB.
const UNPACKED_BYTES_MAX: usize = 56 << 20;

/// What the packed form begins with: its cookie and the number of bytes that follow.
const PACKED_HEAD_BYTES: usize = 8;
const PACKED_COOKIE: u32 = 0x1c84_9314;

/// What the unpacked form begins with: cookie, length of the counts, offset, digits, lowest, highest, ratio.
const UNPACKED_HEAD_BYTES: usize = 40;

/// The latency of a histogram in nanoseconds; `None` of an empty one.
pub fn latency(histogram: &Histogram<u64>) -> Option<Latency> {
    if histogram.is_empty() {
        return None;
    }
    let us = |ns: u64| ns as f64 / 1e3;
    let at = |part: f64| us(histogram.value_at_quantile(part));
    Some(Latency {
        min: us(histogram.min()),
        mean: histogram.mean() / 1e3,
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max: us(histogram.max()),
    })
}

/// The histogram as text.
pub fn encode(histogram: &Histogram<u64>) -> Result<String, String> {
    let mut packed = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut packed)
        .map_err(|error| format!("the histogram cannot be written: {error}"))?;
    Ok(STANDARD.encode(packed))
}

/// The histogram that a text is. The error is a sentence.
pub fn decode(text: &str) -> Result<Histogram<u64>, String> {
    let packed = STANDARD.decode(text).map_err(|error| format!("it is not base64: {error}"))?;
    let unpacked = unpack(&packed)?;
    Deserializer::new()
        .deserialize(&mut unpacked.as_slice())
        .map_err(|error| format!("it is no histogram of HdrHistogram: {error}"))
}

/// Inflates, and compares the length that the head claims with what is there: the deserializer allocates that much.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let no_histogram = || "it is not in HdrHistogram's compressed V2 format".to_owned();
    if packed.len() < PACKED_HEAD_BYTES || word(packed, 0) != PACKED_COOKIE {
        return Err(no_histogram());
    }
    let mut unpacked = Vec::new();
    ZlibDecoder::new(&packed[PACKED_HEAD_BYTES..])
        .take(UNPACKED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if unpacked.len() > UNPACKED_BYTES_MAX {
        return Err(format!("it has more than {UNPACKED_BYTES_MAX} bytes when it is unpacked"));
    }
    if unpacked.len() < UNPACKED_HEAD_BYTES {
        return Err(no_histogram());
    }
    let claimed = word(&unpacked, 4) as usize;
    let there = unpacked.len() - UNPACKED_HEAD_BYTES;
    if claimed != there {
        return Err(format!("its head speaks of {claimed} bytes, and {there} are there"));
    }
    Ok(unpacked)
}

/// Four bytes, the first one the highest. The caller has checked that they are there.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// Writes an interval log: one line for each round, tagged with the point, the greatest latency in milliseconds. Values are
/// nanoseconds. The windows are laid end to end from when the command began. A round of which the generator was the bottleneck is
/// a comment with the reason, since its latencies are not the server's; one without replies is a comment too.
pub fn write_log(writer: &mut impl Write, report: &Report) -> Result<(), String> {
    let fail = |error: io::Error| format!("the histograms cannot be written: {error}");
    let began = UNIX_EPOCH.checked_add(Duration::from_secs(report.began_unix_s)).unwrap_or(UNIX_EPOCH);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values are nanoseconds; Interval_Max is in milliseconds]")
        .with_base_time(began)
        .with_start_time(began)
        .with_max_value_divisor(1e6)
        .begin_log_with(writer, &mut serializer)
        .map_err(fail)?;
    let mut start = Duration::ZERO;
    for point in &report.points {
        for (at, round) in point.rounds.iter().enumerate() {
            let name = format!("{} round {}", tag(&point.label), at + 1);
            let seconds = Duration::try_from_secs_f64(round.seconds).unwrap_or_default();
            match &round.generator.bottleneck {
                Some(reason) => log.write_comment(&format!("{name}: the generator is the bottleneck: {reason}")),
                None if round.answered == 0 => log.write_comment(&format!("{name}: nothing was answered")),
                None => {
                    write_round(&mut log, &point.label, &round.histogram, start, seconds)
                        .map_err(|error| format!("{name}: {error}"))?;
                    Ok(())
                }
            }
            .map_err(fail)?;
            start = start.saturating_add(seconds);
        }
    }
    Ok(())
}

fn write_round<W: Write, S: Serializer>(
    log: &mut IntervalLogWriter<'_, '_, W, S>,
    label: &str,
    histogram: &str,
    start: Duration,
    seconds: Duration,
) -> Result<(), String>
where
    S::SerializeError: std::fmt::Debug + std::fmt::Display,
{
    let histogram = decode(histogram)?;
    let tag = tag(label);
    let tag = if label.is_empty() { None } else { Tag::new(&tag) };
    log.write_histogram(&histogram, start, seconds, tag).map_err(|error| error.to_string())
}

/// A label without what ends a tag: commas, blanks and ends of lines.
fn tag(label: &str) -> String {
    label.chars().map(|c| if c == ',' || c.is_whitespace() || c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{point, report, round};
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    /// Written by HdrHistogram's Python implementation, 0.10.8: 1 to 3600000000, three digits, with 1000 recorded
    /// 10 times, 50000 three times and 3000000 once.
    const FROM_PYTHON: &str = "HISTFAAAACl4nJNpmSzMwMDAyQABzFCaEURcm7yEwf4DROA8v8jDCLadcUwAjV0H2g==";

    #[test]
    fn a_histogram_of_another_implementation_is_read() {
        let histogram = decode(FROM_PYTHON).unwrap();
        assert_eq!(histogram.len(), 14);
        assert_eq!(histogram.count_at(1_000), 10);
        assert_eq!(histogram.count_at(50_000), 3);
        assert_eq!(histogram.count_at(3_000_000), 1);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in [1, 999, 1_000, 123_456_789] {
            histogram.record(value).unwrap();
        }
        let text = encode(&histogram).unwrap();
        assert_eq!(decode(&text).unwrap(), histogram);
    }

    #[test]
    fn a_text_that_is_no_histogram_is_refused_with_the_reason() {
        let refused = |packed: &[u8]| decode(&STANDARD.encode(packed)).unwrap_err();
        assert!(decode("not base64!").unwrap_err().starts_with("it is not base64: "));
        assert_eq!(refused(b""), "it is not in HdrHistogram's compressed V2 format");
        assert_eq!(refused(&[0x1c, 0x84, 0x93, 0x15, 0, 0, 0, 0]), "it is not in HdrHistogram's compressed V2 format");
        assert!(refused(&[0x1c, 0x84, 0x93, 0x14, 0, 0, 0, 1, 9]).starts_with("it cannot be unpacked: "));
    }

    #[test]
    fn a_length_that_is_not_there_is_refused_before_it_is_allocated() {
        let mut unpacked = vec![0; UNPACKED_HEAD_BYTES + 2];
        unpacked[4..8].copy_from_slice(&[0xff; 4]);
        assert_eq!(decode(&pack(&unpacked)).unwrap_err(), "its head speaks of 4294967295 bytes, and 2 are there");
    }

    #[test]
    fn zeros_without_end_are_not_unpacked() {
        let error = decode(&pack(&vec![0; UNPACKED_BYTES_MAX + 1])).unwrap_err();
        assert_eq!(error, "it has more than 58720256 bytes when it is unpacked");
    }

    fn pack(unpacked: &[u8]) -> String {
        let mut packed = [PACKED_COOKIE.to_be_bytes(), [0; 4]].concat();
        let mut encoder = flate2::write::ZlibEncoder::new(&mut packed, flate2::Compression::fast());
        encoder.write_all(unpacked).unwrap();
        encoder.finish().unwrap();
        STANDARD.encode(packed)
    }

    #[test]
    fn latency_is_in_microseconds() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        assert_eq!(latency(&histogram), None);
        for ms in 1..=100 {
            histogram.record(ms * 1_000_000).unwrap();
        }
        let found = latency(&histogram).unwrap();
        // 1 to 100 ms: the 50th, 90th, 95th and 99th of them, and the last; a histogram of three digits is exact to 0.1 %.
        let expected = [
            (found.min, 1.0),
            (found.mean, 50.5),
            (found.p50, 50.0),
            (found.p90, 90.0),
            (found.p95, 95.0),
            (found.p99, 99.0),
            (found.p999, 100.0),
            (found.p9999, 100.0),
            (found.max, 100.0),
        ];
        for (us, ms) in expected {
            assert!((us / 1e3 - ms).abs() <= ms / 1e3, "{us} µs for {ms} ms");
        }
    }

    #[test]
    fn the_log_has_a_line_for_each_round_and_is_read_by_the_librarys_iterator() {
        let mut limited = round(5.0, &[7.0; 5]);
        limited.generator.bottleneck = Some("its busiest thread\nnever slept".to_owned());
        let report = report(vec![
            point("clients=1, rate=2", vec![round(1.0, &[2_000.0; 10]), limited, round(0.0, &[])]),
            point("", vec![round(1.0, &[3_500.0; 4])]),
        ]);
        let mut log = Vec::new();
        write_log(&mut log, &report).unwrap();
        let entries: Vec<_> = IntervalLogIterator::new(&log).map(Result::unwrap).collect();
        let began = Duration::from_secs(report.began_unix_s);
        assert_eq!(entries[..2], [LogEntry::StartTime(began), LogEntry::BaseTime(began)]);
        let rounds: Vec<_> = entries[2..]
            .iter()
            .map(|entry| {
                let LogEntry::Interval(interval) = entry else { panic!("{entry:?}") };
                let count = decode(interval.encoded_histogram()).unwrap().len();
                let tag = interval.tag().map(|tag| tag.as_str());
                (tag, interval.start_timestamp(), interval.duration(), interval.max().round(), count)
            })
            .collect();
        let ten = Duration::from_secs(10);
        assert_eq!(
            rounds,
            [(Some("clients=1__rate=2"), Duration::ZERO, ten, 2.0, 10), (None, ten * 3, ten, 4.0, 4)],
            "windows of 10 s end to end; 3.5 ms is written as 3.5 and rounded here"
        );
        let text = String::from_utf8(log).unwrap();
        assert!(text.contains(
            "#clients=1__rate=2 round 2: the generator is the bottleneck: its busiest thread\n#never slept\n"
        ));
        assert!(text.contains("#clients=1__rate=2 round 3: nothing was answered\n"));
    }
}

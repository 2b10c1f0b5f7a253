//! What `compare` and `ab` print alike: a line for each quantity with one word of what it shows, and the sentences that make a
//! comparison doubtful.

use super::statistics::Interval;
use crate::result::grid::{Grid, plain};
use crate::result::number::{DASH, percent};
use crate::result::summary::{Metric, spread};
use crate::result::verdict::verdict;
use crate::result::{Report, table};

/// One quantity on both sides.
#[derive(Debug)]
pub struct Difference {
    /// Which.
    pub metric: Metric,
    /// Its values, one for each round.
    pub a: Vec<f64>,
    #[allow(missing_docs)]
    pub b: Vec<f64>,
    /// The ratio b/a.
    pub interval: Option<Interval>,
}

impl Difference {
    /// What the interval shows, in a word. A word that says which is better needs an interval of 95 % without 1 in it.
    pub fn word(&self) -> &'static str {
        let (more, less) = match self.metric {
            Metric::Rate => ("faster", "slower"),
            Metric::ServerCpu => ("dearer", "cheaper"),
            _ => ("slower", "faster"),
        };
        match self.interval {
            None => "",
            Some(interval) if !interval.is_confident() => "too few rounds",
            Some(interval) if interval.low > 1.0 => more,
            Some(interval) if interval.high < 1.0 => less,
            Some(_) => "no difference shown",
        }
    }

    /// Whether either side has it.
    fn is_known(&self) -> bool {
        !self.a.is_empty() || !self.b.is_empty()
    }

    fn cells(&self) -> [String; 5] {
        let median = |values: &[f64]| {
            spread(values).map_or_else(|| DASH.to_owned(), |found| self.metric.unit().write(found.median))
        };
        let ratio = self.interval.map_or_else(|| DASH.to_owned(), |interval| write(&interval));
        [self.metric.name().to_owned(), median(&self.a), median(&self.b), ratio, self.word().to_owned()]
    }
}

/// The lines of one point under a heading. The server's processor time has a line only if it was measured.
pub fn table(heading: &str, differences: impl IntoIterator<Item = Difference>) -> String {
    let mut grid = Grid::default();
    grid.row([heading, "a", "b", "b/a"]);
    for difference in differences {
        if difference.metric != Metric::ServerCpu || difference.is_known() {
            grid.row(difference.cells());
        }
    }
    grid.write(0, false)
}

/// `1.104 (1.073–1.131, 96.9 %)`. Three decimals, so that a bound just beyond 1 does not read as 1; one round has no bounds.
fn write(interval: &Interval) -> String {
    if interval.confidence == 0.0 {
        return format!("{:.3}", interval.ratio);
    }
    let Interval { ratio, low, high, confidence } = interval;
    format!("{ratio:.3} ({low:.3}–{high:.3}, {})", percent(*confidence))
}

/// Whom a report asked, in a line.
pub fn target(report: &Report) -> String {
    let target = &report.target;
    let server = if target.server.is_empty() { String::new() } else { format!(", {}", plain(&target.server)) };
    format!("{} ({}){server}", plain(&target.address), plain(&target.protocol))
}

/// What differs although only the numbers should, in sentences.
pub fn differences(a: &Report, b: &Report) -> Vec<String> {
    // All digits: two requests may differ by a byte.
    let request = |report: &Report| format!("{} bytes with {} rows", report.target.request_bytes, report.target.rows);
    let machine = |report: &Report| {
        let machine = &report.machine;
        format!("{}, {} cores, {}, TCP {}", machine.processor, machine.cores, machine.system, machine.congestion)
    };
    let (here, there) = (&a.target, &b.target);
    let mut found = Vec::new();
    let mut differ = |what: &str, same: bool, a: &str, b: &str| {
        if !same {
            found.push(format!("the {what} differ: {} and {}", plain(a), plain(b)));
        }
    };
    differ("targets", here.address == there.address, &here.address, &there.address);
    differ("protocols", here.protocol == there.protocol, &here.protocol, &there.protocol);
    differ("models", here.signature == there.signature, &here.signature, &there.signature);
    differ("requests", request(a) == request(b), &request(a), &request(b));
    differ("machines", machine(a) == machine(b), &machine(a), &machine(b));
    differ("versions of graphpipe-loadgen", a.version == b.version, &a.version, &b.version);
    for point in &a.points {
        let Some(other) = b.points.iter().find(|other| other.label == point.label) else { continue };
        let (load, other_load) = (table::load(&point.load), table::load(&other.load));
        let what =
            if point.label.is_empty() { "loads".to_owned() } else { format!("loads of {}", plain(&point.label)) };
        differ(&what, point.load == other.load, &load, &other_load);
    }
    found
}

/// Why the numbers of one report may not be the server's, in sentences: failures, the generator, other programs.
pub fn doubts(name: &str, report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let verdict = verdict(report);
    if !verdict.clean {
        found.push(format!("{name}: {}", verdict.sentence));
    }
    for point in &report.points {
        let reasons = point.rounds.iter().filter_map(|round| round.generator.bottleneck.as_deref());
        let label = if point.label.is_empty() { String::new() } else { format!(", {}", plain(&point.label)) };
        if let Some(reason) = reasons.clone().next() {
            let rounds = format!("{} of {} rounds, which do not count", reasons.count(), point.rounds.len());
            found.push(format!("{name}{label}: the generator is the bottleneck in {rounds}: {}", plain(reason)));
        }
    }
    found.extend(table::others(report).map(|warning| format!("{name}: {warning}")));
    found
}

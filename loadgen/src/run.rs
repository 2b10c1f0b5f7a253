//! The whole of one command: its settings, their rounds in turn, or the search for a knee; and where the results go.

use crate::cli::{Loop, Results, Run};
use crate::engine::Live;
use crate::machine::{self, Busy};
use crate::plot::{self, Series};
use crate::result::{self, FORMAT, Point, Report, Round};
use crate::session::{self, Session};
use crate::{measure, progress};
use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Measures what the command line says.
pub fn run(options: &Run) -> Result<Report> {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let session = Session::new(options)?;
    let settings = match &options.loop_.sweep {
        Some(sweep) => sweep.settings(&options.loop_),
        None => vec![(String::new(), options.loop_.clone())],
    };
    for (label, load) in &settings {
        session::possible(load).with_context(|| label.clone())?;
    }
    let before = (Busy::now(), machine::own_seconds());
    let (points, knee) = match &options.loop_.find_knee {
        Some(objective) => find_knee(&session, objective, options)?,
        None => (take_turns(&session, &settings, options.inputs.seed)?, None),
    };
    let others_busy = match (before, Busy::now(), &session.processes) {
        ((Some(busy_before), own_before), Some(busy), Some(_)) => {
            let servers: f64 = points.iter().map(|point| server_seconds(point, &options.loop_)).sum();
            Some(busy.others_since(&busy_before, machine::own_seconds() - own_before + servers))
        }
        _ => None,
    };
    Ok(Report {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: std::env::args().collect(),
        began_unix_s: began,
        machine: machine::describe(others_busy),
        target: session.describe(),
        points,
        knee,
    })
}

/// What the server has used in all rounds of a point, about: what it used in the windows, for the warm-ups as well.
fn server_seconds(point: &Point, load: &Loop) -> f64 {
    let warmup = measure::warmup(load).as_secs_f64();
    let of_round = |round: &Round| round.server.as_ref().map_or(0.0, |server| server.cores * (round.seconds + warmup));
    point.rounds.iter().map(of_round).sum()
}

/// Rounds of all settings, in turn: what happens to the machine meanwhile happens to all of them.
fn take_turns(session: &Session, settings: &[(String, Loop)], seed: u64) -> Result<Vec<Point>> {
    let mut points: Vec<Point> = settings
        .iter()
        .map(|(label, load)| Point { label: label.clone(), load: measure::describe(load), rounds: Vec::new() })
        .collect();
    let rounds = settings.first().map_or(0, |(_, load)| load.rounds);
    for index in 0..rounds {
        for (point, (label, load)) in points.iter_mut().zip(settings) {
            let what = format!("round {}/{rounds} {label}", index + 1);
            point.rounds.push(one_round(session, load, &what, seed.wrapping_add(index as u64))?);
        }
    }
    Ok(points)
}

fn one_round(session: &Session, load: &Loop, what: &str, seed: u64) -> Result<Round> {
    let live = Live::default();
    let expected = measure::warmup(load) + load.duration;
    progress::while_running(what, expected, &live, || measure::round(session, load, seed, &live))
}

/// Measures a closed loop first, which says how much the server can do, and then rates.
fn find_knee(
    session: &Session,
    objective: &crate::knee::Objective,
    options: &Run,
) -> Result<(Vec<Point>, Option<result::Knee>)> {
    let seed = options.inputs.seed;
    let closed = options.loop_.clone();
    let capacity = one_round(session, &closed, "capacity", seed)?.rate;
    let mut points = Vec::new();
    let knee = objective.search(capacity, |rate| {
        let load = Loop { rate: Some(rate), ..options.loop_.clone() };
        let label = format!("rate={rate:.0}");
        let mut rounds = Vec::new();
        for index in 0..load.rounds {
            let what = format!("{label} {}/{}", index + 1, load.rounds);
            rounds.push(one_round(session, &load, &what, seed.wrapping_add(index as u64))?);
        }
        let point = Point { label, load: measure::describe(&load), rounds };
        let latency = result::summary::merged(&point).map_err(anyhow::Error::msg)?;
        let verdict = objective.judge(rate, &point.rounds, latency.as_ref());
        points.push(point);
        Ok(verdict)
    })?;
    Ok((points, Some(knee)))
}

/// Writes a result to wherever it was asked for.
pub fn write(report: &Report, results: &Results) -> Result<()> {
    if let Some(path) = &results.csv {
        result::csv::write(create(path)?, report).map_err(anyhow::Error::msg)?;
    }
    if let Some(path) = &results.hdr {
        result::hdr::write_log(&mut create(path)?, report).map_err(anyhow::Error::msg)?;
    }
    if let Some(path) = &results.plot {
        let series = [Series { name: report.target.address.clone(), report }];
        plot::draw(path, "", &series).map_err(|error| anyhow!("--plot: {error}"))?;
    }
    if let Some(path) = &results.json {
        result::json::write(path, report).map_err(anyhow::Error::msg)?;
    }
    if results.json.as_deref() != Some(Path::new("-")) {
        print!("{}", result::table::render(report));
    }
    Ok(())
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?))
}

//! The whole of one command: its settings, their rounds in turn, or the search for a knee; and where the results go.

use crate::cli::{Loop, Results, Run};
use crate::engine::Live;
use crate::engine::mixed;
use crate::knee::Objective;
use crate::machine::{self, Busy};
use crate::plot::{self, Series};
use crate::result::{self, FORMAT, Point, Report, Round};
use crate::session::{self, Session};
use crate::{measure, progress};
use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Measures what the command line says.
pub fn run(options: &Run) -> Result<(Report, Files)> {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let settings = match &options.loop_.sweep {
        Some(sweep) => sweep.settings(&options.loop_),
        None => vec![(String::new(), options.loop_.clone())],
    };
    for (label, load) in &settings {
        let possible = session::possible(load);
        if label.is_empty() { possible? } else { possible.with_context(|| label.clone())? }
    }
    let session = Session::new(options)?;
    let files = Files::create(&options.results)?;
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
    let report = Report {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: std::env::args().collect(),
        began_unix_s: began,
        machine: machine::describe(others_busy),
        target: session.describe(),
        points,
        knee,
    };
    Ok((report, files))
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
            point.rounds.push(one_round(session, load, &what, mixed(seed, index as u64))?);
        }
    }
    Ok(points)
}

fn one_round(session: &Session, load: &Loop, what: &str, seed: u64) -> Result<Round> {
    let live = Live::default();
    let expected = measure::warmup(load) + measure::window(load, session.replay.as_deref());
    progress::while_running(what, expected, &live, || measure::round(session, load, seed, &live))
}

/// Measures a closed loop first, which says how much the server can do, and then rates.
fn find_knee(session: &Session, objective: &Objective, options: &Run) -> Result<(Vec<Point>, Option<result::Knee>)> {
    let seed = options.inputs.seed;
    let closed = Loop { rate: None, ..options.loop_.clone() };
    let capacity = one_round(session, &closed, "capacity", seed)?;
    let most = capacity.rate;
    let mut points =
        vec![Point { label: "capacity".to_owned(), load: measure::describe(&closed), rounds: vec![capacity] }];
    let knee = objective.search(most, |rate| {
        let load = Loop { rate: Some(rate), ..options.loop_.clone() };
        let label = format!("rate={rate:.0}");
        let mut rounds = Vec::new();
        for index in 0..load.rounds {
            let what = format!("{label} {}/{}", index + 1, load.rounds);
            rounds.push(one_round(session, &load, &what, mixed(seed, index as u64))?);
        }
        let point = Point { label, load: measure::describe(&load), rounds };
        let latency = result::summary::merged(&point).map_err(anyhow::Error::msg)?;
        let verdict = objective.judge(&point.rounds, latency.as_ref());
        points.push(point);
        Ok(verdict)
    })?;
    let remark = knee.remark.clone().or_else(|| places_are_few(&knee, &points));
    Ok((points, Some(result::Knee { remark, ..knee })))
}

/// Says so if the rate that did not hold failed for want of connections: another number of them may hold more.
fn places_are_few(knee: &result::Knee, points: &[Point]) -> Option<String> {
    let failed = points.iter().rev().find(|point| point.load.rate == knee.failed_at)?;
    let waited = |round: &Round| {
        let late = round.late.as_ref()?;
        Some(late.sent_late.saturating_sub(late.own_fault) as f64 > PLACES_FEW * round.intended as f64)
    };
    let (clients, pipeline) = (failed.load.clients, failed.load.pipeline);
    failed.rounds.iter().filter_map(waited).any(|waited| waited).then(|| {
        format!(
            "there all {clients} connections with {pipeline} under way on each were busy; more --clients may hold more"
        )
    })
}

/// Connections are too few if more than this part of the requests waited for one for more than a millisecond.
const PLACES_FEW: f64 = 0.01;

/// The files that results go to, made before anything is measured: what cannot be written is known then.
#[derive(Debug)]
pub struct Files {
    csv: Option<File>,
    hdr: Option<File>,
}

impl Files {
    fn create(results: &Results) -> Result<Files> {
        let create = |path: &PathBuf| File::create(path).with_context(|| path.display().to_string());
        if let Some(path) = &results.plot {
            plot::check(path).map_err(|error| anyhow!("--plot: {error}"))?;
            create(path)?;
        }
        if let Some(path) = results.json.as_ref().filter(|path| *path != Path::new("-")) {
            create(path)?;
        }
        let (csv, hdr) = (results.csv.as_ref().map(create).transpose()?, results.hdr.as_ref().map(create).transpose()?);
        Ok(Files { csv, hdr })
    }
}

/// Writes a result to wherever it was asked for: first what has everything. Returns whether all of it could be said: a
/// picture of nothing cannot be drawn, which is no reason to throw the rest away.
pub fn write(report: &Report, files: Files, results: &Results) -> Result<bool> {
    if let Some(path) = &results.json {
        result::json::write(path, report).map_err(anyhow::Error::msg)?;
    }
    if results.json.as_deref() != Some(Path::new("-")) {
        crate::say(&result::table::render(report))?;
    }
    if let Some(file) = files.csv {
        result::csv::write(file, report).map_err(anyhow::Error::msg)?;
    }
    if let Some(file) = files.hdr {
        let mut writer = BufWriter::new(file);
        result::hdr::write_log(&mut writer, report).map_err(anyhow::Error::msg)?;
        writer.flush().context("--hdr")?;
    }
    let Some(path) = &results.plot else { return Ok(true) };
    let series = [Series { name: report.target.address.clone(), report }];
    if let Err(error) = plot::draw(path, "", &series) {
        eprintln!("--plot: {error}");
        return Ok(false);
    }
    Ok(true)
}

//! Everything that is the same for all rounds: whom to ask, what the model takes, and the requests as bytes. What cannot be
//! asked is refused here, before the first request.

use crate::ask::{self, Question};
use crate::check::{Checker, Expect};
use crate::cli::{Checks, Inputs, Loop, Run};
use crate::engine::{CLIENTS_MAX, PIPELINE_MAX};
use crate::inputs::{self, Request, Wanted};
use crate::protocol::{Dialect, Encoded, Protocol};
use crate::server::{Metrics, Processes};
use crate::signature::{Io, Signature};
use crate::target::{Endpoint, Target};
use crate::{measure, replay, result};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::net::sockopt::set_tcp_congestion;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::time::Duration;

/// What was prepared.
#[derive(Debug)]
pub struct Session {
    /// As on the command line.
    pub address: String,
    /// Whom to ask.
    pub target: Target,
    /// How.
    pub dialect: Dialect,
    /// What the model takes and gives; empty if the protocol has no way to say it.
    pub signature: Signature,
    /// The requests as bytes.
    pub encoded: Vec<Encoded>,
    /// Rows of the first one.
    pub rows: u64,
    /// What compares the replies.
    pub checker: Option<Checker>,
    /// The server's processes.
    pub processes: Option<Processes>,
    /// The server's page of metrics.
    pub metrics: Option<Metrics>,
    /// The times of --replay.
    pub replay: Option<Arc<[u64]>>,
}

/// The server has not said what the model takes. That is its fault, not the command line's.
#[derive(Debug, thiserror::Error)]
#[error("what the model takes is not known: {0}")]
pub struct Silent(String);

/// Descriptors that are not connections.
const OTHER_DESCRIPTORS: u64 = 64;

impl Session {
    /// Asks the server for the model's signature and makes the requests. Every error says what to do.
    pub fn new(run: &Run) -> Result<Session> {
        let address = run.target.clone().context("a TARGET is needed")?;
        let target = Target::parse(&address).map_err(anyhow::Error::msg)?;
        let protocol = run.protocol.unwrap_or(target.protocol);
        if target.protocol == Protocol::GraphpipeHttp && protocol == Protocol::Native {
            bail!("native frames are spoken on tcp://HOST:PORT and unix:PATH, not on {address}");
        }
        congestion_is_there(&run.loop_, &target)?;
        let replay = run.loop_.replay.as_deref().map(replay::read).transpose()?;
        say_what_is_cut(&run.loop_, replay.as_deref());
        let processes = match &run.checks.server_pids[..] {
            [] => None,
            pids => Some(Processes::new(pids)?),
        };
        let dialect =
            Dialect { protocol, host: target.host.clone(), path: target.path.clone(), model: run.model.clone() };
        let signature = match signature(&dialect, &target, run.loop_.timeout) {
            Ok(signature) => signature,
            // Who says what is to be sent does not need to be told what would be taken.
            Err(silent) if !run.inputs.shapes.is_empty() || !run.inputs.files.is_empty() => {
                eprintln!("{silent}; --shape and --input are taken at their word");
                Signature::default()
            }
            Err(silent) => return Err(silent.into()),
        };
        let replied = Signature { outputs: asked_outputs(&run.outputs, &signature)?, ..signature.clone() };
        let requests = inputs::requests(&signature, &wanted(&run.inputs)?).map_err(anyhow::Error::msg)?;
        let encode = |request: &Request| dialect.encode(&request.inputs, &run.outputs);
        let encoded = requests.iter().map(encode).collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::msg)?;
        let checker = checker(&run.checks, &dialect, &replied, &requests)?;
        let metrics =
            Metrics::new(run.checks.metrics.as_deref(), &target, protocol, &run.checks.batch_metric, &signature.model)
                .map_err(|error| anyhow!("--metrics: {error}"))?;
        let rows = requests.first().map_or(1, |request| request.rows);
        Ok(Session { address, target, dialect, signature, encoded, rows, checker, processes, metrics, replay })
    }

    /// The session in results.
    pub fn describe(&self) -> result::Target {
        let known = !self.signature.inputs.is_empty() || !self.signature.outputs.is_empty();
        result::Target {
            address: self.address.clone(),
            protocol: self.dialect.protocol.to_string(),
            model: if self.signature.model.is_empty() { &self.dialect.model } else { &self.signature.model }.clone(),
            server: self.signature.server.clone(),
            signature: if known { self.signature.to_string() } else { String::new() },
            request_bytes: self.encoded.first().map_or(0, |request| request.bytes.len() as u64),
            rows: self.rows,
            distinct: self.encoded.len(),
        }
    }
}

/// Refuses what no server could make sense of.
pub fn possible(load: &Loop) -> Result<()> {
    ensure!(load.threads > 0, "--threads 0 sends nothing");
    ensure!((1..=CLIENTS_MAX).contains(&load.clients), "--clients is not between 1 and {CLIENTS_MAX}");
    ensure!((1..=PIPELINE_MAX).contains(&load.pipeline), "--pipeline is not between 1 and {PIPELINE_MAX}");
    ensure!(load.threads <= load.clients, "{} threads need as many --clients at least", load.threads);
    ensure!(load.rounds > 0, "--rounds 0 measures nothing");
    let shortest = Duration::from_millis(10);
    ensure!(
        load.duration.is_none_or(|time| time >= shortest),
        "--duration is below 10ms, in which nothing can be measured"
    );
    let has_rate = load.rate.is_some() || load.find_knee.is_some();
    ensure!(
        load.arrivals.is_none() || has_rate,
        "--arrivals says how a rate is spread, and there is none; give a --rate"
    );
    ensure!(load.timeout >= Duration::from_millis(1), "--timeout is below 1ms");
    if let Some(rate) = load.rate {
        ensure!(rate > 0.0 && rate <= 1e9, "--rate {rate} is not possible; it is requests per second, above 0");
    }
    raise_descriptors(load.clients)
}

/// A trace that is longer than the round is cut, which nobody should have to find out.
fn say_what_is_cut(load: &Loop, replay: Option<&[u64]>) {
    let end = measure::warmup(load) + measure::window(load, replay);
    let cut = replay.map_or(0, |times| times.iter().filter(|time| u128::from(**time) >= end.as_nanos()).count());
    if cut > 0 {
        eprintln!("--duration ends the round before the last {cut} requests of the trace");
    }
}

/// A congestion control that the system does not have is no fault of the server.
fn congestion_is_there(load: &Loop, target: &Target) -> Result<()> {
    let Some(name) = &load.congestion else { return Ok(()) };
    ensure!(matches!(target.endpoint, Endpoint::Tcp(_)), "--congestion {name} is for TCP, and this is a Unix socket");
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set_tcp_congestion(&socket, name).map_err(|error| {
        let there = "/proc/sys/net/ipv4/tcp_available_congestion_control";
        let known = std::fs::read_to_string(there).unwrap_or_default();
        anyhow!("--congestion {name}: {error}; there are: {}", known.trim())
    })
}

/// Each connection is a descriptor, of which the system allows few until it is asked.
fn raise_descriptors(clients: usize) -> Result<()> {
    let needed = clients as u64 + OTHER_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or(u64::MAX);
    ensure!(
        most >= needed,
        "--clients {clients} needs {needed} descriptors and {most} are allowed; raise it: ulimit -n {needed}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })?;
    Ok(())
}

/// What the server says of the model; nothing where the protocol has no such question.
fn signature(dialect: &Dialect, target: &Target, timeout: Duration) -> Result<Signature, Silent> {
    let Some(request) = dialect.signature_request() else { return Ok(Signature::default()) };
    let question = Question { endpoint: &target.endpoint, dialect, timeout };
    let answer = ask::ask(&question, &request, |reply| dialect.read_signature(reply));
    answer.and_then(|read| read).map_err(Silent)
}

/// The outputs that replies will have, in their order: those that are asked for, or all.
fn asked_outputs(names: &[String], signature: &Signature) -> Result<Vec<Io>> {
    if names.is_empty() {
        return Ok(signature.outputs.clone());
    }
    let find = |name: &String| {
        let known = signature.outputs.iter().find(|output| output.name == *name);
        let unknown = || Io { name: name.clone(), dtype: None, shape: None };
        match known {
            None if signature.outputs.is_empty() => Ok(unknown()),
            None => Err(anyhow!("--output {name}: the model has no such output; it is {signature}")),
            Some(output) => Ok(output.clone()),
        }
    };
    names.iter().map(find).collect()
}

fn wanted(inputs: &Inputs) -> Result<Wanted> {
    ensure!(inputs.distinct > 0, "--distinct 0 leaves nothing to send");
    Ok(Wanted {
        shapes: inputs.shapes.clone(),
        dtypes: inputs.dtypes.clone(),
        files: inputs.files.clone(),
        rows: inputs.rows,
        seed: inputs.seed,
        distinct: inputs.distinct,
    })
}

fn checker(checks: &Checks, dialect: &Dialect, signature: &Signature, requests: &[Request]) -> Result<Option<Checker>> {
    let Some(with) = &checks.verify else { return Ok(None) };
    let tolerance = checks.tolerance.unwrap_or(0.0);
    ensure!(tolerance >= 0.0 && tolerance.is_finite(), "--tolerance is not a number from 0 on");
    let expect = match with.as_str() {
        "echo" => Expect::Echo,
        "first" => Expect::First,
        file => Expect::Golden(file.into()),
    };
    let checker = Checker::new(&expect, tolerance, dialect, signature, requests);
    Ok(Some(checker.map_err(|error| anyhow!("--verify {with}: {error}"))?))
}

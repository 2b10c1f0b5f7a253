//! Daemon and load generator together, each a process on a core of its own, by the transport that both sides speak. The floor
//! of echo is a bare epoll server that a bare client asks, with as many bytes on the wire; the floor of the sample model is
//! that and then the bare loop of its framework, one after the other, without anything between the two. It is calculated from
//! these two, which are measured.
//!
//! Neither side spins, so that no floor sleeps where the daemon stays awake; what spinning gains is in `latency`.

use super::NO_SPIN;
use super::transport::Transport;
use crate::crowd::{Crowd, Load};
use crate::daemon::Daemon;
use crate::exchange::Exchange;
use crate::floor::{Floor, Shape};
use crate::framework::{BareLoop, DIGITS, Runs};
use crate::generator::{Found, Generator, Question};
use crate::options::Bench;
use crate::spread::{Spread, quantile};
use crate::table::Table;
use crate::usage::Cpu;
use anyhow::{Context, Result};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The part of a window in which a core is taken to be the bottleneck; some of it always goes to interrupts.
const BUSY: f64 = 0.9;

/// How long the run takes that verifies replies and learns their size.
const FIRST: Duration = Duration::from_millis(500);

/// HTTP has one request under way on a connection.
fn loads(transport: Transport) -> &'static [Load] {
    if transport == Transport::Http { &Load::ALL[..2] } else { &Load::ALL }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Echo,
    Digits,
}

impl Model {
    /// What the generator is told of it.
    fn request(self, golden: &Golden) -> Vec<String> {
        let picture = golden.input.display().to_string();
        let words: [&str; 4] = match self {
            Model::Echo => ["--model", "echo", "--shape", "1,200"],
            Model::Digits => ["--model", "digits", "--input", &picture],
        };
        words.map(str::to_owned).into()
    }

    /// How its replies are verified, before anything is measured.
    fn verification(self, golden: &Golden) -> String {
        if self == Model::Echo { "echo".to_owned() } else { golden.expected.display().to_string() }
    }

    /// What stands below the daemon in the table.
    fn floor_name(self) -> &'static str {
        match self {
            Model::Echo => "floor: bare epoll",
            Model::Digits => "calculated: bare epoll + bare ONNX Runtime",
        }
    }

    fn name(self) -> &'static str {
        if self == Model::Echo { "echo" } else { "digits" }
    }
}

/// The picture of all requests to the sample model, and what the bare framework makes of it, not the daemon.
struct Golden {
    input: PathBuf,
    expected: PathBuf,
    /// Where both are.
    _folder: TempDir,
}

impl Golden {
    fn of(bare: &mut BareLoop) -> Result<Golden> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let [input, expected] = ["picture.npy", "probabilities.npy"].map(|name| folder.path().join(name));
        let [picture, probabilities] = bare.golden()?;
        std::fs::write(&input, picture).context("the picture")?;
        std::fs::write(&expected, probabilities).context("what the framework makes of it")?;
        Ok(Golden { input, expected, _folder: folder })
    }
}

/// What is measured in each round.
struct Case {
    model: Model,
    transport: Transport,
    load: Load,
    question: Question,
    /// As many bytes as generator and daemon exchange.
    sizes: Exchange,
    daemon: Vec<Found>,
    floor: Vec<Found>,
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let generator = Generator::find(bench)?;
    let mut bare = BareLoop::open()?;
    let golden = Golden::of(&mut bare)?;
    let digits = format!("digits={DIGITS}");
    let daemon = Daemon::start(bench, &[&["--model", &digits], NO_SPIN.as_slice()].concat())?;
    let mut cases = Vec::new();
    for model in [Model::Echo, Model::Digits] {
        for transport in Transport::ALL {
            cases.extend(cases_of(&generator, &daemon, model, transport, &golden)?);
        }
    }
    let mut runs = Vec::new();
    for round in 0..bench.rounds {
        let bare = bare.run(bench)?;
        runs.push(bare);
        for index in bench.order(round, cases.len()) {
            let case = &mut cases[index];
            case.daemon.push(generator.run(&case.question, case.load, bench.duration, &[])?);
            let socket = socket_floor(bench, case)?;
            let floor = if case.model == Model::Echo { socket } else { one_after_the_other(&socket, &bare, case.load) };
            case.floor.push(floor);
        }
    }
    print(&cases, &runs);
    daemon.stop()
}

/// Verifies what a model answers over a transport, and learns the sizes on the wire.
fn cases_of(
    generator: &Generator,
    daemon: &Daemon,
    model: Model,
    transport: Transport,
    golden: &Golden,
) -> Result<Vec<Case>> {
    let question = transport.question(daemon, model.request(golden));
    let verify = ["--verify", &model.verification(golden)];
    let first = generator.run(&question, Load::ALL[0], FIRST, &verify)?;
    let sizes = Exchange::of_sizes(first.request_bytes, first.reply_bytes)?;
    let cases = loads(transport).iter().map(|load| Case {
        model,
        transport,
        load: *load,
        question: question.clone(),
        sizes: sizes.clone(),
        daemon: vec![],
        floor: vec![],
    });
    Ok(cases.collect())
}

/// A bare server, asked by a bare client.
fn socket_floor(bench: &Bench, case: &Case) -> Result<Found> {
    let floor = Floor::start(bench, Shape::Many, case.transport.family(), &case.sizes)?;
    let mut crowd = Crowd::timed(floor.address(), &case.sizes, case.load)?;
    crowd.run(bench.duration / 5)?;
    crowd.take_round_trips();
    let (ours, before, begin) = (Cpu::of(std::process::id())?, Cpu::of(floor.pid())?, Instant::now());
    let replies = crowd.run(bench.duration)?;
    let (cpu, elapsed) = (Cpu::of(floor.pid())?.since(&before), begin.elapsed());
    let ours = Cpu::of(std::process::id())?.since(&ours);
    let mut round_trips = crowd.take_round_trips();
    round_trips.sort_unstable();
    let micros = |part| quantile(&round_trips, part) as f64 / 1e3;
    Ok(Found {
        rate: replies as f64 / elapsed.as_secs_f64(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        server_us: cpu.micros_per(replies),
        client_us: ours.micros_per(replies),
        is_client_bound: ours.seconds() > cpu.seconds() && ours.seconds() > BUSY * elapsed.as_secs_f64(),
        ..Found::default()
    })
}

/// What a server on one core takes for a model that does nothing but its sockets, and then a run of its framework for each
/// request. A request waits for the runs of all that are under way with it. A server that runs several of them as one batch
/// can take less. There is no p99: those of two parts do not add up to that of the whole.
fn one_after_the_other(socket: &Found, bare: &Runs, load: Load) -> Found {
    let waits = (load.connections * load.depth) as f64;
    Found {
        rate: 1.0 / (1.0 / socket.rate + 1.0 / bare.rate),
        p50_us: socket.p50_us + waits * bare.p50_us,
        server_us: socket.server_us + bare.p50_us,
        is_client_bound: socket.is_client_bound,
        ..Found::default()
    }
}

fn print(cases: &[Case], runs: &[Runs]) {
    println!(
        "Clients × requests of each under way; microseconds. The generator and the bare client have one thread each.\n"
    );
    let mut columns = vec!["model", "transport", "clients", "server"];
    columns.extend(COLUMNS.iter().flat_map(|(name, _)| [name, "/ floor"]));
    let mut table = Table::new(&columns);
    for case in cases {
        let floor = case.model.floor_name();
        for (server, found) in [("daemon", &case.daemon), (floor, &case.floor)] {
            let mut cells = vec![case.model.name().to_owned(), case.transport.to_string(), case.load.to_string()];
            cells.push(server.to_owned());
            let is_floor = server == floor;
            for (name, of) in COLUMNS {
                let has_floor = case.model == Model::Echo || name != P99;
                let values = |found: &[Found]| found.iter().map(of).collect::<Vec<f64>>();
                let (ours, floors) = (values(found), values(&case.floor));
                let ratio = || Spread::of_ratios(&ours, &floors).to_string();
                cells.push(if is_floor && !has_floor { String::new() } else { Spread::of(&ours).to_string() });
                cells.push(if is_floor || !has_floor { String::new() } else { ratio() });
            }
            table.row(&cells.iter().map(|cell| cell as &dyn Display).collect::<Vec<_>>());
        }
    }
    table.print();
    print_client_bound(cases);
    let spread = |of: fn(&Runs) -> f64| Spread::of(&runs.iter().map(of).collect::<Vec<f64>>());
    println!(
        "\nA run of the bare ONNX Runtime takes {} µs, p99 {} µs.",
        spread(|runs| runs.p50_us),
        spread(|runs| runs.p99_us)
    );
}

/// Names the rows whose numbers are the client's: there the daemon could do more, or the floor.
fn print_client_bound(cases: &[Case]) {
    for case in cases {
        for (found, text) in [
            (&case.daemon, "the generator's core was the bottleneck"),
            (&case.floor, "the bare client's core was the bottleneck of the floor, which could be higher"),
        ] {
            let rounds = found.iter().filter(|found| found.is_client_bound).count();
            if rounds > 0 {
                let row = format!("{} over {}, {}", case.model.name(), case.transport, case.load);
                println!("\n{row}: in {rounds} of {} rounds {text}.", found.len());
            }
        }
    }
}

/// A name, and what stands below it.
type Column = (&'static str, fn(&Found) -> f64);

/// What is printed of each measurement.
const COLUMNS: [Column; 4] = [
    ("1000 requests/s", |found| found.rate / 1e3),
    ("p50", |found| found.p50_us),
    (P99, |found| found.p99_us),
    ("server's CPU", |found| found.server_us),
];

/// The column that a calculated floor does not have.
const P99: &str = "p99";

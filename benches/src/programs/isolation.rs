//! What a model that crashes costs its neighbours: three small models are asked at the same rate, one in the daemon and two in
//! processes of their own, and one of those two is ended again and again by a signal. The others' latencies stand beside those of
//! windows in which nothing is ended. Nobody has a core to himself here: a start is work, and whoever is woken meanwhile has
//! to get past it.

use crate::address::Family;
use crate::aim::{self, Aim};
use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::generator::{Begun, Generator, Paced, Question, warm_up};
use crate::interval::Interval;
use crate::metrics;
use crate::models;
use crate::options::Bench;
use crate::programs::transport::Transport;
use crate::spread::Spread;
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Requests per second of each model.
const RATE: f64 = 500.0;
/// Their connections.
const LOAD: Load = Load { connections: 4, depth: 4 };
/// So many windows of each kind for each round.
const PAIRS: usize = 2;
/// So many times the duration of a measurement is a window.
const WINDOW: u32 = 24;
/// How long a process lives: so long that it has earned the shortest pause before the next.
const LIFE: Duration = Duration::from_secs(3);
/// How much longer the slowest of a hundred may take.
const FARTHEST: f64 = 1.1;
/// The models, and whether each has a process of its own. The last is the one that is ended.
const MODELS: [(&str, &str); 3] = [("within", "none"), ("apart", "process"), ("hit", "process")];
const HIT: usize = MODELS.len() - 1;

/// What was found of each model.
type Found = [Paced; MODELS.len()];

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let path = models::mlp()?.path;
    let path = path.to_str().context("the path of the model is not text")?;
    let table = |(name, isolation)| format!("[model.{name}]\npath = \"{path}\"\nisolation = \"{isolation}\"\n");
    let file = folder.path().join("graphpiped.toml");
    std::fs::write(&file, MODELS.map(table).concat()).context("a configuration")?;
    let daemon = Daemon::start_anywhere(bench, &["--config", &file.to_string_lossy()])?;
    let generator = Generator::find(bench)?;
    let window = bench.duration * WINDOW;
    // Whatever is done at the first request of all has been done.
    measure(&generator, &daemon, window / 4, 0)?;
    let (mut calm, mut hit, mut kills) = (Vec::new(), Vec::new(), 0);
    for round in 0..bench.rounds * PAIRS {
        for index in bench.order(round, 2) {
            let wanted = if index == 0 { 0 } else { (window.as_secs() / LIFE.as_secs()).max(1) };
            let found = measure(&generator, &daemon, window, wanted)?;
            kills += wanted;
            [&mut calm, &mut hit][index].push(found);
        }
    }
    let restarts: u64 = metrics::read(&daemon.address(Family::Unix), "graphpiped_isolated_restarts_total")?
        .iter()
        .map(|(_, value)| value)
        .sum();
    ensure!(restarts == kills, "{kills} processes were ended, and {restarts} were started again");
    println!(
        "Three models (784 → 128 → 10, f32), {RATE} requests/s each over UDS, one row in each; windows of {window:?}. SIGSEGV to \
         the process of `hit` every {LIFE:?} in every other window, {kills} times in all; every request was answered, those of \
         the other two with outputs. The ratio is the median of those of neighbouring windows, with its interval of 95 % confidence.\n"
    );
    print(&calm, &hit)?;
    daemon.stop()
}

/// Asks all of them for so long; meanwhile the process of the last is ended so many times.
fn measure(generator: &Generator, daemon: &Daemon, window: Duration, kills: u64) -> Result<Found> {
    let question = |name: &str| -> Question {
        let request = ["--model", name, "--rows", "1"].map(str::to_owned).into();
        Transport::Unix.question(daemon, request)
    };
    let begin = Instant::now() + warm_up(window);
    let mut begun = Vec::new();
    for (name, _) in MODELS {
        begun.push(generator.begin(&question(name), LOAD, window, RATE)?);
    }
    for kill in 0..kills {
        let at = begin + LIFE * kill as u32 + LIFE / 2;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        kill_process(process_of(daemon, MODELS[HIT].0)?, Signal::SEGV).context("SIGSEGV")?;
    }
    let found = begun.into_iter().map(Begun::found).collect::<Result<Vec<Paced>>>()?;
    for ((name, _), found) in MODELS.iter().zip(&found) {
        check(found, kills > 0 && *name == MODELS[HIT].0).with_context(|| (*name).to_owned())?;
    }
    found.try_into().ok().context("as many as there are models")
}

/// Every request was answered, and only of a model that was hit by something else than outputs.
fn check(found: &Paced, is_hit: bool) -> Result<()> {
    let answered = |kind: &String| kind.starts_with("busy") || kind.starts_with("internal");
    let errors = &found.errors;
    ensure!(errors.is_empty() || is_hit && errors.keys().all(answered), "there were errors: {errors:?}");
    let answers = found.right + errors.values().sum::<u64>();
    // Those that are under way at either end of the window belong to one of the two.
    let under_way = (LOAD.connections * LOAD.depth) as u64;
    ensure!(answers.abs_diff(found.intended) <= under_way, "{answers} answers to {} requests", found.intended);
    Ok(())
}

/// The process of a model: a child of one of the daemon's threads, whose last argument is the model's name.
fn process_of(daemon: &Daemon, name: &str) -> Result<Pid> {
    let deadline = Instant::now() + LIFE;
    while Instant::now() < deadline {
        for task in std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).context("the daemon's threads")? {
            let children = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace() {
                let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                if command.split(|byte| *byte == 0).rev().nth(1) == Some(name.as_bytes()) {
                    return child.parse().ok().and_then(Pid::from_raw).context("a process has a number");
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    anyhow::bail!("there is no process of the model {name}")
}

fn print(calm: &[Found], hit: &[Found]) -> Result<()> {
    let mut table = Table::new(&[
        "model",
        "p50 (µs)",
        "beside a crash",
        "p99 (µs)",
        "beside a crash",
        "p99, ratio",
        "their mean",
        "n",
    ]);
    let mut aims = Vec::new();
    for (index, (name, isolation)) in MODELS.iter().enumerate() {
        let p50 = |found: &[Found]| -> Vec<f64> { found.iter().map(|found| found[index].p50_us).collect() };
        let p99 = |found: &[Found]| -> Vec<f64> { found.iter().map(|found| found[index].p99_us).collect() };
        let mean = Interval::of_ratios(&p99(hit), &p99(calm))?;
        let ratio = Interval::of_median_ratio(&p99(hit), &p99(calm))?;
        let title = if *isolation == "none" { format!("{name}, in the daemon") } else { format!("{name}, isolated") };
        table.row(&[
            &title,
            &Spread::of(&p50(calm)),
            &Spread::of(&p50(hit)),
            &Spread::of(&p99(calm)),
            &Spread::of(&p99(hit)),
            &if index == HIT { "of those with outputs".to_owned() } else { ratio.to_string() },
            &if index == HIT { String::new() } else { mean.to_string() },
            &calm.len(),
        ]);
        if index != HIT {
            aims.push((name, ratio));
        }
    }
    table.print();
    let errors: u64 = hit.iter().flat_map(|found| found[HIT].errors.values()).sum();
    let intended: u64 = hit.iter().map(|found| found[HIT].intended).sum();
    let late = calm.iter().chain(hit).flatten().filter(|found| found.is_client_bound).count();
    if late > 0 {
        println!("\nIn {late} of {} runs the generator says that it was late itself.", 2 * calm.len() * MODELS.len());
    }
    println!("\nOf the {intended} requests to `hit` in windows with crashes {errors} were refused or failed.");
    for (name, ratio) in aims {
        aim::print(&format!("p99 of `{name}` beside a crash / without"), Aim::AtMost(FARTHEST), "", ratio.ratio);
    }
    Ok(())
}

//! Where results go, and what is made of them.

use crate::program::{RAW, is_answered, loadgen, measured, number};
use crate::server::Server;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn every_form_of_a_result_is_written_and_read_again() {
    let server = Server::echo();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (url, files) = (server.url(), ["a.json", "a.csv", "a.hdr", "a.svg"].map(path));
    let options = ["--sweep", "clients=1,2", "--rounds", "2", "--duration", "200ms", "--warmup", "0s", "--rate", "200"];
    let writes = ["--json", &files[0], "--csv", &files[1], "--hdr", &files[2], "--plot", &files[3]];
    let outcome = loadgen(&[&[url.as_str()][..], &RAW, &options, &writes].concat());
    assert!([0, 2].contains(&outcome.code), "{}", outcome.stderr);
    for (file, expected) in files.iter().zip(["\"clients=2\"", "clients=1", "Histogram log format", "<svg"]) {
        let text = std::fs::read_to_string(file).expect("it is written");
        assert!(text.contains(expected), "{file}: {text:.400}");
    }
    let compared = loadgen(&["compare", &files[0], &files[0]]);
    assert_eq!(compared.code, 0, "{}", compared.stderr);
    assert!(compared.stdout.contains("clients=2") && compared.stdout.contains("p99"), "{}", compared.stdout);
    let picture = path("all.png");
    let plotted = loadgen(&["plot", &format!("first={}", files[0]), &files[0], "--out", &picture, "--title", "twice"]);
    assert_eq!(plotted.code, 0, "{}", plotted.stderr);
    assert!(std::fs::read(Path::new(&picture)).expect("it is written").starts_with(b"\x89PNG"));
}

#[test]
fn two_commands_are_compared_in_turn() {
    let server = Server::echo();
    let program = env!("CARGO_BIN_EXE_graphpipe-loadgen");
    let command = |clients: usize| {
        let options = RAW.join(" ");
        format!(
            "{program} {} {options} --clients {clients} --rate 200 --rounds 1 --duration 100ms --warmup 0s --json -",
            server.url()
        )
    };
    let outcome = loadgen(&["ab", "--a", &command(1), "--b", &command(2), "--rounds", "6"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("p99") && outcome.stdout.contains("rate"), "{}", outcome.stdout);
    let broken = loadgen(&["ab", "--a", &command(1), "--b", "echo no >&2; exit 3", "--rounds", "1"]);
    assert_eq!(broken.code, 1);
    assert!(broken.stderr.contains("no") && broken.stderr.contains('3'), "{}", broken.stderr);
}

#[test]
fn the_server_is_measured_by_its_process() {
    let server = Server::echo();
    // Not who answers, but who works: a shell that does nothing else.
    let mut busy = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell");
    let pid = busy.id().to_string();
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &["--server-pid", &pid, "--rate", "100"]].concat());
    busy.kill().expect("it runs");
    busy.wait().expect("it ends");
    assert!(is_answered(&outcome, &report), "{} {report:#}", outcome.stderr);
    let cores = number(&report, "/server/cores");
    assert!((0.1..1.1).contains(&cores), "{report:#}");
    let (per_request, rate) = (number(&report, "/server/cpu_us_per_request"), number(&report, "/rate"));
    assert!((per_request * rate / 1e6 / cores - 1.0).abs() < 0.01, "{per_request} µs at {rate}/s");
    assert!((1e5..1e8).contains(&number(&report, "/server/rss_bytes")), "a shell is small");
}

/// One connection and 2 ms for each request: it can do 500 per second and no more. Random arrivals wait the longer the
/// nearer they come to that, so half of the requests are faster than 10 ms only somewhat below.
#[test]
fn the_knee_is_below_what_the_server_can_do() {
    let server = Server::answering(|request| {
        std::thread::sleep(Duration::from_millis(2));
        crate::server::ok(&request.body)
    });
    let options = ["--find-knee", "p50<10ms", "--arrivals", "poisson", "--rounds", "1", "--duration", "1s"];
    // Where others need the cores, the program says that it was late itself, and finds nothing. Then it is asked again.
    let deadline = Instant::now() + Duration::from_mins(2);
    let report = loop {
        let (outcome, report) = measured(&server.url(), &[&RAW[..], &options].concat());
        if outcome.code == 0 {
            break report;
        }
        let remark = report["knee"]["remark"].as_str().unwrap_or_default();
        let is_its_own_fault = remark.contains("the generator is the bottleneck");
        assert!(is_its_own_fault && Instant::now() < deadline, "{} {report:#}", outcome.stderr);
    };
    let rate = report["knee"]["rate"].as_f64().expect("a knee");
    assert!((150.0..500.0).contains(&rate), "{rate}");
    assert!(report["points"].as_array().expect("steps").len() > 3);
    let steps: Vec<&Value> = report["points"].as_array().expect("steps").iter().map(|point| &point["label"]).collect();
    println!("{steps:?}");
}

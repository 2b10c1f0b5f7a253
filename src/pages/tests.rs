//! Pages without HTTP. The expected JSON is what GraphPipe's own servers show.

use super::*;
use crate::cli::Options;
use crate::model::Served;
use crate::queue::ModelQueue;
use crate::registry::{Entry, Registry};
use crate::returns::Returns;
use crate::returns::tests::Opened;
use crate::settings::{Machine, Settings};
use graphpiped_backend_api::{Backend, Dim};
use graphpiped_backend_echo::EchoBackend;
use graphpiped_memory::Pool;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

fn daemon() -> Daemon {
    let model = vec!["echo:".parse().unwrap(), "b=echo:".parse().unwrap()];
    let options = Options { model, io_threads: Some(2), ..Options::default() };
    let settings = Settings::resolve(options, None, &Machine { cores: 4, memory_bytes: 4 << 30 }).unwrap();
    let entry = |settings: &crate::settings::ModelSettings| {
        let model = EchoBackend.open(Path::new(""), &graphpiped_backend_api::Options::default()).unwrap();
        let served = Served::new(settings.clone(), model, None, &["echo".into(), "b".into()]);
        Entry { served: Arc::new(served), queue: Arc::new(ModelQueue::new(1, 0)) }
    };
    let registry = Registry::new(settings.models.iter().map(entry).collect());
    let returns: Arc<[_]> = (0..2).map(|_| Arc::new(Returns::new(Opened::new(1), 1))).collect();
    Daemon::new(&settings, 4, registry, Pool::new(1 << 20), Vec::new(), returns)
}

fn get(path: &str) -> (u16, String) {
    let page = page(&daemon(), path);
    (page.status, page.body)
}

#[test]
fn metadata_has_graphpipes_keys_in_graphpipes_order() {
    let (status, body) = get("/");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        r#"{{
    "Name": "echo",
    "Version": "{version}",
    "Server": "graphpiped",
    "Description": "echo model, served by graphpiped",
    "Inputs": [
        {{
            "Name": "input",
            "Description": "input float32 […]",
            "Shape": null,
            "Type": 10
        }}
    ],
    "Outputs": [
        {{
            "Name": "output",
            "Description": "output float32 […]",
            "Shape": null,
            "Type": 10
        }}
    ]
}}"#
    );
    assert_eq!((status, body), (200, expected));
}

#[test]
fn shapes_are_shown_and_lists_that_are_empty_are_null() {
    let dims = Some(vec![Dim::Symbol("N".into()), Dim::Fixed(3)]);
    let spec = TensorSpec { name: "x".into(), dtype: graphpipe_schema::DType::String, dims };
    let io = Io { name: "x".into(), description: String::new(), shape: spec.metadata_shape(), dtype: spec.dtype };
    let metadata = Metadata { inputs: vec![io], ..Metadata::default() };
    let signature = Signature { inputs: vec![spec], ..Signature::default() };
    let page: serde_json::Value = serde_json::from_str(&metadata_page(&metadata, &signature)).unwrap();
    assert_eq!(page["Inputs"][0]["Shape"], serde_json::json!([-1, 3]));
    assert_eq!(page["Inputs"][0]["Type"], 12);
    assert!(page["Outputs"].is_null());
}

#[test]
fn models_have_pages_and_strangers_are_told_who_has() {
    assert!(get("/models/b").1.contains("\"Name\": \"b\""));
    assert!(get("/models/b/").1.contains("\"Name\": \"b\""));
    assert!(get("/any/other/path").1.contains("\"Name\": \"echo\""));
    assert_eq!(get("/models/c"), (404, "unknown model \"c\"; these are served: echo, b\n".into()));
}

#[test]
fn lifecycle_routes_answer_as_graphpipes_do() {
    assert_eq!(get("/control/is_ready"), (200, "ok\n".into()));
    assert_eq!(get("/control/is_alive"), (200, "ok\n".into()));
    assert_eq!(get("/control/client_count"), (200, "0\n".into()));
    assert_eq!(get("/control/shutdown").0, 403);
    assert!(whatever_the_method("/control/is_ready") && whatever_the_method("/control/shutdown"));
    assert!(!whatever_the_method("/control/other") && !whatever_the_method("/metrics"));
}

#[test]
fn a_daemon_that_drains_is_alive_but_not_ready() {
    let daemon = daemon();
    daemon.control.drain();
    assert_eq!(page(&daemon, "/control/is_ready").status, 503);
    assert_eq!(page(&daemon, "/control/is_ready").body, "not ready\n");
    assert_eq!(page(&daemon, "/v2/health/ready").body, "{\"ready\":false}");
    assert_eq!(page(&daemon, "/control/is_alive").status, 200);
    assert_eq!(page(&daemon, "/v2/health/live").status, 200);
}

#[test]
fn health_is_json() {
    assert_eq!(get("/v2/health/live"), (200, "{\"live\":true}".into()));
    assert_eq!(get("/v2/health/ready"), (200, "{\"ready\":true}".into()));
}

#[test]
fn metrics_are_sums_over_reactors_and_each_is_declared_once() {
    let daemon = daemon();
    daemon.counters[0].requests_native.add(3);
    daemon.counters[1].requests_native.add(4);
    daemon.counters[1].replies_error[5].add(2);
    daemon.registry.entries()[1].served.counters.copied_align.add(100);
    daemon.registry.entries()[1].served.counters.run_nanoseconds.add(1_500_000_000);
    let text = page(&daemon, "/metrics").body;
    for line in [
        "graphpiped_requests_total{protocol=\"native\"} 7",
        "graphpiped_replies_error_total{code=\"busy\"} 2",
        "graphpiped_copied_bytes_total{where=\"align\"} 100",
        "graphpiped_copied_bytes_total{where=\"surprise\"} 0",
        "graphpiped_model_run_seconds_total{model=\"b\"} 1.5",
        "graphpiped_memory_budget_bytes 1048576",
        "# TYPE graphpiped_requests_total counter",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
    }
    let declared: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let names: HashSet<_> = declared.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(declared.len(), names.len());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(names.contains(name) && name.starts_with("graphpiped_"), "{line}");
    }
}

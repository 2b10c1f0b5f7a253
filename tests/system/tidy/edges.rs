//! Who may know whom. The lists say more than the manifests do: an edge that is in none of them is a change of the design,
//! and is made here first.

use super::text;
use crate::support::daemon::root;
use serde_json::Value;
use std::process::Command;

/// Each crate of the workspace, and the others that it may depend on.
const MAY_KNOW: &[(&str, &[&str])] = &[
    // Bytes: neither sockets, threads, clocks nor batching.
    ("graphpipe-schema", &[]),
    // Rows and generations: neither frames, dtypes, models, the operating system nor logs.
    ("graphpiped-batch", &[]),
    // Memory, of one request and of the rows of many: neither who fills it nor who reads it.
    ("graphpiped-memory", &["graphpiped-batch"]),
    // Frames and claims: neither models, frameworks nor configuration files.
    ("graphpiped-transport", &["graphpipe-schema", "graphpiped-batch", "graphpiped-memory"]),
    // A batch and its framework: neither memory pools, sockets nor each other.
    ("graphpiped-backend-api", &["graphpipe-schema"]),
    ("graphpiped-backend-echo", &["graphpipe-schema", "graphpiped-backend-api"]),
    (
        "graphpiped-backend-onnx",
        &[
            "graphpipe-schema",
            "graphpiped-backend-api",
            "graphpiped-backend-library",
            "graphpiped-backend-conformance",
            "graphpiped-model-format",
            "graphpiped-onnx-proto",
        ],
    ),
    // What a file is, by its bytes, and the bytes themselves: no framework, and not who opens it.
    ("graphpiped-model-format", &[]),
    // What somebody says about a model, as a signature would: neither the model nor its framework.
    ("graphpiped-model-description", &["graphpipe-schema", "graphpiped-backend-api", "graphpiped-model-format"]),
    (
        "graphpiped-backend-tensorflow",
        &[
            "graphpipe-schema",
            "graphpiped-backend-api",
            "graphpiped-backend-library",
            "graphpiped-backend-conformance",
            "graphpiped-model-format",
        ],
    ),
    // No framework of its own: nets are translated, and ONNX Runtime runs them, through the one backend that knows it.
    (
        "graphpiped-backend-caffe2",
        &[
            "graphpipe-schema",
            "graphpiped-backend-api",
            "graphpiped-backend-onnx",
            "graphpiped-model-format",
            "graphpiped-onnx-proto",
            "graphpiped-backend-conformance",
        ],
    ),
    (
        "graphpiped-backend-mxnet",
        &[
            "graphpipe-schema",
            "graphpiped-backend-api",
            "graphpiped-backend-library",
            "graphpiped-backend-conformance",
            "graphpiped-model-description",
            "graphpiped-model-format",
        ],
    ),
    // Messages of a format: not what they mean, nor who reads them.
    ("graphpiped-onnx-proto", &[]),
    (
        "graphpiped-backend-torch",
        &[
            "graphpipe-schema",
            "graphpiped-backend-api",
            "graphpiped-backend-library",
            "graphpiped-backend-conformance",
            "graphpiped-model-description",
            "graphpiped-model-format",
        ],
    ),
    // A batch, another process, and which files a model is: neither pools, nor which framework it is, which its tests alone know.
    (
        "graphpiped-backend-isolated",
        &[
            "graphpipe-schema",
            "graphpiped-backend-api",
            "graphpiped-model-description",
            "graphpiped-model-format",
            "graphpiped-backend-onnx",
            "graphpiped-backend-tensorflow",
            "graphpiped-backend-torch",
            "graphpiped-backend-mxnet",
            "graphpiped-backend-conformance",
        ],
    ),
    // Shared libraries: not what is in them.
    ("graphpiped-backend-library", &[]),
    // What is asked of every backend: none of them.
    ("graphpiped-backend-conformance", &["graphpipe-schema", "graphpiped-backend-api"]),
    // The wire: nothing of the server.
    ("graphpipe-client", &["graphpipe-schema"]),
    // The protocols: nothing of the server that it measures, lest it share its mistakes.
    ("graphpipe-loadgen", &["graphpipe-schema", "graphpipe-client"]),
    ("graphpiped", EVERYONE),
    // Pieces of the daemon are measured one by one.
    ("graphpiped-benches", EVERYONE),
];

/// Everyone who has a library.
const EVERYONE: &[&str] = &[
    "graphpiped-backend-conformance",
    "graphpiped",
    "graphpipe-schema",
    "graphpiped-batch",
    "graphpiped-memory",
    "graphpiped-transport",
    "graphpiped-backend-api",
    "graphpiped-backend-library",
    "graphpiped-model-format",
    "graphpiped-backend-echo",
    "graphpiped-backend-isolated",
    "graphpiped-backend-onnx",
    "graphpiped-backend-tensorflow",
    "graphpiped-backend-mxnet",
    "graphpiped-backend-torch",
    "graphpiped-backend-caffe2",
    "graphpipe-client",
];

/// Crates of others that would bring knowledge where it does not belong: who may depend on them, tests and benches aside.
const HOMES: &[(&str, &[&str])] = &[
    ("io-uring", &["graphpiped-transport"]),
    ("httparse", &["graphpiped-transport", "graphpipe-loadgen"]),
    ("tokio", &["graphpiped"]),
    ("tokio-uring", &["graphpiped"]),
    ("clap", &["graphpiped", "graphpipe-loadgen"]),
    ("toml", &["graphpiped", "graphpiped-model-description"]),
    ("mimalloc", &["graphpiped"]),
    ("ort", &["graphpiped-backend-onnx"]),
    ("prost", &["graphpiped-backend-tensorflow", "graphpiped-backend-caffe2", "graphpiped-onnx-proto"]),
    ("flatbuffers", &["graphpipe-schema"]),
];

/// The crates that contain unsafe code. Every other one forbids it.
const UNSAFE: &[&str] = &[
    "graphpiped-batch",
    "graphpiped-memory",
    "graphpiped-transport",
    "graphpiped-backend-library",
    "graphpiped-backend-isolated",
    "graphpiped-backend-onnx",
    "graphpiped-backend-tensorflow",
    "graphpiped-backend-mxnet",
    "graphpiped-backend-torch",
];

/// The crate that denies it instead: FlatBuffers' compiler wrote some, in a module that is excepted.
const UNSAFE_GENERATED: &str = "graphpipe-schema";

/// The packages of the workspace, as Cargo describes them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("packages are a list, not {other}"),
    }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is a string"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is a list"))
}

/// The complaint about an edge inside of the workspace, if it is a forbidden one.
fn forbidden(from: &str, to: &str) -> Option<String> {
    let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == from) else {
        return Some(format!("the crate {from} is not in the list"));
    };
    let ours = MAY_KNOW.iter().any(|(name, _)| *name == to);
    (ours && !allowed.contains(&to)).then(|| format!("{from} must not know {to}"))
}

#[test]
fn no_crate_knows_what_it_must_not_know() {
    let mut complaints = Vec::new();
    for package in packages() {
        let from = string(&package["name"]);
        complaints.extend(forbidden(from, from).filter(|complaint| complaint.contains("not in the list")));
        for dependency in list(&package["dependencies"]) {
            complaints.extend(forbidden(from, string(&dependency["name"])));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_forbidden_edge_is_found() {
    assert!(forbidden("graphpipe-schema", "graphpiped-transport").is_some());
    assert!(forbidden("graphpiped-backend-onnx", "graphpiped-memory").is_some());
    assert!(forbidden("some-new-crate", "graphpipe-schema").is_some());
    assert_eq!(forbidden("graphpiped-transport", "graphpipe-schema"), None);
    assert_eq!(forbidden("graphpiped-transport", "io-uring"), None);
}

#[test]
fn frameworks_rings_and_files_of_settings_stay_in_their_homes() {
    let mut complaints = Vec::new();
    for package in packages() {
        let from = string(&package["name"]);
        for dependency in list(&package["dependencies"]) {
            let to = string(&dependency["name"]);
            let is_for_tests = dependency["kind"] == "dev" || from == "graphpiped-benches";
            let stray = HOMES.iter().find(|(name, homes)| *name == to && !homes.contains(&from));
            if let (Some((_, homes)), false) = (stray, is_for_tests) {
                complaints.push(format!("{from} depends on {to}, whose home is {}", homes.join(", ")));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn only_the_listed_crates_contain_unsafe_code() {
    let mut complaints = Vec::new();
    for package in packages() {
        let name = string(&package["name"]);
        let level = if name == UNSAFE_GENERATED { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        for target in list(&package["targets"]) {
            let is_shipped = list(&target["kind"]).iter().any(|kind| ["lib", "bin"].contains(&string(kind)));
            let path = std::path::Path::new(string(&target["src_path"]));
            let source = text(path).expect("a source file");
            let is_said = source.lines().any(|line| line == level);
            match (is_shipped, UNSAFE.contains(&name)) {
                (true, false) if !is_said => complaints.push(format!("{} does not say {level}", path.display())),
                (true, true) if is_said => complaints.push(format!("{name} is listed, and says {level} all the same")),
                _ => {}
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// One list of versions: a member that names a version of its own may end up with a second copy of a crate.
#[test]
fn members_take_their_dependencies_from_the_workspace() {
    let mut complaints = Vec::new();
    for package in packages() {
        let path = std::path::Path::new(string(&package["manifest_path"]));
        let manifest = text(path).expect("a manifest");
        let mut section = "";
        for line in manifest.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            } else if section.ends_with("dependencies")
                && section != "workspace.dependencies"
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
            {
                complaints.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

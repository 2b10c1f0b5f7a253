//! `graphpiped runtime`: libraries that load, crash or are absent, and installations that cannot be. Nothing here uses a
//! network; what an installation does is tested beside its code.

use crate::support::daemon::root;
use crate::support::graphpiped;
use std::path::Path;
use std::process::{Command, Output};

/// A library that does this when it is loaded.
fn library(path: &Path, what: &str) {
    let folder = path.parent().expect("it lies in a folder");
    std::fs::create_dir_all(folder).expect("a folder");
    let source = folder.join("source.c");
    let program = format!("#include <stdlib.h>\n__attribute__((constructor)) static void start(void) {{ {what} }}\n");
    std::fs::write(&source, program).expect("a source file");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([path, &source]).status();
    assert!(status.expect("the C compiler that Rust links with").success());
}

/// The daemon's command, which looks for libraries where its arguments say.
fn command() -> Command {
    let mut command = graphpiped();
    for name in ["TENSORFLOW_DIR", "LIBTORCH", "MXNET_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    command
}

fn list(arguments: &[&str]) -> Vec<String> {
    let output = command().args(["runtime", "list"]).args(arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_string).collect()
}

#[test]
fn a_library_that_ends_its_process_does_not_end_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(root().join("runtime/onnxruntime"), folder.path().join("onnxruntime")).expect("a link");
    library(&folder.path().join("mxnet/libmxnet.so"), "abort();");
    library(&folder.path().join("tensorflow/libtensorflow_cc.so.2"), "");
    std::fs::create_dir(folder.path().join("torch")).expect("a folder");
    for name in ["lib", "build-version", "libgraphpiped_torch.so"] {
        let link =
            std::os::unix::fs::symlink(root().join("runtime/torch").join(name), folder.path().join("torch").join(name));
        link.expect("a link");
    }
    let place = folder.path().to_str().expect("text");
    let lines = list(&["--runtime", place]);
    let expected = [
        format!("onnx        1.32.0   {place}/onnxruntime/libonnxruntime.so"),
        format!(
            "tensorflow  broken   {place}/tensorflow/libtensorflow_cc.so.2: it is another library (there is no TF_Version \
             in it); get it with: graphpiped runtime install tensorflow"
        ),
        format!("torch       2.11.0   {place}/torch/lib/libtorch_cpu.so"),
        format!(
            "mxnet       broken   {place}/mxnet/libmxnet.so: it ends the process that loads it (signal 6); get it with: \
             graphpiped runtime install mxnet"
        ),
    ];
    assert_eq!(lines, expected);
}

/// As a model of it would: neither a library without the plugin will do, nor a plugin that cannot be loaded with it.
#[test]
fn pytorch_without_its_plugin_does_not_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join("torch").join(name);
    library(&path("lib/libtorch_cpu.so"), "");
    library(&path("lib/libc10.so"), "");
    std::fs::write(path("build-version"), "9.8.7\n").expect("it is written");
    let torch = || {
        let lines = list(&["--runtime", folder.path().to_str().expect("text")]);
        let line = lines.into_iter().find(|line| line.starts_with("torch")).expect("its line");
        line.replace(&folder.path().display().to_string(), "FOLDER")
    };
    let line = torch();
    let expected = "torch       broken   FOLDER/torch/lib/libtorch_cpu.so: no plugin for PyTorch to load: \
                    FOLDER/torch/libgraphpiped_torch.so: there is no such file; ";
    assert!(line.starts_with(expected) && line.ends_with("; build it with `make torch-plugin`"), "{line}");
    for (version, cause) in [
        ("9.7.0", "it is built for PyTorch 9.7.0, and FOLDER/torch/lib/libtorch_cpu.so is of 9.8.7"),
        ("9.8.0", "FOLDER/torch/libgraphpiped_torch.so: "),
    ] {
        let mark = format!("graphpiped-torch-plugin abi={} torch={version};", graphpiped_backend_torch::ABI);
        std::fs::write(path("libgraphpiped_torch.so"), mark).expect("it is written");
        let line = torch();
        assert!(line.starts_with("torch       broken   ") && line.contains(cause), "{line}");
        assert!(line.ends_with("; build it with `make torch-plugin`"), "{line}");
    }
}

/// Each framework, the library that it takes first, and a model of it.
const FRAMEWORKS: [(&str, &str, &str); 4] = [
    ("onnx", "onnxruntime/libonnxruntime.so", "digits.onnx"),
    ("tensorflow", "tensorflow/libtensorflow_cc.so.2", "digits.pb"),
    ("torch", "torch/lib/libc10.so", "digits.pt"),
    ("mxnet", "mxnet/libmxnet.so", "digits-symbol.json"),
];

/// The dynamic linker says of a library for another machine that there is no such file, and nothing of one that is cut short:
/// it ends by SIGBUS, and so would the daemon.
#[test]
fn a_library_that_cannot_be_loaded_here_is_named_with_the_command_that_gets_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |file: &str| folder.path().join(file);
    for (_, file, _) in FRAMEWORKS {
        library(&path(file), "");
    }
    library(&path("torch/lib/libtorch_cpu.so"), "");
    std::fs::write(path("torch/build-version"), "9.8.7\n").expect("it is written");
    let mark = format!("graphpiped-torch-plugin abi={} torch=9.8.0;", graphpiped_backend_torch::ABI);
    std::fs::write(path("torch/libgraphpiped_torch.so"), mark).expect("it is written");
    let whole = std::fs::read(path("mxnet/libmxnet.so")).expect("it is there");
    let spoilt = |at: usize, byte: u8| [&whole[..at], &[byte], &whole[at + 1..]].concat();

    let here = std::env::consts::ARCH;
    let (number, elsewhere) = if here == "aarch64" { (62, "x86_64") } else { (183, "aarch64") };
    let cases = [
        (spoilt(18, number), format!("it is for {elsewhere} (64 bits), and this program is for {here} (64 bits)")),
        (spoilt(4, 1), format!("it is for {here} (32 bits), and this program is for {here} (64 bits)")),
        (whole[..1000].to_vec(), "it is cut short: it has 1000 bytes, and ".to_string()),
        (b"404: Not Found\n".to_vec(), "it is no shared library".to_string()),
    ];
    for (bytes, cause) in cases {
        for (_, file, _) in FRAMEWORKS {
            std::fs::write(path(file), &bytes).expect("it is written");
        }
        let runtime = folder.path().to_str().expect("text");
        let lines = list(&["--runtime", runtime]);
        assert_eq!(lines.len(), FRAMEWORKS.len(), "{lines:?}");
        for ((name, file, model), listed) in FRAMEWORKS.into_iter().zip(lines) {
            let model = root().join("models/digits").join(model);
            let checked = command().arg("check").arg(model).args(["--runtime", runtime]).output().expect("it runs");
            assert_eq!(checked.status.code(), Some(1), "{name}: {checked:?}");
            let checked = String::from_utf8(checked.stderr).expect("text");
            assert_eq!(checked.lines().count(), 1, "{checked}");
            assert!(listed.starts_with(&format!("{name:<11} broken   ")), "{listed}");
            for line in [listed.as_str(), checked.trim_end()] {
                let (place, remedy) = (path(file), format!("; get it with: graphpiped runtime install {name}"));
                assert!(line.contains(&format!("{}: {cause}", place.display())) && line.ends_with(&remedy), "{line}");
            }
        }
    }
}

#[test]
fn what_is_absent_is_said_with_the_command_that_gets_it() {
    let lines = list(&["--runtime", "/nonexistent", "--onnxruntime", "/nonexistent/libonnxruntime.so"]);
    let expected = ["onnx", "tensorflow", "torch", "mxnet"];
    for (line, name) in lines.iter().zip(expected) {
        assert_eq!(*line, format!("{name:<11} absent   get it with: graphpiped runtime install {name}"));
    }
    assert_eq!(lines.len(), expected.len());
}

/// An installation with a Python that does this.
fn install(folder: &Path, python: &str, frameworks: &[&str]) -> Output {
    let path = folder.join("bin");
    std::fs::create_dir_all(&path).expect("a folder");
    std::fs::write(path.join("script"), format!("#!/bin/sh\n{python}\n")).expect("a script");
    // By another process: a child that another test has just begun may have inherited a file that is open for writing,
    // and such a one cannot be run.
    let copied = Command::new("install").args(["-m", "755"]).args([path.join("script"), path.join("python3")]).status();
    assert!(copied.expect("it runs").success());
    let mut command = graphpiped();
    command.args(["runtime", "install"]).args(frameworks).arg("--into").arg(folder.join("libraries"));
    command.env("PATH", format!("{}:/usr/bin:/bin", path.display())).output().expect("it runs")
}

#[test]
fn an_installation_that_fails_says_why_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    for (python, expected) in [
        ("exit 1", "python3 has no pip; "),
        ("test \"$3\" != download", "pip could not download and check ONNX Runtime 1.32.0"),
    ] {
        let output = install(folder.path(), python, &["onnx", "mxnet"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let last = text.lines().last().expect("a line");
        assert!(last.starts_with(&format!("graphpiped: {expected}")), "{text}");
        assert!(!folder.path().join("libraries/onnxruntime").exists());
    }
    let output = install(folder.path(), "exit 1", &["caffe"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("[possible values: onnx, tensorflow, torch, mxnet]"), "{text}");
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let libraries = folder.path().join("libraries");
    std::fs::create_dir(&libraries).expect("a folder");
    std::os::unix::fs::symlink(root().join("runtime/onnxruntime"), libraries.join("onnxruntime")).expect("a link");
    let output = install(folder.path(), "exit 1", &["onnx"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("ONNX Runtime 1.32.0 is in ") && text.contains(" already"), "{text}");
}

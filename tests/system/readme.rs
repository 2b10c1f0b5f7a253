//! The README's Rust example, run as it stands there, and whether its commands are there to be run: what needs a network, or
//! minutes, is not. The other examples are run by the compatibility tests.

#[path = "readme_example.rs"]
mod example;

use crate::support::Daemon;
use crate::support::daemon::root;
use clap::Parser;
use graphpiped::cli::Cli;
use std::collections::BTreeSet;
use std::process::Command;

/// The pictures of the digits 0 to 9: 640 float32 behind the header of NumPy's format.
fn pictures() -> Vec<[f32; 64]> {
    let file = std::fs::read(root().join("models/digits/images.npy")).expect("it is there");
    let values = &file[file.len() - 10 * 64 * 4..];
    let pixel = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    values.chunks_exact(256).map(|row| std::array::from_fn(|index| pixel(&row[4 * index..][..4]))).collect()
}

#[test]
fn the_example_recognises_every_digit() {
    let model = root().join("models/digits/digits.onnx");
    let daemon = Daemon::start(&["--model", model.to_str().expect("text")]);
    for address in daemon.addresses() {
        for (digit, pixels) in (0..).zip(pictures()) {
            assert_eq!(example::digit(&address.to_string(), &pixels).expect("an answer"), digit);
        }
    }
    daemon.stop();
}

#[test]
fn the_example_is_what_the_readme_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("it is there");
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Rust");
    let (_, example) = include_str!("readme_example.rs").split_once("\n\n").expect("a line that is not shown");
    assert_eq!(block, example);
}

/// The commands that the README shows, each as its words: lines that end in a backslash go on, and comments are left out.
fn commands() -> Vec<Vec<String>> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("it is there");
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().expect("it has an end"));
    let lines = blocks.map(|block| block.replace("\\\n", " ")).collect::<String>();
    let words =
        |line: &str| line.split(" #").next().unwrap_or_default().split_whitespace().map(str::to_string).collect();
    lines.lines().map(words).filter(|words: &Vec<String>| !words.is_empty()).collect()
}

#[test]
fn every_command_of_the_readme_can_be_run_as_it_is_typed() {
    let mut programs = BTreeSet::new();
    for command in commands() {
        let (program, arguments) = command.split_first().expect("it has words");
        programs.insert(program.clone());
        match program.as_str() {
            // What the packages that the README begins with bring, and what the commands before have made.
            "cargo" | "curl" | "python3" | "venv/bin/pip" | "venv/bin/python" | "target/release/graphpipe-loadgen" => {}
            "make" => {
                let mut dry = Command::new("make");
                dry.arg("--dry-run").args(arguments).current_dir(root()).env_remove("MAKEFLAGS");
                let output = dry.output().expect("it runs");
                assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            }
            "target/release/graphpiped" => {
                let cli = Cli::try_parse_from(&command);
                assert!(cli.is_ok(), "{command:?}: {}", cli.unwrap_err());
            }
            _ => panic!("{program} of {command:?} is not where a shell would find it"),
        }
        let named = arguments.iter().filter_map(|word| word.split_once('=')).map(|(_, path)| path);
        for path in named.filter(|path| path.starts_with("models/")) {
            assert!(root().join(path).exists(), "{path} of {command:?} is not there");
        }
    }
    assert!(programs.contains("make") && programs.contains("target/release/graphpiped"), "{programs:?}");
}

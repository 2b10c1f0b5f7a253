//! The command line, the environment, and what goes before what.

use super::*;
use crate::config;
use std::path::Path;

fn options(args: &[&str]) -> Options {
    let args = ["graphpiped", "serve"].iter().chain(args);
    match Cli::try_parse_from(args).expect("these arguments are right").command {
        Command::Serve(serve) => serve.options,
        other => unreachable!("serve was asked for, not {other:?}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn every_flag_is_an_environment_variable() {
    use clap::CommandFactory;
    let mut command = Cli::command();
    command.build();
    for name in ["serve", "check"] {
        let subcommand = command.find_subcommand(name).unwrap();
        for arg in subcommand.get_arguments().filter(|arg| arg.get_id() != "help" && !arg.is_positional()) {
            let flag = arg.get_long().expect("every option is long");
            let variable = format!("GRAPHPIPED_{}", flag.replace('-', "_").to_uppercase());
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(variable.as_str()));
        }
    }
}

#[test]
fn flags_can_be_repeated_and_separated_by_commas() {
    let options = options(&["-m", "a=1.onnx,b=2.onnx", "--model", "c=3.onnx", "-l", "[::1]:1", "-l", "unix:/x"]);
    let names: Vec<_> = options.model.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(options.listen.len(), 2);
}

#[test]
fn what_a_format_does_not_say_itself_can_be_said() {
    let said = options(&["--backend", "tensorflow", "--inputs", "a:0,b", "--outputs", "c", "--signature", "s"]);
    assert_eq!(
        (said.backend, said.inputs, said.outputs),
        (Some(BackendName::Tensorflow), strings(&["a:0", "b"]), strings(&["c"]))
    );
    assert_eq!((said.signature.as_deref(), said.trust_native), (Some("s"), None));
    let trusts = |args: &[&str]| options(args).trust_native;
    assert_eq!(trusts(&["--trust-native", "-m", "echo:"]), Some(true), "the next word is no value of it");
    assert_eq!((trusts(&["--trust-native=yes"]), trusts(&["--trust-native=false"])), (Some(true), Some(false)));
    let args =
        ["graphpiped", "check", "m.pb", "--backend", "onnx", "--inputs", "a", "--outputs", "b", "--signature", "s"];
    let args = args.iter().chain(&["--trust-native", "--runtime", "/r", "--onnxruntime", "/o", "--intra-threads", "3"]);
    let Command::Check(check) = Cli::try_parse_from(args).unwrap().command else { unreachable!("check was asked for") };
    let said = check.into_options();
    assert_eq!(said.model[0].source.path, Path::new("m.pb"));
    assert_eq!((said.backend, said.inputs, said.outputs), (Some(BackendName::Onnx), strings(&["a"]), strings(&["b"])));
    assert_eq!((said.signature.as_deref(), said.trust_native, said.intra_threads), (Some("s"), Some(true), Some(3)));
    assert_eq!((said.runtime, said.onnxruntime), (Some("/r".into()), Some("/o".into())));
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_file_says_of_formats_holds_where_no_flag_does() {
    let text = "backend = \"torch\"\ninputs = [\"a\"]\noutputs = [\"b\"]\nsignature = \"s\"\ntrust_native = true\nruntime = \"/r\"\n";
    let file = || config::parse(Path::new("f"), text).unwrap();
    let of = |said: Options| {
        let names = [said.inputs, said.outputs, said.signature.into_iter().collect()].concat().join(" ");
        (said.backend, names, said.trust_native, said.runtime)
    };
    let runtime = |path: &str| Some(PathBuf::from(path));
    assert_eq!(of(options(&[]).or(file())), (Some(BackendName::Torch), "a b s".into(), Some(true), runtime("/r")));
    let args = [
        "--backend",
        "mxnet",
        "--inputs",
        "c",
        "--outputs",
        "d",
        "--signature",
        "t",
        "--trust-native=no",
        "--runtime",
        "/t",
    ];
    let merged = of(options(&args).or(file()));
    assert_eq!(merged, (Some(BackendName::Mxnet), "c d t".into(), Some(false), runtime("/t")));
}

#[test]
fn modes_are_words() {
    let said = options(&["--batch", "on", "--inline", "never", "--cpus", "1,3-4", "--linger-us", "0"]);
    assert_eq!((said.batch, said.inline, said.linger_us), (Some(BatchMode::On), Some(InlineMode::Never), Some(0)));
    assert_eq!(said.cpus.map(|cpus| cpus.to_string()), Some("1,3-4".into()));
    let error = Cli::try_parse_from(["graphpiped", "serve", "--batch", "maybe"]).unwrap_err().to_string();
    assert!(error.contains("[possible values: auto, on, off]"), "{error}");
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_nothing() {
    let file = config::parse(Path::new("f"), "queue_max = 1\nspin_us = 2\nlisten = [\"unix:/file\"]\n").unwrap();
    let merged = options(&["--queue-max", "10"]).or(file);
    assert_eq!((merged.queue_max, merged.spin_us, merged.io_threads), (Some(10), Some(2), None));
    assert_eq!(merged.listen[0].to_string(), "unix:/file");
}

#[test]
fn what_the_file_says_of_batches_holds_where_no_flag_does() {
    let text = "batch = \"on\"\nmax_batch = 2\nlinger_us = 3\ninline = \"always\"\ninline_us = 4\ncpus = \"5\"\n";
    let file = || config::parse(Path::new("f"), text).unwrap();
    let of = |said: Options| {
        let cpus = said.cpus.map(|cpus| cpus.to_string());
        (said.batch, said.max_batch, said.linger_us, said.inline, said.inline_us, cpus)
    };
    let of_file = (Some(BatchMode::On), Some(2), Some(3), Some(InlineMode::Always), Some(4), Some("5".to_string()));
    assert_eq!(of(options(&[]).or(file())), of_file);
    let args = ["--batch", "off", "--max-batch", "7", "--linger-us", "8", "--inline", "never", "--inline-us", "9"];
    let merged = of(options(&[&args[..], &["--cpus", "6"]].concat()).or(file()));
    let of_flags = (Some(BatchMode::Off), Some(7), Some(8), Some(InlineMode::Never), Some(9), Some("6".to_string()));
    assert_eq!(merged, of_flags);
}

/// The environment belongs to the process, so this test runs itself again in one of its own.
#[test]
fn an_environment_variable_goes_before_the_file_and_after_the_flag() {
    const CHILD: &str = "cli::tests::an_environment_variable_goes_before_the_file_and_after_the_flag";
    if std::env::var_os("GRAPHPIPED_QUEUE_MAX").is_some() {
        let file = config::parse(Path::new("f"), "queue_max = 1\nspin_us = 2\nio_threads = 3\n").unwrap();
        let merged = options(&["--spin-us", "9"]).or(file);
        assert_eq!((merged.queue_max, merged.spin_us, merged.io_threads), (Some(7), Some(9), Some(3)));
        assert_eq!(merged.model.len(), 2);
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD])
        .envs([("GRAPHPIPED_QUEUE_MAX", "7"), ("GRAPHPIPED_SPIN_US", "8"), ("GRAPHPIPED_MODEL", "a=1.onnx,echo:")])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && output.contains("1 passed"), "{output}");
}

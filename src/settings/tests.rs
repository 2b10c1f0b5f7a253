//! Defaults, the default model, and settings that cannot be.

use super::*;
use crate::config;
use crate::units::ByteSize;

const MACHINE: Machine = Machine { cores: 16, memory_bytes: 64 << 30 };

fn with_models(texts: &[&str]) -> Options {
    Options { model: texts.iter().map(|text| text.parse().unwrap()).collect(), ..Options::default() }
}

fn resolve(options: Options) -> Result<Settings, String> {
    Settings::resolve(options, None, &MACHINE)
}

fn names(settings: &Settings) -> Vec<&str> {
    settings.models.iter().map(|model| model.name.as_str()).collect()
}

fn file(text: &str) -> Options {
    config::parse(Path::new("f"), text).unwrap()
}

#[test]
fn defaults_follow_from_the_machine() {
    let settings = resolve(with_models(&["echo:"])).unwrap();
    assert_eq!(settings.io_threads, 4, "a quarter of 16 cores");
    assert_eq!(settings.memory_bytes, 16 << 30, "a quarter of 64 GiB");
    assert_eq!((settings.models[0].intra_threads, settings.models[0].instances), (1, 12), "16 - 4 cores");
    let small = Settings::resolve(with_models(&["echo:"]), None, &Machine { cores: 1, memory_bytes: 1 << 30 }).unwrap();
    assert_eq!((small.io_threads, small.models[0].instances), (1, 1));
}

#[test]
fn threads_of_a_run_take_from_the_instances() {
    let settings = resolve(Options { intra_threads: Some(5), ..with_models(&["echo:"]) }).unwrap();
    assert_eq!(settings.models[0].instances, 2, "12 cores, 5 for each");
}

#[test]
fn cores_that_were_named_are_those_of_the_instances() {
    let cpus = || Some("0-2,5".parse().unwrap());
    let settings = resolve(Options { cpus: cpus(), ..with_models(&["echo:"]) }).unwrap();
    assert_eq!((settings.models[0].instances, settings.io_threads), (4, 4));
    assert_eq!(settings.cpus, cpus());
    let settings = resolve(Options { cpus: cpus(), intra_threads: Some(2), ..with_models(&["echo:"]) }).unwrap();
    assert_eq!(settings.models[0].instances, 2);
}

#[test]
fn batches_are_tried_and_not_waited_for_unless_somebody_says_so() {
    let settings = resolve(with_models(&["echo:"])).unwrap();
    let model = &settings.models[0];
    assert_eq!((model.batch, model.max_batch, model.linger), (BatchMode::Auto, None, Duration::ZERO));
    assert_eq!((settings.inline, settings.inline_time_max), (InlineMode::Auto, Duration::from_micros(200)));
    let text = "batch = \"off\"\nmax_batch = 64\nlinger_us = 50\ninline = \"always\"\ninline_us = 0\n\
                [model.a]\npath = \"a\"\nbatch = \"on\"\nmax_batch = 32768\nlinger_us = 1000000\n[model.b]\npath = \"b\"\n";
    let settings = resolve(file(text)).unwrap();
    let of = |model: &ModelSettings| (model.batch, model.max_batch, model.linger.as_micros());
    assert_eq!(of(&settings.models[0]), (BatchMode::On, Some(32_768), 1_000_000));
    assert_eq!(of(&settings.models[1]), (BatchMode::Off, Some(64), 50));
    assert_eq!((settings.inline, settings.inline_time_max), (InlineMode::Always, Duration::ZERO));
}

#[test]
fn the_first_model_is_the_default_unless_one_is_called_default() {
    assert_eq!(names(&resolve(with_models(&["b=1.onnx", "a=2.onnx"])).unwrap()), ["b", "a"]);
    let named = resolve(with_models(&["b=1.onnx", "a=2.onnx", "default=3.onnx", "c=4.onnx"])).unwrap();
    assert_eq!(names(&named), ["default", "b", "a", "c"]);
}

#[test]
fn models_of_the_file_keep_its_order_and_come_behind_those_of_the_command_line() {
    let options = with_models(&["x=1.onnx"]).or(file("[model.b]\npath = \"b\"\n[model.a]\npath = \"a\"\n"));
    assert_eq!(names(&resolve(options).unwrap()), ["x", "b", "a"]);
}

#[test]
fn the_command_line_may_replace_the_path_of_a_model_of_the_file() {
    let text = "instances = 9\nqueue_max = 8\n[model.a]\npath = \"old.onnx\"\ninstances = 3\nintra_threads = 2\n";
    let settings = resolve(with_models(&["a=new.onnx"]).or(file(text))).unwrap();
    let model = &settings.models[0];
    assert_eq!(model.source.path, Path::new("new.onnx"));
    assert_eq!((model.instances, model.intra_threads, model.queue_max), (3, 2, 8));
    assert_eq!(settings.models.len(), 1);
}

#[test]
fn the_backend_is_what_the_model_says_else_the_flag_else_open() {
    let backends = |options: Options| {
        let settings = resolve(options).unwrap();
        settings.models.iter().map(|model| model.source.backend).collect::<Vec<_>>()
    };
    let models = || with_models(&["a=1.pt", "b=onnx:2.onnx", "c=echo:"]);
    let (onnx, echo) = (Some(BackendName::Onnx), Some(BackendName::Echo));
    assert_eq!(backends(models()), [None, onnx, echo]);
    let torch = Some(BackendName::Torch);
    assert_eq!(backends(Options { backend: torch, ..models() }), [torch, onnx, echo]);
    let text = "backend = \"torch\"\n[model.a]\npath = \"a\"\n[model.b]\npath = \"b\"\nbackend = \"onnx\"\n[model.c]\nbackend = \"echo\"\n";
    assert_eq!(backends(file(text)), [torch, onnx, echo]);
    assert_eq!(backends(file(text.split_once('\n').unwrap().1)), [None, onnx, echo]);
    let replaced = with_models(&["b=new.onnx"]).or(file("[model.b]\npath = \"b\"\nbackend = \"torch\"\n"));
    assert_eq!(backends(replaced), [None], "the backend was said of the other path");
}

#[test]
fn what_a_format_does_not_say_is_what_the_model_says_else_the_flag() {
    let text = "inputs = [\"i\"]\noutputs = [\"o\"]\nsignature = \"s\"\ntrust_native = true\n[model.a]\npath = \"a\"\n\
                [model.b]\npath = \"b\"\ninputs = []\noutputs = [\"x\", \"y\"]\nsignature = \"t\"\ntrust_native = false\n";
    let settings = resolve(file(text)).unwrap();
    let of = |model: &ModelSettings| {
        (model.inputs.join(" "), model.outputs.join(" "), model.signature.clone().unwrap(), model.trust_native)
    };
    assert_eq!(of(&settings.models[0]), ("i".into(), "o".into(), "s".into(), true));
    assert_eq!(of(&settings.models[1]), (String::new(), "x y".into(), "t".into(), false));
    let model = &resolve(with_models(&["m.onnx"])).unwrap().models[0];
    assert!(model.inputs.is_empty() && model.outputs.is_empty() && model.signature.is_none() && !model.trust_native);
}

#[test]
fn gp_model_counts_when_nothing_else_names_a_model() {
    let gp_model = || Some("/m/digits.onnx".to_string());
    let settings = Settings::resolve(Options::default(), gp_model(), &MACHINE).unwrap();
    assert_eq!(names(&settings), ["digits"]);
    let settings = Settings::resolve(with_models(&["echo:"]), gp_model(), &MACHINE).unwrap();
    assert_eq!(names(&settings), ["echo"]);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let wrong = |options: Options, why: &str| {
        let message = resolve(options).expect_err(why);
        assert!(message.contains(why), "{message}");
    };
    let echo = || with_models(&["echo:"]);
    wrong(Options::default(), "no model to serve");
    wrong(with_models(&["a=1.onnx", "a=2.onnx"]), "two models are called \"a\"");
    wrong(Options { io_threads: Some(0), ..echo() }, "--io-threads 0");
    wrong(Options { io_threads: Some(5000), ..echo() }, "--io-threads 5000 is too much");
    wrong(Options { queue_max: Some(0), ..echo() }, "--queue-max 0");
    wrong(Options { max_batch: Some(0), ..echo() }, "--max-batch 0 would serve nobody");
    wrong(Options { max_batch: Some(32_769), ..echo() }, "--max-batch 32769 is too much: 32768 rows at most");
    wrong(Options { linger_us: Some(1_000_001), ..echo() }, "--linger-us 1000001 is too much");
    wrong(
        Options { connections_max: Some(usize::MAX), ..echo() },
        "--connections-max 18446744073709551615 is too much",
    );
    wrong(Options { memory: Some(ByteSize(4096)), ..echo() }, "--memory 4096 is too little");
    wrong(Options { message_bytes_max: Some(ByteSize(1 << 31)), ..echo() }, "--message-bytes-max 2147483648");
    let zero = Some(Span(Duration::ZERO));
    wrong(Options { head_timeout: zero, ..echo() }, "--head-timeout 0 would serve nobody");
    wrong(Options { idle_timeout: zero, ..echo() }, "--idle-timeout 0 would serve nobody");
    wrong(Options { progress_timeout: zero, ..echo() }, "--progress-timeout 0 would serve nobody");
    wrong(Options { zero_copy_send: Some(ByteSize(4096)), ..echo() }, "--zero-copy-send 4096 is too little");
    assert!(resolve(Options { drain_timeout: zero, spin_us: Some(0), ..echo() }).is_ok(), "at once, and never");
    wrong(file("[model.a]\n"), "[model.a] has no path");
    wrong(file("[model.a]\nbackend = \"torch\"\n"), "[model.a] has no path");
    let backend = Some(BackendName::Echo);
    wrong(Options { backend, ..with_models(&["a=1.onnx"]) }, "echo takes no path, but got \"1.onnx\"");
    wrong(file("[model.a]\nbackend = \"echo\"\npath = \"x\"\n"), "echo takes no path");
    wrong(file("[model.\"a b\"]\nbackend = \"echo\"\n"), "\"a b\" cannot be the name of a model");
}

#[test]
fn nothing_is_sent_without_a_copy_unless_somebody_says_from_which_size() {
    let bytes_min = |options: Options| resolve(options).unwrap().limits.zero_copy_send_bytes_min;
    assert_eq!(bytes_min(with_models(&["echo:"])), usize::MAX);
    assert_eq!(bytes_min(with_models(&["echo:"]).or(file("zero_copy_send = \"256K\"\n"))), 262_144);
    assert_eq!(bytes_min(Options { zero_copy_send: Some(ByteSize(4097)), ..with_models(&["echo:"]) }), 4097);
}

#[test]
fn the_default_addresses_are_graphpipes_and_a_socket_in_the_runtime_folder() {
    let shown: Vec<_> = default_addresses(Path::new("/run/graphpiped")).iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["tcp://127.0.0.1:9000", "unix:/run/graphpiped/graphpiped.sock"]);
}

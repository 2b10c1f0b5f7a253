//! How the daemon starts, and how it says why it does not: one line with the cause and the remedy, and exit code 1.

use crate::support::daemon::root;
use crate::support::{Connection, Daemon, Tensor, graphpiped, native};
use graphpipe_schema::DType;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

/// The daemon, about to serve on a socket that nobody else has.
fn serve(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = graphpiped();
    command.args(["serve", "--listen", &format!("unix:{}", folder.join("s").display())]).args(arguments);
    command
}

/// Fails unless the daemon ended with 1 and one complaint that has all these words.
fn assert_refuses_to_start(output: &Output, words: &[&str]) {
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let complaints: Vec<&str> = log.lines().filter(|line| !line.contains("INFO")).collect();
    assert_eq!(complaints.len(), 1, "{log}");
    for word in words {
        assert!(complaints[0].contains(word), "{word:?} is not in {:?}", complaints[0]);
    }
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = serve(folder.path(), &["--model", "m=/nonexistent/m.onnx"]).output().expect("it runs");
    assert_refuses_to_start(&output, &["/nonexistent/m.onnx"]);
}

#[test]
fn a_damaged_model_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.onnx");
    let whole = std::fs::read(root().join("models/digits/digits.onnx")).expect("the model of the project");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("it is written");
    let output = serve(folder.path(), &["--model", path.to_str().expect("text")]).output().expect("it runs");
    assert_refuses_to_start(&output, &["damaged.onnx"]);
}

#[test]
fn a_file_of_another_format_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [("text.onnx", &b"These are words.\n"[..]), ("empty.onnx", b""), ("zip.onnx", b"PK\x03\x04")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("it is written");
        let output = serve(folder.path(), &["--model", path.to_str().expect("text")]).output().expect("it runs");
        assert_refuses_to_start(&output, &[name]);
    }
}

#[test]
fn the_format_decides_which_backend_a_model_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    // `node { name: "x" op: "Relu" }`, in a file whose name says something else.
    let graph = folder.path().join("graph.onnx");
    std::fs::write(&graph, b"\x0a\x09\x0a\x01x\x12\x04Relu").expect("it is written");
    let absent = ["check", "--runtime", "/nonexistent"];
    let output = graphpiped().args(absent).arg(&graph).output().expect("it runs");
    assert_refuses_to_start(&output, &[graph.to_str().expect("text"), "graphpiped runtime install tensorflow"]);
    let output = graphpiped().arg("check").arg(format!("onnx:{}", graph.display())).output().expect("it runs");
    assert_refuses_to_start(&output, &[graph.to_str().expect("text"), "is a TensorFlow graph and not an ONNX model"]);
    let digits = folder.path().join("digits.pb");
    std::fs::copy(root().join("models/digits/digits.onnx"), &digits).expect("a copy");
    let output = graphpiped().arg("check").arg(&digits).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("digits (onnx:{})", digits.display())), "{text}");
}

#[test]
fn a_folder_is_no_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = format!("m={}", folder.path().display());
    let output = serve(folder.path(), &["--model", &model]).output().expect("it runs");
    assert_refuses_to_start(&output, &[folder.path().to_str().expect("text")]);
}

#[test]
fn without_onnx_runtime_the_command_that_gets_it_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = root().join("models/digits/digits.onnx");
    let output = serve(folder.path(), &["--onnxruntime", "/nonexistent/libonnxruntime.so", "--model"])
        .arg(&model)
        .output()
        .expect("it runs");
    assert_refuses_to_start(
        &output,
        &["/nonexistent/libonnxruntime.so", "get it with: graphpiped runtime install onnx"],
    );
}

#[test]
fn a_library_that_is_not_onnx_runtime_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libonnxruntime.so");
    std::fs::write(&library, b"no library").expect("it is written");
    let output = serve(folder.path(), &["--model"])
        .arg(root().join("models/digits/digits.onnx"))
        .env("ORT_DYLIB_PATH", &library)
        .output()
        .expect("it runs");
    assert_refuses_to_start(&output, &[library.to_str().expect("text")]);
}

#[test]
fn without_a_model_that_needs_it_onnx_runtime_may_be_absent() {
    Daemon::echo(&["--onnxruntime", "/nonexistent/libonnxruntime.so"]).stop();
}

#[test]
fn a_daemon_without_a_model_says_how_to_give_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = serve(folder.path(), &[]).output().expect("it runs");
    assert_refuses_to_start(&output, &["--model", "GP_MODEL"]);
}

#[test]
fn gp_model_names_a_model_as_it_did_for_graphpipe_s_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = serve(folder.path(), &[]).env("GP_MODEL", "/nonexistent/gp.onnx").output().expect("it runs");
    assert_refuses_to_start(&output, &["/nonexistent/gp.onnx"]);
}

#[test]
fn an_unknown_key_of_the_configuration_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("graphpiped.toml");
    std::fs::write(&config, "[model.echo]\nbackend = \"echo\"\ninstance = 2\n").expect("it is written");
    let output = serve(folder.path(), &["--config", config.to_str().expect("text")]).output().expect("it runs");
    assert_refuses_to_start(&output, &["graphpiped.toml:3", "instance"]);
}

#[test]
fn a_configuration_file_serves_several_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("graphpiped.toml");
    std::fs::write(&config, "[model.one]\nbackend = \"echo\"\n[model.two]\nbackend = \"echo\"\n")
        .expect("it is written");
    let daemon = Daemon::start(&["--config", config.to_str().expect("text")]);
    for (model, found) in [("one", true), ("two", true), ("", true), ("three", false)] {
        let mut connection = Connection::to(&daemon.unix);
        connection.send(&native::frame(1, &native::message(model, &[Tensor::zeros("", DType::Int8, &[2])], &[])));
        assert_eq!(connection.reply().header.flags == 0, found, "{model}");
    }
    daemon.stop();
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp://{}", taken.local_addr().expect("it has one"));
    let output = graphpiped().args(["serve", "--model", "e=echo:", "--listen", &address]).output().expect("it runs");
    assert_refuses_to_start(&output, &[&address]);
}

#[test]
fn a_socket_that_is_in_use_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).expect("it is free");
    let output = serve(folder.path(), &["--model", "e=echo:"]).output().expect("it runs");
    assert_refuses_to_start(&output, &[path.to_str().expect("text"), "in use"]);
    let _client = std::os::unix::net::UnixStream::connect(&path).expect("its owner still has it");
    listener.accept().expect("its owner still listens");
}

#[test]
fn a_socket_that_somebody_left_behind_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stale");
    drop(UnixListener::bind(&path).expect("it is free"));
    let daemon = Daemon::echo(&["--listen", &format!("unix:{}", path.display())]);
    let mut connection = Connection::to(&native::Address::Unix(path));
    connection.send(&native::frame(7, &native::message("", &[Tensor::zeros("", DType::Uint8, &[3])], &[])));
    assert_eq!(connection.reply().header.id, 7);
    daemon.stop();
}

#[test]
fn a_file_that_is_no_socket_is_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    std::fs::write(&path, "precious").expect("it is written");
    let output = serve(folder.path(), &["--model", "e=echo:"]).output().expect("it runs");
    assert_refuses_to_start(&output, &[path.to_str().expect("text")]);
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn sockets_belong_to_the_owner_alone_unless_said_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = folder.path().join("open");
    let daemon = Daemon::echo(&["--listen", &format!("unix:{}?mode=0666", open.display())]);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&daemon.socket()), 0o600);
    assert_eq!(mode(&open), 0o666);
    let socket = daemon.socket();
    daemon.stop();
    assert!(!open.exists() && !socket.exists(), "sockets were left behind");
}

#[test]
fn the_default_socket_lies_in_the_runtime_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = folder.path().join("graphpiped.sock");
    let listener = UnixListener::bind(&taken).expect("it is free");
    // That the path is refused as being in use shows that it is the default one. The port may be in use as well.
    for name in ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"] {
        let output = graphpiped()
            .args(["serve", "--model", "e=echo:"])
            .env_remove("RUNTIME_DIRECTORY")
            .env_remove("XDG_RUNTIME_DIR")
            .env(name, folder.path())
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains(taken.to_str().expect("text")) || log.contains("tcp://127.0.0.1:9000"), "{log}");
    }
    drop(listener);
}

#[test]
fn check_prints_what_would_be_served() {
    let model = root().join("models/digits/digits.onnx");
    let output = graphpiped().arg("check").arg(&model).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for word in ["float32", "input", "output", "threads", "memory", "batch"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn a_backend_may_be_named_instead_of_recognised() {
    let model = root().join("models/digits/digits.onnx");
    for arguments in [&["--backend", "onnx"][..], &["--backend", "torch"], &["--backend", "caffe"]] {
        let output = graphpiped().arg("check").arg(&model).args(arguments).output().expect("it runs");
        match arguments[1] {
            "onnx" => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains(&format!("onnx:{}", model.display())), "{text}");
            }
            "torch" => assert_refuses_to_start(&output, &[model.to_str().expect("text")]),
            _ => {
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(text.contains("[possible values: onnx, tensorflow, torch, mxnet, caffe2, echo]"), "{text}");
            }
        }
    }
}

#[test]
fn an_option_that_a_format_has_no_use_for_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("graphpiped.toml");
    let model = root().join("models/digits/digits.onnx");
    std::fs::write(&config, format!("[model.d]\npath = \"{}\"\nsignature = \"s\"\n", model.display()))
        .expect("written");
    let output = serve(folder.path(), &["--config", config.to_str().expect("text")]).output().expect("it runs");
    assert_refuses_to_start(&output, &[model.to_str().expect("text"), "leave out `signature`"]);
    let output = graphpiped().arg("check").arg(&model).args(["--inputs", "image"]).output().expect("it runs");
    assert_refuses_to_start(&output, &[model.to_str().expect("text"), "leave out `inputs`"]);
}

#[test]
fn the_folder_of_the_libraries_may_be_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = root().join("models/digits/digits.onnx");
    std::os::unix::fs::symlink(root().join("runtime/onnxruntime"), folder.path().join("onnxruntime")).expect("a link");
    let output = graphpiped().arg("check").arg(&model).arg("--runtime").arg(folder.path()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(folder.path().to_str().expect("text")), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn check_of_what_is_no_model_fails() {
    let output = graphpiped().args(["check", "/nonexistent/m.onnx"]).output().expect("it runs");
    assert_refuses_to_start(&output, &["/nonexistent/m.onnx"]);
}

/// Runs its arguments as a program for which `io_uring_setup` (425 on every architecture) fails with EPERM.
const WITHOUT_IO_URING: &str = "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b''.join(struct.pack('<HBBI', *rule) for rule in rules))
head = ctypes.create_string_buffer(struct.pack('<HxxxxxxQ', len(rules), ctypes.addressof(program)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, head, 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn without_io_uring_the_cause_is_said() {
    for arguments in [&["serve", "--listen", "tcp://127.0.0.1:0", "--model", "echo:"][..], &["check", "echo:"]] {
        let mut python = Command::new("python3");
        python.args(["-c", WITHOUT_IO_URING]).arg(graphpiped().get_program()).args(arguments);
        assert_refuses_to_start(&python.output().expect("python3 runs"), &["io_uring"]);
    }
}

#[test]
fn a_pipe_a_socket_and_a_device_are_no_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe.onnx");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let socket = folder.path().join("socket.onnx");
    let _listener = UnixListener::bind(&socket).expect("it is free");
    for path in [&pipe, &socket, Path::new("/dev/zero")] {
        let model = format!("m={}", path.display());
        let output = serve(folder.path(), &["--model", &model]).output().expect("it runs");
        assert_refuses_to_start(&output, &[path.to_str().expect("text"), "not a regular file"]);
    }
}

#[test]
fn a_level_of_the_log_that_does_not_exist_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for log in ["foo", "inof", "graphpiped=verbose", "info,graphpiped", "info,", " "] {
        let output = serve(folder.path(), &["--model", "m=/nonexistent/m.onnx", "--log", log]).output();
        assert_refuses_to_start(&output.expect("it runs"), &["--log", "error, warn, info, debug, trace and off"]);
    }
    for log in ["off", "WARN", "info,graphpiped=trace"] {
        let output = serve(folder.path(), &["--model", "m=/nonexistent/m.onnx", "--log", log]).output();
        let log = String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned();
        assert!(log.contains("/nonexistent/m.onnx"), "{log}");
    }
}

#[test]
fn an_empty_environment_variable_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = ["GP_MODEL", "GRAPHPIPED_MODEL", "GRAPHPIPED_MEMORY", "GRAPHPIPED_CONFIG", "GRAPHPIPED_LOG"];
    let empty = variables.map(|name| (name, ""));
    let output = serve(folder.path(), &[]).envs(empty).output().expect("it runs");
    assert_refuses_to_start(&output, &["no model to serve"]);
    let check = graphpiped().args(["check", "echo:"]).env("GRAPHPIPED_INTRA_THREADS", "").output().expect("it runs");
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
}

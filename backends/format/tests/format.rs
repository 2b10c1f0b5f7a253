//! Models of every format, and what is taken for one: real ONNX files, and the others byte by byte as their `.proto` files
//! and programs have it.

use graphpiped_model_format::{Format, expect, model_bytes, recognise};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
    std::fs::write(&path, content).expect("a file");
    path
}

/// The format of a file with this content, or what stands behind its path.
fn of(content: &[u8]) -> Result<Format, String> {
    let folder = folder();
    refusal(&write(folder.path(), "model", content))
}

fn refusal(path: &Path) -> Result<Format, String> {
    recognise(path).map_err(|message| {
        assert!(!message.contains('\n'), "{message}");
        let why = message.strip_prefix(&format!("{}: ", path.display())).expect("the path comes first");
        assert!(why.contains("; "), "a remedy: {why}");
        why.to_string()
    })
}

fn assert_refused(content: &[u8], expected: &str) {
    let why = of(content).expect_err(expected);
    assert!(why.starts_with(expected), "{why}");
}

/// A field with a length: its tag, its length, and these bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a short field of a test");
    assert!(number < 16 && length < 128, "tag and length have a byte each");
    [&[number << 3 | 2, length], content].concat()
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn archive(names: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in names {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(b"content").expect("its content");
    }
    writer.finish().expect("an archive").into_inner()
}

#[test]
fn every_model_of_the_onnx_backends_tests_is_onnx() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/models");
    let mut count = 0;
    for entry in models.read_dir().expect("the models are there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "onnx") {
            assert_eq!(recognise(&path), Ok(Format::Onnx));
            count += 1;
        }
    }
    assert!(count > 30, "only {count} models are there");
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/digits.onnx");
    assert_eq!(recognise(&digits), Ok(Format::Onnx));
    let whole = std::fs::read(digits).expect("the model of the project");
    for length in [2, 10, whole.len() / 2, whole.len() - 1] {
        assert_eq!(of(&whole[..length]), Ok(Format::Onnx), "what is cut off at {length} is for ONNX Runtime to refuse");
    }
}

#[test]
fn an_onnx_model_without_a_version_is_known_by_its_graph() {
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat();
    let graph = [field(1, &node), field(2, b"g"), field(11, &field(1, b"x")), field(12, &field(1, b"y"))].concat();
    assert_eq!(of(&[field(2, b"pytorch"), field(7, &graph), field(8, &number(2, 13))].concat()), Ok(Format::Onnx));
    assert_eq!(of(b"\x20\0\0\0ORTM\0\0"), Ok(Format::Onnx), "as ONNX Runtime saves what it has optimised");
}

/// `node { name: "x" op: "Placeholder" attr { … } } node { name: "y" op: … input: "x" } versions { producer: 21 }`
fn graph_def(operator: &[u8]) -> Vec<u8> {
    let attribute = [field(1, b"dtype"), field(2, &number(6, 1))].concat();
    let x = [field(1, b"x"), field(2, b"Placeholder"), field(5, &attribute)].concat();
    let y = [field(1, b"y"), field(2, operator), field(3, b"x")].concat();
    [field(1, &x), field(1, &y), field(4, &number(1, 21))].concat()
}

#[test]
fn a_tensorflow_graph_is_known_by_its_nodes() {
    let graph = graph_def(b"Relu");
    assert_eq!(of(&graph), Ok(Format::GraphDef));
    assert_eq!(of(&graph[..graph.len() - 5]), Ok(Format::GraphDef), "what is cut off is for TensorFlow to refuse");
    let custom = [field(1, b"x"), field(2, b"Addons>Gelu")].concat();
    assert_eq!(of(&[field(1, &custom), field(2, b"")].concat()), Ok(Format::GraphDef));
    let no_operator = [field(1, b"x"), field(2, b"\x0a\x03abc")].concat();
    assert!(of(&field(1, &no_operator)).is_err(), "a message is no operator's name");
}

/// `name: "net" op { input: "x" output: "y" type: "Relu" } external_input: "x" external_output: "y"`
fn net_def() -> Vec<u8> {
    let operator = [field(1, b"x"), field(2, b"y"), field(3, b""), field(4, b"Relu")].concat();
    [field(1, b"net"), field(2, &operator), field(7, b"x"), field(8, b"y")].concat()
}

#[test]
fn a_net_of_caffe2_is_known_by_its_operators() {
    assert_refused(&net_def(), "is one of the two nets of a Caffe2 model; call them predict_net.pb and init_net.pb");
    let fill = [field(2, b"w"), field(4, b"GivenTensorFill"), field(5, &field(1, b"shape"))].concat();
    assert_refused(&field(2, &fill), "is one of the two nets of a Caffe2 model");
    let no_type = [field(1, b"x"), field(2, b"y"), field(4, b"\x0a\x01x")].concat();
    let why = of(&[field(1, b"net"), field(2, &no_type)].concat()).expect_err("a message is no operator's type");
    assert!(why.starts_with("is not a model of any format"), "{why}");
}

#[test]
fn a_caffe2_model_is_two_nets_whose_names_begin_alike() {
    let folder = folder();
    let predict = write(folder.path(), "small.predict_net.pb", &net_def());
    for path in [&predict, folder.path()] {
        assert!(refusal(path).expect_err("half").contains("no small.init_net.pb beside it"));
    }
    let init = write(folder.path(), "small.init_net.pb", &net_def());
    for path in [&predict, folder.path()] {
        assert_eq!(refusal(path), Ok(Format::Caffe2));
        assert_eq!(model_bytes(path).expect("it can be read"), 2 * net_def().len() as u64);
    }
    assert!(
        refusal(&init).expect_err("half").starts_with("holds the weights of a net of Caffe2; name its predict_net.pb")
    );
    write(folder.path(), "other.predict_net.pb", &net_def());
    assert!(refusal(folder.path()).expect_err("two").contains("name one of them, such as other.predict_net.pb"));
    std::fs::remove_file(folder.path().join("other.predict_net.pb")).expect("it was there");
    std::fs::remove_file(predict).expect("it was there");
    assert!(refusal(folder.path()).expect_err("half").contains("no predict_net.pb"));
}

#[test]
fn a_saved_model_is_a_folder() {
    let folder = folder();
    let meta = [field(1, &field(4, b"serve")), field(2, &graph_def(b"Relu"))].concat();
    let saved = [number(1, 1), field(2, &meta)].concat();
    let graph = write(folder.path(), "resnet/1/saved_model.pb", &saved);
    write(folder.path(), "resnet/1/variables/variables.index", b"123");
    let (model, version) = (folder.path().join("resnet"), folder.path().join("resnet/1"));
    assert_eq!(refusal(&version), Ok(Format::SavedModel));
    assert_eq!(model_bytes(&version).expect("it can be read"), saved.len() as u64 + 3);
    assert!(refusal(&model).expect_err("no model").contains("name one of them, such as 1 in it"));
    assert!(refusal(&graph).expect_err("no folder").starts_with("is the graph of a SavedModel, whose weights"));
    write(folder.path(), "resnet/9/saved_model.pb", &saved);
    write(folder.path(), "resnet/10/saved_model.pb", &saved);
    write(folder.path(), "resnet/old/saved_model.pb", &saved);
    assert!(refusal(&model).expect_err("no model").contains("such as 10 in it"), "the last one, as a number");
}

#[test]
fn what_people_take_for_a_saved_model_is_named() {
    let cases = [
        ("saved_model.pbtxt", "has a SavedModel as text and no saved_model.pb; "),
        ("saved_model.cpb", "has a saved_model.cpb and no saved_model.pb; "),
        ("keras_metadata.pb", "is a folder of Keras without a saved_model.pb; "),
        ("model.weights.h5", "is a folder of Keras without a saved_model.pb; "),
    ];
    for (name, expected) in cases {
        let folder = folder();
        write(folder.path(), name, b"");
        let why = refusal(folder.path()).expect_err(expected);
        assert!(why.starts_with(expected), "{why}");
    }
    let folder = folder();
    let pipe = folder.path().join("saved_model.pb");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let why = refusal(folder.path()).expect_err("whoever opened it would wait for ever");
    assert!(why.starts_with("has a saved_model.pb that is not a regular file; "), "{why}");
}

#[test]
fn what_cannot_be_looked_at_in_a_folder_counts_for_nothing() {
    let folder = folder();
    let path = folder.path();
    write(path, "saved_model.pb", b"12");
    write(path, "variables/variables.index", b"345");
    // Neither leads anywhere; the second one for ever.
    for (to, link) in [("absent", "assets"), ("circle", "circle")] {
        symlink(to, path.join(link)).expect("a link");
    }
    assert_eq!(model_bytes(path).expect("it can be shown"), 5);
    write(path, "net-symbol.json", b"{}");
    symlink("absent", path.join("net-0000.params")).expect("a link");
    assert_eq!(model_bytes(&path.join("net")).expect("it can be shown"), 2);
}

#[test]
fn no_more_than_ten_thousand_entries_of_a_folder_are_counted() {
    let folder = folder();
    // Three links lead back to the folder, so that the same files lie in it again and again.
    for name in 0..3_000 {
        write(folder.path(), &format!("{name}"), b"x");
    }
    for link in ["a", "b", "c"] {
        symlink(".", folder.path().join(link)).expect("a link");
    }
    let bytes = model_bytes(folder.path()).expect("it can be shown");
    assert!((9_900..=10_000).contains(&bytes), "{bytes}");
}

#[test]
fn an_mxnet_model_is_its_graph_or_its_prefix() {
    let folder = folder();
    let graph = br#"{"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0], "heads": [[0, 0, 0]]}"#;
    let path = write(folder.path(), "net-symbol.json", graph);
    write(folder.path(), "net-0000.params", &[0; 100]);
    write(folder.path(), "network.txt", &[0; 1000]);
    let prefix = folder.path().join("net");
    for path in [&path, &prefix] {
        assert_eq!(refusal(path), Ok(Format::MxNet));
        assert_eq!(model_bytes(path).expect("it can be read"), graph.len() as u64 + 100);
    }
    std::fs::create_dir(&prefix).expect("a folder of that name");
    assert_eq!(refusal(&prefix), Ok(Format::MxNet));
    let weights = b"\x12\x01\0\0\0\0\0\0\0\0\0";
    assert_eq!(refusal(&write(folder.path(), "net-0001.params", weights)), Ok(Format::MxNet));
    let other = refusal(&write(folder.path(), "other-0001.params", weights)).expect_err("there is no graph");
    assert!(other.contains("there is no other-symbol.json beside it"), "{other}");
    assert!(refusal(folder.path()).expect_err("a folder").contains("such as net-symbol.json"));
    assert_refused(b"\x12\x01\0\0\0\0\0\0\0\0\0\0", "holds the weights of an MXNet model; name its graph");
    assert_refused(b"{\n  \"architectures\": []}", "is JSON and not a model");
    assert_refused(b"[1, 2]", "is JSON and not a model");
}

#[test]
fn what_is_in_an_archive_is_looked_at() {
    let script = archive(&["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl", "m/version"]);
    assert_eq!(of(&script), Ok(Format::TorchScript));
    assert_eq!(of(&archive(&["m/data/aotinductor/model/c.wrapper.so"])), Ok(Format::AotInductor));
    assert_refused(&archive(&["m/models/model.json"]), "is a package of torch.export");
    assert_refused(&archive(&["m/data.pkl", "m/data/0"]), "holds weights only and no program");
    assert_refused(&archive(&["config.json", "model.weights.h5"]), "is a Keras file");
    assert_refused(&archive(&[]), "is a zip archive without a model");
    assert_refused(&script[..script.len() - 30], "is a zip archive, such as PyTorch and Keras write, and damaged");
    assert_refused(b"PK\x03\x04rest", "is a zip archive, such as PyTorch and Keras write, and damaged");
}

#[test]
fn files_of_other_formats_are_known_by_their_first_bytes() {
    let cases: [(&[u8], &str); 17] = [
        (b"", "is empty; copy"),
        (b"\x80\x02\x8a\nl\xfc\x9c", "is a Python pickle"),
        (b"\x80\x04\x95", "is a Python pickle"),
        (b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file"),
        (b"B\0C\0N\0\0\0B\0V\0e\0r\0s\0", "is a model of CNTK's own format; load it there and export it to ONNX"),
        (b"\x20\0\0\0TFL3", "is a TensorFlow Lite model"),
        (b"GGUF\x03\0\0\0", "is a GGUF file"),
        (b"\x40\0\0\0\0\0\0\0{\"w\":{}}", "is a safetensors file"),
        (b"\x93NUMPY\x01\0", "is an array of NumPy"),
        (b"\x7fELF\x02\x01\x01", "is a program or a shared library"),
        (b"\x1f\x8b\x08\0", "is a packed archive"),
        (b"node {\n  name: \"x\"\n", "is a graph of TensorFlow in text form"),
        (b"node: {", "is a graph of TensorFlow in text form"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html>", "is a web page"),
        (b"<?xml version=\"1.0\"?>", "is a web page or XML"),
        (b"{\n  \"architectures\": []}", "is JSON"),
    ];
    for (content, expected) in cases {
        assert_refused(content, expected);
    }
}

#[test]
fn what_may_be_anything_is_left_to_the_backend_that_was_named() {
    let folder = folder();
    for content in [&b"\x80"[..], b"\x80\x01", b"hello", b"These are words.\n", b"[\x08\x0a", b"{\x01", &[0; 64]] {
        assert_refused(content, "is not a model of any format that is known; check the path");
        let path = write(folder.path(), "m", content);
        assert_eq!(expect(&path, &[Format::Onnx]), Ok(None), "{content:?}");
    }
}

#[test]
fn a_model_of_another_format_than_expected_is_named() {
    let folder = folder();
    let path = write(folder.path(), "m.onnx", &graph_def(b"Relu"));
    let expected = format!(
        "{}: is a TensorFlow graph and not an ONNX model; leave its backend unsaid to have it opened as what it is",
        path.display()
    );
    assert_eq!(expect(&path, &[Format::Onnx]), Err(expected));
    assert_eq!(expect(&path, &[Format::SavedModel, Format::GraphDef]), Ok(Some(Format::GraphDef)));
    let message = expect(&path, &[Format::TorchScript, Format::AotInductor]).expect_err("it is neither");
    assert!(message.contains("and not a TorchScript model or an AOTInductor package; "), "{message}");
}

#[test]
fn what_is_not_there_and_what_is_no_file_is_named() {
    let folder = folder();
    let absent = folder.path().join("m.onnx");
    assert_eq!(
        recognise(&absent),
        Err(format!("{}: there is no such file; check the path of the model", absent.display()))
    );
    assert!(refusal(folder.path()).expect_err("empty").starts_with("is a folder without a model"));
    write(folder.path(), "model.onnx", b"");
    assert!(refusal(folder.path()).expect_err("a folder").contains("name the model in it, such as model.onnx"));
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    // Whoever opened the pipe would wait for ever.
    for path in [&socket, &pipe, Path::new("/dev/zero")] {
        assert!(refusal(path).expect_err("no file").starts_with("is not a regular file, but a pipe"));
    }
}

#[test]
fn no_flipped_or_missing_byte_does_worse_than_an_error() {
    let folder = folder();
    let script = archive(&["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"]);
    for whole in [graph_def(b"Relu"), net_def(), script, [number(1, 9), field(7, &field(2, b"g"))].concat()] {
        for at in 0..whole.len() {
            for with in [0x00, 0x7f, 0x80, 0xff] {
                let mut flipped = whole.clone();
                flipped[at] = with;
                for content in [&flipped, &whole[..at]] {
                    let path = write(folder.path(), "m", content);
                    if let Err(message) = recognise(&path) {
                        assert!(!message.contains('\n'), "{message}");
                    }
                }
            }
        }
    }
}

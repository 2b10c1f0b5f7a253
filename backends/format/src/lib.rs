//! What a model is, told by its content: which of the formats that can be served, or which of the mistakes that people make.
//!
//! | what | where |
//! | --- | --- |
//! | folders, prefixes of files, and what is no file at all | here |
//! | files that say what they are in their first bytes | `start` |
//! | zip archives: PyTorch's and Keras' | `archive` |
//! | graphs in Protocol Buffers, which say nothing of the kind | `graph`, through the reader in `protobuf` |
//!
//! It knows bytes, and no framework: whether a file that looks like a model is a sound one is for its framework to find out,
//! and which backend opens what is the daemon's to say. Little of a file is read, and never more than a limit says, however
//! large it is. Names lie; only those that a format gives to the files of a folder are looked at.
#![forbid(unsafe_code)]

mod archive;
mod graph;
mod protobuf;
mod start;

use std::fmt::{Display, Formatter};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A format of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A file of ONNX, or one that ONNX Runtime has optimised (`.ort`).
    Onnx,
    /// A folder that TensorFlow's `saved_model.save` has made.
    SavedModel,
    /// A frozen TensorFlow graph, `.pb`.
    GraphDef,
    /// A file of `torch.jit.save`.
    TorchScript,
    /// A package that AOTInductor has compiled, `.pt2`.
    AotInductor,
    /// `NAME-symbol.json` of MXNet, or the prefix NAME; the weights lie beside it.
    MxNet,
    /// A folder with Caffe2's `init_net.pb` and `predict_net.pb`.
    Caffe2,
}

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Onnx => "an ONNX model",
            Format::SavedModel => "a TensorFlow SavedModel",
            Format::GraphDef => "a TensorFlow graph",
            Format::TorchScript => "a TorchScript model",
            Format::AotInductor => "an AOTInductor package",
            Format::MxNet => "an MXNet model",
            Format::Caffe2 => "a Caffe2 model",
        })
    }
}

/// The format of a model. Otherwise: one line with the path, the cause and the remedy.
pub fn recognise(path: &Path) -> Result<Format, String> {
    look(path)?.ok_or_else(|| {
        let shown = path.display();
        format!(
            "{shown}: is not a model of any format that is known; check the path, or name its backend with --backend if it is one"
        )
    })
}

/// Accepts a model that is of one of these formats, or may be, because it is nothing else that is known. Otherwise: one line
/// with the path, the cause and the remedy.
pub fn expect(path: &Path, formats: &[Format]) -> Result<(), String> {
    match look(path)? {
        Some(found) if !formats.contains(&found) => {
            let wanted: Vec<_> = formats.iter().map(ToString::to_string).collect();
            let (shown, wanted) = (path.display(), wanted.join(" or "));
            Err(format!(
                "{shown}: is {found} and not {wanted}; leave its backend unsaid to have it opened as what it is"
            ))
        }
        _ => Ok(()),
    }
}

/// The format, if it is one that is known; an error if it is a known mistake, or cannot be read.
fn look(path: &Path) -> Result<Option<Format>, String> {
    let at_path = |why| format!("{}: {why}", path.display());
    // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound && symbol_of(path).is_file() => {
            return Ok(Some(Format::MxNet));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(at_path("there is no such file; check the path of the model".into()));
        }
        Err(error) => return Err(at_path(unreadable(&error))),
    };
    let found = match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => of_folder(path),
        (_, true) => of_file(path, &metadata),
        _ => Err("is not a regular file, but a pipe, a socket or a device; name the model's file".into()),
    };
    found.map_err(at_path)
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}; it has to be readable by this user")
}

fn of_file(path: &Path, metadata: &Metadata) -> Result<Option<Format>, String> {
    if path.file_name().is_some_and(|name| name == SAVED_MODEL) {
        return Err("is the graph of a SavedModel, whose weights lie beside it; name the folder that it is in".into());
    }
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let start = start::read(&file).map_err(|error| unreadable(&error))?;
    if start::is_zip(&start) {
        return archive::format(file).map(Some);
    }
    if let Some(cause) = start::mistake(&start) {
        return Err(cause.into());
    }
    if start::is_json(&start) {
        return start::of_json(&file, &start, metadata.len()).map_err(|error| unreadable(&error))?.map(Some);
    }
    if start::is_ort(&start) {
        return Ok(Some(Format::Onnx));
    }
    match graph::kind(&file, metadata.len()) {
        Some(graph::Kind::Onnx) => Ok(Some(Format::Onnx)),
        Some(graph::Kind::GraphDef) => Ok(Some(Format::GraphDef)),
        Some(graph::Kind::NetDef) => Err(format!(
            "is one of the two nets of a Caffe2 model; name a folder in which they are {INIT_NET} and {PREDICT_NET}"
        )),
        Some(graph::Kind::SavedModel) => {
            Err(format!("is the graph of a SavedModel; name the folder in which it is {SAVED_MODEL}, with its weights"))
        }
        None => Ok(None),
    }
}

const SAVED_MODEL: &str = "saved_model.pb";
const INIT_NET: &str = "init_net.pb";
const PREDICT_NET: &str = "predict_net.pb";
/// How MXNet calls the graph of the model NAME.
const SYMBOL_SUFFIX: &str = "-symbol.json";

fn of_folder(folder: &Path) -> Result<Option<Format>, String> {
    let has = |name: &str| folder.join(name).is_file();
    match (has(SAVED_MODEL), has(INIT_NET), has(PREDICT_NET)) {
        (true, ..) => return Ok(Some(Format::SavedModel)),
        (_, true, true) => return Ok(Some(Format::Caffe2)),
        (_, true, false) => {
            return Err(format!("has an {INIT_NET} of Caffe2, but no {PREDICT_NET} beside it; copy both"));
        }
        (_, false, true) => {
            return Err(format!("has a {PREDICT_NET} of Caffe2, but no {INIT_NET} beside it; copy both"));
        }
        (false, false, false) => {}
    }
    let names = entries(folder).map_err(|error| unreadable(&error))?;
    let one =
        |wish: &dyn Fn(&PathBuf) -> bool| names.iter().find(|name| wish(name)).map(|name| name.display().to_string());
    let is_model =
        |name: &PathBuf| name.extension().is_some_and(|e| e == "onnx" || e == "pt" || e == "pt2" || e == "pb");
    let is_symbol = |name: &PathBuf| name.to_str().is_some_and(|name| name.ends_with(SYMBOL_SUFFIX));
    let is_version = |name: &PathBuf| folder.join(name).join(SAVED_MODEL).is_file();
    Err(if let Some(name) = one(&is_version) {
        format!("is a folder of SavedModels; name one of them, such as {name} in it")
    } else if let Some(name) = one(&is_symbol).or_else(|| one(&is_model)) {
        format!("is a folder; name the model in it, such as {name}")
    } else {
        format!(
            "is a folder without a model: neither {SAVED_MODEL} nor {INIT_NET} and {PREDICT_NET} are in it; name the model's file"
        )
    })
}

/// The names in a folder, some of them if there are many.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()?.take(ENTRIES_MAX) {
        names.push(entry?.file_name().into());
    }
    names.sort();
    Ok(names)
}

/// As many as any SavedModel's folder has, by far.
const ENTRIES_MAX: usize = 10_000;

/// The graph of an MXNet model that is named by its prefix.
fn symbol_of(prefix: &Path) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(SYMBOL_SUFFIX);
    path.into()
}

/// Bytes of a model: of its file, of all files of its folder, or of those that share its prefix. Weights that an ONNX model
/// keeps in other files are not counted.
pub fn model_bytes(path: &Path) -> io::Result<u64> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_prefix = !path.exists() && symbol_of(path).is_file();
    if let Some(prefix) = name.strip_suffix(SYMBOL_SUFFIX).or(Some(name).filter(|_| is_prefix)) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let starts =
            |name: &PathBuf| name.to_str().is_some_and(|name| name.strip_prefix(prefix).is_some_and(is_of_mxnet));
        return entries(folder)?.into_iter().filter(starts).map(|name| Ok(folder.join(name).metadata()?.len())).sum();
    }
    let metadata = path.metadata()?;
    if metadata.is_dir() { folder_bytes(path, FOLDERS_MAX) } else { Ok(metadata.len()) }
}

/// Whether a name goes on behind the prefix as those of MXNet's files do.
fn is_of_mxnet(rest: &str) -> bool {
    rest == SYMBOL_SUFFIX
        || (rest.starts_with('-') && Path::new(rest).extension().is_some_and(|ending| ending == "params"))
}

/// A SavedModel's folders lie two deep; links may lead in circles.
const FOLDERS_MAX: usize = 4;

fn folder_bytes(folder: &Path, depth: usize) -> io::Result<u64> {
    let mut sum = 0;
    for name in entries(folder)? {
        let path = folder.join(name);
        let metadata = path.metadata()?;
        if metadata.is_file() {
            sum += metadata.len();
        } else if metadata.is_dir() && depth > 1 {
            sum += folder_bytes(&path, depth - 1)?;
        }
    }
    Ok(sum)
}

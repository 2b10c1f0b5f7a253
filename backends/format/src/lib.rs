//! What a model is, told by its content: which of the formats that can be served, or which of the mistakes that people make.
//! And the content itself, for who reads a file of one whole.
//!
//! | what | where |
//! | --- | --- |
//! | what is no file at all, and who is asked | here |
//! | folders, and files that belong together by their names | `files` |
//! | files that say what they are in their first bytes | `start` |
//! | zip archives: PyTorch's and Keras' | `archive` |
//! | graphs in Protocol Buffers, which say nothing of the kind | `graph`, through the reader in `protobuf` |
//! | all of a file, within a limit | `content` |
//!
//! It knows bytes, and no framework: whether a file that looks like a model is a sound one is for its framework to find out,
//! and which backend opens what is the daemon's to say. To recognise a file little of it is read, and never more than a limit
//! says, however large it is. Names lie; only those that a format gives to the files of a folder are looked at.
#![forbid(unsafe_code)]

mod archive;
mod content;
mod files;
mod graph;
mod protobuf;
mod start;

pub use content::{Unread, content};
pub use files::{model_bytes, model_files};

use std::fmt::{Display, Formatter};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

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
    /// `NAME-symbol.json` of MXNet, its weights `NAME-0000.params`, or the prefix NAME.
    MxNet,
    /// Caffe2's `predict_net.pb` with `init_net.pb` beside it, or the folder of both.
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

/// Accepts a model that is of one of these formats, and tells which; or that may be, because it is nothing else that is known:
/// `None`. Otherwise: one line with the path, the cause and the remedy.
pub fn expect(path: &Path, formats: &[Format]) -> Result<Option<Format>, String> {
    match look(path)? {
        Some(found) if !formats.contains(&found) => {
            let wanted: Vec<_> = formats.iter().map(ToString::to_string).collect();
            let (shown, wanted) = (path.display(), wanted.join(" or "));
            Err(format!(
                "{shown}: is {found} and not {wanted}; leave its backend unsaid to have it opened as what it is"
            ))
        }
        found => Ok(found),
    }
}

/// The format, if it is one that is known; an error if it is a known mistake, or cannot be read.
fn look(path: &Path) -> Result<Option<Format>, String> {
    let at_path = |why| format!("{}: {why}", path.display());
    // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound && files::has_symbol(path) => {
            return Ok(Some(Format::MxNet));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(at_path("there is no such file; check the path of the model".into()));
        }
        Err(error) => return Err(at_path(unreadable(error))),
    };
    let found = match (metadata.is_dir(), metadata.is_file()) {
        // A folder may be called as the prefix is.
        (true, _) => files::of_folder(path)
            .or_else(|why| if files::has_symbol(path) { Ok(Format::MxNet) } else { Err(why) })
            .map(Some),
        (_, true) => of_file(path, &metadata),
        _ => Err("is not a regular file, but a pipe, a socket or a device; name the model's file".into()),
    };
    found.map_err(at_path)
}

fn unreadable(error: io::Error) -> String {
    Unread::Refused(error).to_string()
}

fn of_file(path: &Path, metadata: &Metadata) -> Result<Option<Format>, String> {
    let file = File::open(path).map_err(unreadable)?;
    let start = start::read(&file).map_err(unreadable)?;
    if start::is_zip(&start) {
        return archive::format(file).map(Some);
    }
    if start::are_weights_of_mxnet(&start) {
        return files::of_weights_of_mxnet(path).map(Some);
    }
    if let Some(cause) = start::mistake(&start) {
        return Err(cause.into());
    }
    if start::is_json(&start) {
        return start::of_json(&file, &start, metadata.len()).map_err(unreadable)?.map(Some);
    }
    if start::is_ort(&start) {
        return Ok(Some(Format::Onnx));
    }
    match graph::kind(&file, metadata.len()) {
        Some(graph::Kind::Onnx) => Ok(Some(Format::Onnx)),
        Some(graph::Kind::GraphDef) => Ok(Some(Format::GraphDef)),
        Some(graph::Kind::NetDef) => files::of_net(path).map(Some),
        Some(graph::Kind::SavedModel) => Err(files::of_saved_graph()),
        None => Ok(None),
    }
}

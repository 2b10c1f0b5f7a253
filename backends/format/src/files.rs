//! Models that are more than one file: folders, and files that belong together by their names.

use crate::{Format, unreadable};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// The graph in the folder of a SavedModel.
const SAVED_MODEL: &str = "saved_model.pb";
/// What version 2 of Keras puts into the folder of a model besides; no graph for all its ending.
const KERAS_2: &str = "keras_metadata.pb";
/// How the name of the net ends that Caffe2 runs, and how that of the one with its weights; before both stands the same.
const PREDICT_NET: &str = "predict_net.pb";
const INIT_NET: &str = "init_net.pb";
/// How MXNet calls the graph of the model NAME: NAME, and this. Its weights are NAME-0000.params, or another number.
const SYMBOL: &str = "-symbol.json";
const PARAMS: &str = ".params";

/// The format of the model in a folder; otherwise what the folder is, and the remedy.
pub fn of_folder(folder: &Path) -> Result<Format, String> {
    let graph = folder.join(SAVED_MODEL);
    if graph.is_file() {
        return Ok(Format::SavedModel);
    }
    if graph.exists() {
        return Err(format!("has a {SAVED_MODEL} that is not a regular file; copy it again, or export it again"));
    }
    let names = entries(folder).map_err(unreadable)?;
    let ending = |end: &str| names.iter().filter(|name| name.ends_with(end)).collect::<Vec<_>>();
    match (&ending(PREDICT_NET)[..], &ending(INIT_NET)[..]) {
        ([], []) => Err(no_model(folder, &names)),
        ([], _) => Err(format!("has an {INIT_NET} of Caffe2, but no {PREDICT_NET}; put it there")),
        ([predict], _) => of_net(&folder.join(predict)),
        ([first, ..], _) => Err(format!("has several nets of Caffe2; name one of them, such as {first}")),
    }
}

/// What a folder is that is no model and has these names in it, and the remedy.
fn no_model(folder: &Path, names: &[String]) -> String {
    let has = |name: &str| names.iter().any(|other| other == name);
    let is_model = |name: &&String| {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        let is_known = name.ends_with(SYMBOL) || matches!(extension, Some("onnx" | "pt" | "pt2" | "pb"));
        is_known && *name != KERAS_2
    };
    // Servers keep versions in folders that are numbers, of which the last is the one to have.
    let versions = names.iter().filter(|name| folder.join(name).join(SAVED_MODEL).is_file());
    let version = versions.max_by_key(|name| name.parse::<u64>().ok());
    if let Some(version) = version {
        format!("is a folder of SavedModels; name one of them, such as {version} in it")
    } else if let Some(model) = names.iter().find(is_model) {
        format!("is a folder; name the model in it, such as {model}")
    } else if has("saved_model.pbtxt") {
        format!("has a SavedModel as text and no {SAVED_MODEL}; load it in TensorFlow, and save it again")
    } else if has("saved_model.cpb") {
        format!("has a saved_model.cpb and no {SAVED_MODEL}; save it as one file, which 2 GiB are enough for")
    } else if has(KERAS_2) || has("model.weights.h5") {
        format!("is a folder of Keras without a {SAVED_MODEL}; export it with model.export(FOLDER)")
    } else {
        format!("is a folder without a model: neither {SAVED_MODEL} nor {PREDICT_NET} is in it; name the model's file")
    }
}

/// The graph of a SavedModel is not all of it.
pub fn of_saved_graph() -> String {
    format!("is the graph of a SavedModel, whose weights lie beside it; name the folder in which it is {SAVED_MODEL}")
}

/// One of the two nets of a Caffe2 model: the model, if it is the one that is run, and if the other one is beside it.
pub fn of_net(path: &Path) -> Result<Format, String> {
    let name = name_of(path);
    if name.ends_with(INIT_NET) {
        return Err(format!("holds the weights of a net of Caffe2; name its {PREDICT_NET}, or the folder of both"));
    }
    let Some(begin) = name.strip_suffix(PREDICT_NET) else {
        return Err(format!("is one of the two nets of a Caffe2 model; call them {PREDICT_NET} and {INIT_NET}"));
    };
    let weights = format!("{begin}{INIT_NET}");
    if path.with_file_name(&weights).is_file() {
        Ok(Format::Caffe2)
    } else {
        Err(format!("has a {name} of Caffe2, but no {weights} beside it; put it there"))
    }
}

/// Whether this is the prefix of an MXNet model.
pub fn has_symbol(prefix: &Path) -> bool {
    let name = name_of(prefix);
    !name.is_empty() && prefix.with_file_name(format!("{name}{SYMBOL}")).is_file()
}

/// The weights of an MXNet model: the model, if its graph is beside them.
pub fn of_weights_of_mxnet(path: &Path) -> Result<Format, String> {
    let begin = name_of(path).strip_suffix(PARAMS).and_then(|begin| begin.rsplit_once('-'));
    match begin {
        Some((begin, _)) if has_symbol(&path.with_file_name(begin)) => Ok(Format::MxNet),
        Some((begin, _)) => {
            Err(format!("holds the weights of an MXNet model, but there is no {begin}{SYMBOL} beside it; put it there"))
        }
        None => Err(format!("holds the weights of an MXNet model; name its graph, NAME{SYMBOL}")),
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The names in a folder that are text, in their order; some of them if there are many.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()?.take(ENTRIES_MAX) {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// As many as any SavedModel's folder has, by far, with all folders in it.
const ENTRIES_MAX: usize = 10_000;

/// The files of a model, and what the system says of each: its file, all files of its folder, or those that belong together by
/// their names. Weights that an ONNX model keeps in other files are not among them, nor is what cannot be looked at, but for the
/// model's path itself.
pub fn model_files(path: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let name = name_of(path);
    let is_folder = path.is_dir();
    if let Some(begin) = name.strip_suffix(PREDICT_NET) {
        let weights = path.with_file_name(format!("{begin}{INIT_NET}"));
        let net = (path.to_owned(), path.metadata()?);
        return Ok(std::iter::once(net).chain(looked_at(weights)).collect());
    }
    let is_prefix = has_symbol(path) && (is_folder || !path.exists());
    if let Some(begin) = name.strip_suffix(SYMBOL).or(Some(name).filter(|_| is_prefix)) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_of_it = |name: &String| name.strip_prefix(begin).is_some_and(is_of_mxnet);
        let names = entries(folder)?.into_iter().filter(is_of_it);
        return Ok(names.filter_map(|name| looked_at(folder.join(name))).collect());
    }
    if is_folder {
        let (mut files, mut left) = (Vec::new(), ENTRIES_MAX);
        files_in(path, FOLDERS_MAX, &mut left, &mut files);
        return Ok(files);
    }
    Ok(vec![(path.to_owned(), path.metadata()?)])
}

/// Bytes of the files of a model, to be shown.
pub fn model_bytes(path: &Path) -> io::Result<u64> {
    Ok(model_files(path)?.iter().fold(0, |sum, (_, metadata)| sum.saturating_add(metadata.len())))
}

fn looked_at(path: PathBuf) -> Option<(PathBuf, Metadata)> {
    path.metadata().ok().map(|metadata| (path, metadata))
}

/// Whether a name goes on behind the prefix as those of MXNet's files do.
fn is_of_mxnet(rest: &str) -> bool {
    rest == SYMBOL || (rest.starts_with('-') && rest.ends_with(PARAMS))
}

/// A SavedModel's folders lie two deep; links may lead in circles.
const FOLDERS_MAX: usize = 4;

/// The files in a folder, of which so many entries may still be looked at. What cannot be looked at is left out: a model may be
/// sound with it.
fn files_in(folder: &Path, depth: usize, left: &mut usize, files: &mut Vec<(PathBuf, Metadata)>) {
    for entry in folder.read_dir().into_iter().flatten() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let Some((path, metadata)) = entry.ok().and_then(|entry| looked_at(entry.path())) else { continue };
        if metadata.is_file() {
            files.push((path, metadata));
        } else if metadata.is_dir() && depth > 1 {
            files_in(&path, depth - 1, left, files);
        }
    }
}

//! Which files a net is in: `predict_net.pb`, `init_net.pb` beside it, and perhaps `value_info.json`.
//!
//! All three may have something before these names, such as `squeezenet.predict_net.pb`, the same for all of them.

use crate::net;
use graphpiped_backend_api::one_line;
use graphpiped_model_format::{Unread, content};
use std::path::{Path, PathBuf};

/// The files of a net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// What is computed.
    pub predict: PathBuf,
    /// The weights.
    pub init: PathBuf,
    /// What goes in, if that is said.
    pub value_info: Option<PathBuf>,
    /// Where it would be said.
    pub value_info_wanted: PathBuf,
}

/// The end of the name of a predict_net.
const PREDICT: &str = "predict_net.pb";
/// The end of the name of an init_net.
const INIT: &str = "init_net.pb";
/// The name that the model zoo gave to what says what goes in, and the one that GraphPipe's servers took.
const VALUE_INFO: [&str; 2] = ["value_info.json", "value_inputs.json"];

/// Bytes of a predict_net. Those of the model zoo have less than one megabyte.
pub(crate) const PREDICT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of an init_net: as many as a message can have.
pub(crate) const INIT_BYTES_MAX: u64 = (1 << 31) - 1;
/// Bytes of a `value_info.json`. One input takes forty.
pub(crate) const VALUE_INFO_BYTES_MAX: u64 = 1 << 20;

impl Files {
    /// The files of the net at this path, which is a folder or a predict_net. Otherwise: one line with the path, the
    /// cause and the remedy.
    pub fn find(path: &Path) -> Result<Files, String> {
        let is_folder = match path.metadata() {
            Ok(metadata) => metadata.is_dir(),
            Err(error) => return Err(of(path)(why(&error.into()))),
        };
        let predict = if is_folder { predict_in(path)? } else { path.to_path_buf() };
        let name = predict.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let shown = path.display();
        let Some(before) = name.strip_suffix(PREDICT) else {
            if name.ends_with(INIT) {
                return Err(format!("{shown}: is the weights of a net; name its {PREDICT}, or the folder of both"));
            }
            // What is wrong with the file itself is more help than what is wrong with its name.
            let bytes = read(path, PREDICT_BYTES_MAX)?;
            net::Net::read_with_operators(&bytes).map_err(of(path))?;
            return Err(format!(
                "{shown}: its name does not end in {PREDICT}, so that its {INIT} is not known; rename both"
            ));
        };
        let beside = |name: &str| predict.with_file_name(format!("{before}{name}"));
        let plain = |name: &str| predict.with_file_name(name);
        let candidates = VALUE_INFO.map(beside).into_iter().chain(VALUE_INFO.map(plain));
        Ok(Files {
            init: beside(INIT),
            value_info: candidates.into_iter().find(|path| path.exists()),
            value_info_wanted: beside(VALUE_INFO[0]),
            predict,
        })
    }
}

/// The one predict_net in a folder.
fn predict_in(folder: &Path) -> Result<PathBuf, String> {
    let entries = folder.read_dir().map_err(|error| of(folder)(why(&error.into())))?;
    let is_one =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(PREDICT));
    let mut found = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_one);
    let shown = folder.display();
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        (None, _) => {
            Err(format!("{shown}: is a folder without a {PREDICT}; name the one that holds it and its {INIT}"))
        }
        (Some(_), Some(_)) => Err(format!("{shown}: holds several files named …{PREDICT}; name the one to serve")),
    }
}

/// The bytes of a file, of which there may be so many.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let bytes = content(path, bytes_max).map_err(|unread| of(path)(why(&unread)))?;
    if bytes.is_empty() { Err(of(path)("is empty; copy it again".into())) } else { Ok(bytes) }
}

fn why(unread: &Unread) -> String {
    match unread {
        Unread::Absent => format!("{unread}; {PREDICT} and {INIT} have to lie in one folder"),
        Unread::NoFile => format!("{unread}; name the net's own {PREDICT}"),
        Unread::Long(bytes_max) => {
            format!("has more than the {bytes_max} bytes that one can have; export the net to ONNX")
        }
        Unread::Refused(_) => unread.to_string(),
    }
}

/// Puts the path before the cause, which names what a file says.
pub(crate) fn of(path: &Path) -> impl Fn(String) -> String {
    move |cause| format!("{}: {}", path.display(), one_line(&cause))
}

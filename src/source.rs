//! What is to be served: the name that clients use, where the model is, and which backend opens it, as far as somebody
//! said so.
//!
//! Nothing here looks at a file; which backend a model needs of which nobody said anything is found out in
//! [`open`](crate::open).

use clap::ValueEnum;
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;

/// A model as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelArg {
    /// What clients call it.
    pub name: String,
    /// Where it is.
    pub source: Source,
}

impl FromStr for ModelArg {
    type Err = String;

    fn from_str(text: &str) -> Result<ModelArg, String> {
        // A path may have an equals sign too; what stands before it is then no name, because it has a slash.
        let name_and_path = text.split_once('=').filter(|(name, _)| !name.contains(['/', ':']));
        if let Some((name, path)) = name_and_path {
            return Ok(ModelArg { name: checked_name(name)?, source: path.parse()? });
        }
        let source: Source = text.parse()?;
        let name = checked_name(&source.default_name()).map_err(|why| format!("{why}; give it a name: NAME={text}"))?;
        Ok(ModelArg { name, source })
    }
}

/// Which backend opens what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The backend; `None` until the model's format has told it.
    pub backend: Option<BackendName>,
    /// The file, the folder or the prefix of files; nothing for a backend that needs none.
    pub path: PathBuf,
}

impl Source {
    fn default_name(&self) -> String {
        if self.backend == Some(BackendName::Echo) {
            return "echo".into();
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        // MXNet calls the graph of the model NAME so.
        stem.strip_suffix("-symbol").unwrap_or(&stem).to_string()
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        let (backend, path) = match text.split_once(':') {
            Some((scheme, rest)) if rest.starts_with("//") => {
                return Err(format!("models are files; fetch the one at \"{scheme}:{rest}\" first"));
            }
            Some((prefix, rest)) => match BackendName::ALL.iter().find(|name| name.as_str() == prefix) {
                Some(name) => (Some(*name), rest),
                None => (None, text),
            },
            None => (None, text),
        };
        match backend {
            Some(BackendName::Echo) if !path.is_empty() => Err(format!("echo: takes no path, but got \"{path}\"")),
            Some(BackendName::Echo) => Ok(Source { backend, path: PathBuf::new() }),
            _ if path.is_empty() => Err("the path of the model is missing".into()),
            _ => Ok(Source { backend, path: path.into() }),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(backend) = self.backend {
            write!(f, "{}:", backend.as_str())?;
        }
        write!(f, "{}", self.path.display())
    }
}

/// The backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum BackendName {
    /// ONNX Runtime.
    Onnx,
    /// TensorFlow.
    Tensorflow,
    /// PyTorch.
    Torch,
    /// Apache MXNet.
    Mxnet,
    /// Caffe2's nets, translated and run by ONNX Runtime.
    Caffe2,
    /// The identity.
    Echo,
}

impl BackendName {
    /// All of them.
    pub const ALL: [BackendName; 6] = [
        BackendName::Onnx,
        BackendName::Tensorflow,
        BackendName::Torch,
        BackendName::Mxnet,
        BackendName::Caffe2,
        BackendName::Echo,
    ];

    /// As in `NAME=onnx:PATH`.
    pub const fn as_str(self) -> &'static str {
        match self {
            BackendName::Onnx => "onnx",
            BackendName::Tensorflow => "tensorflow",
            BackendName::Torch => "torch",
            BackendName::Mxnet => "mxnet",
            BackendName::Caffe2 => "caffe2",
            BackendName::Echo => "echo",
        }
    }
}

/// A name that can stand in a URL, a file name and a metric as it is.
pub fn checked_name(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(format!(
            "\"{name}\" cannot be the name of a model: 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 . _ - are, not beginning with a dot"
        ));
    }
    Ok(name.to_string())
}

/// Long enough for any file's stem that people type; short enough for a log line and a URL.
const NAME_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> Result<ModelArg, String> {
        text.parse()
    }

    fn of(name: &str, backend: Option<BackendName>, path: &str) -> ModelArg {
        ModelArg { name: name.into(), source: Source { backend, path: path.into() } }
    }

    #[test]
    fn a_model_is_called_what_is_said_or_what_its_file_is_called() {
        assert_eq!(model("digits=/m/v2.onnx"), Ok(of("digits", None, "/m/v2.onnx")));
        assert_eq!(model("/m/digits.onnx"), Ok(of("digits", None, "/m/digits.onnx")));
        assert_eq!(model("/m/a=b/digits.onnx"), Ok(of("digits", None, "/m/a=b/digits.onnx")));
        assert_eq!(model("/m/saved/"), Ok(of("saved", None, "/m/saved/")));
        assert_eq!(model("/m/digits-symbol.json"), Ok(of("digits", None, "/m/digits-symbol.json")));
        assert_eq!(model("echo:"), Ok(of("echo", Some(BackendName::Echo), "")));
        assert_eq!(model("same=echo:"), Ok(of("same", Some(BackendName::Echo), "")));
    }

    #[test]
    fn what_stands_before_the_colon_is_the_backend_if_there_is_one_of_that_name() {
        let expected = ["onnx", "tensorflow", "torch", "mxnet", "caffe2", "echo"];
        assert_eq!(BackendName::ALL.map(BackendName::as_str), expected);
        for name in BackendName::ALL.into_iter().filter(|name| *name != BackendName::Echo) {
            assert_eq!(model(&format!("d={}:m.bin", name.as_str())), Ok(of("d", Some(name), "m.bin")));
            assert_eq!(model(&format!("{}:m.bin", name.as_str())), Ok(of("m", Some(name), "m.bin")));
            let value = name.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), name.as_str(), "--backend calls it otherwise");
        }
        assert_eq!(model("d=caffe:m.bin"), Ok(of("d", None, "caffe:m.bin")), "a path may have a colon");
        assert_eq!(model("onnx:m.bin").unwrap().source.to_string(), "onnx:m.bin");
        assert_eq!(model("m.bin").unwrap().source.to_string(), "m.bin");
    }

    #[test]
    fn a_name_that_could_not_stand_in_a_url_is_refused() {
        assert!(model(".hidden=/m.onnx").unwrap_err().contains("not beginning with a dot"));
        assert!(model("/m/my model.onnx").unwrap_err().ends_with("give it a name: NAME=/m/my model.onnx"));
        assert!(model(&format!("{}=m.onnx", "n".repeat(128))).is_ok());
        assert!(model(&format!("{}=m.onnx", "n".repeat(129))).is_err());
        assert!(model("=m.onnx").is_err());
    }

    #[test]
    fn a_source_that_cannot_be_opened_is_refused() {
        assert_eq!(model("a=").unwrap_err(), "the path of the model is missing");
        assert_eq!(model("a=torch:").unwrap_err(), "the path of the model is missing");
        assert_eq!(model("a=echo:/x").unwrap_err(), "echo: takes no path, but got \"/x\"");
        assert!(model("a=https://example.com/m.onnx").unwrap_err().contains("models are files"));
    }
}

//! The configuration file: TOML, the keys of [`Options`] at the top level, and a `[model.NAME]` table per model.
//!
//! ```toml
//! listen = ["tcp://0.0.0.0:9000", "unix:/run/graphpiped/graphpiped.sock?mode=0660"]
//! memory = "4G"
//!
//! [model.digits]
//! path = "/srv/models/digits.onnx"
//! instances = 2
//! ```
//!
//! An unknown key is an error, so that a misspelt limit is not silently no limit. Every error is one line that names the
//! file, the line and the key.

use crate::cli::{BatchMode, IsolationMode, Options};
use crate::source::BackendName;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A `[model.NAME]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    /// Where the model is. Relative to the folder of the configuration file.
    pub path: Option<PathBuf>,
    /// As [`Options::backend`], for this model.
    pub backend: Option<BackendName>,
    /// As [`Options::inputs`], for this model.
    pub inputs: Option<Vec<String>>,
    /// As [`Options::outputs`], for this model.
    pub outputs: Option<Vec<String>>,
    /// As [`Options::signature`], for this model.
    pub signature: Option<String>,
    /// As [`Options::trust_native`], for this model.
    pub trust_native: Option<bool>,
    /// As [`Options::intra_threads`], for this model.
    pub intra_threads: Option<usize>,
    /// As [`Options::instances`], for this model.
    pub instances: Option<usize>,
    /// As [`Options::queue_max`], for this model.
    pub queue_max: Option<usize>,
    /// As [`Options::batch`], for this model.
    pub batch: Option<BatchMode>,
    /// As [`Options::max_batch`], for this model.
    pub max_batch: Option<usize>,
    /// As [`Options::linger_us`], for this model.
    pub linger_us: Option<u32>,
    /// As [`Options::isolation`], for this model.
    pub isolation: Option<IsolationMode>,
}

/// Reads a configuration file.
pub fn read(file: &Path) -> Result<Options, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read the configuration file {}: {error}", file.display()))?;
    let mut options = parse(file, &text)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    for table in options.tables.values_mut() {
        if let Some(path) = &mut table.get_mut().path {
            *path = folder.join(&*path);
        }
    }
    Ok(options)
}

/// Reads the text of a configuration file; `file` is for errors only.
pub fn parse(file: &Path, text: &str) -> Result<Options, String> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..at).unwrap_or(text);
        let line_number = before.split('\n').count();
        let line = text.lines().nth(line_number - 1).unwrap_or_default();
        // A value's error says nothing about its key, which stands before it on the same line.
        let key = line.split_once('=').map(|(key, _)| format!("{}: ", key.trim())).unwrap_or_default();
        let message = error.message().replace('\n', "; ");
        format!("{}:{line_number}: {key}{message}", file.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::InlineMode;
    use crate::units::ByteSize;

    fn parsed(text: &str) -> Result<Options, String> {
        parse(Path::new("g.toml"), text)
    }

    #[test]
    fn a_file_sets_what_flags_set() {
        let text = "memory = \"4G\"\nio_threads = 3\nhead_timeout = 5\nlisten = [\"tcp://[::1]:0\"]\n\
                    cpus = \"0-2,5\"\ninline = \"never\"\n\
                    [model.digits]\npath = \"d.onnx\"\ninstances = 2\nbatch = \"off\"\nmax_batch = 9\n\
                    inputs = [\"x:0\", \"y\"]\noutputs = [\"z\"]\nsignature = \"s\"\ntrust_native = true\nisolation = \"process\"\n\
                    [model.same]\nbackend = \"echo\"\n";
        let options = parsed(text).unwrap();
        assert_eq!(options.memory, Some(ByteSize(4 << 30)));
        assert_eq!(options.io_threads, Some(3));
        assert_eq!(options.head_timeout.unwrap().0.as_secs(), 5);
        assert_eq!(options.listen[0].to_string(), "tcp://[::1]:0");
        assert_eq!(options.cpus.as_ref().map(ToString::to_string), Some("0-2,5".into()));
        assert_eq!(options.inline, Some(InlineMode::Never));
        assert_eq!(options.tables["digits"].get_ref().instances, Some(2));
        assert_eq!(options.tables["digits"].get_ref().batch, Some(BatchMode::Off));
        assert_eq!(options.tables["digits"].get_ref().max_batch, Some(9));
        let digits = options.tables["digits"].get_ref();
        assert_eq!((digits.backend, digits.signature.as_deref(), digits.trust_native), (None, Some("s"), Some(true)));
        assert_eq!(digits.inputs.as_deref(), Some(&["x:0".to_string(), "y".to_string()][..]));
        assert_eq!(digits.outputs.as_deref(), Some(&["z".to_string()][..]));
        assert_eq!(options.tables["digits"].get_ref().isolation, Some(IsolationMode::Process));
        assert_eq!(options.tables["same"].get_ref().backend, Some(BackendName::Echo));
        assert_eq!(options.queue_max, None);
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        let wrong = |text: &str, why: &str| {
            let message = parsed(text).expect_err(text);
            assert!(message.starts_with(why), "{message}");
            assert!(!message.contains('\n'), "{message}");
        };
        wrong("io_threads = 3\nio_thread = 4\n", "g.toml:2: io_thread: unknown field `io_thread`");
        wrong("\nmemory = \"4Q\"\n", "g.toml:2: memory: \"Q\" is not a unit of size");
        wrong("queue_max = \"many\"\n", "g.toml:1: queue_max: invalid type: string");
        wrong("listen = [\n\"ftp://x:1\"]\n", "g.toml:1: listen: address \"ftp://x:1\"");
        wrong("queue_max = -1\n", "g.toml:1: queue_max: ");
        wrong("[model.a]\npaht = \"x\"\n", "g.toml:2: paht: unknown field `paht`");
        wrong("[model.a]\nbackend = \"caffe\"\n", "g.toml:2: backend: unknown variant `caffe`");
        wrong("cpus = \"3-1\"\n", "g.toml:1: cpus: \"3-1\"");
        wrong("batch = \"maybe\"\n", "g.toml:1: batch: unknown variant `maybe`, expected one of `auto`, `on`, `off`");
        wrong(
            "isolation = \"thread\"\n",
            "g.toml:1: isolation: unknown variant `thread`, expected `none` or `process`",
        );
        wrong("a = \n", "g.toml:1: a: ");
    }

    #[test]
    fn the_configuration_of_the_service_is_one() {
        let options = parsed(include_str!("../systemd/graphpiped.toml")).unwrap();
        assert_eq!(options.tables.len(), 1);
        assert_eq!(options.listen[1].to_string(), "unix:/run/graphpiped/graphpiped.sock?mode=0666");
    }

    #[test]
    fn a_relative_path_is_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("g.toml");
        std::fs::write(&file, "[model.a]\npath = \"m/a.onnx\"\n[model.b]\npath = \"/b.onnx\"\n").unwrap();
        let options = read(&file).unwrap();
        assert_eq!(options.tables["a"].get_ref().path, Some(folder.path().join("m/a.onnx")));
        assert_eq!(options.tables["b"].get_ref().path, Some("/b.onnx".into()));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let message = read(Path::new("/nowhere/g.toml")).unwrap_err();
        assert!(message.starts_with("cannot read the configuration file /nowhere/g.toml: "), "{message}");
    }
}

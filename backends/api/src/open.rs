//! How a model is to be opened, and why it could not be.

/// How a model is to be opened. What a backend has no use for, it refuses, unless it is empty.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads inside one run; 1 = the calling thread alone.
    pub intra_threads: usize,
    /// Names of the inputs, in their order, for formats that do not say what goes in (a frozen graph). Empty: as the
    /// model says, or as follows from it.
    pub inputs: Vec<String>,
    /// Names of the outputs, in their order; as for `inputs`.
    pub outputs: Vec<String>,
    /// Which of a model's signatures to serve, where it has several (a SavedModel).
    pub signature: Option<String>,
    /// Whether a model that consists of machine code may be loaded (an AOTInductor package): it can do whatever the
    /// daemon can.
    pub trust_native: bool,
    /// Whether the framework's process serves this model alone, so that its end is nobody else's.
    pub is_isolated: bool,
}

impl Default for Options {
    /// One thread: on small machines many runs beside each other beat one run on many threads.
    fn default() -> Options {
        let (inputs, outputs, signature) = (Vec::new(), Vec::new(), None);
        Options { intra_threads: 1, inputs, outputs, signature, trust_native: false, is_isolated: false }
    }
}

impl Options {
    /// Refuses options that are set and that the format of the model at `place` has no use for. `allowed` are the names, as
    /// operators write them, of those that it has.
    pub fn only(&self, place: &str, format: &str, allowed: &[&str]) -> Result<(), OpenError> {
        let set = [
            ("inputs", !self.inputs.is_empty()),
            ("outputs", !self.outputs.is_empty()),
            ("signature", self.signature.is_some()),
        ];
        match set.into_iter().find(|(name, is_set)| *is_set && !allowed.contains(name)) {
            Some((name, _)) => {
                Err(OpenError::Model(format!("{place}: {format} says that itself; leave out `{name}` for it")))
            }
            None => Ok(()),
        }
    }
}

/// What to do about a model that there is not enough memory for: the remedy of an [`OpenError::Machine`].
pub const MORE_MEMORY: &str = "give the daemon more, or serve a smaller model";

/// Why a model cannot be opened, by whose fault it is. The message names the path, the cause and the remedy, in one
/// line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The framework's library is absent, of another version, or not loadable: install it.
    #[error("{0}")]
    Framework(String),
    /// The model file is absent, damaged, of another format, or asks for what is not there: mend or export it.
    #[error("{0}")]
    Model(String),
    /// There is not enough of something, such as memory: try with more, or on another machine.
    #[error("{0}")]
    Machine(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_a_format_has_no_use_for_is_refused_by_its_name() {
        let options = Options { signature: Some("serving".into()), ..Options::default() };
        assert_eq!(options.only("m.pb", "a SavedModel", &["signature"]), Ok(()));
        let error = options.only("m.onnx", "an ONNX model", &["inputs"]).expect_err("it has no signatures");
        assert_eq!(error.to_string(), "m.onnx: an ONNX model says that itself; leave out `signature` for it");
        let options = Options { outputs: vec!["y".into()], ..Options::default() };
        assert!(options.only("m.onnx", "an ONNX model", &["inputs"]).is_err());
        assert_eq!(Options::default().only("m.onnx", "an ONNX model", &[]), Ok(()));
    }
}

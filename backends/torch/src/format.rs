//! Which kind of PyTorch's files one is: nothing of it is loaded or run before that is known.

use graphpiped_model_format::{Format as Known, expect};
use std::path::Path;

/// A file that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Code for PyTorch's interpreter, and its weights (`torch.jit.save`).
    TorchScript,
    /// Machine code (`torch._inductor.aoti_compile_and_package`).
    Package,
}

impl Format {
    /// As operators know it.
    pub fn name(self) -> &'static str {
        match self {
            Format::TorchScript => "TorchScript",
            Format::Package => "AOTInductor",
        }
    }

    /// What a file is. Otherwise: one line with the path, the cause and the remedy.
    pub fn of(path: &Path) -> Result<Format, String> {
        match expect(path, &[Known::TorchScript, Known::AotInductor])? {
            Some(Known::TorchScript) => Ok(Format::TorchScript),
            Some(Known::AotInductor) => Ok(Format::Package),
            _ => Err(format!(
                "{}: is neither a TorchScript file nor an AOTInductor package; make one with \
                 torch.jit.script(model).save(\"MODEL.pt\")",
                path.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_given_to_pytorch() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.pt");
        for content in [&b"\x08"[..], b"hello, world"] {
            std::fs::write(&path, content).expect("a file");
            let message = Format::of(&path).expect_err("it is no model");
            let expected = format!("{}: is neither a TorchScript file nor an AOTInductor package; ", path.display());
            assert!(message.starts_with(&expected), "{message}");
        }
        std::fs::write(&path, b"\x08\x0a\x12\x07pytorch").expect("a file");
        let message = Format::of(&path).expect_err("it is of another framework");
        assert!(
            message.contains("is an ONNX model and not a TorchScript model or an AOTInductor package; "),
            "{message}"
        );
    }
}

//! What ONNX Runtime is to read: the file itself; bytes that another crate has made; or what was too old for it, lifted to its
//! oldest operator set.

use crate::scan::{check_location, scan};
use crate::upgrade::{self, BYTES_MAX, MESSAGES_MAX, OPSET};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Where a model comes from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// The file, as it is.
    File,
    /// Memory.
    Bytes {
        /// The model.
        bytes: Cow<'a, [u8]>,
        /// The opset that it was of, if it is a file that was lifted.
        upgraded_from: Option<i64>,
    },
}

impl Source<'_> {
    /// Looks at a file that may be an ONNX model. Otherwise: one line with the path, the cause and the remedy.
    pub fn of(path: &Path) -> Result<Source<'static>, String> {
        // Whatever is no sound protobuf is refused by ONNX Runtime, in words of its own.
        let Some(scan) = scan(path) else { return Ok(Source::File) };
        for location in &scan.locations {
            check_location(path, location)?;
        }
        let failed = |cause: String| format!("{}: {cause}", path.display());
        // A model says its operators' version since the third version of the representation.
        let is_old = match scan.opset {
            Some(opset) => opset < OPSET as u64,
            None => scan.ir_version.is_some_and(|version| version < 3),
        };
        if !is_old {
            return Ok(Source::File);
        }
        if !scan.locations.is_empty() {
            let remedy = format!("export it again, for opset {OPSET} or newer");
            return Err(failed(format!("its operators are too old for weights in other files; {remedy}")));
        }
        if scan.messages > MESSAGES_MAX {
            return Err(failed(format!(
                "it has {} parts, of {MESSAGES_MAX} at most; export a smaller model",
                scan.messages
            )));
        }
        let bytes = read(path).map_err(failed)?;
        let (bytes, from) = upgrade::upgraded(&bytes).map_err(failed)?;
        Ok(Source::Bytes { bytes: bytes.into(), upgraded_from: Some(from) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}; it has to be readable by this user"))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes, which is the most of a protobuf; export it again"));
    }
    Ok(bytes)
}

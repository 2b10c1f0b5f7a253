//! What ONNX Runtime is to read: the file itself; bytes that another crate has made; or what was too old for it, lifted to its
//! oldest operator set.
#![forbid(unsafe_code)]

use crate::location::check_location;
use crate::scan::scan;
use crate::upgrade::{self, BYTES_MAX, DECODED_BYTES_MAX, OPSET};
use graphpiped_model_format::Unread;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};
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
        let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = file.map_err(|error| format!("{}: {}", path.display(), cannot_be_read(error)))?;
        Source::of_file(path, file, length)
    }

    /// The same of a file that has been opened, and is of this length.
    pub fn of_file(path: &Path, mut file: impl Read + Seek, length: u64) -> Result<Source<'static>, String> {
        let failed = |cause: String| format!("{}: {cause}", path.display());
        // ONNX Runtime opens whatever file a tensor names before it complains about the rest. So it never sees a protobuf whose
        // names have not been seen here.
        let Some(scan) = scan(&mut file, length) else {
            return if is_ort(path, file).map_err(failed)? { Ok(Source::File) } else { Err(failed(DAMAGED.into())) };
        };
        for location in &scan.locations {
            check_location(path, location)?;
        }
        if let (Some(first), Some(second)) = (scan.opset, scan.second_opset) {
            return Err(failed(format!("it is of opset {first} and of opset {second} at once; export it again")));
        }
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
        if scan.decoded_bytes > DECODED_BYTES_MAX {
            return Err(failed(format!(
                "it would take more than {DECODED_BYTES_MAX} bytes of memory besides its weights to upgrade it; export it \
                 again, for opset {OPSET} or newer"
            )));
        }
        let bytes = read(file).map_err(failed)?;
        let (bytes, from) = upgrade::upgraded(&bytes).map_err(failed)?;
        Ok(Source::Bytes { bytes: bytes.into(), upgraded_from: Some(from) })
    }
}

/// What a file is that could not be walked.
const DAMAGED: &str = "it is damaged or not an ONNX model; its fields do not lie in one another as those of a protobuf do; copy \
                       it again, or export it to ONNX";

/// Whether ONNX Runtime reads a file as its own format, in which tensors are in no other file by a name that the model chooses.
/// It goes by the ending of the name alone.
fn is_ort(path: &Path, file: impl Read + Seek) -> Result<bool, String> {
    let start = beginning(file, 8).map_err(cannot_be_read)?;
    match (start.get(4..) == Some(b"ORTM"), path.extension().is_some_and(|ending| ending == "ort")) {
        (true, false) => Err("it is of ONNX Runtime's own format; give it a name that ends in .ort".to_string()),
        (is_ort, _) => Ok(is_ort),
    }
}

/// So many of a file's first bytes, or as many as there are.
fn beginning(mut file: impl Read + Seek, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cannot_be_read(error: io::Error) -> String {
    Unread::from(error).to_string()
}

fn read(file: impl Read + Seek) -> Result<Vec<u8>, String> {
    let bytes = beginning(file, BYTES_MAX + 1).map_err(cannot_be_read)?;
    if bytes.len() as u64 > BYTES_MAX {
        let unread = Unread::Long(BYTES_MAX);
        return Err(format!("it {unread}, which is the most of a protobuf; export it again"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a length: its number, and what is in it.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut rest in [usize::from(number) << 3 | 2, content.len()] {
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        [&bytes, content].concat()
    }

    fn looked_at(bytes: &[u8]) -> Result<Source<'static>, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, bytes).expect("a file");
        let message = |error: String| error.strip_prefix(&format!("{}: ", path.display())).map(str::to_string);
        Source::of(&path).map_err(|error| message(error).expect("the path comes first"))
    }

    /// A model of opset 6 with this graph.
    fn old(graph: &[u8]) -> Vec<u8> {
        [&field(7, graph)[..], &field(8, &[0x10, 6])].concat()
    }

    #[test]
    fn an_old_model_that_takes_much_more_memory_than_bytes_is_refused_before_it_is_decoded() {
        // Numbers of fields from `onnx.proto`, from the model's graph on inwards: attributes, values, axes, properties of
        // values and of tensors, names of inputs, strings of tensors and of attributes, types, and axes as numbers.
        let places: [&[u8]; 11] = [
            &[1, 5],
            &[11],
            &[11, 2, 1, 2, 1],
            &[13, 4],
            &[5, 16],
            &[1, 1],
            &[5, 6],
            &[1, 5, 9],
            &[1, 5, 15],
            &[14, 2],
            &[1, 10, 2],
        ];
        for place in places {
            let (innermost, outer) = place.split_last().expect("one at least");
            let model = |count| {
                let parts = field(*innermost, b"").repeat(count);
                old(&outer.iter().rev().fold(parts, |inner, number| field(*number, &inner)))
            };
            let Err(message) = looked_at(&model(5_000_000)) else {
                panic!("{place:?} would take hundreds of megabytes")
            };
            assert!(message.starts_with("it would take more than 268435456 bytes of memory"), "{place:?}: {message}");
            // What is in it is no sound model either, but that is found out afterwards.
            let small = looked_at(&model(10)).map_or_else(|message| message, |_| String::new());
            assert!(!small.contains("memory"), "{place:?}: {small}");
        }
        let packed = old(&field(5, &field(7, &vec![0; 40 << 20])));
        let message = looked_at(&packed).expect_err("a byte of the file is eight in memory");
        assert!(message.starts_with("it would take more than"), "{message}");
        let weights = old(&field(5, &field(4, &vec![0; 40 << 20])));
        assert!(looked_at(&weights).is_ok(), "floats take no more than in the file");
    }

    #[test]
    fn what_cannot_be_walked_is_refused_unless_it_is_onnx_runtimes_own_format() {
        // A model that is cut after the name of a file that it wants.
        let entry = [field(1, b"location"), field(2, b"../outside")].concat();
        let mut cut = field(7, &field(5, &field(13, &entry)));
        cut.push(0x0a);
        for bytes in [&cut[..], b"words", &[0x3b]] {
            let message = looked_at(bytes).expect_err("it is damaged");
            assert!(message.starts_with("it is damaged or not an ONNX model; "), "{message}");
        }
        let own = b"\x20\0\0\0ORTM\0\0";
        let message = looked_at(own).expect_err("ONNX Runtime would take it for a protobuf");
        assert!(message.ends_with("; give it a name that ends in .ort"), "{message}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.ort");
        std::fs::write(&path, own).expect("a file");
        assert!(matches!(Source::of(&path), Ok(Source::File)));
        // The name of a model's writer is no sign of it: the files of this one are looked at.
        let model = [field(2, b"  ORTM"), field(7, &field(5, &field(13, &entry)))].concat();
        assert!(looked_at(&model).expect_err("it is outside").contains("lies outside of the model's folder"));
    }

    #[test]
    fn a_model_of_two_opsets_is_refused() {
        let own = |domain: &[u8], version| field(8, &[&field(1, domain)[..], &[0x10, version]].concat());
        for (first, second) in [(6, 13), (13, 6)] {
            let bytes = [own(b"", first), own(b"ai.onnx", second), field(7, b"")].concat();
            let message = looked_at(&bytes).expect_err("which one?");
            assert_eq!(message, format!("it is of opset {first} and of opset {second} at once; export it again"));
        }
        assert!(looked_at(&[own(b"", 13), own(b"ai.onnx", 13), field(7, b"")].concat()).is_ok());
    }
}

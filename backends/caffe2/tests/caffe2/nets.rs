//! Nets that no exporter would write, put together field by field, and files of them in a folder.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A field with a length: its number is below 16.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

/// An argument of an operator.
pub enum Argument<'a> {
    /// One integer, below 128.
    Int(&'a str, u8),
    /// Integers, each below 128.
    Ints(&'a str, &'a [u8]),
    /// Numbers.
    Floats(&'a str, &'a [f32]),
    /// A string.
    Text(&'a str, &'a str),
}

impl Argument<'_> {
    fn bytes(&self) -> Vec<u8> {
        let (name, value) = match self {
            Argument::Int(name, value) => (name, vec![0x18, *value]),
            Argument::Ints(name, values) => (name, values.iter().flat_map(|&value| [0x30, value]).collect()),
            Argument::Floats(name, values) => {
                let one = |value: &f32| [vec![0x2d], value.to_le_bytes().to_vec()].concat();
                (name, values.iter().flat_map(one).collect())
            }
            Argument::Text(name, text) => (name, field(4, text.as_bytes())),
        };
        [field(1, name.as_bytes()), value].concat()
    }
}

/// An operator. Blobs are separated by spaces.
pub fn operator(kind: &str, inputs: &str, outputs: &str, arguments: &[Argument<'_>]) -> Vec<u8> {
    let blobs = |number, names: &str| {
        names.split_whitespace().flat_map(|name| field(number, name.as_bytes())).collect::<Vec<_>>()
    };
    let arguments = arguments.iter().flat_map(|argument| field(5, &argument.bytes())).collect();
    [blobs(1, inputs), blobs(2, outputs), field(4, kind.as_bytes()), arguments].concat()
}

/// A net that gives `y`.
pub fn net(operators: &[Vec<u8>]) -> Vec<u8> {
    let operators = operators.iter().flat_map(|operator| field(2, operator)).collect();
    [field(1, b"net"), operators, field(8, b"y")].concat()
}

/// A weight of these values.
pub fn weight(name: &str, shape: &[u8], values: &[f32]) -> Vec<u8> {
    operator("GivenTensorFill", "", name, &[Argument::Ints("shape", shape), Argument::Floats("values", values)])
}

/// Files of a net in a folder of their own.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// A net of these operators, with these weights; `x` goes in, of the type and shape `[1, [1, 2, 4, 4]]`.
    pub fn of(init: &[Vec<u8>], predict: &[Vec<u8>]) -> Files {
        let files = Files::with(&[("init_net.pb", &net(init)), ("predict_net.pb", &net(predict))]);
        files.write("value_info.json", br#"{"x": [1, [1, 2, 4, 4]]}"#);
        files
    }

    /// A folder with these files.
    pub fn with(files: &[(&str, &[u8])]) -> Files {
        let made = Files { folder: tempfile::tempdir().expect("a temporary folder") };
        for (name, content) in files {
            made.write(name, content);
        }
        made
    }

    /// Writes a file in the folder.
    pub fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.file(name), content).expect("a file");
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

//! A look over a model file that reads little of it: the version of its operators, and the files that its tensors are in.
//!
//! Fields are walked by their lengths, so weights are stepped over and not read. What is no sound protobuf ends the walk, and is
//! left to ONNX Runtime to complain about.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// What a walk has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The version of the representation.
    pub ir_version: Option<u64>,
    /// The version of ONNX's own operators.
    pub opset: Option<u64>,
    /// Files that tensors are in, as the model names them; each once.
    pub locations: Vec<PathBuf>,
    /// How many messages there are.
    pub messages: u64,
}

/// Walks a file. `None` if it is no sound protobuf.
pub(crate) fn scan(path: &Path) -> Option<Scan> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut walk = Walk { file: BufReader::with_capacity(1 << 14, file), at: 0, scan: Scan::default() };
    walk.message(Kind::Model, length, 0)?;
    Some(walk.scan)
}

/// Refuses a file of weights that does not lie in the model's folder. Older versions of ONNX Runtime open any. A file that is not
/// there is ONNX Runtime's to miss.
pub(crate) fn check_location(model: &Path, location: &Path) -> Result<(), String> {
    let outside = |how: &str| {
        // In quotes and escaped: a name may have line breaks.
        let (shown, location) = (model.display(), location.to_string_lossy());
        Err(format!(
            "{shown}: its external data {location:?} {how}; put it into the model's folder, and name it from there"
        ))
    };
    if location.components().any(|part| matches!(part, Component::RootDir | Component::Prefix(_))) {
        return outside("is named by an absolute path");
    }
    let folder = model.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let (Ok(folder), Ok(file)) = (folder.canonicalize(), folder.join(location).canonicalize()) else {
        // Where a name leads that does not lead anywhere is a question of its words alone.
        return if leaves(location) { outside("lies outside of the model's folder") } else { Ok(()) };
    };
    // A cache of models links to files that all lie in one folder: the model's own, if it is a link as well.
    let own = model.canonicalize().ok().and_then(|model| model.parent().map(|own| file.starts_with(own)));
    if file.starts_with(folder) || own == Some(true) { Ok(()) } else { outside("lies outside of the model's folder") }
}

/// Whether the words of a relative path lead out of where it begins.
fn leaves(location: &Path) -> bool {
    let mut depth = 0_i64;
    location.components().any(|part| {
        depth += match part {
            Component::ParentDir => -1,
            Component::Normal(_) => 1,
            _ => 0,
        };
        depth < 0
    })
}

/// Messages that are walked, and what their fields are; numbers from `onnx.proto`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Opset,
    Graph,
    Node,
    Attribute,
    Tensor,
    Entry,
    Sparse,
    Function,
    Training,
}

impl Kind {
    fn of_field(self, field: u64) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) | (Kind::Training, 1 | 2) => Kind::Graph,
            (Kind::Model, 8) => Kind::Opset,
            (Kind::Model, 20) => Kind::Training,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
            (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
            (Kind::Tensor, 13) => Kind::Entry,
            _ => return None,
        })
    }
}

/// Deeper than any model; protobuf's own limit.
const DEPTH_MAX: usize = 100;
/// The most bytes of a string that is read: names of files and of domains.
const STRING_MAX: u64 = 4096;

struct Walk {
    file: BufReader<File>,
    at: u64,
    scan: Scan,
}

impl Walk {
    /// Walks a message that ends at byte `end` of the file.
    fn message(&mut self, kind: Kind, end: u64, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.scan.messages += 1;
        let (mut first, mut second, mut number) = (Vec::new(), Vec::new(), None);
        while self.at < end {
            let key = self.varint()?;
            let (field, wire) = (key >> 3, key & 7);
            match wire {
                0 => {
                    let value = self.varint()?;
                    match (kind, field) {
                        (Kind::Model, 1) => self.scan.ir_version = Some(value),
                        (Kind::Opset, 2) => number = Some(value),
                        _ => {}
                    }
                }
                1 => self.skip(8)?,
                5 => self.skip(4)?,
                2 => {
                    let length = self.varint()?;
                    let field_end = self.at.checked_add(length).filter(|field_end| *field_end <= end)?;
                    match (kind, field) {
                        (Kind::Opset | Kind::Entry, 1) => first = self.string(length)?,
                        (Kind::Entry, 2) => second = self.string(length)?,
                        _ => match kind.of_field(field) {
                            Some(inner) => self.message(inner, field_end, depth + 1)?,
                            None => self.skip(length)?,
                        },
                    }
                }
                3 => self.group(end, depth + 1)?,
                _ => return None,
            }
        }
        match kind {
            Kind::Opset if first.is_empty() || first == b"ai.onnx" => self.scan.opset = number,
            Kind::Entry if first == b"location" => {
                let location = PathBuf::from(OsString::from_vec(second));
                if !self.scan.locations.contains(&location) {
                    self.scan.locations.push(location);
                }
            }
            _ => {}
        }
        (self.at == end).then_some(())
    }

    /// Steps over a group, which no model has and every reader of protobuf steps over.
    fn group(&mut self, end: u64, depth: usize) -> Option<()> {
        while depth <= DEPTH_MAX && self.at < end {
            match self.varint()? & 7 {
                0 => drop(self.varint()?),
                1 => self.skip(8)?,
                2 => {
                    let length = self.varint()?;
                    self.skip(length)?;
                }
                3 => self.group(end, depth + 1)?,
                4 => return Some(()),
                5 => self.skip(4)?,
                _ => return None,
            }
        }
        None
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte).ok()?;
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn string(&mut self, length: u64) -> Option<Vec<u8>> {
        if length > STRING_MAX {
            return None;
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes).ok()?;
        self.at += length;
        Some(bytes)
    }

    fn skip(&mut self, length: u64) -> Option<()> {
        self.file.seek_relative(i64::try_from(length).ok()?).ok()?;
        self.at += length;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_onnx_proto::{
        AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
        StringStringEntryProto, TensorProto,
    };
    use std::fs;

    fn scanned(bytes: &[u8]) -> Option<Scan> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.onnx");
        fs::write(&path, bytes).expect("a file");
        scan(&path)
    }

    fn tensor(location: &str) -> TensorProto {
        let entry =
            |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
        let external_data = vec![entry("offset", "0"), entry("location", location)];
        TensorProto { raw_data: Some(vec![0xff; 100_000]), external_data, ..TensorProto::default() }
    }

    /// A tensor in every place that a model has for one.
    fn model() -> ModelProto {
        let within = GraphProto { initializer: vec![tensor("d")], ..GraphProto::default() };
        let sparse = |name| SparseTensorProto { values: Some(tensor(name)), ..SparseTensorProto::default() };
        let attribute = AttributeProto {
            t: Some(tensor("b")),
            tensors: vec![tensor("c"), tensor("a")],
            g: Some(within.clone()),
            graphs: vec![GraphProto { initializer: vec![tensor("e")], ..GraphProto::default() }],
            sparse_tensor: Some(sparse("f")),
            ..AttributeProto::default()
        };
        let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
        let graph = GraphProto {
            node: vec![node],
            initializer: vec![tensor("a")],
            sparse_initializer: vec![sparse("g")],
            ..GraphProto::default()
        };
        let opset = |domain: Option<&str>, version| OperatorSetIdProto {
            domain: domain.map(Into::into),
            version: Some(version),
        };
        ModelProto {
            ir_version: Some(3),
            graph: Some(graph),
            opset_import: vec![opset(Some("com.example"), 1), opset(None, 6), opset(Some("other"), 2)],
            ..ModelProto::default()
        }
    }

    #[test]
    fn versions_and_files_are_found_in_every_place_that_a_tensor_may_be_in() {
        let mut scan = scanned(&model().encode_to_vec()).expect("a model");
        scan.locations.sort();
        assert_eq!((scan.ir_version, scan.opset), (Some(3), Some(6)));
        assert_eq!(scan.locations, ["a", "b", "c", "d", "e", "f", "g"].map(PathBuf::from));
    }

    #[test]
    fn groups_and_fields_that_nobody_knows_are_stepped_over() {
        // Fields 100 of each wire type, and a group in a group, before the model.
        let unknown = [
            &[0xa0, 0x06, 0x7f][..],
            &[0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xa2, 0x06, 0x02, 0x3a, 0x3a],
            &[0xa3, 0x06, 0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06, 0x15, 1, 2, 3, 4, 0x12, 0x01, 0xff, 0xa4, 0x06],
            &[0xa5, 0x06, 1, 2, 3, 4],
        ];
        let bytes = [unknown.concat(), model().encode_to_vec()].concat();
        let scan = scanned(&bytes).expect("a model");
        assert_eq!((scan.opset, scan.locations.len()), (Some(6), 7));
        assert_eq!(scanned(&[0xa3, 0x06, 0x08, 0x01]), None, "a group that does not end");
    }

    #[test]
    fn what_is_no_sound_protobuf_is_nothing() {
        let whole = model().encode_to_vec();
        for bytes in [b"hello".as_slice(), &whole[..whole.len() - 1], &[0x3b], &[0x3a, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(scanned(bytes), None, "{} bytes", bytes.len());
        }
        assert_eq!(scanned(b""), Some(Scan { messages: 1, ..Scan::default() }));
    }

    #[test]
    fn files_outside_of_the_folder_are_refused_whatever_they_are_called() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (inside, model) = (folder.path().join("in"), folder.path().join("in/m.onnx"));
        fs::create_dir_all(inside.join("sub")).expect("a folder");
        for file in ["outside", "in/ok", "in/sub/ok", "in/m.onnx"] {
            fs::write(folder.path().join(file), "x").expect("a file");
        }
        for (link, to) in [("in/link", "../outside"), ("in/good", "sub/ok"), ("in/up", "..")] {
            std::os::unix::fs::symlink(to, folder.path().join(link)).expect("a link");
        }
        for location in ["ok", "sub/ok", "./ok", "sub/../ok", "good", "absent", "sub/absent", "..."] {
            assert_eq!(check_location(&model, Path::new(location)), Ok(()), "{location}");
        }
        let absolute = inside.join("ok").display().to_string();
        for location in ["../outside", "../absent", "sub/../../outside", "link", "up/outside", "/etc/passwd", &absolute]
        {
            let message = check_location(&model, Path::new(location)).expect_err(location);
            let begin = format!("{}: its external data {location:?} ", model.display());
            assert!(message.starts_with(&begin) && message.contains("; put it into the model's folder"), "{message}");
        }
    }

    #[test]
    fn a_model_that_is_a_link_has_its_weights_where_it_really_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for part in ["blobs", "snapshot"] {
            fs::create_dir(folder.path().join(part)).expect("a folder");
        }
        for file in ["blobs/m", "blobs/w", "elsewhere"] {
            fs::write(folder.path().join(file), "x").expect("a file");
        }
        for (link, to) in [("m.onnx", "../blobs/m"), ("w.bin", "../blobs/w"), ("other.bin", "../elsewhere")] {
            std::os::unix::fs::symlink(to, folder.path().join("snapshot").join(link)).expect("a link");
        }
        let model = folder.path().join("snapshot/m.onnx");
        assert_eq!(check_location(&model, Path::new("w.bin")), Ok(()));
        assert!(check_location(&model, Path::new("other.bin")).is_err());
    }
}

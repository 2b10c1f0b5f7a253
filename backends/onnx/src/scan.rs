//! A look over a model file that reads little of it: the version of its operators, the files that its tensors are in, and what
//! it would take in memory.
//!
//! Fields are walked by their lengths, so weights are stepped over and not read. What is no sound protobuf ends the walk. It is
//! stricter than other readers where they differ: what ONNX Runtime finds in a file, this has to have seen.
#![forbid(unsafe_code)]

mod kind;

use kind::{Kind, NUMBER};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufReader, Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What a walk has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The version of the representation.
    pub ir_version: Option<u64>,
    /// The version of ONNX's own operators.
    pub opset: Option<u64>,
    /// Another version of them, which the model says as well.
    pub second_opset: Option<u64>,
    /// Files that tensors are in, as the model names them; each once.
    pub locations: BTreeSet<PathBuf>,
    /// Bytes that its messages, strings and lists of integers take in memory when they are decoded, as [`Kind::size`] weighs them.
    /// What is as long in memory as in the file is not counted.
    pub decoded_bytes: u64,
}

/// Walks a file of this length. `None` if it is no sound protobuf.
pub(crate) fn scan(file: impl Read + Seek, length: u64) -> Option<Scan> {
    let mut walk = Walk { file: BufReader::with_capacity(1 << 14, file), at: 0, scan: Scan::default() };
    walk.message(Kind::Model, length, 0)?;
    Some(walk.scan)
}

/// Deeper than any model; protobuf's own limit.
const DEPTH_MAX: usize = 100;
/// The most bytes of a string that is looked at: names of files and of domains.
const STRING_MAX: u64 = 4096;

struct Walk<F> {
    file: BufReader<F>,
    at: u64,
    scan: Scan,
}

impl<F: Read + Seek> Walk<F> {
    /// Walks a message that ends at byte `end` of the file.
    fn message(&mut self, kind: Kind, end: u64, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.weigh(kind.size());
        let (mut first, mut second, mut number) = (Vec::new(), Vec::new(), None);
        while self.at < end {
            let (field, wire) = self.key()?;
            if wire != 2 {
                self.weigh(NUMBER);
            }
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
                            Some(inner) => {
                                self.message(inner, field_end, depth + 1)?;
                                continue;
                            }
                            None => self.skip(length)?,
                        },
                    }
                    self.weigh(kind.size_of_field(field, length));
                }
                3 => self.group(end, depth + 1)?,
                _ => return None,
            }
        }
        match kind {
            Kind::Opset if first.is_empty() || first == b"ai.onnx" => {
                let opset = number.unwrap_or_default();
                match self.scan.opset {
                    Some(other) if other != opset => self.scan.second_opset = Some(opset),
                    _ => self.scan.opset = Some(opset),
                }
            }
            // Longer than any name of a file; its end has not been seen.
            Kind::Entry if first == b"location" && second.len() as u64 > STRING_MAX => return None,
            Kind::Entry if first == b"location" => {
                self.scan.locations.insert(PathBuf::from(OsString::from_vec(second)));
            }
            _ => {}
        }
        (self.at == end).then_some(())
    }

    /// Steps over a group, which no model has and every reader of protobuf steps over.
    fn group(&mut self, end: u64, depth: usize) -> Option<()> {
        while depth <= DEPTH_MAX && self.at < end {
            match self.key()?.1 {
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

    /// The number of a field, and how it is written. Both are 32 bits in all; other readers stop there, and would find another
    /// field than this one.
    fn key(&mut self) -> Option<(u64, u64)> {
        let key = self.varint()?;
        u32::try_from(key).is_ok().then_some((key >> 3, key & 7))
    }

    /// A string; of one that is too long, one byte more than [`STRING_MAX`].
    fn string(&mut self, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length.min(STRING_MAX + 1) as usize];
        self.file.read_exact(&mut bytes).ok()?;
        self.at += bytes.len() as u64;
        self.skip(length - bytes.len() as u64)?;
        Some(bytes)
    }

    fn weigh(&mut self, bytes: u64) {
        self.scan.decoded_bytes = self.scan.decoded_bytes.saturating_add(bytes);
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
    use std::io::Cursor;
    use std::path::Path;

    fn scanned(bytes: &[u8]) -> Option<Scan> {
        scan(Cursor::new(bytes), bytes.len() as u64)
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
        let scan = scanned(&model().encode_to_vec()).expect("a model");
        assert_eq!((scan.ir_version, scan.opset), (Some(3), Some(6)));
        assert_eq!(scan.locations, ["a", "b", "c", "d", "e", "f", "g"].map(PathBuf::from).into());
    }

    #[test]
    fn a_file_for_each_of_many_tensors_is_no_long_look() {
        // Whoever compared each with all others would compare five thousand million.
        let tensor = |number: usize| TensorProto {
            external_data: vec![StringStringEntryProto {
                key: Some("location".into()),
                value: Some(number.to_string()),
            }],
            ..TensorProto::default()
        };
        let graph = GraphProto { initializer: (0..100_000).map(tensor).collect(), ..GraphProto::default() };
        let scan = scanned(&ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec());
        assert_eq!(scan.expect("a model").locations.len(), 100_000);
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
    fn long_strings_are_stepped_over_unless_they_name_a_file() {
        let long = "x".repeat(STRING_MAX as usize + 1);
        let entry =
            |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
        let with = |extra: StringStringEntryProto| {
            let mut model = model();
            let opset = OperatorSetIdProto { domain: Some(long.clone()), version: Some(9) };
            model.opset_import.push(opset);
            let graph = model.graph.as_mut().expect("it has one");
            graph.initializer.push(TensorProto { external_data: vec![extra], ..tensor("z") });
            graph.initializer.push(tensor("last"));
            scanned(&model.encode_to_vec())
        };
        for extra in [entry("checksum", &long), entry(&long, "location"), entry(&long, &long)] {
            let scan = with(extra).expect("a model");
            assert_eq!((scan.opset, scan.locations.len()), (Some(6), 8));
            assert!(scan.locations.contains(Path::new("last")));
        }
        assert_eq!(with(entry("location", &long)), None);
        let scan = with(entry("location", &long[1..])).expect("a model");
        assert!(scan.locations.contains(Path::new(&long[1..])));
    }

    #[test]
    fn a_key_that_other_readers_take_for_another_one_is_refused() {
        // 2 to the 32nd, and the model's graph (field 7), whose initializer is in a file: readers of 32 bits find it.
        let graph = GraphProto { initializer: vec![tensor("a")], ..GraphProto::default() }.encode_to_vec();
        let mut bytes = vec![0xba, 0x80, 0x80, 0x80, 0x10];
        let length = graph.len();
        bytes.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8]);
        bytes.extend(graph);
        assert_eq!(scanned(&bytes), None);
        bytes[4] = 0x00;
        assert_eq!(scanned(&bytes).expect("the same in 32 bits").locations, [PathBuf::from("a")].into());
    }

    #[test]
    fn two_versions_of_the_operators_are_both_found() {
        let opset = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version };
        let found = |opsets: [OperatorSetIdProto; 2]| {
            let model = ModelProto { opset_import: opsets.into(), ..ModelProto::default() };
            scanned(&model.encode_to_vec()).map(|scan| (scan.opset, scan.second_opset))
        };
        assert_eq!(found([opset("", Some(6)), opset("ai.onnx", Some(13))]), Some((Some(6), Some(13))));
        assert_eq!(found([opset("ai.onnx", Some(13)), opset("", None)]), Some((Some(13), Some(0))));
        assert_eq!(found([opset("", Some(6)), opset("ai.onnx", Some(6))]), Some((Some(6), None)));
        assert_eq!(found([opset("", Some(6)), opset("other", Some(7))]), Some((Some(6), None)));
    }

    #[test]
    fn what_is_no_sound_protobuf_is_nothing() {
        let whole = model().encode_to_vec();
        for bytes in [b"hello".as_slice(), &whole[..whole.len() - 1], &[0x3b], &[0x3a, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(scanned(bytes), None, "{} bytes", bytes.len());
        }
        assert!(scanned(b"").is_some_and(|scan| scan.locations.is_empty() && scan.opset.is_none()));
    }
}

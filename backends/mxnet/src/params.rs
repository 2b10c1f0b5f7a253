//! What is in a file of parameters: names, types and sizes, read before MXNet reads the numbers.
//!
//! MXNet allocates what the file says and looks afterwards whether it is there, and leaves memory as it found it where a parameter
//! is missing. Here everything is compared with the length of the file, and with what the symbol wants.
//!
//! ```text
//! 0x112, 0 | arrays: u64 | each array                                              | names: u64 | each: length u64, bytes
//!                          0xf993fac9, storage i32 | rank u32, each axis i64        \
//!                          0xf993fac8              | rank u32, each axis i64         } device i32 i32, type i32, elements
//!                          rank u32 (no number of its own), each axis u32           /
//! ```
//!
//! An array of rank 0 ends behind its rank. 0xf993faca is 0xf993fac9 with axes as NumPy has them, whose rank 0 is one number.
#![forbid(unsafe_code)]

use crate::types;
use std::hash::{DefaultHasher, Hasher};

/// The most bytes of a file: MXNet's interface counts them in an `int`.
pub(crate) const BYTES_MAX: u64 = i32::MAX as u64;

/// What the names of a file say that they are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Params {
    /// Names of arguments, and their shapes.
    pub arguments: Vec<(String, Vec<u32>)>,
    /// Names of auxiliary states, such as moving averages.
    pub auxiliary: Vec<String>,
    /// How many are neither.
    pub others: usize,
}

impl Params {
    /// Reads a file. Otherwise: what is the matter, to follow the path.
    pub fn read(file: &[u8]) -> Result<Params, String> {
        let mut rest = Rest(file);
        if rest.u64() != Some(LIST) {
            let words = "is not a file of MXNet parameters (they begin with 0x112); \
                         save them with save_checkpoint or HybridBlock.export";
            return Err(words.to_string());
        }
        let damaged = |what: String| format!("is damaged ({what}); copy it again");
        rest.u64().ok_or_else(|| damaged("it ends in its head".into()))?;
        let count = rest.u64().ok_or_else(|| damaged("it ends in its head".into()))?;
        let mut shapes = Vec::new();
        for index in 0..count {
            // Each has at least four bytes, so a count that is too large runs into the end soon.
            shapes.push(array(&mut rest).map_err(|cause| damaged(format!("array {index} of {count}: {cause}")))?);
        }
        let names = rest.u64().ok_or_else(|| damaged("it ends before its names".into()))?;
        if names != count {
            return Err(damaged(format!("{count} arrays have {names} names")));
        }
        let mut params = Params::default();
        for shape in shapes {
            let length = rest.u64().and_then(|length| usize::try_from(length).ok());
            let name = length.and_then(|length| rest.take(length)).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or_else(|| damaged("it ends within its names".into()))?;
            if let Some(name) = name.strip_prefix("arg:") {
                params.arguments.push((name.to_string(), shape));
            } else if let Some(name) = name.strip_prefix("aux:") {
                params.auxiliary.push(name.to_string());
            } else {
                params.others += 1;
            }
        }
        Ok(params)
    }
}

/// What a file is known by when it is read again: its length, and a hash of all of it. Whoever can write it needs no deceit to
/// serve other parameters, so the hash is a cheap one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    bytes: usize,
    hash: u64,
}

impl Digest {
    /// Of a file that has been read.
    pub fn of(file: &[u8]) -> Digest {
        let mut hasher = DefaultHasher::new();
        hasher.write(file);
        Digest { bytes: file.len(), hash: hasher.finish() }
    }
}

/// What a list of arrays begins with.
const LIST: u64 = 0x112;
const DENSE_OR_SPARSE: u32 = 0xf993_fac9;
const AS_NUMPY: u32 = 0xf993_faca;
const WIDE: u32 = 0xf993_fac8;
/// More axes than anybody has; MXNet would allocate what a damaged file says.
const RANK_MAX: u32 = 32;

/// Reads over an array; gives its shape.
fn array(rest: &mut Rest<'_>) -> Result<Vec<u32>, String> {
    let ends = || "the file ends within it".to_string();
    let first = rest.u32().ok_or_else(ends)?;
    let is_wide = [DENSE_OR_SPARSE, AS_NUMPY, WIDE].contains(&first);
    if is_wide && first != WIDE && rest.u32().ok_or_else(ends)? != 0 {
        return Err("it is sparse, which is not taken".to_string());
    }
    let rank = if is_wide { rest.u32().ok_or_else(ends)? } else { first };
    if rank > RANK_MAX {
        return Err(format!("it has {rank} axes"));
    }
    let mut shape = Vec::new();
    for _ in 0..rank {
        let axis = if is_wide { rest.u64() } else { rest.u32().map(u64::from) }.ok_or_else(ends)?;
        shape.push(u32::try_from(axis).map_err(|_| format!("an axis has the size {axis}"))?);
    }
    if rank == 0 && first != AS_NUMPY {
        return Ok(shape);
    }
    rest.take(8).ok_or_else(ends)?;
    let number = rest.u32().ok_or_else(ends)? as i32;
    let element = types::bytes_of_number(number).ok_or_else(|| format!("its elements are of type {number}"))?;
    let bytes = shape.iter().try_fold(element, |bytes, &axis| bytes.checked_mul(axis.into()));
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(ends)?;
    rest.take(bytes).ok_or_else(ends)?;
    Ok(shape)
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u64s(values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn u32s(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A file of these arrays and names, by the drawing at the head of this module.
    fn file(arrays: &[Vec<u8>], names: &[&str]) -> Vec<u8> {
        let mut bytes = u64s(&[0x112, 0, arrays.len() as u64]);
        bytes.extend(arrays.concat());
        bytes.extend(u64s(&[names.len() as u64]));
        for name in names {
            bytes.extend(u64s(&[name.len() as u64]));
            bytes.extend(name.bytes());
        }
        bytes
    }

    /// An array of float32 with two axes.
    fn two_by_three() -> Vec<u8> {
        [u32s(&[0xf993_fac9, 0, 2]), u64s(&[2, 3]), u32s(&[1, 0, 0]), vec![7; 24]].concat()
    }

    #[test]
    fn arrays_of_all_ages_are_read_over() {
        let old = [u32s(&[2, 2, 3]), u32s(&[1, 0, 4]), vec![7; 24]].concat();
        let wide = [u32s(&[0xf993_fac8, 1]), u64s(&[5]), u32s(&[1, 0, 2]), vec![7; 10]].concat();
        let scalar = [u32s(&[0xf993_faca, 0, 0]), u32s(&[1, 0, 1]), vec![7; 8]].concat();
        let none = u32s(&[0xf993_fac9, 0, 0]);
        let names = ["arg:a", "arg:b", "aux:c", "d", "arg:e"];
        let params = Params::read(&file(&[old, wide, scalar, none, two_by_three()], &names)).expect("parameters");
        let arguments = [("a", vec![2, 3]), ("b", vec![5]), ("e", vec![2, 3])];
        assert_eq!(params.arguments, arguments.map(|(name, shape)| (name.to_string(), shape)));
        assert_eq!((params.auxiliary, params.others), (vec!["c".to_string()], 1));
    }

    #[test]
    fn a_file_that_ends_anywhere_is_damaged() {
        let whole = file(&[two_by_three(), two_by_three()], &["arg:a", "aux:bc"]);
        assert!(Params::read(&whole).is_ok());
        for length in 8..whole.len() {
            let message = Params::read(&whole[..length]).expect_err("it is cut");
            assert!(message.starts_with("is damaged (") && message.ends_with("; copy it again"), "{length}: {message}");
        }
    }

    #[test]
    fn what_no_file_can_hold_is_refused_before_anything_is_allocated() {
        let array = |axes: &[u64], number: u32| {
            [u32s(&[0xf993_fac9, 0, axes.len() as u32]), u64s(axes), u32s(&[1, 0, number]), vec![0; 64]].concat()
        };
        let cases: [(Vec<u8>, &str); 6] = [
            (array(&[1 << 31, 1 << 31, 1 << 31], 0), "the file ends within it"),
            (array(&[1 << 30], 0), "the file ends within it"),
            (array(&[1 << 32], 0), "an axis has the size 4294967296"),
            (array(&[1], 99), "its elements are of type 99"),
            (array(&[1; 33], 0), "it has 33 axes"),
            (u32s(&[0xf993_fac9, 1, 1]), "it is sparse, which is not taken"),
        ];
        for (array, expected) in cases {
            let message = Params::read(&file(&[array], &["arg:a"])).expect_err(expected);
            assert_eq!(message, format!("is damaged (array 0 of 1: {expected}); copy it again"));
        }
        let many = u64s(&[0x112, 0, u64::MAX]);
        assert!(Params::read(&many).is_err());
        let mut names = file(&[two_by_three()], &[]);
        assert!(Params::read(&names).expect_err("no names").contains("1 arrays have 0 names"));
        names.truncate(names.len() - 8);
        names.extend(u64s(&[1, u64::MAX]));
        assert!(Params::read(&names).expect_err("a long name").contains("within its names"));
    }

    #[test]
    fn a_file_of_another_kind_is_told_so() {
        for content in [b"".as_slice(), b"a text", b"{\"nodes\": []}      "] {
            assert!(Params::read(content).expect_err("it is none").starts_with("is not a file of MXNet parameters"));
        }
    }
}

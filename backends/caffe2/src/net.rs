//! Nets as they lie in their files: operators that are decoded one at a time, each after its parts have been counted.

use crate::proto::{Argument, OperatorDef};
use crate::wire::{Damaged, Fields};
use prost::Message;

/// A net. Its operators stay in the bytes of its file until they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Net<'a> {
    /// The operators, in the order in which they run.
    pub operators: Vec<&'a [u8]>,
    /// The blobs that it says go in, weights among them.
    pub external_inputs: Vec<String>,
    /// The blobs that it says come out.
    pub external_outputs: Vec<String>,
}

/// Operators in a net. The largest of the model zoo have less than two thousand.
const OPERATORS_MAX: usize = 100_000;

/// Blobs that an operator, or a net as a whole, may name. A `Concat` of DenseNet reads some dozens; every weight of a
/// net is an external input of it.
const BLOBS_MAX: usize = 100_000;

/// Arguments of an operator. A convolution has about ten.
const ARGUMENTS_MAX: usize = 1_000;

/// Strings of an argument. Quantised weights are one string, labels a thousand.
const STRINGS_MAX: usize = 100_000;

impl<'a> Net<'a> {
    /// The net in these bytes; otherwise why there is none.
    pub fn read(bytes: &'a [u8]) -> Result<Net<'a>, String> {
        let mut net = Net::default();
        for field in Fields::of(bytes) {
            match field.map_err(|Damaged| NOT_A_NET)? {
                (2, Some(operator)) => push(&mut net.operators, operator, OPERATORS_MAX, "operators")?,
                (7, Some(name)) => push(&mut net.external_inputs, text(name)?, BLOBS_MAX, "external inputs")?,
                (8, Some(name)) => push(&mut net.external_outputs, text(name)?, BLOBS_MAX, "external outputs")?,
                (2 | 7 | 8, None) => return Err(NOT_A_NET.into()),
                _ => {}
            }
        }
        Ok(net)
    }

    /// The same, if it computes anything. An init_net need not: there are nets without weights.
    pub fn read_with_operators(bytes: &'a [u8]) -> Result<Net<'a>, String> {
        let net = Net::read(bytes)?;
        if net.operators.is_empty() {
            return Err("holds no operator, so it is no net of Caffe2 (a NetDef); name the net's own file".into());
        }
        Ok(net)
    }

    /// All of its operators, decoded, if they do not take too much memory together.
    pub fn decoded(&self) -> Result<Vec<OperatorDef>, String> {
        let bytes: usize =
            self.operators.iter().map(|operator| size_of::<OperatorDef>() + decoded_bytes(operator)).sum();
        if bytes > DECODED_BYTES_MAX {
            return Err(format!(
                "its operators take more than {DECODED_BYTES_MAX} bytes of memory, which no net needs; export it again"
            ));
        }
        self.operators.iter().map(|bytes| operator(bytes)).collect()
    }
}

/// Bytes of memory for all operators of a net. Those of the model zoo take some megabytes.
const DECODED_BYTES_MAX: usize = 256 << 20;
/// The least that an allocator takes for anything.
const ALLOCATION: usize = 32;

/// What the parts of an operator take in memory when it is decoded; none if it is damaged, and decoding will end there.
fn decoded_bytes(operator: &[u8]) -> usize {
    let string = size_of::<String>() + ALLOCATION;
    let of_field = |field| match field {
        Ok((5, Some(argument))) => size_of::<Argument>() + ALLOCATION + argument_bytes(argument),
        Ok((_, Some(bytes))) => string + <[u8]>::len(bytes),
        _ => 0,
    };
    Fields::of(operator).map(of_field).sum()
}

/// The same of an argument. Each number may have a byte of its own, and is of eight in memory.
fn argument_bytes(argument: &[u8]) -> usize {
    let of_field = |field| match field {
        Ok((6, Some(packed))) => 8 * <[u8]>::len(packed),
        Ok((_, Some(bytes))) => size_of::<String>() + ALLOCATION + bytes.len(),
        Ok((_, None)) => 8,
        Err(Damaged) => 0,
    };
    Fields::of(argument).map(of_field).sum()
}

const NOT_A_NET: &str = "is damaged or no net of Caffe2 (a NetDef); copy it again, or export the net again";

/// Decodes an operator.
pub(crate) fn operator(bytes: &[u8]) -> Result<OperatorDef, String> {
    let (mut blobs, mut arguments) = (0, 0);
    for field in Fields::of(bytes) {
        match field.map_err(|Damaged| NOT_A_NET)? {
            (1 | 2, _) => blobs += 1,
            (5, Some(argument)) => {
                arguments += 1;
                let strings = Fields::of(argument).filter(|field| matches!(field, Ok((7, _)))).count();
                limited(strings, STRINGS_MAX, "strings in an argument")?;
            }
            _ => {}
        }
    }
    limited(blobs, BLOBS_MAX, "blobs at an operator")?;
    limited(arguments, ARGUMENTS_MAX, "arguments at an operator")?;
    OperatorDef::decode(bytes).map_err(|_| NOT_A_NET.to_string())
}

fn push<T>(list: &mut Vec<T>, element: T, max: usize, what: &str) -> Result<(), String> {
    limited(list.len() + 1, max, what)?;
    list.push(element);
    Ok(())
}

fn limited(count: usize, max: usize, what: &str) -> Result<(), String> {
    if count <= max { Ok(()) } else { Err(format!("has more than {max} {what}, which no net needs; export it again")) }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_string).map_err(|_| NOT_A_NET.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field 2 of a net: operators without anything in them.
    fn empty_operators(count: usize) -> Vec<u8> {
        [0x12, 0].repeat(count)
    }

    #[test]
    fn more_of_anything_than_a_net_needs_is_refused_before_it_is_decoded() {
        assert_eq!(Net::read(&empty_operators(3)).map(|net| net.operators.len()), Ok(3));
        let error = Net::read(&empty_operators(OPERATORS_MAX + 1)).expect_err("too many");
        assert!(error.starts_with("has more than 100000 operators"), "{error}");
        // Field 5 of an operator: arguments without anything in them. Field 1: blobs without a name.
        let error = operator(&[0x2a, 0].repeat(ARGUMENTS_MAX + 1)).expect_err("too many");
        assert!(error.starts_with("has more than 1000 arguments"), "{error}");
        let error = operator(&[0x0a, 0].repeat(BLOBS_MAX + 1)).expect_err("too many");
        assert!(error.starts_with("has more than 100000 blobs"), "{error}");
        // An argument with empty strings, in field 7 of it.
        let mut bytes = vec![0x2a];
        prost::encode_length_delimiter(2 * (STRINGS_MAX + 1), &mut bytes).expect("memory");
        bytes.extend([0x3a, 0].repeat(STRINGS_MAX + 1));
        let error = operator(&bytes).expect_err("too many");
        assert!(error.starts_with("has more than 100000 strings"), "{error}");
    }

    #[test]
    fn operators_that_take_too_much_memory_together_are_refused_before_any_is_decoded() {
        // An operator with arguments that have nothing in them (field 5), one whose argument has packed integers (field 6 of
        // it), and one with blobs without names (field 1).
        let mut integers = vec![0x2a];
        prost::encode_length_delimiter(1_000_004, &mut integers).expect("memory");
        integers.push(0x32);
        prost::encode_length_delimiter(1_000_000, &mut integers).expect("memory");
        integers.resize(integers.len() + 1_000_000, 0);
        for (content, count) in [([0x2a, 0].repeat(1_000), 2_000), (integers, 40), ([0x0a, 0].repeat(50_000), 100)] {
            let mut operator = vec![0x12];
            prost::encode_length_delimiter(content.len(), &mut operator).expect("memory");
            operator.extend(&content);
            let net = |count| operator.repeat(count);
            assert_eq!(Net::read(&net(3)).expect("a net").decoded().expect("three are few").len(), 3);
            let bytes = net(count);
            let error = Net::read(&bytes).expect("a net").decoded().map(|all| all.len()).expect_err("too many");
            assert!(error.starts_with("its operators take more than 268435456 bytes of memory"), "{error}");
        }
    }

    #[test]
    fn what_is_no_net_is_refused() {
        for bytes in [&b"not a net"[..], &[0; 40], b"\x12\x05abc", b"\x10\x01", b"\x3a\x01\xff"] {
            let error = Net::read(bytes).expect_err("it is none");
            assert!(error.contains("no net of Caffe2") && error.contains("; "), "{error}");
        }
        assert!(Net::read(b"\x0a\x01x").is_ok());
        let error = Net::read_with_operators(b"\x0a\x01x").expect_err("it has a name and nothing else");
        assert!(error.starts_with("holds no operator"), "{error}");
    }
}

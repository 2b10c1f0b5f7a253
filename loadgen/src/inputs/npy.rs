//! numpy's `.npy` format: a line of Python that says type and shape, then the elements. What a file says of its size is
//! held against the bytes that are there before anything is made of that size. No model's signature is known here.
//!
//! Elements are put into C order and little-endian. Types map by name; `S` becomes strings without their trailing zero
//! bytes, `U` becomes strings in UTF-8, and `V2`, as which the package `ml_dtypes` saves them, becomes bfloat16.

use super::{BYTES_MAX, STRING_BYTES};
use crate::tensor::{Data, Tensor};
use graphpipe_schema::DType;

#[cfg(test)]
mod tests;

/// Reads a file. The error is a phrase that can follow `cannot read FILE: `.
pub fn read(file: &[u8]) -> Result<Tensor, String> {
    let (header, bytes) = header(file)?;
    let kind = Kind::read(header.descr).ok_or_else(|| {
        let descr: String = header.descr.chars().take(40).collect();
        format!("its elements are {descr:?}, not sent here: b1, u1 to u8, i1 to i8, f2 to f8, S, U and V2 are")
    })?;
    let in_bounds = header.shape.iter().all(|dim| *dim as u64 <= BYTES_MAX);
    let size = header.shape.iter().try_fold(1, |count: usize, dim| count.checked_mul(*dim)).filter(|_| in_bounds);
    let size = size.and_then(|count| count.checked_mul(kind.item_bytes()?));
    if size != Some(bytes.len()) {
        return Err(format!("after its header there are {} bytes, which is not what its shape takes", bytes.len()));
    }
    let item = kind.item_bytes().expect("the product of sizes was made of it");
    let mut bytes = if header.fortran { c_order(bytes, item, &header.shape) } else { bytes.to_vec() };
    let (dtype, data) = match kind {
        Kind::Fixed(dtype, big_endian) => {
            if big_endian {
                bytes.chunks_exact_mut(item).for_each(<[u8]>::reverse);
            }
            (dtype, Data::Bytes(bytes))
        }
        Kind::Bytes(_) => (DType::String, strings(&bytes, item, |text| Ok(without_zeros(text)))?),
        Kind::Unicode(_, big_endian) => (DType::String, strings(&bytes, item, |text| utf8(text, big_endian))?),
    };
    let shape = header.shape.iter().map(|dim| *dim as i64).collect();
    Ok(Tensor { name: String::new(), dtype, shape, data })
}

/// How elements are stored.
#[derive(Clone, Copy)]
enum Kind {
    /// Numbers of a size that their type fixes; big-endian or not.
    Fixed(DType, bool),
    /// Strings of so many bytes, filled up with zeros.
    Bytes(usize),
    /// Strings of so many code points, filled up with zeros; big-endian or not.
    Unicode(usize, bool),
}

impl Kind {
    /// Reads what Python calls a type string: `<f4`.
    fn read(descr: &str) -> Option<Kind> {
        let big_endian = descr.starts_with('>');
        let mut rest = descr.trim_start_matches(['<', '>', '|', '=']).chars();
        let kind = rest.next()?;
        let size: usize = rest.as_str().parse().ok()?;
        let dtype = match (kind, size) {
            ('S', 1..) => return Some(Kind::Bytes(size)),
            ('U', 1..) => return Some(Kind::Unicode(size, big_endian)),
            ('b', 1) => DType::Bool,
            ('u', 1) => DType::Uint8,
            ('i', 1) => DType::Int8,
            ('u', 2) => DType::Uint16,
            ('i', 2) => DType::Int16,
            ('u', 4) => DType::Uint32,
            ('i', 4) => DType::Int32,
            ('u', 8) => DType::Uint64,
            ('i', 8) => DType::Int64,
            ('f', 2) => DType::Float16,
            ('f', 4) => DType::Float32,
            ('f', 8) => DType::Float64,
            ('V', 2) => DType::Bfloat16,
            _ => return None,
        };
        Some(Kind::Fixed(dtype, big_endian))
    }

    /// Bytes of one element; never 0.
    fn item_bytes(self) -> Option<usize> {
        match self {
            Kind::Fixed(dtype, _) => dtype.size(),
            Kind::Bytes(bytes) => Some(bytes),
            Kind::Unicode(points, _) => points.checked_mul(4),
        }
    }
}

/// What a file says of its elements.
#[derive(Default)]
struct Header<'a> {
    descr: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

/// Takes the header off the front of a file.
fn header(file: &[u8]) -> Result<(Header<'_>, &[u8]), String> {
    const SHORT: &str = "it ends within its header";
    let Some((prefix, rest)) = file.split_first_chunk::<8>() else { return Err(SHORT.to_owned()) };
    if !prefix.starts_with(b"\x93NUMPY") {
        return Err("it is not in numpy's format".to_owned());
    }
    let (length, rest) = match prefix[6] {
        1 => rest.split_first_chunk().map(|(length, rest)| (u32::from(u16::from_le_bytes(*length)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length), rest)),
        version => return Err(format!("it is in version {version} of numpy's format, of which 1 to 3 are known")),
    }
    .ok_or(SHORT)?;
    let (text, elements) = rest.split_at_checked(length as usize).ok_or(SHORT)?;
    let text = std::str::from_utf8(text).map_err(|_| "its header is not text")?;
    let mut words = Words(text);
    let header = words.header().ok_or_else(|| {
        format!("its header is not understood: {:?}", text.trim_end().chars().take(200).collect::<String>())
    })?;
    Ok((header, elements))
}

/// Reads the one kind of Python that stands in headers: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn header(&mut self) -> Option<Header<'a>> {
        let mut header = Header::default();
        let mut seen = [false; 3];
        self.expect("{")?;
        while self.expect("}").is_none() {
            let key = self.string()?;
            self.expect(":")?;
            let at = ["descr", "fortran_order", "shape"].iter().position(|known| *known == key)?;
            match at {
                0 => header.descr = self.string()?,
                1 => header.fortran = self.boolean()?,
                _ => header.shape = self.tuple()?,
            }
            if std::mem::replace(&mut seen[at], true) || (self.expect(",").is_none() && !self.0.starts_with('}')) {
                return None;
            }
        }
        (self.0.trim().is_empty() && seen == [true; 3]).then_some(header)
    }

    /// Takes `word` and the blanks around it.
    fn expect(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(word)?.trim_start();
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = self.0.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (string, rest) = self.0[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.expect("True").map(|()| true).or_else(|| self.expect("False").map(|()| false))
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let (numbers, rest) = self.0.strip_prefix('(')?.split_once(')')?;
        self.0 = rest.trim_start();
        let numbers = numbers.trim();
        let numbers = numbers.strip_suffix(',').unwrap_or(numbers);
        if numbers.is_empty() {
            return Some(Vec::new());
        }
        // Python 2 wrote long numbers as `3L`.
        numbers.split(',').map(|number| number.trim().trim_end_matches('L').parse().ok()).collect()
    }
}

/// Puts elements of `item` bytes from Fortran's order, in which the first index runs fastest, into C's.
fn c_order(bytes: &[u8], item: usize, shape: &[usize]) -> Vec<u8> {
    // Where there are elements, no product of dimensions is larger than their bytes; beside a 0 it could be.
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut axes = Vec::new();
    let mut stride = item;
    for dim in shape {
        axes.push((*dim, stride));
        stride *= dim;
    }
    let mut sorted = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    while sorted.len() < bytes.len() {
        sorted.extend_from_slice(&bytes[from..from + item]);
        for (at, (dim, stride)) in index.iter_mut().zip(&axes).rev() {
            *at += 1;
            from += stride;
            if *at < *dim {
                break;
            }
            from -= *at * stride;
            *at = 0;
        }
    }
    sorted
}

/// Makes a string of each `item` bytes. Many short ones take more memory than the file, so that they are counted first.
fn strings(bytes: &[u8], item: usize, read: impl Fn(&[u8]) -> Result<Vec<u8>, String>) -> Result<Data, String> {
    let count = bytes.len() / item;
    if count as u64 > BYTES_MAX / STRING_BYTES {
        return Err(format!("it holds {count} strings, more than {}", BYTES_MAX / STRING_BYTES));
    }
    Ok(Data::Strings(bytes.chunks_exact(item).map(read).collect::<Result<_, _>>()?))
}

/// Zero bytes at the end are what fills up shorter strings.
fn without_zeros(text: &[u8]) -> Vec<u8> {
    let length = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    text[..length].to_vec()
}

/// Code points of four bytes each as UTF-8.
fn utf8(text: &[u8], big_endian: bool) -> Result<Vec<u8>, String> {
    let (points, _) = text.as_chunks();
    let number = |point: &[u8; 4]| if big_endian { u32::from_be_bytes(*point) } else { u32::from_le_bytes(*point) };
    let points: Result<String, String> = points
        .iter()
        .map(|point| char::from_u32(number(point)).ok_or_else(|| format!("{:#x} is no character", number(point))))
        .collect();
    Ok(without_zeros(points?.as_bytes()))
}

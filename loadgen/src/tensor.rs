//! A tensor on the host, as it is made for a request or read from a reply. No protocol's encoding lives here.

use graphpipe_schema::DType;
use std::fmt;

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The input or output that it is for; empty where the protocol does not say.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The dimensions, outermost first; none is negative.
    pub shape: Vec<i64>,
    /// The elements.
    pub data: Data,
}

/// Elements, in C order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// Little-endian, without gaps: of every type but string.
    Bytes(Vec<u8>),
    /// One byte string for each element.
    Strings(Vec<Vec<u8>>),
}

impl Tensor {
    /// Bytes of the elements, without what a protocol adds.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::Bytes(bytes) => bytes.len(),
            Data::Strings(strings) => strings.iter().map(Vec::len).sum(),
        }
    }
    /// Rows `first..first + rows` of the first dimension, which must have them.
    #[must_use]
    pub fn cut(&self, first: u64, rows: u64) -> Tensor {
        let of = self.shape[0] as usize;
        let (first, rows) = (first as usize, rows as usize);
        assert!(first + rows <= of, "{rows} rows from {first} of {of}");
        let range = |elements: usize| first * (elements / of)..(first + rows) * (elements / of);
        let mut shape = self.shape.clone();
        shape[0] = rows as i64;
        let data = match &self.data {
            Data::Bytes(bytes) => Data::Bytes(bytes[range(bytes.len())].to_vec()),
            Data::Strings(strings) => Data::Strings(strings[range(strings.len())].to_vec()),
        };
        Tensor { name: self.name.clone(), dtype: self.dtype, shape, data }
    }

    /// Type and shape as messages write them: `float32[8,64]`.
    pub fn form(&self) -> Form<'_> {
        Form(self.dtype, &self.shape)
    }
}

/// Writes a type and a shape.
#[derive(Debug)]
pub struct Form<'a>(pub DType, pub &'a [i64]);

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.0)?;
        for (at, dim) in self.1.iter().enumerate() {
            write!(f, "{}{dim}", if at == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}

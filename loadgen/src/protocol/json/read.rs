//! Elements, read: from lists of lists of any depth straight into a tensor's bytes, without a tree of values in
//! between, which would take some thirty bytes for each element. So all that is allocated is a small multiple of the
//! text.

use crate::tensor::Data;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graphpipe_schema::DType;
use graphpipe_schema::shape::RANK_MAX;
use half::{bf16, f16};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Elements that were read.
#[derive(Debug)]
pub(in crate::protocol) struct Elements {
    /// What they are: as was said, or else what the first one is.
    pub dtype: DType,
    /// How the lists are nested.
    pub shape: Vec<i64>,
    /// The elements.
    pub data: Data,
}

/// Reads elements. If nobody says what they are, numbers are float64: JSON's are doubles.
pub(in crate::protocol) fn elements(json: &RawValue, dtype: Option<DType>) -> Result<Elements, String> {
    let mut collector = Collector { dtype, ..Collector::default() };
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    Value(&mut collector).deserialize(&mut deserializer).map_err(|why| why.to_string())?;
    collector.finish()
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Collector {
    dtype: Option<DType>,
    bytes: Vec<u8>,
    strings: Vec<Vec<u8>>,
    /// Lists that are open.
    depth: usize,
    /// How many parts a list of each depth has, as soon as one has been closed.
    dims: Vec<Option<usize>>,
    /// The depth at which elements are, as soon as there is one.
    rank: Option<usize>,
}

const RAGGED: &str = "lists that are not all of the same length and depth";

impl Collector {
    fn finish(self) -> Result<Elements, String> {
        let rank = self.rank.unwrap_or(self.dims.len());
        let dims: Option<Vec<i64>> = self.dims.iter().map(|dim| dim.map(|dim| dim as i64)).collect();
        let shape = dims.filter(|dims| dims.len() == rank).ok_or(RAGGED)?;
        let dtype = self.dtype.unwrap_or(DType::Float64);
        let data = if dtype == DType::String { Data::Strings(self.strings) } else { Data::Bytes(self.bytes) };
        Ok(Elements { dtype, shape, data })
    }

    fn open(&mut self) -> Result<(), String> {
        if self.depth == RANK_MAX {
            return Err(format!("lists that are nested more than {RANK_MAX} deep"));
        }
        if self.dims.len() == self.depth {
            self.dims.push(None);
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, count: usize) -> Result<(), String> {
        self.depth -= 1;
        match self.dims[self.depth].replace(count) {
            Some(other) if other != count => Err(RAGGED.to_owned()),
            _ => Ok(()),
        }
    }

    /// An element is here; its type is `dtype` if nobody has said another.
    fn element(&mut self, dtype: DType) -> Result<DType, String> {
        if *self.rank.get_or_insert(self.depth) != self.depth {
            return Err(RAGGED.to_owned());
        }
        Ok(*self.dtype.get_or_insert(dtype))
    }

    fn text(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        match self.element(DType::String)? {
            DType::String => self.strings.push(bytes),
            dtype => return Err(format!("a string in a tensor of {dtype}")),
        }
        Ok(())
    }

    fn boolean(&mut self, value: bool) -> Result<(), String> {
        match self.element(DType::Bool)? {
            DType::Bool => self.bytes.push(u8::from(value)),
            dtype => return Err(format!("{value} in a tensor of {dtype}")),
        }
        Ok(())
    }

    fn integer(&mut self, value: i128) -> Result<(), String> {
        let dtype = self.element(DType::Float64)?;
        let (bits, is_signed) = match dtype {
            DType::Bool => (1, false),
            DType::Uint8 => (8, false),
            DType::Uint16 => (16, false),
            DType::Uint32 => (32, false),
            DType::Uint64 => (64, false),
            DType::Int8 => (8, true),
            DType::Int16 => (16, true),
            DType::Int32 => (32, true),
            DType::Int64 => (64, true),
            _ => return self.float(value as f64),
        };
        let (low, high) = if is_signed { (-1 << (bits - 1), 1 << (bits - 1)) } else { (0, 1 << bits) };
        if !(low..high).contains(&value) {
            return Err(format!("{value} in a tensor of {dtype}"));
        }
        // Of a number in two's complement that fits, the low bytes are the number.
        self.bytes.extend_from_slice(&value.to_le_bytes()[..dtype.size().unwrap_or_default()]);
        Ok(())
    }

    fn float(&mut self, value: f64) -> Result<(), String> {
        let dtype = self.element(DType::Float64)?;
        let is_finite = match dtype {
            DType::Float64 => self.number(value.to_le_bytes(), true),
            DType::Float32 => self.number((value as f32).to_le_bytes(), (value as f32).is_finite()),
            DType::Float16 => self.number(f16::from_f64(value).to_le_bytes(), f16::from_f64(value).is_finite()),
            DType::Bfloat16 => self.number(bf16::from_f64(value).to_le_bytes(), bf16::from_f64(value).is_finite()),
            DType::String => false,
            // Some servers write all numbers as floats. Up to 2^53 in size, integers are exact.
            _ if value.fract() == 0.0 && value.abs() <= (1_u64 << 53) as f64 => return self.integer(value as i128),
            _ => false,
        };
        if is_finite { Ok(()) } else { Err(format!("{value} in a tensor of {dtype}")) }
    }

    /// What servers write for NaN, which JSON does not have.
    fn null(&mut self) -> Result<(), String> {
        match self.element(DType::Float64)? {
            DType::Float64 => self.number(f64::NAN.to_le_bytes(), true),
            DType::Float32 => self.number(f32::NAN.to_le_bytes(), true),
            DType::Float16 => self.number(f16::NAN.to_le_bytes(), true),
            DType::Bfloat16 => self.number(bf16::NAN.to_le_bytes(), true),
            dtype => return Err(format!("null in a tensor of {dtype}")),
        };
        Ok(())
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N], is_finite: bool) -> bool {
        self.bytes.extend_from_slice(&bytes);
        is_finite
    }
}

/// A list, or an element.
struct Value<'c>(&'c mut Collector);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false, a string, or a list")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.boolean(value).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.integer(value.into()).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.integer(value.into()).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.float(value).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.text(value.as_bytes().to_vec()).map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.null().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.open().map_err(A::Error::custom)?;
        let mut count = 0;
        while list.next_element_seed(Value(&mut *self.0))?.is_some() {
            count += 1;
        }
        self.0.close(count).map_err(A::Error::custom)
    }

    /// The one object that is an element: `{"b64": "…"}`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let entry = map.next_entry::<String, String>()?;
        let bytes = match entry {
            Some((key, value)) if key == "b64" => STANDARD.decode(value).map_err(A::Error::custom)?,
            _ => return Err(A::Error::custom("an object without \"b64\" in a tensor")),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom("an object with more than \"b64\" in a tensor"));
        }
        self.0.text(bytes).map_err(A::Error::custom)
    }
}

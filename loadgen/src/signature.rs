//! What a model takes and gives, as its server says it, whatever the protocol.

use graphpipe_schema::DType;
use std::fmt;

/// The inputs and outputs of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// The model's name; empty if the server has not said it.
    pub model: String,
    /// The server's name and version; empty if it has not said them.
    pub server: String,
    /// The inputs, in their default order.
    pub inputs: Vec<Io>,
    /// The outputs, in their default order.
    pub outputs: Vec<Io>,
}

/// One input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Io {
    /// Its name.
    pub name: String,
    /// Its element type; `None` if the server has not said it, or it is one that GraphPipe does not have.
    pub dtype: Option<DType>,
    /// Its shape, -1 = any size; `None` if not even the rank is known.
    pub shape: Option<Vec<i64>>,
}

impl fmt::Display for Io {
    /// `image float32[?,64]`, as the daemon's errors write it; `name ?` where nothing is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.dtype {
            Some(dtype) => write!(f, " {dtype}")?,
            None => f.write_str(" ?")?,
        }
        let Some(shape) = &self.shape else { return Ok(()) };
        f.write_str("[")?;
        for (at, dim) in shape.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match dim {
                ..=-1 => write!(f, "{comma}?")?,
                _ => write!(f, "{comma}{dim}")?,
            }
        }
        f.write_str("]")
    }
}

impl fmt::Display for Signature {
    /// `digits: image float32[?,64] -> digit int64[?], probabilities float32[?,10]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, ios: &[Io]| {
            for (at, io) in ios.iter().enumerate() {
                write!(f, "{}{io}", if at == 0 { "" } else { ", " })?;
            }
            Ok(())
        };
        if !self.model.is_empty() {
            write!(f, "{}: ", self.model)?;
        }
        list(f, &self.inputs)?;
        f.write_str(" -> ")?;
        list(f, &self.outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(name: &str, dtype: Option<DType>, shape: Option<&[i64]>) -> Io {
        Io { name: name.to_owned(), dtype, shape: shape.map(<[i64]>::to_vec) }
    }

    #[test]
    fn an_input_says_what_is_known_of_it() {
        assert_eq!(io("image", Some(DType::Float32), Some(&[-1, 64])).to_string(), "image float32[?,64]");
        assert_eq!(io("scalar", Some(DType::Int64), Some(&[])).to_string(), "scalar int64[]");
        assert_eq!(io("odd", None, Some(&[-7, 0])).to_string(), "odd ?[?,0]");
        assert_eq!(io("words", Some(DType::String), None).to_string(), "words string");
        assert_eq!(io("nothing", None, None).to_string(), "nothing ?");
    }

    #[test]
    fn a_signature_is_one_line() {
        let signature = Signature {
            model: "digits".to_owned(),
            server: "graphpiped 0.1.0".to_owned(),
            inputs: vec![io("image", Some(DType::Float32), Some(&[-1, 64]))],
            outputs: vec![
                io("digit", Some(DType::Int64), Some(&[-1])),
                io("probabilities", Some(DType::Float32), Some(&[-1, 10])),
            ],
        };
        let line = "digits: image float32[?,64] -> digit int64[?], probabilities float32[?,10]";
        assert_eq!(signature.to_string(), line);
        assert_eq!(Signature::default().to_string(), " -> ");
    }
}

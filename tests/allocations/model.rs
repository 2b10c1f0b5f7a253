//! A model in the manner of a small MLP: each output of a row is the sum of its inputs, plus its position. It writes
//! where it is told, and allocates nothing.

use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Dim, Elements, Input, Inputs, Instance, Model, OpenError, OutputSlot, Prepared, Produced, RunError, Signature,
    TensorSpec,
};
use std::sync::Arc;

pub struct Sums {
    signature: Signature,
    to: usize,
}

/// Elements of a row of its output.
struct SumsInstance(usize);

impl Sums {
    /// From rows of so many elements to rows of so many.
    pub fn new(from: u64, to: u64) -> Sums {
        let spec = |name: &str, size| {
            let dims = Some(vec![Dim::Symbol("N".into()), Dim::Fixed(size)]);
            TensorSpec { name: name.into(), dtype: DType::Float32, dims }
        };
        let signature = Signature { inputs: vec![spec("x", from)], outputs: vec![spec("y", to)], variadic: false };
        Sums { signature, to: to as usize }
    }
}

impl Model for Sums {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(SumsInstance(self.to)))
    }
}

impl Instance for SumsInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let &[Input { elements: Elements::Bytes(x), shape: &[rows, width], .. }] = &**inputs else {
            panic!("one input")
        };
        let sums = |bytes: &mut [u8]| {
            let each = bytes.len() / rows as usize;
            for (from, to) in x.chunks_exact(width as usize * 4).zip(bytes.chunks_exact_mut(each)) {
                let sum: f32 = from.as_chunks().0.iter().map(|element| f32::from_le_bytes(*element)).sum();
                let elements = to.as_chunks_mut().0.iter_mut();
                elements.enumerate().for_each(|(position, to)| *to = (sum + position as f32).to_le_bytes());
            }
        };
        for OutputSlot { prepared, produced, .. } in outputs {
            *produced = Some(if let Some(Prepared { bytes, .. }) = prepared {
                sums(bytes);
                Produced::InPlace
            } else {
                // Only the trial at the start prepares nothing.
                let mut bytes = vec![0; rows as usize * self.0 * 4];
                sums(&mut bytes);
                let shape = Shape::new(&[rows, self.0 as i64]).expect("it has a rank of two");
                Produced::Lent { shape, dtype: DType::Float32, owner: Arc::new(bytes) }
            });
        }
        Ok(())
    }
}

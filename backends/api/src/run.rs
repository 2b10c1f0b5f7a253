//! One run of a model: what goes in, where the outputs may go, and where they went.
//!
//! Everything here borrows or hands over; nothing is copied, and nothing here knows what the bytes mean.

use graphpipe_schema::{DType, Shape};
use std::sync::Arc;

/// The right to run a model, one run at a time.
pub trait Instance: Send {
    /// Runs the model. On success every slot of `outputs` has its `produced` set; on failure none of them counts.
    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError>;
}

/// Elements of an input.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Fixed-size elements; aligned at least to the element's size, but for an empty slice.
    Bytes(&'a [u8]),
    /// Byte strings.
    Strings(&'a [&'a [u8]]),
}

/// One input of a run.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Which of the signature's inputs (0.. for a variadic signature).
    pub index: usize,
    /// Its element type (already checked against the signature).
    pub dtype: DType,
    /// Its shape (already checked against the signature).
    pub shape: &'a [i64],
    /// Its elements.
    pub elements: Elements<'a>,
}

/// One output that a run is asked for.
#[derive(Debug)]
pub struct OutputSlot<'a> {
    /// Which of the signature's outputs.
    pub index: usize,
    /// Memory of exactly the output's size and the shape it was computed from, if the caller could tell. A backend that
    /// finds the prediction wrong ignores it and lends its own memory.
    pub prepared: Option<Prepared<'a>>,
    /// To be set by the run.
    pub produced: Option<Produced>,
}

/// Memory prepared for an output.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The shape that the signature promises for these inputs.
    pub shape: Shape,
    /// Where the elements go; aligned at least to the element's size, but for an empty slice.
    pub bytes: &'a mut [u8],
}

/// What a run did with an output.
pub enum Produced {
    /// It is in the prepared memory, in the prepared shape.
    InPlace,
    /// It is in memory of the framework, which lends it until the owner is dropped.
    Lent {
        /// The shape.
        shape: Shape,
        /// The element type.
        dtype: DType,
        /// Keeps and shows the elements. Dropping it, on any thread, gives the memory back.
        owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    },
    /// It is the input of this position in the list of inputs, unchanged.
    SameAsInput(usize),
    /// Byte strings.
    Strings {
        /// The shape.
        shape: Shape,
        /// The elements, row-major.
        elements: Vec<Vec<u8>>,
    },
}

impl std::fmt::Debug for Produced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Produced::InPlace => "InPlace",
            Produced::Lent { .. } => "Lent",
            Produced::SameAsInput(_) => "SameAsInput",
            Produced::Strings { .. } => "Strings",
        })
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The request's fault, or the model's: the framework's own words, in one line.
    #[error("{0}")]
    Model(String),
}

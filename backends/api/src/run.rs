//! One run of a model: what goes in, where the outputs may go, and where they went.
//!
//! Everything here borrows or hands over; nothing is copied, and nothing here knows what the bytes mean.

use crate::OpenError;
use graphpipe_schema::{DType, Shape};
use std::ops::Deref;
use std::sync::Arc;

/// The right to run a model, one run at a time.
pub trait Instance: Send {
    /// Runs the model. On success every slot of `outputs` has its `produced` set; on failure none of them counts.
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError>;
}

/// Elements of an input.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Fixed-size elements; aligned at least to the element's size, but for an empty slice. They lie in one piece.
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

/// The inputs of a run, and who can keep their memory for longer than it.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    list: &'a [Input<'a>],
    memory: &'a dyn Keep,
}

impl<'a> Inputs<'a> {
    /// Inputs whose fixed-size elements all lie in memory that `memory` keeps.
    pub fn new(list: &'a [Input<'a>], memory: &'a dyn Keep) -> Inputs<'a> {
        Inputs { list, memory }
    }

    /// Other inputs in the same memory, such as some of the rows of these.
    pub fn with<'b>(&self, list: &'b [Input<'b>]) -> Inputs<'b>
    where
        'a: 'b,
    {
        Inputs { list, memory: self.memory }
    }

    /// Keeps the memory of all fixed-size elements as it is, also behind the end of the run: it is neither written nor
    /// given to anybody else before the returned value is dropped, which any thread may do. To be asked for by frameworks
    /// that may hold references; strings are not kept.
    pub fn keep(&self) -> Kept {
        self.memory.keep()
    }
}

impl<'a> Deref for Inputs<'a> {
    type Target = [Input<'a>];

    fn deref(&self) -> &[Input<'a>] {
        self.list
    }
}

/// Memory that can be kept for longer than a run.
pub trait Keep {
    /// See [`Inputs::keep`].
    fn keep(&self) -> Kept;
}

/// Memory that stays as it is until this is dropped.
pub type Kept = Arc<dyn Send + Sync>;

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
    /// It lies in the memory of an input, unchanged: a model that gives back what it got, or a part of it.
    OfInput {
        /// The position in the list of inputs; its elements are not strings.
        position: usize,
        /// The byte of the input's elements at which it begins.
        start: usize,
        /// The shape.
        shape: Shape,
        /// The element type.
        dtype: DType,
    },
    /// It is the input of this position in the list of inputs, whatever its type, unchanged.
    SameAsInput(usize),
    /// Byte strings.
    Strings {
        /// The shape.
        shape: Shape,
        /// The elements, row-major.
        elements: Vec<Vec<u8>>,
    },
}

impl Produced {
    /// The same, for another slot that asks for the same output. `None` of what is in the memory that was prepared for one slot.
    pub fn again(&self) -> Option<Produced> {
        match *self {
            Produced::InPlace => None,
            Produced::Lent { shape, dtype, ref owner } => {
                Some(Produced::Lent { shape, dtype, owner: Arc::clone(owner) })
            }
            Produced::OfInput { position, start, shape, dtype } => {
                Some(Produced::OfInput { position, start, shape, dtype })
            }
            Produced::SameAsInput(position) => Some(Produced::SameAsInput(position)),
            Produced::Strings { shape, ref elements } => Some(Produced::Strings { shape, elements: elements.clone() }),
        }
    }

    /// Where an output is that a framework says begins at `start`, if that is in one of the inputs.
    pub fn in_an_input(inputs: &[Input<'_>], dtype: DType, shape: Shape, start: *const u8) -> Option<Produced> {
        let bytes = usize::try_from(shape.bytes(dtype)?).ok()?;
        inputs.iter().enumerate().find_map(|(position, input)| {
            let Elements::Bytes(elements) = input.elements else { return None };
            let offset = start.addr().checked_sub(elements.as_ptr().addr())?;
            elements.get(offset..offset.checked_add(bytes)?).filter(|part| !part.is_empty())?;
            Some(Produced::OfInput { position, start: offset, shape, dtype })
        })
    }
}

impl std::fmt::Debug for Produced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Produced::InPlace => "InPlace",
            Produced::Lent { .. } => "Lent",
            Produced::OfInput { .. } => "OfInput",
            Produced::SameAsInput(_) => "SameAsInput",
            Produced::Strings { .. } => "Strings",
        })
    }
}

/// Why a run failed, by whose fault it is. The framework's own words, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Values that no tensor of the type can have, such as a bool of 2. Never again with these bytes.
    #[error("{0}")]
    Request(String),
    /// The model refused, or cannot compute this: because of its graph, or of the values or shapes that came.
    #[error("{0}")]
    Model(String),
    /// The framework does not do what it promises, or has ended.
    #[error("{0}")]
    Framework(String),
    /// There was not enough of something, such as memory: later, perhaps.
    #[error("{0}")]
    Machine(String),
}

/// Of an instance that a run wanted, and that could not be made.
impl From<OpenError> for RunError {
    fn from(error: OpenError) -> RunError {
        match error {
            OpenError::Model(message) => RunError::Model(message),
            OpenError::Framework(message) => RunError::Framework(message),
            OpenError::Machine(message) => RunError::Machine(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Keep for Nowhere {
        fn keep(&self) -> Kept {
            Arc::new(())
        }
    }

    fn bytes<'a>(elements: &'a [u8], shape: &'a [i64]) -> Input<'a> {
        Input { index: 0, dtype: DType::Uint8, shape, elements: Elements::Bytes(elements) }
    }

    #[test]
    fn an_output_in_an_input_is_known_by_its_address() {
        let (first, second) = ([1_u8; 8], [2_u8; 8]);
        let list = [bytes(&first, &[8]), bytes(&second, &[8])];
        let inputs = Inputs::new(&list, &Nowhere);
        let shape = |count| Shape::new(&[count]).expect("a shape of a test");
        let found = |start: *const u8, count| match Produced::in_an_input(&inputs, DType::Uint8, shape(count), start) {
            Some(Produced::OfInput { position, start, .. }) => Some((position, start)),
            Some(other) => panic!("{other:?}"),
            None => None,
        };
        assert_eq!(found(first.as_ptr(), 8), Some((0, 0)));
        assert_eq!(found(second[3..].as_ptr(), 5), Some((1, 3)));
        assert_eq!(found(second[3..].as_ptr(), 6), None, "it would end outside");
        assert_eq!(found([7_u8; 8].as_ptr(), 8), None);
        assert_eq!(found(first.as_ptr(), 0), None, "what is empty lies nowhere");
    }
}

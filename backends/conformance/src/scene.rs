//! A model that is open, and runs of it: what the cases have in common.

use crate::memory::{Aligned, Watched};
use crate::{Kind, Subject};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Elements, Input, Inputs, Instance, Model, Options, OutputSlot, Prepared, Produced, RunError,
};
use std::sync::Arc;

/// A model of the suite, open.
pub struct Scene {
    /// The model.
    pub model: Arc<dyn Model>,
}

/// One input of a run.
#[derive(Debug)]
pub struct Asked {
    /// Which of the signature's inputs.
    pub index: usize,
    /// Its type.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its elements; of strings, each.
    pub elements: Content,
}

/// Elements that a test gives or gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Of fixed size.
    Bytes(Vec<u8>),
    /// Byte strings.
    Strings(Vec<Vec<u8>>),
}

/// One output of a run.
#[derive(Debug)]
pub struct Found {
    /// Its type, if the framework has said it again.
    pub dtype: Option<DType>,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its elements.
    pub content: Content,
    /// What the run has said of it.
    pub how: Produced,
}

impl Asked {
    /// Fixed-size elements.
    pub fn bytes(index: usize, dtype: DType, shape: &[i64], bytes: Vec<u8>) -> Asked {
        Asked { index, dtype, shape: shape.to_vec(), elements: Content::Bytes(bytes) }
    }

    /// These numbers.
    pub fn floats(index: usize, shape: &[i64], values: &[f32]) -> Asked {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Asked::bytes(index, DType::Float32, shape, bytes)
    }

    /// These strings, in one axis.
    pub fn strings(index: usize, strings: &[&[u8]]) -> Asked {
        let elements = Content::Strings(strings.iter().map(|string| string.to_vec()).collect());
        Asked { index, dtype: DType::String, shape: vec![strings.len() as i64], elements }
    }
}

impl Found {
    /// Its numbers, whether they are float32 or int64.
    pub fn numbers(&self) -> Vec<f64> {
        let Content::Bytes(bytes) = &self.content else { panic!("{self:?}") };
        match self.dtype {
            Some(DType::Int64) => bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
            _ => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect(),
        }
    }
}

impl Scene {
    /// Opens a model of this kind, which has to be there.
    pub fn open(subject: &impl Subject, kind: Kind) -> Scene {
        let path = subject.model(kind).unwrap_or_else(|| panic!("there is no model of the kind {}", kind.name()));
        let model = subject.backend().open(&path, &Options::default());
        Scene { model: model.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// The right to run it.
    pub fn instance(&self) -> Box<dyn Instance> {
        self.model.instance().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs it for these outputs, in memory of the framework's choice.
    pub fn run(&self, inputs: &[Asked], outputs: &[usize]) -> Vec<Found> {
        self.try_run(&mut *self.instance(), inputs, outputs).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, with an instance, and perhaps in vain.
    pub fn try_run(
        &self,
        instance: &mut dyn Instance,
        inputs: &[Asked],
        outputs: &[usize],
    ) -> Result<Vec<Found>, RunError> {
        let mut slots: Vec<_> =
            outputs.iter().map(|&index| OutputSlot { index, prepared: None, produced: None }).collect();
        self.run_in(instance, &watched(inputs), inputs, &mut slots)
    }

    /// The same for one output, for which memory is prepared of a shape that may be wrong.
    pub fn run_prepared(&self, inputs: &[Asked], index: usize, shape: &[i64]) -> Found {
        let shape = Shape::new(shape).expect("a shape of a test");
        let mut memory = Aligned::zeros(shape.bytes(DType::Float32).expect("it has a size") as usize);
        memory.as_mut().fill(UNWRITTEN);
        let prepared = Some(Prepared { shape, bytes: memory.as_mut() });
        let mut slots = [OutputSlot { index, prepared, produced: None }];
        let found = self.run_in(&mut *self.instance(), &watched(inputs), inputs, &mut slots);
        found.unwrap_or_else(|error| panic!("{error}")).pop().expect("there is one")
    }

    /// The same in memory that the caller watches.
    pub fn run_in(
        &self,
        instance: &mut dyn Instance,
        memory: &Watched,
        inputs: &[Asked],
        slots: &mut [OutputSlot<'_>],
    ) -> Result<Vec<Found>, RunError> {
        let strings: Vec<Vec<&[u8]>> = inputs.iter().map(strings_of).collect();
        let list: Vec<_> = inputs
            .iter()
            .enumerate()
            .map(|(position, input)| Input {
                index: input.index,
                dtype: input.dtype,
                shape: &input.shape,
                elements: match input.elements {
                    Content::Bytes(_) => Elements::Bytes(memory.piece(position)),
                    Content::Strings(_) => Elements::Strings(&strings[position]),
                },
            })
            .collect();
        instance.run(&Inputs::new(&list, memory), slots)?;
        Ok(slots.iter_mut().map(|slot| self.found(slot, inputs, memory)).collect())
    }

    fn found(&self, slot: &mut OutputSlot<'_>, inputs: &[Asked], memory: &Watched) -> Found {
        let how = slot.produced.take().expect("a run that succeeds sets every slot");
        let (dtype, shape, content) = match &how {
            Produced::InPlace => {
                let prepared = slot.prepared.as_ref().expect("a result is in place only if there is one");
                let dtype = self.model.signature().outputs[slot.index].dtype;
                (Some(dtype), prepared.shape.to_vec(), Content::Bytes(prepared.bytes.to_vec()))
            }
            Produced::Lent { shape, dtype, owner } => {
                (Some(*dtype), shape.to_vec(), Content::Bytes((**owner).as_ref().to_vec()))
            }
            Produced::OfInput { position, start, shape, dtype } => {
                let bytes = shape.bytes(*dtype).expect("it has a size") as usize;
                let part = memory.piece(*position)[*start..*start + bytes].to_vec();
                (Some(*dtype), shape.to_vec(), Content::Bytes(part))
            }
            Produced::SameAsInput(position) => {
                let input = &inputs[*position];
                (Some(input.dtype), input.shape.clone(), input.elements.clone())
            }
            Produced::Strings { shape, elements } => {
                (Some(DType::String), shape.to_vec(), Content::Strings(elements.clone()))
            }
        };
        if let (Content::Bytes(bytes), Some(dtype)) = (&content, dtype) {
            let wanted = Shape::new(&shape).and_then(|shape| shape.bytes(dtype));
            assert_eq!(wanted, Some(bytes.len() as u64), "output {} is not of the size that it says", slot.index);
        }
        Found { dtype, shape, content, how }
    }
}

/// What stands in prepared memory before a run.
pub(crate) const UNWRITTEN: u8 = 0xa5;

/// Memory for these inputs.
pub(crate) fn watched(inputs: &[Asked]) -> Watched {
    let piece = |input: &Asked| match &input.elements {
        Content::Bytes(bytes) => Aligned::of(bytes),
        Content::Strings(_) => Aligned::zeros(0),
    };
    Watched::new(inputs.iter().map(piece).collect())
}

fn strings_of(input: &Asked) -> Vec<&[u8]> {
    match &input.elements {
        Content::Bytes(_) => Vec::new(),
        Content::Strings(strings) => strings.iter().map(Vec::as_slice).collect(),
    }
}

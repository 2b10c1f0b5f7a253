//! What is said on the socket of an instance: where the inputs of a run lie and its outputs go, and where they went.

use super::{Garbage, Reader, Write, read_open_error, read_run_error, write_open_error, write_run_error};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{OpenError, RunError};
use smallvec::SmallVec;
use std::ops::Range;

/// A run that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Names it from now on.
    pub id: u64,
    /// The bytes of a new area for inputs, whose descriptor comes with the message.
    pub new_inputs: Option<usize>,
    /// The same for outputs; its descriptor is behind the other.
    pub new_prepared: Option<usize>,
    pub inputs: SmallVec<[InputPlace; 2]>,
    pub outputs: SmallVec<[OutputPlace; 2]>,
}

/// An input, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputPlace {
    pub index: usize,
    pub dtype: DType,
    pub shape: Shape,
    pub place: Place,
}

/// Where the elements of an input are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an arena, where they were received.
    Arena(u64, Range<usize>),
    /// In the area for inputs, into which they were copied.
    Area(Range<usize>),
    /// Byte strings, in the area for inputs.
    Strings(Range<usize>),
}

/// An output that is wanted; the shape that is expected, and where it goes then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputPlace {
    pub index: usize,
    pub prepared: Option<(Shape, Range<usize>)>,
}

/// What the process says on the socket of an instance. One at a time, on the stack of whoever reads it.
#[expect(clippy::large_enum_variant, reason = "the largest is what every run ends with, and is not to be allocated")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The instance is made.
    Ready,
    /// The instance is not.
    NotReady(OpenError),
    /// So many bytes are wanted for outputs that nothing was prepared for.
    Room(usize),
    /// The run is over: each output, in the order in which they were asked for; and whether the framework goes on referring
    /// to inputs.
    Done { outputs: SmallVec<[Given; 2]>, is_kept: bool },
    /// The run has failed; of its inputs the same is said.
    Failed { error: RunError, is_kept: bool },
}

/// Where an output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Where it was to go.
    InPlace,
    /// There, too, but copied from where the framework has it.
    Copied,
    /// Copied into the area for what frameworks lend.
    Lent { dtype: DType, shape: Shape, place: Range<usize> },
    /// Strings, in the same area.
    Strings { shape: Shape, place: Range<usize> },
    /// A part of an input.
    OfInput { position: usize, start: usize, dtype: DType, shape: Shape },
    /// An input.
    SameAsInput(usize),
}

impl Run {
    pub fn write(&self, message: &mut Vec<u8>) {
        message.clear();
        message.number(self.id);
        for new in [self.new_inputs, self.new_prepared] {
            message.number(new.unwrap_or(0) as u64);
        }
        message.number(self.inputs.len() as u64);
        for InputPlace { index, dtype, shape, place } in &self.inputs {
            message.number(*index as u64);
            message.tag(*dtype as u8);
            message.shape(shape);
            match place {
                Place::Arena(arena, range) => {
                    message.tag(0);
                    message.number(*arena);
                    write_range(range, message);
                }
                Place::Area(range) => {
                    message.tag(1);
                    write_range(range, message);
                }
                Place::Strings(range) => {
                    message.tag(2);
                    write_range(range, message);
                }
            }
        }
        message.number(self.outputs.len() as u64);
        for OutputPlace { index, prepared } in &self.outputs {
            message.number(*index as u64);
            message.tag(prepared.is_some().into());
            if let Some((shape, range)) = prepared {
                message.shape(shape);
                write_range(range, message);
            }
        }
    }

    pub fn read(message: &[u8]) -> Result<Run, Garbage> {
        let mut reader = Reader::new(message);
        let id = reader.number()?;
        let mut new = || Ok::<_, Garbage>(Some(reader.size()?).filter(|bytes| *bytes > 0));
        let (new_inputs, new_prepared) = (new()?, new()?);
        let count = reader.count()?;
        let inputs = (0..count).map(|_| read_input(&mut reader)).collect::<Result<_, _>>()?;
        let count = reader.count()?;
        let outputs = (0..count).map(|_| read_output(&mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Run { id, new_inputs, new_prepared, inputs, outputs })
    }
}

impl Answer {
    pub fn write(&self, message: &mut Vec<u8>) {
        message.clear();
        match self {
            Answer::Ready => message.tag(0),
            Answer::NotReady(error) => {
                message.tag(1);
                write_open_error(error, message);
            }
            Answer::Room(bytes) => {
                message.tag(2);
                message.number(*bytes as u64);
            }
            Answer::Done { outputs, is_kept } => {
                message.tag(3);
                message.number(outputs.len() as u64);
                outputs.iter().for_each(|given| given.write(message));
                message.tag((*is_kept).into());
            }
            Answer::Failed { error, is_kept } => {
                message.tag(4);
                write_run_error(error, message);
                message.tag((*is_kept).into());
            }
        }
    }

    pub fn read(message: &[u8]) -> Result<Answer, Garbage> {
        let mut reader = Reader::new(message);
        let answer = match reader.tag()? {
            0 => Answer::Ready,
            1 => Answer::NotReady(read_open_error(&mut reader)?),
            2 => Answer::Room(reader.size()?),
            3 => {
                let count = reader.count()?;
                let outputs = (0..count).map(|_| Given::read(&mut reader)).collect::<Result<_, _>>()?;
                Answer::Done { outputs, is_kept: reader.flag()? }
            }
            4 => Answer::Failed { error: read_run_error(&mut reader)?, is_kept: reader.flag()? },
            _ => return Err(Garbage("there is no such answer")),
        };
        reader.end()?;
        Ok(answer)
    }
}

impl Given {
    fn write(&self, message: &mut Vec<u8>) {
        match self {
            Given::InPlace => message.tag(0),
            Given::Copied => message.tag(5),
            Given::Lent { dtype, shape, place } => {
                message.tag(1);
                message.tag(*dtype as u8);
                message.shape(shape);
                write_range(place, message);
            }
            Given::Strings { shape, place } => {
                message.tag(2);
                message.shape(shape);
                write_range(place, message);
            }
            Given::OfInput { position, start, dtype, shape } => {
                message.tag(3);
                message.number(*position as u64);
                message.number(*start as u64);
                message.tag(*dtype as u8);
                message.shape(shape);
            }
            Given::SameAsInput(position) => {
                message.tag(4);
                message.number(*position as u64);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Given, Garbage> {
        Ok(match reader.tag()? {
            0 => Given::InPlace,
            1 => Given::Lent { dtype: reader.dtype()?, shape: reader.shape()?, place: read_range(reader)? },
            2 => Given::Strings { shape: reader.shape()?, place: read_range(reader)? },
            3 => Given::OfInput {
                position: reader.size()?,
                start: reader.size()?,
                dtype: reader.dtype()?,
                shape: reader.shape()?,
            },
            4 => Given::SameAsInput(reader.size()?),
            5 => Given::Copied,
            _ => return Err(Garbage("there is no such place for an output")),
        })
    }
}

fn write_range(range: &Range<usize>, message: &mut Vec<u8>) {
    message.number(range.start as u64);
    message.number(range.end as u64);
}

fn read_range(reader: &mut Reader<'_>) -> Result<Range<usize>, Garbage> {
    let range = reader.size()?..reader.size()?;
    if range.start <= range.end { Ok(range) } else { Err(Garbage("a range ends before it begins")) }
}

fn read_input(reader: &mut Reader<'_>) -> Result<InputPlace, Garbage> {
    let (index, dtype, shape) = (reader.size()?, reader.dtype()?, reader.shape()?);
    let place = match reader.tag()? {
        0 => Place::Arena(reader.number()?, read_range(reader)?),
        1 => Place::Area(read_range(reader)?),
        2 => Place::Strings(read_range(reader)?),
        _ => return Err(Garbage("there is no such place for an input")),
    };
    Ok(InputPlace { index, dtype, shape, place })
}

fn read_output(reader: &mut Reader<'_>) -> Result<OutputPlace, Garbage> {
    let (index, is_prepared) = (reader.size()?, reader.flag()?);
    let prepared = is_prepared.then(|| Ok((reader.shape()?, read_range(reader)?))).transpose()?;
    Ok(OutputPlace { index, prepared })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(dims: &[i64]) -> Shape {
        Shape::new(dims).expect("few axes")
    }

    fn run() -> Run {
        let input = |index, dtype, place| InputPlace { index, dtype, shape: shape(&[2, -3]), place };
        let inputs = [
            input(0, DType::Float32, Place::Arena(u64::MAX, 256..512)),
            input(7, DType::Uint8, Place::Area(0..0)),
            input(1, DType::String, Place::Strings(1..1000)),
        ];
        let outputs = [
            OutputPlace { index: 3, prepared: None },
            OutputPlace { index: 0, prepared: Some((shape(&[]), 4096..4100)) },
        ];
        Run {
            id: 42,
            new_inputs: Some(1 << 20),
            new_prepared: None,
            inputs: inputs.into_iter().collect(),
            outputs: outputs.into_iter().collect(),
        }
    }

    fn answers() -> Vec<Answer> {
        let outputs = [
            Given::InPlace,
            Given::Copied,
            Given::Lent { dtype: DType::Int64, shape: shape(&[1, 2, 3]), place: 0..48 },
            Given::Strings { shape: shape(&[2]), place: 48..70 },
            Given::OfInput { position: 1, start: 4, dtype: DType::Bool, shape: shape(&[0]) },
            Given::SameAsInput(2),
        ];
        vec![
            Answer::Ready,
            Answer::NotReady(OpenError::Machine("no memory".into())),
            Answer::Room(123),
            Answer::Done { outputs: outputs.into_iter().collect(), is_kept: true },
            Answer::Failed { error: RunError::Request("a bool of 2".into()), is_kept: false },
        ]
    }

    #[test]
    fn a_run_and_every_answer_arrive_as_they_were_sent() {
        let mut bytes = vec![1, 2, 3];
        run().write(&mut bytes);
        assert_eq!(Run::read(&bytes), Ok(run()));
        for end in 0..bytes.len() {
            assert!(Run::read(&bytes[..end]).is_err(), "{end}");
        }
        for answer in answers() {
            answer.write(&mut bytes);
            assert_eq!(Answer::read(&bytes), Ok(answer));
            bytes.push(0);
            assert_eq!(Answer::read(&bytes), Err(Garbage("something follows its end")));
        }
    }

    #[test]
    fn what_says_to_have_more_than_it_has_is_not_made_room_for() {
        let mut bytes = vec![3];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Answer::read(&bytes), Err(Garbage("it says to have more than it has")));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (Run::read(&bytes), Answer::read(&bytes));
        }

        #[test]
        fn no_change_of_a_sound_message_is_a_panic(at in 0_usize..400, to: u8, which in 0_usize..5) {
            let mut bytes = Vec::new();
            answers()[which].write(&mut bytes);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            let _ = Answer::read(&bytes);
            run().write(&mut bytes);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            let _ = Run::read(&bytes);
        }
    }
}

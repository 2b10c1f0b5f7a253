//! The runs of one instance, in the process: inputs as slices of what the daemon shares, outputs where it looks for them.

use super::Host;
use super::kept::RunMemory;
use crate::memory::{ALIGN, Desk, View, is_for_next_run};
use crate::socket::{Descriptors, Mailbag, Socket};
use crate::wire::run::{Answer, Given, OutputPlace, Place, Run};
use crate::wire::{Garbage, MESSAGE_BYTES_MAX, read_strings, write_strings};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, Model, OutputSlot, Prepared, Produced, RunError};
use smallvec::SmallVec;
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

/// An instance, and what the daemon has given it.
pub(super) struct Runner<'h> {
    host: &'h Host,
    model: &'h dyn Model,
    socket: &'h Socket,
    /// Made anew after a panic.
    instance: Option<Box<dyn Instance>>,
    inputs: Option<Arc<View>>,
    prepared: Option<Desk>,
    lent: Option<Desk>,
    mailbag: Mailbag,
}

/// Why a run has no outputs.
enum Failed {
    /// As a framework says.
    Run(RunError),
    /// The daemon is gone, or says what cannot be.
    End,
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Failed {
        Failed::Run(error)
    }
}

impl From<Garbage> for Failed {
    fn from(_: Garbage) -> Failed {
        Failed::End
    }
}

/// Where the outputs of a run are.
type Outcome = Result<SmallVec<[Given; 2]>, RunError>;

/// Elements of an output that have to be copied.
enum Piece {
    Lent(Arc<dyn AsRef<[u8]> + Send + Sync>),
    Strings(Vec<u8>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Lent(owner) => (**owner).as_ref(),
            Piece::Strings(bytes) => bytes,
        }
    }
}

impl<'h> Runner<'h> {
    pub fn new(host: &'h Host, model: &'h dyn Model, socket: &'h Socket, instance: Box<dyn Instance>) -> Runner<'h> {
        let instance = Some(instance);
        Runner { host, model, socket, instance, inputs: None, prepared: None, lent: None, mailbag: Mailbag::new() }
    }

    /// Does what comes until the daemon ends the socket.
    pub fn run(mut self) {
        let mut message = Vec::new();
        loop {
            let Ok((bytes, descriptors)) = self.socket.receive(&mut self.mailbag) else { return };
            if bytes.is_empty() {
                return;
            }
            let Ok(run) = Run::read(bytes) else { return };
            let Ok((outcome, is_kept)) = self.answer(&run, descriptors) else { return };
            self.tidy(is_kept);
            let answer = match outcome {
                Ok(outputs) => Answer::Done { outputs, is_kept },
                Err(error) => Answer::Failed { error, is_kept },
            };
            answer.write(&mut message);
            if message.len() > MESSAGE_BYTES_MAX {
                let error = RunError::Model("it has more outputs than a process can tell of at once".into());
                Answer::Failed { error, is_kept }.write(&mut message);
            }
            if self.socket.send(&message, &[]).is_err() {
                return;
            }
        }
    }

    /// Gives up what is kept or too large, as the daemon does.
    fn tidy(&mut self, is_kept: bool) {
        self.inputs.take_if(|area| is_kept || !is_for_next_run(area.bytes()));
        self.prepared.take_if(|area| !is_for_next_run(area.bytes()));
        self.lent.take_if(|area| !is_for_next_run(area.bytes()));
    }

    /// Has a run be done: where its outputs are, or why there are none; and whether somebody goes on referring to its inputs.
    /// An error is the end.
    fn answer(&mut self, run: &Run, descriptors: Descriptors) -> Result<(Outcome, bool), Failed> {
        self.take_areas(run, descriptors)?;
        let views = run.inputs.iter().map(|input| match &input.place {
            Place::Arena(arena, _) => Some(self.host.arena(*arena)),
            Place::Area(_) | Place::Strings(_) => self.inputs.clone(),
        });
        let views: SmallVec<[Option<Arc<View>>; 2]> = views.collect();
        let memory =
            RunMemory { run: run.id, control: &self.host.control, views: views.clone(), token: OnceCell::new() };
        let mut strings: Vec<Vec<&[u8]>> = Vec::new();
        let mut bytes: SmallVec<[&[u8]; 2]> = SmallVec::new();
        for (input, view) in run.inputs.iter().zip(&views) {
            let (Place::Arena(_, range) | Place::Area(range) | Place::Strings(range)) = &input.place;
            // What is empty may lie nowhere.
            let Some(view) = view.as_ref().filter(|_| !range.is_empty()) else {
                range.is_empty().then_some(()).ok_or(Failed::End)?;
                strings.push(Vec::new());
                bytes.push(&[]);
                continue;
            };
            // SAFETY: the daemon writes none of the bytes that a run names before it has the answer, and none of what is
            // kept before that is released; these references end with this call, before the answer is sent, and what a
            // framework refers to for longer it has asked to be kept.
            let part = unsafe { view.part(range) }.ok_or(Failed::End)?;
            let elements = input.shape.elements().unwrap_or(u64::MAX);
            let is_strings = matches!(input.place, Place::Strings(_));
            strings.push(if is_strings { read_strings(part, elements)? } else { Vec::new() });
            bytes.push(part);
        }
        let list = run.inputs.iter().enumerate().map(|(position, input)| Input {
            index: input.index,
            dtype: input.dtype,
            shape: input.shape.dims(),
            elements: match input.place {
                Place::Strings(_) => Elements::Strings(&strings[position]),
                _ => Elements::Bytes(bytes[position]),
            },
        });
        let list: SmallVec<[Input<'_>; 2]> = list.collect();
        let produced = self.call(run, &Inputs::new(&list, &memory));
        let outcome = match produced.and_then(|produced| self.give(run, produced)) {
            Ok(given) => Ok(given),
            Err(Failed::Run(error)) => Err(error),
            Err(Failed::End) => return Err(Failed::End),
        };
        // Behind what was lent, which may have been what refers to the inputs.
        Ok((outcome, memory.end()))
    }

    /// Maps the areas that have come with a run.
    fn take_areas(&mut self, run: &Run, descriptors: Descriptors) -> Result<(), Failed> {
        let mut descriptors = descriptors.into_iter();
        if let Some(bytes) = run.new_inputs {
            let memory = descriptors.next().ok_or(Failed::End)?;
            self.inputs = Some(Arc::new(View::of(&memory, bytes).map_err(|_| Failed::End)?));
        }
        if let Some(bytes) = run.new_prepared {
            let memory = descriptors.next().ok_or(Failed::End)?;
            self.prepared = Some(Desk::of(&memory, bytes).map_err(|_| Failed::End)?);
        }
        Ok(())
    }

    /// Has the framework do a run. Nothing of it refers to memory for outputs any more when this returns.
    fn call(&mut self, run: &Run, inputs: &Inputs<'_>) -> Result<SmallVec<[Option<Produced>; 2]>, Failed> {
        let instance = match &mut self.instance {
            Some(instance) => instance,
            none => none.insert(self.host.instance(self.model).map_err(RunError::from)?),
        };
        let ranges = run.outputs.iter().map(|output| output.prepared.as_ref().map(|(_, range)| range.clone()));
        let parts = match &mut self.prepared {
            Some(desk) => desk.parts(ranges).ok_or(Failed::End)?,
            None => run.outputs.iter().map(|_| None).collect(),
        };
        let slots = run.outputs.iter().zip(parts).map(|(output, part)| OutputSlot {
            index: output.index,
            prepared: output
                .prepared
                .as_ref()
                .map(|(shape, _)| Prepared { shape: *shape, bytes: part.unwrap_or_default() }),
            produced: None,
        });
        let mut slots: SmallVec<[OutputSlot<'_>; 2]> = slots.collect();
        let mut outcome = Ok(());
        let guarded = (self.host.guard)(&mut || outcome = instance.run(inputs, &mut slots));
        if let Err(message) = guarded {
            self.instance = None;
            return Err(RunError::Model(format!("the framework panicked: {message}")).into());
        }
        outcome?;
        Ok(slots.into_iter().map(|slot| slot.produced).collect())
    }

    /// Puts what was produced where the daemon will look for it.
    fn give(&mut self, run: &Run, produced: SmallVec<[Option<Produced>; 2]>) -> Result<SmallVec<[Given; 2]>, Failed> {
        // What is copied to where it was expected, and what into the area for all else.
        let (mut home, mut away, mut end) = (Vec::new(), Vec::new(), 0);
        let mut give = |output: &OutputPlace, produced| match produced {
            Produced::InPlace => Given::InPlace,
            Produced::Lent { shape, dtype, owner } => {
                let piece = Piece::Lent(owner);
                if let Some(place) = self.expected(output, dtype, shape, piece.bytes().len()) {
                    home.push((piece, place));
                    Given::Copied
                } else {
                    let place = room(&mut end, piece.bytes().len());
                    away.push((piece, place.clone()));
                    Given::Lent { dtype, shape, place }
                }
            }
            Produced::Strings { shape, elements } => {
                let mut bytes = Vec::new();
                write_strings(elements.iter().map(Vec::as_slice), &mut bytes);
                let place = room(&mut end, bytes.len());
                away.push((Piece::Strings(bytes), place.clone()));
                Given::Strings { shape, place }
            }
            Produced::OfInput { position, start, shape, dtype } => Given::OfInput { position, start, dtype, shape },
            Produced::SameAsInput(position) => Given::SameAsInput(position),
        };
        let mut given = SmallVec::new();
        for (output, produced) in run.outputs.iter().zip(produced) {
            let nothing = || RunError::Framework(format!("the framework gave no output {}", output.index));
            given.push(give(output, produced.ok_or_else(nothing)?));
        }
        self.have_room(end)?;
        fill(&mut self.prepared, &home)?;
        fill(&mut self.lent, &away)?;
        Ok(given)
    }

    /// The place that was prepared for an output that the framework lends, if it is what was expected.
    fn expected(&self, output: &OutputPlace, dtype: DType, shape: Shape, bytes: usize) -> Option<Range<usize>> {
        let (expected, range) = output.prepared.as_ref()?;
        let spec = self.model.signature().outputs.get(output.index)?;
        (spec.dtype == dtype && *expected == shape && range.len() == bytes).then(|| range.clone())
    }

    /// Asks the daemon for so much room for what is lent, unless there is.
    fn have_room(&mut self, bytes: usize) -> Result<(), Failed> {
        if bytes == 0 || self.lent.as_ref().is_some_and(|desk| desk.bytes() >= bytes) {
            return Ok(());
        }
        self.lent = None;
        let mut message = Vec::new();
        Answer::Room(bytes).write(&mut message);
        self.socket.send(&message, &[]).map_err(|_| Failed::End)?;
        let (message, descriptors) = self.socket.receive(&mut self.mailbag).map_err(|_| Failed::End)?;
        let size = <[u8; 8]>::try_from(message).map(usize::from_le_bytes).map_err(|_| Failed::End)?;
        match descriptors.first() {
            Some(memory) if size >= bytes => {
                self.lent = Some(Desk::of(memory, size).map_err(|_| Failed::End)?);
                Ok(())
            }
            _ => Err(RunError::Machine(format!("there is no memory for {bytes} bytes of outputs")).into()),
        }
    }
}

/// Copies pieces to their places, which are in order.
fn fill(desk: &mut Option<Desk>, pieces: &[(Piece, Range<usize>)]) -> Result<(), Failed> {
    let Some(desk) = desk else { return Ok(()) };
    let parts = desk.parts(pieces.iter().map(|(_, range)| Some(range.clone()))).ok_or(Failed::End)?;
    for ((piece, _), part) in pieces.iter().zip(parts) {
        // There is no part for what is empty.
        part.unwrap_or_default().copy_from_slice(piece.bytes());
    }
    Ok(())
}

fn room(end: &mut usize, bytes: usize) -> Range<usize> {
    // Both are lengths of what is in memory, so no sum of them is too much.
    let start = end.next_multiple_of(ALIGN);
    *end = start + bytes;
    start..*end
}

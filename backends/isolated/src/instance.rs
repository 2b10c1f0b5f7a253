//! A run in another process, on the daemon's side: inputs are named where they lie or copied, and what comes back is compared
//! with what was asked for before it is used.

use crate::budget::Budget;
use crate::connection::Connection;
use crate::memory::{ALIGN, Area, is_for_next_run};
use crate::model::Owner;
use crate::settle::{Asked, Unsettled, settle};
use crate::socket::{Mailbag, Socket};
use crate::wire::run::{Answer, Given, InputPlace, OutputPlace, Place, Run};
use crate::wire::{Garbage, MESSAGE_BYTES_MAX, write_strings};
use graphpipe_schema::Shape;
use graphpiped_backend_api::{Elements, Inputs, Instance, OpenError, OutputSlot, RunError};
use smallvec::SmallVec;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The most bytes that a framework can lend for one run: what a reply can have.
const LENT_BYTES_MAX: usize = i32::MAX as usize;

/// The right to run a model in another process. Its place there is made anew when that process is.
pub(crate) struct IsolatedInstance {
    owner: Arc<Owner>,
    link: Option<Link>,
    mailbag: Mailbag,
    message: Vec<u8>,
    /// Strings, before they are copied into their area.
    strings: Vec<u8>,
}

/// An instance in a process.
struct Link {
    connection: Arc<Connection>,
    socket: Arc<Socket>,
    /// What is copied for it to be read. Each of these is there once it has been needed.
    inputs: Option<Area>,
    /// Outputs whose size was known before.
    prepared: Option<Area>,
    /// Outputs that its framework lends.
    lent: Option<Area>,
}

/// Why a run has no result.
enum Failed {
    /// The process said why.
    Run(RunError),
    /// The socket says nothing more.
    Gone,
    /// The process said what cannot be.
    Garbage(Garbage),
}

impl Failed {
    /// From an error of a socket.
    fn of(error: &io::Error) -> Failed {
        match error.kind() {
            io::ErrorKind::InvalidData => Failed::Garbage(Garbage("a packet that is too much")),
            _ => Failed::Gone,
        }
    }
}

impl From<Unsettled> for Failed {
    fn from(unsettled: Unsettled) -> Failed {
        match unsettled {
            Unsettled::Garbage(garbage) => Failed::Garbage(garbage),
            Unsettled::Memory(why) => Failed::Run(RunError::Machine(format!("no memory for the outputs: {why}"))),
        }
    }
}

impl From<Garbage> for Failed {
    fn from(garbage: Garbage) -> Failed {
        Failed::Garbage(garbage)
    }
}

/// Why there is no instance in a process.
enum NoLink {
    /// The framework, or the machine, says why.
    Refused(OpenError),
    /// No process is up, or the one that was did not live for long enough. There will be another one.
    NoProcess(OpenError),
}

impl From<NoLink> for RunError {
    fn from((NoLink::Refused(error) | NoLink::NoProcess(error)): NoLink) -> RunError {
        error.into()
    }
}

impl IsolatedInstance {
    /// An instance, whose place in the process is made at once if one is up, and else by the first run that finds one: a process
    /// that ended a moment ago is no reason to serve nobody.
    pub fn open(owner: &Arc<Owner>) -> Result<IsolatedInstance, OpenError> {
        let mut instance = IsolatedInstance {
            owner: Arc::clone(owner),
            link: None,
            mailbag: Mailbag::new(),
            message: Vec::with_capacity(1024),
            strings: Vec::new(),
        };
        match instance.link_up() {
            Ok(_) | Err(NoLink::NoProcess(_)) => Ok(instance),
            Err(NoLink::Refused(error)) => Err(error),
        }
    }

    /// Makes an instance in the process that is up, unless there is one.
    fn link_up(&mut self) -> Result<&mut Link, NoLink> {
        let life = &self.owner.0;
        let epoch = life.epoch();
        if self.link.as_ref().is_none_or(|link| link.connection.epoch != epoch) {
            self.link = None;
            let none = |why| NoLink::NoProcess(OpenError::Machine(why));
            let connection = life.connection().map_err(none)?;
            let no_sockets = |error| NoLink::Refused(OpenError::Machine(format!("no sockets: {error}")));
            let socket = connection.make_instance().map_err(no_sockets)?;
            let answer = match socket.receive(&mut self.mailbag) {
                Ok((message, _)) if !message.is_empty() => Answer::read(message),
                _ => return Err(none(life.lost(&connection))),
            };
            let lie = |garbage| NoLink::NoProcess(OpenError::Framework(life.condemn(&connection, garbage)));
            match answer {
                Ok(Answer::Ready) => {}
                Ok(Answer::NotReady(error)) => return Err(NoLink::Refused(error)),
                Ok(_) => return Err(lie(Garbage("an answer to no run"))),
                Err(garbage) => return Err(lie(garbage)),
            }
            self.link = Some(Link { connection, socket, inputs: None, prepared: None, lent: None });
        }
        Ok(self.link.as_mut().expect("it was there, or has just been made"))
    }

    /// Has the run be done, and sets what it produced.
    fn exchange(&mut self, inputs: &Inputs<'_>, slots: &mut [OutputSlot<'_>]) -> Result<(), Failed> {
        let link = self.link.as_mut().expect("a run follows a link that is up");
        let asked = ask(&self.owner, link, inputs, slots, &mut self.strings, &mut self.message);
        let (run, copied) = asked.inspect_err(|_| {
            // The process has not been told of what may be new.
            (link.inputs, link.prepared) = (None, None);
        })?;
        let new = [(run.new_inputs, &link.inputs), (run.new_prepared, &link.prepared)];
        let new = new.into_iter().filter(|(bytes, _)| bytes.is_some()).filter_map(|(_, area)| area.as_ref());
        let descriptors: SmallVec<[BorrowedFd<'_>; 2]> = new.map(Area::descriptor).collect();
        link.socket.send(&self.message, &descriptors).map_err(|error| Failed::of(&error))?;
        drop(descriptors);
        let (given, is_kept) = answer(&self.owner, link, &mut self.mailbag, &mut self.message)?;
        if is_kept {
            // The process has the memory by a mapping of its own; here it is only counted.
            let copies = link.inputs.take().map(|area| self.owner.0.budget.count(area.bytes())).transpose();
            let copies = copies.map_err(|_| Garbage("it keeps more inputs than the memory budget has room for"))?;
            link.connection.kept.keep(run.id, inputs.keep(), copies);
        }
        let asked = Asked { inputs, places: &run.outputs, budget: &*self.owner.0.budget };
        let given = given.map_err(Failed::Run)?;
        let back = settle(&asked, &given, slots, link.prepared.as_ref(), link.lent.as_ref())?;
        self.owner.0.copied.fetch_add(copied + back, Ordering::Relaxed);
        Ok(())
    }
}

/// Puts together what the process is asked for. Returns that, and how many bytes were copied for it.
fn ask(
    owner: &Owner,
    link: &mut Link,
    inputs: &Inputs<'_>,
    slots: &[OutputSlot<'_>],
    strings: &mut Vec<u8>,
    message: &mut Vec<u8>,
) -> Result<(Run, u64), Failed> {
    let id = link.connection.runs.fetch_add(1, Ordering::Relaxed);
    let mut run = Run { id, new_inputs: None, new_prepared: None, inputs: SmallVec::new(), outputs: SmallVec::new() };
    let copied = place_inputs(owner, link, inputs, strings, &mut run)?;
    place_outputs(owner, link, slots, &mut run)?;
    run.write(message);
    if message.len() > MESSAGE_BYTES_MAX {
        let message = "it has more inputs and outputs than a model in a process of its own can take".into();
        return Err(Failed::Run(RunError::Request(message)));
    }
    Ok((run, copied))
}

impl Instance for IsolatedInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        self.link_up()?;
        let outcome = self.exchange(inputs, outputs);
        if let Some(link) = &mut self.link {
            link.tidy();
        }
        match outcome {
            Ok(()) => Ok(()),
            Err(Failed::Run(error)) => Err(error),
            Err(failed) => {
                let link = self.link.take().expect("a run had it");
                let life = &self.owner.0;
                Err(RunError::Framework(match failed {
                    Failed::Garbage(garbage) => life.condemn(&link.connection, garbage),
                    _ => life.lost(&link.connection),
                }))
            }
        }
    }
}

impl Link {
    /// Gives up areas that are too large to be kept, as the process does.
    fn tidy(&mut self) {
        for area in [&mut self.inputs, &mut self.prepared, &mut self.lent] {
            area.take_if(|area| !is_for_next_run(area.bytes()));
        }
    }
}

fn no_memory(error: &io::Error) -> Failed {
    Failed::Run(RunError::Machine(format!("no memory for the process of the model: {error}")))
}

/// How an area is made.
type Make = fn(usize, &dyn Budget) -> io::Result<Area>;

/// Makes an area of at least so many bytes, unless there is one. Says how long a new one is.
fn ensure(owner: &Owner, area: &mut Option<Area>, bytes: usize, make: Make) -> Result<Option<usize>, Failed> {
    if bytes == 0 || area.as_ref().is_some_and(|area| area.bytes() >= bytes) {
        return Ok(None);
    }
    // Not counted beside the new one.
    *area = None;
    let new = make(bytes, &*owner.0.budget).map_err(|error| no_memory(&error))?;
    Ok(Some(area.insert(new).bytes()))
}

/// Says where each input is, and copies those that the process cannot see. Returns how many bytes that were.
fn place_inputs(
    owner: &Owner,
    link: &mut Link,
    inputs: &Inputs<'_>,
    strings: &mut Vec<u8>,
    run: &mut Run,
) -> Result<u64, Failed> {
    strings.clear();
    let mut end = 0;
    for input in inputs.iter() {
        let many = || Failed::Run(RunError::Request("an input has more axes than a tensor can have".into()));
        let shape = Shape::new(input.shape).ok_or_else(many)?;
        let place = match input.elements {
            Elements::Bytes(bytes) => match owner.0.arenas.find(bytes).filter(|_| !bytes.is_empty()) {
                Some((arena, start)) => Place::Arena(arena, start..start + bytes.len()),
                None => Place::Area(room(&mut end, bytes.len())),
            },
            Elements::Strings(elements) => {
                let before = strings.len();
                write_strings(elements.iter().copied(), strings);
                Place::Strings(room(&mut end, strings.len() - before))
            }
        };
        run.inputs.push(InputPlace { index: input.index, dtype: input.dtype, shape, place });
    }
    run.new_inputs = ensure(owner, &mut link.inputs, end, Area::to_be_read)?;
    let Some(area) = &mut link.inputs else { return Ok(0) };
    let (mut copied, mut strings) = (0, &strings[..]);
    for (input, place) in inputs.iter().zip(&run.inputs) {
        let (range, bytes) = match (&place.place, input.elements) {
            (Place::Area(range), Elements::Bytes(bytes)) => (range, bytes),
            (Place::Strings(range), _) => {
                let (these, others) = strings.split_at(range.len());
                strings = others;
                (range, these)
            }
            _ => continue,
        };
        area.write(range.start, bytes);
        copied += bytes.len() as u64;
    }
    Ok(copied)
}

/// Says where outputs go whose size is known.
fn place_outputs(owner: &Owner, link: &mut Link, slots: &[OutputSlot<'_>], run: &mut Run) -> Result<(), Failed> {
    let mut end = 0;
    let place = |slot: &OutputSlot<'_>| OutputPlace {
        index: slot.index,
        prepared: slot.prepared.as_ref().map(|prepared| (prepared.shape, room(&mut end, prepared.bytes.len()))),
    };
    run.outputs = slots.iter().map(place).collect();
    run.new_prepared = ensure(owner, &mut link.prepared, end, Area::to_be_written)?;
    Ok(())
}

/// So many bytes behind those that are taken. They are lengths of slices, so no sum of them is too much.
fn room(end: &mut usize, bytes: usize) -> Range<usize> {
    let start = end.next_multiple_of(ALIGN);
    *end = start + bytes;
    start..*end
}

/// Where outputs are, as the process says, or why there are none.
type Outcome = Result<SmallVec<[Given; 2]>, RunError>;

/// Waits for the end of a run, and gives the process the room that it asks for, once. Says also whether it goes on referring to
/// inputs.
fn answer(
    owner: &Owner,
    link: &mut Link,
    mailbag: &mut Mailbag,
    message: &mut Vec<u8>,
) -> Result<(Outcome, bool), Failed> {
    let (mut has_room, mut refused) = (false, None);
    loop {
        let (bytes, _) = link.socket.receive(mailbag).map_err(|error| Failed::of(&error))?;
        if bytes.is_empty() {
            return Err(Failed::Gone);
        }
        match Answer::read(bytes)? {
            Answer::Done { outputs, is_kept } => return Ok((Ok(outputs), is_kept)),
            Answer::Failed { error, is_kept } => {
                // The process knows only that there was none.
                let error = match (error, refused) {
                    (RunError::Machine(_), Some(why)) => RunError::Machine(format!("no memory for the outputs: {why}")),
                    (error, _) => error,
                };
                return Ok((Err(error), is_kept));
            }
            Answer::Room(bytes) if !has_room => {
                has_room = true;
                // The one before it is not needed any more, and is not counted beside it.
                link.lent = None;
                let room = if bytes > LENT_BYTES_MAX {
                    Err(format!("they have {bytes} bytes, and a reply at most {LENT_BYTES_MAX}"))
                } else {
                    Area::to_be_written(bytes, &*owner.0.budget).map_err(|error| error.to_string())
                };
                let room = room.map_err(|why| refused = Some(why)).ok();
                message.clear();
                message.extend_from_slice(&room.as_ref().map_or(0, Area::bytes).to_le_bytes());
                let descriptors: SmallVec<[BorrowedFd<'_>; 2]> = room.iter().map(Area::descriptor).collect();
                link.socket.send(message, &descriptors).map_err(|error| Failed::of(&error))?;
                drop(descriptors);
                link.lent = room;
            }
            _ => return Err(Garbage("an answer that is none to a run").into()),
        }
    }
}

#[cfg(test)]
mod tests;

//! What one reading of a message has found so far: what is missing, where the payloads are, what it may still cost.

use super::Seen;
use super::table::{Vector, string};
use super::tensor::{self, Tensor};
use super::window::{Hole, Malformed, Stop, Window, malformed};
use crate::{DType, TENSORS_MAX};

/// The findings of one reading.
#[derive(Debug)]
pub(super) struct Survey {
    /// The missing bytes with the lowest position; `at == u32::MAX` if nothing is missing.
    lowest: Hole,
    /// Where the first payload begins that is not known to be empty; `u32::MAX` if there is none.
    payload_first: u32,
    /// Whether all that is not a payload, or the length of one that follows from its shape, is there.
    complete: bool,
    /// String elements that may still be claimed. Tensors may share one vector of offsets, and a small message would
    /// otherwise make the reader walk it 64 times: all vectors together have no more elements than the message has room
    /// for.
    strings_left: u32,
}

/// Which of the tensors of a message carry strings, one bit each.
pub(super) type TensorSet = u64;
const _: () = assert!(TENSORS_MAX <= TensorSet::BITS as usize);

impl Survey {
    pub fn new(window: Window<'_>) -> Survey {
        Survey {
            lowest: Hole { at: u32::MAX, end: u32::MAX },
            payload_first: u32::MAX,
            complete: true,
            strings_left: window.length() / 4,
        }
    }

    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Turns a missing part into "not yet", and remembers what is missing.
    #[inline]
    pub fn settle<T>(&mut self, read: Result<T, Stop>) -> Result<Seen<T>, Malformed> {
        match read {
            Ok(value) => Ok(Seen::Is(value)),
            Err(Stop::Missing(hole)) => {
                self.complete = false;
                self.missing(hole);
                Ok(Seen::NotYet)
            }
            Err(Stop::Malformed(malformed)) => Err(malformed),
        }
    }

    /// Remembers missing bytes that one can do without.
    pub fn missing(&mut self, hole: Hole) {
        if hole.at < self.lowest.at {
            self.lowest = hole;
        }
    }

    /// Remembers a payload that begins at `at`.
    #[inline]
    pub fn payload(&mut self, at: u32) {
        self.payload_first = self.payload_first.min(at);
    }

    /// Counts the elements of the string vector at `at`.
    pub fn claim_strings(&mut self, strings: Vector) -> Result<(), Stop> {
        match self.strings_left.checked_sub(strings.count) {
            Some(left) => {
                self.strings_left = left;
                Ok(())
            }
            None => malformed("more strings than the message has room for", strings.at - 4),
        }
    }

    /// Surveys the list of names at `at` (0 = absent). Their missing parts count as one, so that a list does not take
    /// one reading for each of its names.
    pub fn names(&mut self, window: Window<'_>, at: u32) -> Result<(), Malformed> {
        if at == 0 {
            return Ok(());
        }
        let Seen::Is(names) =
            self.settle(Vector::read_short(window, at, TENSORS_MAX, "a list of more than 64 names"))?
        else {
            return Ok(());
        };
        if let Some(hole) = strings_hole(window, names, u32::MAX)?.hole {
            self.complete = false;
            self.missing(hole);
        }
        Ok(())
    }

    /// Surveys the tensors of the list at `at` (0 = absent), but not their strings; says which have strings.
    pub fn tensors(&mut self, window: Window<'_>, at: u32) -> Result<TensorSet, Malformed> {
        let mut with_strings = 0;
        if at == 0 {
            return Ok(with_strings);
        }
        let Seen::Is(list) = self.settle(tensor::list(window, at))? else { return Ok(with_strings) };
        for index in 0..list.count {
            let tensor = list.target(window, index).and_then(|at| Tensor::read(window, at, self));
            if let Seen::Is(tensor) = self.settle(tensor)?
                && tensor.dtype() == DType::String
            {
                with_strings |= 1 << index;
            }
        }
        Ok(with_strings)
    }

    /// The bytes of the beginning that are needed before anything can be said, if any are.
    ///
    /// What lies behind a payload is not worth waiting for: it comes when the payload has been received. In a window
    /// that is split, what lies between its two parts never comes.
    pub fn need(&self, window: Window<'_>) -> Result<Option<u32>, Malformed> {
        let before = self.lowest.at < self.payload_first;
        if window.is_split() && (before || !self.complete) {
            return Err(inside_payload(self.lowest));
        }
        Ok(before.then_some(self.lowest.end))
    }

    /// The same for a message that is wanted with all that lies behind its payloads.
    pub fn need_all(&self, window: Window<'_>) -> Result<Option<u32>, Malformed> {
        let need = self.need(window)?;
        Ok(need.or((!self.complete).then_some(self.lowest.end)))
    }

    /// Where the first payload begins; `u32::MAX` if there is none.
    pub fn payload_first(&self) -> u32 {
        self.payload_first
    }

    /// Surveys the strings of those of `tensors` in the list at `at`: which have all been seen, and the bytes of the
    /// beginning that are needed first for those below the position `below`, if any are.
    ///
    /// This walk is the one part whose cost grows with the message. It comes last, when nothing else is needed, and asks
    /// for all that it needs at once: however a message arrives, it is walked at most three times before it is known
    /// (offsets, lengths, bytes), never once for each string.
    pub fn strings(
        &mut self,
        window: Window<'_>,
        at: u32,
        mut tensors: TensorSet,
        below: u32,
    ) -> Result<(TensorSet, Option<u32>), Malformed> {
        // Of a split window nothing more will come: what is missing anywhere is an error.
        let below = if window.is_split() { u32::MAX } else { below };
        let mut seen = 0;
        let mut need = None;
        while tensors != 0 {
            let index = tensors.trailing_zeros();
            tensors &= tensors - 1;
            let Ok(tensor) = tensor::element(window, at, index) else { continue };
            let Seen::Is(strings) = tensor.strings_vector() else { continue };
            let found = strings_hole(window, strings, below)?;
            if found.complete {
                seen |= 1 << index;
                continue;
            }
            self.complete = false;
            if let Some(hole) = found.hole {
                if window.is_split() {
                    return Err(inside_payload(hole));
                }
                need = need.max(Some(hole.end));
            }
        }
        Ok((seen, need))
    }
}

/// What is missing of some strings.
struct StringsFound {
    /// Whether nothing is.
    complete: bool,
    /// From the lowest missing byte to the end of the last missing string, of those that begin below the bound.
    hole: Option<Hole>,
}

/// What is missing of these strings, before `below`.
fn strings_hole(window: Window<'_>, strings: Vector, below: u32) -> Result<StringsFound, Malformed> {
    let mut found = StringsFound { complete: true, hole: None };
    let mut note = |read: Result<&[u8], Stop>| match read {
        Ok(_) => Ok(true),
        Err(Stop::Malformed(malformed)) => Err(malformed),
        Err(Stop::Missing(hole)) => {
            found.complete = false;
            if hole.at < below {
                let so_far = found.hole.unwrap_or(hole);
                found.hole = Some(Hole { at: so_far.at.min(hole.at), end: so_far.end.max(hole.end) });
            }
            Ok(false)
        }
    };
    // At most as many as the message has room for, so this does not overflow.
    if note(window.bytes(strings.at, strings.count * 4))? {
        for index in 0..strings.count {
            note(strings.target(window, index).and_then(|at| string(window, at)))?;
        }
    }
    Ok(found)
}

/// A field in bytes that were received as a payload.
#[cold]
pub(super) fn inside_payload(hole: Hole) -> Malformed {
    Malformed { what: "metadata inside of a payload", at: hole.at }
}

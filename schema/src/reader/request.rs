//! Requests.

use super::Seen;
use super::survey::{Survey, TensorSet, inside_payload};
use super::table::{Table, Vector, string};
use super::tensor::{self, Tensor};
use super::window::{Malformed, Stop, Window, malformed};
use crate::DType;

/// What the bytes seen so far amount to.
#[derive(Clone, Copy, Debug)]
pub enum Read<'a> {
    /// At least this many bytes of the message's beginning are needed: more than there are, and no more than the
    /// message has. Asking again before they are there gives the same answer, at the same cost.
    Need(u32),
    /// An inference; see [`InferRequest::is_complete`].
    Infer(InferRequest<'a>),
    /// A metadata request.
    Metadata(MetadataRequest<'a>),
}

/// A verified view of an inference request. Every accessor is O(1), but for the iterators.
#[derive(Clone, Copy, Debug)]
pub struct InferRequest<'a> {
    window: Window<'a>,
    deadline_us: u64,
    /// The string tensors all of whose strings have been seen.
    strings_seen: TensorSet,
    /// What each field that is not inline points to; 0 if it is absent.
    config: u32,
    input_names: u32,
    input_tensors: u32,
    output_names: u32,
    model: u32,
    version: u32,
    trace_id: u32,
    priority: u8,
    complete: bool,
}

/// A verified view of a metadata request.
#[derive(Clone, Copy, Debug)]
pub struct MetadataRequest<'a> {
    model: &'a [u8],
    version: &'a [u8],
}

/// The fields of a `Request`, by id, and the tags of its union.
mod request_id {
    pub const REQ_TYPE: u16 = 0;
    pub const REQ: u16 = 1;
    pub const INFER: u8 = 1;
    pub const METADATA: u8 = 2;
}

/// The fields of an `InferRequest`, by id.
mod infer_id {
    pub const CONFIG: u16 = 0;
    pub const INPUT_NAMES: u16 = 1;
    pub const INPUT_TENSORS: u16 = 2;
    pub const OUTPUT_NAMES: u16 = 3;
    pub const MODEL: u16 = 4;
    pub const VERSION: u16 = 5;
    pub const DEADLINE_US: u16 = 6;
    pub const PRIORITY: u16 = 7;
    pub const TRACE_ID: u16 = 8;
}

/// The fields of a `MetadataRequest`, by id.
mod metadata_id {
    pub const MODEL: u16 = 0;
    pub const VERSION: u16 = 1;
}

/// Reads a `Request`.
///
/// Of an inference, everything before the first payload is awaited ([`Read::Need`]); what lies behind it may be
/// [`Seen::NotYet`]. Of a message that is all there, nothing is ever needed.
pub fn read_request(window: Window<'_>) -> Result<Read<'_>, Malformed> {
    let read = match read_kind(window) {
        Ok(Kind::Infer(request)) => return request.survey(),
        Ok(Kind::Metadata(request)) => Ok(Read::Metadata(request)),
        Err(stop) => Err(stop),
    };
    match read {
        Ok(read) => Ok(read),
        Err(Stop::Malformed(malformed)) => Err(malformed),
        Err(Stop::Missing(hole)) if window.is_split() => Err(inside_payload(hole)),
        Err(Stop::Missing(hole)) => Ok(Read::Need(hole.end)),
    }
}

enum Kind<'a> {
    Infer(InferRequest<'a>),
    Metadata(MetadataRequest<'a>),
}

/// Reads the tables at the top, without which nothing is known.
fn read_kind(window: Window<'_>) -> Result<Kind<'_>, Stop> {
    let root = Table::root(window)?;
    let Some(tag_at) = root.field(window, request_id::REQ_TYPE, 1)? else {
        return malformed("a request without its type", root.at());
    };
    let tag = window.u8(tag_at)?;
    if tag != request_id::INFER && tag != request_id::METADATA {
        return malformed("a request that is neither an inference (1) nor for metadata (2)", tag_at);
    }
    let Some(at) = root.target(window, request_id::REQ)? else {
        return malformed("a request without content", root.at());
    };
    let table = Table::read(window, at)?;
    if tag == request_id::INFER {
        return InferRequest::read(window, table).map(Kind::Infer);
    }
    let model = table.string(window, metadata_id::MODEL)?;
    let version = table.string(window, metadata_id::VERSION)?;
    Ok(Kind::Metadata(MetadataRequest { model, version }))
}

impl<'a> InferRequest<'a> {
    /// Reads the table, and nothing that it points to.
    fn read(window: Window<'a>, table: Table) -> Result<InferRequest<'a>, Stop> {
        let target = |id| Ok::<u32, Stop>(table.target(window, id)?.unwrap_or(0));
        let deadline_us = match table.field(window, infer_id::DEADLINE_US, 8)? {
            Some(at) => window.u64(at)?,
            None => 0,
        };
        let priority = match table.field(window, infer_id::PRIORITY, 1)? {
            Some(at) => window.u8(at)?,
            None => 0,
        };
        Ok(InferRequest {
            window,
            deadline_us,
            strings_seen: 0,
            config: target(infer_id::CONFIG)?,
            input_names: target(infer_id::INPUT_NAMES)?,
            input_tensors: target(infer_id::INPUT_TENSORS)?,
            output_names: target(infer_id::OUTPUT_NAMES)?,
            model: target(infer_id::MODEL)?,
            version: target(infer_id::VERSION)?,
            trace_id: target(infer_id::TRACE_ID)?,
            priority,
            complete: false,
        })
    }

    /// Verifies all that the table points to.
    fn survey(mut self) -> Result<Read<'a>, Malformed> {
        let window = self.window;
        let mut survey = Survey::new(window);
        for at in [self.config, self.model, self.version, self.trace_id] {
            survey.settle(string_at(window, at))?;
        }
        survey.names(window, self.input_names)?;
        survey.names(window, self.output_names)?;
        let with_strings = survey.tensors(window, self.input_tensors)?;
        if let Some(bytes) = survey.need(window)? {
            return Ok(Read::Need(bytes));
        }
        if with_strings != 0 {
            let (seen, need) = survey.strings(window, self.input_tensors, with_strings, survey.payload_first())?;
            if let Some(bytes) = need {
                return Ok(Read::Need(bytes));
            }
            self.strings_seen = seen;
        }
        self.complete = survey.is_complete();
        Ok(Read::Infer(self))
    }

    /// Whether every field and every table has been seen, and only payload bytes (and lengths of payloads that follow
    /// from their shapes) are missing.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Options for the server, any bytes.
    pub fn config(&self) -> Seen<&'a [u8]> {
        self.string(self.config)
    }

    /// The model's name; empty = the default model.
    pub fn model(&self) -> Seen<&'a [u8]> {
        self.string(self.model)
    }

    /// The model's version; empty = the newest.
    pub fn version(&self) -> Seen<&'a [u8]> {
        self.string(self.version)
    }

    /// An identifier for traces; empty = none.
    pub fn trace_id(&self) -> Seen<&'a [u8]> {
        self.string(self.trace_id)
    }

    /// Microseconds from the receipt of the head; 0 = none.
    #[inline]
    pub fn deadline_us(&self) -> u64 {
        self.deadline_us
    }

    /// Larger is more urgent; 0 by default.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Number of input tensors.
    pub fn inputs_count(&self) -> Seen<usize> {
        self.count(self.input_tensors)
    }

    /// The `index`-th input tensor; [`Seen::NotYet`] for one that there is not.
    pub fn input(&self, index: usize) -> Seen<Tensor<'a>> {
        if !self.has(self.input_tensors, index) {
            return Seen::NotYet;
        }
        let Ok(tensor) = tensor::element(self.window, self.input_tensors, index as u32) else { return Seen::NotYet };
        let all_seen = tensor.dtype() != DType::String || self.strings_seen & 1 << index != 0;
        Seen::Is(if all_seen { tensor } else { tensor.without_strings() })
    }

    /// Number of input names; 0 = the model's defaults.
    pub fn input_names_count(&self) -> Seen<usize> {
        self.count(self.input_names)
    }

    /// The `index`-th input name; empty = the model's `index`-th input. [`Seen::NotYet`] for one that there is not.
    pub fn input_name(&self, index: usize) -> Seen<&'a [u8]> {
        self.name(self.input_names, index)
    }

    /// Number of output names; 0 = all of the model's outputs.
    pub fn output_names_count(&self) -> Seen<usize> {
        self.count(self.output_names)
    }

    /// The `index`-th output name; [`Seen::NotYet`] for one that there is not.
    pub fn output_name(&self, index: usize) -> Seen<&'a [u8]> {
        self.name(self.output_names, index)
    }

    // Below, nothing is malformed any more: the survey has found that out. What is left is whether it is there.

    fn string(&self, at: u32) -> Seen<&'a [u8]> {
        seen(string_at(self.window, at))
    }

    fn count(&self, list: u32) -> Seen<usize> {
        if list == 0 {
            return Seen::Is(0);
        }
        seen(Vector::read(self.window, list, 4)).map(|vector| vector.count as usize)
    }

    fn has(&self, list: u32, index: usize) -> bool {
        self.count(list).get().is_some_and(|count| index < count)
    }

    fn name(&self, list: u32, index: usize) -> Seen<&'a [u8]> {
        if !self.has(list, index) {
            return Seen::NotYet;
        }
        let window = self.window;
        seen(
            Vector::read(window, list, 4)
                .and_then(|names| names.target(window, index as u32))
                .and_then(|at| string(window, at)),
        )
    }
}

impl<'a> MetadataRequest<'a> {
    /// The model's name; empty = the default model.
    #[inline]
    pub fn model(&self) -> &'a [u8] {
        self.model
    }

    /// The model's version; empty = the newest.
    #[inline]
    pub fn version(&self) -> &'a [u8] {
        self.version
    }
}

/// The string at `at`; empty if that is 0.
#[inline]
fn string_at(window: Window<'_>, at: u32) -> Result<&[u8], Stop> {
    if at == 0 { Ok(&[]) } else { string(window, at) }
}

fn seen<T>(read: Result<T, Stop>) -> Seen<T> {
    read.map_or(Seen::NotYet, Seen::Is)
}

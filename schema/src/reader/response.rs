//! Replies to inferences.

use super::survey::{Survey, inside_payload};
use super::table::{Table, Vector};
use super::tensor::{self, Tensor};
use super::window::{Malformed, Stop, Window};

/// What the bytes of a reply seen so far amount to.
#[derive(Clone, Copy, Debug)]
pub enum ReadResponse<'a> {
    /// At least this many bytes of the message's beginning are needed: more than there are, and no more than the
    /// message has.
    Need(u32),
    /// The reply; only payload bytes (and lengths of payloads that follow from their shapes) may be missing.
    Infer(InferResponse<'a>),
}

/// A verified view of a reply to an inference.
#[derive(Clone, Copy, Debug)]
pub struct InferResponse<'a> {
    window: Window<'a>,
    /// Where the list of tensors is; 0 if it is absent.
    outputs: u32,
    outputs_count: u32,
    error: Option<(i64, &'a [u8])>,
}

/// The fields of an `InferResponse` and of an `Error`, by id.
mod id {
    pub const OUTPUT_TENSORS: u16 = 0;
    pub const ERRORS: u16 = 1;
    pub const ERROR_CODE: u16 = 0;
    pub const ERROR_MESSAGE: u16 = 1;
}

/// Reads an `InferResponse` that is all there but, perhaps, for payloads.
///
/// A reply whose metadata lies behind a payload, as other servers' may, is needed up to there.
pub fn read_response(window: Window<'_>) -> Result<ReadResponse<'_>, Malformed> {
    let mut response = match InferResponse::read(window) {
        Ok(response) => response,
        Err(Stop::Malformed(malformed)) => return Err(malformed),
        Err(Stop::Missing(hole)) if window.is_split() => return Err(inside_payload(hole)),
        Err(Stop::Missing(hole)) => return Ok(ReadResponse::Need(hole.end)),
    };
    let mut survey = Survey::new(window);
    let with_strings = survey.tensors(window, response.outputs)?;
    if let Some(bytes) = survey.need_all(window)? {
        return Ok(ReadResponse::Need(bytes));
    }
    let (_, need) = survey.strings(window, response.outputs, with_strings, u32::MAX)?;
    if let Some(bytes) = need {
        return Ok(ReadResponse::Need(bytes));
    }
    // The list is there, or the survey would have asked for it.
    response.outputs_count =
        if response.outputs == 0 { 0 } else { tensor::list(window, response.outputs).map_or(0, |list| list.count) };
    Ok(ReadResponse::Infer(response))
}

impl<'a> InferResponse<'a> {
    /// Reads the table and the first error.
    fn read(window: Window<'a>) -> Result<InferResponse<'a>, Stop> {
        let root = Table::root(window)?;
        let outputs = root.target(window, id::OUTPUT_TENSORS)?.unwrap_or(0);
        let errors = root.vector(window, id::ERRORS, 4)?;
        let error = if errors.count == 0 { None } else { Some(read_error(window, errors)?) };
        Ok(InferResponse { window, outputs, outputs_count: 0, error })
    }

    /// Number of output tensors.
    #[inline]
    pub fn outputs_count(&self) -> usize {
        self.outputs_count as usize
    }

    /// The `index`-th output tensor.
    ///
    /// # Panics
    ///
    /// If there are no more than `index`, as a slice does.
    pub fn output(&self, index: usize) -> Tensor<'a> {
        let count = self.outputs_count();
        assert!(index < count, "output {index} of {count}");
        match tensor::element(self.window, self.outputs, index as u32) {
            Ok(tensor) => tensor,
            Err(stop) => unreachable!("a tensor that was read before: {stop:?}"),
        }
    }

    /// The output tensors, in order.
    pub fn outputs(&self) -> impl Iterator<Item = Tensor<'a>> + use<'a> {
        let response = *self;
        (0..response.outputs_count()).map(move |index| response.output(index))
    }

    /// The first error: code and message.
    #[inline]
    pub fn error(&self) -> Option<(i64, &'a [u8])> {
        self.error
    }
}

fn read_error(window: Window<'_>, errors: Vector) -> Result<(i64, &[u8]), Stop> {
    let table = Table::read(window, errors.target(window, 0)?)?;
    let code = match table.field(window, id::ERROR_CODE, 8)? {
        Some(at) => window.i64(at)?,
        None => 0,
    };
    Ok((code, table.string(window, id::ERROR_MESSAGE)?))
}

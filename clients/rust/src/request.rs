//! Requests as callers make them: which model, which tensors, which outputs. Nothing is copied: a request borrows.

use crate::element::Element;
use graphpipe_schema::DType;
use graphpipe_schema::writer::{self, Content};
use std::time::Duration;

/// A tensor to be sent, borrowed from the caller.
///
/// Shape and elements are compared by the server, whose error names the tensor and says what it expected.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    pub(crate) message: writer::Tensor<'a>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// A tensor of numbers, row-major.
    pub fn new<T: Element>(shape: &'a [i64], elements: &'a [T]) -> Tensor<'a> {
        Tensor::raw(T::DTYPE, shape, bytemuck::cast_slice(elements))
    }

    /// A tensor of any type but strings: its elements as little-endian bytes, row-major.
    pub fn raw(dtype: DType, shape: &'a [i64], payload: &'a [u8]) -> Tensor<'a> {
        // A longer payload than u32 can say is one that the writer refuses by its own limit.
        let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        Tensor { message: writer::Tensor { dtype, shape, content: Content::Payload(bytes) }, payload }
    }

    /// A tensor of byte strings, row-major. They need not be text.
    pub fn strings(shape: &'a [i64], elements: &'a [&'a [u8]]) -> Tensor<'a> {
        let message = writer::Tensor { dtype: DType::String, shape, content: Content::Strings(elements) };
        Tensor { message, payload: &[] }
    }
}

/// A request, made step by step; it can be sent any number of times.
///
/// ```
/// use graphpipe_client::{Request, Tensor};
///
/// let pixels = [0.0_f32; 64];
/// let request = Request::new().model("digits").input(Tensor::new(&[1, 64], &pixels)).output("label");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    pub(crate) fields: writer::InferRequest<'a>,
    pub(crate) input_names: Vec<&'a [u8]>,
    pub(crate) output_names: Vec<&'a [u8]>,
    pub(crate) inputs: Vec<writer::Tensor<'a>>,
    pub(crate) payloads: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// A request to the server's default model, with no input yet and for all outputs.
    pub fn new() -> Request<'a> {
        Request::default()
    }

    /// The model's name.
    #[must_use]
    pub fn model(mut self, name: &'a str) -> Self {
        self.fields.model = name.as_bytes();
        self
    }

    /// The model's version; without it, the newest.
    #[must_use]
    pub fn version(mut self, version: &'a str) -> Self {
        self.fields.version = version.as_bytes();
        self
    }

    /// An input without a name: the first is the model's first input, the second its second, and so on.
    #[must_use]
    pub fn input(self, tensor: Tensor<'a>) -> Self {
        self.named_input("", tensor)
    }

    /// An input by its name.
    #[must_use]
    pub fn named_input(mut self, name: &'a str, tensor: Tensor<'a>) -> Self {
        self.input_names.push(name.as_bytes());
        self.inputs.push(tensor.message);
        self.payloads.push(tensor.payload);
        self
    }

    /// Asks for an output by its name. Replies have the outputs in the order in which they were asked for; without any,
    /// all of the model's, in its order.
    #[must_use]
    pub fn output(mut self, name: &'a str) -> Self {
        self.output_names.push(name.as_bytes());
        self
    }

    /// Options for the model, in any form that it understands.
    #[must_use]
    pub fn config(mut self, config: &'a [u8]) -> Self {
        self.fields.config = config;
        self
    }

    /// How long the answer is of use, counted from when the server reads the request; zero means for ever.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.fields.deadline_us = u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// Larger is more urgent; 0 without it.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.fields.priority = priority;
        self
    }

    /// An identifier to find this request by in the server's traces.
    #[must_use]
    pub fn trace_id(mut self, id: &'a str) -> Self {
        self.fields.trace_id = id.as_bytes();
        self
    }

    /// The request as the writer takes it.
    pub(crate) fn message(&self) -> writer::InferRequest<'_> {
        // Names that say nothing are left out: old servers are content with a list that is not there.
        let named = self.input_names.iter().any(|name| !name.is_empty());
        writer::InferRequest {
            input_names: if named { &self.input_names } else { &[] },
            inputs: &self.inputs,
            output_names: &self.output_names,
            ..self.fields
        }
    }
}

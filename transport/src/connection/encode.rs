//! Replies as bytes: the message in stream-ready order, and the native frame or HTTP head before it.

use super::outbox::{Outbox, Spare};
use crate::counters::Counters;
use crate::limits::{SMALL_BYTES_MAX, STRING_BYTES_MAX};
use crate::service::{Content, Output, Refusal, Reply};
use graphpipe_schema::frame::{FLAG_ERROR, HEADER_BYTES, Header};
use graphpipe_schema::{Code, MESSAGE_BYTES_MAX, writer};
use smallvec::SmallVec;

/// Where encoded replies go, and what counts them.
pub struct Encoder<'a> {
    /// The connection's outbox.
    pub outbox: &'a mut Outbox,
    /// Empty buffers.
    pub spare: &'a mut Spare,
    /// The reactor's counters.
    pub counters: &'a Counters,
}

impl Encoder<'_> {
    /// Queues a reply in a native frame.
    pub fn native(&mut self, id: u64, reply: &Reply) {
        let refusal = match reply {
            Reply::Outputs(outputs) => match self.native_outputs(id, outputs) {
                Ok(()) => return self.counters.replies_ok.add(1),
                Err(unwritable) => unwritable,
            },
            Reply::Message(message) => {
                let length = message.len() as u32;
                let header = Header { length, head: length, flags: 0, id }.write();
                self.outbox.write(self.spare, |bytes| {
                    bytes.extend_from_slice(&header);
                    bytes.extend_from_slice(message);
                });
                return self.counters.replies_ok.add(1);
            }
            Reply::Refused(refusal) => refusal.clone(),
        };
        self.count_refusal(&refusal);
        self.outbox.write(self.spare, |bytes| {
            let start = open_frame(bytes);
            let layout = writer::error_response(bytes, refusal.code, &refusal.message);
            close_frame(bytes, start, layout, FLAG_ERROR, id);
        });
    }

    fn native_outputs(&mut self, id: u64, outputs: &[Output]) -> Result<(), Refusal> {
        let payload_bytes = payload_bytes(outputs)?;
        self.outbox.write(self.spare, |bytes| {
            let start = open_frame(bytes);
            match message_head(bytes, outputs) {
                Ok(layout) => close_frame(bytes, start, layout, 0, id),
                Err(refusal) => {
                    bytes.truncate(start);
                    return Err(refusal);
                }
            }
            Ok(())
        })?;
        self.payloads(outputs, payload_bytes);
        Ok(())
    }

    /// Queues the message with these outputs behind what `envelope` appends, which is told the message's length. If the
    /// outputs do not fit into a message, nothing is queued.
    pub fn enveloped_outputs(
        &mut self,
        outputs: &[Output],
        envelope: impl FnOnce(&mut Vec<u8>, u32),
    ) -> Result<(), Refusal> {
        let payload_bytes = payload_bytes(outputs)?;
        let mut head = self.spare.take();
        let layout = message_head(&mut head, outputs);
        if let Ok(layout) = layout {
            self.outbox.write(self.spare, |bytes| {
                envelope(bytes, layout.length);
                bytes.extend_from_slice(&head);
            });
            self.payloads(outputs, payload_bytes);
            self.counters.replies_ok.add(1);
        }
        self.spare.give(head);
        layout.map(drop)
    }

    /// Counts a reply that carries an error.
    pub fn count_refusal(&mut self, refusal: &Refusal) {
        self.counters.replies_error[refusal.code as usize].add(1);
    }

    fn payloads(&mut self, outputs: &[Output], payload_bytes: usize) {
        let small = payload_bytes <= SMALL_BYTES_MAX;
        let mut previous = None;
        for payload in payloads(outputs) {
            let bytes = payload.len() as u32;
            let gap = previous.replace(bytes).map(|previous| writer::gap(previous, bytes));
            if small {
                self.outbox.write(self.spare, |out| {
                    out.extend_from_slice(gap.as_ref().map_or(&[], AsRef::as_ref));
                    out.extend_from_slice(payload.as_slice());
                });
            } else {
                if let Some(gap) = gap {
                    self.outbox.write(self.spare, |out| out.extend_from_slice(gap.as_ref()));
                }
                self.outbox.push(payload.clone());
            }
        }
        if small {
            self.counters.copied_small_out.add(payload_bytes as u64);
        }
    }
}

/// Leaves room for a header, whose numbers are known when the message's head is written.
fn open_frame(bytes: &mut Vec<u8>) -> usize {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEADER_BYTES]);
    start
}

fn close_frame(bytes: &mut [u8], start: usize, layout: writer::Layout, flags: u32, id: u64) {
    let header = Header { length: layout.length, head: layout.head, flags, id };
    bytes[start..start + HEADER_BYTES].copy_from_slice(&header.write());
}

/// The payloads that follow the head: those that are not empty.
fn payloads(outputs: &[Output]) -> impl Iterator<Item = &graphpiped_memory::Payload> {
    outputs.iter().filter_map(|output| match &output.content {
        Content::Payload(payload) if !payload.is_empty() => Some(payload),
        _ => None,
    })
}

fn payload_bytes(outputs: &[Output]) -> Result<usize, Refusal> {
    let bytes = payloads(outputs).map(graphpiped_memory::Payload::len).sum();
    if bytes > MESSAGE_BYTES_MAX as usize {
        return Err(unwritable(writer::Unwritable::TooLarge));
    }
    Ok(bytes)
}

fn message_head(bytes: &mut Vec<u8>, outputs: &[Output]) -> Result<writer::Layout, Refusal> {
    let string_bytes: usize = outputs.iter().map(string_bytes).sum();
    if string_bytes > STRING_BYTES_MAX {
        let message = format!("the reply has {string_bytes} bytes of strings; {STRING_BYTES_MAX} is the most");
        return Err(Refusal::new(Code::TooLarge, message));
    }
    // Lists of string elements are the one thing here that allocates; models with string outputs are rare.
    let strings: SmallVec<[Vec<&[u8]>; 2]> = outputs
        .iter()
        .map(|output| match &output.content {
            Content::Strings(elements) => elements.iter().map(Vec::as_slice).collect(),
            Content::Payload(_) => Vec::new(),
        })
        .collect();
    let tensors: SmallVec<[writer::Tensor<'_>; 2]> = outputs
        .iter()
        .zip(&strings)
        .map(|(output, strings)| writer::Tensor {
            dtype: output.dtype,
            shape: output.shape.dims(),
            content: match &output.content {
                Content::Payload(payload) => writer::Content::Payload(payload.len() as u32),
                Content::Strings(_) => writer::Content::Strings(strings),
            },
        })
        .collect();
    writer::infer_response(bytes, &tensors).map_err(unwritable)
}

/// What the strings of an output take in a message: each with an offset, a length and a NUL.
fn string_bytes(output: &Output) -> usize {
    match &output.content {
        Content::Strings(elements) => elements.iter().map(|element| element.len() + 12).sum(),
        Content::Payload(_) => 0,
    }
}

fn unwritable(reason: writer::Unwritable) -> Refusal {
    let code = match reason {
        writer::Unwritable::TooLarge => Code::TooLarge,
        writer::Unwritable::TooMany => Code::Internal,
    };
    Refusal::new(code, format!("the reply cannot be sent: {reason}"))
}

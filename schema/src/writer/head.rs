//! The tables at the top of a message, and the strings and lists that they point to.
//!
//! FlatBuffers' offsets lead forward, so a table is written before what it points to, with zeros for offsets; a [`Slot`]
//! remembers where such a zero is, and whatever is written for it fills it in. Positions count from where the message
//! begins in the buffer.

use super::InferRequest;

/// Where an offset is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(pub u32);

/// A message of which the head is being written.
pub(super) struct Head<'o> {
    out: &'o mut Vec<u8>,
    base: usize,
}

/// The offsets of an `InferRequest`.
pub(super) struct InferSlots {
    pub config: Slot,
    pub input_names: Slot,
    pub input_tensors: Slot,
    pub output_names: Slot,
    /// `model`, `version` and `trace_id`; none of them is used in a table that has no room for them.
    pub extensions: [Slot; 3],
}

impl<'o> Head<'o> {
    /// Begins a message at the end of `out`, whose head will have about `bytes` bytes.
    pub fn new(out: &'o mut Vec<u8>, bytes: u64) -> Head<'o> {
        let base = out.len();
        out.reserve(bytes as usize);
        Head { out, base }
    }

    /// Where the next byte goes. Heads are checked to be within the limit of a message before they are written.
    pub fn at(&self) -> u32 {
        (self.out.len() - self.base) as u32
    }

    /// Appends bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends a number.
    pub fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    /// Appends 16-bit numbers.
    pub fn put_u16s(&mut self, values: &[u16]) {
        for value in values {
            self.put(&value.to_le_bytes());
        }
    }

    /// Appends zeros until `after` more bytes end on a multiple of `align`.
    pub fn align(&mut self, align: u32, after: u32) {
        let at = self.at() + after;
        let zeros = at.next_multiple_of(align) - at;
        self.out.resize(self.out.len() + zeros as usize, 0);
    }

    /// Makes `slot` point to `at`.
    pub fn fill(&mut self, slot: Slot, at: u32) {
        let place = self.base + slot.0 as usize;
        self.out[place..place + 4].copy_from_slice(&(at - slot.0).to_le_bytes());
    }

    /// Appends a string, its NUL, and zeros up to a multiple of 4.
    pub fn string(&mut self, slot: Slot, bytes: &[u8]) {
        self.align(4, 0);
        self.fill(slot, self.at());
        self.put_u32(bytes.len() as u32);
        self.put(bytes);
        self.put(&[0]);
        self.align(4, 0);
    }

    /// Appends a vector of strings.
    pub fn strings(&mut self, slot: Slot, strings: &[&[u8]]) {
        self.align(4, 0);
        self.fill(slot, self.at());
        self.put_u32(strings.len() as u32);
        let first = self.at();
        self.out.resize(self.out.len() + 4 * strings.len(), 0);
        for (index, string) in strings.iter().enumerate() {
            self.string(Slot(first + 4 * index as u32), string);
        }
    }

    /// Drops what was written of this message.
    pub fn abandon(self) {
        self.out.truncate(self.base);
    }

    /// The root and a `Request` of this type, in 24 bytes; its content has to follow.
    ///
    /// ```text
    /// 0  root offset → 12
    /// 4  vtable: 8 bytes, table of 12, req_type at 11, req at 4
    /// 12 Request: → vtable | req → content | 0 0 0 req_type
    /// ```
    pub fn request(&mut self, req_type: u8) {
        self.put_u32(12);
        self.put_u16s(&[8, 12, 11, 4]);
        self.put_u32(8);
        self.put_u32(0);
        self.put(&[0, 0, 0, req_type]);
    }

    /// An `InferRequest` without extensions, behind its `Request`, in 32 bytes.
    ///
    /// ```text
    /// 24 vtable: 12 bytes, table of 20, its four fields in order
    /// 36 InferRequest: → vtable | config | input_names | input_tensors | output_names
    /// ```
    pub fn infer_request(&mut self) -> InferSlots {
        self.put_u16s(&[12, 20, 4, 8, 12, 16]);
        self.fill(Slot(REQ), 36);
        self.put_u32(12);
        self.put(&[0; 16]);
        InferSlots::at(36)
    }

    /// An `InferRequest` with room for all fields, behind its `Request`, in 72 bytes. Fields that have their defaults are
    /// absent from its vtable. The table begins 4 before a multiple of 8, so that the deadline lies on one.
    ///
    /// ```text
    /// 24 vtable: 22 bytes, table of 41, nine fields; 6 zeros
    /// 52 InferRequest: → vtable | config | input_names | input_tensors | output_names
    /// 72               deadline_us | model | version | trace_id | priority 0 0 0
    /// ```
    pub fn infer_request_extended(&mut self, request: &InferRequest<'_>) -> InferSlots {
        let field = |place: u16, present: bool| if present { place } else { 0 };
        self.put_u16s(&[22, 41, 4, 8, 12, 16]);
        self.put_u16s(&[
            field(28, !request.model.is_empty()),
            field(32, !request.version.is_empty()),
            field(20, request.deadline_us != 0),
            field(40, request.priority != 0),
            field(36, !request.trace_id.is_empty()),
        ]);
        self.put(&[0; 6]);
        self.fill(Slot(REQ), 52);
        self.put_u32(52 - 24);
        self.put(&[0; 16]);
        self.put(&request.deadline_us.to_le_bytes());
        self.put(&[0; 12]);
        self.put(&[request.priority, 0, 0, 0]);
        InferSlots::at(52)
    }

    /// A `MetadataRequest`, behind its `Request`; one without fields is the one that every GraphPipe client sends.
    pub fn metadata_request(&mut self, model: &[u8], version: &[u8]) {
        if model.is_empty() && version.is_empty() {
            self.fill(Slot(REQ), 28);
            self.put_u16s(&[4, 4]);
            self.put_u32(4);
            return;
        }
        let field = |place: u16, text: &[u8]| if text.is_empty() { 0 } else { place };
        self.fill(Slot(REQ), 32);
        self.put_u16s(&[8, 12, field(4, model), field(8, version)]);
        self.put_u32(8);
        self.put(&[0; 8]);
        for (slot, text) in [(Slot(36), model), (Slot(40), version)] {
            if !text.is_empty() {
                self.string(slot, text);
            }
        }
    }

    /// The root and an `InferResponse` without errors, in 20 bytes; its list of tensors has to follow.
    pub fn infer_response(&mut self) -> Slot {
        self.put_u32(12);
        self.put_u16s(&[6, 8, 4, 0]);
        self.put_u32(8);
        self.put_u32(0);
        Slot(16)
    }

    /// A whole `InferResponse` with no tensor and one error. The `Error` begins on a multiple of 8, and so does its code.
    ///
    /// ```text
    /// 4  vtable: 8 bytes, table of 12, output_tensors at 4, errors at 8
    /// 12 InferResponse: → vtable | → 24 | → 28
    /// 24 no tensors | 28 one error | 32 → 48
    /// 36 vtable: 8 bytes, table of 16, code at 8, message at 4; 4 zeros
    /// 48 Error: → vtable | → 64 | code
    /// ```
    pub fn error_response(&mut self, code: i64, message: &str) {
        self.put_u32(12);
        self.put_u16s(&[8, 12, 4, 8]);
        for word in [8, 24 - 16, 28 - 20, 0, 1, 48 - 32] {
            self.put_u32(word);
        }
        self.put_u16s(&[8, 16, 8, 4]);
        self.put_u32(0);
        self.put_u32(48 - 36);
        self.put_u32(0);
        self.put(&code.to_le_bytes());
        self.string(Slot(52), message.as_bytes());
    }
}

/// Where a `Request` points to its content.
const REQ: u32 = 16;

impl InferSlots {
    /// Of the table at `at`.
    fn at(at: u32) -> InferSlots {
        InferSlots {
            config: Slot(at + 4),
            input_names: Slot(at + 8),
            input_tensors: Slot(at + 12),
            output_names: Slot(at + 16),
            extensions: [Slot(at + 28), Slot(at + 32), Slot(at + 36)],
        }
    }
}

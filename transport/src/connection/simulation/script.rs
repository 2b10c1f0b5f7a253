//! What a simulated client sends, and what it is to get for it: a stream of native frames.

use crate::fake::random::Random;
use crate::fake::samples::{Message, Sample, legacy, stream_ready};
use graphpipe_schema::frame::HEADER_BYTES;
use graphpipe_schema::{Code, DType, metadata};
use std::ops::Range;

/// What one request is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its inputs.
    Echo(Vec<Sample>),
    /// The metadata message.
    Metadata,
    /// An error of one of these codes.
    Error(&'static [Code]),
    /// An HTTP reply with this status, of which nothing else is checked but that its body is there unless it is the
    /// answer to a HEAD.
    Page { status: u16, has_body: bool },
}

/// One reply that is to come.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The frame's id.
    pub id: u64,
    pub answer: Answer,
    /// Whether an HTTP client may get `100 Continue` first.
    pub may_continue: bool,
    /// Whether the server ends the connection behind it.
    pub is_last: bool,
}

/// A client: its bytes, and the replies to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub bytes: Vec<u8>,
    pub expected: Vec<Expected>,
    pub is_http: bool,
}

impl Script {
    pub(super) fn expect(&mut self, answer: Answer) {
        let id = self.expected.len() as u64 * 0x1_0000_0001 + 7;
        self.expected.push(Expected { id, answer, may_continue: false, is_last: false });
    }

    fn frame(&mut self, message: &Message, answer: Answer) {
        self.expect(answer);
        let id = self.expected.last().expect("just pushed").id;
        self.bytes.extend(message.frame(id));
    }
}

/// The limit on messages that the simulated daemon has.
pub(super) const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// A native client of some requests. `with_end` lets it end in a frame that the server refuses and closes after.
pub(super) fn native(random: &mut Random, with_end: bool) -> Script {
    let mut script = Script::default();
    for _ in 0..random.within(1..14) {
        let (message, answer) = request(random);
        script.frame(&message, answer);
    }
    if with_end && random.chance(25) {
        bad_frame(random, &mut script);
    }
    script
}

/// A client that sends nothing but small frames, many of them.
pub(super) fn small_frames(random: &mut Random, count: usize, bytes: Range<usize>) -> Script {
    let mut script = Script::default();
    for _ in 0..count {
        let bytes = random.within(bytes.clone());
        let samples = vec![Sample::any(random, bytes)];
        script.frame(&stream_ready(&samples, false), Answer::Echo(samples));
    }
    script
}

const REFUSED: Answer = Answer::Error(&[Code::UnknownModel]);
const WRONG: Answer = Answer::Error(&[Code::WrongTensor, Code::Malformed]);

/// A message, and what it gets.
pub(super) fn request(random: &mut Random) -> (Message, Answer) {
    let samples = samples(random);
    let (mut message, answer) = match random.within(0..20) {
        0 => (Message { bytes: metadata::metadata_request("", ""), head: 0 }, Answer::Metadata),
        1 => (Message { bytes: metadata::metadata_request("refuse", ""), head: 0 }, REFUSED),
        2 => (stream_ready(&samples, true), REFUSED),
        3 => (legacy(&samples, true), REFUSED),
        4 => (garbage(random), Answer::Error(&[Code::Malformed, Code::WrongTensor])),
        5 => (wrong_length(random), WRONG),
        6 => (wrong_shape(random), WRONG),
        7..=10 => (legacy(&samples, false), Answer::Echo(samples)),
        _ => (stream_ready(&samples, false), Answer::Echo(samples)),
    };
    message.head = match random.within(0..6) {
        0 => 0,
        // A client that is wrong about its head costs itself time, and nothing else.
        1 => random.length(message.bytes.len()) as u32,
        2 => message.bytes.len() as u32,
        _ => message.head,
    };
    (message, answer)
}

fn samples(random: &mut Random) -> Vec<Sample> {
    match random.within(0..10) {
        0..=3 => vec![small(random)],
        4..=6 => vec![large(random)],
        7 => {
            let count = random.within(0..9);
            vec![Sample::strings(random, count, 40)]
        }
        8 => {
            // More text than is kept aside.
            let (count, bytes) = random.pick(&[(40, 8_000), (3, 100_000), (2_000, 60)]);
            vec![Sample::strings(random, count, bytes)]
        }
        _ => (0..random.within(0..5)).map(|_| if random.chance(40) { large(random) } else { small(random) }).collect(),
    }
}

fn small(random: &mut Random) -> Sample {
    let bytes = random.length(1500);
    Sample::any(random, bytes)
}

fn large(random: &mut Random) -> Sample {
    // Around the limit of small frames, around one operation, and in between.
    let bytes = match random.within(0..4) {
        0 => random.within(3_800..5_400),
        1 => random.within(262_000..262_300),
        _ => random.within(5_000..60_000),
    };
    Sample::any(random, bytes)
}

/// Bytes that are no request, in a frame that is one.
fn garbage(random: &mut Random) -> Message {
    let count = if random.chance(50) { random.length(300) } else { random.within(4_000..30_000) };
    let mut bytes = random.bytes(count);
    // A root far behind the end, so that chance cannot make it a request.
    if let Some(root) = bytes.first_chunk_mut::<4>() {
        *root = u32::MAX.to_le_bytes();
    }
    Message { bytes, head: 0 }
}

/// Two inputs, of which the second one's length field is not the one that its shape asks for.
fn wrong_length(random: &mut Random) -> Message {
    let samples = vec![large(random), large(random)];
    let mut message = stream_ready(&samples, false);
    let second = match &samples[1].data {
        crate::fake::samples::Data::Bytes(bytes) => bytes.len(),
        crate::fake::samples::Data::Strings(_) => 0,
    };
    let field = message.bytes.len() - second - 4;
    message.bytes[field] ^= 1 << random.within(0..8);
    message
}

/// One input with more elements than its shape says.
fn wrong_shape(random: &mut Random) -> Message {
    let mut sample = if random.chance(50) { small(random) } else { large(random) };
    sample.dtype = DType::Float64;
    sample.shape = vec![1, 1, 77_777];
    let samples = [sample];
    if random.chance(50) { stream_ready(&samples, false) } else { legacy(&samples, false) }
}

/// A frame after which the server does not know where the next one begins, and bytes behind it.
fn bad_frame(random: &mut Random, script: &mut Script) {
    let is_too_large = random.chance(20);
    script.expect(Answer::Error(if is_too_large { &[Code::TooLarge] } else { &[Code::Malformed] }));
    let last = script.expected.last_mut().expect("just pushed");
    last.is_last = true;
    let id = last.id;
    let mut frame = Message { bytes: Vec::new(), head: 0 }.frame(id);
    if is_too_large {
        frame[4..8].copy_from_slice(&(MESSAGE_BYTES_MAX + 1).to_le_bytes());
    } else if random.chance(30) {
        frame[12] = 1;
    } else {
        match random.within(0..4) {
            0 => {
                // Where no frame begins there is no id.
                frame[2] = b'x';
                last.id = 0;
            }
            1 => frame[13] = 1,
            2 => frame[31] = 1,
            _ => frame[8] = 1,
        }
    }
    assert_eq!(frame.len(), HEADER_BYTES);
    script.bytes.extend(frame);
    let behind = bytes_behind(random);
    script.bytes.extend(behind);
}

/// What a client goes on sending after something for which the server ends the connection.
pub(super) fn bytes_behind(random: &mut Random) -> Vec<u8> {
    // Now and then more than the server is willing to throw away.
    let count = if random.chance(20) { random.within(900_000..1_500_000) } else { random.length(40_000) };
    random.bytes(count)
}

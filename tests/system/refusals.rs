//! What bad input gets over native frames: an error that says what was expected and what came. If the frame was sound, the
//! connection lives; if not, it ends in an orderly way, so that the error can be read.

use crate::support::daemon::root;
use crate::support::native::{frame, message};
use crate::support::{Address, Connection, Daemon, Random, Tensor};
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpipe_schema::{Code, DType};

/// Serves a model with the inputs `a` and `b` of float32 [N, K] and the outputs `sum` and `whole`, one with the input `x` of
/// float32 [2, 3] and the output `y`, and the echo.
fn models() -> Daemon {
    let model = |name: &str| root().join(format!("backends/onnx/tests/models/{name}.onnx")).display().to_string();
    Daemon::start(&["--model", &model("two_by_two"), "--model", &model("fixed"), "--model", "echo=echo:"])
}

/// One wrong request over the native protocol.
struct Wrong {
    what: &'static str,
    model: &'static str,
    inputs: Vec<Tensor>,
    outputs: &'static [&'static str],
    code: Code,
    words: &'static [&'static str],
}

fn wrong_requests() -> Vec<Wrong> {
    use Code::{UnknownModel, UnknownTensor, WrongTensor};
    use DType::{Float32, Float64};
    let of = |name, dtype, shape: &[i64]| Tensor::zeros(name, dtype, shape);
    let good = |name| of(name, Float32, &[2, 3]);
    let x_of = |bytes| Tensor { bytes: vec![0; bytes], ..good("x") };
    let case = |what, model, inputs, outputs, code, words| Wrong { what, model, inputs, outputs, code, words };
    vec![
        case("dtype", "fixed", vec![of("x", Float64, &[2, 3])], &[], WrongTensor, &["x", "float32", "float64"]),
        case("rank", "fixed", vec![of("x", Float32, &[6])], &[], WrongTensor, &["x", "[2, 3]", "[6]"]),
        case("rank 0", "fixed", vec![of("x", Float32, &[])], &[], WrongTensor, &["x", "[2, 3]", "[]"]),
        case("dimension", "fixed", vec![of("x", Float32, &[2, 4])], &[], WrongTensor, &["x", "[2, 3]", "[2, 4]"]),
        case("symbol", "", vec![good("a"), of("b", Float32, &[2, 4])], &[], WrongTensor, &["b", "K", "3", "4"]),
        case("input name", "", vec![good("a"), good("nonsense")], &[], UnknownTensor, &["nonsense", "a", "b"]),
        case("output name", "fixed", vec![good("x")], &["nonsense"], UnknownTensor, &["nonsense", "y"]),
        case("model name", "nobody", vec![good("x")], &[], UnknownModel, &["nobody", "two_by_two", "fixed", "echo"]),
        case("missing input", "", vec![good("a")], &[], UnknownTensor, &["b"]),
        case("no inputs", "", vec![], &[], UnknownTensor, &["a"]),
        case("number of inputs", "fixed", vec![good(""), good("")], &[], UnknownTensor, &["1", "2"]),
        case("input twice", "", vec![good("a"), good("a")], &[], UnknownTensor, &["a"]),
        case("too few bytes", "fixed", vec![x_of(23)], &[], WrongTensor, &["x", "24", "23"]),
        case("too many bytes", "fixed", vec![x_of(28)], &[], WrongTensor, &["x", "24", "28"]),
        case("no bytes", "fixed", vec![x_of(0)], &[], WrongTensor, &["x", "24", "0"]),
    ]
}

/// A request that must be answered whatever happened before.
fn assert_still_serves(connection: &mut Connection, id: u64) {
    let tensor = Tensor::zeros("", DType::Uint16, &[2, 3]);
    connection.send(&frame(id, &message("echo", &[tensor], &[])));
    let reply = connection.reply();
    assert_eq!(reply.header.id, id);
    assert_eq!(reply.outputs()[0].shape, [2, 3]);
}

#[test]
fn a_wrong_request_is_told_what_was_expected_and_what_came_and_the_connection_lives() {
    let daemon = models();
    for address in daemon.addresses() {
        let mut connection = Connection::to(address);
        for (id, wrong) in (100..).zip(wrong_requests()) {
            connection.send(&frame(id, &message(wrong.model, &wrong.inputs, wrong.outputs)));
            let reply = connection.reply();
            assert_eq!(reply.header.id, id, "{}", wrong.what);
            let (code, said) = reply.error();
            assert_eq!(code, wrong.code as i64, "{}: {said}", wrong.what);
            for word in wrong.words {
                assert!(said.contains(word), "{}: {word:?} is not in {said:?}", wrong.what);
            }
            assert_still_serves(&mut connection, id + 1000);
        }
    }
    daemon.stop();
}

#[test]
fn wrong_requests_amid_good_ones_get_each_its_own_answer() {
    let daemon = models();
    let mut connection = Connection::to(&daemon.tcp);
    let (good, bad) = (Tensor::zeros("", DType::Float32, &[2, 3]), Tensor::zeros("", DType::Int8, &[2, 3]));
    let requests: Vec<u8> = (0..200)
        .flat_map(|id| frame(id, &message("fixed", &[if id % 3 == 0 { &bad } else { &good }.clone()], &[])))
        .collect();
    connection.send(&requests);
    let mut seen = [false; 200];
    for _ in 0..200 {
        let reply = connection.reply();
        assert_eq!(reply.header.flags, u32::from(reply.header.id.is_multiple_of(3)));
        assert!(!std::mem::replace(&mut seen[reply.header.id as usize], true), "{} came twice", reply.header.id);
    }
    daemon.stop();
}

#[test]
fn a_sound_frame_with_no_request_in_it_is_told_where_and_the_connection_lives() {
    let daemon = Daemon::echo(&[]);
    let mut random = Random::new();
    let noise = random.bytes(300);
    let mut connection = Connection::to(&daemon.unix);
    let messages: [&[u8]; 6] = [b"", b"abc", &[0; 64], &[0xff; 64], &[4, 0, 0, 0].repeat(16), &noise];
    for (id, content) in (1..).zip(messages) {
        for head in [0, content.len() as u32] {
            connection.send(&frame(id, &(content.to_vec(), head)));
            let reply = connection.reply();
            assert_eq!(reply.header.id, id);
            let (code, said) = reply.error();
            assert_eq!(code, Code::Malformed as i64, "{said}");
            assert!(said.contains("byte"), "{said}");
            assert_still_serves(&mut connection, id + 1000);
        }
    }
    daemon.stop();
}

/// A header with one field overwritten.
fn header_with(at: usize, bytes: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = Header { length: 64, head: 64, flags: 0, id: 9 }.write();
    header[at..at + bytes.len()].copy_from_slice(bytes);
    header
}

#[test]
fn a_frame_that_is_not_sound_is_told_why_and_its_connection_ends() {
    let daemon = Daemon::echo(&["--message-bytes-max", "1M"]);
    let frames = [
        ("magic", header_with(0, b"GPF2"), Code::Malformed, "magic"),
        ("flags", header_with(12, &[2]), Code::Malformed, "flags"),
        ("all flags", header_with(12, &[0xff; 4]), Code::Malformed, "flags"),
        ("reserved word", header_with(24, &[1]), Code::Malformed, "reserved"),
        ("head beyond the length", header_with(8, &[65]), Code::Malformed, "head"),
        ("length over 2 GiB", header_with(4, &[0, 0, 0, 0x80]), Code::TooLarge, "2147483648"),
        ("length over the limit", header_with(4, &[1, 0, 0x10]), Code::TooLarge, "1048577"),
    ];
    for address in daemon.addresses() {
        let mut bystander = Connection::to(address);
        for (id, (what, header, code, word)) in (1..).zip(frames) {
            let mut connection = Connection::to(address);
            assert_still_serves(&mut connection, 1);
            // More than the socket's buffers hold is on its way when the daemon refuses.
            connection.send(&header);
            connection.send(&vec![0; 500_000]);
            let reply = connection.reply();
            let (found, said) = reply.error();
            assert_eq!(found, code as i64, "{what}: {said}");
            assert!(said.contains(word), "{what}: {said}");
            assert!(connection.is_at_its_end(), "{what}: the connection was torn down");
            assert_still_serves(&mut bystander, id);
        }
    }
    daemon.stop();
}

#[test]
fn what_was_asked_before_an_unsound_frame_is_answered() {
    let daemon = Daemon::echo(&[]);
    let mut connection = Connection::to(&daemon.tcp);
    let good = frame(1, &message("", &[Tensor::zeros("", DType::Int32, &[9])], &[]));
    connection.send(&[good.as_slice(), &good, &header_with(12, &[4])].concat());
    assert_eq!(connection.reply().outputs()[0].shape, [9]);
    assert_eq!(connection.reply().outputs()[0].shape, [9]);
    assert_eq!(connection.reply().error().0, Code::Malformed as i64);
    assert!(connection.is_at_its_end());
    daemon.stop();
}

#[test]
fn a_request_over_the_memory_budget_is_told_that_the_daemon_is_busy_and_the_connection_lives() {
    let daemon = Daemon::echo(&["--memory", "4M"]);
    for address in daemon.addresses() {
        let mut connection = Connection::to(address);
        connection.send(&frame(3, &message("", &[Tensor::zeros("", DType::Uint8, &[8 << 20])], &[])));
        let (code, said) = connection.reply().error();
        assert_eq!(code, Code::Busy as i64, "{said}");
        assert!(said.contains("--memory"), "{said}");
        assert_still_serves(&mut connection, 4);
    }
    daemon.stop();
}

#[test]
fn no_byte_of_a_request_can_be_flipped_to_harm_the_next_connection() {
    let daemon = Daemon::echo(&["--message-bytes-max", "1M"]);
    let request = frame(1, &message("echo", &[Tensor::zeros("x", DType::Float32, &[2, 3])], &["output"]));
    for at in 0..request.len() {
        let mut flipped = request.clone();
        flipped[at] ^= 0xff;
        let mut connection = Connection::to(&daemon.unix);
        connection.send(&flipped);
        // Perhaps it now waits for more, so end what can be ended.
        connection.0.shutdown(std::net::Shutdown::Write);
        while !connection.is_at_its_end() {}
    }
    assert_still_serves(&mut Connection::to(&daemon.unix), 2);
    daemon.metrics_until("all memory is back", |metrics| metrics.sum("graphpiped_memory_in_use_bytes") == 0);
    daemon.stop();
}

#[test]
fn noise_harms_nobody() {
    let daemon = Daemon::echo(&["--message-bytes-max", "1M"]);
    let mut random = Random::new();
    let addresses: [Address; 2] = daemon.addresses().map(Clone::clone);
    for index in 0..500 {
        let count = random.below(300) as usize;
        let noise = random.bytes(count);
        let prefix: &[u8] = [&b"GPF1"[..], b"POST / HTTP/1.1\r\n", b""][index % 3];
        let mut connection = Connection::to(&addresses[index % 2]);
        connection.send(&[prefix, &noise].concat());
        connection.0.shutdown(std::net::Shutdown::Write);
        while !connection.is_at_its_end() {}
    }
    assert_still_serves(&mut Connection::to(&daemon.tcp), 2);
    daemon.stop();
}

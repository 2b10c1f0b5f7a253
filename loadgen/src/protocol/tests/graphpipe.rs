//! GraphPipe's messages, and GraphPipe over HTTP.

use super::*;
use crate::signature::{Io, Signature};
use graphpipe_schema::{Code, writer};

fn io(name: &str, dtype: Option<DType>, shape: Option<&[i64]>) -> Io {
    Io { name: name.to_owned(), dtype, shape: shape.map(<[i64]>::to_vec) }
}

#[test]
fn a_request_for_a_model_is_the_golden_one() {
    let input = || tensor("", DType::Int64, &[1], &[0xff; 8]);
    let head = "POST /models/digits HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/octet-stream\r\n\
                Content-Length: 200\r\n\r\n";
    let encoded = dialect(Protocol::GraphpipeHttp, "digits").encode(&[input()], &[]).unwrap();
    assert_eq!(encoded.bytes, [head.as_bytes(), &vector("ours_model")].concat());
    assert_eq!(encoded.id_at, None);
}

#[test]
fn a_message_is_posted_to_the_path_that_was_given_or_the_model_or_the_root() {
    let path = |path: &str, model: &str| {
        let mut dialect = dialect(Protocol::GraphpipeHttp, model);
        dialect.path = path.to_owned();
        let request = dialect.signature_request().unwrap();
        let line = request.split(|&byte| byte == b'\r').next().unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    };
    assert_eq!(path("", ""), "POST / HTTP/1.1");
    assert_eq!(path("", "digits"), "POST /models/digits HTTP/1.1");
    assert_eq!(path("", "a/b c"), "POST /models/a%2Fb%20c HTTP/1.1");
    assert_eq!(path("/other", "digits"), "POST /other HTTP/1.1");
    assert_eq!(path("/a b\r\nX: y", ""), "POST /a%20b%0D%0AX:%20y HTTP/1.1");
}

#[test]
fn names_strings_and_payloads_with_gaps_are_read_back_as_they_were_written() {
    use graphpipe_schema::reader::{Read, Window, read_request};
    let inputs = [
        strings("words", &[2, 2], &[b"foo", b"", b"a\0b", b"ba\xff"]),
        tensor("bytes", DType::Uint8, &[60], &[7; 60]),
        tensor("none", DType::Float64, &[0, 7], &[]),
        tensor("", DType::Int8, &[61], &[8; 61]),
        tensor("flags", DType::Bool, &[3], &[1, 0, 1]),
    ];
    let wanted = ["last".to_owned(), "first".to_owned()];
    let frame = dialect(Protocol::Native, "m").encode(&inputs, &wanted).unwrap().bytes;
    let Ok(Read::Infer(request)) = read_request(Window::whole(&frame[32..])) else { panic!("an inference") };
    assert!(request.is_complete());
    let names: Vec<_> = (0..5).map(|index| request.input_name(index).get().unwrap()).collect();
    assert_eq!(names, [b"words".as_slice(), b"bytes", b"none", b"", b"flags"]);
    let names: Vec<_> = (0..2).map(|index| request.output_name(index).get().unwrap()).collect();
    assert_eq!(names, [b"last".as_slice(), b"first"]);
    for (index, input) in inputs.iter().enumerate() {
        let read = request.input(index).get().unwrap();
        assert_eq!(read.shape().get().unwrap().dims(), input.shape);
        let payload = read.payload().get().unwrap();
        let data = match &input.data {
            Data::Strings(_) => Data::Strings(read.strings().map(<[u8]>::to_vec).collect()),
            Data::Bytes(_) => Data::Bytes(frame[32..][payload.start as usize..payload.end as usize].to_vec()),
        };
        assert_eq!((read.dtype(), &data), (input.dtype, &input.data));
    }
}

#[test]
fn what_a_message_has_no_room_for_is_refused() {
    let inputs: Vec<Tensor> = (0..65).map(|_| tensor("", DType::Uint8, &[1], &[1])).collect();
    let refusal = dialect(Protocol::Native, "").encode(&inputs, &[]).unwrap_err();
    assert!(refusal.starts_with("GraphPipe cannot say this: more than 64 tensors"), "{refusal}");
}

#[test]
fn outputs_are_read_from_messages_of_any_server_and_named_by_the_signature() {
    let signature =
        Signature { outputs: vec![io("sums", None, None), io("words", None, None)], ..Signature::default() };
    let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let reply = only(Protocol::Native, &native::frame(1, 0, &vector("ours_reply")));
    let outputs = dialect(Protocol::Native, "").read_outputs(&signature, &reply.reply()).unwrap();
    let seven = tensor("", DType::Int32, &[], &[7, 0, 0, 0]);
    assert_eq!(outputs, [floats("sums", &[2, 3], &numbers), strings("words", &[1], &[b"seven"]), seven]);

    let reply = only(Protocol::GraphpipeHttp, &response(200, "", &vector("go_reply")));
    let outputs = dialect(Protocol::GraphpipeHttp, "").read_outputs(&signature, &reply.reply()).unwrap();
    assert_eq!(outputs, [floats("sums", &[2, 3], &numbers)]);
}

#[test]
fn outputs_that_are_not_what_their_shape_says_are_refused() {
    let dialect = dialect(Protocol::Native, "");
    let said = |message: &[u8]| {
        let reply = only(Protocol::Native, &native::frame(1, 0, message));
        dialect.read_outputs(&Signature::default(), &reply.reply()).unwrap_err()
    };
    let mut message = vector("go_reply");
    // The first of the two dimensions, 2 and 3, which stand at 60.
    assert_eq!(message[60..76], [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    message[60] = 4;
    assert_eq!(said(&message), "output float32[4,3] takes 48 bytes and has 24");
    assert!(said(b"nonsense").starts_with("the reply is no GraphPipe message: "));
}

#[test]
fn metadata_is_a_signature() {
    for (protocol, bytes) in [
        (Protocol::Native, native::frame(0, 0, &vector("metadata_reply"))),
        (Protocol::GraphpipeHttp, response(200, "", &vector("metadata_reply"))),
    ] {
        let reply = only(protocol, &bytes);
        let signature = dialect(protocol, "").read_signature(&reply.reply()).unwrap();
        let expected = Signature {
            model: "digits".to_owned(),
            server: "graphpiped 0.1.0".to_owned(),
            inputs: vec![io("image", Some(DType::Float32), Some(&[-1, 64]))],
            outputs: vec![io("label", Some(DType::Int64), Some(&[-1])), io("odd", None, None)],
        };
        assert_eq!(signature, expected);
    }
}

#[test]
fn metadata_that_reads_like_an_error_is_still_metadata() {
    let mut metadata = only(Protocol::GraphpipeHttp, &response(200, "", &vector("metadata_reply")));
    metadata.outcome = Outcome::Code(1);
    let signature = dialect(Protocol::GraphpipeHttp, "").read_signature(&metadata.reply()).unwrap();
    assert_eq!(signature.model, "digits");
}

#[test]
fn a_server_that_refuses_to_say_its_signature_is_quoted() {
    let said = |protocol: Protocol, bytes: &[u8]| {
        dialect(protocol, "").read_signature(&only(protocol, bytes).reply()).unwrap_err()
    };
    let error = "error 4: input 'x' is float32[2,3], and the model takes float32[?,4]";
    let error_message = vector("ours_error");
    assert_eq!(said(Protocol::Native, &native::frame(0, 1, &error_message)), error);
    assert_eq!(said(Protocol::GraphpipeHttp, &response(200, "", &error_message)), error);
    let status = response(404, "", b"no model 'x'\n");
    assert_eq!(said(Protocol::GraphpipeHttp, &status), "HTTP status 404: no model 'x'");
}

#[test]
fn an_error_with_status_200_is_a_refusal_whether_or_not_bodies_are_kept() {
    let (good, bad) = (vector("ours_reply"), vector("ours_error"));
    let stream = [response(200, "", &bad), response(200, "", &good)].concat();
    for keep_bodies in [false, true] {
        let (seen, end) = receive(Protocol::GraphpipeHttp, keep_bodies, [stream.as_slice()]);
        assert_eq!(end, Ok(()));
        let seen: Vec<_> = seen.into_iter().map(|seen| (seen.outcome, seen.body)).collect();
        let kept = if keep_bodies { good.clone() } else { Vec::new() };
        assert_eq!(seen, [(Outcome::Code(4), bad.clone()), (Outcome::Outputs, kept)]);
    }
}

#[test]
fn a_body_with_status_200_that_is_no_message_is_a_violation() {
    for keep_bodies in [false, true] {
        for body in [b"<html>nothing to see</html>".to_vec(), vec![0xff; 10_000], Vec::new()] {
            let (seen, end) = receive(Protocol::GraphpipeHttp, keep_bodies, [response(200, "", &body).as_slice()]);
            let violation = end.expect_err(&format!("{seen:?}"));
            assert!(violation.starts_with("status 200 with no GraphPipe message: "), "{violation}");
        }
    }
    // Only who asks for metadata keeps it.
    let metadata = response(200, "", &vector("metadata_reply"));
    assert!(receive(Protocol::GraphpipeHttp, true, [metadata.as_slice()]).1.is_ok());
}

/// An error with a text of so many bytes; ours are shorter. The text is the last part of the message.
fn error_of(length: usize) -> Vec<u8> {
    let mut message = Vec::new();
    writer::error_response(&mut message, Code::Internal, &"e".repeat(100));
    let text = message.windows(4).rposition(|four| four == b"eeee").unwrap() + 4 - 100;
    message[text - 4..text].copy_from_slice(&(length as u32).to_le_bytes());
    message.truncate(text);
    message.resize(text + length, b'e');
    message.push(0);
    message
}

#[test]
fn a_long_error_with_status_200_is_a_refusal_whether_or_not_bodies_are_kept() {
    for length in [100, 4000, 4096, 30_000, 60_000] {
        let message = error_of(length);
        let bytes = response(200, "", &message);
        for (keep_bodies, part) in [(false, 1000), (true, 1000), (false, 100_000)] {
            let (seen, end) = receive(Protocol::GraphpipeHttp, keep_bodies, bytes.chunks(part));
            assert_eq!(end, Ok(()));
            assert_eq!((seen.len(), seen[0].outcome), (1, Outcome::Code(Code::Internal as i64)), "{length}");
            assert_eq!(seen[0].reply().refusal_text(), "e".repeat(length.min(200)));
        }
    }
}

#[test]
fn strings_that_share_their_bytes_do_not_make_more_of_them_than_the_message_has() {
    let long = [b'x'; 1000];
    let mut elements: [&[u8]; 10] = [b""; 10];
    elements[0] = &long;
    let content = writer::Content::Strings(&elements);
    let tensor = writer::Tensor { dtype: DType::String, shape: &[10], content };
    let mut message = Vec::new();
    writer::infer_response(&mut message, &[tensor]).unwrap();
    let read = |message: &[u8]| {
        let reply = only(Protocol::Native, &native::frame(1, 0, message));
        dialect(Protocol::Native, "").read_outputs(&Signature::default(), &reply.reply())
    };
    assert_eq!(read(&message).unwrap()[0].bytes(), 1000);
    // A list of strings is their number and offsets, each from where it stands; all of them get the first one's string.
    let word = |at: usize| message.get(at..at + 4).map(|four| u32::from_le_bytes(four.try_into().unwrap()) as usize);
    let is_list = |at: &usize| word(*at) == Some(10) && word(at + 4).and_then(|to| word(at + 4 + to)) == Some(1000);
    let first = (0..message.len()).find(is_list).unwrap() + 4;
    let string = first + word(first).unwrap();
    for at in (0..10).map(|index| first + 4 * index) {
        message[at..at + 4].copy_from_slice(&((string - at) as u32).to_le_bytes());
    }
    let refusal = read(&message).unwrap_err();
    assert_eq!(refusal, "output 0 of the reply shares its bytes with others, and has more than the message");
}

#[test]
fn names_and_errors_of_a_server_are_short_and_do_not_write_to_the_terminal() {
    let oip = dialect(Protocol::OipJson, "m");
    let reply = |json: &str| only(Protocol::OipJson, &response(200, "", json.as_bytes()));
    let metadata = r#"{"name":"m\u001b[2J","inputs":[{"name":"a\nb","datatype":"FP32","shape":[1]}]}"#;
    let signature = oip.read_signature(&reply(metadata).reply()).unwrap();
    assert_eq!((signature.model.as_str(), signature.inputs[0].name.as_str()), ("m\u{fffd}[2J", "a b"));
    let long = format!(r#"{{"name":"m","inputs":"{}"}}"#, "x".repeat(5000));
    assert!(oip.read_signature(&reply(&long).reply()).unwrap_err().len() < 700);
    let wrong = r#"{"outputs":[{"name":"o\u0007","datatype":"X","shape":[1],"data":[1]}]}"#;
    let refusal = oip.read_outputs(&Signature::default(), &reply(wrong).reply()).unwrap_err();
    assert_eq!(refusal, "output 'o\u{fffd}' of the reply: unknown datatype \"X\"");
}

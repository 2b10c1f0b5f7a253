//! Streams of replies in any parts: what is found does not depend on how it arrives, and no bytes can do worse than to
//! be a violation.

use super::*;
use proptest::prelude::*;

/// Replies with what they are to be found as.
#[derive(Clone, Debug)]
struct Stream {
    bytes: Vec<u8>,
    seen: Vec<Seen>,
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    // 4 KiB and 64 KiB are where bodies cease to be kept; longer ones are made of few random bytes.
    let long = (prop::collection::vec(any::<u8>(), 1..50), 0..3000_usize).prop_map(|(part, times)| part.repeat(times));
    prop_oneof![3 => prop::collection::vec(any::<u8>(), 0..200), 1 => long]
}

/// Frames with outputs, which may be any bytes, and errors.
fn any_frames() -> impl Strategy<Value = Stream> {
    let frame = (any::<u64>(), prop::option::weighted(0.7, any_body())).prop_map(|(id, body)| {
        let (flags, outcome) = if body.is_some() { (0, Outcome::Outputs) } else { (1, Outcome::Code(4)) };
        let body = body.unwrap_or_else(|| vector("ours_error"));
        let bytes = native::frame(id, flags, &body);
        (bytes, Seen { id: Some(id), outcome, closes: false, json_bytes: None, body })
    });
    stream(frame)
}

/// A body in chunks of these sizes, over and over.
fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut sizes = sizes.iter().cycle();
    let mut rest = body;
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(*sizes.next().expect("at least one")));
        bytes.extend_from_slice(format!("{:x};n=v\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        rest = behind;
    }
    bytes.extend_from_slice(b"0\r\nTrailer: t\r\n\r\n");
    bytes
}

/// Responses of every framing but the last one's, the end of the connection.
fn any_responses() -> impl Strategy<Value = Stream> {
    let status = prop_oneof![3 => Just(200_u16), 1 => 201..600_u16];
    let chunks = prop::option::of(prop::collection::vec(1..5000_usize, 1..5));
    let head = (any::<bool>(), any::<bool>(), prop::option::of(0..1000_usize));
    let response =
        (status, any_body(), chunks, head).prop_map(|(status, mut body, chunks, (interim, closes, json))| {
            if status == 204 || status == 304 {
                body.clear();
            }
            if status == 200 {
                // What begins otherwise is no JSON.
                body.insert(0, b'{');
            }
            let interim = if interim { "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" } else { "" };
            let connection = if closes { "connection: x, Close\r\n" } else { "" };
            let json_bytes = json.map_or(String::new(), |json| format!("Inference-Header-Content-Length: {json}\r\n"));
            let (framing, framed) = match &chunks {
                Some(sizes) if status != 204 && status != 304 => {
                    ("Transfer-Encoding: chunked".to_owned(), chunked(&body, sizes))
                }
                _ => (format!("Content-Length: {}", body.len()), body.clone()),
            };
            let head = format!("{interim}HTTP/1.1 {status} Reason\r\n{connection}{json_bytes}{framing}\r\n\r\n");
            let bytes = [head.as_bytes(), &framed].concat();
            let outcome = if status == 200 { Outcome::Outputs } else { Outcome::Status(status) };
            if outcome != Outcome::Outputs {
                body.truncate(65536);
            }
            (bytes, Seen { id: None, outcome, closes, json_bytes: json, body })
        });
    stream(response)
}

fn stream(reply: impl Strategy<Value = (Vec<u8>, Seen)>) -> impl Strategy<Value = Stream> {
    prop::collection::vec(reply, 0..5).prop_map(|replies| {
        let (bytes, seen): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
        Stream { bytes: bytes.concat(), seen }
    })
}

/// Cuts bytes into parts of these sizes, over and over.
fn cut<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (part, rest) = bytes.split_at(bytes.len().min(*sizes.next().expect("at least one")));
        parts.push(part);
        bytes = rest;
    }
    parts
}

fn any_sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        1 => Just(vec![1]),
        3 => prop::collection::vec(1..40_usize, 1..8),
        3 => prop::collection::vec(1..5000_usize, 1..8),
    ]
}

fn assert_found(protocol: Protocol, stream: &Stream, sizes: &[usize]) {
    for keep_bodies in [false, true] {
        let mut expected = stream.seen.clone();
        for seen in &mut expected {
            if seen.outcome == Outcome::Outputs && !keep_bodies {
                seen.body.clear();
            }
        }
        let found = receive(protocol, keep_bodies, cut(&stream.bytes, sizes));
        assert_eq!(found, (expected, Ok(())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn frames_in_any_parts_are_the_same_replies(stream in any_frames(), sizes in any_sizes()) {
        assert_found(Protocol::Native, &stream, &sizes);
    }

    #[test]
    fn responses_in_any_parts_are_the_same_replies(stream in any_responses(), sizes in any_sizes()) {
        assert_found(Protocol::OipBinary, &stream, &sizes);
    }

    #[test]
    fn errors_with_status_200_are_found_in_any_parts(
        sizes in any_sizes(),
        keep_bodies in any::<bool>(),
        chunks in 1..200_usize,
    ) {
        let error = vector("ours_error");
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = [head.as_slice(), &chunked(&error, &[chunks]), &response(200, "", &error)].concat();
        let (seen, end) = receive(Protocol::GraphpipeHttp, keep_bodies, cut(&bytes, &sizes));
        prop_assert_eq!(end, Ok(()));
        let seen: Vec<_> = seen.into_iter().map(|seen| (seen.outcome, seen.body)).collect();
        prop_assert_eq!(seen, vec![(Outcome::Code(4), error); 2]);
    }

    #[test]
    fn any_bytes_are_replies_or_a_violation(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in prop::sample::select(vec![
            "",
            "GPF1",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]),
        sizes in any_sizes(),
    ) {
        survives(&[start.as_bytes(), &bytes].concat(), &sizes);
    }

    #[test]
    fn replies_with_wrong_bytes_are_replies_or_a_violation(
        frames in any_frames(),
        responses in any_responses(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        sizes in any_sizes(),
    ) {
        for mut bytes in [frames.bytes, responses.bytes] {
            for (index, byte) in &wrong {
                if !bytes.is_empty() {
                    let index = index.index(bytes.len());
                    bytes[index] = *byte;
                }
            }
            survives(&bytes, &sizes);
        }
    }

    #[test]
    fn any_body_is_outputs_and_a_signature_or_a_sentence(
        body in any_json(),
        json_bytes in prop_oneof![Just(None), Just(Some(93)), (0..200_usize).prop_map(Some)],
    ) {
        let seen = Seen { id: None, outcome: Outcome::Outputs, closes: false, json_bytes, body };
        read_all(&seen);
    }
}

/// Bytes that are more often than not the JSON of a reply with something wrong in it.
fn any_json() -> impl Strategy<Value = Vec<u8>> {
    let replies = [
        r#"{"outputs":[{"name":"o","datatype":"FP32","shape":[2],"data":[1,2.5]}]}"#,
        // The JSON of this one has 93 bytes, and 5 are behind it.
        concat!(
            r#"{"outputs":[{"name":"o","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}"#,
            "\x01\0\0\0a"
        ),
        r#"{"outputs":{"a":[[1,2],[3,4]],"b":{"b64":"//4="}}}"#,
        r#"{"name":"m","inputs":[{"name":"a","datatype":"FP32","shape":["-1",2]}]}"#,
        r#"{"metadata":{"signature_def":{"signature_def":{"serving_default":{"inputs":{"a":{"dtype":"DT_FLOAT",
            "tensor_shape":{"dim":[{"size":"1"}]}}}}}}}}"#,
    ];
    let mutated = (
        prop::sample::select(replies.to_vec()),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    );
    let mutated = mutated.prop_map(|(reply, wrong)| {
        let mut bytes = reply.as_bytes().to_vec();
        for (index, byte) in wrong {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..100), 4 => mutated]
}

/// Receives bytes as replies of every protocol, and reads what is found as all that it might be.
fn survives(bytes: &[u8], sizes: &[usize]) {
    for &protocol in Protocol::value_variants() {
        for keep_bodies in [false, true] {
            let (seen, _) = receive(protocol, keep_bodies, cut(bytes, sizes));
            seen.iter().for_each(read_all);
        }
    }
}

fn read_all(seen: &Seen) {
    for &protocol in Protocol::value_variants() {
        let reply = seen.reply();
        assert!(reply.refusal_text().chars().count() <= 200);
        let dialect = dialect(protocol, "m");
        if let Ok(signature) = dialect.read_signature(&reply) {
            assert!(!signature.to_string().is_empty());
        }
        if let Ok(outputs) = dialect.read_outputs(&crate::signature::Signature::default(), &reply) {
            assert!(outputs.iter().all(|output| super::super::check(output).is_ok()));
        }
    }
}

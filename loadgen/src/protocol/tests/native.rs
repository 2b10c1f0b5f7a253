//! Native frames.

use super::*;

#[test]
fn a_request_is_a_header_and_the_golden_message() {
    // float32 1 to 6 for the default model: 216 bytes, of which the first 192 are the head; the vector's id is 7.
    let input = floats("", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let encoded = dialect(Protocol::Native, "").encode(&[input], &[]).unwrap();
    assert_eq!(encoded.id_at, Some(16));
    let mut bytes = encoded.bytes;
    bytes[16..24].copy_from_slice(&7_u64.to_le_bytes());
    assert_eq!(bytes, [vector("frame_request"), vector("ours_f32")].concat());
}

#[test]
fn the_metadata_request_is_the_golden_one_in_a_frame() {
    let mut expected = b"GPF1".to_vec();
    expected.extend([32, 0, 0, 0, 32, 0, 0, 0]);
    expected.extend([0; 20]);
    expected.extend(vector("python_metadata"));
    assert_eq!(dialect(Protocol::Native, "").signature_request(), Some(expected));
    let named = dialect(Protocol::Native, "digits").signature_request().unwrap();
    assert!(named.windows(6).any(|window| window == b"digits"));
}

/// A frame of a server.
pub fn frame(id: u64, flags: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = b"GPF1".to_vec();
    frame.extend((message.len() as u32).to_le_bytes());
    frame.extend([0, 0, 0, 0, flags, 0, 0, 0]);
    frame.extend(id.to_le_bytes());
    frame.extend([0; 8]);
    frame.extend(message);
    frame
}

#[test]
fn replies_are_told_by_their_ids_and_kept_only_if_wanted_or_refusals() {
    let (good, bad) = (vector("ours_reply"), vector("ours_error"));
    let stream = [frame(9, 0, &good), frame(3, 1, &bad), frame(u64::MAX, 0, b"")].concat();
    for keep_bodies in [false, true] {
        let (seen, end) = receive(Protocol::Native, keep_bodies, [stream.as_slice()]);
        assert_eq!(end, Ok(()));
        let seen: Vec<_> = seen.iter().map(|seen| (seen.id, seen.outcome, &*seen.body)).collect();
        let kept: &[u8] = if keep_bodies { &good } else { b"" };
        let expected = [
            (Some(9), Outcome::Outputs, kept),
            (Some(3), Outcome::Code(4), &bad),
            (Some(u64::MAX), Outcome::Outputs, b""),
        ];
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_is_no_frame_is_named_by_what_it_looks_like() {
    let said = |bytes: &[u8]| violation(Protocol::Native, bytes);
    assert_eq!(said(b"HTTP"), "not a native frame: bytes 0-3 are \"HTTP\": this is HTTP");
    assert_eq!(said(b"HTTP/1.1 400 Bad"), "not a native frame: bytes 0-3 are \"HTTP\": this is HTTP");
    assert_eq!(said(b"\x15\x03\x03\0\x02\x02"), "not a native frame: bytes 0-3 are 15 03 03 00: this is TLS");
    assert_eq!(said(&[7; 40]), "not a native frame: bytes 0-3 are 07 07 07 07");
    assert_eq!(said(&frame(0, 4, b"")), "not a native frame: flags (bytes 12-15) are 0x4; only bit 0 is defined");
}

#[test]
fn a_server_that_closes_within_a_reply_is_told_from_one_that_closes_between_two() {
    let bytes = frame(1, 0, &vector("ours_reply"));
    let said = |count: usize| receive(Protocol::Native, false, [&bytes[..count]]).1;
    assert_eq!(said(0), Ok(()));
    let within = "the server closed in the middle of a frame's header, after 5 of 32 bytes: 47 50 46 31 04: this is a \
                  native frame";
    assert_eq!(said(5), Err(within.to_owned()));
    let within = "the server closed in the middle of a reply, after 68 of 260 bytes of its message";
    assert_eq!(said(100), Err(within.to_owned()));
    assert_eq!(said(bytes.len()), Ok(()));
}

#[test]
fn an_error_that_is_none_or_is_too_long_is_a_violation() {
    let none = "a frame says that it carries an error, and carries none";
    assert_eq!(violation(Protocol::Native, &frame(1, 1, &vector("ours_reply"))), none);
    assert_eq!(violation(Protocol::Native, &frame(1, 1, b"junk")), none);
    let long = "an error of 65537 bytes; 65536 are the most";
    assert_eq!(violation(Protocol::Native, &frame(1, 1, &vec![0; 65537])), long);
}

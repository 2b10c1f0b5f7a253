//! Refusals in words.

use super::*;

/// The text of a refusal with this body.
fn text(body: &[u8]) -> String {
    only(Protocol::OipJson, &response(500, "", body)).reply().refusal_text()
}

#[test]
fn a_refusal_is_what_the_server_says_of_it() {
    assert_eq!(text(br#"{"error": "no such model"}"#), "no such model");
    assert_eq!(text(br#"{"detail":"Internal \u00e9rror","x":[1]}"#), "Internal érror");
    assert_eq!(text(br#"{"error":"first\nsecond"}"#), "first second");
    assert_eq!(text(b"busy: 64 requests wait\n"), "busy: 64 requests wait");
    assert_eq!(text(b"\r\n\r\n  <html>\r\n<body>"), "<html>");
    assert_eq!(text(b""), "");
    // What has another form is shown as it is.
    assert_eq!(text(br#"{"error":{"code":5}}"#), r#"{"error":{"code":5}}"#);
    assert_eq!(text(br#"{"error":"cut"#), r#"{"error":"cut"#);
    assert_eq!(text(br#"{"other":1}"#), r#"{"other":1}"#);
    let error = native::frame(1, 1, &vector("ours_error"));
    let said = only(Protocol::Native, &error).reply().refusal_text();
    assert_eq!(said, "input 'x' is float32[2,3], and the model takes float32[?,4]");
    let outputs = only(Protocol::OipJson, &response(200, "", b"{}"));
    assert_eq!(outputs.reply().refusal_text(), "");
}

#[test]
fn a_refusal_is_short_and_does_not_write_to_the_terminal() {
    assert_eq!(text("é".repeat(1000).as_bytes()), "é".repeat(200));
    assert_eq!(text(b"a\x1b[2Jb\tc\x07\xc2\x9bd\xff"), "a\u{fffd}[2Jb c\u{fffd}\u{fffd}d\u{fffd}");
    assert_eq!(text(br#"{"error":"\u001b]0;title"}"#), "\u{fffd}]0;title");
}

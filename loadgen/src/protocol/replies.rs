//! Replies of any protocol, found in the bytes of one connection. The two ways in which they can be framed are
//! elsewhere.

use super::http::{Content, Responses};
use super::native::Frames;
use super::{Protocol, Reply, Violation};

/// Finds the replies in the bytes of one connection.
#[derive(Debug)]
pub struct Replies(Wire);

/// How replies are framed.
#[derive(Debug)]
enum Wire {
    Native(Frames),
    Http(Responses),
}

impl Replies {
    /// Before the first byte. Bodies of outputs are there to be read only if they are to be kept.
    pub(super) fn new(protocol: Protocol, keep_bodies: bool) -> Replies {
        Replies(match protocol {
            Protocol::Native => Wire::Native(Frames::new(keep_bodies)),
            Protocol::GraphpipeHttp => Wire::Http(Responses::new(keep_bodies, Content::Message)),
            Protocol::OipJson | Protocol::OipBinary | Protocol::TfsJson => {
                Wire::Http(Responses::new(keep_bodies, Content::Json))
            }
            Protocol::Raw => Wire::Http(Responses::new(keep_bodies, Content::Any)),
        })
    }

    /// Takes bytes off the front of `received` up to the end of the next reply, or all of them if it does not end
    /// there. To be called again until nothing is left.
    pub fn next(&mut self, received: &mut &[u8]) -> Result<Option<Reply<'_>>, Violation> {
        match &mut self.0 {
            Wire::Native(frames) => frames.next(received),
            Wire::Http(responses) => responses.next(received),
        }
    }

    /// The peer has closed its sending side. An HTTP body without a length ends here.
    pub fn end(&mut self) -> Result<Option<Reply<'_>>, Violation> {
        match &mut self.0 {
            Wire::Native(frames) => frames.end().map(|()| None),
            Wire::Http(responses) => responses.end(),
        }
    }
}

/// The first bytes of something unexpected, as text if they are text, and what they look like.
pub(super) fn looks(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(16)];
    let text = shown.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic());
    let mut words = if text {
        format!("\"{}\"", String::from_utf8_lossy(shown))
    } else {
        let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        hex.join(" ")
    };
    let guess = match bytes {
        [b'H', b'T', b'T', b'P', ..] => ": this is HTTP",
        [b'G', b'P', b'F', b'1', ..] => ": this is a native frame",
        // An alert, or a handshake, of any version of TLS.
        [0x15 | 0x16, 3, ..] => ": this is TLS",
        // The settings that a server of HTTP/2 begins with: a length of 3 bytes, and the type 4.
        [0, 0, _, 4, ..] => ": this may be HTTP/2",
        _ => "",
    };
    words.push_str(guess);
    words
}

//! Refusals in words. A server's text goes to a terminal and into files, so it is short, on one line, and without
//! control characters.

use super::{Outcome, Reply, graphpipe, printable};
use serde::Deserialize;
use std::borrow::Cow;

/// The most characters of a server's text.
const TEXT_CHARS_MAX: usize = 200;

impl Reply<'_> {
    /// What the server says of its refusal, on one line of at most 200 characters: GraphPipe's message, the `error` of
    /// a JSON object, or the first line that is not empty. Empty if it says nothing, or if this is no refusal.
    pub fn refusal_text(&self) -> String {
        let text = match self.outcome {
            Outcome::Outputs => Cow::Borrowed(""),
            Outcome::Code(_) => match graphpipe::error(self.body) {
                Some((_, text)) => String::from_utf8_lossy(text),
                None => Cow::Borrowed(""),
            },
            Outcome::Status(_) => status_text(self.body),
        };
        printable(text.trim(), TEXT_CHARS_MAX)
    }

    /// The refusal in words, with its number; `None` if this is none.
    pub(super) fn refusal(&self) -> Option<String> {
        let text = self.refusal_text();
        let colon = if text.is_empty() { "" } else { ": " };
        match self.outcome {
            Outcome::Outputs => None,
            Outcome::Code(code) => Some(format!("error {code}{colon}{text}")),
            Outcome::Status(status) => Some(format!("HTTP status {status}{colon}{text}")),
        }
    }
}

/// The keys under which servers say what is wrong: that of the two protocols, and that of Python's frameworks.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Option<Cow<'a, str>>,
}

fn status_text(body: &[u8]) -> Cow<'_, str> {
    // What is no such object, or not all there, is shown as it is.
    if let Ok(Said { error, detail }) = serde_json::from_slice(body)
        && let Some(text) = error.or(detail)
    {
        return text;
    }
    let line = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    String::from_utf8_lossy(line.unwrap_or_default())
}

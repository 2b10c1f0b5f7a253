//! Where a server listens, in the syntax of the daemon's `--listen`: `tcp://HOST:PORT` (the scheme may be left out) or
//! `unix:PATH`. What only a listener can use, behind a `?` after a path, is left out, so that one text serves both.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host, by name or number, and a port: `127.0.0.1:9000`, `[::1]:9000`, `box.lan:9000`.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: write tcp://HOST:PORT or unix:PATH")]
pub struct BadAddress {
    /// The text.
    pub text: String,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Address, BadAddress> {
        let address = if let Some(rest) = text.strip_prefix("unix:") {
            let (path, _) = rest.split_once('?').unwrap_or((rest, ""));
            (!path.is_empty()).then(|| Address::Unix(path.into()))
        } else {
            let host = text.strip_prefix("tcp://").unwrap_or(text);
            let (name, port) = host.rsplit_once(':').unwrap_or_default();
            let is_host = !name.is_empty() && !name.contains('/') && port.parse::<u16>().is_ok();
            is_host.then(|| Address::Tcp(host.to_owned()))
        };
        address.ok_or_else(|| BadAddress { text: text.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host) => write!(f, "tcp://{host}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_written_alike() {
        for text in ["tcp://127.0.0.1:9000", "tcp://[::1]:0", "tcp://box.lan:65535", "unix:/run/x.sock", "unix:x"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_scheme_of_tcp_may_be_left_out() {
        assert_eq!("127.0.0.1:9000".parse(), Ok(Address::Tcp("127.0.0.1:9000".to_owned())));
    }

    #[test]
    fn the_mode_of_a_listener_is_left_out() {
        let address = "unix:/run/x.sock?mode=0660".parse::<Address>().unwrap();
        assert_eq!(address, Address::Unix("/run/x.sock".into()));
        assert!("unix:?mode=0660".parse::<Address>().is_err());
    }

    #[test]
    fn what_is_neither_is_refused_with_the_syntax() {
        for text in ["", "nonsense", "tcp://", "tcp://:1", "tcp://box", "tcp://box:65536", "unix:", "http://a:1"] {
            let refused = text.parse::<Address>().unwrap_err();
            assert_eq!(refused.to_string(), format!("{text:?} is not an address: write tcp://HOST:PORT or unix:PATH"));
        }
    }
}

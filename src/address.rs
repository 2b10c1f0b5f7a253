//! Where to listen, as people write it: `tcp://HOST:PORT` and `unix:PATH[?mode=0660]`.
//!
//! Only words are looked at here; names are resolved and sockets are made in [`listen`](crate::listen).

use serde::Deserialize;
use std::fmt::{Display, Formatter};
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// TCP, at the first address that the host has.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 = the system chooses.
        port: u16,
    },
    /// A Unix stream socket.
    Unix {
        /// Where it lies.
        path: PathBuf,
        /// The permissions of its file.
        mode: u32,
    },
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return unix(rest).map_err(|why| format!("address \"{text}\": {why}"));
        }
        // GraphPipe's servers took HOST:PORT without a scheme.
        let rest = text.strip_prefix("tcp://").unwrap_or(text);
        tcp(rest).map_err(|why| format!("address \"{text}\": {why}"))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        text.parse()
    }
}

/// As it can be parsed again.
impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Address::Unix { path, mode: MODE_DEFAULT } => write!(f, "unix:{}", path.display()),
            Address::Unix { path, mode } => write!(f, "unix:{}?mode={mode:04o}", path.display()),
        }
    }
}

/// The owner alone: whoever may connect may use the models and their memory.
pub const MODE_DEFAULT: u32 = 0o600;

fn tcp(rest: &str) -> Result<Address, String> {
    if rest.contains("://") {
        return Err("the schemes are tcp://HOST:PORT and unix:PATH".into());
    }
    let (host, port) = rest.rsplit_once(':').ok_or("a port is missing; write tcp://HOST:PORT or unix:PATH")?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or("a closing bracket is missing")?,
        None if host.contains(':') => return Err("an IPv6 address stands in brackets: tcp://[::1]:9000".into()),
        None => host,
    };
    if host.is_empty() {
        return Err("a host is missing; tcp://0.0.0.0:PORT is every IPv4 interface, tcp://[::]:PORT every one".into());
    }
    let port = port.parse().map_err(|_| format!("\"{port}\" is not a port (0 to 65535)"))?;
    Ok(Address::Tcp { host: host.to_string(), port })
}

fn unix(rest: &str) -> Result<Address, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err("a path is missing; write unix:PATH".into());
    }
    let mut mode = MODE_DEFAULT;
    for option in query.split('&').filter(|option| !option.is_empty()) {
        mode = match option.split_once('=') {
            Some(("mode", digits)) => mode_of(digits)?,
            _ => return Err(format!("\"{option}\" is not an option; mode=0660 is")),
        };
    }
    Ok(Address::Unix { path: path.into(), mode })
}

fn mode_of(digits: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| format!("mode \"{digits}\" is not a number between 0000 and 0777 in base 8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        text.parse()
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn tcp_addresses_have_a_host_and_a_port() {
        assert_eq!(parse("tcp://127.0.0.1:9000"), Ok(tcp("127.0.0.1", 9000)));
        assert_eq!(parse("tcp://[::1]:0"), Ok(tcp("::1", 0)));
        assert_eq!(parse("localhost:9000"), Ok(tcp("localhost", 9000)));
    }

    #[test]
    fn unix_addresses_have_a_path_and_perhaps_a_mode() {
        assert_eq!(parse("unix:/run/g.sock"), Ok(Address::Unix { path: "/run/g.sock".into(), mode: 0o600 }));
        assert_eq!(parse("unix:g.sock?mode=0660"), Ok(Address::Unix { path: "g.sock".into(), mode: 0o660 }));
    }

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in ["tcp://[::1]:9000", "tcp://localhost:1", "unix:/run/g.sock", "unix:/g?mode=0666"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let wrong = |text: &str, why: &str| {
            let message = parse(text).expect_err(text);
            assert!(message.contains(text) && message.contains(why), "{message}");
        };
        wrong("tcp://localhost", "a port is missing");
        wrong("tcp://:9000", "a host is missing");
        wrong("tcp://localhost:66000", "not a port");
        wrong("tcp://::1:9000", "in brackets");
        wrong("tcp://[::1:9000", "closing bracket");
        wrong("http://localhost:9000", "the schemes are");
        wrong("unix:", "a path is missing");
        wrong("unix:/g?mode=0999", "base 8");
        wrong("unix:/g?mode=7777", "between 0000 and 0777");
        wrong("unix:/g?owner=me", "not an option");
    }
}

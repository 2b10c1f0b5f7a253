//! Whom to ask: the TARGET of the command line as an address to connect to, and what HTTP wants to know besides.

use crate::protocol::Protocol;
use graphpipe_client::Address;
use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// How long one of several addresses has to accept a connection before the next one is tried.
const LISTENS_WITHIN: Duration = Duration::from_secs(1);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A TARGET that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// The `Host` of HTTP.
    pub host: String,
    /// The path of a URL; empty if there was none, or only `/`.
    pub path: String,
    /// What the scheme suggests to speak.
    pub protocol: Protocol,
}

impl Target {
    /// Reads `tcp://HOST:PORT`, `unix:PATH` and `http://HOST[:PORT][/PATH]`. Names are looked up now, so that no lookup is
    /// part of a measurement. The error is a sentence.
    pub fn parse(text: &str) -> Result<Target, String> {
        if let Some(rest) = text.strip_prefix("http://") {
            let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
            let endpoint = Endpoint::Tcp(look_up(&with_port, text)?);
            let path = if path == "/" { "" } else { path };
            if path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
                return Err(format!("{text:?} has a space or control character in its path; write it as %20"));
            }
            return Ok(Target { endpoint, host: host.into(), path: path.into(), protocol: Protocol::GraphpipeHttp });
        }
        let with_scheme = text.starts_with("tcp://") || text.starts_with("unix:");
        let address = text.parse::<Address>().ok().filter(|_| with_scheme);
        let (endpoint, host) = match address {
            Some(Address::Unix(path)) => (Endpoint::Unix(path), "localhost".to_owned()),
            Some(Address::Tcp(host)) => (Endpoint::Tcp(look_up(&host, text)?), host),
            None => {
                return Err(format!(
                    "{text:?} is not a target; write tcp://HOST:PORT, unix:PATH or http://HOST:PORT[/PATH]"
                ));
            }
        };
        Ok(Target { endpoint, host, path: String::new(), protocol: Protocol::Native })
    }
}

/// The first address of a name at which somebody listens, or the first one: `localhost` often means ::1 as well.
fn look_up(host: &str, text: &str) -> Result<SocketAddr, String> {
    let found = host.to_socket_addrs().map_err(|error| format!("{text:?}: cannot find {host}: {error}"))?;
    let all: Vec<SocketAddr> = found.collect();
    let listens = |address: &&SocketAddr| TcpStream::connect_timeout(address, LISTENS_WITHIN).is_ok();
    let several = all.get(1).is_some();
    let heard = several.then(|| all.iter().find(listens)).flatten();
    heard.or(all.first()).copied().ok_or_else(|| format!("{text:?}: {host} has no address"))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "tcp://{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_protocol_and_its_parts() {
        let native = Target::parse("tcp://127.0.0.1:9000").unwrap();
        assert_eq!(native.endpoint, Endpoint::Tcp("127.0.0.1:9000".parse().unwrap()));
        assert_eq!(native.protocol, Protocol::Native);

        let unix = Target::parse("unix:/run/x.sock?mode=0660").unwrap();
        assert_eq!(unix.endpoint, Endpoint::Unix("/run/x.sock".into()));

        let http = Target::parse("http://127.0.0.1/v1/models/m:predict").unwrap();
        assert_eq!(http.endpoint, Endpoint::Tcp("127.0.0.1:80".parse().unwrap()));
        assert_eq!((http.host.as_str(), http.path.as_str()), ("127.0.0.1", "/v1/models/m:predict"));
        assert_eq!(http.protocol, Protocol::GraphpipeHttp);
        assert_eq!(Target::parse("http://[::1]:81/").unwrap().path, "");
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_would_be_one() {
        for text in ["", "127.0.0.1:9000", "https://127.0.0.1", "unix:", "tcp://127.0.0.1", "http://127.0.0.1/a b"] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}

//! Real sockets: TCP on the loopback interface with port 0, Unix sockets in folders of their own.

use super::*;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn at(path: &Path) -> Address {
    Address::Unix { path: path.to_path_buf(), mode: 0o600 }
}

#[test]
fn the_port_that_the_system_chose_is_told() {
    let listening = Listening::new(&address("tcp://127.0.0.1:0")).unwrap();
    let Address::Tcp { host, port } = &listening.address else { panic!("{:?}", listening.address) };
    assert_ne!(*port, 0);
    TcpStream::connect((host.as_str(), *port)).unwrap();
    assert_eq!(listening.listener().unwrap().kind, ListenerKind::Tcp);
}

#[test]
fn a_tcp_port_is_not_shared() {
    let first = Listening::new(&address("tcp://127.0.0.1:0")).unwrap();
    let message = Listening::new(&first.address).unwrap_err();
    assert_eq!(
        message,
        format!(
            "cannot listen on {}: the port is in use; stop the other program, or choose another port",
            first.address
        )
    );
}

#[test]
fn an_address_that_the_machine_does_not_have_is_named() {
    // TEST-NET-1, which no machine has (RFC 5737).
    let message = Listening::new(&address("tcp://192.0.2.1:0")).unwrap_err();
    assert_eq!(message, "cannot listen on tcp://192.0.2.1:0: this machine has no address 192.0.2.1");
}

#[test]
fn a_unix_socket_has_its_mode_and_is_gone_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    let listening = Listening::new(&Address::Unix { path: path.clone(), mode: 0o660 }).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o660);
    UnixStream::connect(&path).unwrap();
    drop(listening);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused, "it is stale");
    let _listening = Listening::new(&at(&path)).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_socket_that_somebody_listens_on_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    let _other = UnixListener::bind(&path).unwrap();
    let message = Listening::new(&at(&path)).unwrap_err();
    assert!(
        message.ends_with("the path is in use: somebody listens there; stop the other program, or choose another path"),
        "{message}"
    );
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_file_that_is_not_a_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    std::fs::write(&path, "precious").unwrap();
    assert!(Listening::new(&at(&path)).unwrap_err().contains("a file that is not a socket"));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_socket_that_took_our_place_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    let listening = Listening::new(&at(&path)).unwrap();
    // Renamed, so that the inode of the other one cannot be ours come back.
    let other = folder.path().join("other.sock");
    let _other = UnixListener::bind(&other).unwrap();
    std::fs::rename(&other, &path).unwrap();
    drop(listening);
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_path_that_cannot_be_is_refused() {
    let long = format!("unix:/tmp/{}", "x".repeat(120));
    assert!(Listening::new(&address(&long)).unwrap_err().contains("too long for a Unix socket"));
    let message = Listening::new(&address("unix:/nowhere/at/all/g.sock")).unwrap_err();
    assert!(message.contains("/nowhere/at/all"), "{message}");
}

#[test]
fn whoever_replaces_sockets_in_a_folder_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    let turn = Turn::take(folder.path()).unwrap();
    assert!(Listening::new(&at(&path)).unwrap_err().contains("another program holds a lock on"));
    drop(turn);
    Listening::new(&at(&path)).unwrap();
}

/// Many at once: exactly one gets the stale socket's place, and it still has it in the end.
#[test]
fn of_many_that_replace_a_stale_socket_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.sock");
    drop(UnixListener::bind(&path).unwrap());
    let attempts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Listening::new(&at(&path)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
    UnixStream::connect(&path).unwrap();
}

//! Many connections that say half of something and then nothing: they cost little, and others are served as before.

use crate::support::{Connection, Daemon, Tensor, native};
use graphpipe_schema::DType;
use graphpipe_schema::frame::HEADER_BYTES;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CROWD: usize = 1000;
const SERVED: usize = 16;
/// What an inhabitant of the crowd has sent of its request.
const PARTS: [usize; 4] = [1, HEADER_BYTES / 2, HEADER_BYTES, 0];

/// Both sides of the crowd's connections are open files, the daemon's in a process that inherits this limit.
fn allow_many_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(65_536, |maximum| maximum.min(65_536));
    assert!(wanted > 2 * CROWD as u64, "ulimit -n is at most {wanted}");
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).expect("below the maximum");
}

#[test]
fn a_thousand_half_frames_do_not_keep_sixteen_others_from_being_served() {
    allow_many_open_files();
    // Nobody of the crowd is to be sent away while the others are served.
    let patience = ["--head-timeout", "1h", "--progress-timeout", "1h", "--idle-timeout", "1h"];
    let daemon = Daemon::echo(&patience);
    let half = native::frame(1, &native::message("", &[Tensor::zeros("", DType::Float32, &[500])], &[]));
    let mut crowd: Vec<Connection> = (0..CROWD).map(|index| Connection::to(daemon.addresses()[index % 2])).collect();
    for (index, connection) in crowd.iter_mut().enumerate() {
        let part = PARTS[index % PARTS.len()];
        connection.send(&half[..if part == 0 { half.len() / 2 } else { part }]);
    }
    daemon.metrics_until("accepted", |metrics| metrics.sum("graphpiped_connections_total") >= CROWD as u64);

    std::thread::scope(|scope| {
        for index in 0..SERVED {
            let address = daemon.addresses()[index % 2];
            scope.spawn(move || {
                let mut connection = Connection::to(address);
                for round in 0..100 {
                    let tensor = Tensor::zeros("", DType::Float32, &[1 + 500 * (round % 7)]);
                    connection.send(&native::frame(round as u64, &native::message("", &[tensor], &[])));
                    let reply = connection.reply();
                    assert_eq!(reply.header.id, round as u64);
                    assert_eq!(reply.outputs()[0].shape, [1 + 500 * (round % 7)]);
                }
            });
        }
    });

    // Nobody of the crowd has been forgotten: the other half makes it a request.
    for (index, connection) in crowd.iter_mut().enumerate() {
        let part = PARTS[index % PARTS.len()];
        connection.send(&half[if part == 0 { half.len() / 2 } else { part }..]);
    }
    for connection in &mut crowd {
        assert_eq!(connection.reply().outputs()[0].shape, [500]);
    }
    drop(crowd);
    daemon.stop();
}

#[test]
fn one_connection_more_than_allowed_is_ended_and_counted() {
    let daemon = Daemon::echo(&["--connections-max", "8"]);
    let mut connections: Vec<Connection> = (0..8).map(|_| Connection::to(&daemon.unix)).collect();
    let request = native::frame(1, &native::message("", &[Tensor::zeros("", DType::Int16, &[4])], &[]));
    for connection in &mut connections {
        connection.send(&request);
        connection.reply();
    }
    assert!(Connection::to(&daemon.unix).is_at_its_end());
    connections.truncate(7);
    let metrics = daemon
        .metrics_until("refused", |metrics| metrics.sum("graphpiped_connections_ended_total{how=\"refused\"}") > 0);
    assert!(metrics.sum("graphpiped_connections_ended_total{how=\"refused\"}") >= 1);
    for connection in &mut connections {
        connection.send(&request);
        assert_eq!(connection.reply().header.flags, 0);
    }
    drop(connections);
    daemon.stop();
}

#[test]
fn a_head_that_never_ends_is_ended_by_its_timeout() {
    let daemon = Daemon::echo(&["--head-timeout", "100ms"]);
    for address in daemon.addresses() {
        for part in [&b"GPF1"[..], b"POST / HTTP/1.1\r\n", b"G"] {
            let mut connection = Connection::to(address);
            connection.send(part);
            // It may be told why before the end.
            while !connection.is_at_its_end() {}
        }
    }
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("graphpiped_connections_ended_total{how=\"timed_out\"}"), 6, "{}", metrics.text());
    daemon.stop();
}

//! Clients that go away in the middle of a request or of a reply: their memory goes back, one counter counts them, the log
//! says nothing, and nobody else notices.

use crate::support::{Address, Connection, Daemon, Metrics, Random, Tensor, native};
use graphpipe_schema::DType;

const LARGE: usize = 8 << 20;

fn request(bytes: usize) -> Vec<u8> {
    let tensor = Tensor::zeros("", DType::Uint8, &[bytes as i64]);
    native::frame(1, &native::message("", &[tensor], &[]))
}

fn broken(metrics: &Metrics) -> u64 {
    metrics.sum("graphpiped_connections_ended_total{how=\"broken\"}")
}

fn in_use(metrics: &Metrics) -> u64 {
    metrics.sum("graphpiped_memory_in_use_bytes")
}

/// Lets one client come and go, and fails unless the daemon is as it was before, but for one count.
fn assert_leaves_one_count(daemon: &Daemon, what: &str, visit: impl FnOnce(&Daemon)) {
    let before = broken(&daemon.metrics());
    visit(daemon);
    let after = daemon.metrics_until(what, |metrics| broken(metrics) > before && in_use(metrics) == 0);
    assert_eq!(broken(&after), before + 1, "{what}");
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_payload_leaves_nothing_but_a_count() {
    let daemon = Daemon::echo(&[]);
    for address in daemon.addresses() {
        assert_leaves_one_count(&daemon, "payload", |daemon| {
            let mut connection = Connection::to(address);
            connection.send(&request(LARGE)[..LARGE / 2]);
            daemon.metrics_until("received", |metrics| in_use(metrics) >= LARGE as u64);
        });
    }
    daemon.stop();
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_reply_leaves_nothing_but_a_count() {
    let daemon = Daemon::echo(&[]);
    for address in daemon.addresses() {
        assert_leaves_one_count(&daemon, "reply", |daemon| {
            let before = daemon.metrics().sum("graphpiped_sent_bytes_total");
            let mut connection = Connection::to(address);
            connection.send(&request(LARGE));
            // Nobody reads it, so it cannot be all sent; the metrics themselves are a few kilobytes.
            daemon.metrics_until("sending", |metrics| metrics.sum("graphpiped_sent_bytes_total") > before + 100_000);
        });
    }
    daemon.stop();
}

#[test]
fn a_client_that_goes_anywhere_in_a_small_request_leaves_nothing_but_a_count() {
    let daemon = Daemon::echo(&[]);
    let request = request(100);
    for at in [1, 3, 4, 31, 32, 33, request.len() / 2, request.len() - 1] {
        for address in daemon.addresses() {
            assert_leaves_one_count(&daemon, &format!("{at} bytes"), |_| Connection::to(address).send(&request[..at]));
        }
    }
    daemon.stop();
}

#[test]
fn an_http_client_that_goes_anywhere_leaves_nothing_but_a_count() {
    let daemon = Daemon::echo(&[]);
    let (message, _) = native::message("", &[Tensor::zeros("", DType::Uint8, &[LARGE as i64])], &[]);
    let sized = [format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", message.len()).as_bytes(), &message].concat();
    let chunked =
        [format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", message.len()).as_bytes(), &message]
            .concat();
    for request in [&sized, &chunked] {
        for at in [5, 40, 70, 200, request.len() / 2, request.len() - 10] {
            assert_leaves_one_count(&daemon, &format!("{at} bytes"), |daemon| {
                Connection::to(&daemon.tcp).send(&request[..at]);
            });
        }
    }
    daemon.stop();
}

#[test]
fn a_client_that_ends_between_two_requests_is_not_broken() {
    let daemon = Daemon::echo(&[]);
    for address in daemon.addresses() {
        let mut connection = Connection::to(address);
        connection.send(&request(1000));
        connection.reply();
    }
    daemon.metrics_until("closed", |metrics| metrics.sum("graphpiped_connections_ended_total{how=\"closed\"}") >= 2);
    assert_eq!(broken(&daemon.metrics()), 0);
    daemon.stop();
}

#[test]
fn the_log_says_nothing_about_clients_that_go() {
    let daemon = Daemon::echo(&[]);
    let mut random = Random::new();
    let request = request(100_000);
    for index in 0..200 {
        let at = 1 + random.below(request.len() as u64 - 1) as usize;
        Connection::to(daemon.addresses()[index % 2]).send(&request[..at]);
    }
    let metrics = daemon.metrics_until("all counted", |metrics| broken(metrics) >= 200 && in_use(metrics) == 0);
    assert_eq!(broken(&metrics), 200);
    let quiet = lines_of_a_quiet_life();
    daemon.signal(rustix::process::Signal::TERM);
    let (_, log) = daemon.wait();
    // As many lines as a daemon has to say whom nobody ever disturbed.
    assert_eq!(log.lines().count(), quiet, "{log}");
}

fn lines_of_a_quiet_life() -> usize {
    let daemon = Daemon::echo(&[]);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait().1.lines().count()
}

#[test]
fn clients_that_go_do_not_disturb_one_that_stays() {
    let daemon = Daemon::echo(&[]);
    let mut random = Random::new();
    let addresses: Vec<Address> = daemon.addresses().into_iter().cloned().collect();
    let request = request(50_000);
    let mut staying: Vec<Connection> = addresses.iter().map(Connection::to).collect();
    for index in 0..300 {
        let at = 1 + random.below(request.len() as u64 - 1) as usize;
        Connection::to(&addresses[index % 2]).send(&request[..at]);
        let stays = &mut staying[index / 2 % 2];
        stays.send(&request);
        assert_eq!(stays.reply().outputs()[0].bytes.len(), 50_000);
    }
    daemon.stop();
}

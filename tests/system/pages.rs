//! The pages for people and for monitoring, and that a listener of either kind speaks HTTP and frames alike.

use crate::support::metrics::get;
use crate::support::{Connection, Daemon, Tensor, native};
use graphpipe_schema::DType;

#[test]
fn every_page_is_served_on_either_kind_of_socket() {
    let daemon = Daemon::echo(&[]);
    for address in daemon.addresses() {
        for path in ["/", "/models/echo", "/metrics", "/control/is_ready", "/control/is_alive", "/v2/health/live"] {
            assert_eq!(get(address, path).0, 200, "{path}");
        }
        assert_eq!(get(address, "/models/nobody").0, 404);
    }
    daemon.stop();
}

#[test]
fn requests_are_counted_by_how_they_came() {
    let daemon = Daemon::echo(&[]);
    let before = daemon.metrics();
    let mut connection = Connection::to(&daemon.unix);
    for id in 0..10 {
        connection.send(&native::frame(id, &native::message("", &[Tensor::zeros("", DType::Int64, &[2])], &[])));
        connection.reply();
    }
    let after = daemon.metrics();
    let counted = |name: &str| after.sum(name) - before.sum(name);
    assert_eq!(counted("graphpiped_replies_ok_total"), 10);
    assert!(counted("graphpiped_requests_total") >= 10);
    assert!(counted("graphpiped_received_bytes_total") >= 10 * 16);
    assert!(counted("graphpiped_sent_bytes_total") >= 10 * 16);
    daemon.stop();
}

//! The one promise, as a number: between the socket and the model no code of ours copies a tensor. The counter of copied
//! bytes is read before and after.

use crate::support::{Connection, Daemon, Metrics, Tensor, native};
use graphpipe_schema::DType;

/// 1 × 224 × 224 × 3 of float32.
const IMAGE: [i64; 4] = [1, 224, 224, 3];

fn copied(metrics: &Metrics) -> u64 {
    metrics.sum("graphpiped_copied_bytes_total")
}

#[test]
fn after_the_first_large_frame_no_tensor_is_copied() {
    let daemon = Daemon::echo(&[]);
    for address in daemon.addresses() {
        let mut connection = Connection::to(address);
        let mut tensor = Tensor::zeros("", DType::Float32, &IMAGE);
        for byte in &mut tensor.bytes {
            *byte = 0x40;
        }
        let request = native::frame(1, &native::message("", &[tensor.clone()], &[]));
        connection.send(&request);
        assert_eq!(connection.reply().outputs()[0].bytes, tensor.bytes);
        let before = copied(&daemon.metrics());
        for _ in 0..20 {
            connection.send(&request);
            assert_eq!(connection.reply().outputs()[0].bytes, tensor.bytes);
        }
        assert_eq!(copied(&daemon.metrics()) - before, 0, "over {address:?}");
    }
    daemon.stop();
}

#[test]
fn pipelined_large_frames_are_not_copied_either() {
    let daemon = Daemon::echo(&[]);
    let mut connection = Connection::to(&daemon.unix);
    let request = native::frame(1, &native::message("", &[Tensor::zeros("", DType::Float32, &IMAGE)], &[]));
    connection.send(&request);
    connection.reply();
    let before = copied(&daemon.metrics());
    let mut reader = Connection(connection.0.second());
    std::thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|_| connection.send(&request)));
        for _ in 0..50 {
            assert_eq!(reader.reply().outputs()[0].shape, IMAGE);
        }
    });
    assert_eq!(copied(&daemon.metrics()) - before, 0);
    drop((connection, reader));
    daemon.stop();
}

#[test]
fn a_small_tensor_is_copied_once_on_its_way_in_and_once_on_its_way_out_and_counted() {
    let daemon = Daemon::echo(&[]);
    let mut connection = Connection::to(&daemon.unix);
    let before = copied(&daemon.metrics());
    for id in 0..10 {
        connection.send(&native::frame(id, &native::message("", &[Tensor::zeros("", DType::Float32, &[250])], &[])));
        connection.reply();
    }
    assert_eq!(copied(&daemon.metrics()) - before, 10 * 2 * 1000);
    daemon.stop();
}

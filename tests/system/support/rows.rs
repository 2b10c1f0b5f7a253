//! The models that are run together, and what they make of rows; see `models/make.py`.

use super::daemon::root;
use super::native::{Connection, Tensor};
use super::{Daemon, native};

/// As `--model` has it.
pub fn model(name: &str) -> String {
    format!("{name}={}", root().join(format!("tests/system/models/{name}.onnx")).display())
}

/// Serves one model in batches.
pub fn serve(name: &str, arguments: &[&str]) -> Daemon {
    Daemon::start(&[&["--model", &model(name), "--batch", "on"], arguments].concat())
}

/// Rows for most of the models: numbers that count from `first` on, each row beginning with `begin`.
pub fn rows(rows: usize, length: usize, first: u32, begin: Option<f32>) -> Tensor {
    let mut numbers: Vec<f32> = (0..rows * length).map(|index| ((first as usize + index) % 4096) as f32).collect();
    if let Some(begin) = begin {
        numbers.iter_mut().step_by(length.max(1)).for_each(|number| *number = begin);
    }
    Tensor::floats("x", &[rows as i64, length as i64], &numbers)
}

/// What most of the models make of a tensor: 2x + 1.
pub fn doubled(x: &Tensor) -> Tensor {
    let numbers: Vec<f32> = x.numbers().iter().map(|number| 2.0 * number + 1.0).collect();
    Tensor::floats("", &x.shape, &numbers)
}

/// A frame with one input.
pub fn frame(id: u64, input: &Tensor) -> Vec<u8> {
    native::frame(id, &native::message("", std::slice::from_ref(input), &[]))
}

/// A frame with one input, whose reply is wanted within so many microseconds.
pub fn frame_within(deadline_us: u64, id: u64, input: &Tensor) -> Vec<u8> {
    native::frame(id, &native::message_within(deadline_us, "", std::slice::from_ref(input), &[]))
}

/// Sends a request and fails unless the reply is [`doubled`].
pub fn ask(connection: &mut Connection, id: u64, x: &Tensor) {
    connection.send(&frame(id, x));
    expect_doubled(connection, id, x);
}

/// Fails unless the next reply is this one.
pub fn expect_doubled(connection: &mut Connection, id: u64, x: &Tensor) {
    let reply = connection.reply();
    assert_eq!(reply.header.id, id);
    assert_eq!(reply.outputs(), [doubled(x)]);
}

/// Rows that wait or run.
pub fn pending(metrics: &super::Metrics) -> u64 {
    metrics.sum("graphpiped_batch_pending_rows")
}

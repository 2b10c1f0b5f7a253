//! The README's Rust example, run as it stands there. The other examples are run by the compatibility tests.

#[path = "readme_example.rs"]
mod example;

use crate::support::Daemon;
use crate::support::daemon::root;

/// The pictures of the digits 0 to 9: 640 float32 behind the header of NumPy's format.
fn pictures() -> Vec<[f32; 64]> {
    let file = std::fs::read(root().join("models/digits/images.npy")).expect("it is there");
    let values = &file[file.len() - 10 * 64 * 4..];
    let pixel = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    values.chunks_exact(256).map(|row| std::array::from_fn(|index| pixel(&row[4 * index..][..4]))).collect()
}

#[test]
fn the_example_recognises_every_digit() {
    let model = root().join("models/digits/digits.onnx");
    let daemon = Daemon::start(&["--model", model.to_str().expect("text")]);
    for address in daemon.addresses() {
        for (digit, pixels) in (0..).zip(pictures()) {
            assert_eq!(example::digit(&address.to_string(), &pixels).expect("an answer"), digit);
        }
    }
    daemon.stop();
}

#[test]
fn the_example_is_what_the_readme_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("it is there");
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Rust");
    let (_, example) = include_str!("readme_example.rs").split_once("\n\n").expect("a line that is not shown");
    assert_eq!(block, example);
}

//! What a file is by its bytes, alone in a folder and beside the files that may belong to it.
#![no_main]

use graphpiped_backends_fuzz::bounded;
use graphpiped_model_format::recognise;
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

/// Names that a format gives to its files, each with another one that is to lie beside it.
const NAMES: [(&str, &str); 4] = [
    ("model", "other"),
    ("predict_net.pb", "init_net.pb"),
    ("m-0000.params", "m-symbol.json"),
    ("saved_model.pb", "saved_model.pbtxt"),
];

/// A folder for each name. It is in memory where the machine has a place for that.
static PLACES: LazyLock<(TempDir, Vec<PathBuf>)> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(parent).expect("a folder");
    let place = |(name, other): (&str, &str)| {
        let inner = folder.path().join(name);
        std::fs::create_dir(&inner).expect("a folder");
        std::fs::write(inner.join(other), "x").expect("a file");
        inner.join(name)
    };
    let places = NAMES.map(place).into();
    (folder, places)
});

/// Bytes for each byte of a file, all of which are freed soon: where 22 bytes look like the end of an archive, its table is looked
/// for again, with room for three texts of 64 KiB each time.
const PER_BYTE: usize = 16_384;

fuzz_target!(|bytes: &[u8]| {
    for path in &PLACES.1 {
        std::fs::write(path, bytes).expect("a file");
        let Err(message) = bounded(PER_BYTE, bytes.len(), || recognise(path)) else { continue };
        assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
        assert!(message.contains("; ") && !message.contains(char::is_control), "{message:?}");
    }
});

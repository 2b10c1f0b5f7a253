//! The schema, the code made from it, and the page that specifies it move together.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn schema_hash() -> String {
    Sha256::digest(read("graphpipe.fbs")).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
}

#[test]
fn the_protocol_page_describes_this_schema() {
    let hash = schema_hash();
    assert!(
        read("../docs/PROTOCOL.md").contains(&hash),
        "graphpipe.fbs has changed: bring docs/PROTOCOL.md in line with it, and then its hash to {hash}"
    );
}

#[test]
fn the_generated_code_was_made_from_this_schema() {
    let recorded = read("src/generated/graphpipe.fbs.sha256");
    assert_eq!(recorded.split_whitespace().next(), Some(schema_hash().as_str()), "run schema/generate.sh");
}

#[test]
fn the_examples_of_the_protocol_page_are_the_vectors() {
    let page = read("../docs/PROTOCOL.md");
    for name in ["python_metadata", "ours_f32", "ours_error", "frame_request"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name).with_extension("bin");
        let bytes = std::fs::read(path).expect("a vector");
        assert_eq!(example(&page, name), bytes, "the example '{name}'");
    }
}

/// The bytes of the listing that follows the line `<!-- vector NAME -->`: an address, and hex words to the end of the line
/// or to a semicolon. Lines of dots stand for zeros up to the next address.
fn example(page: &str, name: &str) -> Vec<u8> {
    let (_, listing) =
        page.split_once(&format!("<!-- vector {name} -->\n```text\n")).expect("an example of this vector");
    let (listing, _) = listing.split_once("```").expect("a listing that ends");
    let mut bytes = Vec::new();
    for line in listing.lines() {
        let line = line.split(';').next().unwrap_or_default();
        let Some((address, words)) = line.split_once(':') else { continue };
        let address: usize = address.trim().parse().expect("an address");
        assert!(address >= bytes.len(), "{address} comes after {}", bytes.len());
        bytes.resize(address, 0);
        for word in words.split_whitespace() {
            for at in (0..word.len()).step_by(2) {
                bytes.push(u8::from_str_radix(&word[at..at + 2], 16).expect("hex"));
            }
        }
    }
    bytes
}

//! What must hold for any bytes at all of a file: entry points for fuzzers, which panic if a promise is broken. None of them is
//! called by the backend.

use crate::format::{Found, frozen, saved};
use crate::saved_model::{for_serving, signature};
use crate::weight::{Kind, weight};
use graphpiped_backend_api::one_line;
use std::path::Path;

/// What decoding these bytes is said to take, as either kind of file; nothing where they are unsound.
pub fn fuzz_weight(bytes: &[u8]) -> usize {
    [Kind::Graph, Kind::SavedModel].map(|kind| weight(kind, bytes).unwrap_or(0) as usize).iter().sum()
}

/// Reads a file as a frozen graph, and as the graph in the folder of a SavedModel, and chooses what is served of that.
pub fn fuzz_model(bytes: &[u8]) {
    match frozen(bytes.to_vec()) {
        Ok(found) => assert!(matches!(found, Found::Graph(same) if same == bytes), "another graph than the file's"),
        Err(cause) => is_told(&cause),
    }
    let chosen = saved(bytes).and_then(|model| {
        let graph = for_serving(model, Path::new("/nowhere"))?;
        let tags = graph.purpose.clone().unwrap_or_default().tags;
        assert_eq!(tags, ["serve"]);
        let (name, chosen) = signature(&graph, None)?;
        assert!(graph.signatures.get(name) == Some(chosen) && !name.starts_with("__saved_model"));
        assert!(signature(&graph, Some(name)).is_ok_and(|(same, _)| same == name), "it is found by its own name");
        Ok(())
    });
    if let Err(cause) = chosen {
        is_told(&one_line(&cause));
    }
}

/// A cause and a remedy in one line.
fn is_told(cause: &str) {
    assert!(!cause.contains(char::is_control) && cause.contains(['.', ';', ':']), "{cause:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_backend_conformance::whole_and_cut;

    #[test]
    fn no_model_of_the_tests_breaks_a_promise_whole_or_cut() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        whole_and_cut(&models, &mut fuzz_model);
    }
}

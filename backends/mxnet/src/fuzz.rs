//! What must hold for any bytes at all of a file: entry points for fuzzers, which panic if a promise is broken. None of them is
//! called by the backend.

use crate::description;
use crate::params::Params;
use crate::symbol::Symbol;
use crate::unchecked;

/// Reads a symbol, parameters and a description, as none of which the others can be taken.
pub fn fuzz_files(bytes: &[u8]) {
    match Symbol::read(bytes) {
        Ok(symbol) => is_sound(&symbol),
        Err(cause) => is_told(&cause),
    }
    match Params::read(bytes) {
        Ok(params) => {
            let arguments = params.arguments.iter().map(|(name, shape)| name.len() + 4 * shape.len());
            let auxiliary = params.auxiliary.iter().map(String::len);
            let heads = 12 * (params.arguments.len() + params.auxiliary.len() + params.others);
            assert!(arguments.chain(auxiliary).sum::<usize>() + heads < bytes.len(), "more than there is in the file");
        }
        Err(cause) => is_told(&cause),
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(cause) = description::parse(text)
    {
        is_told(&cause);
    }
}

/// Every number that MXNet would follow leads to a node, and is the same when the symbol is written again.
fn is_sound(symbol: &Symbol) {
    let nodes = symbol.nodes();
    assert!(symbol.references().all(|(node, _)| node < nodes));
    let heads: Vec<usize> = symbol.heads().map(|(node, _)| node).collect();
    let leads = symbol.leads_to(heads.iter().copied());
    assert!(leads.len() == nodes && heads.iter().all(|&head| leads[head]));
    let inputs: Vec<usize> = symbol.variables.iter().map(|variable| variable.node).collect();
    if let Some(found) = unchecked::find(symbol, &heads, &inputs) {
        assert!(inputs.contains(&found.input) && leads[found.input]);
    }
    for keeps_outputs in [true, false] {
        let again = symbol.numbered(keeps_outputs);
        let again = Symbol::read(again.as_bytes()).unwrap_or_else(|cause| panic!("{cause}: {again}"));
        let kept = |(node, output)| (node, if keeps_outputs { output } else { 0 });
        assert!(again.references().eq(symbol.references().map(kept)), "other nodes than before");
        assert_eq!((again.nodes(), again.variables.len()), (nodes, symbol.variables.len()));
    }
    if nodes > 0 {
        let last = symbol.with_heads(&[nodes - 1]);
        assert_eq!(last.heads().collect::<Vec<_>>(), [(nodes - 1, 0)]);
    }
}

fn is_told(cause: &str) {
    assert!(!cause.is_empty() && !cause.contains(char::is_control), "{cause:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_backend_conformance::whole_and_cut;
    use std::path::Path;

    #[test]
    fn no_model_of_the_tests_breaks_a_promise_whole_or_cut() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        whole_and_cut(&models, &mut fuzz_files);
    }
}

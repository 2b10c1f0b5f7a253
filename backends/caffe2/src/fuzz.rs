//! What must hold for any bytes at all of a file: an entry point for fuzzers, which panics if a promise is broken. It is not
//! called by the backend.

use crate::fill::{Room, is_fill};
use crate::net::{self, Net};
use crate::translate;
use crate::value_info::{self, Declared};
use graphpiped_backend_api::Options;
use graphpiped_onnx_proto::{DataType, Message, ModelProto};

/// Bytes of constants, which a few bytes of a file may repeat.
const ROOM_BYTES: u64 = 1 << 16;
/// Bytes of a model for each byte of the net that it is made of: an input of a `Concat` takes three, and becomes a node.
const PER_BYTE: usize = 64;
/// And for none: the names of a model and of its writer.
const FIXED_BYTES: usize = 4096;

/// Translates a net which is in one message, as those of both files are when one follows the other: the fills of it are the
/// init_net, and the others the predict_net. Reads the same bytes as a `value_info.json`, too.
pub fn fuzz_net(bytes: &[u8]) {
    if let Err(message) = value_info::read(bytes) {
        is_told(&message);
    }
    let Ok(net) = Net::read_with_operators(bytes).map_err(|message| is_told(&message)) else { return };
    let is_weight = |bytes: &&[u8]| net::operator(bytes).is_ok_and(|operator| is_fill(&operator));
    let (fills, others): (Vec<&[u8]>, Vec<&[u8]>) = net.operators.iter().copied().partition(is_weight);
    let init = Net { operators: fills, ..Net::default() };
    let others = Net { operators: others, ..net };

    let mut room = Room::of(ROOM_BYTES);
    let weights = translate::weights(&init, &mut room).unwrap_or_else(|message| {
        is_told(&message);
        translate::Weights::new()
    });
    // An image is what most nets take, and what the first operator reads.
    let first = others.operators.first().and_then(|bytes| net::operator(bytes).ok()?.input.into_iter().next());
    let dims = [1, 3, 32, 32].map(Some).into();
    let image = first.map(|name| vec![Declared { name, kind: DataType::Float, dims }]);
    for declared in [None, image.as_deref()] {
        let mut room = Room::of(ROOM_BYTES);
        let options = Options::default();
        match translate::model(&others, weights.clone(), &mut room, declared, "value_info.json", &options) {
            Ok(model) => is_bounded(&model, bytes),
            Err(message) => is_told(&message),
        }
    }
}

fn is_bounded(model: &ModelProto, net: &[u8]) {
    let constants = 2 * ROOM_BYTES as usize;
    let (length, limit) = (model.encoded_len(), FIXED_BYTES + constants + PER_BYTE * net.len());
    assert!(length <= limit, "a net of {} bytes became a model of {length}", net.len());
    // Every value is made once.
    let graph = model.graph.as_ref().expect("it has a graph");
    let inputs = graph.input.iter().filter_map(|input| input.name.as_deref());
    let constants = graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref());
    let outputs = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
    let mut names: Vec<&str> = inputs.chain(constants).chain(outputs).filter(|name| !name.is_empty()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a value is made twice");
}

/// What is shown of a message is one line that has a remedy, or words of the net's own.
fn is_told(message: &str) {
    let message = graphpiped_backend_api::one_line(message);
    assert!(!message.is_empty() && !message.contains(char::is_control), "{message:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn no_net_of_the_tests_breaks_a_promise_whole_or_cut() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let nets = golden.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
        for net in nets.filter(|path| path.is_dir()) {
            let whole = ["init_net.pb", "predict_net.pb"].map(|name| std::fs::read(net.join(name)).expect("a file"));
            let whole = whole.concat();
            for part in 0..=8 {
                fuzz_net(&whole[..whole.len() * part / 8]);
            }
        }
    }
}

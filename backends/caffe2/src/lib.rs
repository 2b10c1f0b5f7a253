//! Nets of Caffe2 as a backend: translated to ONNX when they are opened, and run by ONNX Runtime.
//!
//! Caffe2 itself is no longer made, and nobody should have to install it. A net is two files, each a list of operators:
//! `init_net.pb` makes the weights, and `predict_net.pb` computes with them. Both are messages, which are walked and
//! counted before they are decoded (`wire`, `net`); the weights become tensors (`fill`), and each operator becomes one
//! or more of ONNX's (`operators`), in a graph whose values are written once (`graph`). `uses` finds what goes in and
//! out, by `value_info.json` where it is there, and `translate` puts all together. What never will be here: training,
//! and a run of anything.
//!
//! ONNX Runtime is known by its backend, which is why this one knows that one and no other does.
#![forbid(unsafe_code)]

mod arguments;
mod attributes;
mod chance;
mod files;
mod fill;
#[doc(hidden)]
pub mod fuzz;
mod graph;
mod kinds;
mod net;
mod operators;
mod proto;
mod shape;
mod translate;
mod uses;
mod value_info;
mod wire;

use files::{Files, INIT_BYTES_MAX, PREDICT_BYTES_MAX, VALUE_INFO_BYTES_MAX, of};
use fill::Room;
use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use graphpiped_backend_onnx::{Locations, OnnxBackend};
use graphpiped_onnx_proto::Message;
use net::Net;
use std::path::Path;
use std::sync::Arc;

/// The backend of `NAME=caffe2:PATH`.
#[derive(Clone, Debug)]
pub struct Caffe2Backend {
    onnx: OnnxBackend,
}

impl Caffe2Backend {
    /// A backend that will look for ONNX Runtime's library in these places when the first net is opened, and not
    /// before.
    pub fn new(locations: Locations) -> Caffe2Backend {
        Caffe2Backend { onnx: OnnxBackend::new(locations) }
    }
}

impl Backend for Caffe2Backend {
    fn name(&self) -> &'static str {
        "caffe2"
    }

    /// Opens the net in a folder, or the one of a `predict_net.pb`.
    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        options.only(&path.display().to_string(), "a net of Caffe2", &["inputs", "outputs"])?;
        let files = Files::find(path).map_err(OpenError::Model)?;
        let model = translated(&files, options).map_err(OpenError::Model)?;
        self.onnx.open_bytes(&files.predict, &model, options)
    }
}

/// The net in these files as an ONNX model. On failure: one line with the path, the cause and the remedy.
fn translated(files: &Files, options: &Options) -> Result<Vec<u8>, String> {
    let mut room = Room::of_a_model();
    let weights = {
        let bytes = files::read(&files.init, INIT_BYTES_MAX)?;
        Net::read(&bytes).and_then(|init| translate::weights(&init, &mut room)).map_err(of(&files.init))?
    };
    let declared = match &files.value_info {
        Some(path) => {
            let bytes = files::read(path, VALUE_INFO_BYTES_MAX)?;
            Some(value_info::read(&bytes).map_err(of(path))?)
        }
        None => None,
    };
    let bytes = files::read(&files.predict, PREDICT_BYTES_MAX)?;
    let predict = Net::read_with_operators(&bytes).map_err(of(&files.predict))?;
    let wanted = files.value_info_wanted.display().to_string();
    let model = translate::model(&predict, weights, &mut room, declared.as_deref(), &wanted, options);
    Ok(model.map_err(of(&files.predict))?.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Translates a golden net whose predict_net has been changed; what becomes of it is all the same.
    fn translate(weights: &translate::Weights, declared: &[value_info::Declared], predict: &[u8]) {
        let options = Options::default();
        let mut room = Room::of_a_model();
        let model = Net::read_with_operators(predict).and_then(|net| {
            translate::model(&net, weights.clone(), &mut room, Some(declared), "value_info.json", &options)
        });
        if let Ok(model) = model {
            assert!(!model.encode_to_vec().is_empty());
        }
    }

    #[test]
    fn no_changed_byte_of_a_net_is_worse_than_an_error() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for (name, step) in [("convolution", 3), ("transposed", 3), ("pooling", 3), ("dense", 3), ("layout", 3)] {
            let read = |file: &str| std::fs::read(golden.join(name).join(file)).expect("a golden file");
            let init = read("init_net.pb");
            let weights = Net::read(&init).and_then(|init| translate::weights(&init, &mut Room::of_a_model()));
            let weights = weights.expect("weights");
            let declared = value_info::read(&read("value_info.json")).expect("inputs");
            let whole = read("predict_net.pb");
            for at in (0..whole.len()).step_by(step) {
                for change in [0x01, 0x80, 0xff] {
                    let mut changed = whole.clone();
                    changed[at] ^= change;
                    translate(&weights, &declared, &changed);
                }
                translate(&weights, &declared, &whole[..at]);
            }
        }
    }
}

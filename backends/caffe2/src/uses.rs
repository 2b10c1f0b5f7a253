//! Which blobs a net reads and writes, and what follows from that: what may go in, what comes out, what is missing.

use crate::arguments::Arguments;
use crate::net::Net;
use crate::proto::OperatorDef;
use crate::translate::Weights;
use crate::value_info::Declared;
use graphpiped_backend_api::Options;
use graphpiped_onnx_proto::DataType;
use std::collections::{HashMap, HashSet};

/// The blobs of a net, by their uses.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// All of them.
    pub blobs: HashSet<String>,
    /// How often each is written.
    pub writes: HashMap<String, usize>,
    /// Those that are read before an operator has written them, with the first operator that reads them.
    free: HashMap<String, usize>,
    /// The same in the order of the net: first those that it says, then as they are read.
    free_in_order: Vec<String>,
    /// Those that are read.
    read: HashSet<String>,
    /// Those that are written, in the order in which they are.
    made: Vec<String>,
}

impl Uses {
    /// What the operators of a net do.
    pub fn of(net: &Net<'_>, operators: &[OperatorDef]) -> Uses {
        let mut uses = Uses::default();
        let mut as_read = Vec::new();
        for (position, operator) in operators.iter().enumerate() {
            for blob in &operator.input {
                uses.read.insert(blob.clone());
                if !uses.writes.contains_key(blob) && !uses.free.contains_key(blob) {
                    uses.free.insert(blob.clone(), position);
                    as_read.push(blob.clone());
                }
            }
            for blob in &operator.output {
                *uses.writes.entry(blob.clone()).or_default() += 1;
                uses.made.push(blob.clone());
            }
        }
        let said: Vec<String> =
            net.external_inputs.iter().filter(|blob| uses.free.contains_key(*blob)).cloned().collect();
        uses.free_in_order = unique(&[said, as_read].concat());
        uses.blobs = uses.read.iter().chain(uses.writes.keys()).cloned().collect();
        uses.blobs.extend(net.external_inputs.iter().chain(&net.external_outputs).cloned());
        uses
    }

    /// The blobs that go in: those that are asked for, those that are declared, or those that have no weight.
    pub fn inputs(
        &self,
        weights: &Weights,
        declared: Option<&[Declared]>,
        options: &Options,
    ) -> Result<Vec<String>, String> {
        if !options.inputs.is_empty() {
            return match options.inputs.iter().find(|name| !self.free.contains_key(*name)) {
                Some(name) => {
                    Err(format!("its input {name} is read by no operator before it is made; name one that is"))
                }
                None => Ok(unique(&options.inputs)),
            };
        }
        let all = &self.free_in_order;
        if let Some(declared) = declared {
            if let Some(input) = declared.iter().find(|input| !self.free.contains_key(&input.name)) {
                let name = &input.name;
                return Err(format!("its input {name}, of value_info.json, is read by no operator; correct that file"));
            }
            let names: HashSet<&String> = declared.iter().map(|input| &input.name).collect();
            return Ok(all.iter().filter(|name| names.contains(name)).cloned().collect());
        }
        let unmade: Vec<String> = all.iter().filter(|name| !weights.contains_key(*name)).cloned().collect();
        if !unmade.is_empty() {
            return Ok(unmade);
        }
        // Exporters of Caffe2 fill the input, too, with one element that is never used; it is the first that the net
        // says.
        let is_placeholder =
            |name: &&String| weights.get(*name).is_some_and(|tensor| tensor.dims.iter().all(|&size| size == 1));
        let first = all.first().filter(is_placeholder).cloned();
        first.map(|name| vec![name]).ok_or_else(|| {
            "takes no input: init_net makes every blob that it reads; name the input in value_info.json beside it, as \
             in {\"data\": [1, [1, 3, 227, 227]]}"
                .to_string()
        })
    }

    /// An input, as far as the first operator that reads it says what it needs.
    pub fn infer(&self, blob: &str, operators: &[OperatorDef], weights: &Weights) -> Option<Declared> {
        let operator = operators.get(*self.free.get(blob)?)?;
        let weight = weights.get(operator.input.get(1)?)?;
        let arguments = Arguments(&operator.arg);
        let dims = match (operator.kind(), weight.dims.as_slice()) {
            ("Conv", &[_, each, _, _]) => {
                let channels = each.checked_mul(arguments.int("group", 1).ok()?)?;
                vec![None, Some(channels), None, None]
            }
            ("FC", &[_, each]) if arguments.int("axis", 1) == Ok(1) => vec![None, Some(each)],
            _ => return None,
        };
        (operator.input.first()? == blob).then(|| Declared { name: blob.to_string(), kind: DataType::Float, dims })
    }

    /// The blobs that come out: those that are asked for, those that the net says, or those that no operator reads.
    pub fn outputs(&self, net: &Net<'_>, options: &Options) -> Vec<String> {
        if !options.outputs.is_empty() {
            return unique(&options.outputs);
        }
        if !net.external_outputs.is_empty() {
            return unique(&net.external_outputs);
        }
        unique(&self.made).into_iter().filter(|blob| !self.read.contains(blob)).collect()
    }
}

/// Each of these once, where it is the first time.
fn unique(names: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    names.iter().filter(|name| seen.insert(*name)).cloned().collect()
}

//! What a model takes and gives: from its symbol, the names of its parameters, the description and the options.
//!
//! Nothing is left to chance here: MXNet computes with whatever is in the memory of an argument that nobody has set, so each
//! one is an input, or has parameters, or is a label; otherwise the model is refused.

use crate::entries::Entries;
use crate::graph::{Graph, Names, c_string};
use crate::home::Making;
use crate::library::Library;
use crate::model::Read;
use crate::symbol::Variable;
use crate::types;
use graphpipe_schema::DType;
use graphpiped_backend_api::{Dim, Options, TensorSpec};
use graphpiped_model_description::Described;
use std::collections::HashSet;
use std::ffi::{CStr, CString};

/// An input that the model takes.
pub(crate) struct Taken {
    /// Its node.
    pub node: usize,
    /// Its name.
    pub name: String,
    /// Its type.
    pub dtype: DType,
    /// MXNet's number for it.
    pub number: i32,
    /// Its dimensions, as somebody has said them.
    pub dims: Vec<Dim>,
}

/// The inputs that lead to what the model gives, in their order.
pub(crate) fn inputs(read: &Read, options: &Options, gives: &Gives) -> Result<Vec<Taken>, String> {
    let ordered = ordered(read, options, &read.symbol.leads_to(gives.nodes.iter().copied()))?;
    let mut taken = Vec::new();
    let mut shapeless = Vec::new();
    for variable in ordered {
        let said = read.description.inputs.iter().find(|described| described.name == variable.name);
        let said_dims = said.and_then(|said| said.dims.clone());
        let (dtype, number) = dtype_of(variable, said)?;
        match said_dims.or_else(|| variable.shape.as_deref().map(dims_of_symbol)) {
            Some(dims) => taken.push(Taken { node: variable.node, name: variable.name.clone(), dtype, number, dims }),
            None => shapeless.push(variable),
        }
    }
    if shapeless.is_empty() { Ok(taken) } else { Err(how_to_say_shapes(read, &shapeless)) }
}

/// The variables that are inputs, in the order that the options say.
fn ordered<'a>(read: &'a Read, options: &Options, leads: &[bool]) -> Result<Vec<&'a Variable>, String> {
    let has_params = |variable: &&Variable| read.params.arguments.iter().any(|(name, _)| *name == variable.name);
    let is_state = |variable: &&Variable| read.params.auxiliary.contains(&variable.name);
    let is_known = |variable: &&Variable| has_params(variable) || is_state(variable) || variable.is_label;
    let is_open = |variable: &&Variable| leads[variable.node] && !is_known(variable);
    let open: Vec<&Variable> = read.symbol.variables.iter().filter(is_open).collect();
    if let Some(lost) = open.iter().find(|variable| variable.is_parameter) {
        return Err(lost_parameter(read, &format!("arg:{}", lost.name)));
    }
    if open.is_empty() {
        return Err("the symbol has no variable without parameters, so nothing can go in".to_string());
    }
    let names = || open.iter().map(|variable| variable.name.as_str()).collect::<Vec<_>>().join(", ");
    for name in options.inputs.iter().chain(read.description.inputs.iter().map(|described| &described.name)) {
        if !open.iter().any(|variable| variable.name == *name) {
            return Err(format!("there is no input {name:?}; variables without parameters are: {}", names()));
        }
    }
    if options.inputs.is_empty() {
        return Ok(open);
    }
    let find = |name: &String| open.iter().copied().find(|variable| variable.name == *name);
    let ordered: Vec<&Variable> = options.inputs.iter().filter_map(find).collect();
    if ordered.len() != open.len() || open.iter().any(|variable| !ordered.contains(variable)) {
        return Err(format!("`inputs` has to name each of these once: {}", names()));
    }
    Ok(ordered)
}

/// The type of an input, and MXNet's number for it: as the description says, else the symbol; else it is float32.
fn dtype_of(variable: &Variable, said: Option<&Described>) -> Result<(DType, i32), String> {
    let dtype = said.and_then(|said| said.dtype).or_else(|| types::from_number(variable.number.unwrap_or(0)));
    let number = dtype.and_then(types::to_number);
    dtype.zip(number).ok_or_else(|| {
        let shown = dtype.map_or_else(|| "of a type that is not served".to_string(), |dtype| dtype.to_string());
        format!("input {} is {shown}, which MXNet does not take here; cast it in the symbol", variable.name)
    })
}

/// The first axis is the batch; sizes of 0 and -1 are any.
fn dims_of_symbol(shape: &[i64]) -> Vec<Dim> {
    let dim = |(axis, &size): (usize, &i64)| match u32::try_from(size) {
        _ if axis == 0 => Dim::Symbol("N".into()),
        Ok(size) if size > 0 => Dim::Fixed(size.into()),
        _ => Dim::Any,
    };
    shape.iter().enumerate().map(dim).collect()
}

/// What to do about variables of which nobody knows the shape.
fn how_to_say_shapes(read: &Read, shapeless: &[&Variable]) -> String {
    if read.params.others > 0 && read.params.arguments.is_empty() {
        return format!(
            "{}: its names do not begin with arg: and aux:, as save_parameters writes them; save the model with \
             HybridBlock.export or save_checkpoint",
            read.files.params.display()
        );
    }
    let names: Vec<_> = shapeless.iter().map(|variable| variable.name.as_str()).collect();
    format!(
        "the parameters have no {}, and the symbol does not say the shape of an input of this name; for each one that is an \
         input, write inputs = [{{ name = {:?}, shape = [\"N\", 3, 224, 224] }}] (with its own sizes) into {}",
        names.join(" and no "),
        names[0],
        read.files.description.display()
    )
}

fn lost_parameter(read: &Read, name: &str) -> String {
    let params = read.files.params.display();
    format!("{params}: there is no {name} in it, which the symbol wants; save both anew, together")
}

/// The labels that have no parameters: their nodes and names.
pub(crate) fn labels(read: &Read) -> Result<Vec<(usize, CString)>, String> {
    let has_params = |name: &str| read.params.arguments.iter().any(|(other, _)| other == name);
    let labels = read.symbol.variables.iter().filter(|variable| variable.is_label && !has_params(&variable.name));
    labels.map(|variable| Ok((variable.node, c_string(&variable.name)?))).collect()
}

/// The parameters that variables of the symbol have: nodes, names and shapes.
pub(crate) fn params(read: &Read) -> Result<Vec<(usize, CString, Vec<u32>)>, String> {
    let shape_of = |variable: &Variable| {
        let found = read.params.arguments.iter().find(|(name, shape)| *name == variable.name && !shape.is_empty());
        found.map(|(_, shape)| shape.clone())
    };
    let params = read.symbol.variables.iter().filter_map(|variable| Some((variable, shape_of(variable)?)));
    params.map(|(variable, shape)| Ok((variable.node, c_string(&variable.name)?, shape))).collect()
}

/// What the model gives.
pub(crate) struct Gives {
    /// Names to serve.
    pub names: Vec<String>,
    /// Which values of the graph they are, among all.
    pub places: Vec<usize>,
    /// Which outputs of a predictor they are.
    pub outputs: Vec<usize>,
    /// How many outputs a predictor has.
    pub predictor_outputs: usize,
    /// Layers that a predictor is to give instead of the symbol's outputs.
    pub partial: Vec<CString>,
    /// The nodes that a predictor computes in the end.
    pub nodes: Vec<usize>,
}

/// What MXNet puts behind the name of a node that has one output.
const OUTPUT: &str = "_output";

/// The outputs: those of the symbol, or those that the operator names, layers within it among them.
pub(crate) fn gives(
    library: &'static Library,
    json: &CStr,
    read: &Read,
    options: &Options,
    entries: &Entries,
    making: &Making,
) -> Result<Gives, String> {
    let graph = Graph::new(library, json, making)?;
    // MXNet would compute with whatever is in the memory of a state.
    if let Some(state) = graph.names(Names::Auxiliary)?.iter().find(|state| !read.params.auxiliary.contains(state)) {
        return Err(lost_parameter(read, &format!("aux:{state}")));
    }
    let heads = graph.names(Names::Outputs)?;
    let nodes = read.symbol.heads().map(|(node, _)| node).collect();
    let places: Option<Vec<usize>> = read.symbol.heads().map(|(node, output)| entries.place(node, output)).collect();
    let places = places.filter(|places| places.len() == heads.len()).ok_or("its outputs are not those of its heads")?;
    let wanted: Vec<String> = if options.outputs.is_empty() {
        read.description.outputs.iter().map(|described| described.name.clone()).collect()
    } else {
        options.outputs.clone()
    };
    let mut before = HashSet::new();
    if let Some(name) = wanted.iter().find(|name| !before.insert(*name)) {
        return Err(format!("`outputs` names {name:?} twice; name it once"));
    }
    let is_called = |head: &String, name: &String| head == name || head.strip_suffix(OUTPUT) == Some(name);
    let found: Option<Vec<usize>> =
        wanted.iter().map(|name| heads.iter().position(|head| is_called(head, name))).collect();
    match found {
        Some(found) if found.is_empty() => {
            let (names, count) = (short(&heads), heads.len());
            Ok(Gives {
                names,
                places,
                outputs: (0..count).collect(),
                predictor_outputs: count,
                partial: Vec::new(),
                nodes,
            })
        }
        Some(found) => Ok(Gives {
            names: wanted,
            places: found.iter().map(|&head| places[head]).collect(),
            outputs: found,
            predictor_outputs: heads.len(),
            partial: Vec::new(),
            nodes,
        }),
        None => layers(read, entries, wanted, &heads),
    }
}

/// The outputs of layers within the graph.
fn layers(read: &Read, entries: &Entries, wanted: Vec<String>, heads: &[String]) -> Result<Gives, String> {
    let (mut places, mut partial, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    for name in &wanted {
        let layer = name.strip_suffix(OUTPUT).unwrap_or(name);
        let is_variable = read.symbol.variables.iter().any(|variable| variable.name == layer);
        let node = read.symbol.node(layer).filter(|&node| !is_variable && entries.outputs(node) == 1);
        let Some((node, place)) = node.and_then(|node| Some((node, entries.place(node, 0)?))) else {
            let remedy = format!("its outputs are: {}; and every layer that has one output", short(heads).join(", "));
            return Err(format!("there is no output {name:?}; {remedy}"));
        };
        nodes.push(node);
        places.push(place);
        partial.push(c_string(layer)?);
    }
    let count = wanted.len();
    Ok(Gives { names: wanted, places, outputs: (0..count).collect(), predictor_outputs: count, partial, nodes })
}

/// Names without what MXNet puts behind them, where they are different names still.
fn short(names: &[String]) -> Vec<String> {
    let short: Vec<String> = names.iter().map(|name| name.strip_suffix(OUTPUT).unwrap_or(name).to_string()).collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    names.iter().zip(&short).map(|(name, short)| if is_unique(short) { short } else { name }.clone()).collect()
}

/// An output, as the description says it, if that does not contradict MXNet.
pub(crate) fn agreed(said: &Described, spec: TensorSpec) -> Result<TensorSpec, String> {
    if let Some(dtype) = said.dtype.filter(|dtype| *dtype != spec.dtype) {
        return Err(format!("the description says {} is {dtype}, and MXNet gives {}", spec.name, spec.dtype));
    }
    let Some(dims) = said.dims.clone() else { return Ok(spec) };
    let real = spec.dims.as_deref().unwrap_or_default();
    let agrees =
        |(said, real): (&Dim, &Dim)| !matches!((said, real), (Dim::Fixed(said), Dim::Fixed(real)) if said != real);
    if dims.len() != real.len() || !dims.iter().zip(real).all(agrees) {
        let said = TensorSpec { dims: Some(dims), ..spec.clone() };
        return Err(format!("the description says {said}, and MXNet gives {spec}; correct it, or leave its shape out"));
    }
    Ok(TensorSpec { dims: Some(dims), ..spec })
}

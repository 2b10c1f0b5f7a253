//! Every value within a graph: how many there are, and their shapes for inputs of given shapes.
//!
//! Two things that MXNet 1.9 does not look at, and writes outside of its memory for, are looked at here. A symbol may name an output
//! that a node does not have; and `Reshape` takes a tensor that has more or fewer elements than its target, such as three rows
//! of four for rows of eight, so that a client might choose what is overwritten. A size of 0, which to MXNet is an unknown one,
//! is refused wherever it comes up.
//!
//! MXNet tells shapes of values by their names, which follow from those of the nodes in several ways. So it is given the graph
//! with nodes that are called by their numbers.

use crate::graph::{Graph, Named, Names, c_string};
use crate::home::Making;
use crate::library::Library;
use crate::shapes::Sizes;
use crate::symbol::Symbol;
use std::ffi::CString;

/// The values of a graph.
pub(crate) struct Entries {
    graph: Graph,
    /// For each node of the symbol, where its outputs are in the list of all values; empty if nothing leads to it.
    places: Vec<Vec<usize>>,
    /// Values that have to have as many elements as others, with the name of the node that gives the one from the other.
    alike: Vec<(usize, usize, String)>,
}

impl Entries {
    /// Counts the values of a symbol. Otherwise: what is the matter.
    pub fn new(library: &'static Library, symbol: &Symbol, making: &Making) -> Result<Entries, String> {
        // First with the outputs that every node has, to see which there are.
        let graph = internals(library, symbol, false, making)?;
        let places = places(&graph, symbol)?;
        let is_there = |&(node, output): &(usize, usize)| places[node].is_empty() || output < places[node].len();
        if let Some((node, output)) = symbol.references().find(|reference| !is_there(reference)) {
            let (name, count) = (symbol.name(node), places[node].len());
            return Err(format!("it is damaged (output {output} of node {name:?}, which has {count}); copy it again"));
        }
        let graph = internals(library, symbol, true, making)?;
        let at = |(node, output): (usize, usize)| places[node].get(output).copied();
        let reshaped = symbol
            .reshaped()
            .filter_map(|(node, from)| Some((at(from)?, at((node, 0))?, symbol.name(node).to_string())));
        let alike = reshaped.collect();
        Ok(Entries { graph, places, alike })
    }

    /// Where an output of a node is among all values.
    pub fn place(&self, node: usize, output: usize) -> Option<usize> {
        self.places.get(node)?.get(output).copied()
    }

    /// How many outputs a node has that others can see.
    pub fn outputs(&self, node: usize) -> usize {
        self.places.get(node).map_or(0, Vec::len)
    }

    /// The shapes of all values, if these variables (by the numbers of their nodes) have these shapes.
    pub fn infer(&self, known: &[(usize, &[u32])], making: &Making) -> Result<Sizes, String> {
        // MXNet refuses names that it does not find.
        let known: Vec<_> = known.iter().filter(|(node, _)| self.outputs(*node) > 0).collect();
        let names = known.iter().map(|(node, _)| name_of(*node)).collect::<Result<Vec<CString>, _>>()?;
        let named = names.iter().zip(&known).map(|(name, (_, shape))| (name.as_c_str(), *shape));
        let all = self.graph.infer(&Named::new(named), making)?;
        if all.iter().any(|shape| shape.contains(&0)) {
            return Err("a tensor within would have no elements, which MXNet does not know".to_string());
        }
        for (from, to, name) in &self.alike {
            let (before, after) = (elements(&all[*from]), elements(&all[*to]));
            if before != after {
                let shapes = format!("{:?} for {:?}", all[*to], all[*from]);
                return Err(format!("node {name} would give another number of elements than it gets ({shapes})"));
            }
        }
        Ok(all)
    }
}

/// The number of elements, or the largest number there is.
pub(crate) fn elements(shape: &[u32]) -> u64 {
    shape.iter().fold(1, |elements, &size| u64::saturating_mul(elements, size.into()))
}

/// The graph whose outputs are all values.
fn internals(
    library: &'static Library,
    symbol: &Symbol,
    keeps_outputs: bool,
    making: &Making,
) -> Result<Graph, String> {
    let json = CString::new(symbol.numbered(keeps_outputs)).map_err(|_| "the symbol has a NUL in it".to_string())?;
    Graph::new(library, &json, making)?.internals(making)
}

/// Where the outputs of each node are in the list of all values.
fn places(graph: &Graph, symbol: &Symbol) -> Result<Vec<Vec<usize>>, String> {
    let mut places = vec![Vec::new(); symbol.nodes()];
    for (place, name) in graph.names(Names::Outputs)?.iter().enumerate() {
        // As in `n12`, which is a variable, `n12_output` and `n12_mean`.
        let number = name.split('_').next().and_then(|begin| begin.strip_prefix('n')?.parse::<usize>().ok());
        if let Some(of_node) = number.and_then(|number| places.get_mut(number)) {
            of_node.push(place);
        }
    }
    Ok(places)
}

fn name_of(node: usize) -> Result<CString, String> {
    c_string(&format!("n{node}"))
}

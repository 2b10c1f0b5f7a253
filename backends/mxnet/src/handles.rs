//! The predictors of an instance: one for each shape that was asked for lately.
//!
//! ```text
//!           new                      reshape
//! file ──────────► parent, never run ───────► ready, for one shape each; the one that was not used for longest goes first
//!                    │  ▲
//!                    └──┘ reshape, where an input is larger than all before: then everything that is ready is dropped *before*
//! ```
//!
//! What MXNet makes from a predictor shares its parameters, and the memory of its inputs and between its operators. That is as
//! wanted within an instance, which runs one of them at a time. But when an input needs more memory than before, MXNet allocates
//! it anew and frees what the others have had, and nothing promises that all operators which have been run will look for the new
//! memory. So nothing that is ready outlives such a growth, and the parent itself is never run: it is sound after a growth, even
//! after one that has failed.

use crate::entries::{Entries, elements};
use crate::files;
use crate::graph::Named;
use crate::home::{Home, Making};
use crate::params::{self, Digest};
use crate::predictor::{Predictor, Recipe};
use crate::shapes::Sizes;
use graphpipe_schema::Shape;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The most predictors that are kept ready. A daemon's batches have as many sizes as `rows_max` says, 128 or so, and few of them
/// often. Each that is ready has memory for its outputs and between its operators; a size that comes back after so many others is
/// made anew, which takes milliseconds, and is why a run may block.
pub(crate) const READY_MAX: usize = 32;

/// What the instances of a model share.
pub(crate) struct Shared {
    /// What predictors are made from.
    pub recipe: Recipe,
    /// The nodes of the inputs, in the order of the signature.
    pub nodes: Vec<usize>,
    /// Labels that the graph wants memory for: nodes and names.
    pub labels: Vec<(usize, CString)>,
    /// Parameters: nodes, names and shapes.
    pub params: Vec<(usize, CString, Vec<u32>)>,
    /// Whether shapes of parameters do not follow from those of the inputs.
    pub needs_params: bool,
    /// The values within, to compute their shapes; by whoever has the right to build.
    pub entries: Mutex<Entries>,
    /// Shapes of the inputs that MXNet takes.
    pub base: Sizes,
    /// The file of parameters, and what it is known by: every instance has parameters of its own.
    pub params_file: (PathBuf, Digest),
}

impl Shared {
    /// The shapes of all values for inputs of these shapes, which are found to be sound.
    pub fn infer(&self, shapes: &[Vec<u32>], with_params: bool, making: &Making) -> Result<Sizes, String> {
        let inputs = self.nodes.iter().copied().zip(shapes.iter().map(Vec::as_slice));
        let params = self.params.iter().filter(|_| with_params).map(|(node, _, shape)| (*node, shape.as_slice()));
        let known: Vec<_> = inputs.chain(params).collect();
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).infer(&known, making)
    }

    /// The shapes of labels, among those of all values. MXNet computes them by itself for a first predictor, and takes any
    /// that differ for a mistake when it makes another one.
    fn label_shapes(&self, all: &Sizes) -> Sizes {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let shape_of = |node: usize| entries.place(node, 0).and_then(|place| all.get(place).cloned());
        // Nothing leads to a label that has no shape, so that it needs none.
        self.labels.iter().map(|(node, _)| shape_of(*node).unwrap_or_default()).collect()
    }

    /// Names and shapes of inputs, labels, and perhaps parameters.
    fn named<'a>(&'a self, shapes: &'a [Vec<u32>], labels: &'a [Vec<u32>]) -> Named<'a> {
        let inputs = self.recipe.inputs.iter().map(|(name, _)| name.as_c_str()).zip(shapes.iter().map(Vec::as_slice));
        let labels = self.labels.iter().map(|(_, name)| name.as_c_str()).zip(labels.iter().map(Vec::as_slice));
        let labels = labels.filter(|(_, shape)| !shape.is_empty());
        let params = self.params.iter().filter(|_| self.needs_params);
        let params = params.map(|(_, name, shape)| (name.as_c_str(), shape.as_slice()));
        Named::new(inputs.chain(labels).chain(params))
    }
}

/// The predictors of an instance.
pub(crate) struct Handles {
    shared: Arc<Shared>,
    parent: Option<Predictor>,
    /// The most elements that each input has had.
    capacity: Vec<u64>,
    /// The one used last comes first.
    ready: Vec<Ready>,
    home: Home,
}

/// A predictor to run.
pub(crate) struct Ready {
    sizes: Vec<u32>,
    /// It.
    pub predictor: Predictor,
    /// The shapes of its outputs.
    pub outputs: Vec<Shape>,
}

/// Why there is no predictor.
pub(crate) enum Failed {
    /// MXNet has refused the shapes.
    Refused(String),
    /// The thread that makes them has ended.
    Ended,
}

impl Handles {
    /// Reads the parameters into memory of MXNet's.
    pub fn new(shared: Arc<Shared>, params: Vec<u8>) -> Result<Handles, Failed> {
        let home = Home::start().map_err(Failed::Refused)?;
        let capacity = shared.base.iter().map(|shape| elements(shape)).collect();
        let used = Arc::clone(&shared);
        let make = move |making: &Making| {
            let labels = used.label_shapes(&used.infer(&used.base, true, making)?);
            Predictor::new(&used.recipe, &params, &used.named(&used.base, &labels), making)
        };
        let parent = home.run(make).ok_or(Failed::Ended)?.map_err(Failed::Refused)?;
        Ok(Handles { shared, parent: Some(parent), capacity, ready: Vec::new(), home })
    }

    /// The same, with parameters from their file, which has to be the one that it was at first.
    pub fn again(shared: &Arc<Shared>) -> Result<Handles, Failed> {
        let (path, digest) = &shared.params_file;
        let refused = |cause: String| Failed::Refused(format!("{}: {cause}", path.display()));
        let file = files::read(path, params::BYTES_MAX).map_err(refused)?;
        if Digest::of(&file) != *digest {
            return Err(refused("has changed since the model was opened; open it again".to_string()));
        }
        Handles::new(Arc::clone(shared), file)
    }

    /// Whether the thread that makes them has ended, so that none may be run any more.
    pub fn have_ended(&self) -> bool {
        self.parent.is_none()
    }

    /// The types of the outputs, or why one of them cannot be served.
    pub fn output_dtypes(&self) -> Result<Vec<graphpipe_schema::DType>, String> {
        let parent = self.parent.as_ref().ok_or("MXNet has ended")?;
        let outputs = self.shared.recipe.outputs;
        (0..outputs).map(|output| parent.output_dtype(output, outputs)).collect()
    }

    /// The predictor for inputs of these sizes, one behind the other in the order of the signature, whose ranks it knows.
    pub fn of(&mut self, sizes: &[u32]) -> Result<&mut Ready, Failed> {
        match self.ready.iter().position(|ready| ready.sizes == sizes) {
            Some(position) => self.ready[..=position].rotate_right(1),
            None => self.make(sizes)?,
        }
        Ok(&mut self.ready[0])
    }

    /// Makes it, and puts it first.
    fn make(&mut self, sizes: &[u32]) -> Result<(), Failed> {
        let shapes = shapes(&self.shared.base, sizes);
        let wanted: Vec<u64> = shapes.iter().map(|shape| elements(shape)).collect();
        let grows = wanted.iter().zip(&self.capacity).any(|(wanted, capacity)| wanted > capacity);
        let dropped = self.ready.split_off(if grows { 0 } else { self.ready.len().min(READY_MAX - 1) });
        let parent = self.parent.take().ok_or(Failed::Ended)?;
        let (shared, sizes) = (Arc::clone(&self.shared), sizes.to_vec());
        let make = move |making: &Making| {
            drop(dropped);
            match make(&shared, &parent, &shapes, grows, making) {
                Ok((None, predictor)) => (parent, predictor.and_then(|predictor| ready(&shared, sizes, predictor))),
                Ok((Some(grown), predictor)) => {
                    (grown, predictor.and_then(|predictor| ready(&shared, sizes, predictor)))
                }
                Err(cause) => (parent, Err(cause)),
            }
        };
        let Some((parent, ready)) = self.home.run(make) else {
            // The temporary memory of their operators has ended with the thread.
            self.ready.clear();
            return Err(Failed::Ended);
        };
        self.parent = Some(parent);
        let ready = ready.map_err(Failed::Refused)?;
        if grows {
            self.capacity =
                wanted.iter().zip(&self.capacity).map(|(&wanted, &capacity)| wanted.max(capacity)).collect();
        }
        self.ready.insert(0, ready);
        Ok(())
    }
}

#[cfg(test)]
impl Handles {
    /// Ends the thread that makes them, as a panic would.
    pub fn end_home(&self) {
        assert_eq!(self.home.run(|_| -> u8 { panic!("on purpose") }), None);
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // Given up where they were made, by whoever has the right to build. If that thread has ended, so has this process,
        // soon: they are given up here.
        let (parent, ready) = (self.parent.take(), std::mem::take(&mut self.ready));
        self.home.run(move |_| drop((ready, parent)));
    }
}

/// A parent for larger inputs, if there has to be one, and a predictor to run.
type Made = (Option<Predictor>, Result<Predictor, String>);

fn make(
    shared: &Shared,
    parent: &Predictor,
    shapes: &[Vec<u32>],
    grows: bool,
    making: &Making,
) -> Result<Made, String> {
    let labels = shared.label_shapes(&shared.infer(shapes, true, making)?);
    let named = shared.named(shapes, &labels);
    if !grows {
        return Ok((None, parent.reshape(&named, making)));
    }
    let grown = parent.reshape(&named, making)?;
    let predictor = grown.reshape(&named, making);
    Ok((Some(grown), predictor))
}

fn ready(shared: &Shared, sizes: Vec<u32>, predictor: Predictor) -> Result<Ready, String> {
    let outputs = (0..shared.recipe.outputs).map(|output| predictor.output_shape(output)).collect::<Result<_, _>>()?;
    Ok(Ready { sizes, predictor, outputs })
}

/// The sizes in shapes of the same ranks as these.
fn shapes(like: &[Vec<u32>], mut sizes: &[u32]) -> Sizes {
    let mut shapes = Sizes::new();
    for shape in like {
        let (first, rest) = sizes.split_at(shape.len());
        shapes.push(first.to_vec());
        sizes = rest;
    }
    shapes
}

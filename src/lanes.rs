//! The lanes of a model: one set per row signature, which is what the rows of requests must have in common to be run
//! together. What a lane does with rows is the batching core's; here is what the rows *are*.

use crate::isolation::ArenaMemory;
use crate::plan::{LanePlan, RowBytes};
use crate::request::Request;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Signature, TensorSpec};
use graphpiped_batch::{Lane, Layout, Region};
use graphpiped_memory::Exhausted;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the rows of a lane look like.
#[derive(Debug)]
pub struct RowSignature {
    /// By index in the model's signature.
    pub inputs: Vec<RowSpec>,
    /// By index in the model's signature; `None` where only the framework can tell.
    pub outputs: Vec<Option<RowSpec>>,
}

/// One row of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSpec {
    /// The element type, of fixed size.
    pub dtype: DType,
    /// The shape without its first axis.
    pub inner: Shape,
    /// Bytes of a row.
    pub bytes: usize,
}

impl RowSpec {
    /// `None` if rows of that shape have no size, or the shape has no first axis.
    fn new(dtype: DType, shape: &Shape) -> Option<RowSpec> {
        let inner = Shape::new(shape.dims().get(1..)?)?;
        let bytes = usize::try_from(inner.bytes(dtype)?).ok()?;
        Some(RowSpec { dtype, inner, bytes })
    }

    /// The shape of so many rows.
    pub fn shape(&self, rows: usize) -> Shape {
        let mut shape = Shape::SCALAR;
        for dim in std::iter::once(&(rows as i64)).chain(self.inner.dims()) {
            shape.push(*dim).expect("it was a shape with a first axis before");
        }
        shape
    }
}

impl RowSignature {
    /// What rows look like whose inputs have these shapes (each with its first axis), by index in the signature. `None` if
    /// such rows cannot be put together.
    pub fn of(signature: &Signature, shapes: &[Shape]) -> Option<RowSignature> {
        let one_row: SmallVec<[Shape; 2]> =
            shapes.iter().map(|shape| with_rows(shape.dims(), 1)).collect::<Option<_>>()?;
        let inputs = signature.inputs.iter().zip(&one_row);
        let inputs = inputs.map(|(spec, shape)| RowSpec::new(spec.dtype, shape)).collect::<Option<Vec<_>>>()?;
        let known: SmallVec<[(usize, &[i64]); 2]> =
            one_row.iter().enumerate().map(|(index, shape)| (index, shape.dims())).collect();
        let predicted = |(index, dtype)| {
            let shape = signature.predict(&known, index)?;
            RowSpec::new(dtype, &shape).filter(|_| shape.dims()[0] == 1)
        };
        let outputs = signature.outputs.iter().map(|spec| spec.dtype).enumerate().map(predicted).collect();
        Some(RowSignature { inputs, outputs })
    }

    /// The row signature of a model whose rows can have one size only. `outputs` are the shapes of rows of outputs that a
    /// trial has shown, which count for more than what the signature says.
    pub fn fixed(signature: &Signature, outputs: &[Option<Shape>]) -> Option<RowSignature> {
        let shape = |spec: &TensorSpec| {
            let shape = with_rows(spec.metadata_shape().dims(), 1)?;
            spec.dims.as_ref().filter(|_| shape.dims().iter().all(|&dim| dim >= 0)).map(|_| shape)
        };
        let shapes = signature.inputs.iter().map(shape).collect::<Option<Vec<_>>>()?;
        let mut rows = RowSignature::of(signature, &shapes)?;
        for ((row, spec), shown) in rows.outputs.iter_mut().zip(&signature.outputs).zip(outputs) {
            if let Some(inner) = shown {
                let bytes = inner.bytes(spec.dtype).and_then(|bytes| usize::try_from(bytes).ok());
                *row = bytes.map(|bytes| RowSpec { dtype: spec.dtype, inner: *inner, bytes });
            }
        }
        Some(rows)
    }

    /// Bytes of a row, as the memory plan wants them.
    pub fn bytes(&self) -> RowBytes {
        let inputs = self.inputs.iter().map(|spec| spec.bytes).collect();
        let outputs = self.outputs.iter().flatten().fold(0, |sum: usize, spec| sum.saturating_add(spec.bytes));
        RowBytes { inputs, outputs }
    }

    /// Whether requests with inputs of these indices and shapes have such rows.
    pub fn fits<'a>(&self, mut inputs: impl ExactSizeIterator<Item = (u16, &'a Shape)>) -> bool {
        inputs.len() == self.inputs.len()
            && inputs.all(|(index, shape)| {
                let spec = self.inputs.get(usize::from(index));
                spec.is_some_and(|spec| shape.dims().get(1..) == Some(spec.inner.dims()))
            })
    }
}

/// A shape with so many rows in the place of its first axis; `None` if it has no axis.
pub fn with_rows(dims: &[i64], rows: usize) -> Option<Shape> {
    let (_, inner) = dims.split_first()?;
    let mut with = Shape::new(&[rows as i64])?;
    inner.iter().try_for_each(|&dim| with.push(dim))?;
    Some(with)
}

/// Rows that all inputs of a request have; `None` if they disagree.
pub fn common_rows<'a>(shapes: impl IntoIterator<Item = &'a Shape>) -> Option<usize> {
    let mut all = shapes.into_iter().map(|shape| shape.dims().first().copied());
    let rows = all.next()??;
    all.all(|other| other == Some(rows)).then(|| usize::try_from(rows).ok())?
}

/// A lane, and what its rows are.
#[derive(Debug)]
pub struct ModelLane {
    /// The lane.
    pub core: Arc<Lane<Request>>,
    /// What its rows look like.
    pub rows: Arc<RowSignature>,
    /// The most rows of a batch, and of a request in it.
    pub rows_max: usize,
    /// Which reactor runs its batches; `None`: the executors do.
    pub reactor: Option<usize>,
}

impl ModelLane {
    /// A lane whose memory is set aside from the pool.
    pub fn new<'m>(
        memory: impl Into<ArenaMemory<'m>>,
        rows: &Arc<RowSignature>,
        plan: &LanePlan,
        reactor: Option<usize>,
    ) -> Result<Arc<ModelLane>, NoLane> {
        let row_bytes: SmallVec<[usize; 4]> = rows.inputs.iter().map(|spec| spec.bytes).collect();
        let layout = Layout::new(plan.arena_rows, &row_bytes).ok_or(NoLane::Layout)?;
        let memory = memory.into();
        let region = || memory.set_aside(layout.arena_bytes()).map(|mapping| Box::new(mapping) as Box<dyn Region>);
        let regions = (0..plan.arenas).map(|_| region()).collect::<Result<Vec<_>, _>>()?;
        let core = Lane::new(layout, regions);
        Ok(Arc::new(ModelLane { core, rows: Arc::clone(rows), rows_max: plan.rows_max, reactor }))
    }
}

/// Why there is no lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLane {
    /// Its rows are too large or too many to have addresses.
    #[error("rows of that size have no place in an arena")]
    Layout,
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] Exhausted),
}

/// The lanes for one row signature.
#[derive(Debug)]
pub struct LaneSet {
    /// What the rows look like.
    pub rows: Arc<RowSignature>,
    /// The lane that executors take from.
    pub shared: Option<Arc<ModelLane>>,
    /// The lanes that reactors run themselves, by reactor; empty if none does.
    pub inline: Vec<Arc<ModelLane>>,
    /// When it was used last, in seconds of whatever clock its users have.
    used: AtomicU64,
}

impl LaneSet {
    /// A set that has just been made.
    pub fn new(
        rows: Arc<RowSignature>,
        shared: Option<Arc<ModelLane>>,
        inline: Vec<Arc<ModelLane>>,
        now: u64,
    ) -> LaneSet {
        LaneSet { rows, shared, inline, used: AtomicU64::new(now) }
    }

    /// The lanes for a request that came to this reactor, the one that it should go to first.
    pub fn lanes_of(&self, reactor: usize, is_inline: bool) -> impl Iterator<Item = &Arc<ModelLane>> {
        let inline = self.inline.get(reactor).filter(|_| is_inline || self.shared.is_none());
        inline.into_iter().chain(&self.shared)
    }

    /// Notes that it is used.
    pub fn touch(&self, now: u64) {
        // Many threads look, one of them writes, once a second.
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// When it was used last.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// All its lanes.
    pub fn lanes(&self) -> impl Iterator<Item = &Arc<ModelLane>> {
        self.shared.iter().chain(&self.inline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_backend_api::Dim;

    #[test]
    fn rows_are_known_if_no_inner_axis_is_dynamic() {
        let spec = |dims: &[Dim]| TensorSpec { name: "t".into(), dtype: DType::Float32, dims: Some(dims.to_vec()) };
        let n = || Dim::Symbol("N".into());
        let fixed = spec(&[n(), Dim::Fixed(3), Dim::Fixed(5)]);
        let open = spec(&[n(), Dim::Any]);
        let signature =
            Signature { inputs: vec![fixed.clone()], outputs: vec![fixed.clone(), open.clone()], variadic: false };
        let bytes = |outputs: &[Option<Shape>]| RowSignature::fixed(&signature, outputs).unwrap().bytes();
        // 3 · 5 · 4 B; and 7 · 4 B more that only a run has shown.
        let shown = [Shape::new(&[3, 5]), Shape::new(&[7])];
        assert_eq!(bytes(&shown), RowBytes { inputs: vec![60], outputs: 88 });
        assert_eq!(bytes(&[Shape::new(&[3, 5]), None]), RowBytes { inputs: vec![60], outputs: 60 });
        let otherwise = [Shape::new(&[2, 5]), None];
        assert_eq!(bytes(&otherwise).outputs, 40, "what a run has shown counts for more than what is said");
        let signature = Signature { inputs: vec![fixed, open], ..signature };
        assert!(RowSignature::fixed(&signature, &shown).is_none());
    }
}

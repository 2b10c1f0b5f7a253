//! One model as it is served: what its framework says of it, and what clients are told, written once at load.

use crate::batching::Batching;
use crate::cost::Cost;
use crate::pages;
use crate::settings::ModelSettings;
use graphpipe_schema::metadata::{Io, Metadata};
use graphpiped_backend_api::{Model, Signature, TensorSpec};
use graphpiped_backend_isolated::Isolated;
use graphpiped_transport::counters::Counter;
use std::sync::Arc;

/// The name that metadata gives the server.
pub const SERVER: &str = "graphpiped";
/// The version that metadata gives the server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A model that is open.
pub struct Served {
    /// How it is served.
    pub settings: ModelSettings,
    /// The framework's side of it.
    pub model: Arc<dyn Model>,
    /// The same, if it has a process of its own.
    pub isolated: Option<Arc<Isolated>>,
    /// How requests for it are run together, if they may be.
    pub batching: Option<Batching>,
    /// What a run costs.
    pub cost: Arc<Cost>,
    /// What its executors and the reactors count.
    pub counters: ModelCounters,
    /// The answer to a metadata request.
    pub metadata: Arc<[u8]>,
    /// The answer to a GET.
    pub page: String,
}

/// What is counted per model.
#[derive(Debug, Default)]
pub struct ModelCounters {
    /// Requests that were admitted.
    pub requests: Counter,
    /// Runs that failed, for whatever reason.
    pub failures: Counter,
    /// Runs in which the framework's code panicked.
    pub panics: Counter,
    /// Requests refused because the queue was full.
    pub busy: Counter,
    /// Requests whose deadline passed before there was an answer.
    pub late: Counter,
    /// Requests that were not run, or not to their end, because their client had gone.
    pub gone: Counter,
    /// Nanoseconds of runs, on executors and reactors.
    pub run_nanoseconds: Counter,
    /// Bytes of tensors moved because they were not aligned for their type.
    pub copied_align: Counter,
    /// Bytes of strings, which frameworks take and give by value.
    pub copied_strings: Counter,
    /// Bytes of outputs of requests that were run in slices by a framework that does not write where it is told.
    pub copied_slices: Counter,
    /// Bytes of inputs and outputs of a framework that copies them, because its interface knows no other way.
    pub copied_framework: Counter,
}

impl Served {
    /// A model that has been opened with these settings; `all` are the names of all models that are served.
    pub fn new(settings: ModelSettings, model: Arc<dyn Model>, batching: Option<Batching>, all: &[String]) -> Served {
        let batch_rows_max = batching.as_ref().map_or(0, |batching| batching.rows_max as u32);
        let metadata = metadata(&settings, model.signature(), all, batch_rows_max);
        let page = pages::metadata_page(&metadata, model.signature());
        let message = metadata.write().into();
        let cost = batching.as_ref().map_or_else(Arc::default, |batching| Arc::clone(&batching.cost));
        Served {
            settings,
            model,
            isolated: None,
            batching,
            cost,
            counters: ModelCounters::default(),
            metadata: message,
            page,
        }
    }

    /// What clients call it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        self.model.signature()
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn metadata(settings: &ModelSettings, signature: &Signature, all: &[String], batch_rows_max: u32) -> Metadata {
    let ios = |specs: &[TensorSpec]| specs.iter().map(io).collect();
    let kind = settings.source.backend.map_or(String::new(), |backend| format!("{} ", backend.as_str()));
    Metadata {
        name: settings.name.clone(),
        version: VERSION.into(),
        server: SERVER.into(),
        description: format!("{kind}model, served by {SERVER}"),
        inputs: ios(&signature.inputs),
        outputs: ios(&signature.outputs),
        models: all.to_vec(),
        batch_rows_max,
    }
}

fn io(spec: &TensorSpec) -> Io {
    // The symbols of dynamic axes are for people; the shape has -1 there.
    Io { name: spec.name.clone(), description: spec.to_string(), shape: spec.metadata_shape(), dtype: spec.dtype }
}

//! From model files to models that can be served: opened, tried, and given their part of the memory.

use crate::batching::Batching;
use crate::check::batch_axis;
use crate::isolation::ArenaMemory;
use crate::lane_maker::Candidate;
use crate::model::Served;
use crate::open::{Backends, Opened, open};
use crate::plan::{MemoryPlan, ROWS_MAX_DEFAULT};
use crate::probe::{Probed, Verdict, Wanted, probe};
use crate::settings::{ModelSettings, Settings};
use graphpiped_backend_api::Model;
use graphpiped_backend_isolated::Isolated;
use graphpiped_memory::Pool;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// A model that is open, and what was found out about its batching.
pub struct Loaded {
    /// How it is to be served.
    pub settings: ModelSettings,
    model: Arc<dyn Model>,
    isolated: Option<Arc<Isolated>>,
    probed: Probed,
}

/// Opens all models, and tries whether they may be batched.
pub async fn open_all(settings: &Settings, pool: &Pool) -> Result<Vec<Loaded>, String> {
    let backends = Backends::new(&settings.places, pool.clone()).on(settings.cpus.clone());
    let mut models = Vec::new();
    for model in &settings.models {
        let opened = open(&backends, model).await?;
        let (probed, opened) = try_batching(model, opened).await?;
        let mut settings = model.clone();
        settings.source.backend = Some(opened.backend);
        show_model(&settings, &opened, &probed);
        let Opened { model, isolated, .. } = opened;
        models.push(Loaded { settings, model, isolated, probed });
    }
    Ok(models)
}

/// Runs the model a few times, on a thread that may block.
async fn try_batching(settings: &ModelSettings, opened: Opened) -> Result<(Probed, Opened), String> {
    if opened.model.is_cheap() {
        return Ok((Probed::not("a run costs nothing".into()), opened));
    }
    let (model, mode, name) = (opened.model.clone(), settings.batch, settings.name.clone());
    let rows_max = settings.max_batch.unwrap_or(ROWS_MAX_DEFAULT);
    let wanted = Wanted { rows_max, is_said: settings.max_batch.is_some() };
    let probed = tokio::task::spawn_blocking(move || probe(&*model, mode, wanted, Instant::now)).await;
    let probed = probed.map_err(|error| format!("model \"{name}\": the trial of its batching ended: {error}"))?;
    Ok((probed.map_err(|why| format!("model \"{name}\": {why}"))?, opened))
}

fn show_model(settings: &ModelSettings, opened: &Opened, probed: &Probed) {
    let ModelSettings { name, source, intra_threads, instances, queue_max, .. } = settings;
    let signature = opened.model.signature();
    let list = |specs: &[_]| specs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let options: Vec<_> =
        opened.model.effective_options().iter().map(|(key, value)| format!("{key}={value}")).collect();
    info!(
        model = %name,
        %source,
        file_bytes = opened.file_bytes,
        inputs = %list(&signature.inputs),
        outputs = %list(&signature.outputs),
        batch_axis = %batch_axis(signature),
        instances,
        intra_threads,
        queue_max,
        options = %options.join(" "),
        "model opened"
    );
    if let Verdict::Not { why } = &probed.verdict {
        info!(model = %name, why, "not batched: each request runs alone");
    }
}

/// The models with their batching, and the memory plan that it follows.
pub fn batch_all(
    settings: &Settings,
    pool: &Pool,
    loaded: Vec<Loaded>,
) -> Result<(Vec<Arc<Served>>, MemoryPlan), String> {
    let names: Vec<_> = loaded.iter().map(|loaded| loaded.settings.name.clone()).collect();
    let candidate = |loaded: &Loaded| {
        let is_batched = loaded.probed.verdict == Verdict::Batched;
        is_batched.then(|| Candidate::new(settings, &loaded.settings, &*loaded.model, &loaded.probed))
    };
    let candidates: Vec<_> = loaded.iter().map(candidate).collect();
    let planned = loaded.iter().zip(&candidates);
    let planned = planned.filter_map(|(loaded, candidate)| Some(candidate.as_ref()?.model_rows(&loaded.settings)));
    let plan = MemoryPlan::new(settings.memory_bytes, settings.io_threads, &planned.collect::<Vec<_>>());
    info!("{plan}");
    let (mut served, mut position) = (Vec::new(), 0);
    for (loaded, candidate) in loaded.into_iter().zip(candidates) {
        let mut batching = None;
        if let Some(candidate) = candidate {
            let lanes = plan.at_start(position);
            position += 1;
            let memory = ArenaMemory { pool, isolated: loaded.isolated.as_deref() };
            let made = candidate.batching(memory, &loaded.settings, lanes, settings.io_threads);
            batching = made.map_err(|why| format!("model \"{}\": no lane: {why}", loaded.settings.name))?;
            if let Some(batching) = &batching {
                show_batching(&loaded, batching);
            } else {
                warn!(model = loaded.settings.name, "not batched: --memory is too little for two batches of one row");
            }
        }
        let Loaded { settings, model, isolated, .. } = loaded;
        served.push(Arc::new(Served { isolated, ..Served::new(settings, model, batching, &names) }));
    }
    Ok((served, plan))
}

fn show_batching(loaded: &Loaded, batching: &Batching) {
    let Loaded { settings: ModelSettings { name: model, max_batch, .. }, probed, .. } = loaded;
    let (fixed_us, row_us) = batching.cost.known().map_or((0.0, 0.0), |(a, b)| (a / 1e3, b / 1e3));
    let (rows_max, inline, linger) = (batching.rows_max, batching.inline, batching.linger);
    info!(model, rows_max, fixed_us, row_us, may_run_on_reactors = inline, ?linger, "batched");
    let wanted = max_batch.unwrap_or(ROWS_MAX_DEFAULT);
    if rows_max == probed.rows_compared && rows_max < wanted {
        info!(
            model,
            rows_max,
            wanted,
            "its batches are no longer than its trial: there was no time or memory for more; with --max-batch its start takes \
             more time"
        );
    }
}

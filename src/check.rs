//! `graphpiped check PATH`: opens a model as `serve` would, says what would be served, and ends.

use crate::cli::{BatchMode, CheckArgs};
use crate::machine;
use crate::open::{Backends, Opened, open, template};
use crate::plan::ROWS_MAX_DEFAULT;
use crate::probe::{Probed, Verdict, Wanted, probe as probe_batching};
use crate::settings::{Machine, ModelSettings, Settings};
use crate::source::Source;
use crate::units::ByteSize;
use graphpiped_backend_api::{Dim, Signature};
use graphpiped_memory::Pool;
use graphpiped_transport::probe::probe;
use std::fmt::Write;
use std::time::Instant;

/// What would be served, in lines.
pub fn check(args: CheckArgs) -> Result<String, String> {
    let settings = Settings::resolve(args.into_options(), None, &Machine::detect())?;
    // tokio-uring panics where there is no io_uring; this says why there is none.
    probe().map_err(|unavailable| unavailable.to_string())?;
    let backends = Backends::new(&settings.places, Pool::new(settings.memory_bytes));
    let before = machine::resident_bytes();
    let model = &settings.models[0];
    let opened = tokio_uring::start(open(&backends, model)).inspect_err(|_| show_template(&backends, model))?;
    // An instance may need what opening did not.
    opened.model.instance().map_err(|error| error.to_string())?;
    let wanted = Wanted { rows_max: ROWS_MAX_DEFAULT, is_said: false };
    let probed = probe_batching(&*opened.model, BatchMode::Auto, wanted, Instant::now)?;
    let grown = machine::resident_bytes().zip(before).map(|(after, before)| after.saturating_sub(before));
    // What a process of its own takes does not show in this one.
    let grown = grown.filter(|_| opened.isolated.is_none());
    Ok(describe(&settings, &opened, &probed, grown))
}

/// Prints what is to be put beside a model that cannot be opened without it; what is wrong goes to the standard error, so that
/// `graphpiped check model.pt > model.toml` begins the file.
fn show_template(backends: &Backends, settings: &ModelSettings) {
    match tokio_uring::start(template(backends, settings)) {
        Some(Ok(text)) => print!("{text}"),
        Some(Err(why)) => eprintln!("graphpiped: no template: {why}"),
        None => {}
    }
}

fn describe(settings: &Settings, opened: &Opened, probed: &Probed, grown: Option<u64>) -> String {
    let ModelSettings { name, source, intra_threads, instances, .. } = &settings.models[0];
    let signature = opened.model.signature();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key:<12} {value}");
    };
    let source = Source { backend: Some(opened.backend), path: source.path.clone() };
    line("model", &format!("{name} ({source})"));
    for spec in &signature.inputs {
        line("input", &spec.to_string());
    }
    for spec in &signature.outputs {
        line("output", &spec.to_string());
    }
    if signature.variadic {
        line("", "(an example: any number of tensors of any type and shape is taken, and given back)");
    }
    line("batch axis", &batch_axis(signature));
    line("batched", &batched(probed));
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (runs, threads) = (plural(*instances, "run"), plural(*intra_threads, "thread"));
    line("threads", &format!("{runs} at the same time, {threads} in each"));
    let grown = grown.map_or("an unknown amount".into(), |bytes| ByteSize(bytes).to_string());
    let (file, budget) = (ByteSize(opened.file_bytes), ByteSize(settings.memory_bytes));
    line(
        "memory",
        &format!("{grown} for the framework and the model (it has {file} of files), {budget} for requests and outputs"),
    );
    for (key, value) in opened.model.effective_options() {
        line("option", &format!("{key}={value}"));
    }
    text
}

/// Whether requests would be run together, and what runs have cost in the trial.
fn batched(probed: &Probed) -> String {
    if let Verdict::Not { why } = &probed.verdict {
        return format!("no: {why}");
    }
    let costs = probed.costs.iter().map(|(rows, took)| {
        format!("{rows} row{} in {:.1} us", if *rows == 1 { "" } else { "s" }, took.as_secs_f64() * 1e6)
    });
    format!("yes ({})", costs.collect::<Vec<_>>().join(", "))
}

/// The axis along which requests could be put together, and what the model calls it.
pub fn batch_axis(signature: &Signature) -> String {
    let Some(axis) = signature.batch_axis() else { return "none".into() };
    let mut dims = signature.inputs.iter().chain(&signature.outputs).filter_map(|spec| spec.dims.as_deref()?.get(axis));
    match dims.find_map(|dim| if let Dim::Symbol(name) = dim { Some(name) } else { None }) {
        Some(name) => format!("{axis} ({name})"),
        None => axis.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> CheckArgs {
        CheckArgs {
            path: path.parse().unwrap(),
            backend: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            signature: None,
            trust_native: None,
            intra_threads: None,
            isolation: None,
            runtime: None,
            onnxruntime: None,
        }
    }

    #[test]
    fn what_the_echo_backend_takes_is_said() {
        let args = CheckArgs { intra_threads: Some(2), ..of("echo:") };
        let text = check(args).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "model        echo (echo:)");
        assert!(lines.contains(&"batch axis   none"), "{text}");
        assert!(text.contains("\nbatched      no: "), "{text}");
        assert!(text.contains("2 threads in each"), "{text}");
    }

    #[test]
    fn a_model_that_is_not_there_is_named() {
        assert!(check(of("/nowhere/m.onnx")).unwrap_err().starts_with("/nowhere/m.onnx: there is no such file"));
    }
}

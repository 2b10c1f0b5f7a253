//! Opening models: the file is looked at through tokio-uring, its format tells the backend if nobody did, and then the
//! framework opens it, on a thread that may block.

use crate::cli::IsolationMode;
use crate::cores::CpuList;
use crate::faults;
use crate::isolation::{Budgeted, HostProgram};
use crate::places::{Framework, Places};
use crate::settings::ModelSettings;
use crate::source::{BackendName, Source};
use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use graphpiped_backend_caffe2::Caffe2Backend;
use graphpiped_backend_echo::EchoBackend;
use graphpiped_backend_isolated::Isolated;
use graphpiped_backend_library::environment::set_before_threads;
use graphpiped_backend_mxnet::{MxnetBackend, WANTED as MXNET};
use graphpiped_backend_onnx::{OnnxBackend, WANTED as ONNX};
use graphpiped_backend_tensorflow::{TensorflowBackend, WANTED as TENSORFLOW};
use graphpiped_backend_torch::{TorchBackend, WANTED as TORCH};
use graphpiped_memory::Pool;
use graphpiped_model_format::{Format, model_bytes, recognise};
use rustix::fs::FileType;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Sets the variables that frameworks read when they are loaded, where nobody has said otherwise. To be called first in
/// `main`: with a second thread nothing is set.
pub fn prepare_process() {
    set_before_threads(&[&graphpiped_backend_mxnet::ENVIRONMENT[..], &graphpiped_backend_torch::ENVIRONMENT].concat());
}

/// The frameworks, none of them loaded yet.
#[derive(Clone)]
pub struct Backends {
    list: Vec<(BackendName, Arc<dyn Backend>)>,
    host: HostProgram,
}

impl Backends {
    /// The frameworks that this build has, and where their libraries are looked for when the first model needs one. What models
    /// in processes of their own need for a run is counted in the pool.
    pub fn new(places: &Places, pool: Pool) -> Backends {
        let onnx = places.locations(Framework::Onnx, &ONNX);
        let mxnet = places.locations(Framework::Mxnet, &MXNET);
        let tensorflow = places.locations(Framework::Tensorflow, &TENSORFLOW);
        let torch = places.locations(Framework::Torch, &TORCH);
        let list: Vec<(BackendName, Arc<dyn Backend>)> = vec![
            (BackendName::Echo, Arc::new(EchoBackend)),
            (BackendName::Caffe2, Arc::new(Caffe2Backend::new(onnx.clone()))),
            (BackendName::Mxnet, Arc::new(MxnetBackend::new(mxnet))),
            (BackendName::Onnx, Arc::new(OnnxBackend::new(onnx))),
            (BackendName::Tensorflow, Arc::new(TensorflowBackend::new(tensorflow))),
            (BackendName::Torch, Arc::new(TorchBackend::new(torch))),
        ];
        Backends { list, host: HostProgram { places: places.clone(), cpus: None, pool } }
    }

    /// The same, whose models run on these cores where they have processes of their own.
    #[must_use]
    pub fn on(mut self, cpus: Option<CpuList>) -> Backends {
        self.host.cpus = cpus;
        self
    }

    /// The framework of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<Arc<dyn Backend>> {
        let found = self.list.iter().find(|(backend, _)| backend.as_str() == name);
        found.map(|(_, backend)| Arc::clone(backend))
    }

    fn get(&self, name: BackendName) -> Result<Arc<dyn Backend>, String> {
        let found = self.list.iter().find(|(other, _)| *other == name);
        let absent = || format!("this build has no {} backend; export the model to ONNX", name.as_str());
        found.map(|(_, backend)| Arc::clone(backend)).ok_or_else(absent)
    }
}

/// The backend for a format.
fn backend_of(format: Format) -> BackendName {
    match format {
        Format::Onnx => BackendName::Onnx,
        Format::SavedModel | Format::GraphDef => BackendName::Tensorflow,
        Format::TorchScript | Format::AotInductor => BackendName::Torch,
        Format::MxNet => BackendName::Mxnet,
        Format::Caffe2 => BackendName::Caffe2,
    }
}

/// A model that was opened, and what its files weigh.
pub struct Opened {
    /// The model.
    pub model: Arc<dyn Model>,
    /// The same, if it has a process of its own.
    pub isolated: Option<Arc<Isolated>>,
    /// The backend that has opened it.
    pub backend: BackendName,
    /// Bytes of its files; 0 if it has none.
    pub file_bytes: u64,
}

/// Opens a model. Must run inside of a tokio-uring runtime.
pub async fn open(backends: &Backends, settings: &ModelSettings) -> Result<Opened, String> {
    let Source { backend, path } = settings.source.clone();
    let at_path = |why| format!("{}: {why}", path.display());
    let file_bytes = match backend {
        Some(BackendName::Echo) => 0,
        _ => file_bytes(&path).await.map_err(at_path)?,
    };
    let name = match backend {
        Some(name) => name,
        None => backend_of(blocking(&path, recognise).await?),
    };
    let backend = backends.get(name).map_err(at_path)?;
    let place = path.display().to_string();
    let options = options(settings);
    let isolation = (settings.isolation == IsolationMode::Process)
        .then(|| (settings.name.clone(), backends.host.launch(&settings.name), Budgeted(backends.host.pool.clone())));
    let open = move || match isolation {
        None => backend.open(&path, &options).map(|model| (model, None)),
        Some((model, launch, budget)) => {
            let isolated = Isolated::open(&model, name.as_str(), &path, &options, launch, Arc::new(budget))?;
            Ok((Arc::clone(&isolated) as Arc<dyn Model>, Some(isolated)))
        }
    };
    let opened = tokio::task::spawn_blocking(move || faults::guarded(open)).await;
    let panicked = |message| format!("{place}: {} panicked when it opened the model: {message}", name.as_str());
    let opened = opened.map_err(|error| error.to_string()).and_then(|opened| opened).map_err(panicked)?;
    let (model, isolated) = opened.map_err(|error: OpenError| error.to_string())?;
    Ok(Opened { model, isolated, backend: name, file_bytes })
}

/// What is to be put beside a model that cannot be opened without it. Must run inside of a tokio-uring runtime.
pub async fn template(backends: &Backends, settings: &ModelSettings) -> Option<Result<String, String>> {
    let Source { backend, path } = settings.source.clone();
    let name = match backend {
        Some(name) => name,
        None => backend_of(blocking(&path, recognise).await.ok()?),
    };
    let (backend, options) = (backends.get(name).ok()?, options(settings));
    let written = tokio::task::spawn_blocking(move || faults::guarded(|| backend.template(&path, &options))).await;
    written.ok()?.ok()?.map(|written| written.map_err(|error| error.to_string()))
}

/// What the backend is told of how to open the model.
fn options(settings: &ModelSettings) -> Options {
    Options {
        intra_threads: settings.intra_threads,
        inputs: settings.inputs.clone(),
        outputs: settings.outputs.clone(),
        signature: settings.signature.clone(),
        trust_native: settings.trust_native,
        is_isolated: settings.isolation == IsolationMode::Process,
    }
}

/// The size of a model: of a file that can be read and has something in it, or of what is in a folder or begins with a prefix.
/// What it should be is the framework's to say.
async fn file_bytes(path: &Path) -> Result<u64, String> {
    // Before it is opened: a pipe without a writer would keep whoever opens it for ever.
    match tokio_uring::fs::statx(path).await {
        Ok(status) => match FileType::from_raw_mode(status.stx_mode.into()) {
            FileType::RegularFile => can_be_read(path).await?,
            FileType::Directory => {}
            _ => return Err("it is not a regular file, but a pipe, a socket or a device; name the model's file".into()),
        },
        // It may be the prefix of files.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot_open(&error)),
    }
    blocking(path, |path| model_bytes(path).map_err(|error| cannot_open(&error))).await
}

/// Looks at a path on a thread that may block.
async fn blocking<T: Send + 'static>(
    path: &Path,
    look: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let path = path.to_path_buf();
    tokio::task::spawn_blocking(move || look(&path)).await.map_err(|error| error.to_string())?
}

async fn can_be_read(path: &Path) -> Result<(), String> {
    let file = tokio_uring::fs::File::open(path).await.map_err(|error| cannot_open(&error))?;
    // Awaited to the end, as every read of tokio-uring has to be: a dropped one would go on behind our back.
    let (read, _first) = file.read_at(Vec::with_capacity(FIRST_BYTES), 0).await;
    file.close().await.map_err(|error| format!("the file cannot be closed: {error}"))?;
    match read {
        Ok(0) => Err("the file is empty; check how it was made or copied".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the file cannot be read: {error}; check the disk it is on")),
    }
}

fn cannot_open(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file; check the path of the model".into(),
        ErrorKind::PermissionDenied => "the file may not be read; check its permissions".into(),
        _ => format!("the file cannot be opened: {error}"),
    }
}

/// Enough to see that there is something to read.
const FIRST_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(path: &Path) -> Result<u64, String> {
        tokio_uring::start(file_bytes(path))
    }

    #[test]
    fn a_file_has_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, [8; 1000]).unwrap();
        assert_eq!(bytes_of(&path), Ok(1000));
    }

    #[test]
    fn a_folder_and_a_prefix_have_the_size_of_their_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m-symbol.json"), [b'{'; 10]).unwrap();
        std::fs::write(folder.path().join("m-0007.params"), [1; 100]).unwrap();
        assert_eq!(bytes_of(folder.path()), Ok(110));
        assert_eq!(bytes_of(&folder.path().join("m")), Ok(110));
    }

    #[test]
    fn what_cannot_be_a_model_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.onnx");
        std::fs::write(&empty, "").unwrap();
        assert!(bytes_of(&empty).unwrap_err().contains("the file is empty"));
        assert!(bytes_of(&folder.path().join("none")).unwrap_err().contains("there is no such file"));
    }
}

//! A model in another process, as the daemon sees it.

use crate::budget::Budget;
use crate::instance::IsolatedInstance;
use crate::life::Life;
use crate::process::Launch;
use crate::wire::control::Opened;
use graphpiped_backend_api::{Instance, Model, OpenError, Options, Signature};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread::Builder;

/// A model that is open in a process of its own. When it ends, the next one is started.
pub struct Isolated {
    owner: Arc<Owner>,
    opened: Opened,
}

/// Dropped by the last of the model and its instances: nobody needs a process then.
pub(crate) struct Owner(pub Arc<Life>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Isolated {
    /// Opens the model at `path` with the backend of this name, in a process that `launch` starts; `name` is what clients
    /// call it. What a run needs beyond [`AREAS_BYTES_MAX`](crate::AREAS_BYTES_MAX) of each instance is counted in `budget`. May
    /// take seconds.
    pub fn open(
        name: &str,
        backend: &str,
        path: &Path,
        options: &Options,
        launch: Box<dyn Launch>,
        budget: Arc<dyn Budget>,
    ) -> Result<Arc<Isolated>, OpenError> {
        let life = Arc::new(Life::new(name, backend, path.to_path_buf(), options.clone(), launch, budget));
        let owner = Arc::new(Owner(Arc::clone(&life)));
        let (first, opened) = channel();
        let no_thread = |why: String| OpenError::Machine(format!("{}: {why}", path.display()));
        let thread = Builder::new().name(format!("host-{name}")).spawn(move || life.watch(&first));
        thread
            .map_err(|error| no_thread(format!("no thread for its process: {error}; raise LimitNPROC or ulimit -u")))?;
        let opened = opened.recv().map_err(|_| no_thread("the thread for its process has ended".into()))??;
        Ok(Arc::new(Isolated { owner, opened }))
    }

    /// Lets its processes read an arena, which begins at this address and has so many bytes, until what this returns is
    /// dropped. Inputs of runs that lie in it are not copied. Nobody but the daemon may be able to write it.
    pub fn share(&self, descriptor: OwnedFd, address: usize, bytes: usize) -> Box<dyn Send + Sync> {
        let life = Arc::clone(&self.owner.0);
        let arena = life.share(descriptor, address, bytes);
        Box::new(Shared { life, arena })
    }

    /// Counts the starts and ends of its processes: odd while one is up.
    pub fn epoch(&self) -> u64 {
        self.owner.0.epoch()
    }

    /// Whether a process is up.
    pub fn is_up(&self) -> bool {
        !self.epoch().is_multiple_of(2)
    }

    /// Starts of processes after the first one.
    pub fn restarts(&self) -> u64 {
        self.owner.0.restarts.load(Ordering::Relaxed)
    }

    /// Bytes of tensors that were copied on their way to and from its processes.
    pub fn copied_bytes(&self) -> u64 {
        self.owner.0.copied.load(Ordering::Relaxed)
    }
}

impl Model for Isolated {
    fn signature(&self) -> &Signature {
        &self.opened.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        let own = [("isolation".to_string(), "process".to_string())];
        self.opened.options.iter().cloned().chain(own).collect()
    }

    /// A run waits for the process, which may just end.
    fn may_block(&self) -> bool {
        true
    }

    /// A framework that copies does so in its process as well.
    fn copies(&self) -> bool {
        self.opened.copies
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        IsolatedInstance::open(&self.owner).map(|instance| Box::new(instance) as Box<dyn Instance>)
    }
}

impl std::fmt::Debug for Isolated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Isolated")
            .field("model", &self.owner.0.name)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

/// An arena that processes read.
struct Shared {
    life: Arc<Life>,
    arena: u64,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.life.unshare(self.arena);
    }
}

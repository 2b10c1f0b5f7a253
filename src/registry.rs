//! All models by name, the default one, and the queue in front of each.
//!
//! A registry does not change after start-up. When its last owner drops it, the queues close, and the executors end when
//! they have emptied them.

use crate::admission::quoted;
use crate::model::Served;
use crate::queue::ModelQueue;
use graphpipe_schema::Code;
use graphpiped_transport::service::{Refusal, Route};
use std::sync::Arc;

/// The models that are served; the first one is the default.
#[derive(Debug)]
pub struct Registry {
    entries: Vec<Entry>,
}

/// A model and its queue.
#[derive(Debug)]
pub struct Entry {
    /// The model.
    pub served: Arc<Served>,
    /// Where its requests wait for an executor; full = busy.
    pub queue: Arc<ModelQueue>,
}

impl Entry {
    /// The refusal of a request for which there is no room in the queue; counted.
    pub fn busy(&self) -> Refusal {
        self.served.counters.busy.add(1);
        let (name, queue_max) = (self.served.name(), self.served.settings.queue_max);
        Refusal::new(Code::Busy, format!("{queue_max} requests wait for model \"{name}\" already (--queue-max)"))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What stands before a model's name in a path.
const MODELS_PATH: &str = "/models/";

impl Registry {
    /// A registry of these models, at least one.
    pub fn new(entries: Vec<Entry>) -> Registry {
        assert!(!entries.is_empty(), "settings without a model are refused");
        Registry { entries }
    }

    /// All models, the default one first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The model of a request: the one that its path names, else the one that its message names, else the default.
    pub fn route(&self, route: Route<'_>, model: &[u8], version: &[u8]) -> Result<usize, Refusal> {
        let path = match route {
            Route::Native => None,
            Route::Http(path) => named_by(path),
        };
        let index = match path {
            None if model.is_empty() => 0,
            None => self.find(model)?,
            Some(name) if model.is_empty() || model == name.as_bytes() => self.find(name.as_bytes())?,
            Some(name) => {
                let message = format!("the path names model \"{name}\", the message names {}", quoted(model));
                return Err(Refusal::new(Code::UnknownModel, message));
            }
        };
        if version.is_empty() {
            return Ok(index);
        }
        let name = self.entries[index].served.name();
        let message = format!("model \"{name}\" has no versions, so not {} either; leave it empty", quoted(version));
        Err(Refusal::new(Code::UnknownModel, message))
    }

    fn find(&self, name: &[u8]) -> Result<usize, Refusal> {
        let position = self.entries.iter().position(|entry| entry.served.name().as_bytes() == name);
        position.ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.served.name()).collect();
            let message = format!("unknown model {}; these are served: {}", quoted(name), names.join(", "));
            Refusal::new(Code::UnknownModel, message)
        })
    }
}

/// The model that a path names. Any other path is the default model's, as it has always been with GraphPipe.
fn named_by(path: &str) -> Option<&str> {
    let name = path.strip_prefix(MODELS_PATH)?;
    Some(name.strip_suffix('/').unwrap_or(name)).filter(|name| !name.is_empty())
}

//! What the transport asks of the daemon: memory for a request, then a reply to it.
//!
//! One service belongs to one reactor, and is called by its thread only. Requests for models that cost less than handing
//! them over run here, in the middle of a commit; the others go into their model's queue. Full is an answer.

use crate::daemon::Daemon;
use crate::executor::{Job, late};
use crate::pages;
use crate::receive::{self, Context, Received};
use crate::registry::Entry;
use crate::run::run;
use crossbeam::channel::TrySendError;
use graphpipe_schema::Code;
use graphpipe_schema::reader::{InferRequest, MetadataRequest, Window};
use graphpiped_backend_api::{Instance, OpenError};
use graphpiped_transport::service::{Claim, Page, Refusal, Reply, Route, Service, Ticket};
use std::sync::Arc;
use std::time::Instant;

/// The service of one reactor.
pub struct ReactorService {
    daemon: Arc<Daemon>,
    reactor: usize,
    /// An instance per model that runs on the reactor itself, by model.
    inline: Vec<Option<Box<dyn Instance>>>,
}

impl ReactorService {
    /// The service of the `reactor`-th reactor. Models that run inline get an instance each.
    pub fn new(daemon: Arc<Daemon>, reactor: usize) -> Result<ReactorService, OpenError> {
        let instance = |entry: &Entry| {
            let model = &entry.served.model;
            model.is_cheap().then(|| model.instance()).transpose()
        };
        let inline = daemon.registry.entries().iter().map(instance).collect::<Result<_, _>>()?;
        Ok(ReactorService { daemon, reactor, inline })
    }

    /// Runs a request here, or sends it to an executor.
    fn dispatch(&mut self, ticket: Ticket, received: Received) -> Option<Reply> {
        let Received { model, deadline, work } = received;
        let entry = &self.daemon.registry.entries()[model];
        entry.served.counters.requests.add(1);
        if !entry.served.model.is_cheap() {
            return self.send(entry, Job { ticket, reactor: self.reactor, deadline, work });
        }
        // The clock is dear beside a cheap run, so it is only asked for those who have a deadline.
        if deadline.is_some()
            && let Some(refusal) = late(&entry.served, deadline, Instant::now())
        {
            return Some(Reply::Refused(refusal));
        }
        Some(run(&entry.served, &mut self.inline[model], &self.daemon.pool, &work))
    }

    fn send(&self, entry: &Entry, job: Job) -> Option<Reply> {
        let returns = &self.daemon.returns[self.reactor];
        if !returns.depart() {
            let message = format!("{} requests of this reactor wait for executors already", returns.capacity());
            return Some(busy(entry, message));
        }
        match entry.queue.try_send(job) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => {
                returns.stay();
                let (name, queue_max) = (entry.served.name(), entry.served.settings.queue_max);
                Some(busy(entry, format!("{queue_max} requests wait for model \"{name}\" already (--queue-max)")))
            }
            Err(TrySendError::Disconnected(_)) => {
                returns.stay();
                Some(Reply::Refused(Refusal::shutting_down()))
            }
        }
    }
}

fn busy(entry: &Entry, message: String) -> Reply {
    entry.served.counters.busy.add(1);
    Reply::Refused(Refusal::new(Code::Busy, message))
}

impl Service for ReactorService {
    type Context = Context;

    fn claim(&mut self, route: Route<'_>, request: &InferRequest<'_>, length: u32) -> Result<Claim<Context>, Refusal> {
        receive::claim(&self.daemon, route, request, length)
    }

    fn claim_message(&mut self, _route: Route<'_>, length: u32) -> Result<Claim<Context>, Refusal> {
        receive::claim_message(&self.daemon, length)
    }

    fn commit(&mut self, ticket: Ticket, route: Route<'_>, window: Window<'_>, claim: Claim<Context>) -> Option<Reply> {
        match receive::received(&self.daemon, route, window, claim) {
            Ok(received) => self.dispatch(ticket, received),
            Err(answer) => Some(answer.into()),
        }
    }

    fn metadata(&mut self, route: Route<'_>, request: &MetadataRequest<'_>) -> Reply {
        match receive::metadata(&self.daemon, route, request) {
            Ok(message) => Reply::Message(message),
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn page(&mut self, path: &str) -> Page {
        pages::page(&self.daemon, path)
    }

    fn is_page(&self, path: &str) -> bool {
        pages::whatever_the_method(path)
    }

    fn wants_core(&self) -> bool {
        self.daemon.wants_core()
    }
}

impl std::fmt::Debug for ReactorService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactorService").field("reactor", &self.reactor).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

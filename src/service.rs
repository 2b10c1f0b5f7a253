//! What the transport asks of the daemon: memory for a request, then a reply to it.
//!
//! One service belongs to one reactor, and is called by its thread only. What costs less than handing it over runs here:
//! models that cost nothing in the middle of a commit, cheap batches at the end of the reactor's turn. The rest is for
//! executors. Full is an answer.

use crate::daemon::Daemon;
use crate::inline::InlineBatches;
use crate::pages;
use crate::placement::{Claimed, Placement};
use crate::queue::Job;
use crate::receive::{self, Context, Inputs, Received};
use crate::registry::Entry;
use crate::request::{Request, in_time, late};
use crate::run::{Work, out_of_memory, run};
use graphpipe_schema::Code;
use graphpipe_schema::reader::{InferRequest, MetadataRequest, Window};
use graphpiped_backend_api::{Instance, OpenError};
use graphpiped_memory::Destination;
use graphpiped_transport::service::{Claim, Page, Refusal, Reply, Route, Service, Ticket};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The service of one reactor.
pub struct ReactorService {
    daemon: Arc<Daemon>,
    reactor: usize,
    /// An instance per model that costs nothing, by model.
    cheap: Vec<Option<Box<dyn Instance>>>,
    placement: Placement,
    inline: InlineBatches,
    /// By model: what has been committed for its executors in this turn.
    for_executors: Vec<Unannounced>,
    /// Models of which anything was committed in this turn.
    committed: Vec<usize>,
    /// Whether anything has come in this turn that did not have to wait for a run to end.
    is_useful: bool,
    /// When a turn began before which there was such a thing, for the last time.
    useful: Instant,
    /// When this turn began.
    now: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Unannounced {
    jobs: usize,
    rows: usize,
}

/// Larger requests are gathered by executors: copying them would keep the sockets waiting for more than some microseconds.
const GATHER_HERE_BYTES_MAX: usize = 64 * 1024;

/// For how long after something that did not have to wait a reactor does not rest.
const USEFUL_FOR: Duration = Duration::from_millis(50);

impl ReactorService {
    /// The service of the `reactor`-th reactor. Models that run on it get an instance each.
    pub fn new(daemon: Arc<Daemon>, reactor: usize) -> Result<ReactorService, OpenError> {
        let entries = daemon.registry.entries();
        let instance = |entry: &Entry| {
            let model = &entry.served.model;
            model.is_cheap().then(|| model.instance()).transpose()
        };
        let cheap = entries.iter().map(instance).collect::<Result<_, _>>()?;
        let mut placement = Placement::new(reactor, entries.len(), daemon.inline, daemon.inline_time_max);
        for (model, entry) in entries.iter().enumerate() {
            if let Some(batching) = &entry.served.batching {
                placement.decide(model, batching);
            }
        }
        let (for_executors, committed) =
            (vec![Unannounced::default(); entries.len()], Vec::with_capacity(entries.len()));
        let inline = InlineBatches::new(&daemon)?;
        let now = Instant::now();
        Ok(ReactorService {
            daemon,
            reactor,
            cheap,
            placement,
            inline,
            for_executors,
            committed,
            is_useful: false,
            useful: now,
            now,
        })
    }

    /// Runs a request here, or leaves it where executors or this reactor's turn will find it.
    fn dispatch(&mut self, ticket: Ticket, received: Received) -> Option<Reply> {
        let Received { model, deadline, outputs, inputs } = self.gathered(received);
        let entry = &self.daemon.registry.entries()[model];
        entry.served.counters.requests.add(1);
        if let (Inputs::Alone(work), true) = (&inputs, entry.served.model.is_cheap()) {
            self.is_useful = true;
            return Some(run_here(&self.daemon, entry, &mut self.cheap[model], work, deadline, &outputs));
        }
        if let (Inputs::Alone(work), None, false) = (&inputs, &entry.served.batching, entry.served.model.may_block())
            && self.placement.runs_alone(entry.served.cost.predict(work.rows().unwrap_or(1)))
        {
            self.is_useful = true;
            return Some(self.inline.run_alone(&self.daemon, model, work, deadline, &outputs));
        }
        let way = &self.daemon.returns[self.reactor];
        if !way.depart() {
            let message = format!("{} requests of this reactor wait already", way.capacity());
            return Some(busy(entry, message));
        }
        let request = Request::new(ticket, deadline, outputs, way);
        if self.for_executors[model].is_nothing() && !self.committed.contains(&model) {
            self.committed.push(model);
        }
        self.is_useful |= match &inputs {
            Inputs::Rows(lane, _) => lane.reactor.is_some() || entry.queue.idle() > 0 && !lane.core.has_committed(),
            Inputs::Alone(_) => entry.queue.idle() > 0 && entry.queue.is_empty(),
        };
        match inputs {
            Inputs::Rows(lane, claim) => {
                let rows = claim.rows();
                if let (Some(deadline), Some(batching)) = (deadline, &entry.served.batching)
                    && !batching.linger.is_zero()
                {
                    let run = batching.cost.predict(lane.rows_max).unwrap_or_default();
                    batching.urgent.note(deadline.checked_sub(run).unwrap_or(deadline));
                }
                lane.core.commit(claim, request);
                self.placement.committed(model, rows);
                match lane.reactor {
                    Some(_) => self.inline.committed(model, &lane),
                    None => self.for_executors[model].rows += rows,
                }
                None
            }
            Inputs::Alone(work) => self.queue(model, Job { request, work }),
        }
    }

    /// Tells everybody if a request has found no rows free.
    fn note_shortage(&mut self) {
        // The turn may have begun long ago, with a sleep; the clock is asked on this rare way only.
        if self.placement.take_shortage() && self.daemon.shortage.note(Instant::now()) {
            // Rows may be held by slow senders of any reactor, and those reactors may sleep.
            self.daemon.returns.iter().for_each(|returns| returns.ring());
        }
    }

    /// Copies a small request that was received into memory of its own into rows: cheaper than running it apart.
    fn gathered(&mut self, received: Received) -> Received {
        let served = &self.daemon.registry.entries()[received.model].served;
        let (Inputs::Alone(work), Some(batching)) = (&received.inputs, &served.batching) else { return received };
        if batching.find(&work.shapes()).is_none() {
            if self.placement.may_wish(batching) {
                self.daemon.wishes.wish(received.model, work.shapes());
            }
            return received;
        }
        let rows = work.rows().filter(|_| work.bytes() <= GATHER_HERE_BYTES_MAX);
        let claimed = rows.map(|rows| self.placement.claim(received.model, batching, rows, &work.shapes()));
        let Some(Claimed::Rows(lane, claim)) = claimed else { return received };
        let (claim, copied) = work.copy_into(claim);
        batching.counters.copied_gather.add(copied);
        Received { inputs: Inputs::Rows(lane, claim), ..received }
    }

    fn queue(&mut self, model: usize, job: Job) -> Option<Reply> {
        let entry = &self.daemon.registry.entries()[model];
        match entry.queue.put(job) {
            Ok(()) => {
                self.for_executors[model].jobs += 1;
                None
            }
            Err(job) => {
                job.request.forget();
                Some(Reply::Refused(entry.busy()))
            }
        }
    }

    /// Wakes as many executors as there is work for, and lets models be placed anew.
    fn announce(&mut self) {
        for model in self.committed.drain(..) {
            let entry = &self.daemon.registry.entries()[model];
            let Unannounced { jobs, rows } = std::mem::take(&mut self.for_executors[model]);
            let worthwhile = entry
                .served
                .batching
                .as_ref()
                .map_or(1, |batching| batching.cost.rows_worthwhile().min(batching.rows_max));
            let executors = jobs + rows.div_ceil(worthwhile);
            if executors > 0 {
                entry.queue.announce(executors);
            }
            if let Some(batching) = &entry.served.batching {
                self.placement.decide(model, batching);
            }
        }
    }
}

impl Unannounced {
    fn is_nothing(self) -> bool {
        self.jobs + self.rows == 0
    }
}

/// Runs a request of a model that costs nothing.
fn run_here(
    daemon: &Daemon,
    entry: &Entry,
    instance: &mut Option<Box<dyn Instance>>,
    work: &Work,
    deadline: Option<Instant>,
    outputs: &[u16],
) -> Reply {
    // The clock is dear beside a cheap run, so it is only asked for those who have a deadline.
    if deadline.is_some()
        && let Some(refusal) = late(&entry.served, deadline, Instant::now())
    {
        return Reply::Refused(refusal);
    }
    // Models that are not batched have no slices.
    let reply = run(&entry.served, instance, &daemon.pool, work, outputs, &mut |_| Ok(()));
    in_time(&entry.served, deadline, reply)
}

fn busy(entry: &Entry, message: String) -> Reply {
    entry.served.counters.busy.add(1);
    Reply::Refused(Refusal::new(Code::Busy, message))
}

impl Service for ReactorService {
    type Context = Context;

    fn claim(&mut self, route: Route<'_>, request: &InferRequest<'_>, length: u32) -> Result<Claim<Context>, Refusal> {
        let claim = receive::claim(&self.daemon, &mut self.placement, route, request, length);
        self.note_shortage();
        claim
    }

    fn claim_message(&mut self, _route: Route<'_>, length: u32) -> Result<Claim<Context>, Refusal> {
        receive::claim_message(&self.daemon, length)
    }

    fn commit(&mut self, ticket: Ticket, route: Route<'_>, window: Window<'_>, claim: Claim<Context>) -> Option<Reply> {
        match receive::received(&self.daemon, route, window, claim) {
            Ok(received) => {
                let reply = self.dispatch(ticket, received);
                self.note_shortage();
                reply
            }
            Err(answer) => Some(answer.into()),
        }
    }

    fn turn(&mut self, now: Instant, replies: &mut dyn FnMut(Ticket, Reply)) -> bool {
        self.placement.begin(now);
        self.now = now;
        if std::mem::take(&mut self.is_useful) {
            self.useful = now;
        }
        self.announce();
        self.inline.run_one(&self.daemon, replies)
    }

    fn gone(&mut self, connection: u32, generation: u32) {
        self.daemon.returns[self.reactor].gone(connection, generation);
    }

    fn patience(&self) -> Option<Duration> {
        self.daemon.shortage.patience(Instant::now, || InlineBatches::longest(&self.daemon))
    }

    fn set_apart(&mut self, mut destination: Destination, arrived: &[Range<usize>]) -> Result<Destination, Refusal> {
        let reserved = self.daemon.pool.reserve(destination.len());
        let mut buffer = reserved.map_err(|error| out_of_memory("the request", &error))?;
        for range in arrived {
            buffer.as_mut_slice()[range.clone()].copy_from_slice(destination.slice_mut(range.clone()));
            self.daemon.copied_apart.add(range.len() as u64);
        }
        Ok(buffer.into())
    }

    fn metadata(&mut self, route: Route<'_>, request: &MetadataRequest<'_>) -> Reply {
        self.is_useful = true;
        match receive::metadata(&self.daemon, route, request) {
            Ok(message) => Reply::Message(message),
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn page(&mut self, path: &str) -> Page {
        self.is_useful = true;
        pages::page(&self.daemon, path)
    }

    fn is_page(&self, path: &str) -> bool {
        pages::whatever_the_method(path)
    }

    fn wants_core(&self) -> bool {
        self.daemon.wants_core()
    }

    fn next_reply(&self, then: Instant) -> Option<Instant> {
        if !self.daemon.returns[self.reactor].is_awaited() {
            return None;
        }
        self.daemon.next_end(then)
    }

    fn rest(&self) -> Option<Duration> {
        // Whoever gets an answer without having to wait for a run comes again soon.
        if self.now < self.useful + USEFUL_FOR {
            return None;
        }
        self.daemon.rest()
    }
}

impl std::fmt::Debug for ReactorService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactorService").field("reactor", &self.reactor).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;

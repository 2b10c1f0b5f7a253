//! A daemon with a model that is batched, without sockets and threads: the test itself is the transport, the reactor's
//! turn and the executor.

use super::super::*;
use super::bench::{Asked, commit, fill};
use super::rows_model::{RowsModel, Told};
use crate::batching::{BatchCounters, Batching, Urgent};
use crate::cli::{InlineMode, Options};
use crate::cost::{Cost, Learner};
use crate::executor::Executor;
use crate::lanes::{LaneSet, ModelLane, RowSignature};
use crate::model::Served;
use crate::plan::LanePlan;
use crate::queue::ModelQueue;
use crate::registry::Registry;
use crate::returns::{Letterbox, Returns};
use crate::settings::{Machine, Settings};
use crate::source::ModelArg;
use arc_swap::ArcSwap;
use graphpipe_schema::reader::{Read, Seen, read_request};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Dim, Signature};
use graphpiped_memory::Pool;
use graphpiped_transport::service::Content;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Replies that were delivered, and how often somebody was woken for them.
#[derive(Debug)]
pub(crate) struct Letters {
    replies: Mutex<Vec<(Ticket, Reply)>>,
    pub(crate) rings: AtomicUsize,
    capacity: usize,
}

impl Letters {
    /// What was delivered.
    pub(crate) fn take(&self) -> Replies {
        let replies = std::mem::take(&mut *self.replies.lock().unwrap());
        replies.into_iter().map(|(ticket, reply)| (ticket.id, reply)).collect()
    }
}

impl Letterbox for Letters {
    fn put(&self, ticket: Ticket, reply: Reply) {
        self.replies.lock().unwrap().push((ticket, reply));
    }

    fn ring(&self) {
        self.rings.fetch_add(1, Ordering::Relaxed);
    }

    fn waiting(&self) -> usize {
        self.replies.lock().unwrap().len()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

/// How the model is served.
pub(crate) struct Setup<'a> {
    /// `Always`: the reactor runs it; `Never`: executors do.
    pub(crate) mode: InlineMode,
    pub(crate) has_two: bool,
    /// How many of its outputs the model has.
    pub(crate) outputs: usize,
    /// Widths of `x` for which there are lanes. If there is not exactly one, rows may have any.
    pub(crate) widths: &'a [i64],
    pub(crate) rows_max: usize,
    pub(crate) arena_rows: usize,
    pub(crate) arenas: usize,
    pub(crate) queue_max: usize,
    pub(crate) memory: u64,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup {
            mode: InlineMode::Never,
            has_two: false,
            outputs: 6,
            widths: &[2],
            rows_max: 8,
            arena_rows: 16,
            arenas: 2,
            queue_max: 8,
            memory: 1 << 20,
        }
    }
}

/// A daemon of one reactor.
pub(crate) struct Batched {
    pub(crate) service: ReactorService,
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) letters: Arc<Letters>,
    pub(crate) told: Arc<Told>,
}

pub(crate) type Replies = Vec<(u64, Reply)>;

impl Setup<'_> {
    pub(crate) fn start(&self) -> Batched {
        let model: ModelArg = "rows=m.onnx".parse().unwrap();
        let (queue_max, inline) = (Some(self.queue_max), Some(self.mode));
        let options = Options { model: vec![model], queue_max, inline, ..Options::default() };
        let settings = Settings::resolve(options, None, &Machine { cores: 4, memory_bytes: 64 << 20 }).unwrap();
        let letters = Letters { replies: Mutex::default(), rings: AtomicUsize::new(0), capacity: 64 };
        let letters = Arc::new(letters);
        let returns: Arc<[_]> = Arc::new([Arc::new(Returns::new(letters.clone(), 16))]);
        let pool = Pool::new(self.memory);
        let width = if let [one] = self.widths { Dim::Fixed(*one as u64) } else { Dim::Symbol("W".into()) };
        let mut model = RowsModel::new(width, self.has_two);
        model.signature.outputs.truncate(self.outputs);
        let told = model.told.clone();
        let batching = self.batching(&pool, &model.signature);
        let settings_of = settings.models[0].clone();
        let served = Arc::new(Served::new(settings_of, Arc::new(model), Some(batching), &["rows".into()]));
        let queue = Arc::new(ModelQueue::new(self.queue_max, 1));
        let registry = Registry::new(vec![Entry { served, queue }]);
        let daemon = Arc::new(Daemon::new(&settings, 4, registry, pool, Vec::new(), returns));
        let service = ReactorService::new(daemon.clone(), 0).unwrap();
        Batched { service, daemon, letters, told }
    }

    fn batching(&self, pool: &Pool, signature: &Signature) -> Batching {
        let plan =
            LanePlan { rows_max: self.rows_max, arena_rows: self.arena_rows, arena_bytes: 4096, arenas: self.arenas };
        let set = |width: &i64| {
            let shapes = [Shape::new(&[1, *width]).unwrap(), Shape::new(&[1, 3]).unwrap()];
            let rows = Arc::new(RowSignature::of(signature, &shapes[..signature.inputs.len()]).unwrap());
            let lane = |reactor| ModelLane::new(pool, &rows, &plan, reactor).unwrap();
            let inline = if self.mode == InlineMode::Always { vec![lane(Some(0))] } else { Vec::new() };
            Arc::new(LaneSet::new(rows.clone(), Some(lane(None)), inline, 0))
        };
        Batching {
            rows_max: self.rows_max,
            sets: ArcSwap::from_pointee(self.widths.iter().map(set).collect()),
            cost: Arc::<Cost>::default(),
            linger: Duration::ZERO,
            urgent: Urgent::default(),
            has_shapes: self.widths.len() != 1,
            full_until: AtomicU64::new(0),
            inline: self.mode == InlineMode::Always,
            counters: BatchCounters::default(),
        }
    }
}

impl Batched {
    pub(crate) fn served(&self) -> &Served {
        &self.daemon.registry.entries()[0].served
    }

    pub(crate) fn counters(&self) -> &BatchCounters {
        &self.served().batching.as_ref().unwrap().counters
    }

    /// The rows of each run since this was asked.
    pub(crate) fn runs(&self) -> Vec<usize> {
        std::mem::take(&mut self.told.runs.lock().unwrap())
    }

    /// What a run costs is known from now on.
    pub(crate) fn learn(&self, rows: usize, took: Duration) {
        Learner::new(self.served().cost.clone()).observe(rows, took);
    }

    /// Claims for a request of which the head has arrived, and for which there is room.
    pub(crate) fn claim(&mut self, message: &[u8]) -> Claim<Context> {
        self.try_claim(message).unwrap()
    }

    /// Claims for a request of which the head has arrived.
    pub(crate) fn try_claim(&mut self, message: &[u8]) -> Result<Claim<Context>, Refusal> {
        let window = Window::split(&message[..super::bench::head(message)], &[], message.len() as u32);
        let Read::Infer(request) = read_request(window).unwrap() else { panic!("an inference") };
        self.service.claim(Route::Native, &request, message.len() as u32)
    }

    /// Receives and commits a request.
    pub(crate) fn commit(&mut self, id: u64, message: &[u8], claim: Claim<Context>) -> Option<Reply> {
        let (claim, payloads) = fill(message, claim);
        commit(&mut self.service, ticket(id), message, claim, &payloads, Route::Native)
    }

    /// The whole way of a request up to where it waits.
    pub(crate) fn send(&mut self, id: u64, message: &[u8]) {
        let claim = self.claim(message);
        let reply = self.commit(id, message, claim);
        assert!(reply.is_none(), "{reply:?}");
    }

    /// One turn of the reactor; the second result is whether there is more to run.
    pub(crate) fn turn(&mut self) -> (Replies, bool) {
        let mut replies = Vec::new();
        let more = self.service.turn(Instant::now(), &mut |ticket, reply| replies.push((ticket.id, reply)));
        (replies, more)
    }

    /// An executor answers everything that there is for one.
    pub(crate) fn work(&self) -> Replies {
        let entry = &self.daemon.registry.entries()[0];
        // An executor ends when all is empty, if no more comes.
        entry.queue.close();
        let executor = Executor {
            served: entry.served.clone(),
            instance: None,
            learner: Learner::new(entry.served.cost.clone()),
            queue: entry.queue.clone(),
            place: 0,
            next_set: 0,
            has_left: false,
            pool: self.daemon.pool.clone(),
            returns: self.daemon.returns.clone(),
            running: self.daemon.running.clone(),
        };
        executor.run();
        self.letters()
    }

    /// What was delivered.
    pub(crate) fn letters(&self) -> Replies {
        self.letters.take()
    }

    /// Everything that is there is run, by whom it is for.
    pub(crate) fn settle(&mut self) -> Replies {
        let mut all = Vec::new();
        loop {
            let (replies, more) = self.turn();
            all.extend(replies);
            if !more {
                break;
            }
        }
        all.extend(self.work());
        all
    }
}

pub(crate) fn ticket(id: u64) -> Ticket {
    Ticket { connection: 3, generation: 5, id, weight: 1 }
}

/// A request for the first output, with a row for each of these bytes.
pub(crate) fn of_rows(bytes: &[u8]) -> Vec<u8> {
    request(&Asked { outputs: &[b"sum"], ..Asked::default() }, &[bytes], 2)
}

/// A request whose inputs have a row for each of these bytes; those of `x` have this width.
pub(crate) fn request(asked: &Asked<'_>, inputs: &[&[u8]], width: i64) -> Vec<u8> {
    let shapes: Vec<[i64; 2]> =
        inputs.iter().zip([width, 3]).map(|(bytes, inner)| [bytes.len() as i64, inner]).collect();
    let dtypes = [DType::Float32, DType::Float64];
    let tensors: Vec<_> = shapes.iter().zip(dtypes).map(|(shape, dtype)| (dtype, &shape[..], 0)).collect();
    let mut message = super::bench::message(asked, &tensors);
    let Read::Infer(read) = read_request(Window::whole(&message)).unwrap() else { panic!("an inference") };
    let payload = |index| match read.input(index) {
        Seen::Is(tensor) => match tensor.payload() {
            Seen::Is(payload) => payload.start as usize..payload.end as usize,
            Seen::NotYet => panic!("it is there"),
        },
        Seen::NotYet => panic!("it is there"),
    };
    let payloads: Vec<_> = (0..inputs.len()).map(payload).collect();
    for (payload, bytes) in payloads.into_iter().zip(inputs).filter(|(_, bytes)| !bytes.is_empty()) {
        let each = payload.len() / bytes.len();
        message[payload].chunks_exact_mut(each).zip(*bytes).for_each(|(row, byte)| row.fill(*byte));
    }
    message
}

/// The first byte of each row of the only output, whose rows are of one byte each, repeated.
pub(crate) fn answered(reply: &Reply) -> Vec<u8> {
    let Reply::Outputs(outputs) = reply else { panic!("{reply:?}") };
    assert_eq!(outputs.len(), 1);
    of_output(&outputs[0])
}

pub(crate) fn of_output(output: &graphpiped_transport::service::Output) -> Vec<u8> {
    let Content::Payload(payload) = &output.content else { panic!("strings") };
    let rows = output.shape.dims()[0] as usize;
    assert_eq!(output.shape.bytes(output.dtype), Some(payload.as_slice().len() as u64));
    let rows = payload.as_slice().chunks_exact(payload.as_slice().len().checked_div(rows).unwrap_or(1).max(1));
    rows.map(|row| {
        assert!(row.iter().all(|byte| *byte == row[0]), "{row:?}");
        row[0]
    })
    .collect()
}

/// The replies by request, of which each has one.
pub(crate) fn by_id(mut replies: Replies) -> Vec<Reply> {
    replies.sort_by_key(|(id, _)| *id);
    assert!(replies.windows(2).all(|pair| pair[0].0 < pair[1].0), "two replies to one request: {replies:?}");
    replies.into_iter().map(|(_, reply)| reply).collect()
}

/// The code and the words of a refusal.
pub(crate) fn refusal(reply: &Reply) -> (Code, &str) {
    let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
    (refusal.code, &refusal.message)
}

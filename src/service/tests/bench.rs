//! A daemon without sockets and threads: models that do as they are told, and what the transport does with a message.

use super::super::*;
use crate::cli::Options;
use crate::cores::CpuList;
use crate::model::Served;
use crate::queue::ModelQueue;
use crate::registry::Registry;
use crate::returns::Returns;
use crate::returns::tests::Opened;
use crate::settings::{Machine, Settings};
use crate::source::ModelArg;
use graphpipe_schema::reader::{Read, Seen, read_request};
use graphpipe_schema::writer::{self, Content as Written};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Dim, Elements, Inputs, Model, OutputSlot, Produced, RunError, Signature, TensorSpec};
use graphpiped_memory::Pool;
use graphpiped_transport::service::{Content, Output};

pub(super) const TICKET: Ticket = Ticket { connection: 3, generation: 5, id: 7, weight: 1 };

/// A model that adds one to every byte of float32 rows, fails on 7, panics on 9, and is as cheap as it is told to be.
pub(super) struct Fake {
    signature: Signature,
    is_cheap: bool,
    may_block: bool,
}

pub(super) struct FakeInstance;

impl Model for Fake {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn is_cheap(&self) -> bool {
        self.is_cheap
    }

    fn may_block(&self) -> bool {
        self.may_block
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(FakeInstance))
    }
}

impl Instance for FakeInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        for slot in outputs {
            slot.produced = Some(match inputs[0].elements {
                Elements::Bytes(bytes) => {
                    let size = inputs[0].dtype.size().expect("strings are the other variant");
                    assert!(bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(size), "misaligned input");
                    match bytes.first() {
                        Some(7) => return Err(RunError::Model("seven".into())),
                        Some(9) => panic!("nine"),
                        _ => add_one(bytes, slot),
                    }
                }
                Elements::Strings(_) => Produced::SameAsInput(0),
            });
        }
        Ok(())
    }
}

pub(super) fn add_one(bytes: &[u8], slot: &mut OutputSlot<'_>) -> Produced {
    let sums = bytes.iter().map(|byte| byte.wrapping_add(1));
    match (&mut slot.prepared, slot.index) {
        (Some(prepared), _) => {
            prepared.bytes.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
            Produced::InPlace
        }
        (None, 2) => Produced::Lent { shape: Shape::new(&[1]).unwrap(), dtype: DType::Uint8, owner: Arc::new([1, 2]) },
        (None, _) => {
            let owner: Vec<u8> = sums.collect();
            let shape = Shape::new(&[owner.len() as i64]).unwrap();
            Produced::Lent { shape, dtype: DType::Uint8, owner: Arc::new(owner) }
        }
    }
}

pub(super) fn spec(name: &str, dtype: DType, dims: &[Dim]) -> TensorSpec {
    TensorSpec { name: name.into(), dtype, dims: Some(dims.to_vec()) }
}

/// `x` float32 [N, 2] gives `same` (shape known), `lent` (shape unknown) and `wrong` (a lie about its size).
pub(super) fn rows() -> Signature {
    let n = || Dim::Symbol("N".into());
    Signature {
        inputs: vec![spec("x", DType::Float32, &[n(), Dim::Fixed(2)])],
        outputs: vec![
            spec("same", DType::Float32, &[n(), Dim::Fixed(2)]),
            spec("lent", DType::Uint8, &[Dim::Any]),
            spec("wrong", DType::Uint8, &[Dim::Any]),
        ],
        variadic: false,
    }
}

pub(super) fn strings() -> Signature {
    let any = [Dim::Any];
    Signature {
        inputs: vec![spec("s", DType::String, &any)],
        outputs: vec![spec("t", DType::String, &any)],
        variadic: false,
    }
}

pub(super) fn two() -> Signature {
    let inputs = vec![spec("x", DType::Float32, &[Dim::Any]), spec("y", DType::Float64, &[Dim::Any])];
    Signature { outputs: vec![spec("lent", DType::Uint8, &[Dim::Any])], inputs, variadic: false }
}

/// As `rows`, without the outputs of unknown shape.
pub(super) fn honest() -> Signature {
    Signature { outputs: rows().outputs[..1].to_vec(), ..rows() }
}

/// A daemon of one reactor without threads, and the letterbox to look into. A run of the model "blocks" may wait for others.
pub(super) struct Bench {
    pub(super) service: ReactorService,
    pub(super) daemon: Arc<Daemon>,
    pub(super) letterbox: Arc<Opened>,
}

pub(super) fn bench(models: Vec<(&str, Signature, bool)>) -> Bench {
    bench_on(None, models)
}

/// The same, whose executors may use these cores.
pub(super) fn bench_on(cpus: Option<CpuList>, models: Vec<(&str, Signature, bool)>) -> Bench {
    let args = models.iter().map(|(name, ..)| format!("{name}=m.onnx").parse::<ModelArg>().unwrap()).collect();
    let options = Options { model: args, queue_max: Some(2), cpus, ..Options::default() };
    let settings = Settings::resolve(options, None, &Machine { cores: 4, memory_bytes: 64 << 20 }).unwrap();
    let letterbox = Opened::new(3);
    let returns: Arc<[_]> = Arc::new([Arc::new(Returns::new(letterbox.clone(), 16))]);
    let mut entries = Vec::new();
    let names: Vec<_> = settings.models.iter().map(|model| model.name.clone()).collect();
    for (settings, (name, signature, is_cheap)) in settings.models.iter().zip(models) {
        let model = Arc::new(Fake { signature, is_cheap, may_block: name == "blocks" });
        let queue = Arc::new(ModelQueue::new(settings.queue_max, 1));
        entries.push(Entry { served: Arc::new(Served::new(settings.clone(), model, None, &names)), queue });
    }
    let daemon = Arc::new(Daemon::new(&settings, 4, Registry::new(entries), Pool::new(1 << 20), Vec::new(), returns));
    let service = ReactorService::new(daemon.clone(), 0).unwrap();
    Bench { service, daemon, letterbox }
}

pub(super) fn cheap() -> Bench {
    bench(vec![("rows", rows(), true), ("strings", strings(), true), ("two", two(), true), ("honest", honest(), true)])
}

/// What a request says.
#[derive(Default)]
pub(crate) struct Asked<'a> {
    pub(crate) model: &'a str,
    pub(crate) outputs: &'a [&'a [u8]],
    pub(crate) deadline_us: u64,
}

/// A stream-ready message and its payloads, filled with these bytes.
pub(super) fn message(asked: &Asked<'_>, tensors: &[(DType, &[i64], u8)]) -> Vec<u8> {
    let bytes = |(dtype, shape, _): &(DType, &[i64], u8)| Shape::new(shape).unwrap().bytes(*dtype).unwrap() as u32;
    let inputs: Vec<_> = tensors
        .iter()
        .map(|sent| writer::Tensor { dtype: sent.0, shape: sent.1, content: Written::Payload(bytes(sent)) })
        .collect();
    let mut message = Vec::new();
    let request = writer::InferRequest {
        inputs: &inputs,
        output_names: asked.outputs,
        model: asked.model.as_bytes(),
        deadline_us: asked.deadline_us,
        ..writer::InferRequest::default()
    };
    writer::infer_request(&mut message, &request).unwrap();
    let mut previous: Option<u32> = None;
    for sent in tensors {
        if let Some(previous) = previous {
            message.extend_from_slice(writer::gap(previous, bytes(sent)).as_ref());
        }
        message.resize(message.len() + bytes(sent) as usize, sent.2);
        previous = Some(bytes(sent));
    }
    message
}

/// What the transport does with a message of which `seen` bytes have arrived when it claims.
pub(super) fn send(service: &mut ReactorService, message: &[u8], seen: usize, route: Route<'_>) -> Option<Reply> {
    let window = Window::split(&message[..seen], &[], message.len() as u32);
    let claim = match read_request(window).unwrap() {
        Read::Infer(request) => service.claim(route, &request, message.len() as u32),
        other => panic!("{other:?}"),
    };
    match claim {
        Ok(claim) => fill_and_commit(service, message, claim, route),
        Err(refusal) => Some(Reply::Refused(refusal)),
    }
}

pub(super) fn fill_and_commit(
    service: &mut ReactorService,
    message: &[u8],
    claim: Claim<Context>,
    route: Route<'_>,
) -> Option<Reply> {
    let (claim, range) = fill(message, claim);
    commit(service, TICKET, message, claim, &range, route)
}

/// Receives the payloads of a message; the second result is what lies between the first and the last of them.
pub(super) fn fill(message: &[u8], mut claim: Claim<Context>) -> (Claim<Context>, Range<usize>) {
    let (mut first, mut last) = (message.len(), message.len());
    for piece in &claim.pieces {
        let range = piece.message.start as usize..piece.message.end as usize;
        (first, last) = (first.min(range.start), range.end);
        let to = piece.offset..piece.offset + range.len();
        claim.destination.slice_mut(to).copy_from_slice(&message[range]);
    }
    (claim, first..last)
}

/// Commits a claim that has been filled with the payloads that lie in this range.
pub(super) fn commit(
    service: &mut ReactorService,
    ticket: Ticket,
    message: &[u8],
    claim: Claim<Context>,
    payloads: &Range<usize>,
    route: Route<'_>,
) -> Option<Reply> {
    let window = Window::split(&message[..payloads.start], &message[payloads.end..], message.len() as u32);
    service.commit(ticket, route, window, claim)
}

/// The head of a message: all that has arrived when memory is claimed for its payloads.
pub(super) fn head(message: &[u8]) -> usize {
    let Read::Infer(request) = read_request(Window::whole(message)).unwrap() else { panic!("an inference") };
    let Seen::Is(tensor) = request.input(0) else { panic!("it has an input") };
    let Seen::Is(payload) = tensor.payload() else { panic!("it has a payload") };
    payload.start as usize
}

pub(super) fn outputs(reply: Option<Reply>) -> Vec<Output> {
    match reply {
        Some(Reply::Outputs(outputs)) => outputs.into_vec(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn bytes(output: &Output) -> &[u8] {
    match &output.content {
        Content::Payload(payload) => payload.as_slice(),
        Content::Strings(_) => panic!("strings"),
    }
}

pub(super) fn refused(reply: Option<Reply>) -> (Code, String) {
    match reply {
        Some(Reply::Refused(refusal)) => (refusal.code, refusal.message),
        other => panic!("{other:?}"),
    }
}

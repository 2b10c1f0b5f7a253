//! The daemon's side of the seam: memory is claimed for a request, the request is committed, runs and has its reply. The
//! model is echo, which runs on the reactor and does nothing; sockets and threads there are none.

use super::Piece;
use super::messages::{LARGE, SMALL, Size};
use graphpipe_schema::reader::{self, Read, Window};
use graphpiped::cli::Options;
use graphpiped::daemon::Daemon;
use graphpiped::model::Served;
use graphpiped::queue::ModelQueue;
use graphpiped::registry::{Entry, Registry};
use graphpiped::returns::Returns;
use graphpiped::service::ReactorService;
use graphpiped::settings::{Machine, Settings};
use graphpiped_backend_api::Backend;
use graphpiped_backend_echo::EchoBackend;
use graphpiped_memory::Pool;
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::service::{Reply, Route, Service, Ticket};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// Memory for requests of which there is always enough.
pub const ENOUGH: u64 = 1 << 30;

/// The service of a daemon of one reactor that serves echo, with so many bytes for requests.
pub fn service(memory_bytes: u64) -> ReactorService {
    let model = ["echo=echo:".parse().expect("a model")];
    let options = Options { model: model.into(), ..Options::default() };
    let machine = Machine { cores: 2, memory_bytes: 4 * ENOUGH };
    let settings = Settings::resolve(options, None, &machine).expect("settings that can be resolved");
    let mailbox = Mailbox::new(1024).expect("an eventfd");
    let model = EchoBackend.open(Path::new(""), &graphpiped_backend_api::Options::default()).expect("no file is read");
    let settings_of_model = settings.models[0].clone();
    let names = [settings_of_model.name.clone()];
    let queue = Arc::new(ModelQueue::new(settings_of_model.queue_max, 0));
    let entry = Entry { served: Arc::new(Served::new(settings_of_model, model, None, &names)), queue };
    let returns = [Arc::new(Returns::new(mailbox.clone(), 1))].into();
    let (registry, pool) = (Registry::new(vec![entry]), Pool::new(memory_bytes));
    let daemon = Daemon::new(&settings, machine.cores, registry, pool, vec![mailbox], returns);
    ReactorService::new(Arc::new(daemon), 0).expect("echo has instances")
}

/// Claim to reply of a request of 800 bytes.
pub fn small() -> Piece {
    claim_and_commit("claim and commit, 800 B", SMALL)
}

/// Claim to reply of a request of 602 KB.
pub fn large() -> Piece {
    claim_and_commit("claim and commit, 602 KB", LARGE)
}

/// The payload is not written: that is the kernel's part.
fn claim_and_commit(name: &'static str, size: Size) -> Piece {
    let mut service = service(ENOUGH);
    // Never freed: what has been read of it refers to it, and a piece lives as long as the program.
    let message: &'static [u8] = size.request(b"echo").leak();
    let length = message.len() as u32;
    let window = Window::split(&message[..message.len() - size.bytes as usize], &[], length);
    let Ok(Read::Infer(request)) = reader::read_request(window) else { panic!("an inference") };
    let ticket = Ticket { connection: 0, generation: 0, id: 1, weight: 1 };
    let run = move || {
        let claim = service.claim(Route::Native, black_box(&request), length).expect("there is memory");
        let reply = service.commit(ticket, Route::Native, window, claim);
        assert!(matches!(reply, Some(Reply::Outputs(_))), "{reply:?}");
        black_box(reply);
    };
    Piece { name, run: Box::new(run), floor_name: "memcpy of the payload", floor: Box::new(copy(size.bytes as usize)) }
}

/// Copies so many bytes from warm memory to warm memory.
pub fn copy(bytes: usize) -> impl FnMut() {
    let (from, mut to) = (vec![1_u8; bytes], vec![2_u8; bytes]);
    move || {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
}

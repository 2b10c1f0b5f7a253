//! The daemon without its control plane: one reactor, one executor, one model, made as the control plane makes them.

use graphpiped::batching::Batching;
use graphpiped::cli::{InlineMode, Options};
use graphpiped::cost::Learner;
use graphpiped::daemon::Daemon;
use graphpiped::executor::Executor;
use graphpiped::lane_maker::Candidate;
use graphpiped::limits::replies_max;
use graphpiped::model::Served;
use graphpiped::plan::{MemoryPlan, Weights};
use graphpiped::probe::{Verdict, Wanted, probe};
use graphpiped::queue::ModelQueue;
use graphpiped::registry::{Entry, Registry};
use graphpiped::returns::Returns;
use graphpiped::service::ReactorService;
use graphpiped::settings::{Machine, Settings};
use graphpiped_backend_api::Model;
use graphpiped_memory::Pool;
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::reactor::{Control, Listener, ListenerKind, Reactor};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A daemon that serves.
pub struct Running {
    /// Where it listens: a Unix socket,
    pub socket: PathBuf,
    /// and a port.
    pub address: SocketAddr,
    control: Arc<Control>,
    threads: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Ends it, and waits for its threads.
    pub fn end(self) {
        self.control.drain();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Serves a model that is batched: on the reactor, or by an executor.
pub fn serve(model: Arc<dyn Model>, mode: InlineMode) -> Running {
    let options = Options {
        model: vec!["sums=m.onnx".parse().unwrap()],
        inline: Some(mode),
        instances: Some(1),
        io_threads: Some(1),
        ..Options::default()
    };
    let machine = Machine { cores: 2, memory_bytes: 1 << 30 };
    let mut settings = Settings::resolve(options, None, &machine).unwrap();
    settings.limits.drain_timeout = Duration::from_secs(10);
    let pool = Pool::new(settings.memory_bytes);
    let served = served(&settings, &pool, model);
    let batching = served.batching.as_ref().unwrap();
    settings.limits.weight_max = Weights::new([batching.rows_max]).max();
    let mailbox = Mailbox::new(replies_max(&settings, Batching::rows_wanted(batching))).unwrap();
    let slots = settings.limits.connections_max;
    let returns: Arc<[_]> = Arc::new([Arc::new(Returns::new(mailbox.clone(), slots))]);
    let queue = Arc::new(ModelQueue::new(settings.models[0].queue_max, 1));
    let registry = Registry::new(vec![Entry { served, queue }]);
    let daemon = Arc::new(Daemon::new(&settings, 2, registry, pool, vec![mailbox.clone()], returns));
    let executor = executor(&daemon);
    let control = daemon.control.clone();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let unix = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let reactor = move || {
        let listeners = vec![
            Listener { fd: unix.into(), kind: ListenerKind::Unix },
            Listener { fd: tcp.into(), kind: ListenerKind::Tcp },
        ];
        let (counters, control) = (daemon.counters[0].clone(), daemon.control.clone());
        let service = ReactorService::new(daemon, 0).unwrap();
        Reactor::new(&settings.limits, listeners, mailbox, counters, control, service).unwrap().run().unwrap();
    };
    let threads = vec![std::thread::spawn(move || executor.run()), std::thread::spawn(reactor)];
    Running { socket, address, control, threads, _folder: folder }
}

fn served(settings: &Settings, pool: &Pool, model: Arc<dyn Model>) -> Arc<Served> {
    let of_model = &settings.models[0];
    let probed = probe(&*model, of_model.batch, Wanted { rows_max: 128, is_said: false }, Instant::now).unwrap();
    assert_eq!(probed.verdict, Verdict::Batched);
    let candidate = Candidate::new(settings, of_model, &*model, &probed);
    let plan = MemoryPlan::new(settings.memory_bytes, 1, &[candidate.model_rows(of_model)]);
    let batching = candidate.batching(pool, of_model, plan.at_start(0), 1).unwrap();
    assert!(batching.is_some(), "there is memory for it");
    Arc::new(Served::new(of_model.clone(), model, batching, &["sums".into()]))
}

fn executor(daemon: &Daemon) -> Executor {
    let Entry { served, queue } = &daemon.registry.entries()[0];
    Executor {
        served: served.clone(),
        instance: Some(served.model.instance().unwrap()),
        learner: Learner::new(served.cost.clone()),
        queue: queue.clone(),
        place: 0,
        pool: daemon.pool.clone(),
        returns: daemon.returns.clone(),
        running: daemon.running.clone(),
        next_set: 0,
        has_left: false,
    }
}

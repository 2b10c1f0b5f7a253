//! Connections in a simulated network: hundreds of clients, each from a seed, each through another order of events,
//! none through a kernel. A failure prints its seed; `SIMULATION_SEED=seed cargo test simulation` runs that one alone,
//! and `SIMULATION_SEEDS=count` runs more of them than an ordinary test has time for.

mod flight;
mod http_script;
mod network;
mod oracle;
mod rows;
mod script;
mod straight;

use super::{Connection, Phase, Protocol, Want};
use crate::fake::random::Random;
use crate::limits::Limits;
use graphpipe_schema::Code;
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpiped_memory::Pool;
use network::{CARRY_BYTES_MAX, End, Network, Peer};
use oracle::{Tolerance, check};
use script::{MESSAGE_BYTES_MAX, Script};

/// What is done to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    Busy,
    Drain,
    Reset,
    EndInTheMiddle,
    StopSending,
    StopReading,
    Damage,
}

/// Runs `seeds` simulations of a client that `make_script` makes.
fn simulate(name: &str, seeds: u64, fault: Fault, make_script: fn(&mut Random) -> Script) {
    let variable = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("seeds are numbers"));
    let seeds = variable("SIMULATION_SEEDS").unwrap_or(seeds);
    for seed in variable("SIMULATION_SEED").map_or(0..seeds, |seed| seed..seed + 1) {
        let guard = PrintSeed(name, seed);
        let mut random = Random::new(seed);
        let script = make_script(&mut random);
        one(random, script, fault);
        drop(guard);
    }
}

struct PrintSeed<'a>(&'a str, u64);

impl Drop for PrintSeed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation of {}: failed with SIMULATION_SEED={}", self.0, self.1);
        }
    }
}

fn limits(random: &mut Random) -> Limits {
    let in_flight_max = random.pick(&[1, 2, 5, 1024]);
    let weight_max = random.pick(&[1, 5, u32::MAX]);
    Limits { in_flight_max, weight_max, message_bytes_max: MESSAGE_BYTES_MAX, ..Limits::default() }
}

/// One client, from its first byte to the end of its connection.
fn one(mut random: Random, mut script: Script, fault: Fault) {
    let pool = Pool::new(64 << 20);
    let limits = limits(&mut random);
    if fault == Fault::Damage {
        damage(&mut random, &mut script.bytes);
    }
    let mut network = Network::new(random, &pool, script.bytes.clone(), limits);
    network.end = if network.random.chance(50) { End::AtOnce } else { End::WhenAnswered };
    let when = network.random.length(script.bytes.len());
    network.flush();
    let mut struck = fault == Fault::Nothing;
    loop {
        if !struck && (network.delivered >= when || fault == Fault::Damage) {
            struck = true;
            strike(&mut network, fault);
        }
        if !network.is_closed() && network.step() {
            check_bounds(&network, &pool);
        } else if network.is_closed() {
            break;
        } else {
            wait(&mut network, &script, fault);
        }
    }
    finish(network, &pool, &script, fault);
}

fn damage(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..random.within(1..4) {
        let at = if random.chance(60) { random.length(bytes.len() - 1) } else { random.within(0..bytes.len()) };
        bytes[at] ^= 1 << random.within(0..8);
    }
}

fn strike(network: &mut Network, fault: Fault) {
    match fault {
        Fault::Nothing | Fault::Damage => {}
        Fault::Busy => network.service.is_busy = true,
        Fault::Drain => {
            network.is_draining = true;
            network.with(Connection::drain);
        }
        Fault::Reset => network.peer = Peer::IsGone,
        Fault::EndInTheMiddle => {
            network.end = End::AtOnce;
            network.stream.truncate(network.delivered);
        }
        Fault::StopSending => {
            network.end = End::Never;
            network.stream.truncate(network.delivered);
        }
        Fault::StopReading => network.peer = Peer::DoesNotRead,
    }
    network.flush();
}

/// Nothing can happen: either the peer waits for its replies and has them, or the connection's time runs out.
fn wait(network: &mut Network, script: &Script, fault: Fault) {
    if network.end == End::WhenAnswered && fault != Fault::StopReading {
        let has_all = fault != Fault::Nothing || {
            let metadata = network.service.metadata_message().to_vec();
            check(script, &network.output, &metadata, Tolerance::default()) == script.expected.len()
        };
        assert!(has_all, "the connection is stuck: {network:?}");
        network.end = End::AtOnce;
        return;
    }
    assert!(matches!(fault, Fault::StopSending | Fault::StopReading), "the connection is stuck: {network:?}");
    let deadline =
        network.connection.deadline(&network.limits).expect("a connection that waits for its peer has a deadline");
    assert!(deadline > network.now && deadline <= network.now + network.limits.idle_timeout);
    network.now = deadline;
    network.with(Connection::expire);
    network.flush();
}

fn check_bounds(network: &Network, pool: &Pool) {
    let connection = &network.connection;
    assert!(connection.base.in_flight as usize <= network.limits.in_flight_max, "more in flight than allowed");
    // When the last of them was taken, the others were fewer than allowed, or weighed nothing.
    let others = u64::from(connection.base.in_flight.saturating_sub(1)) * u64::from(network.service.weight);
    assert!(others == 0 || others < network.limits.weight_max.into(), "more weight in flight than allowed");
    assert!(connection.carry.len() <= CARRY_BYTES_MAX, "more is received than can be taken");
    if connection.base.phase == Phase::Dead {
        assert!(connection.carry.is_empty() && connection.base.outbox.waiting_bytes() == 0);
    }
    if matches!(connection.protocol, Protocol::Native(_)) && holds_a_frame(connection.carry.as_slice()) {
        assert_eq!(connection.wants(&network.limits), Want::Nothing, "more is received before what is there is taken");
    }
    if connection.base.phase != Phase::Open {
        assert!(!connection.is_mid_message(), "memory is claimed for a message that will not be completed");
    }
    if let Some(deadline) = connection.deadline(&network.limits) {
        assert!(deadline > network.now, "a connection on which things happen is timed out");
    }
    assert!(pool.in_use_bytes() < 32 << 20);
}

fn holds_a_frame(carry: &[u8]) -> bool {
    let header = carry.first_chunk().and_then(|header| Header::read(header).ok());
    header.is_some_and(|header| carry.len() >= HEADER_BYTES + header.length as usize)
}

fn finish(mut network: Network, pool: &Pool, script: &Script, fault: Fault) {
    while network.step() {}
    assert_eq!(network.connection.base.in_flight, 0, "requests are counted and not there");
    let tolerance = Tolerance {
        may_be_cut: matches!(fault, Fault::Reset | Fault::StopReading | Fault::StopSending),
        may_miss: matches!(fault, Fault::Drain | Fault::EndInTheMiddle),
        refusal: match fault {
            Fault::Busy => Some(Code::Busy),
            Fault::Drain => Some(Code::ShuttingDown),
            _ => None,
        },
        is_damaged: fault == Fault::Damage,
    };
    let output = std::mem::take(&mut network.output);
    let commits = network.service.commits as usize;
    let gone = network.counters.connections_gone.get();
    let service = network.close();
    assert_eq!((service.talk.gone().len() as u64, gone <= 1), (gone, true), "a peer goes away once");
    assert!(gone == 0 || tolerance.may_be_cut || tolerance.is_damaged, "a peer that is there is taken for gone");
    let replies = check(script, &output, service.metadata_message(), tolerance);
    if !tolerance.may_be_cut {
        assert!(replies >= commits, "{replies} replies to {commits} requests that were committed");
    }
    assert_eq!(pool.in_use_bytes(), 0, "memory is not given back");
}

#[test]
fn every_native_request_gets_its_reply() {
    simulate("native clients", 400, Fault::Nothing, |random| script::native(random, true));
}

#[test]
fn every_http_request_gets_its_reply_in_order() {
    simulate("http clients", 400, Fault::Nothing, |random| http_script::http(random, true));
}

#[test]
fn pipelined_small_frames_get_their_replies() {
    simulate("small frames", 100, Fault::Nothing, |random| {
        let count = random.within(1..300);
        script::small_frames(random, count, 1..200)
    });
}

#[test]
fn replies_that_outgrow_what_may_wait_hold_up_the_requests_behind_them() {
    simulate("small frames", 10, Fault::Nothing, |random| script::small_frames(random, 1_700, 2_000..4_000));
}

#[test]
fn want_of_memory_is_an_answer() {
    simulate("native clients", 100, Fault::Busy, |random| script::native(random, true));
    simulate("http clients", 100, Fault::Busy, |random| http_script::http(random, true));
}

#[test]
fn a_drain_finishes_what_was_accepted() {
    simulate("native clients", 200, Fault::Drain, |random| script::native(random, true));
    simulate("http clients", 200, Fault::Drain, |random| http_script::http(random, true));
}

#[test]
fn a_reset_gives_all_memory_back() {
    simulate("native clients", 200, Fault::Reset, |random| script::native(random, true));
    simulate("http clients", 200, Fault::Reset, |random| http_script::http(random, true));
}

#[test]
fn an_end_in_the_middle_leaves_the_requests_before_it_answered() {
    simulate("native clients", 200, Fault::EndInTheMiddle, |random| script::native(random, true));
    simulate("http clients", 200, Fault::EndInTheMiddle, |random| http_script::http(random, true));
}

#[test]
fn a_client_that_stops_sending_is_given_up() {
    simulate("native clients", 200, Fault::StopSending, |random| script::native(random, true));
    simulate("http clients", 200, Fault::StopSending, |random| http_script::http(random, true));
}

#[test]
fn a_client_that_stops_reading_is_given_up() {
    simulate("native clients", 200, Fault::StopReading, |random| script::native(random, true));
    simulate("http clients", 200, Fault::StopReading, |random| http_script::http(random, true));
}

#[test]
fn damaged_requests_do_no_harm() {
    simulate("native clients", 400, Fault::Damage, |random| script::native(random, true));
    simulate("http clients", 400, Fault::Damage, |random| http_script::http(random, true));
}

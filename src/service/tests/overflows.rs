//! Requests that are not received into rows, or not to the end: they join a batch later, or run alone.

use super::batched::*;
use super::bench::{Asked, commit, fill};
use super::*;
use crate::cli::InlineMode;
use graphpiped_memory::Destination;

#[test]
fn a_whole_message_is_gathered_into_rows() {
    let mut bench = Setup { mode: InlineMode::Always, has_two: true, ..Setup::default() }.start();
    let asked = Asked { outputs: &[b"sum"], ..Asked::default() };
    let message = request(&asked, &[&[10, 20], &[100, 110]], 2);
    let claim = bench.service.claim_message(Route::Native, message.len() as u32).unwrap();
    assert!(matches!(claim.destination, Destination::Buffer(_)));
    assert!(bench.commit(1, &message, claim).is_none());
    bench.send(2, &request(&asked, &[&[30], &[120]], 2));
    let answers: Vec<_> = by_id(bench.settle()).iter().map(answered).collect();
    assert_eq!((answers, bench.runs()), (vec![vec![111, 131], vec![151]], vec![3]));
    assert_eq!((bench.counters().copied_gather.get(), bench.counters().overflows.get()), (2 * 32, 0));
}

#[test]
fn requests_that_find_no_rows_wait_and_are_gathered_by_an_executor() {
    // Rows for two requests; what the third and fourth are received into is theirs.
    let mut bench = Setup { arena_rows: 4, arenas: 2, rows_max: 4, ..Setup::default() }.start();
    let messages: Vec<_> = (0..4).map(|id| of_rows(&[10 * id + 10; 4])).collect();
    let claims: Vec<_> = messages.iter().map(|message| bench.claim(message)).collect();
    let in_rows: Vec<_> = claims.iter().map(|claim| matches!(claim.destination, Destination::Rows(_))).collect();
    assert_eq!(in_rows, [true, true, false, false]);
    assert_eq!(bench.counters().overflows.get(), 2);
    for (id, (message, claim)) in messages.iter().zip(claims).enumerate() {
        assert!(bench.commit(id as u64, message, claim).is_none());
    }
    assert_eq!(bench.counters().overflows.get(), 2, "each is counted once");
    assert_eq!(bench.daemon.registry.entries()[0].queue.len(), 2);
    let answers: Vec<_> = by_id(bench.settle()).iter().map(answered).collect();
    assert_eq!(answers, [[11; 4], [21; 4], [31; 4], [41; 4]]);
    assert_eq!(bench.runs(), [4; 4]);
    assert!(bench.counters().copied_gather.get() > 0);
    assert_eq!(bench.daemon.pool.in_use_bytes(), 0);
}

#[test]
fn a_burst_over_the_rows_of_a_reactor_goes_to_executors() {
    let mut bench = Setup { mode: InlineMode::Always, arena_rows: 8, arenas: 2, ..Setup::default() }.start();
    for id in 0..3 {
        bench.send(id, &of_rows(&[10 + id as u8; 8]));
    }
    let (here, more) = bench.turn();
    assert_eq!((here.len(), more), (1, true));
    assert_eq!(bench.turn().0.len(), 1);
    let there = bench.work();
    assert_eq!((there[0].0, answered(&there[0].1)), (2, vec![13; 8]));
    assert_eq!(bench.counters().overflows.get(), 0, "it found rows");
}

#[test]
fn what_is_set_apart_keeps_its_bytes_and_is_answered() {
    let mut bench = Setup { has_two: true, arena_rows: 4, arenas: 1, rows_max: 4, ..Setup::default() }.start();
    let asked = Asked { outputs: &[b"sum"], ..Asked::default() };
    let message = request(&asked, &[&[10, 20, 30, 40], &[100, 110, 120, 130]], 2);
    let (mut claim, payloads) = { fill(&message, bench.claim(&message)) };
    let arrived: Vec<_> = claim.pieces.iter().map(|p| p.offset..p.offset + p.message.len()).collect();
    assert_eq!(arrived, [0..32, 256..352], "4 rows of 8, then of 24 bytes");
    let other = bench.claim(&message);
    assert!(matches!(other.destination, Destination::Buffer(_)), "others find no rows");
    drop(other);
    claim.destination = bench.service.set_apart(claim.destination, &arrived).unwrap();
    assert!(matches!(claim.destination, Destination::Buffer(_)));
    assert_eq!(bench.daemon.copied_apart.get(), 128);
    bench.send(2, &message);
    assert!(commit(&mut bench.service, ticket(1), &message, claim, &payloads, Route::Native).is_none());
    let answers: Vec<_> = by_id(bench.settle()).iter().map(answered).collect();
    assert_eq!(answers, [[111, 131, 151, 171]; 2]);
}

/// The messages of old Python clients; their only input is `x`, two wide.
fn claim_before_the_shape(bench: &mut Batched, message: &[u8], model: &str) -> Claim<Context> {
    let window = Window::split(&message[..104], &[], message.len() as u32);
    let Read::Infer(request) = read_request(window).unwrap() else { panic!("an inference") };
    assert!(!request.is_complete());
    bench.service.claim(Route::Http(model), &request, message.len() as u32).unwrap()
}

#[test]
fn a_payload_before_its_shape_goes_into_rows() {
    let mut bench = Setup { mode: InlineMode::Always, outputs: 1, ..Setup::default() }.start();
    let message = shape_behind_the_data(3, 0);
    let claim = claim_before_the_shape(&mut bench, &message, "/models/rows");
    assert!(matches!(&claim.destination, Destination::Rows(rows) if rows.rows() == 3));
    let (claim, payloads) = fill(&message, claim);
    let route = Route::Http("/models/rows");
    assert!(commit(&mut bench.service, ticket(1), &message, claim, &payloads, route).is_none());
    bench.send(2, &of_rows(&[50]));
    let replies = by_id(bench.settle());
    let Reply::Outputs(outputs) = &replies[0] else { panic!("{replies:?}") };
    assert_eq!((of_output(&outputs[0]), answered(&replies[1])), (vec![4; 3], vec![51]));
}

#[test]
fn rows_whose_shape_turns_out_to_be_wrong_are_void() {
    let mut bench = Setup { mode: InlineMode::Always, ..Setup::default() }.start();
    let mut message = shape_behind_the_data(3, 0);
    let shape_at = 104 + 24 + 4;
    assert_eq!(message[shape_at..][..16], [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    (message[shape_at], message[shape_at + 8]) = (2, 3);
    let claim = claim_before_the_shape(&mut bench, &message, "/");
    assert!(matches!(claim.destination, Destination::Rows(_)));
    let (claim, payloads) = fill(&message, claim);
    let reply = commit(&mut bench.service, ticket(1), &message, claim, &payloads, Route::Http("/"));
    let told = "input \"x\": expected x float32 [N, 2], got shape [2, 3]";
    assert_eq!(refusal(&reply.unwrap()), (Code::WrongTensor, told));
    let sets = bench.served().batching.as_ref().unwrap().sets.load_full();
    assert!(sets[0].lanes().all(|lane| lane.core.pending_rows() == 0));
    bench.send(2, &of_rows(&[50]));
    assert_eq!((bench.settle().len(), bench.runs()), (1, vec![1]));
}

#[test]
fn rows_of_a_shape_without_a_lane_run_alone_and_are_wished_for() {
    let mut bench = Setup { widths: &[], ..Setup::default() }.start();
    bench.send(1, &request(&Asked { outputs: &[b"sum"], ..Asked::default() }, &[&[10, 20]], 5));
    assert_eq!(answered(&bench.settle()[0].1), [11, 21]);
    let wish = bench.daemon.wishes.take().expect("it is wished for");
    assert_eq!((wish.model, wish.shapes[0].dims()), (0, &[2, 5][..]));
}

#[test]
fn small_requests_that_wait_in_the_queue_are_gathered_into_one_batch() {
    let mut bench = Setup { arena_rows: 8, arenas: 1, ..Setup::default() }.start();
    let all = of_rows(&[100; 8]);
    let claim = bench.claim(&all);
    let messages: Vec<_> = (0..6).map(|id| of_rows(&[10 * id + 10])).collect();
    let claims: Vec<_> = messages.iter().map(|message| bench.claim(message)).collect();
    // Whoever had all the rows goes away; those who found none meanwhile have memory of their own.
    drop(claim);
    let entry = bench.daemon.registry.entries()[0].queue.clone();
    for (id, (message, claim)) in messages.iter().zip(claims).enumerate() {
        assert!(matches!(claim.destination, Destination::Buffer(_)));
        let (claim, payloads) = fill(message, claim);
        // As if it were too large for the reactor to copy.
        let window = Window::split(&message[..payloads.start], &message[payloads.end..], message.len() as u32);
        let received = receive::received(&bench.daemon, Route::Native, window, claim);
        let Ok(Received { outputs, inputs: Inputs::Alone(work), .. }) = received else { panic!("{received:?}") };
        let way = &bench.daemon.returns[0];
        assert!(way.depart());
        let request = Request::new(ticket(id as u64), None, outputs, way);
        assert!(entry.put(Job { request, work }).is_ok());
    }
    let answers: Vec<_> = by_id(bench.work()).iter().map(answered).collect();
    assert_eq!(answers, [[11], [21], [31], [41], [51], [61]]);
    assert_eq!(bench.runs(), [6], "all of them in one run");
}

#[test]
fn one_that_waits_alone_in_the_queue_is_not_copied() {
    let mut bench = Setup { arena_rows: 4, arenas: 1, rows_max: 4, ..Setup::default() }.start();
    let first = of_rows(&[10; 4]);
    let claim = bench.claim(&first);
    bench.send(2, &of_rows(&[20; 4]));
    drop(claim);
    assert_eq!(answered(&bench.work()[0].1), [21; 4]);
    assert_eq!(bench.counters().copied_gather.get(), 0);
}

#[test]
fn what_cannot_be_told_from_its_head_weighs_more_than_a_row() {
    let mut bench = Setup::default().start();
    let message = of_rows(&[10]);
    let of_row = bench.claim(&message).weight;
    let whole = bench.service.claim_message(Route::Native, message.len() as u32).unwrap().weight;
    assert_eq!((of_row, whole), (1, 64 / 16), "64 is what a connection may have");
}

#[test]
fn a_request_for_which_the_queue_has_no_room_is_refused_before_its_payload_comes() {
    let mut bench = Setup { arena_rows: 4, arenas: 1, rows_max: 4, queue_max: 1, ..Setup::default() }.start();
    let message = of_rows(&[10; 4]);
    let all_rows = bench.claim(&message);
    bench.send(1, &of_rows(&[20; 4]));
    let before = bench.daemon.pool.in_use_bytes();
    let told = "1 requests wait for model \"rows\" already (--queue-max)";
    let refused = bench.try_claim(&message).unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (Code::Busy, told));
    assert_eq!((bench.daemon.pool.in_use_bytes(), bench.served().counters.busy.get()), (before, 1));
    assert!(bench.commit(2, &message, all_rows).is_none(), "who has rows needs no room in the queue");
    assert_eq!(bench.settle().len(), 2);
}

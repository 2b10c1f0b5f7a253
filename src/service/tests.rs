//! The whole way of a request without a socket: claimed, filled as the transport would, committed, answered.

pub(crate) mod batched;
mod batches;
pub(crate) mod bench;
mod failures;
mod overflows;
mod property;
mod rows_model;

use super::*;
use crate::executor::Executor;
use crate::queue::Counted;
use bench::*;
use graphpipe_schema::DType;
use graphpipe_schema::reader::{Read, read_request};
use graphpipe_schema::writer::{self, Content as Written};
use graphpiped_transport::service::Content;

const ROWS: (DType, &[i64], u8) = (DType::Float32, &[3, 2], 1);

fn send_rows(bench: &mut Bench, fill: u8) -> Option<Reply> {
    let message = message(&Asked { outputs: &[b"same"], ..Asked::default() }, &[(ROWS.0, ROWS.1, fill)]);
    let seen = head(&message);
    send(&mut bench.service, &message, seen, Route::Native)
}

#[test]
fn a_cheap_model_answers_in_the_commit() {
    let mut bench = cheap();
    let outputs = outputs(send_rows(&mut bench, 1));
    assert_eq!((outputs[0].dtype, outputs[0].shape.dims()), (DType::Float32, &[3, 2][..]));
    assert_eq!(bytes(&outputs[0]), [2; 24]);
    drop(outputs);
    assert_eq!(bench.daemon.pool.in_use_bytes(), 0, "everything went back to the pool");
}

#[test]
fn outputs_come_in_the_order_in_which_they_were_asked_for() {
    let asked = Asked { outputs: &[b"lent", b"same", b"lent"], ..Asked::default() };
    let message = message(&asked, &[ROWS]);
    let outputs = outputs(send(&mut cheap().service, &message, head(&message), Route::Native));
    assert_eq!(
        outputs.iter().map(|output| output.dtype).collect::<Vec<_>>(),
        [DType::Uint8, DType::Float32, DType::Uint8]
    );
    assert!(outputs.iter().all(|output| bytes(output) == [2; 24]));
    assert_eq!(bytes(&outputs[0]).as_ptr(), bytes(&outputs[2]).as_ptr(), "what was asked twice is computed once");
}

#[test]
fn an_output_of_another_size_than_it_says_is_an_internal_error() {
    let message = message(&Asked { outputs: &[b"wrong"], ..Asked::default() }, &[ROWS]);
    let (code, text) = refused(send(&mut cheap().service, &message, head(&message), Route::Native));
    assert_eq!(code, Code::Internal);
    assert!(text.contains("output 2"), "{text}");
}

#[test]
fn a_wrong_request_is_refused_before_its_payload_is_claimed() {
    let mut bench = cheap();
    let message = message(&Asked::default(), &[(DType::Float32, &[3, 3], 1)]);
    let (code, text) = refused(send(&mut bench.service, &message, head(&message), Route::Native));
    assert_eq!((code, text.as_str()), (Code::WrongTensor, "input \"x\": expected x float32 [N, 2], got shape [3, 3]"));
    assert_eq!(bench.daemon.pool.stats().mapped_total, 0);
}

#[test]
fn payloads_are_claimed_aligned_and_without_what_lies_between_them() {
    let mut bench = cheap();
    let message =
        message(&Asked { model: "two", ..Asked::default() }, &[(DType::Float32, &[3], 1), (DType::Float64, &[5], 2)]);
    let Read::Infer(request) =
        read_request(Window::split(&message[..head(&message)], &[], message.len() as u32)).unwrap()
    else {
        panic!("an inference")
    };
    let claim = bench.service.claim(Route::Native, &request, message.len() as u32).unwrap();
    let pieces: Vec<_> = claim.pieces.iter().map(|piece| (piece.message.len(), piece.offset)).collect();
    assert_eq!(pieces, [(12, 0), (40, 256)]);
    let outputs = outputs(fill_and_commit(&mut bench.service, &message, claim, Route::Native));
    assert_eq!(bytes(&outputs[0]), [2; 12]);
}

/// The old Python client's order: root, names, tensor, data, and the shape behind the data, which begins at 104 + `pad`.
fn shape_behind_the_data(rows: u8, pad: usize) -> Vec<u8> {
    let u32s = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let data = vec![rows; usize::from(rows) * 8];
    let shape_at = 104 + pad + data.len();
    let mut message = Vec::new();
    message.extend(u32s(&[12]));
    message.extend([8, 0, 12, 0, 11, 0, 4, 0]); // vtable of Request at 4
    message.extend(u32s(&[8, 36 - 16])); // Request at 12: soffset, req
    message.extend([0, 0, 0, 1]); // its tag at 23
    message.extend([12, 0, 20, 0, 16, 0, 8, 0, 12, 0, 4, 0]); // vtable of InferRequest at 24
    let config_at = shape_at + 20;
    message.extend(u32s(&[12, 56 - 40, 60 - 44, 64 - 48, config_at as u32 - 52])); // InferRequest at 36
    message.extend(u32s(&[0, 0, 1, 84 - 68])); // output_names 56, input_names 60, input_tensors 64
    message.extend([0, 0]);
    message.extend([10, 0, 16, 0, 11, 0, 12, 0, 4, 0]); // vtable of Tensor at 74
    message.extend(u32s(&[10, (100 + pad) as u32 - 88])); // Tensor at 84: soffset, data
    message.extend([0, 0, 0, 10]); // its type at 95
    message.extend(u32s(&[shape_at as u32 - 96])); // its shape
    message.resize(message.len() + pad, 0);
    message.extend(u32s(&[data.len() as u32]));
    message.extend(&data);
    message.extend(u32s(&[2]));
    message.extend([i64::from(rows), 2].iter().flat_map(|dim| dim.to_le_bytes()));
    message.extend(u32s(&[0, 0])); // config and its NUL
    message
}

#[test]
fn a_payload_before_its_shape_is_claimed_alone_and_checked_later() {
    let mut bench = cheap();
    let message = shape_behind_the_data(3, 0);
    let window = Window::split(&message[..104], &[], message.len() as u32);
    let Read::Infer(request) = read_request(window).unwrap() else { panic!("an inference") };
    assert!(!request.is_complete());
    let claim = bench.service.claim(Route::Http("/"), &request, message.len() as u32).unwrap();
    let pieces: Vec<_> = claim.pieces.iter().map(|piece| (piece.message.clone(), piece.offset)).collect();
    assert_eq!(pieces, [(104..128, 0)]);
    let route = Route::Http("/models/honest");
    let outputs = outputs(fill_and_commit(&mut bench.service, &message, claim, route));
    assert_eq!((outputs[0].shape.dims(), bytes(&outputs[0])), (&[3, 2][..], &[4; 24][..]));
}

#[test]
fn a_message_that_is_received_whole_is_aligned_if_it_has_to_be() {
    let mut bench = cheap();
    let message =
        message(&Asked { model: "two", ..Asked::default() }, &[(DType::Float32, &[3], 1), (DType::Float64, &[5], 2)]);
    let aligned = &bench.daemon.registry.entries()[2].served.counters.copied_align;
    let claim = bench.service.claim_message(Route::Native, message.len() as u32).unwrap();
    assert_eq!(claim.pieces.len(), 1);
    let reply = fill_and_commit(&mut bench.service, &message, claim, Route::Native);
    assert_eq!((bytes(&outputs(reply)[0]), aligned.get()), (&[2; 12][..], 0), "our own messages are aligned");

    let message = shape_behind_the_data(3, 1);
    let aligned = &bench.daemon.registry.entries()[3].served.counters.copied_align;
    let claim = bench.service.claim_message(Route::Native, message.len() as u32).unwrap();
    let reply = fill_and_commit(&mut bench.service, &message, claim, Route::Http("/models/honest"));
    assert_eq!((bytes(&outputs(reply)[0]), aligned.get()), (&[4; 24][..], 24), "105 is not a multiple of 4");
}

#[test]
fn a_metadata_request_may_come_as_a_whole_message() {
    let mut bench = cheap();
    let message = graphpipe_schema::metadata::metadata_request("strings", "");
    let claim = bench.service.claim_message(Route::Native, message.len() as u32).unwrap();
    let Some(Reply::Message(reply)) = fill_and_commit(&mut bench.service, &message, claim, Route::Native) else {
        panic!("a message")
    };
    let metadata = graphpipe_schema::metadata::Metadata::read(&reply).unwrap();
    assert_eq!((metadata.name.as_str(), metadata.models.len()), ("strings", 4));
}

#[test]
fn strings_go_in_and_come_out() {
    let mut bench = cheap();
    let words: &[&[u8]] = &[b"a", b"", b"\0\xff"];
    let tensor = writer::Tensor { dtype: DType::String, shape: &[3], content: Written::Strings(words) };
    let request = writer::InferRequest { inputs: &[tensor], ..writer::InferRequest::default() };
    let mut message = Vec::new();
    writer::infer_request(&mut message, &request).unwrap();
    let outputs = outputs(send(&mut bench.service, &message, message.len(), Route::Http("/models/strings")));
    assert!(matches!(&outputs[0].content, Content::Strings(strings) if strings == words), "{outputs:?}");
    let copied = bench.daemon.registry.entries()[1].served.counters.copied_strings.get();
    assert_eq!(copied, 3 + 3, "in and out");
}

#[test]
fn the_path_and_the_message_may_name_the_model_but_not_two() {
    let mut bench = cheap();
    let named = message(&Asked { model: "rows", outputs: &[b"same"], deadline_us: 0 }, &[ROWS]);
    let head = head(&named);
    outputs(send(&mut bench.service, &named, head, Route::Http("/models/rows")));
    outputs(send(&mut bench.service, &named, head, Route::Http("/any/path")));
    let (code, text) = refused(send(&mut bench.service, &named, head, Route::Http("/models/two")));
    assert_eq!((code, text.as_str()), (Code::UnknownModel, "the path names model \"two\", the message names \"rows\""));
    let nobody = message(&Asked { model: "nobody", ..Asked::default() }, &[ROWS]);
    let (code, text) = refused(send(&mut bench.service, &nobody, self::head(&nobody), Route::Native));
    let known = "unknown model \"nobody\"; these are served: rows, strings, two, honest";
    assert_eq!((code, text.as_str()), (Code::UnknownModel, known));
}

#[test]
fn a_failing_and_a_panicking_model_fail_their_request_only() {
    let mut bench = cheap();
    assert_eq!(refused(send_rows(&mut bench, 7)), (Code::ModelFailed, "seven".into()));
    let (code, text) = refused(send_rows(&mut bench, 9));
    assert_eq!((code, text.as_str()), (Code::ModelFailed, "the framework panicked: nine"));
    assert_eq!(bytes(&outputs(send_rows(&mut bench, 1))[0]), [2; 24]);
    let counters = &bench.daemon.registry.entries()[0].served.counters;
    assert_eq!((counters.requests.get(), counters.failures.get(), counters.panics.get()), (3, 2, 1));
    assert_eq!(bench.daemon.pool.in_use_bytes(), 0);
}

#[test]
fn a_request_over_the_budget_is_told_so() {
    let mut bench = cheap();
    let message = message(&Asked::default(), &[(DType::Float32, &[1 << 18, 2], 1)]);
    let (code, text) = refused(send(&mut bench.service, &message, head(&message), Route::Native));
    assert_eq!(code, Code::Busy);
    assert!(text.contains("--memory"), "{text}");
}

#[test]
fn a_deadline_that_has_passed_is_an_answer() {
    let mut bench = cheap();
    let message = message(&Asked { deadline_us: 1, ..Asked::default() }, &[ROWS]);
    let window = Window::split(&message[..head(&message)], &[], message.len() as u32);
    let Read::Infer(request) = read_request(window).unwrap() else { panic!("an inference") };
    let claim = bench.service.claim(Route::Native, &request, message.len() as u32).unwrap();
    let claimed = Instant::now();
    while claimed.elapsed().as_micros() < 2 {
        std::hint::spin_loop();
    }
    let (code, _) = refused(fill_and_commit(&mut bench.service, &message, claim, Route::Native));
    assert_eq!(code, Code::DeadlineExceeded);
    let far = self::message(&Asked { deadline_us: u64::MAX, outputs: &[b"same"], model: "" }, &[ROWS]);
    outputs(send(&mut bench.service, &far, head(&far), Route::Native));
}

#[test]
fn a_reactor_runs_what_is_cheap_but_never_what_may_wait_for_others() {
    for (name, is_here) in [("quick", true), ("blocks", false)] {
        let mut bench = bench(vec![(name, rows(), false)]);
        let cost = bench.daemon.registry.entries()[0].served.cost.clone();
        crate::cost::Learner::new(cost).observe(3, Duration::from_micros(1));
        assert_eq!(send_rows(&mut bench, 1).is_some(), is_here, "{name}");
    }
}

#[test]
fn a_full_queue_is_busy_and_names_its_limit() {
    let mut bench = bench(vec![("slow", rows(), false)]);
    assert!(send_rows(&mut bench, 1).is_none() && send_rows(&mut bench, 1).is_none());
    let (code, text) = refused(send_rows(&mut bench, 1));
    assert_eq!((code, text.as_str()), (Code::Busy, "2 requests wait for model \"slow\" already (--queue-max)"));
    assert_eq!(bench.daemon.registry.entries()[0].served.counters.busy.get(), 1);
    let queue = bench.daemon.registry.entries()[0].queue.clone();
    let first = queue.take().unwrap();
    assert!(send_rows(&mut bench, 1).is_none(), "there is room again");
    let second = queue.take().unwrap();
    let (code, text) = refused(send_rows(&mut bench, 1));
    assert_eq!((code, text.as_str()), (Code::Busy, "3 requests of this reactor wait already"));
    drop((first, second));
    let given_up = refused(Some(bench.letterbox.take().1));
    assert_eq!(given_up, (Code::Internal, "the request was given up".into()), "whoever drops a request answers it");
}

#[test]
fn an_executor_answers_everything_that_was_queued_and_ends() {
    let mut bench = bench(vec![("slow", rows(), false)]);
    assert!(send_rows(&mut bench, 1).is_none() && send_rows(&mut bench, 7).is_none());
    let Bench { service, daemon, letterbox } = bench;
    let executor = Executor {
        served: daemon.registry.entries()[0].served.clone(),
        instance: None,
        learner: crate::cost::Learner::new(daemon.registry.entries()[0].served.cost.clone()),
        queue: daemon.registry.entries()[0].queue.clone(),
        place: 0,
        next_set: 0,
        has_left: false,
        pool: daemon.pool.clone(),
        returns: daemon.returns.clone(),
        running: daemon.running.clone(),
    };
    // With the registry the queue closes, so the executor ends.
    drop((service, daemon));
    executor.run();
    let (ticket, reply) = letterbox.take();
    assert_eq!(ticket, TICKET);
    assert_eq!(bytes(&outputs(Some(reply))[0]), [2; 24]);
    assert_eq!(refused(Some(letterbox.take().1)), (Code::ModelFailed, "seven".into()));
}

#[test]
fn a_core_is_wanted_when_reactors_and_runs_are_more_than_there_are() {
    let bench = cheap();
    assert!(!bench.service.wants_core(), "one reactor on four cores");
    bench.daemon.running.store(3, std::sync::atomic::Ordering::Relaxed);
    assert!(!bench.service.wants_core(), "one reactor and three runs on four cores");
    bench.daemon.running.store(4, std::sync::atomic::Ordering::Relaxed);
    assert!(bench.service.wants_core());
}

#[test]
fn a_reactor_rests_for_a_small_part_of_the_shortest_run_that_needs_its_core() {
    let bench = cheap();
    let (queue, running) = (&bench.daemon.registry.entries()[0].queue, &bench.daemon.running);
    let rest_beside = |threads, milliseconds: Option<u64>| {
        let _run = Counted::new(queue.clone(), running.clone(), threads, milliseconds.map(Duration::from_millis));
        bench.daemon.rest()
    };
    assert_eq!(rest_beside(4, Some(16)), Some(Duration::from_millis(2)), "an eighth");
    assert_eq!(rest_beside(4, Some(10_000)), Some(Duration::from_millis(4)), "others wait, too");
    assert_eq!(rest_beside(4, Some(0)), None, "to be woken is cheaper");
    assert_eq!(rest_beside(4, None), None, "what nobody knows may be over at once");
    assert_eq!(rest_beside(3, Some(16)), None, "there is a core for it");
    assert_eq!(rest_beside(8, Some(16)), Some(Duration::from_millis(2)), "more runs than cores use all of them");
    assert_eq!(bench.daemon.rest(), None, "the run is over");
}

#[test]
fn a_reply_is_believed_to_come_when_the_run_is_over_that_was_begun_last() {
    let bench = cheap();
    let (queue, running) = (&bench.daemon.registry.entries()[0].queue, &bench.daemon.running);
    let run = |milliseconds: Option<u64>| {
        Counted::new(queue.clone(), running.clone(), 1, milliseconds.map(Duration::from_millis))
    };
    let begin = Instant::now();
    let first = run(Some(1_000));
    assert_eq!(bench.service.next_reply(begin), None, "no request of this reactor is away");
    assert!(bench.daemon.returns[0].depart());
    let believed = |then| bench.service.next_reply(then).map(|reply| reply - begin);
    let near = |found: Option<Duration>, milliseconds: u64| {
        // It was begun a moment after `begin`.
        let least = Duration::from_millis(milliseconds);
        found.is_some_and(|found| (least..least + Duration::from_mins(1)).contains(&found))
    };
    assert!(near(believed(begin), 1_000));
    let second = run(Some(100_000));
    assert!(near(believed(begin), 100_000));
    assert_eq!(believed(begin + Duration::from_secs(1_000)), None, "that would have been over");
    let unknown = run(None);
    assert_eq!(believed(begin), None, "nobody knows");
    drop((first, second, unknown));
    drop(run(Some(1_000)));
    assert_eq!(believed(begin), None, "nothing runs");
}

#[test]
fn runs_that_are_kept_to_some_cores_leave_the_others_to_the_reactors() {
    for (cpus, is_wanted) in [("0-1", false), ("0-3", true)] {
        let bench = bench_on(Some(cpus.parse().unwrap()), vec![("rows", rows(), true)]);
        bench.daemon.running.store(4, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(bench.service.wants_core(), is_wanted, "{cpus}");
    }
}

#[test]
fn a_reactor_does_not_rest_while_what_comes_to_it_need_not_wait() {
    let mut bench = cheap();
    let (queue, running) = (bench.daemon.registry.entries()[0].queue.clone(), bench.daemon.running.clone());
    let _run = Counted::new(queue, running, 4, Some(Duration::from_millis(16)));
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    bench.service.turn(later(1), &mut |_, _| ());
    assert_eq!(bench.service.rest(), Some(Duration::from_millis(2)));
    bench.service.page("/healthz");
    bench.service.turn(later(2), &mut |_, _| ());
    assert_eq!(bench.service.rest(), None, "somebody was answered just now");
    bench.service.turn(later(3), &mut |_, _| ());
    assert_eq!(bench.service.rest(), Some(Duration::from_millis(2)));
}

//! Runs in processes that lie: threads that speak like a process, and say what no host would.

use super::*;
use crate::budget::tests::Bytes;
use crate::process::{Launch, Process};
use crate::wire::control::{FromProcess, Opened, ToProcess};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Input, Keep, Kept, Model, Options, Prepared, Signature};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::{JoinHandle, spawn};

/// Says this to the first run, and then nothing more; one that has nothing to say hangs up.
#[derive(Clone)]
struct Liar(Vec<Vec<u8>>);

impl Launch for Liar {
    fn launch(&self, control: OwnedFd) -> io::Result<Box<dyn Process>> {
        let liar = self.clone();
        Ok(Box::new(Some(spawn(move || liar.live(&Socket::of(control))))))
    }
}

impl Process for Option<JoinHandle<()>> {
    fn kill(&mut self) {}

    fn wait(&mut self) -> String {
        self.take().expect("it is waited for once").join().expect("no panic");
        "as it should".into()
    }
}

impl Liar {
    fn live(&self, control: &Socket) {
        let (mut mailbag, mut message) = (Mailbag::new(), Vec::new());
        while let Ok((said, mut descriptors)) = control.receive(&mut mailbag) {
            match ToProcess::read(said) {
                Ok(ToProcess::Open { .. }) => {
                    let opened = Opened { signature: Signature::default(), options: Vec::new(), copies: false };
                    FromProcess::Opened(opened).write(&mut message);
                    control.send(&message, &[]).expect("the daemon hears");
                }
                Ok(ToProcess::Instance) => self.lie(&Socket::of(descriptors.remove(0))),
                _ => return,
            }
        }
    }

    fn lie(&self, socket: &Socket) {
        let mut message = Vec::new();
        Answer::Ready.write(&mut message);
        socket.send(&message, &[]).expect("the daemon hears");
        let mut mailbag = Mailbag::new();
        let is_run = socket.receive(&mut mailbag).is_ok_and(|(bytes, _)| Run::read(bytes).is_ok());
        if is_run && !self.0.is_empty() {
            // The daemon may have heard enough before the end.
            self.0.iter().for_each(|lie| drop(socket.send(lie, &[])));
            // What it says to that.
            while socket.receive(&mut mailbag).is_ok_and(|(bytes, _)| !bytes.is_empty()) {}
        }
    }
}

struct Nothing;

impl Keep for Nothing {
    fn keep(&self) -> Kept {
        std::sync::Arc::new(())
    }
}

/// The error of a run with one input and one output of four bytes each, to which this is said.
fn error_of(lies: Vec<Vec<u8>>) -> RunError {
    let options = Options::default();
    let model = crate::Isolated::open(
        "m",
        "b",
        Path::new(""),
        &options,
        Box::new(Liar(lies)),
        std::sync::Arc::new(Bytes::new(0)),
    )
    .expect("it opens");
    let mut instance = model.instance().expect("it has instances");
    let list = [Input { index: 0, dtype: DType::Uint8, shape: &[4], elements: Elements::Bytes(&[1; 4]) }];
    let (mut memory, shape) = ([0xa5; 4], Shape::new(&[4]).expect("a shape"));
    let prepared = Some(Prepared { shape, bytes: &mut memory });
    let mut slots = [OutputSlot { index: 0, prepared, produced: None }];
    let error = instance.run(&Inputs::new(&list, &Nothing), &mut slots).expect_err("it is a lie");
    assert!(!model.is_up(), "whoever lies is ended");
    error
}

fn said(answer: &Answer) -> Vec<u8> {
    let mut message = Vec::new();
    answer.write(&mut message);
    message
}

fn done(outputs: impl IntoIterator<Item = Given>) -> Vec<u8> {
    said(&Answer::Done { outputs: outputs.into_iter().collect(), is_kept: false })
}

#[test]
fn a_process_that_lies_is_ended_and_the_run_has_an_error() {
    let beyond = Given::Lent { dtype: DType::Uint8, shape: Shape::new(&[4]).expect("a shape"), place: 0..4 };
    let lies = [
        vec![said(&Answer::Ready)],
        vec![done([])],
        vec![done([Given::InPlace, Given::InPlace])],
        vec![done([Given::SameAsInput(1)])],
        // Nothing was ever lent.
        vec![done([beyond])],
        vec![said(&Answer::Room(1)), said(&Answer::Room(1))],
        vec![vec![9], vec![3]],
        // There is no budget for what it keeps.
        vec![said(&Answer::Done { outputs: [Given::InPlace].into_iter().collect(), is_kept: true })],
    ];
    for lies in lies {
        let RunError::Framework(words) = error_of(lies.clone()) else { panic!("{lies:?}") };
        assert!(words.starts_with("the process of model \"m\" gave an answer that cannot be ("), "{words}");
    }
}

/// Nobody else would ever use that place again, or restart the process.
#[test]
fn a_process_that_lives_but_hangs_up_is_ended() {
    for lies in [vec![], vec![vec![]]] {
        let RunError::Framework(words) = error_of(lies) else { panic!("it is not the machine") };
        let expected = "the process of model \"m\" gave an answer that cannot be (nothing more, though it lives); it is being started again";
        assert_eq!(words, expected);
    }
}

#[test]
fn noise_is_an_error_and_nothing_worse() {
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for _ in 0..200 {
        let length = 1 + next() % 100;
        let mut noise: Vec<u8> = (0..length).map(|_| next() as u8).collect();
        // Most of them begin like an answer.
        noise[0] %= 6;
        let error = error_of(vec![noise.clone(), done([])]);
        assert!(matches!(error, RunError::Framework(_)), "{noise:?}: {error:?}");
    }
}

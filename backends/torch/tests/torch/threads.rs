//! Threads inside of a run: as many as each model was opened for, whatever another one wants.

use crate::support::{backend, floats, path_of, run};
use graphpiped_backend_api::{Backend, Options};
use graphpiped_backend_conformance::process::{child, is_child};

/// Threads of this process that PyTorch's OpenMP has begun for the calling thread would show as new ones.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux tells").count()
}

#[test]
fn each_model_uses_as_many_threads_as_it_was_opened_for() {
    // In a process of its own, because threads of other tests come and go.
    if !is_child() {
        child("threads::each_model_uses_as_many_threads_as_it_was_opened_for", |_| {});
        return;
    }
    let open = |intra_threads| {
        let options = Options { intra_threads, ..Options::default() };
        let model = backend().open(&path_of("multiplied.pt"), &options).unwrap_or_else(|error| panic!("{error}"));
        let shown = ("intra_threads".to_string(), intra_threads.to_string());
        assert!(model.effective_options().contains(&shown), "{:?}", model.effective_options());
        model.instance().expect("an instance")
    };
    let (mut one, mut three) = (open(1), open(3));
    let size = 512;
    let inputs = || [floats(&[size, size], &vec![0.5; (size * size) as usize])];
    let before = threads();
    run(&mut *one, &inputs(), &[0]).expect("it runs");
    assert_eq!(threads(), before, "one thread is the calling one");
    run(&mut *three, &inputs(), &[0]).expect("it runs");
    assert_eq!(threads(), before + 2, "three are two more");
    // On a thread that has run nothing yet, the first of the models again.
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let before = threads();
            run(&mut *one, &inputs(), &[0]).expect("it runs");
            threads() - before
        });
        assert_eq!(other.join().expect("it ends"), 0, "what another model wants is not this one's");
    });
}

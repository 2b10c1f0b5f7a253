//! What is seen while it runs: a line on the terminal, and nothing where there is none.

use crate::engine::Live;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Waking up to draw takes the core from the generator; four times a second is not felt.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// Runs `body` and shows meanwhile how far it is; `expected` is how long it takes if nothing is late.
pub fn while_running<T>(what: &str, expected: Duration, live: &Live, body: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::with_draw_target(Some(expected.as_millis() as u64), ProgressDrawTarget::stderr());
    if bar.is_hidden() {
        return body();
    }
    let style = ProgressStyle::with_template("{prefix} [{bar:24}] {msg}").expect("a template that indicatif reads");
    bar.set_style(style.progress_chars("=> "));
    bar.set_prefix(what.to_owned());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let drawing = scope.spawn(|| draw(&bar, live, &done));
        // Dropped by a panic as well: the scope waits for the thread.
        let _done = Done(&done, drawing.thread().clone());
        body()
    })
}

struct Done<'a>(&'a AtomicBool, Thread);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}

fn draw(bar: &ProgressBar, live: &Live, done: &AtomicBool) {
    let begin = Instant::now();
    let (mut last, mut last_at) = (0, begin);
    while !done.load(Ordering::Relaxed) {
        std::thread::park_timeout(DRAW_EVERY);
        let answered = live.answered.load(Ordering::Relaxed);
        let failed = live.failed.load(Ordering::Relaxed);
        let rate = (answered - last) as f64 / last_at.elapsed().as_secs_f64().max(1e-3);
        (last, last_at) = (answered, Instant::now());
        let failures = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        bar.set_message(format!("{rate:.0}/s, {answered} answered{failures}"));
        bar.set_position(begin.elapsed().as_millis() as u64);
    }
    bar.finish_and_clear();
}

//! The mailbox between two threads, as executors and reactors have it, beside the bare queue that is in it. Both threads stay
//! awake, and both sides wait in the same way while the queue is full.

use crossbeam::queue::ArrayQueue;
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::service::{Reply, Ticket};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// As many replies as may wait.
const CAPACITY: usize = 1024;
const TICKET: Ticket = Ticket { connection: 1, generation: 2, id: 3, weight: 1 };

/// Something that one thread fills and another one empties.
trait Hand: Send + Sync + 'static {
    fn is_full(&self) -> bool;
    fn put(&self, reply: Reply);
    fn take(&self) -> Option<(Ticket, Reply)>;
}

impl Hand for Mailbox {
    fn is_full(&self) -> bool {
        self.len() == CAPACITY
    }

    fn put(&self, reply: Reply) {
        self.deliver(TICKET, reply);
    }

    fn take(&self) -> Option<(Ticket, Reply)> {
        Mailbox::take(self)
    }
}

impl Hand for ArrayQueue<(Ticket, Reply)> {
    fn is_full(&self) -> bool {
        ArrayQueue::is_full(self)
    }

    fn put(&self, reply: Reply) {
        assert!(self.push((TICKET, reply)).is_ok(), "only this thread puts anything into it");
    }

    fn take(&self) -> Option<(Ticket, Reply)> {
        self.pop()
    }
}

/// Does something so many times, and says how long that took.
pub type Timed = Box<dyn FnMut(u64) -> Duration>;

/// How long it takes until replies of another thread have been taken, through the mailbox and through the bare queue.
pub fn threads() -> [(&'static str, Timed); 2] {
    let mailbox = Mailbox::new(CAPACITY).expect("an eventfd");
    let queue = Arc::new(ArrayQueue::new(CAPACITY));
    [
        ("deliver, another thread takes", Box::new(move |count| each(count, |count| hand_over(&mailbox, count)))),
        ("an ArrayQueue, another thread pops", Box::new(move |count| each(count, |count| hand_over(&queue, count)))),
    ]
}

/// Hands over many replies for each that was asked for, so that the start of a thread is nothing beside them.
fn each(count: u64, hand_over: impl FnOnce(u64) -> Duration) -> Duration {
    const MANY: u32 = 10_000;
    hand_over(count * u64::from(MANY)) / MANY
}

fn hand_over<H: Hand>(hand: &Arc<H>, count: u64) -> Duration {
    let start = Arc::new(Barrier::new(2));
    let sender = std::thread::spawn({
        let (hand, start) = (hand.clone(), start.clone());
        let message: Arc<[u8]> = [0; 64].into();
        move || {
            start.wait();
            for _ in 0..count {
                while hand.is_full() {
                    std::hint::spin_loop();
                }
                hand.put(Reply::Message(message.clone()));
            }
        }
    });
    start.wait();
    let begin = Instant::now();
    let mut taken = 0;
    while taken < count {
        match hand.take() {
            Some(reply) => {
                black_box(reply);
                taken += 1;
            }
            None => std::hint::spin_loop(),
        }
    }
    let elapsed = begin.elapsed();
    sender.join().expect("a sender that has sent everything");
    elapsed
}

//! The mailbox through which replies come back to their reactor, beside the bare queue that is in it. What the mailbox adds
//! is the bell: a fence and a look at whether the reactor sleeps. It never does here: what a wake-up costs is the kernel's.

use super::Piece;
use crossbeam::queue::ArrayQueue;
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::service::{Reply, Ticket};
use std::hint::black_box;
use std::sync::Arc;

/// As many replies as may wait.
const CAPACITY: usize = 1024;
const TICKET: Ticket = Ticket { connection: 1, generation: 2, id: 3, weight: 1 };

/// A reply that costs as little to make as one can.
fn reply(message: &Arc<[u8]>) -> Reply {
    Reply::Message(message.clone())
}

/// Delivered and taken by one thread.
pub fn piece() -> Piece {
    let message: Arc<[u8]> = [0; 64].into();
    let mailbox = Mailbox::new(CAPACITY).expect("an eventfd");
    let queue = ArrayQueue::new(CAPACITY);
    let floor_message = message.clone();
    Piece {
        name: "deliver a reply and take it",
        run: Box::new(move || {
            mailbox.deliver(black_box(TICKET), reply(&message));
            black_box(mailbox.take());
        }),
        floor_name: "push to an ArrayQueue and pop",
        floor: Box::new(move || {
            assert!(queue.push((black_box(TICKET), reply(&floor_message))).is_ok(), "it is empty");
            black_box(queue.pop());
        }),
    }
}

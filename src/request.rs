//! A request after its commit: who is to be answered, by when, and what is wanted. Whatever happens to it, it is answered
//! once: also if it is dropped.

use crate::model::Served;
use crate::returns::Returns;
use graphpipe_schema::Code;
use graphpiped_transport::service::{Refusal, Reply, Ticket};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Instant;

/// A request that has been committed and not answered.
#[derive(Debug)]
pub struct Request {
    ticket: Ticket,
    /// After this nobody wants the reply.
    deadline: Option<Instant>,
    /// Indices of the outputs that are wanted, in the order of the reply.
    pub outputs: SmallVec<[u16; 4]>,
    /// Taken by the answer.
    way: Option<Arc<Returns>>,
}

impl Request {
    /// A request that has [departed](Returns::depart) and is to be answered by this way.
    pub fn new(ticket: Ticket, deadline: Option<Instant>, outputs: SmallVec<[u16; 4]>, way: &Arc<Returns>) -> Request {
        Request { ticket, deadline, outputs, way: Some(Arc::clone(way)) }
    }

    /// Whether nobody waits for its reply any more.
    pub fn is_gone(&self) -> bool {
        self.way.as_ref().is_some_and(|way| way.is_gone(self.ticket))
    }

    /// Its deadline, if it has one.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether somebody still waits for its reply and will have it in time; else what to answer, counted.
    pub fn go_on(&self, served: &Served) -> Result<(), Refusal> {
        if self.is_gone() {
            served.counters.gone.add(1);
            return Err(Refusal::new(Code::DeadlineExceeded, "its client is gone"));
        }
        let now = self.deadline.map(|_| Instant::now());
        now.and_then(|now| late(served, self.deadline, now)).map_or(Ok(()), Err)
    }

    /// Answers it through its reactor's letterbox, which is rung for later.
    pub fn deliver(mut self, reply: Reply) {
        if let Some(way) = self.way.take() {
            way.deliver(self.ticket, reply);
        }
    }

    /// Answers it on its own reactor.
    pub fn answer_here(mut self, reply: Reply, replies: &mut dyn FnMut(Ticket, Reply)) {
        if let Some(way) = self.way.take() {
            way.stay();
            replies(self.ticket, reply);
        }
    }

    /// Gives it up without an answer, because its client is gone.
    pub fn forget(mut self) {
        if let Some(way) = self.way.take() {
            way.stay();
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(way) = self.way.take() {
            way.deliver(self.ticket, Reply::Refused(Refusal::new(Code::Internal, "the request was given up")));
            way.ring();
        }
    }
}

/// The refusal of a request whose deadline has passed.
pub fn late(served: &Served, deadline: Option<Instant>, now: Instant) -> Option<Refusal> {
    let over = now.checked_duration_since(deadline?)?;
    served.counters.late.add(1);
    let message = format!("the deadline passed {} us before there was an answer", over.as_micros());
    Some(Refusal::new(Code::DeadlineExceeded, message))
}

/// The reply to a request if its deadline has not passed meanwhile; else that it has.
pub fn in_time(served: &Served, deadline: Option<Instant>, reply: Reply) -> Reply {
    let is_said = matches!(&reply, Reply::Refused(refusal) if refusal.code == Code::DeadlineExceeded);
    // The clock is dear beside a cheap run, so it is only asked for those who have a deadline.
    let over = deadline.filter(|_| !is_said).and_then(|_| late(served, deadline, Instant::now()));
    over.map_or(reply, Reply::Refused)
}

//! HTTP/1.1 on a connection: one request at a time, its reply, the next one.
//!
//! A request that is pipelined behind another waits in the carry (or unread in the socket) until the reply before it is
//! encoded, so replies are in order by construction. Bodies of declared length take the same way into memory as native
//! frames; bodies in chunks are gathered first (see [`body::Chunks`]).

mod body;

use super::intake::{Intake, Step};
use super::{Base, Cx, FIRST_BYTES, Want, message};
use crate::http::{self, Body, Method, Parsed, Reject, RequestHead, ResponseHead, Version};
use crate::service::{Page, Refusal, Reply, Route, Service};
use body::Chunks;
use graphpiped_memory::Destination;
use std::ops::Range;

/// A longer path is not kept for the next request: 10,000 idle connections would keep 10,000 of them. Each request with
/// such a path whose body does not come with its head costs an allocation.
const PATH_BYTES_KEPT: usize = 128;

/// The state of an HTTP connection between two events.
#[derive(Debug)]
pub(super) struct Http<C> {
    state: State<C>,
    /// Of the request that is being served.
    request: Request,
    /// How much of the carry has been looked at without finding the end of a head.
    seen: usize,
}

#[derive(Debug)]
enum State<C> {
    Head,
    Body { intake: Intake<C>, is_answered: bool },
    Chunks(Chunks<C>),
    Waiting,
}

/// What of a request's head outlives its bytes.
#[derive(Debug)]
struct Request {
    path: String,
    version: Version,
    keep_alive: bool,
    is_head: bool,
}

impl<C> Default for Http<C> {
    fn default() -> Http<C> {
        let request = Request { path: String::new(), version: Version::Http11, keep_alive: true, is_head: false };
        Http { state: State::Head, request, seen: 0 }
    }
}

impl<C> Http<C> {
    pub(super) fn wants(&self, carried: usize) -> Want {
        match &self.state {
            // Only what receives learns that the peer has gone away. What comes instead is the next request.
            State::Waiting if carried > 0 => Want::Nothing,
            State::Head | State::Waiting => Want::Bytes(FIRST_BYTES),
            State::Body { intake, .. } => match intake.wanted() {
                0 => Want::Fill,
                bytes => Want::Bytes(bytes),
            },
            State::Chunks(_) => Want::Bytes(usize::MAX),
        }
    }

    pub(super) fn take_fill(&mut self) -> Option<(Destination, Range<usize>)> {
        match &mut self.state {
            State::Body { intake, .. } => intake.take_fill(),
            _ => None,
        }
    }

    pub(super) fn is_in_rows(&self) -> bool {
        matches!(&self.state, State::Body { intake, .. } if intake.is_in_rows())
    }

    /// Bytes of the message that is arriving; 0 if none is.
    pub(super) fn arriving_bytes(&self) -> u32 {
        if let State::Body { intake, .. } = &self.state { intake.length() } else { 0 }
    }

    pub(super) fn let_go(&mut self) {
        self.state = State::Head;
    }

    pub(super) fn is_mid_message(&self) -> bool {
        matches!(self.state, State::Body { .. } | State::Chunks(_))
    }

    pub(super) fn aside_bytes(&self) -> usize {
        if let State::Body { intake, .. } = &self.state { intake.aside_bytes() } else { 0 }
    }

    /// Whether what is arriving is a head: of the request, or of the message in its body.
    pub(super) fn is_head(&self) -> bool {
        match &self.state {
            State::Head => true,
            State::Body { intake, .. } => intake.is_head(),
            State::Chunks(_) | State::Waiting => false,
        }
    }

    pub(super) fn consume<S>(&mut self, base: &mut Base, input: &[u8], cx: &mut Cx<'_, S>) -> usize
    where
        S: Service<Context = C>,
    {
        match &mut self.state {
            State::Waiting => 0,
            State::Head if base.holds(cx.limits) => 0,
            State::Head => match http::read_head(input, self.seen) {
                Ok(Parsed::Need) => {
                    self.seen = input.len();
                    0
                }
                Ok(Parsed::Head { head, bytes }) => {
                    self.seen = 0;
                    bytes + self.head(base, &head, &input[bytes..], cx)
                }
                Err(refused) => {
                    reject(base, &refused, cx);
                    0
                }
            },
            State::Body { intake, .. } => {
                let (consumed, step) = intake.push(Route::Http(&self.request.path), input, cx);
                self.step(base, step, cx);
                consumed
            }
            State::Chunks(chunks) => match chunks.push(Route::Http(&self.request.path), input, cx) {
                Ok((consumed, is_done)) => {
                    if is_done {
                        self.chunks_done(base, cx);
                    }
                    consumed
                }
                Err(refused) => {
                    self.state = State::Head;
                    reject(base, &refused, cx);
                    0
                }
            },
        }
    }

    pub(super) fn filled<S>(&mut self, base: &mut Base, destination: Destination, bytes: usize, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        if let State::Body { intake, .. } = &mut self.state {
            let step = intake.filled(destination, bytes);
            self.step(base, step, cx);
        }
    }

    /// See [`Connection::set_apart`](super::Connection::set_apart).
    pub(super) fn set_apart<S>(&mut self, base: &mut Base, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        if let State::Body { intake, .. } = &mut self.state {
            let step = intake.set_apart(cx);
            self.step(base, step, cx);
        }
    }

    /// The reply to the request that was committed.
    pub(super) fn reply<S>(&mut self, base: &mut Base, reply: &Reply, cx: &mut Cx<'_, S>) {
        self.state = State::Head;
        self.respond(base, reply, cx);
        self.next(base, cx);
    }

    /// A head is there, and `rest` behind it. Returns how much of `rest` was taken.
    fn head<S>(&mut self, base: &mut Base, head: &RequestHead<'_>, rest: &[u8], cx: &mut Cx<'_, S>) -> usize
    where
        S: Service<Context = C>,
    {
        self.request.version = head.version;
        self.request.keep_alive = head.keep_alive && !cx.is_draining;
        self.request.is_head = head.method == Method::Head;
        if matches!(head.method, Method::Get | Method::Head) || cx.service.is_page(head.path) {
            return self.page(base, head, cx);
        }
        cx.counters.requests_http.add(1);
        let limit = cx.limits.message_bytes_max;
        let length = match head.body {
            Body::None => 0,
            Body::Length(length) if length > u64::from(limit) => {
                reject(base, &Reject::body_over(u64::from(limit)), cx);
                return 0;
            }
            Body::Length(length) => length as usize,
            Body::Chunked => {
                self.begin_body(base, head, State::Chunks(Chunks::new(limit)), cx);
                return 0;
            }
        };
        if let Some(body) = rest.get(..length) {
            let route = Route::Http(head.path);
            let reply = message::take(base, 0, route, body, cx);
            self.committed(base, reply, cx);
            return length;
        }
        let intake = Intake::new(length as u32, 0, cx.spare.take());
        self.begin_body(base, head, State::Body { intake, is_answered: false }, cx);
        0
    }

    fn begin_body<S>(&mut self, base: &mut Base, head: &RequestHead<'_>, state: State<C>, cx: &mut Cx<'_, S>) {
        self.request.path.clear();
        self.request.path.push_str(head.path);
        self.state = state;
        if head.expect_continue {
            base.outbox.write(cx.spare, |bytes| bytes.extend_from_slice(http::CONTINUE));
        }
    }

    fn page<S: Service>(&mut self, base: &mut Base, head: &RequestHead<'_>, cx: &mut Cx<'_, S>) -> usize {
        let Page { status, content_type, body } = cx.service.page(head.path);
        // A body that nobody reads here would be taken for the next request.
        let keep_alive = self.request.keep_alive && head.body == Body::None;
        self.request.keep_alive = keep_alive;
        let content_bytes = body.len() as u64;
        let response = ResponseHead { version: head.version, status, content_type, content_bytes, keep_alive };
        base.outbox.write(cx.spare, |bytes| {
            http::write_response_head(bytes, &response);
            if !self.request.is_head {
                bytes.extend_from_slice(body.as_bytes());
            }
        });
        self.next(base, cx);
        0
    }

    fn step<S>(&mut self, base: &mut Base, step: Step, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        match step {
            Step::More => {}
            Step::Answered(reply) => {
                self.respond(base, &reply, cx);
                if let State::Body { is_answered, .. } = &mut self.state {
                    *is_answered = true;
                }
            }
            Step::Complete => {
                let State::Body { intake, .. } = std::mem::replace(&mut self.state, State::Waiting) else {
                    unreachable!("a step is a step of a body")
                };
                let route = Route::Http(&self.request.path);
                let (reply, aside) = intake.complete(|window, claim| base.commit(0, route, window, claim, cx));
                cx.spare.give(aside);
                return self.committed(base, reply, cx);
            }
        }
        if matches!(&self.state, State::Body { intake, is_answered: true } if intake.is_done()) {
            self.state = State::Head;
            self.next(base, cx);
        }
    }

    fn chunks_done<S>(&mut self, base: &mut Base, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        let State::Chunks(chunks) = std::mem::replace(&mut self.state, State::Waiting) else {
            unreachable!("chunks are done where there were chunks")
        };
        let reply = chunks.commit(base, Route::Http(&self.request.path), cx);
        self.committed(base, reply, cx);
    }

    fn committed<S>(&mut self, base: &mut Base, reply: Option<Reply>, cx: &mut Cx<'_, S>) {
        match reply {
            Some(reply) => {
                self.state = State::Head;
                self.respond(base, &reply, cx);
                self.next(base, cx);
            }
            None => self.state = State::Waiting,
        }
    }

    /// The request is over: the next one may come, or the connection ends.
    fn next<S>(&mut self, base: &mut Base, cx: &mut Cx<'_, S>) {
        // What follows has a time of its own.
        base.began = None;
        if !self.request.keep_alive {
            base.close_politely(cx.now);
        }
        if self.request.path.capacity() > PATH_BYTES_KEPT {
            self.request.path = String::new();
        }
    }

    fn respond<S>(&mut self, base: &mut Base, reply: &Reply, cx: &mut Cx<'_, S>) {
        let request = &self.request;
        let head = |content_bytes| ResponseHead {
            version: request.version,
            status: 200,
            content_type: http::OCTET_STREAM,
            content_bytes,
            keep_alive: request.keep_alive,
        };
        let mut encoder = base.encoder(cx);
        let refusal: Refusal = match reply {
            Reply::Outputs(outputs) => {
                let envelope = |bytes: &mut Vec<u8>, length: u32| {
                    http::write_response_head(bytes, &head(u64::from(length)));
                };
                match encoder.enveloped_outputs(outputs, envelope) {
                    Ok(()) => return,
                    Err(refusal) => refusal,
                }
            }
            Reply::Message(message) => {
                encoder.counters.replies_ok.add(1);
                return encoder.outbox.write(encoder.spare, |bytes| {
                    http::write_response_head(bytes, &head(message.len() as u64));
                    bytes.extend_from_slice(message);
                });
            }
            Reply::Refused(refusal) => refusal.clone(),
        };
        encoder.count_refusal(&refusal);
        let status = refusal.code.http_status();
        encoder.outbox.write(encoder.spare, |bytes| {
            http::write_text(bytes, request.version, status, &refusal.message, request.keep_alive, false);
        });
    }
}

/// Answers bytes that are not a request. Where the next one begins is unknown: the connection closes.
pub(super) fn reject<S>(base: &mut Base, reject: &Reject, cx: &mut Cx<'_, S>) {
    base.outbox.write(cx.spare, |bytes| http::write_reject(bytes, reject));
    cx.counters.http_rejects.add(1);
    base.close_politely(cx.now);
}

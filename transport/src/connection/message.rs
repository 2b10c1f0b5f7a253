//! A message that is all there in one shared buffer: the short way of a small request.

use super::{Base, Cx};
use crate::limits::SMALL_BYTES_MAX;
use crate::service::{Claim, Refusal, Reply, Route, Service};
use graphpipe_schema::reader::{Read, Window, read_request};

/// Takes a whole message from the shared buffer to its reply, or to the service (`None`: the reply comes later).
pub(super) fn take<S: Service>(
    base: &mut Base,
    id: u64,
    route: Route<'_>,
    message: &[u8],
    cx: &mut Cx<'_, S>,
) -> Option<Reply> {
    match claim(route, message, cx) {
        Ok(Claimed::Answered(reply)) => Some(reply),
        Ok(Claimed::Claim(claim)) => {
            let window = around_pieces(message, &claim);
            base.commit(id, route, window, claim, cx)
        }
        Err(refusal) => Some(Reply::Refused(refusal)),
    }
}

enum Claimed<C> {
    Claim(Claim<C>),
    Answered(Reply),
}

fn claim<S: Service>(route: Route<'_>, message: &[u8], cx: &mut Cx<'_, S>) -> Result<Claimed<S::Context>, Refusal> {
    let request = match read_request(Window::whole(message))? {
        Read::Metadata(request) => return Ok(Claimed::Answered(cx.service.metadata(route, &request))),
        Read::Infer(request) => request,
        Read::Need(_) => unreachable!("nothing more can be needed of a message that is all there"),
    };
    if cx.is_draining {
        return Err(Refusal::shutting_down());
    }
    let mut claim = cx.service.claim(route, &request, message.len() as u32)?;
    let mut copied = 0;
    for piece in &claim.pieces {
        let from = &message[piece.message.start as usize..piece.message.end as usize];
        claim.destination.slice_mut(piece.offset..piece.offset + from.len()).copy_from_slice(from);
        copied += from.len();
    }
    let is_small = copied <= SMALL_BYTES_MAX;
    let counter = if is_small { &cx.counters.copied_small_in } else { &cx.counters.copied_surprise };
    counter.add(copied as u64);
    Ok(Claimed::Claim(claim))
}

/// The bytes before the first piece and behind the last.
fn around_pieces<'a, C>(message: &'a [u8], claim: &Claim<C>) -> Window<'a> {
    match (claim.pieces.first(), claim.pieces.last()) {
        (Some(first), Some(last)) => {
            let (prefix, tail) = (&message[..first.message.start as usize], &message[last.message.end as usize..]);
            Window::split(prefix, tail, message.len() as u32)
        }
        _ => Window::whole(message),
    }
}

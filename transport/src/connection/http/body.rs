//! A body in HTTP chunks: its length is unknown until its end, so it is gathered in a private buffer that grows, and
//! every byte is copied into it (and counted).

use super::super::{Base, Cx};
use crate::http::{Chunked, Reject};
use crate::service::{Claim, Piece, Refusal, Reply, Route, Service};
use graphpipe_schema::Code;
use graphpipe_schema::reader::{Read, Window, read_request};
use smallvec::smallvec;

/// The first buffer's size; each next one is twice as large.
const FIRST_BYTES: u32 = 64 * 1024;

/// A body that is being gathered.
#[derive(Debug)]
pub(super) struct Chunks<C> {
    decoder: Chunked,
    bytes_max: u32,
    /// Absent before the first byte, and after a refusal.
    claim: Option<Claim<C>>,
    gathered: u32,
    /// Why the body is only decoded to find its end.
    refusal: Option<Refusal>,
}

impl<C> Chunks<C> {
    /// A body of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: u32) -> Chunks<C> {
        let decoder = Chunked::new(u64::from(bytes_max));
        Chunks { decoder, bytes_max, claim: None, gathered: 0, refusal: None }
    }

    /// Takes what belongs to the body; returns how much that was, and whether the body has ended.
    pub(super) fn push<S>(
        &mut self,
        route: Route<'_>,
        input: &[u8],
        cx: &mut Cx<'_, S>,
    ) -> Result<(usize, bool), Reject>
    where
        S: Service<Context = C>,
    {
        let mut consumed = 0;
        while consumed < input.len() {
            let step = self.decoder.decode(&input[consumed..])?;
            let data = &input[consumed..][step.data.clone()];
            if self.refusal.is_none()
                && let Err(refusal) = self.gather(route, data, cx)
            {
                self.claim = None;
                self.refusal = Some(refusal);
            }
            consumed += step.consumed;
            if step.done {
                return Ok((consumed, true));
            }
        }
        Ok((consumed, false))
    }

    /// The body has ended: commits it.
    pub(super) fn commit<S>(self, base: &mut Base, route: Route<'_>, cx: &mut Cx<'_, S>) -> Option<Reply>
    where
        S: Service<Context = C>,
    {
        if let Some(refusal) = self.refusal {
            return Some(Reply::Refused(refusal));
        }
        let Some(mut claim) = self.claim else { return super::message::take(base, 0, route, &[], cx) };
        let offset = claim.pieces[0].offset;
        let message = claim.destination.slice_mut(offset..offset + self.gathered as usize);
        match read_request(Window::whole(message)) {
            Err(malformed) => Some(Reply::Refused(malformed.into())),
            Ok(Read::Metadata(request)) => Some(cx.service.metadata(route, &request)),
            Ok(Read::Infer(_) | Read::Need(_)) => {
                let claim = Claim { pieces: smallvec![Piece { message: 0..self.gathered, offset }], ..claim };
                base.commit(0, route, Window::split(&[], &[], self.gathered), claim, cx)
            }
        }
    }

    fn gather<S>(&mut self, route: Route<'_>, data: &[u8], cx: &mut Cx<'_, S>) -> Result<(), Refusal>
    where
        S: Service<Context = C>,
    {
        if data.is_empty() {
            return Ok(());
        }
        if cx.is_draining && self.claim.is_none() {
            return Err(Refusal::shutting_down());
        }
        // The decoder refuses a body over the limit, so this sum fits.
        let end = self.gathered + data.len() as u32;
        self.make_room(route, end, cx)?;
        let Some(claim) = &mut self.claim else { unreachable!("room has just been made") };
        let start = claim.pieces[0].offset + self.gathered as usize;
        claim.destination.slice_mut(start..start + data.len()).copy_from_slice(data);
        cx.counters.copied_chunked.add(data.len() as u64);
        self.gathered = end;
        Ok(())
    }

    fn make_room<S>(&mut self, route: Route<'_>, bytes: u32, cx: &mut Cx<'_, S>) -> Result<(), Refusal>
    where
        S: Service<Context = C>,
    {
        let capacity = self.claim.as_ref().map_or(0, |claim| claim.pieces[0].message.end);
        if bytes <= capacity {
            return Ok(());
        }
        let larger = bytes.max(capacity.saturating_mul(2)).max(FIRST_BYTES).min(self.bytes_max.max(bytes));
        let mut claim = cx.service.claim_message(route, larger)?;
        let Some(piece) = claim.pieces.first().filter(|piece| piece.message == (0..larger)) else {
            return Err(Refusal::new(Code::Internal, "memory for a body was claimed in pieces"));
        };
        if let Some(mut smaller) = self.claim.take() {
            let from = smaller.pieces[0].offset;
            let gathered = smaller.destination.slice_mut(from..from + self.gathered as usize);
            let to = piece.offset;
            claim.destination.slice_mut(to..to + gathered.len()).copy_from_slice(gathered);
            cx.counters.copied_chunked.add(gathered.len() as u64);
            if from == to {
                // What the service wanted to know, such as when the request came, it wanted to know of the first claim.
                claim.context = smaller.context;
            }
        }
        self.claim = Some(claim);
        Ok(())
    }
}

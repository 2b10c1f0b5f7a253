//! Which requests make a batch: those that are committed now, that somebody still waits for, and that are in time.

use crate::batching::{Batching, Seal};
use crate::lanes::ModelLane;
use crate::model::Served;
use crate::request::{Request, late};
use graphpiped_batch::{Sealed, Verdict};
use graphpiped_transport::service::Reply;
use std::sync::Arc;
use std::time::Instant;

/// How many rows somebody should take of those that are committed while so many (itself among them) are idle: all, or an
/// even part, but no fewer than a run is worth.
pub fn share(committed: usize, idle: usize, rows_worthwhile: usize, rows_max: usize) -> usize {
    committed.div_ceil(idle.max(1)).max(rows_worthwhile).clamp(1, rows_max)
}

/// Seals a batch of at most `rows_max` rows of what is committed in a lane, and says why it is no longer than it is. Requests
/// that came too late for their deadline are answered, those whose client is gone are forgotten; both cost the model no time.
pub fn take(
    served: &Served,
    batching: &Batching,
    lane: &Arc<ModelLane>,
    rows_max: usize,
    answer: &mut dyn FnMut(Request, Reply),
) -> Option<(Sealed<Request>, Seal)> {
    // The clock is dear beside a small batch, so it is only asked for those who have a deadline.
    let mut clock = None;
    let (mut rows_in_time, mut is_empty, mut is_urgent) = (usize::MAX, true, false);
    let judge = |request: &Request, rows: usize| {
        if request.is_gone() {
            return Verdict::Reject;
        }
        if let Some(deadline) = request.deadline() {
            let left = deadline.saturating_duration_since(*clock.get_or_insert_with(Instant::now));
            if left.is_zero() {
                return Verdict::Reject;
            }
            // One that is believed to come too late even alone must not make others wait for a second run; it is tried all
            // the same, as what is believed may be wrong.
            let in_time = batching.cost.rows_within(left);
            if in_time > 0 {
                rows_in_time = rows_in_time.min(in_time);
            }
        }
        // What is believed of the model's speed may be wrong, so the first request is always tried.
        if !is_empty && rows > rows_in_time {
            is_urgent = true;
            return Verdict::Leave;
        }
        is_empty = false;
        Verdict::Take
    };
    let rejected = |request: Request| {
        if request.is_gone() {
            served.counters.gone.add(1);
            return request.forget();
        }
        if let Some(refusal) = late(served, request.deadline(), Instant::now()) {
            answer(request, Reply::Refused(refusal));
        }
    };
    let sealed = lane.core.take(rows_max, judge, rejected)?;
    let seal = match sealed.rows() {
        rows if rows >= lane.rows_max || rows_max >= lane.rows_max && sealed.is_cut() => Seal::Full,
        _ if is_urgent => Seal::Deadline,
        _ => Seal::Idle,
    };
    Some((sealed, seal))
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn who_is_idle_takes_its_part() {
        assert_eq!(share(8, 4, 1, 128), 2, "eight costly rows for four");
        assert_eq!(share(9, 4, 1, 128), 3);
        assert_eq!(share(64, 4, 40, 128), 40, "no fewer than a run is worth");
        assert_eq!(share(8, 4, 40, 128), 40, "so one takes all");
        assert_eq!(share(500, 1, 1, 128), 128);
        assert_eq!(share(8, 4, usize::MAX, 128), 128);
        assert_eq!(share(0, 0, 1, 128), 1);
    }
}

//! Which outputs are fetched together.
//!
//! For every list of tensors that are fetched at once TensorFlow cuts a graph of its own out of the model's, optimises it, and
//! remembers it for good. Which outputs those are a client decides, so their number has to be bounded: the first few
//! combinations are fetched as they come, and who asks for yet another one has all outputs computed. Outputs that are fetched
//! alone have places of their own, which no combination of strangers takes. The order is always that of the signature.

use crate::graph::List;
use std::sync::OnceLock;

/// Combinations that are fetched as they come. Clients ask for all outputs or for one or two favourites; each costs
/// memory like a small model.
const COMBINATIONS_MAX: usize = 16;

/// Outputs, the first ones, that are always fetched alone when nothing else is asked for.
const ALONE_MAX: usize = 16;

/// The combinations of a model.
#[derive(Debug)]
pub(crate) struct Combinations {
    known: [OnceLock<Box<[usize]>>; COMBINATIONS_MAX],
    /// All outputs that a run can be asked for.
    all: Box<[usize]>,
}

impl Combinations {
    /// None yet, of these outputs.
    pub fn of(all: Vec<usize>) -> Combinations {
        Combinations { known: std::array::from_fn(|_| OnceLock::new()), all: all.into_boxed_slice() }
    }

    /// What to fetch for who wants these outputs, which may come in any order and more than once; never less than that.
    pub fn fetched(&self, wanted: &[usize]) -> &[usize] {
        let mut wanted: List<usize> = wanted.into();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return &[];
        }
        if *wanted == *self.all {
            return &self.all;
        }
        if let [one] = wanted[..]
            && let Some(alone) = self.all.chunks(1).take(ALONE_MAX).find(|alone| **alone == [one])
        {
            return alone;
        }
        // A combination that another thread has put in meanwhile is found at its place, or passed over.
        let found = self.known.iter().map(|known| known.get_or_init(|| wanted.as_slice().into()));
        found.map(|known| &**known).find(|known| *known == wanted.as_slice()).unwrap_or(&self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_outputs_are_the_same_combination_in_any_order() {
        let combinations = Combinations::of((0..4).collect());
        assert_eq!(combinations.fetched(&[2, 1, 2]), [1, 2]);
        assert_eq!(combinations.fetched(&[1, 2]), [1, 2]);
        assert_eq!(combinations.fetched(&[3, 0, 1, 2]), [0, 1, 2, 3]);
        assert_eq!(combinations.known.iter().filter(|known| known.get().is_some()).count(), 1);
    }

    #[test]
    fn when_there_are_many_all_outputs_are_fetched() {
        let combinations = Combinations::of((0..40).collect());
        for output in 20..36 {
            assert_eq!(combinations.fetched(&[output]), [output]);
        }
        assert_eq!(combinations.fetched(&[36]).len(), 40);
        assert_eq!(combinations.fetched(&[23]), [23], "it is known");
    }

    #[test]
    fn outputs_alone_have_places_that_combinations_do_not_take() {
        let combinations = Combinations::of((0..40).collect());
        for output in 1..40 {
            combinations.fetched(&[0, output]);
        }
        assert_eq!(combinations.fetched(&[0, 39]).len(), 40, "there are many");
        assert!((0..16).all(|output| combinations.fetched(&[output]) == [output]));
    }

    #[test]
    fn nothing_is_no_combination() {
        let combinations = Combinations::of((0..4).collect());
        assert!(combinations.fetched(&[]).is_empty());
        assert!(combinations.known.iter().all(|known| known.get().is_none()));
    }
}

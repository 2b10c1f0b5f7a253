//! Which outputs are fetched together.
//!
//! For every list of tensors that are fetched at once TensorFlow cuts a graph of its own out of the model's, optimises it, and
//! remembers it for good. Which outputs those are a client decides, so their number has to be bounded: the first few
//! combinations are fetched as they come, and who asks for yet another one has all outputs computed. The order is always
//! that of the signature.

use crate::graph::List;
use std::sync::OnceLock;

/// Combinations that are fetched as they come. Clients ask for all outputs or for one or two favourites; each costs
/// memory like a small model.
const COMBINATIONS_MAX: usize = 16;

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
        if *wanted == *self.all {
            return &self.all;
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
        for output in 0..16 {
            assert_eq!(combinations.fetched(&[output]), [output]);
        }
        assert_eq!(combinations.fetched(&[16]).len(), 40);
        assert_eq!(combinations.fetched(&[3]), [3], "it is known");
    }
}

//! Rows of a batch that a framework goes on referring to when the run is over: they are answered, and not free.

use graphpiped_backend_api::{Keep, Kept};
use graphpiped_batch::Kept as KeptRows;
use std::cell::OnceCell;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the rows of one batch, if somebody asks for it. Whatever the batch is split into is kept as a whole.
#[derive(Default)]
pub(super) struct Keeper {
    held: OnceCell<Arc<Held>>,
}

/// Dropped by the last of those who keep: the framework's references, and the [`Keeper`].
#[derive(Default)]
struct Held {
    rows: Mutex<Vec<KeptRows>>,
}

impl Keeper {
    /// Whether somebody has asked for the rows to be kept, and may refer to them still.
    pub fn is_asked(&self) -> bool {
        self.held.get().is_some()
    }

    /// Takes rows that have been answered, until nobody refers to them.
    pub fn add(&self, rows: KeptRows) {
        match self.held.get() {
            Some(held) => held.rows.lock().unwrap_or_else(PoisonError::into_inner).push(rows),
            None => drop(rows),
        }
    }
}

impl Keep for Keeper {
    fn keep(&self) -> Kept {
        let held: Arc<Held> = Arc::clone(self.held.get_or_init(Arc::default));
        held
    }
}

//! Rows for the fake service's claims: a lane of which nothing is ever sealed, since the fake copies what it echoes.

use graphpiped_batch::{Lane, Layout, Region};
use graphpiped_memory::Pool;
use std::sync::Arc;

/// Bytes of a row.
const ROW_BYTES: usize = 4096;
/// Rows of an arena, and arenas: room for a few requests of some megabytes, and too little for many.
const ROWS: usize = 512;
const ARENAS: usize = 4;

/// A lane to claim rows from.
pub(crate) fn lane() -> Arc<Lane<()>> {
    let layout = Layout::new(ROWS, &[ROW_BYTES]).expect("a few rows");
    let pool = Pool::new(1 << 30);
    let region = || -> Box<dyn Region> { Box::new(pool.set_aside(layout.arena_bytes()).expect("within the budget")) };
    let regions = (0..ARENAS).map(|_| region()).collect();
    Lane::new(layout, regions)
}

/// Rows that a request of so many bytes takes.
pub(super) fn rows_for(bytes: usize) -> usize {
    bytes.div_ceil(ROW_BYTES)
}

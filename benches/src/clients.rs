//! Clients that wait for each reply before they ask again, a thread each: for requests so large, or models so slow, that what a
//! client costs does not count. Many small requests are the load generator's.

use crate::address::Address;
use crate::models::Model;
use anyhow::{Context, Result, ensure};
use graphpipe_client::{Client, Options, Request, Response, Tensor};
use std::time::{Duration, Instant};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// What each of them asks, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Where.
    pub address: &'a Address,
    /// Of which model.
    pub model: &'a Model,
    /// How many rows at a time.
    pub rows: usize,
    /// How many clients there are.
    pub clients: usize,
    /// So many replies after the first one, at least,
    pub replies: usize,
    /// and for so long, at least.
    pub window: Duration,
}

/// When each reply has come to each client.
pub fn ask(demand: &Demand<'_>) -> Result<Vec<Vec<Instant>>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..demand.clients).map(|_| scope.spawn(|| ask_one(demand))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().ok().context("a client panicked")?);
        joined.collect()
    })
}

fn ask_one(demand: &Demand<'_>) -> Result<Vec<Instant>> {
    let mut asker = Asker::new(demand)?;
    let mut replies = vec![asker.ask()?.0];
    let deadline = replies[0] + demand.window;
    while replies.len() <= demand.replies || replies[replies.len() - 1] < deadline {
        replies.push(asker.ask()?.0);
    }
    Ok(replies)
}

/// The first output for the rows that all of them ask for.
pub fn output(demand: &Demand<'_>) -> Result<Vec<f32>> {
    let (_, reply) = Asker::new(demand)?.ask()?;
    Ok(reply.output(0)?.to_vec()?)
}

/// The number at a place of the input: from 0 to 1, and never the same row twice in a picture or a batch.
pub fn number(at: usize) -> f32 {
    (at % 17) as f32 / 16.0
}

struct Asker<'a> {
    client: Client,
    name: &'a str,
    shape: Vec<i64>,
    numbers: Vec<f32>,
}

impl<'a> Asker<'a> {
    fn new(demand: &Demand<'a>) -> Result<Asker<'a>> {
        let client = Options::new().read_timeout(Some(PATIENCE)).connect(&demand.address.to_string())?;
        let shape = std::iter::once(demand.rows as u64).chain(demand.model.row.iter().copied());
        let numbers = (0..demand.rows * demand.model.row_numbers()).map(number).collect();
        Ok(Asker { client, name: demand.model.name, shape: shape.map(|size| size as i64).collect(), numbers })
    }

    /// Asks once; returns when the reply was there, and the reply.
    fn ask(&mut self) -> Result<(Instant, Response)> {
        let request = Request::new().model(self.name).input(Tensor::new(&self.shape, &self.numbers));
        let reply = self.client.infer(&request)?;
        let come = Instant::now();
        ensure!(reply.output(0)?.shape().first() == self.shape.first(), "the reply is not of as many rows");
        Ok((come, reply))
    }
}

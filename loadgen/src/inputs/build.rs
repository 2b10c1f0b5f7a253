//! From a signature and options to requests: the order of the steps, and how many requests there are to be.

use super::fit::{Source, rows, source};
use super::generate::{element_bytes, elements};
use super::{ALL_BYTES_MAX, BYTES_MAX, Cut, Request, Wanted, options, source as files};
use crate::signature::Signature;
use crate::tensor::{Form, Tensor};
use fastrand::Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Makes the requests. The error is a sentence without the signature.
pub fn requests(signature: &Signature, wanted: &Wanted) -> Result<Vec<Request>, String> {
    let given = files::load(signature, &wanted.files)?;
    let named: Vec<Option<String>> = given.iter().map(|given| given.name.clone()).collect();
    let slots = options::slots(signature, wanted, &named)?;
    let arrays = files::assign(&slots, given)?;
    let rows = rows(&slots, &arrays, wanted.rows)?;
    let mut inputs = Vec::new();
    for (slot, array) in slots.iter().zip(arrays) {
        inputs.push((slot.name.clone(), source(slot, array, rows, wanted.rows)?));
    }
    let bytes = request_bytes(&inputs)?;
    let most = usize::try_from(ALL_BYTES_MAX / bytes.max(1)).unwrap_or(usize::MAX).min(wanted.distinct).max(1);
    match rows_of_files(&inputs)? {
        Some(of) => Ok(cut(&inputs, Cut { first: 0, rows, of }, most, wanted.seed)),
        None => Ok(different(&inputs, most, wanted.seed)),
    }
}

/// Bytes of one request.
fn request_bytes(inputs: &[(String, Source)]) -> Result<u64, String> {
    let mut sum = 0_u64;
    for (name, source) in inputs {
        let (dtype, shape) = source.form();
        let bytes = shape.iter().try_fold(element_bytes(dtype), |bytes, dim| bytes.checked_mul(*dim as u64));
        sum = bytes.and_then(|bytes| sum.checked_add(bytes)).filter(|sum| *sum <= BYTES_MAX).ok_or_else(|| {
            let form = Form(dtype, &shape);
            format!("with {form} of input \"{name}\" a request is larger than {BYTES_MAX} bytes")
        })?;
    }
    Ok(sum)
}

/// How many rows the files have that requests are cut out of; `None` if none are.
fn rows_of_files(inputs: &[(String, Source)]) -> Result<Option<u64>, String> {
    let mut found: Option<(&str, u64)> = None;
    for (name, source) in inputs {
        let Source::Rows(tensor, _) = source else { continue };
        let rows = tensor.shape[0] as u64;
        match found {
            Some((other, of_other)) if of_other != rows => {
                return Err(format!("there are {of_other} rows of \"{other}\" and {rows} of \"{name}\""));
            }
            _ => found = Some((name, rows)),
        }
    }
    Ok(found.map(|(_, rows)| rows))
}

/// Requests that are rows of files, in order.
fn cut(inputs: &[(String, Source)], first: Cut, most: usize, seed: u64) -> Vec<Request> {
    let mut rng = Rng::with_seed(seed);
    let all = (0..first.of / first.rows).map(|at| Cut { first: at * first.rows, ..first });
    all.take(most).map(|cut| request(inputs, Some(cut), &mut rng)).collect()
}

/// Requests that differ in what is generated; there may be fewer than `most`, of a bool there are two.
fn different(inputs: &[(String, Source)], most: usize, seed: u64) -> Vec<Request> {
    let mut rng = Rng::with_seed(seed);
    let generated = inputs.iter().any(|(_, source)| matches!(source, Source::Generated(..)));
    let tries = if generated { most } else { 1 };
    let mut seen = HashSet::new();
    let mut requests = Vec::new();
    for _ in 0..tries {
        let request = request(inputs, None, &mut rng);
        let mut hasher = DefaultHasher::new();
        request.inputs.iter().for_each(|input| input.data.hash(&mut hasher));
        if seen.insert(hasher.finish()) {
            requests.push(request);
        }
    }
    requests
}

fn request(inputs: &[(String, Source)], cut: Option<Cut>, rng: &mut Rng) -> Request {
    let inputs: Vec<Tensor> = inputs
        .iter()
        .map(|(name, source)| match (source, cut) {
            (Source::Whole(tensor), _) | (Source::Rows(tensor, _), None) => tensor.clone(),
            (Source::Rows(tensor, _), Some(cut)) => tensor.cut(cut.first, cut.rows),
            (Source::Generated(dtype, shape), _) => Tensor {
                name: name.clone(),
                dtype: *dtype,
                shape: shape.clone(),
                data: elements(rng, *dtype, shape.iter().product::<i64>() as usize),
            },
        })
        .collect();
    let rows = common_rows(&inputs);
    Request { inputs, rows, cut }
}

/// The first dimension that all inputs have; 1 where there is none.
fn common_rows(inputs: &[Tensor]) -> u64 {
    let first = |input: &Tensor| input.shape.first().copied();
    let Some(rows) = inputs.first().and_then(first) else { return 1 };
    if inputs.iter().all(|input| first(input) == Some(rows)) { rows as u64 } else { 1 }
}

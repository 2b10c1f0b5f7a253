//! From a signature and options to requests: the order of the steps, and how many requests there are to be.

use super::fit::{Source, rows, source};
use super::generate::{element_bytes, elements};
use super::options::Slot;
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
    // What was asked for is what is counted.
    let counted = wanted.rows.map_or_else(|| open_rows(&slots, &inputs), u64::from);
    let most = usize::try_from(ALL_BYTES_MAX / bytes.max(1)).unwrap_or(usize::MAX).min(wanted.distinct).max(1);
    match rows_of_files(&inputs)? {
        Some(of) => Ok(cut(&inputs, Cut { first: 0, rows, of }, most, wanted.seed)),
        None => Ok(different(&inputs, counted, most, wanted.seed)),
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

/// How many elements a shape has whose bytes have been counted.
fn count(shape: &[i64]) -> usize {
    let count = shape.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim as usize));
    count.expect("the same product was held against the bound of a request")
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
    all.take(most).map(|cut| request(inputs, cut.rows, Some(cut), &mut rng)).collect()
}

/// Requests that differ in what is generated; there may be fewer than `most`, of a bool there are two.
fn different(inputs: &[(String, Source)], rows: u64, most: usize, seed: u64) -> Vec<Request> {
    let mut rng = Rng::with_seed(seed);
    let generated = inputs.iter().any(|(_, source)| matches!(source, Source::Generated(..)));
    let tries = if generated { most } else { 1 };
    let mut seen = HashSet::new();
    let mut requests = Vec::new();
    for _ in 0..tries {
        let request = request(inputs, rows, None, &mut rng);
        let mut hasher = DefaultHasher::new();
        request.inputs.iter().for_each(|input| input.data.hash(&mut hasher));
        if seen.insert(hasher.finish()) {
            requests.push(request);
        }
    }
    requests
}

fn request(inputs: &[(String, Source)], rows: u64, cut: Option<Cut>, rng: &mut Rng) -> Request {
    let inputs = inputs
        .iter()
        .map(|(name, source)| match (source, cut) {
            (Source::Whole(tensor), _) | (Source::Rows(tensor, _), None) => tensor.clone(),
            (Source::Rows(tensor, _), Some(cut)) => tensor.cut(cut.first, cut.rows),
            (Source::Generated(dtype, shape), _) => Tensor {
                name: name.clone(),
                dtype: *dtype,
                shape: shape.clone(),
                data: elements(rng, *dtype, count(shape)),
            },
        })
        .collect();
    Request { inputs, rows, cut }
}

/// The first dimension of the inputs of which it is open; 1 where there are none, or where they are not of one mind.
fn open_rows(slots: &[Slot], inputs: &[(String, Source)]) -> u64 {
    let first = |(slot, (_, source)): (&Slot, &(String, Source))| {
        source.form().1.first().map(|rows| *rows as u64).filter(|_| slot.open)
    };
    let mut rows = slots.iter().zip(inputs).filter_map(first);
    let Some(one) = rows.next() else { return 1 };
    if rows.all(|other| other == one) { one } else { 1 }
}

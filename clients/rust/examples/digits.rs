//! Asks a server what the digits in `models/digits/images.npy` are.
//!
//! `cargo run -p graphpipe-client --example digits -- tcp://127.0.0.1:9000 models/digits/images.npy`

use graphpipe_client::{Client, Request, Tensor};
use std::error::Error;

const PIXELS: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: digits tcp://HOST:PORT|unix:PATH IMAGES.npy".into());
    };
    let pixels = read_npy(&path)?;
    let shape = [(pixels.len() / PIXELS) as i64, PIXELS as i64];

    let mut client = Client::connect(&address)?;
    let request =
        Request::new().model("digits").input(Tensor::new(&shape, &pixels)).output("digit").output("probabilities");
    let response = client.infer(&request)?;
    let digits = response.output(0)?.as_slice::<i64>()?;
    let probabilities = response.output(1)?.as_slice::<f32>()?;

    for (index, (digit, row)) in digits.iter().zip(probabilities.chunks(10)).enumerate() {
        let certainty = row.iter().copied().fold(0.0, f32::max);
        println!("image {index}: {digit} ({:.1} %)", 100.0 * certainty);
    }
    Ok(())
}

/// The numbers of a NumPy file of float32 with 64 numbers to a row. Such a file is: magic, version, the length of a text
/// that says what follows, that text, the numbers.
fn read_npy(path: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let numbers = match bytes.split_first_chunk::<10>() {
        Some((&[0x93, b'N', b'U', b'M', b'P', b'Y', 1, 0, low, high], rest)) => {
            rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))
        }
        _ => None,
    };
    let (text, numbers) = numbers.ok_or_else(|| format!("{path}: not a NumPy file of version 1.0"))?;
    let is_f32 = String::from_utf8_lossy(text).contains("'<f4', 'fortran_order': False");
    if !is_f32 || numbers.is_empty() || !numbers.len().is_multiple_of(4 * PIXELS) {
        return Err(format!("{path}: not rows of {PIXELS} float32").into());
    }
    let (numbers, _) = numbers.as_chunks::<4>();
    Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

//! The Rust of the README, which shows all of this file but this line.

use graphpipe_client::{Client, Error, Request, Tensor};

/// The digit that a picture of 8 × 8 pixels shows.
pub fn digit(address: &str, pixels: &[f32; 64]) -> Result<i64, Error> {
    let mut client = Client::connect(address)?; // "tcp://127.0.0.1:9000" or "unix:/run/user/1000/graphpiped.sock"
    let request = Request::new().model("digits").named_input("image", Tensor::new(&[1, 64], pixels)).output("digit");
    let response = client.infer(&request)?;
    Ok(response.output(0)?.as_slice::<i64>()?[0])
}

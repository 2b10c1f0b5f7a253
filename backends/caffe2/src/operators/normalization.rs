//! Normalisations.

use super::{Call, only_for_tests, unary};
use crate::attributes::{float, int};

/// `SpatialBN`: input, scale, bias, mean and variance of each channel.
pub(super) fn batch(call: &mut Call<'_>) -> Result<(), String> {
    only_for_tests(call)?;
    call.arguments.only_nchw()?;
    let x = call.input(0)?;
    let names = (0..5).map(|index| call.input(index).map(|value| value.name)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let epsilon = call.arguments.float("epsilon", 1e-5)?;
    call.emit("BatchNormalization", &names, vec![float("epsilon", epsilon)], x.shape)
}

/// `LRN`: across channels. Both divide `alpha` by the number of channels that are looked at.
pub(super) fn local_response(call: &mut Call<'_>) -> Result<(), String> {
    call.arguments.only_nchw()?;
    let size = call.arguments.int("size", 0)?;
    if size < 1 || size % 2 == 0 {
        return Err(format!("looks at {size} channels, and needs an odd number of them"));
    }
    let attributes = vec![
        int("size", size),
        float("alpha", call.arguments.float("alpha", 0.0)?),
        float("beta", call.arguments.float("beta", 0.0)?),
        float("bias", call.arguments.float("bias", 1.0)?),
    ];
    unary(call, "LRN", attributes)
}

/// `Softmax`: over all axes from a certain one on, as if they were one; so does ONNX's, up to operator set 12.
pub(super) fn softmax(call: &mut Call<'_>) -> Result<(), String> {
    let axis = call.arguments.int("axis", 1)?;
    unary(call, "Softmax", vec![int("axis", axis)])
}

//! Tensors as NumPy files of version 1, which is how the load generator is given inputs and expected outputs.

/// A file: magic, version, the length of the header, the header, the elements. `descr` is NumPy's name of their type.
pub fn npy(descr: &str, shape: &[usize], elements: &[u8]) -> Vec<u8> {
    const PREFIX: usize = 10;
    let dimensions: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one ends with a comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let tuple = format!("({}{comma})", dimensions.join(", "));
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple}, }}");
    while !(PREFIX + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), elements].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `numpy.save` writes `numpy.array([1, 2, 3], dtype=numpy.uint8)`.
    #[test]
    fn an_npy_file_is_what_numpy_writes() {
        let mut expected =
            b"\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }".to_vec();
        expected.resize(127, b' ');
        expected.extend_from_slice(b"\n\x01\x02\x03");
        assert_eq!(npy("|u1", &[3], &[1, 2, 3]), expected);
    }

    /// As `numpy.save` writes `numpy.array([[1, 2]], dtype=numpy.float32)`.
    #[test]
    fn an_npy_file_of_floats_in_two_dimensions_is_what_numpy_writes() {
        let mut expected =
            b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }".to_vec();
        expected.resize(127, b' ');
        expected.extend_from_slice(b"\n\x00\x00\x80\x3f\x00\x00\x00\x40");
        let elements = [1f32, 2.0].map(f32::to_le_bytes).concat();
        assert_eq!(npy("<f4", &[1, 2], &elements), expected);
    }
}

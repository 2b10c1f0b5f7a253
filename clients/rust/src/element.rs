//! Rust's number types as element types: which dtype each is, and views of bytes as numbers without `unsafe`.

use graphpipe_schema::DType;

#[cfg(target_endian = "big")]
compile_error!("elements are little-endian on the wire, and this client shows them in place");

/// A number type that tensors can have. Where Rust has no type of the kind (float16, bfloat16, bool, string), tensors are
/// made with [`Tensor::raw`](crate::Tensor::raw) and [`Tensor::strings`](crate::Tensor::strings), and read as bytes or strings.
pub trait Element: bytemuck::Pod + private::Sealed {
    /// The element type on the wire.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $wire:ident),+ $(,)?) => {
        $(
            impl private::Sealed for $rust {}
            impl Element for $rust {
                const DTYPE: DType = DType::$wire;
            }
        )+
    };
}

elements! {
    u8 => Uint8,
    i8 => Int8,
    u16 => Uint16,
    i16 => Int16,
    u32 => Uint32,
    i32 => Int32,
    u64 => Uint64,
    i64 => Int64,
    f32 => Float32,
    f64 => Float64,
}

mod private {
    /// Keeps the list closed: a type of another crate has no dtype of the protocol.
    pub trait Sealed {}
}

//! JPEG by our own hands (ITU-T T.81), since pictures are most of what collecting and loading compute.
//!
//! [`encode`] writes baseline JPEG. [`Jpeg`] reads what cameras and web sites write nearly always: Huffman-coded, sequential, 8 bits,
//! one scan, grey or YCbCr; whole, or reduced to a half, a quarter or an eighth of its sides; as RGB or as the samples it holds
//! ([`Samples`]). Whatever is otherwise, or damaged, is left to the decoder that reads everything ([`crate::decode`]).

#[cfg(target_arch = "x86_64")]
mod avx2;
mod bits;
mod colour;
mod encode;
mod forward;
mod frame;
mod pixels;
mod samples;
mod transform;

pub(crate) use encode::encode;
pub(crate) use frame::check;
pub use frame::{Jpeg, jpeg_size};
pub(crate) use samples::Samples;

/// Place in a block, row by row, of each coefficient in the order in which they are stored (T.81, figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
    57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The factors that the transform of Arai, Agui and Nakajima leaves to quantisation: 1 for the mean, else sqrt(2) cos(k pi / 16).
fn left_out(frequency: usize) -> f64 {
    if frequency == 0 { 1.0 } else { std::f64::consts::SQRT_2 * (frequency as f64 * std::f64::consts::PI / 16.0).cos() }
}

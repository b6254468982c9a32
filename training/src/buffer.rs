//! The memory that a batch's pictures are written to by many threads and that libtorch then reads, without a copy between.
//!
//! A batch of 256 pictures of 224 pixels is 154 MB as floats: fresh memory each time would cost more page faults than the
//! normalisation costs work, so buffers go round.

#![allow(unsafe_code)] // a tensor's memory as a slice, argued below

use crate::Error;
use tch::{Device, Kind, Tensor};

/// A tensor `[pictures, side, side, 3]` on the CPU that nobody else has.
pub(crate) struct Buffer {
    tensor: Tensor,
    numbers: usize,
}

impl Buffer {
    /// Memory for pictures that `device` will compute on: floats for the CPU; for a GPU bytes, a quarter of them, in pinned
    /// memory, from which they travel while the GPU computes.
    ///
    /// # Errors
    /// `Torch` when there is no memory.
    pub fn new(pictures: usize, side: usize, device: Device) -> Result<Self, Error> {
        let shape = [pictures, side, side, 3].map(|length| length as i64);
        let kind = if device == Device::Cpu { Kind::Float } else { Kind::Uint8 };
        let mut tensor = Tensor::f_zeros(shape, (kind, Device::Cpu)).map_err(Error::torch("take memory for a batch"))?;
        if device != Device::Cpu {
            // Without it the way to the GPU is slower, nothing else.
            tensor = tensor.f_pin_memory(device).unwrap_or(tensor);
        }
        Ok(Buffer { tensor, numbers: pictures * side * side * 3 })
    }

    /// The pictures.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The numbers of the pictures, to be written.
    pub fn numbers(&mut self) -> Numbers<'_> {
        let start = self.tensor.data_ptr();
        // SAFETY: the tensor was made here, contiguous, of `numbers` elements of exactly this kind, all of them initialised
        // (zeros), and is never resized; libtorch aligns its memory to 64 bytes. `&mut self` keeps all other uses of the
        // tensor through this buffer away for as long as the slice lives. A batch gives its buffer back when it is dropped,
        // by which its user has finished with what it computed from it (see `Batch`).
        unsafe {
            match self.tensor.kind() {
                Kind::Float => Numbers::Floats(std::slice::from_raw_parts_mut(start.cast(), self.numbers)),
                _ => Numbers::Bytes(std::slice::from_raw_parts_mut(start.cast(), self.numbers)),
            }
        }
    }
}

/// Pictures as numbers.
pub(crate) enum Numbers<'a> {
    /// 8-bit colours.
    Bytes(&'a mut [u8]),
    /// Normalised colours.
    Floats(&'a mut [f32]),
}

//! The named tensors of a model while it is built: layers ask for them by name and shape.

use crate::init::{self, Init};
use tch::{Device, Kind, Tensor};

/// What the tensors of a model hold when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// First values by this seed.
    Fresh(u64),
    /// Whatever the memory held: for a model whose weights are read right after.
    Unset,
    /// No memory at all, only shapes: one number seen as all of them. Never to be computed with.
    Sketch,
}

/// The parameters (trained, 32-bit) and buffers (kept, not trained) of a model, in the order they were asked for.
pub(crate) struct Vars {
    device: Device,
    filling: Filling,
    pub parameters: Vec<(String, Tensor)>,
    pub buffers: Vec<(String, Tensor)>,
}

impl Vars {
    /// No tensors yet.
    pub fn new(device: Device, filling: Filling) -> Self {
        Vars { device, filling, parameters: Vec::new(), buffers: Vec::new() }
    }

    /// A parameter of this shape.
    pub fn parameter(&mut self, name: String, shape: &[i64], init: Init) -> Tensor {
        let tensor = self.tensor(&name, shape, init).set_requires_grad(true);
        self.parameters.push((name, tensor.shallow_clone()));
        tensor
    }

    /// A buffer of this shape.
    pub fn buffer(&mut self, name: String, shape: &[i64], value: f32) -> Tensor {
        let tensor = self.tensor(&name, shape, Init::Constant(value));
        self.buffers.push((name, tensor.shallow_clone()));
        tensor
    }

    /// A buffer of one whole number, 0.
    pub fn counter(&mut self, name: String) -> Tensor {
        let tensor = Tensor::zeros([0i64; 0], (Kind::Int64, self.device));
        self.buffers.push((name, tensor.shallow_clone()));
        tensor
    }

    fn tensor(&self, name: &str, shape: &[i64], init: Init) -> Tensor {
        match self.filling {
            Filling::Unset => Tensor::empty(shape, (Kind::Float, self.device)),
            Filling::Sketch => Tensor::zeros([0i64; 0], (Kind::Float, self.device)).expand(shape, false),
            Filling::Fresh(seed) => {
                let count = shape.iter().product::<i64>() as usize;
                Tensor::from_slice(&init::values(init, seed, name, count)).view(shape).to_device(self.device)
            }
        }
    }
}

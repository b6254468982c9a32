//! The named tensors of a model while it is built: layers ask for them by name and shape.

use crate::init::{self, Init};
use tch::{Device, Kind, Tensor};

/// The parameters (trained, 32-bit) and buffers (kept, not trained) of a model, in the order they were asked for.
pub(crate) struct Vars {
    device: Device,
    seed: Option<u64>,
    pub parameters: Vec<(String, Tensor)>,
    pub buffers: Vec<(String, Tensor)>,
}

impl Vars {
    /// Without a seed the tensors hold whatever the memory held: only for a model whose weights are read right after.
    pub fn new(device: Device, seed: Option<u64>) -> Self {
        Vars { device, seed, parameters: Vec::new(), buffers: Vec::new() }
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
        match self.seed {
            None => Tensor::empty(shape, (Kind::Float, self.device)),
            Some(seed) => {
                let count = shape.iter().product::<i64>() as usize;
                Tensor::from_slice(&init::values(init, seed, name, count)).view(shape).to_device(self.device)
            }
        }
    }
}

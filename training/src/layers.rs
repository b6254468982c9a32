//! The layers that the towers are built of. Knows nothing of CLIP.
//!
//! Weights are kept in 32 bits. A [`Pass`] names the type in which matrix products and convolutions compute: they cast
//! their input and weights to it and leave their result in it. Layer norms and residual sums are always 32 bits; batch
//! norm keeps its input's type outside and computes its statistics in 32 bits; softmax accumulates in 32 bits.

use crate::init::Init;
use crate::vars::Vars;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The type in which matrix products and convolutions compute. Explicit everywhere: there is no ambient mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    Fp32,
    /// bfloat16: the range of 32 bits with 8 bits of precision; no loss scaling needed.
    Bf16,
    /// IEEE half: needs loss scaling in training.
    Fp16,
}

impl Precision {
    /// libtorch's name for it.
    pub fn kind(self) -> Kind {
        match self {
            Precision::Fp32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::Fp16 => Kind::Half,
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        serde_json::from_value(name.into()).map_err(|_| format!("{name:?} is not one of fp32, bf16, fp16"))
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
            Precision::Fp16 => "fp16",
        })
    }
}

/// How one forward pass computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// Whether batch norm uses the batch's statistics and updates the running ones.
    pub train: bool,
    /// The type of matrix products and convolutions.
    pub kind: Kind,
}

/// Half precision as 32 bits; wider numbers as they are.
pub(crate) fn wide(x: &Tensor) -> Tensor {
    if matches!(x.kind(), Kind::Half | Kind::BFloat16) { x.to_kind(Kind::Float) } else { x.shallow_clone() }
}

/// No bias, no mask: `None` of the type that tch's generic functions want.
const NONE: Option<&Tensor> = None;

/// `x W^t + b` over the last dimension.
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// `weight` [outputs, inputs] and `bias` [outputs] under `path`.
    pub fn new(vars: &mut Vars, path: &str, inputs: i64, outputs: i64, weight: Init, bias: Init) -> Self {
        let weight = vars.parameter(format!("{path}.weight"), &[outputs, inputs], weight);
        let bias = vars.parameter(format!("{path}.bias"), &[outputs], bias);
        Linear { weight, bias: Some(bias) }
    }

    /// Weights that exist already, [outputs, inputs] and [outputs].
    pub fn of(weight: Tensor, bias: Option<Tensor>) -> Self {
        Linear { weight, bias }
    }

    pub fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(pass.kind));
        x.to_kind(pass.kind).linear(&self.weight.to_kind(pass.kind), bias)
    }
}

/// A convolution without bias.
pub(crate) struct Conv {
    weight: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv {
    /// `weight` [outputs, inputs, kernel, kernel] under `path`.
    pub fn new(vars: &mut Vars, path: &str, inputs: i64, outputs: i64, kernel: i64, stride: i64, padding: i64) -> Self {
        let init = Init::fan_in(inputs * kernel * kernel);
        let weight = vars.parameter(format!("{path}.weight"), &[outputs, inputs, kernel, kernel], init);
        Conv { weight, stride, padding }
    }

    pub fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        x.to_kind(pass.kind).conv2d(&self.weight.to_kind(pass.kind), NONE, stride, padding, [1, 1], 1)
    }
}

/// Layer norm over the last dimension, in 32 bits.
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    width: i64,
}

impl LayerNorm {
    pub fn new(vars: &mut Vars, path: &str, width: i64) -> Self {
        let weight = vars.parameter(format!("{path}.weight"), &[width], Init::Constant(1.0));
        let bias = vars.parameter(format!("{path}.bias"), &[width], Init::Constant(0.0));
        LayerNorm { weight, bias, width }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        wide(x).layer_norm([self.width], Some(&self.weight), Some(&self.bias), 1e-5, true)
    }
}

/// Batch norm over [batch, channels, height, width] with running statistics.
pub(crate) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    batches: Tensor,
}

impl BatchNorm {
    /// Every channel's gain begins at `gain`.
    pub fn new(vars: &mut Vars, path: &str, channels: i64, gain: f32) -> Self {
        BatchNorm {
            weight: vars.parameter(format!("{path}.weight"), &[channels], Init::Constant(gain)),
            bias: vars.parameter(format!("{path}.bias"), &[channels], Init::Constant(0.0)),
            running_mean: vars.buffer(format!("{path}.running_mean"), &[channels], 0.0),
            running_var: vars.buffer(format!("{path}.running_var"), &[channels], 1.0),
            batches: vars.counter(format!("{path}.num_batches_tracked")),
        }
    }

    pub fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        if pass.train {
            let _ = self.batches.shallow_clone().g_add_scalar_(1);
        }
        let (mean, var) = (Some(&self.running_mean), Some(&self.running_var));
        x.batch_norm(Some(&self.weight), Some(&self.bias), mean, var, pass.train, 0.1, 1e-5, true)
    }
}

/// Multi-head attention of `query` [batch, n, width] over `key` and `value` [batch, m, width]; scale `1 / sqrt(head width)`.
/// With `causal` (n = m) position i sees positions 0..=i.
pub(crate) fn attention(query: &Tensor, key: &Tensor, value: &Tensor, heads: i64, causal: bool) -> Tensor {
    let (batch, n, width) = (query.size()[0], query.size()[1], query.size()[2]);
    let split = |x: &Tensor| x.view([batch, x.size()[1], heads, width / heads]).transpose(1, 2);
    let mixed = Tensor::scaled_dot_product_attention(&split(query), &split(key), &split(value), NONE, 0.0, causal, None, false);
    mixed.transpose(1, 2).reshape([batch, n, width])
}

/// Average pooling over `stride` x `stride` squares; nothing for stride 1.
pub(crate) fn average_pool(x: Tensor, stride: i64) -> Tensor {
    if stride == 1 { x } else { x.avg_pool2d([stride; 2], [stride; 2], [0, 0], false, true, None) }
}

/// The same [batch, channels, height, width] with channels last in memory, which convolutions on CPUs and tensor cores
/// want. libtorch keeps the order through the layers that follow.
pub(crate) fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

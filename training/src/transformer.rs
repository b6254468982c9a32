//! The residual attention blocks that both towers are made of.

use crate::init::Init;
use crate::layers::{LayerNorm, Linear, Pass, attention, wide};
use crate::vars::Vars;
use tch::Tensor;

/// Which rule of first values the blocks follow.
#[derive(Clone, Copy)]
pub(crate) enum BlockInit {
    /// The text tower's: deviations from width and depth, as in the paper's code.
    Scaled,
    /// The image tower's: the frameworks' defaults, as in the paper's code.
    Default,
}

/// What all blocks of a transformer share.
#[derive(Clone, Copy)]
pub(crate) struct BlockShape {
    pub width: i64,
    /// Channels inside the perceptron.
    pub mlp_width: i64,
    pub heads: i64,
    pub layers: usize,
    pub quick_gelu: bool,
    pub causal: bool,
    pub init: BlockInit,
}

/// Blocks `resblocks.0`, `resblocks.1`...
pub(crate) struct Transformer(Vec<Block>);

impl Transformer {
    pub fn new(vars: &mut Vars, path: &str, shape: BlockShape) -> Self {
        Transformer((0..shape.layers).map(|n| Block::new(vars, &format!("{path}.resblocks.{n}"), shape)).collect())
    }

    /// `x` [batch, length, width], 32 bits, to [batch, width]: what `pick` takes of each row. Behind the last block's
    /// attention nothing else is computed, which saves most of that block.
    pub fn forward(&self, x: Tensor, pass: Pass, pick: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let Some((last, others)) = self.0.split_last() else { return pick(&x) };
        let x = others.iter().fold(x, |x, block| block.forward(&x, pass, Tensor::shallow_clone));
        last.forward(&x, pass, pick)
    }
}

struct Block {
    shape: BlockShape,
    ln_1: LayerNorm,
    in_proj: Linear,
    out_proj: Linear,
    ln_2: LayerNorm,
    c_fc: Linear,
    c_proj: Linear,
}

impl Block {
    fn new(vars: &mut Vars, path: &str, shape: BlockShape) -> Self {
        let BlockShape { width, mlp_width, .. } = shape;
        let zero = Init::Constant(0.0);
        let (in_proj, out_proj, c_fc, c_proj) = match shape.init {
            BlockInit::Scaled => {
                let deep = Init::normal_over(width * 2 * shape.layers as i64);
                (Init::normal_over(width), deep, Init::normal_over(2 * width), deep)
            }
            // Xavier-uniform over the three projections taken as one matrix [3 width, width].
            BlockInit::Default => {
                (Init::Uniform((6.0 / (4 * width) as f64).sqrt()), Init::fan_in(width), Init::fan_in(width), Init::fan_in(mlp_width))
            }
        };
        let ln_1 = LayerNorm::new(vars, &format!("{path}.ln_1"), width);
        let in_weight = vars.parameter(format!("{path}.attn.in_proj_weight"), &[3 * width, width], in_proj);
        let in_bias = vars.parameter(format!("{path}.attn.in_proj_bias"), &[3 * width], zero);
        Block {
            shape,
            ln_1,
            in_proj: Linear::of(in_weight, Some(in_bias)),
            out_proj: Linear::new(vars, &format!("{path}.attn.out_proj"), width, width, out_proj, zero),
            ln_2: LayerNorm::new(vars, &format!("{path}.ln_2"), width),
            c_fc: Linear::new(vars, &format!("{path}.mlp.c_fc"), width, mlp_width, c_fc, Init::fan_in(width)),
            c_proj: Linear::new(vars, &format!("{path}.mlp.c_proj"), mlp_width, width, c_proj, Init::fan_in(mlp_width)),
        }
    }

    fn forward(&self, x: &Tensor, pass: Pass, pick: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let qkv = self.in_proj.forward(&self.ln_1.forward(x), pass).chunk(3, -1);
        let mixed = attention(&qkv[0], &qkv[1], &qkv[2], self.shape.heads, self.shape.causal);
        let x = pick(x) + wide(&self.out_proj.forward(&pick(&mixed), pass));
        let hidden = self.c_fc.forward(&self.ln_2.forward(&x), pass);
        let active = if self.shape.quick_gelu { &hidden * (&hidden * 1.702).sigmoid_() } else { hidden.gelu("none") };
        x + wide(&self.c_proj.forward(&active, pass))
    }
}

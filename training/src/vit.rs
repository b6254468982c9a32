//! CLIP's vision transformer.

use crate::init::Init;
use crate::layers::{Conv, LayerNorm, Linear, Pass, wide};
use crate::transformer::{BlockInit, BlockShape, Transformer};
use crate::vars::Vars;
use tch::Tensor;

/// Sizes of a vision transformer, see [`VisionConfig::Vit`](crate::VisionConfig::Vit).
#[derive(Clone, Copy)]
pub(crate) struct VitShape {
    pub image_size: i64,
    pub layers: usize,
    pub width: i64,
    pub patch_size: i64,
    pub head_width: i64,
    pub mlp_width: i64,
    pub embed_dim: i64,
    pub quick_gelu: bool,
}

pub(crate) struct Vit {
    class_embedding: Tensor,
    positional_embedding: Tensor,
    conv1: Conv,
    ln_pre: LayerNorm,
    transformer: Transformer,
    ln_post: LayerNorm,
    proj: Tensor,
}

impl Vit {
    pub fn new(vars: &mut Vars, shape: VitShape) -> Self {
        let VitShape { image_size, layers, width, patch_size, head_width, mlp_width, embed_dim, quick_gelu } = shape;
        let grid = image_size / patch_size;
        let over_width = Init::normal_over(width);
        let blocks =
            BlockShape { width, mlp_width, heads: width / head_width, layers, quick_gelu, causal: false, init: BlockInit::Default };
        Vit {
            class_embedding: vars.parameter("visual.class_embedding".to_string(), &[width], over_width),
            positional_embedding: vars.parameter("visual.positional_embedding".to_string(), &[grid * grid + 1, width], over_width),
            proj: vars.parameter("visual.proj".to_string(), &[width, embed_dim], over_width),
            conv1: Conv::new(vars, "visual.conv1", 3, width, patch_size, patch_size, 0),
            ln_pre: LayerNorm::new(vars, "visual.ln_pre", width),
            transformer: Transformer::new(vars, "visual.transformer", blocks),
            ln_post: LayerNorm::new(vars, "visual.ln_post", width),
        }
    }

    /// `images` [batch, 3, image_size, image_size] to [batch, embed_dim], not yet unit rows.
    pub fn forward(&self, images: &Tensor, pass: Pass) -> Tensor {
        // [batch, width, grid, grid] to [batch, grid * grid, width], row by row.
        let patches = wide(&self.conv1.forward(images, pass).flatten(2, 3).transpose(1, 2));
        let class = self.class_embedding.expand([images.size()[0], 1, self.class_embedding.size()[0]], false);
        let x = Tensor::cat(&[class, patches], 1) + &self.positional_embedding;
        let class = self.transformer.forward(self.ln_pre.forward(&x), pass, |x| x.select(1, 0));
        Linear::of(self.proj.tr(), None).forward(&self.ln_post.forward(&class), pass)
    }
}

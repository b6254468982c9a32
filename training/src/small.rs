//! A residual network for small pictures, made for a few CPU cores.

use crate::init::Init;
use crate::layers::{BatchNorm, Conv, Linear, Pass, channels_last};
use crate::vars::Vars;
use tch::{Kind, Tensor};

pub(crate) struct SmallResnet {
    stem: (Conv, BatchNorm),
    blocks: Vec<BasicBlock>,
    proj: Tensor,
}

impl SmallResnet {
    /// Sizes as in [`VisionConfig::SmallResnet`](crate::VisionConfig::SmallResnet).
    pub fn new(vars: &mut Vars, image_size: i64, layers: &[usize], width: i64, embed_dim: i64) -> Self {
        let stride = stem_stride(image_size);
        // Neighbouring windows overlap by half, so that no pixel is passed over.
        let conv = Conv::new(vars, "visual.conv1", 3, width, 2 * stride + 1, stride, stride);
        let stem = (conv, BatchNorm::new(vars, "visual.bn1", width, 1.0));
        let mut blocks = Vec::new();
        let mut channels = width;
        for (stage, &count) in layers.iter().enumerate() {
            let planes = width << stage;
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(BasicBlock::new(vars, &format!("visual.layer{}.{block}", stage + 1), channels, planes, stride));
                channels = planes;
            }
        }
        let proj = vars.parameter("visual.proj".to_string(), &[2 * channels, embed_dim], Init::normal_over(2 * channels));
        SmallResnet { stem, blocks, proj }
    }

    /// `images` [batch, 3, image_size, image_size] to [batch, embed_dim], not yet unit rows.
    pub fn forward(&self, images: &Tensor, pass: Pass) -> Tensor {
        let x = channels_last(&images.to_kind(pass.kind));
        let x = self.stem.1.forward(&self.stem.0.forward(&x, pass), pass).relu();
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, pass));
        // The mean says how much there is of a feature, the maximum that it is there at all, such as one corner of a shape.
        let pooled = Tensor::cat(&[x.mean_dim([2i64, 3].as_slice(), false, Kind::Float), x.amax([2i64, 3], false).to_kind(Kind::Float)], 1);
        Linear::of(self.proj.tr(), None).forward(&pooled, pass)
    }
}

/// The stride that brings the picture to a map of 32 to 63 a side, the largest that a CPU gets through quickly; a power of 2.
pub(crate) fn stem_stride(image_size: i64) -> i64 {
    let mut stride = 1;
    while image_size / (2 * stride) >= 32 {
        stride *= 2;
    }
    stride
}

/// Two 3 x 3 convolutions around a shortcut.
struct BasicBlock {
    convs: [Conv; 2],
    norms: [BatchNorm; 2],
    downsample: Option<(Conv, BatchNorm)>,
}

impl BasicBlock {
    fn new(vars: &mut Vars, path: &str, inputs: i64, planes: i64, stride: i64) -> Self {
        let conv1 = Conv::new(vars, &format!("{path}.conv1"), inputs, planes, 3, stride, 1);
        let bn1 = BatchNorm::new(vars, &format!("{path}.bn1"), planes, 1.0);
        let conv2 = Conv::new(vars, &format!("{path}.conv2"), planes, planes, 3, 1, 1);
        // Gains of 0 here, as large networks have them to begin as the identity, cost a net of few blocks its first epochs.
        let bn2 = BatchNorm::new(vars, &format!("{path}.bn2"), planes, 1.0);
        let downsample = (stride > 1 || inputs != planes).then(|| {
            // Kernel as wide as the stride: every position of the larger map takes part.
            let conv = Conv::new(vars, &format!("{path}.downsample.0"), inputs, planes, stride, stride, 0);
            (conv, BatchNorm::new(vars, &format!("{path}.downsample.1"), planes, 1.0))
        });
        BasicBlock { convs: [conv1, conv2], norms: [bn1, bn2], downsample }
    }

    fn forward(&self, x: Tensor, pass: Pass) -> Tensor {
        let inner = self.norms[0].forward(&self.convs[0].forward(&x, pass), pass).relu();
        let out = self.norms[1].forward(&self.convs[1].forward(&inner, pass), pass);
        let shortcut = match &self.downsample {
            Some((conv, bn)) => bn.forward(&conv.forward(&x, pass), pass),
            None => x,
        };
        (out + shortcut).relu()
    }
}

#[cfg(test)]
mod tests {
    use super::stem_stride;

    #[test]
    fn stride_follows_the_size() {
        let cases = [(16, 1), (32, 1), (48, 1), (63, 1), (64, 2), (96, 2), (128, 4), (224, 4), (256, 8)];
        for (size, stride) in cases {
            assert_eq!(stem_stride(size), stride, "{size}");
        }
    }
}

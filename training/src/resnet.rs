//! CLIP's modified ResNet: a stem of three convolutions, average pooling in front of every stride, attention pooling.

use crate::init::Init;
use crate::layers::{BatchNorm, Conv, Linear, Pass, attention, average_pool, channels_last, wide};
use crate::vars::Vars;
use tch::Tensor;

/// Output channels of a bottleneck over its inner ones.
const EXPANSION: i64 = 4;

pub(crate) struct Resnet {
    stem: [(Conv, BatchNorm); 3],
    blocks: Vec<Bottleneck>,
    pool: AttentionPool,
}

impl Resnet {
    /// Sizes as in [`VisionConfig::Resnet`](crate::VisionConfig::Resnet).
    pub fn new(vars: &mut Vars, image_size: i64, layers: [usize; 4], width: i64, embed_dim: i64) -> Self {
        let mut convolution = |n: i64, inputs, outputs, stride| {
            let conv = Conv::new(vars, &format!("visual.conv{n}"), inputs, outputs, 3, stride, 1);
            (conv, BatchNorm::new(vars, &format!("visual.bn{n}"), outputs, 1.0))
        };
        let half = width / 2;
        let stem = [convolution(1, 3, half, 2), convolution(2, half, half, 1), convolution(3, half, width, 1)];
        let mut blocks = Vec::new();
        let mut channels = width;
        for (stage, &count) in layers.iter().enumerate() {
            let planes = width << stage;
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(Bottleneck::new(vars, &format!("visual.layer{}.{block}", stage + 1), channels, planes, stride));
                channels = planes * EXPANSION;
            }
        }
        let pool = AttentionPool::new(vars, image_size / 32, channels, embed_dim);
        Resnet { stem, blocks, pool }
    }

    /// `images` [batch, 3, image_size, image_size] to [batch, embed_dim], not yet unit rows.
    pub fn forward(&self, images: &Tensor, pass: Pass) -> Tensor {
        let images = channels_last(images);
        let x = self.stem.iter().fold(images, |x, (conv, bn)| bn.forward(&conv.forward(&x, pass), pass).relu());
        let x = self.blocks.iter().fold(average_pool(x, 2), |x, block| block.forward(x, pass));
        self.pool.forward(&x, pass)
    }
}

struct Bottleneck {
    convs: [Conv; 3],
    norms: [BatchNorm; 3],
    downsample: Option<(Conv, BatchNorm)>,
    stride: i64,
}

impl Bottleneck {
    fn new(vars: &mut Vars, path: &str, inputs: i64, planes: i64, stride: i64) -> Self {
        let outputs = planes * EXPANSION;
        let mut conv = |n, inputs, outputs, kernel| Conv::new(vars, &format!("{path}.conv{n}"), inputs, outputs, kernel, 1, kernel / 2);
        let convs = [conv(1, inputs, planes, 1), conv(2, planes, planes, 3), conv(3, planes, outputs, 1)];
        // The last gain begins at 0, so that a fresh block passes its input on.
        let mut norm = |n, channels, gain| BatchNorm::new(vars, &format!("{path}.bn{n}"), channels, gain);
        let norms = [norm(1, planes, 1.0), norm(2, planes, 1.0), norm(3, outputs, 0.0)];
        let downsample = (stride > 1 || inputs != outputs).then(|| {
            let conv = Conv::new(vars, &format!("{path}.downsample.0"), inputs, outputs, 1, 1, 0);
            (conv, BatchNorm::new(vars, &format!("{path}.downsample.1"), outputs, 1.0))
        });
        Bottleneck { convs, norms, downsample, stride }
    }

    fn forward(&self, x: Tensor, pass: Pass) -> Tensor {
        let step = |n: usize, x: &Tensor| self.norms[n].forward(&self.convs[n].forward(x, pass), pass);
        let inner = step(1, &step(0, &x).relu()).relu();
        let out = step(2, &average_pool(inner, self.stride));
        let shortcut = match &self.downsample {
            Some((conv, bn)) => bn.forward(&conv.forward(&average_pool(x, self.stride), pass), pass),
            None => x,
        };
        (out + shortcut).relu()
    }
}

/// One layer of attention in which the mean of the map asks and the map answers.
struct AttentionPool {
    positional_embedding: Tensor,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    c_proj: Linear,
    heads: i64,
}

impl AttentionPool {
    fn new(vars: &mut Vars, grid: i64, channels: i64, embed_dim: i64) -> Self {
        let over_channels = Init::normal_over(channels);
        let path = |name| format!("visual.attnpool.{name}");
        let positional_embedding = vars.parameter(path("positional_embedding"), &[grid * grid + 1, channels], over_channels);
        let mut linear = |name, outputs| Linear::new(vars, &path(name), channels, outputs, over_channels, Init::fan_in(channels));
        AttentionPool {
            positional_embedding,
            q_proj: linear("q_proj", channels),
            k_proj: linear("k_proj", channels),
            v_proj: linear("v_proj", channels),
            c_proj: linear("c_proj", embed_dim),
            // Heads of 64 channels; a network too narrow for that has one.
            heads: (channels / 64).max(1),
        }
    }

    /// `map` [batch, channels, grid, grid] to [batch, embed_dim].
    fn forward(&self, map: &Tensor, pass: Pass) -> Tensor {
        let tokens = wide(&map.flatten(2, 3).transpose(1, 2));
        let mean = tokens.mean_dim([1i64].as_slice(), true, tokens.kind());
        let tokens = Tensor::cat(&[mean, tokens], 1) + &self.positional_embedding;
        let query = self.q_proj.forward(&tokens.narrow(1, 0, 1), pass);
        let (key, value) = (self.k_proj.forward(&tokens, pass), self.v_proj.forward(&tokens, pass));
        self.c_proj.forward(&attention(&query, &key, &value, self.heads, false).squeeze_dim(1), pass)
    }
}

//! What a model is made of: sizes only, read from small JSON files. Knows nothing of tensors.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The text tower and the model as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name, such as `ViT-B-32`.
    pub name: String,
    /// Length of the vectors that pictures and texts are compared by.
    pub embed_dim: i64,
    /// Whether the transformers use `x * sigmoid(1.702 x)`, as all of OpenAI's weights do, instead of the exact GELU.
    pub quick_gelu: bool,
    /// The image tower.
    pub vision: VisionConfig,
    /// The text tower.
    pub text: TextConfig,
}

/// The image tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum VisionConfig {
    /// A vision transformer.
    Vit {
        /// Side of the square picture in pixels, a multiple of `patch_size`.
        image_size: i64,
        /// Blocks.
        layers: usize,
        /// Channels, a multiple of `head_width`.
        width: i64,
        /// Side of a patch in pixels.
        patch_size: i64,
        /// Channels of an attention head.
        head_width: i64,
        /// Channels between the two layers of a block's perceptron; without it four times `width`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mlp_width: Option<i64>,
    },
    /// CLIP's modified ResNet: three-convolution stem, blur pooling in front of strides, attention pooling.
    Resnet {
        /// Side of the square picture in pixels, a multiple of 32.
        image_size: i64,
        /// Bottleneck blocks of the four stages.
        layers: [usize; 4],
        /// Channels after the stem, a multiple of 2; the map ends with 32 times as many.
        width: i64,
    },
    /// A residual network for small pictures on CPUs, with a stride that follows the picture's size.
    SmallResnet {
        /// Side of the square picture in pixels.
        image_size: i64,
        /// Residual blocks of each stage; each stage has twice the channels and half the side of the one before.
        layers: Vec<usize>,
        /// Channels of the first stage.
        width: i64,
    },
}

/// The text tower, a transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Most tokens of a text, start and end included.
    pub context_length: i64,
    /// Size of the vocabulary.
    pub vocab_size: i64,
    /// Channels.
    pub width: i64,
    /// Attention heads.
    pub heads: i64,
    /// Blocks.
    pub layers: usize,
}

/// The models that come with the program, by name.
const MODELS: &[(&str, &str)] = &[
    ("small-resnet", include_str!("../models/small-resnet.json")),
    ("small-vit", include_str!("../models/small-vit.json")),
    ("RN50", include_str!("../models/RN50.json")),
    ("RN101", include_str!("../models/RN101.json")),
    ("RN50x4", include_str!("../models/RN50x4.json")),
    ("RN50x16", include_str!("../models/RN50x16.json")),
    ("RN50x64", include_str!("../models/RN50x64.json")),
    ("ViT-B-32", include_str!("../models/ViT-B-32.json")),
    ("ViT-B-16", include_str!("../models/ViT-B-16.json")),
    ("ViT-L-14", include_str!("../models/ViT-L-14.json")),
    ("ViT-L-14-336", include_str!("../models/ViT-L-14-336.json")),
    ("ViT-S-32-alt", include_str!("../models/ViT-S-32-alt.json")),
    ("ViT-S-32", include_str!("../models/ViT-S-32.json")),
    ("ViT-S-16-alt", include_str!("../models/ViT-S-16-alt.json")),
    ("ViT-S-16", include_str!("../models/ViT-S-16.json")),
    ("ViT-M-32-alt", include_str!("../models/ViT-M-32-alt.json")),
    ("ViT-M-32", include_str!("../models/ViT-M-32.json")),
    ("ViT-M-16", include_str!("../models/ViT-M-16.json")),
    ("ViT-B-32-256", include_str!("../models/ViT-B-32-256.json")),
    ("ViT-B-32-plus-256", include_str!("../models/ViT-B-32-plus-256.json")),
    ("ViT-B-16-plus-240", include_str!("../models/ViT-B-16-plus-240.json")),
    ("ViT-B-16-plus", include_str!("../models/ViT-B-16-plus.json")),
    ("ViT-L-14-280", include_str!("../models/ViT-L-14-280.json")),
    ("ViT-L-16", include_str!("../models/ViT-L-16.json")),
    ("ViT-L-16-320", include_str!("../models/ViT-L-16-320.json")),
    ("ViT-H-14", include_str!("../models/ViT-H-14.json")),
    ("ViT-H-16", include_str!("../models/ViT-H-16.json")),
    ("ViT-H-14-378", include_str!("../models/ViT-H-14-378.json")),
    ("ViT-g-14", include_str!("../models/ViT-g-14.json")),
    ("ViT-bigG-14", include_str!("../models/ViT-bigG-14.json")),
    ("ViT-e-14", include_str!("../models/ViT-e-14.json")),
];

impl VisionConfig {
    /// Side of the square picture in pixels.
    pub fn image_size(&self) -> i64 {
        match self {
            VisionConfig::Vit { image_size, .. }
            | VisionConfig::Resnet { image_size, .. }
            | VisionConfig::SmallResnet { image_size, .. } => *image_size,
        }
    }
}

impl ModelConfig {
    /// The names of the models that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|(name, _)| *name)
    }

    /// The model of this name (OpenAI's spelling, `ViT-B/32`, is understood too), or the one described by a `.json` file.
    ///
    /// # Errors
    /// `UnknownModel`; `Model` for a description that breaks a rule; `Shards` for a file that cannot be read.
    pub fn find(name: &str) -> Result<Self, Error> {
        if name.ends_with(".json") {
            return Self::read(Path::new(name));
        }
        let plain = |name: &str| name.replace(['/', '@'], "-").trim_end_matches("px").to_ascii_lowercase();
        match MODELS.iter().find(|(known, _)| plain(known) == plain(name)) {
            Some((known, text)) => Self::parse(known, text.as_bytes()),
            None => {
                let known: Vec<&str> = Self::names().collect();
                Err(Error::UnknownModel { name: name.to_string(), known: known.join(", ") })
            }
        }
    }

    /// Reads a description from a file.
    ///
    /// # Errors
    /// As [`ModelConfig::find`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(shards::Error::io("read", path))?;
        Self::parse(&path.display().to_string(), &text)
    }

    pub(crate) fn parse(name: &str, text: &[u8]) -> Result<Self, Error> {
        let config: ModelConfig =
            serde_json::from_slice(text).map_err(|error| Error::Model { name: name.to_string(), why: error.to_string() })?;
        config.check()?;
        Ok(config)
    }

    /// The same model for pictures of another size. Position tables of transformers get other lengths by it.
    ///
    /// # Errors
    /// `Model` when the model cannot have this size.
    pub fn with_image_size(mut self, pixels: i64) -> Result<Self, Error> {
        match &mut self.vision {
            VisionConfig::Vit { image_size, .. }
            | VisionConfig::Resnet { image_size, .. }
            | VisionConfig::SmallResnet { image_size, .. } => *image_size = pixels,
        }
        self.check()?;
        Ok(self)
    }

    /// Checks that the sizes fit together and are of this world, so that building the model cannot fail or take all
    /// memory because of a description. The bounds are a few times the largest published CLIP.
    ///
    /// # Errors
    /// `Model` with the rule.
    pub fn check(&self) -> Result<(), Error> {
        let rule =
            |holds: bool, why: &str| if holds { Ok(()) } else { Err(Error::Model { name: self.name.clone(), why: why.to_string() }) };
        rule((1..=8192).contains(&self.embed_dim), "embed_dim must be 1 to 8192")?;
        rule((8..=2048).contains(&self.vision.image_size()), "image_size must be 8 to 2048")?;
        match &self.vision {
            VisionConfig::Vit { image_size, layers, width, patch_size, head_width, mlp_width } => {
                rule(mlp_width.is_none_or(|inner| (1..=1 << 16).contains(&inner)), "vision mlp_width must be 1 to 65,536")?;
                rule((1..=128).contains(layers), "vision layers must be 1 to 128")?;
                rule((1..=8192).contains(width), "vision width must be 1 to 8192")?;
                rule(*patch_size >= 1 && image_size % patch_size == 0, "image_size must be a multiple of patch_size")?;
                rule(image_size / patch_size <= 128, "there must be at most 128 x 128 patches")?;
                rule(*head_width >= 1 && width % head_width == 0, "vision width must be a multiple of head_width")?;
            }
            VisionConfig::Resnet { image_size, layers, width } => {
                rule(image_size % 32 == 0, "image_size must be a multiple of 32, the stride of the network")?;
                rule(layers.iter().all(|n| (1..=128).contains(n)), "every stage must have 1 to 128 blocks")?;
                rule((2..=512).contains(width) && width % 2 == 0, "vision width must be even, 2 to 512")?;
            }
            VisionConfig::SmallResnet { image_size, layers, width } => {
                rule((1..=5).contains(&layers.len()), "there must be 1 to 5 stages")?;
                rule(layers.iter().all(|n| (1..=128).contains(n)), "every stage must have 1 to 128 blocks")?;
                rule((1..=512).contains(width), "vision width must be 1 to 512")?;
                // Every stage but the first halves the map of the stem, and its shortcut needs an even one.
                let stride = crate::small::stem_stride(*image_size);
                let fold = 1 << (layers.len() - 1);
                let map = (image_size - 1) / stride + 1;
                rule(map % fold == 0, &format!("image_size {image_size} does not fit its stages: take a multiple of {}", stride * fold))?;
            }
        }
        let text = &self.text;
        rule((2..=4096).contains(&text.context_length), "context_length must be 2 to 4096")?;
        rule((2..=1 << 20).contains(&text.vocab_size), "vocab_size must be 2 to 1,048,576")?;
        rule((1..=8192).contains(&text.width), "text width must be 1 to 8192")?;
        rule(text.heads >= 1 && text.width % text.heads == 0, "text width must be a multiple of heads")?;
        rule((1..=128).contains(&text.layers), "text layers must be 1 to 128")
    }
}

//! The model: two towers that put pictures and texts into one space.

use crate::layers::{Pass, Precision, channels_last, wide};
use crate::naming::{Naming, View};
use crate::resnet::Resnet;
use crate::small::SmallResnet;
use crate::stored::Stored;
use crate::text::TextTower;
use crate::vars::{Filling, Vars};
use crate::vit::{Vit, VitShape};
use crate::{Error, ModelConfig, VisionConfig, infer, init::Init};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// The file of a checkpoint that holds the model's description.
pub const MODEL_FILE: &str = "model.json";
/// The file of a checkpoint that holds the weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// Tensors by name and shape.
pub type Shapes = Vec<(String, Vec<i64>)>;

/// What to take otherwise than a file of weights says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// Another side of the pictures in pixels: tables of positions are resized.
    pub image_size: Option<i64>,
    /// The activation, which shapes cannot say.
    pub quick_gelu: Option<bool>,
}

/// How a file of weights was understood.
#[derive(Clone, Debug)]
pub struct Understood {
    /// Whose names its tensors have.
    pub naming: Naming,
    /// Where the model's description comes from.
    pub source: &'static str,
    /// Types of its numbers.
    pub kinds: Vec<String>,
}

/// A CLIP model on a device. Tensors are named as in OpenAI's and open_clip's files.
pub struct Clip {
    config: ModelConfig,
    device: Device,
    precision: Precision,
    /// The type of matrix products: the precision's.
    kind: Kind,
    image: ImageTower,
    text: TextTower,
    logit_scale: Tensor,
    vars: Vars,
}

// One per model: boxing the larger variant would save nothing.
#[allow(clippy::large_enum_variant)]
enum ImageTower {
    Vit(Vit),
    Resnet(Resnet),
    Small(SmallResnet),
}

impl Clip {
    /// A fresh model; the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// `Model` when the description breaks a rule.
    pub fn new(config: &ModelConfig, device: Device, seed: u64) -> Result<Self, Error> {
        Self::build(config, device, Filling::Fresh(seed))
    }

    /// A model with the weights of a `.safetensors` file.
    ///
    /// # Errors
    /// `Model`; `Weights` for a damaged file; `Tensor` for a tensor that is missing or of another shape.
    pub fn load(config: &ModelConfig, device: Device, weights: &Path) -> Result<Self, Error> {
        let model = Self::build(config, device, Filling::Unset)?;
        crate::weights::load_into(weights, &model.tensors())?;
        Ok(model)
    }

    /// Writes parameters and buffers to a `.safetensors` file, which appears whole or not at all.
    ///
    /// # Errors
    /// `Shards` when the file cannot be written.
    pub fn save(&self, weights: &Path) -> Result<(), Error> {
        crate::weights::save(weights, &self.tensors())
    }

    /// Writes the model as a folder: its description, then its weights. [`Clip::open`] reads it.
    ///
    /// # Errors
    /// `Shards` when a file cannot be written.
    pub fn save_folder(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(MODEL_FILE);
        let text = serde_json::to_vec_pretty(&self.config).map_err(|error| Error::data(&path, error.to_string()))?;
        shards::write_atomic(&path, &text)?;
        self.save(&folder.join(WEIGHTS_FILE))
    }

    /// The model of a file of weights or of the folder that holds it: diptych's own, OpenAI's `.pt` archives, and what
    /// open_clip and Hugging Face's transformers write. What it is comes from the description beside the file or inside,
    /// else from the shapes of its tensors.
    ///
    /// # Errors
    /// As [`Clip::load`] and [`ModelConfig::read`].
    pub fn open(checkpoint: &Path, device: Device) -> Result<Self, Error> {
        Self::open_as(checkpoint, device, &Choices::default()).map(|(model, _)| model)
    }

    /// [`Clip::open`] with some choices made otherwise than in the file, and how the file was understood.
    ///
    /// # Errors
    /// As [`Clip::open`].
    pub fn open_as(checkpoint: &Path, device: Device, choices: &Choices) -> Result<(Self, Understood), Error> {
        let weights = match checkpoint.is_dir() {
            true => infer::weights_in(checkpoint).unwrap_or_else(|| checkpoint.join(WEIGHTS_FILE)),
            false => checkpoint.to_path_buf(),
        };
        let mut view = View::new(Stored::open(&weights)?);
        let (mut config, source) = infer::describe(&view)?;
        config.quick_gelu = choices.quick_gelu.unwrap_or(config.quick_gelu);
        if let Some(pixels) = choices.image_size {
            config = config.with_image_size(pixels)?;
        }
        let model = Self::build(&config, device, Filling::Unset)?;
        crate::weights::fill(&mut view, &model.tensors(), choices.image_size.is_some())?;
        let mut kinds: Vec<String> = view.stored.entries.values().map(|entry| format!("{:?}", entry.kind)).collect();
        kinds.sort();
        kinds.dedup();
        Ok((model, Understood { naming: view.naming, source, kinds }))
    }

    /// Names and shapes of a model's parameters and of its buffers, in no memory.
    ///
    /// # Errors
    /// `Model` when the description breaks a rule.
    pub fn shapes(config: &ModelConfig) -> Result<[Shapes; 2], Error> {
        let vars = Self::build(config, Device::Cpu, Filling::Sketch)?.vars;
        Ok([vars.parameters, vars.buffers].map(|tensors| tensors.into_iter().map(|(name, tensor)| (name, tensor.size())).collect()))
    }

    fn build(config: &ModelConfig, device: Device, filling: Filling) -> Result<Self, Error> {
        config.check()?;
        let (embed_dim, quick_gelu) = (config.embed_dim, config.quick_gelu);
        let mut vars = Vars::new(device, filling);
        // ln(1 / 0.07), as in the paper.
        let logit_scale = vars.parameter("logit_scale".to_string(), &[], Init::Constant((1.0f32 / 0.07).ln()));
        let image = match &config.vision {
            &VisionConfig::Vit { image_size, layers, width, patch_size, head_width, mlp_width } => {
                let mlp_width = mlp_width.unwrap_or(4 * width);
                let shape = VitShape { image_size, layers, width, patch_size, head_width, mlp_width, embed_dim, quick_gelu };
                ImageTower::Vit(Vit::new(&mut vars, shape))
            }
            &VisionConfig::Resnet { image_size, layers, width } => {
                ImageTower::Resnet(Resnet::new(&mut vars, image_size, layers, width, embed_dim))
            }
            VisionConfig::SmallResnet { image_size, layers, width } => {
                ImageTower::Small(SmallResnet::new(&mut vars, *image_size, layers, *width, embed_dim))
            }
        };
        let text = TextTower::new(&mut vars, &config.text, embed_dim, quick_gelu);
        Ok(Clip { config: config.clone(), device, precision: Precision::Fp32, kind: Kind::Float, image, text, logit_scale, vars })
    }

    /// The same model computing in this precision; weights stay 32 bits.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        (self.precision, self.kind) = (precision, precision.kind());
        self
    }

    /// The same model made ready for computing without gradients: what matrix products and convolutions need is kept in
    /// this precision and in the order they want, so that nothing is converted in each pass. It cannot be trained or saved
    /// in full precision any more.
    pub fn for_inference(mut self, precision: Precision) -> Self {
        let _no_gradients = tch::no_grad_guard();
        for (name, tensor) in &self.vars.parameters {
            let mut tensor = tensor.shallow_clone().set_requires_grad(false);
            let norm = ["ln_", "bn", "downsample.1"].iter().any(|part| name.contains(part));
            if name.contains("embedding") || tensor.dim() < if norm || name == "logit_scale" { 2 } else { 1 } {
                continue;
            }
            let converted = tensor.to_kind(precision.kind());
            tensor.set_data(&if tensor.dim() == 4 { channels_last(&converted) } else { converted });
        }
        (self.precision, self.kind) = (precision, precision.kind());
        self
    }

    /// The same model with weights and everything else in 64 bits, to compare with.
    #[cfg(test)]
    pub(crate) fn in_double(mut self) -> Self {
        for (_, tensor) in self.vars.parameters.iter().chain(&self.vars.buffers).filter(|(_, tensor)| tensor.is_floating_point()) {
            tensor.shallow_clone().set_data(&tensor.detach().to_kind(Kind::Double));
        }
        self.kind = Kind::Double;
        self
    }

    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where its tensors are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The precision it computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Unit vectors [batch, embed_dim], 32 bits, for `images` [batch, 3, image_size, image_size], 32 bits, normalised with
    /// [`MEAN`](crate::MEAN) and [`STD`](crate::STD), on the model's device. With `train`, batch norm uses the batch's own
    /// statistics and updates the running ones; gradients are kept in either case unless `tch::no_grad` says otherwise.
    ///
    /// # Panics
    /// When the shape is another one, or the device runs out of memory.
    pub fn encode_image(&self, images: &Tensor, train: bool) -> Tensor {
        let pass = Pass { train, kind: self.kind };
        unit_rows(&match &self.image {
            ImageTower::Vit(tower) => tower.forward(images, pass),
            ImageTower::Resnet(tower) => tower.forward(images, pass),
            ImageTower::Small(tower) => tower.forward(images, pass),
        })
    }

    /// Unit vectors [batch, embed_dim], 32 bits, for `ids` [batch, length] (Int64) on the model's device; every row has an
    /// end token, `length` is at most the context length and may be cut to the longest text.
    ///
    /// # Panics
    /// When an id is outside the vocabulary, the rows are too long, or the device runs out of memory.
    pub fn encode_text(&self, ids: &Tensor) -> Tensor {
        unit_rows(&self.text.forward(ids, Pass { train: false, kind: self.kind }))
    }

    /// The logarithm of the factor that similarities are multiplied by, a parameter of no dimensions.
    pub fn logit_scale(&self) -> Tensor {
        self.logit_scale.shallow_clone()
    }

    /// The trained tensors with their names, always in the same order. They share memory with the model.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        copies(&self.vars.parameters)
    }

    /// The kept but untrained tensors (batch norm's running statistics), likewise.
    pub fn buffers(&self) -> Vec<(String, Tensor)> {
        copies(&self.vars.buffers)
    }

    /// All that a file of weights holds.
    fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors = self.parameters();
        tensors.extend(self.buffers());
        tensors
    }
}

fn copies(tensors: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
}

/// Every row divided by its length, in 32 bits; a row of zeros stays one.
pub(crate) fn unit_rows(x: &Tensor) -> Tensor {
    let x = wide(x);
    &x / x.norm_scalaropt_dim(2, [-1i64], true).clamp_min(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters of OpenAI's nine models, counted on their files.
    const COUNTS: [(&str, i64, usize); 9] = [
        ("RN50", 102_007_137, 489),
        ("RN101", 119_688_033, 795),
        ("RN50x4", 178_300_601, 669),
        ("RN50x16", 290_979_217, 921),
        ("RN50x64", 623_258_305, 1353),
        ("ViT-B-32", 151_277_313, 302),
        ("ViT-B-16", 149_620_737, 302),
        ("ViT-L-14", 427_616_513, 446),
        ("ViT-L-14-336", 427_944_193, 446),
    ];

    /// Networks small enough for a test, one of each kind.
    fn tiny() -> Vec<ModelConfig> {
        let vit = r#"{ "kind": "vit", "image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32 }"#;
        let resnet = r#"{ "kind": "resnet", "image_size": 64, "layers": [1, 2, 1, 1], "width": 4 }"#;
        let small = r#"{ "kind": "small_resnet", "image_size": 32, "layers": [1, 2], "width": 8 }"#;
        let text = r#"{ "context_length": 16, "vocab_size": 100, "width": 32, "heads": 2, "layers": 2 }"#;
        [vit, resnet, small]
            .iter()
            .map(|vision| format!(r#"{{ "name": "tiny", "embed_dim": 16, "quick_gelu": true, "vision": {vision}, "text": {text} }}"#))
            .map(|json| serde_json::from_str(&json).expect("a description"))
            .collect()
    }

    fn images(config: &ModelConfig, count: i64) -> Tensor {
        let side = config.vision.image_size();
        let numbers = crate::init::values(Init::Normal(1.0), 5, "images", (count * 3 * side * side) as usize);
        Tensor::from_slice(&numbers).view([count, 3, side, side])
    }

    /// Three texts of 7, 16 and 4 tokens in a context of 16; 99 ends a text.
    fn ids() -> Tensor {
        let mut rows = [[0i64; 16]; 3];
        for (row, length) in rows.iter_mut().zip([7usize, 16, 4]) {
            for (at, id) in row.iter_mut().enumerate().take(length) {
                *id = if at + 1 == length { 99 } else { ((at * 7 + length) % 90) as i64 };
            }
        }
        Tensor::from_slice2(&rows)
    }

    fn close(a: &Tensor, b: &Tensor, bound: f64) -> bool {
        (a - b).abs().max().double_value(&[]) < bound
    }

    #[test]
    fn published_models_have_their_parameters() {
        for (name, parameters, entries) in COUNTS {
            let config = ModelConfig::find(name).expect("a model");
            let [trained, kept] = Clip::shapes(&config).expect("built");
            let count: i64 = trained.iter().map(|(_, shape)| shape.iter().product::<i64>()).sum();
            assert_eq!((count, trained.len() + kept.len()), (parameters, entries), "{name}");
        }
    }

    #[test]
    fn tensors_have_published_names_and_shapes() {
        let shapes = |name: &str| -> std::collections::BTreeMap<String, Vec<i64>> {
            let [trained, kept] = Clip::shapes(&ModelConfig::find(name).expect("a model")).expect("built");
            trained.into_iter().chain(kept).collect()
        };
        let vit = shapes("ViT-B/32");
        let expected: [(&str, &[i64]); 14] = [
            ("logit_scale", &[]),
            ("positional_embedding", &[77, 512]),
            ("text_projection", &[512, 512]),
            ("token_embedding.weight", &[49408, 512]),
            ("ln_final.bias", &[512]),
            ("transformer.resblocks.11.attn.in_proj_weight", &[1536, 512]),
            ("transformer.resblocks.0.attn.out_proj.bias", &[512]),
            ("transformer.resblocks.0.mlp.c_proj.weight", &[512, 2048]),
            ("visual.class_embedding", &[768]),
            ("visual.positional_embedding", &[50, 768]),
            ("visual.proj", &[768, 512]),
            ("visual.conv1.weight", &[768, 3, 32, 32]),
            ("visual.ln_pre.weight", &[768]),
            ("visual.transformer.resblocks.11.mlp.c_fc.bias", &[3072]),
        ];
        for (name, shape) in expected {
            assert_eq!(vit.get(name).map(Vec::as_slice), Some(shape), "{name}");
        }
        let resnet = shapes("RN50");
        let expected: [(&str, &[i64]); 9] = [
            ("visual.conv1.weight", &[32, 3, 3, 3]),
            ("visual.bn3.num_batches_tracked", &[]),
            ("visual.layer1.0.downsample.0.weight", &[256, 64, 1, 1]),
            ("visual.layer4.0.downsample.1.running_var", &[2048]),
            ("visual.layer4.2.conv2.weight", &[512, 512, 3, 3]),
            ("visual.layer3.5.bn3.running_mean", &[1024]),
            ("visual.attnpool.positional_embedding", &[50, 2048]),
            ("visual.attnpool.k_proj.weight", &[2048, 2048]),
            ("visual.attnpool.c_proj.weight", &[1024, 2048]),
        ];
        for (name, shape) in expected {
            assert_eq!(resnet.get(name).map(Vec::as_slice), Some(shape), "{name}");
        }
    }

    #[test]
    fn later_tokens_do_not_reach_earlier_ones() {
        let _no_gradients = tch::no_grad_guard();
        let model = Clip::new(&tiny()[0], Device::Cpu, 1).expect("built");
        let ids = ids();
        let vectors = model.encode_text(&ids);
        // Behind the end token of the short texts, anything may stand.
        let noise = ids.shallow_clone().copy();
        let _ = noise.narrow(0, 0, 1).narrow(1, 7, 9).fill_(42);
        let _ = noise.narrow(0, 2, 1).narrow(1, 4, 12).fill_(55);
        assert!(close(&vectors, &model.encode_text(&noise), 1e-6));
        // The short texts alone need no more columns than they have tokens.
        let cut = model.encode_text(&ids.index_select(0, &Tensor::from_slice(&[0i64, 2])).narrow(1, 0, 7));
        assert!(close(&vectors.get(0), &cut.get(0), 1e-6) && close(&vectors.get(2), &cut.get(1), 1e-6));
        // In front of it, every token matters.
        let _ = noise.narrow(0, 0, 1).narrow(1, 1, 1).fill_(3);
        assert!(!close(&vectors.get(0), &model.encode_text(&noise).get(0), 1e-4));
    }

    #[test]
    fn a_sample_does_not_depend_on_its_batch() {
        let _no_gradients = tch::no_grad_guard();
        for config in tiny() {
            let model = Clip::new(&config, Device::Cpu, 1).expect("built");
            let images = images(&config, 5);
            let (together, alone) = (model.encode_image(&images, false), model.encode_image(&images.narrow(0, 3, 1), false));
            let distance = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            let same = distance(&together.get(3), &alone.get(0));
            // Fresh networks tell pictures of noise apart only a little, but by far more than rounding does.
            let other = distance(&together.get(3), &together.get(2));
            assert!(same < 1e-5 && 20.0 * same < other, "{same} {other} {:?}", config.vision);
            let lengths = together.norm_scalaropt_dim(2, [-1i64], false);
            assert!(close(&lengths, &lengths.ones_like(), 1e-5));
            let texts = model.encode_text(&ids());
            assert!(close(&texts.get(1), &model.encode_text(&ids().narrow(0, 1, 1)).get(0), 1e-5));
        }
    }

    #[test]
    fn gradients_reach_every_parameter() {
        for config in tiny() {
            let model = Clip::new(&config, Device::Cpu, 1).expect("built");
            // Gains that begin at 0 keep gradients from what lies behind them.
            for (_, mut tensor) in model.parameters().into_iter().filter(|(name, _)| name.contains("bn") && name.ends_with("weight")) {
                let _ = tch::no_grad(|| tensor.fill_(0.5));
            }
            let (images, texts) = (model.encode_image(&images(&config, 3), true), model.encode_text(&ids()));
            let logits = images.matmul(&texts.tr()) * model.logit_scale().exp();
            logits.cross_entropy_for_logits(&Tensor::arange(3, (Kind::Int64, Device::Cpu))).backward();
            for (name, tensor) in model.parameters() {
                let gradient = tensor.grad();
                // Keys are compared with each other, so what is added to all of them has no effect.
                let indifferent = name.ends_with("k_proj.bias");
                assert!(gradient.defined(), "{name}");
                assert!(indifferent || gradient.abs().max().double_value(&[]) > 0.0, "{name} of {:?}", config.vision);
            }
            for (name, tensor) in model.buffers() {
                let moved = if name.ends_with("running_var") { tensor - 1.0 } else { tensor };
                assert!(moved.abs().max().double_value(&[]) > 0.0, "{name} is updated in training");
            }
        }
    }

    #[test]
    fn saved_models_come_back_bit_by_bit() {
        let _no_gradients = tch::no_grad_guard();
        let dir = tempfile::tempdir().expect("a folder");
        for config in tiny() {
            let model = Clip::new(&config, Device::Cpu, 1).expect("built");
            let images = images(&config, 4);
            let _ = model.encode_image(&images, true);
            model.save_folder(dir.path()).expect("saved");
            let again = Clip::open(dir.path(), Device::Cpu).expect("loaded");
            assert_eq!(again.config(), &config);
            let (a, b) = (model.encode_image(&images, false), again.encode_image(&images, false));
            // Bits of the weights are compared below; libtorch's sums may differ in the last one with a buffer's alignment.
            assert!(close(&a, &b, 1e-6), "{:?}", config.vision);
            assert!(close(&model.encode_text(&ids()), &again.encode_text(&ids()), 1e-6));
            let file = Clip::open(&dir.path().join(WEIGHTS_FILE), Device::Cpu).expect("loaded");
            for ((name, tensor), (_, found)) in model.tensors().iter().zip(file.tensors()) {
                assert!(tensor.equal(&found) && tensor.kind() == found.kind(), "{name}");
            }
        }
    }

    #[test]
    fn another_models_weights_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(WEIGHTS_FILE);
        let config = &tiny()[0];
        Clip::new(config, Device::Cpu, 1).expect("built").save(&path).expect("saved");
        let wider = config.clone().with_image_size(64).expect("a size");
        let message = Clip::load(&wider, Device::Cpu, &path).err().expect("refused").to_string();
        assert!(
            message.contains("visual.positional_embedding") && message.contains("[65, 64]") && message.contains("[17, 64]"),
            "{message}"
        );
    }

    #[test]
    fn half_precision_is_near_full() {
        let _no_gradients = tch::no_grad_guard();
        for config in tiny() {
            let images = images(&config, 4);
            let full = Clip::new(&config, Device::Cpu, 1).expect("built");
            let half = Clip::new(&config, Device::Cpu, 1).expect("built").with_precision(Precision::Bf16);
            let (a, b) = (full.encode_image(&images, false), half.encode_image(&images, false));
            assert_eq!(b.kind(), Kind::Float);
            let worst = (&a * &b).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float).min().double_value(&[]);
            assert!(worst > 0.995, "cosine {worst} for {:?}", config.vision);
            assert!(!a.equal(&b), "the precision has an effect");
            assert!(close(&full.encode_text(&ids()), &half.encode_text(&ids()), 0.05));
        }
    }

    #[test]
    fn the_seed_decides() {
        let weights = |seed| Clip::new(&tiny()[1], Device::Cpu, seed).expect("built").parameters();
        assert!(weights(1).iter().zip(weights(1)).all(|(a, b)| a.0 == b.0 && a.1.equal(&b.1)));
        assert!(weights(1).iter().zip(weights(2)).any(|(a, b)| !a.1.equal(&b.1)));
    }

    #[test]
    fn every_shipped_model_is_found() {
        for name in ModelConfig::names() {
            assert_eq!(ModelConfig::find(name).expect("a model").name, name);
        }
        assert_eq!(ModelConfig::find("ViT-L/14@336px").expect("a model").vision.image_size(), 336);
        let message = ModelConfig::find("ViT-X").expect_err("refused").to_string();
        assert!(message.contains("ViT-X") && message.contains("small-resnet"), "{message}");
        assert!(ModelConfig::find("RN50").expect("a model").with_image_size(100).is_err());
        let small = |pixels| ModelConfig::find("small-resnet").expect("a model").with_image_size(pixels).map(|_| ());
        assert!([8, 32, 48, 64, 223, 224].into_iter().all(|pixels| small(pixels).is_ok()));
        // Odd maps have no half: the shortcut of a block would be a row shorter than the block.
        assert!(small(33).expect_err("refused").to_string().contains("multiple of 4") && small(66).is_err());
    }

    #[test]
    fn a_gpu_agrees_with_the_cpu() {
        let Ok(chosen) = crate::DeviceChoice::Cuda(0).choose() else {
            eprintln!("SKIPPED: no GPU here, nothing was compared");
            return;
        };
        let _no_gradients = tch::no_grad_guard();
        for config in tiny() {
            let images = images(&config, 4);
            let here = Clip::new(&config, Device::Cpu, 1).expect("built");
            let there = Clip::new(&config, chosen.device, 1).expect("built");
            let vectors = there.encode_image(&images.to_device(chosen.device), false).to_device(Device::Cpu);
            assert!(close(&here.encode_image(&images, false), &vectors, 1e-3), "{:?}", config.vision);
            let vectors = there.encode_text(&ids().to_device(chosen.device)).to_device(Device::Cpu);
            assert!(close(&here.encode_text(&ids()), &vectors, 1e-3));
        }
    }
}

//! Forward passes and gradients against figures of open_clip 3.3, on weights and inputs given by a formula.
//!
//! `tests/interop/golden.py` writes the figures and has the same formula (`tests/interop/formula.py`); all nine models
//! are compared tensor by tensor in `make interop`. Gradients of ResNets are compared in 64 bits: in 32 the rounding of
//! another processor lets a few other gradients through their ReLUs, which moves small tensors by a thousandth.

use crate::{Clip, ModelConfig};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Golden {
    model: ModelConfig,
    batch: i64,
    double: bool,
    image: Vec<Vec<f64>>,
    text: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
    /// Of each tensor: largest absolute number, sum with random signs over the root of their count, a few numbers.
    gradients: BTreeMap<String, Vec<f64>>,
    /// Batch norm's statistics after a step of training, likewise.
    statistics: BTreeMap<String, Vec<f64>>,
}

fn start(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The `n`th number of SplitMix64 from this start, 0 <= x < 1.
fn fraction(start: u64, n: u64) -> f64 {
    let mut bits = start.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 * (-53f64).exp2()
}

fn normals(name: &str, count: usize) -> Vec<f32> {
    let start = start(name);
    let mut out = vec![0.0; count];
    out.par_chunks_mut(2).enumerate().for_each(|(n, pair)| {
        let radius = (-2.0 * (1.0 - fraction(start, 2 * n as u64)).ln()).sqrt();
        let (sine, cosine) = (2.0 * std::f64::consts::PI * fraction(start, 2 * n as u64 + 1)).sin_cos();
        pair[0] = (radius * cosine) as f32;
        if let Some(second) = pair.get_mut(1) {
            *second = (radius * sine) as f32;
        }
    });
    out
}

/// Mean and deviation of a tensor, see `scale` in `formula.py`.
fn scale(name: &str, shape: &[i64], config: &ModelConfig) -> (f64, f64) {
    let image = name.starts_with("visual.");
    let (text_width, text_layers) = (config.text.width as f64, config.text.layers as f64);
    let width = match &config.vision {
        crate::VisionConfig::Vit { width, .. } if image => *width as f64,
        _ if image => 1.0,
        _ => text_width,
    };
    let last = name.rsplit('.').next().unwrap_or(name);
    let fan = |n: f64| (0.0, n.powf(-0.5));
    match last {
        "logit_scale" => ((1.0f64 / 0.07).ln(), 0.0),
        "running_mean" => (0.0, 0.1),
        "running_var" => (1.0, 0.1),
        "weight" if shape.len() == 1 => {
            if name.contains(".bn3.") && name.contains("layer") {
                (0.3, 0.1)
            } else {
                (1.0, 0.1)
            }
        }
        "bias" | "in_proj_bias" => (0.0, 0.1),
        _ if name == "token_embedding.weight" => (0.0, 0.02),
        _ if name == "positional_embedding" => (0.0, 0.01),
        _ if name.contains("attnpool") => fan(shape[shape.len() - 1] as f64),
        _ if shape.len() == 4 => (0.0, (2.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt()),
        _ if name.ends_with("out_proj.weight") || name.ends_with("c_proj.weight") => {
            fan(if image { shape[1] as f64 } else { text_width * 2.0 * text_layers })
        }
        _ if name.ends_with("c_fc.weight") => fan(2.0 * width),
        _ => fan(width),
    }
}

/// Puts the formula's weights into a model.
pub(crate) fn fill(model: &Clip) {
    for (name, mut tensor) in model.parameters().into_iter().chain(model.buffers()) {
        let shape = tensor.size();
        let mut numbers = vec![0.0; tensor.numel()];
        if tensor.is_floating_point() {
            let (mean, deviation) = scale(&name, &shape, model.config());
            if deviation > 0.0 {
                numbers = normals(&name, tensor.numel());
            }
            numbers.par_iter_mut().for_each(|number| *number = *number * deviation as f32 + mean as f32);
        }
        tch::no_grad(|| tensor.copy_(&Tensor::from_slice(&numbers).view(shape.as_slice())));
    }
}

fn images(count: i64, side: i64) -> Tensor {
    let squares = (side / 32).max(2);
    let coarse = Tensor::from_slice(&normals("images.coarse", (count * 3 * squares * squares) as usize)).view([count, 3, squares, squares]);
    let fine = Tensor::from_slice(&normals("images.fine", (count * 3 * side * side) as usize)).view([count, 3, side, side]);
    let at = Tensor::from_slice(&(0..side).map(|n| n * squares / side).collect::<Vec<_>>());
    coarse.index_select(2, &at).index_select(3, &at) * 3.0 + fine * 0.5
}

fn ids(count: i64, context: i64, vocab: i64) -> Tensor {
    let mut rows = vec![0i64; (count * context) as usize];
    for (row, ids) in rows.chunks_mut(context as usize).enumerate() {
        let length = (context as usize).min(5 + (row * 7) % 14);
        let start = start(&format!("ids.{row}"));
        ids.iter_mut().take(length).enumerate().for_each(|(n, id)| *id = (fraction(start, n as u64) * (vocab - 2) as f64) as i64);
        (ids[0], ids[length - 1]) = (vocab - 2, vocab - 1);
    }
    Tensor::from_slice(&rows).view([count, context])
}

/// The figures of a tensor that [`Golden`] keeps.
fn figures(name: &str, tensor: &Tensor) -> Vec<f64> {
    let numbers: Vec<f64> = Vec::try_from(tensor.detach().flatten(0, -1).to_kind(Kind::Double)).expect("numbers");
    let count = numbers.len();
    let signs = start(&format!("{name}.signs"));
    // Summed in order: the same figure whatever the number of threads.
    let sum: f64 = numbers.iter().enumerate().map(|(n, number)| if fraction(signs, n as u64) < 0.5 { -number } else { *number }).sum();
    let mut out = vec![numbers.iter().fold(0.0, |most: f64, number| most.max(number.abs())), sum / (count as f64).sqrt()];
    out.extend((0..4).map(|n| numbers[(fraction(signs ^ 1, n) * count as f64) as usize]));
    out
}

/// Largest difference over largest number.
fn error(found: &Tensor, expected: &[Vec<f64>]) -> f64 {
    let expected = Tensor::from_slice2(expected);
    let difference = (found.to_kind(Kind::Double) - &expected).abs().max().double_value(&[]);
    difference / expected.abs().max().double_value(&[])
}

/// Compares figures of tensors; `bound` is of the tensor's largest number.
fn compare(found: impl Iterator<Item = (String, Tensor)>, expected: &BTreeMap<String, Vec<f64>>, bound: f64) {
    let mut count = 0;
    for (name, tensor) in found {
        let expected = expected.get(&name).unwrap_or_else(|| panic!("no figures of {name}"));
        let most = expected[0];
        // What is added to all keys of an attention changes nothing, so its gradient is rounding alone.
        if !name.ends_with("k_proj.bias") {
            assert!(most > 0.0, "{name}");
            for (n, (a, b)) in figures(&name, &tensor).iter().zip(expected).enumerate() {
                assert!((a - b).abs() <= bound * most, "figure {n} of {name}: {a}, expected {b}, largest {most}");
            }
        }
        count += 1;
    }
    assert_eq!(count, expected.len());
}

/// Compares a file of `training/golden`.
fn check(file: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    let json = std::fs::read_to_string(path).expect("read");
    let golden: Golden = serde_json::from_str(&json).expect("figures");
    let config = &golden.model;
    let model = Clip::new(config, Device::Cpu, 0).expect("built");
    fill(&model);
    let images = images(golden.batch, config.vision.image_size());
    let ids = ids(golden.batch, config.text.context_length, config.text.vocab_size);
    let logits = |model: &Clip, images: &Tensor, train: bool| {
        let (image, text) = (model.encode_image(images, train), model.encode_text(&ids));
        let logits = image.matmul(&text.tr()) * model.logit_scale().exp();
        [image, text, logits]
    };
    let [image, text, products] = tch::no_grad(|| logits(&model, &images, false));
    for rows in [&image, &text] {
        // Else no error could be seen.
        let alike = (rows.matmul(&rows.tr()) - Tensor::eye(golden.batch, (Kind::Float, Device::Cpu))).max().double_value(&[]);
        assert!(alike < 0.95, "features of different inputs have a cosine of {alike}");
    }
    for (name, found, expected) in [("image", &image, &golden.image), ("text", &text, &golden.text), ("logits", &products, &golden.logits)]
    {
        let error = error(found, expected);
        assert!(error <= 1e-4, "{name} of {}: {error}", config.name);
    }
    let (model, images, bound) =
        if golden.double { (model.in_double(), images.to_kind(Kind::Double), 1e-5) } else { (model, images, 1e-4) };
    let [.., products] = logits(&model, &images, true);
    let target = Tensor::arange(golden.batch, (Kind::Int64, Device::Cpu));
    ((products.cross_entropy_for_logits(&target) + products.tr().cross_entropy_for_logits(&target)) / 2.0).backward();
    compare(model.parameters().into_iter().map(|(name, tensor)| (name, tensor.grad())), &golden.gradients, bound);
    let statistics = model.buffers().into_iter().filter(|(name, _)| name.contains(".running_"));
    compare(statistics, &golden.statistics, bound);
}

#[test]
fn a_small_vit_equals_open_clips() {
    check("small-vit.json");
}

#[test]
fn a_small_vit_with_quick_gelu_and_other_heads_equals_open_clips() {
    check("small-vit-quick.json");
}

#[test]
fn a_small_resnet_equals_open_clips() {
    check("small-resnet.json");
}

#[test]
fn vit_b_32_equals_open_clips() {
    check("ViT-B-32.json");
}

#[test]
fn rn50_equals_open_clips() {
    check("RN50.json");
}

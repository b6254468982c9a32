//! Tests of a fresh model's weights: every tensor has the distribution that the paper's code gives it.

use crate::{Clip, ModelConfig};
use tch::{Device, Kind};

/// What a tensor's numbers are drawn from.
#[derive(Debug)]
enum Drawn {
    Same(f64),
    /// Deviation.
    Normal(f64),
    /// Bound.
    Uniform(f64),
}
use Drawn::{Normal, Same, Uniform};

/// The rules, by name and shape, as in OpenAI's and open_clip's code.
fn rule(name: &str, shape: &[i64], text_layers: f64) -> Drawn {
    let root = |n: i64| (n as f64).powf(-0.5);
    let image = name.starts_with("visual.");
    let last = shape.last().copied().unwrap_or(1);
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match name {
        "logit_scale" => Same(f64::from((1.0f32 / 0.07).ln())),
        "token_embedding.weight" => Normal(0.02),
        "positional_embedding" => Normal(0.01),
        "text_projection" => Normal(root(shape[0])),
        "visual.proj" => Normal(root(shape[0])),
        "visual.class_embedding" | "visual.positional_embedding" | "visual.attnpool.positional_embedding" => Normal(root(last)),
        _ if name.contains(".bn3.weight") && name.contains("layer") => Same(0.0),
        _ if shape.len() == 1 && ends(&["ln_1.weight", "ln_2.weight", "ln_pre.weight", "ln_post.weight", "ln_final.weight"]) => Same(1.0),
        _ if shape.len() == 1 && (name.contains("bn") || name.contains("downsample.1")) => Same(if ends(&["weight"]) { 1.0 } else { 0.0 }),
        _ if name.contains("ln_") || ends(&["in_proj_bias", "out_proj.bias"]) => Same(0.0),
        _ if shape.len() == 4 => Uniform(root(shape[1] * shape[2] * shape[3])),
        _ if name.contains("attnpool") && shape.len() == 2 => Normal(root(last)),
        _ if name.contains("attnpool") => Uniform(root(512)),
        _ if image && ends(&["in_proj_weight"]) => Uniform((6.0 / (shape[0] + shape[1]) as f64).sqrt()),
        _ if ends(&["in_proj_weight"]) => Normal(root(last)),
        _ if ends(&["c_fc.bias"]) => Uniform(root(shape[0] / 4)),
        _ if ends(&["c_proj.bias"]) => Uniform(root(4 * shape[0])),
        _ if image => Uniform(root(last)),
        _ if ends(&["out_proj.weight"]) => Normal(root(last) * (2.0 * text_layers).powf(-0.5)),
        // Four times as wide as the tower: the deviation is the tower's all the same.
        _ if ends(&["mlp.c_proj.weight"]) => Normal(root(shape[0]) * (2.0 * text_layers).powf(-0.5)),
        _ if ends(&["c_fc.weight"]) => Normal(root(2 * last)),
        _ => panic!("no rule for {name} {shape:?}"),
    }
}

#[test]
fn every_tensor_is_drawn_by_its_rule() {
    let vit = r#"{ "kind": "vit", "image_size": 64, "layers": 2, "width": 128, "patch_size": 8, "head_width": 64 }"#;
    let resnet = r#"{ "kind": "resnet", "image_size": 64, "layers": [1, 2, 1, 1], "width": 16 }"#;
    let mut drawn = [0; 3];
    for vision in [vit, resnet] {
        let text = r#"{ "context_length": 64, "vocab_size": 1000, "width": 96, "heads": 2, "layers": 3 }"#;
        let json = format!(r#"{{ "name": "first", "embed_dim": 64, "quick_gelu": true, "vision": {vision}, "text": {text} }}"#);
        let config: ModelConfig = serde_json::from_str(&json).expect("a description");
        let model = Clip::new(&config, Device::Cpu, 3).expect("built");
        for (name, tensor) in model.parameters() {
            let numbers: Vec<f64> = Vec::try_from(tensor.detach().flatten(0, -1).to_kind(Kind::Double)).expect("numbers");
            let n = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / n;
            let moment = |power: i32| numbers.iter().map(|number| (number - mean).powi(power)).sum::<f64>() / n;
            let (deviation, most) = (moment(2).sqrt(), numbers.iter().fold(0.0, |most: f64, number| most.max(number.abs())));
            let rule = rule(&name, &tensor.size(), 3.0);
            // Five deviations of a sample's own spread: none of 200 tensors comes so far by chance.
            let near = |expected: f64, kurtosis: f64| {
                (deviation / expected - 1.0).abs() < 5.0 * ((kurtosis - 1.0) / (4.0 * n)).sqrt() && mean.abs() < 5.0 * expected / n.sqrt()
            };
            let peaked = |expected: f64| (moment(4) / deviation.powi(4) - expected).abs() < 0.2 + 25.0 / n.sqrt();
            let holds = match rule {
                Same(value) => numbers.iter().all(|number| (number - value).abs() < 1e-7),
                Normal(expected) => near(expected, 3.0) && peaked(3.0) && (n < 1000.0 || most > 2.5 * expected),
                Uniform(bound) => near(bound / 3f64.sqrt(), 1.8) && peaked(1.8) && most <= bound * 1.000_001,
            };
            assert!(holds, "{name} {:?}: {rule:?}, found deviation {deviation}, mean {mean}, largest {most}", tensor.size());
            drawn[match rule {
                Same(_) => 0,
                Normal(_) => 1,
                Uniform(_) => 2,
            }] += 1;
        }
    }
    assert!(drawn.iter().all(|count| *count > 20), "{drawn:?}");
}

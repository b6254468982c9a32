//! Models for other libraries: a folder with weights and a description as open_clip or Hugging Face's transformers read it.

use crate::clip::{Clip, MODEL_FILE, WEIGHTS_FILE};
use crate::infer::NOTE;
use crate::naming::{Naming, hugging_face};
use crate::{Error, MEAN, ModelConfig, STD, VisionConfig, weights};
use serde_json::{Value, json};
use std::path::Path;
use tch::{Kind, Tensor};

/// How a model is laid out on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `model.json` and `model.safetensors` with OpenAI's names: what diptych writes itself.
    Diptych,
    /// `open_clip_config.json` and `open_clip_model.safetensors`: `open_clip.create_model("local-dir:FOLDER")`.
    OpenClip,
    /// `config.json` and `model.safetensors`: `CLIPModel.from_pretrained(FOLDER)`. Vision transformers only.
    HuggingFace,
}

impl std::str::FromStr for Layout {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "diptych" | "openai" => Ok(Layout::Diptych),
            "open-clip" => Ok(Layout::OpenClip),
            "hugging-face" => Ok(Layout::HuggingFace),
            other => Err(format!("{other:?} is not one of diptych (or openai, the same names), open-clip, hugging-face")),
        }
    }
}

/// Writes `model` into `folder` with floating numbers of type `kind`. Batch norm's statistics stay in 32 bits in every type.
///
/// # Errors
/// `Model` when the other library has no such model, `Shards` when a file cannot be written.
pub fn export(model: &Clip, folder: &Path, layout: Layout, kind: Kind) -> Result<(), Error> {
    let config = model.config();
    let (description, text, file) = match layout {
        Layout::Diptych => (MODEL_FILE, serde_json::to_value(config), WEIGHTS_FILE),
        Layout::OpenClip => ("open_clip_config.json", Ok(open_clip_config(config)?), "open_clip_model.safetensors"),
        Layout::HuggingFace => ("config.json", Ok(hugging_face_config(config)?), WEIGHTS_FILE),
    };
    let path = folder.join(description);
    let text = text.and_then(|value| serde_json::to_vec_pretty(&value)).map_err(|error| Error::data(&path, error.to_string()))?;
    let mut tensors = Vec::new();
    for (name, tensor) in model.parameters().into_iter().chain(model.buffers()) {
        let keeps = !tensor.is_floating_point() || name.contains(".running_");
        let tensor = tensor.detach();
        let tensor = if keeps { tensor } else { tensor.to_kind(kind) };
        tensors.extend(named(name, tensor, if layout == Layout::HuggingFace { Naming::HuggingFace } else { Naming::OpenAi }));
    }
    shards::write_atomic(&path, &text)?;
    let note = serde_json::to_string(config).map_err(|error| Error::data(&path, error.to_string()))?;
    // transformers refuses files that do not say which library's layout of tensors they have.
    weights::save_with(&folder.join(file), &tensors, &[("format", "pt"), (NOTE, &note)])
}

/// A tensor under the names of `naming`.
fn named(name: String, tensor: Tensor, naming: Naming) -> Vec<(String, Tensor)> {
    match (naming, hugging_face(&name)) {
        (Naming::HuggingFace, Some(recipe)) => {
            let whole = if recipe.transposed { tensor.transpose(0, 1) } else { tensor };
            let parts = if recipe.names.len() == 1 { vec![whole] } else { whole.chunk(recipe.names.len() as i64, 0) };
            recipe.names.into_iter().zip(parts).collect()
        }
        _ => vec![(name, tensor)],
    }
}

fn no_such(config: &ModelConfig, library: &str) -> Error {
    Error::Model { name: config.name.clone(), why: format!("{library} has no model with this image tower") }
}

/// open_clip multiplies width by ratio and drops the fraction: half a channel more keeps the product from falling short.
fn ratio(mlp_width: Option<i64>, width: i64) -> f64 {
    mlp_width.map_or(4.0, |inner| (inner as f64 + 0.5) / width as f64)
}

fn open_clip_config(config: &ModelConfig) -> Result<Value, Error> {
    let text = &config.text;
    let vision = match &config.vision {
        VisionConfig::Vit { image_size, layers, width, patch_size, head_width, mlp_width } => json!({
            "image_size": image_size, "layers": layers, "width": width, "patch_size": patch_size, "head_width": head_width,
            "mlp_ratio": ratio(*mlp_width, *width),
        }),
        VisionConfig::Resnet { image_size, layers, width } => {
            json!({ "image_size": image_size, "layers": layers, "width": width, "patch_size": null })
        }
        VisionConfig::SmallResnet { .. } => return Err(no_such(config, "open_clip")),
    };
    Ok(json!({
        "model_cfg": {
            "embed_dim": config.embed_dim, "quick_gelu": config.quick_gelu, "vision_cfg": vision,
            "text_cfg": {
                "context_length": text.context_length, "vocab_size": text.vocab_size, "width": text.width, "heads": text.heads,
                "layers": text.layers,
            },
        },
        "preprocess_cfg": { "mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest" },
    }))
}

fn hugging_face_config(config: &ModelConfig) -> Result<Value, Error> {
    let VisionConfig::Vit { image_size, layers, width, patch_size, head_width, mlp_width } = &config.vision else {
        return Err(no_such(config, "transformers"));
    };
    let text = &config.text;
    let activation = if config.quick_gelu { "quick_gelu" } else { "gelu" };
    let (start, end) = (text.vocab_size - 2, text.vocab_size - 1);
    Ok(json!({
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": config.embed_dim, "logit_scale_init_value": 2.6592,
        "text_config": {
            "model_type": "clip_text_model", "hidden_size": text.width, "intermediate_size": 4 * text.width,
            "num_attention_heads": text.heads, "num_hidden_layers": text.layers, "max_position_embeddings": text.context_length,
            "vocab_size": text.vocab_size, "hidden_act": activation, "projection_dim": config.embed_dim,
            "bos_token_id": start, "eos_token_id": end, "pad_token_id": end,
        },
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": width, "intermediate_size": mlp_width.unwrap_or(4 * width),
            "num_attention_heads": width / head_width, "num_hidden_layers": layers, "image_size": image_size, "patch_size": patch_size,
            "hidden_act": activation, "projection_dim": config.embed_dim,
        },
    }))
}

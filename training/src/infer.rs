//! What model a file of weights holds: from its own note, from the descriptions of other libraries beside it, and from the
//! shapes of its tensors.

use crate::clip::MODEL_FILE;
use crate::naming::View;
use crate::stored::bad;
use crate::{Error, ModelConfig, TextConfig, VisionConfig};
use serde_json::Value;
use std::path::Path;

/// The note of a file of weights that holds the model's description.
pub(crate) const NOTE: &str = "diptych.model";

/// The description of the model in `view`, and where what the shapes cannot say comes from.
///
/// # Errors
/// `Weights` when the tensors make no CLIP that diptych knows, `Model` for a description that breaks a rule.
pub(crate) fn describe(view: &View) -> Result<(ModelConfig, &'static str), Error> {
    let path = &view.stored.path;
    let beside = |name: &str| path.with_file_name(name);
    if beside(MODEL_FILE).is_file() {
        return Ok((ModelConfig::read(&beside(MODEL_FILE))?, "model.json"));
    }
    if let Some(note) = view.stored.notes.get(NOTE) {
        return Ok((ModelConfig::parse(&path.display().to_string(), note.as_bytes())?, "the file's note"));
    }
    let mut config = from_shapes(view)?;
    let mut source = "the shapes; the exact GELU would need saying";
    // Heads cannot be seen in shapes: a shipped model of the same shapes knows, else they have 64 channels.
    if let Some(twin) = ModelConfig::names().filter_map(|name| ModelConfig::find(name).ok()).find(|known| same_shapes(known, &config)) {
        config = twin;
        source = "the shapes, which are a shipped model's";
    }
    if view.stored.is_script() {
        source = "the shapes of a TorchScript module as OpenAI's";
    }
    for (file, read) in [("open_clip_config.json", open_clip as fn(&Value, &mut ModelConfig)), ("config.json", hugging_face)] {
        let Ok(text) = std::fs::read(beside(file)) else { continue };
        let value = serde_json::from_slice(&text).map_err(|error| bad(&beside(file), error))?;
        read(&value, &mut config);
        source = if file == "config.json" { "the shapes and config.json" } else { "the shapes and open_clip_config.json" };
        break;
    }
    config.name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    config.check()?;
    Ok((config, source))
}

/// Whether two descriptions lead to the same tensors.
fn same_shapes(a: &ModelConfig, b: &ModelConfig) -> bool {
    let plain = |config: &ModelConfig| {
        let mut config = config.clone();
        (config.name, config.quick_gelu, config.text.heads) = (String::new(), true, 1);
        if let VisionConfig::Vit { head_width, mlp_width, width, .. } = &mut config.vision {
            *head_width = 1;
            *mlp_width = Some(mlp_width.unwrap_or(4 * *width));
        }
        config
    };
    plain(a) == plain(b)
}

fn from_shapes(view: &View) -> Result<ModelConfig, Error> {
    let missing = |name: &'static str| {
        let found = view.entry(name).map_or("nothing".to_string(), |entry| format!("{:?}", entry.shape));
        Error::Tensor { path: view.stored.path.clone(), name: name.to_string(), expected: "a tensor of a CLIP model".to_string(), found }
    };
    let [vocab_size, width] = view.shape("token_embedding.weight").ok_or_else(|| missing("token_embedding.weight"))?;
    let [context_length, _] = view.shape("positional_embedding").ok_or_else(|| missing("positional_embedding"))?;
    let [_, embed_dim] = view.shape("text_projection").ok_or_else(|| missing("text_projection"))?;
    let layers = count(view, "transformer.resblocks", "ln_1.weight");
    let text = TextConfig { context_length, vocab_size, width, heads: (width / 64).max(1), layers };
    let [channels, _, _, patch_size] = view.shape("visual.conv1.weight").ok_or_else(|| missing("visual.conv1.weight"))?;
    let vision = if let Some([rows, _]) = view.shape("visual.attnpool.positional_embedding") {
        let stages = [1, 2, 3, 4].map(|stage| count(view, &format!("visual.layer{stage}"), "conv1.weight"));
        VisionConfig::Resnet { image_size: 32 * side(rows), layers: stages, width: 2 * channels }
    } else if let Some([rows, _]) = view.shape("visual.positional_embedding") {
        let layers = count(view, "visual.transformer.resblocks", "ln_1.weight");
        let mlp_width = mlp(view, channels);
        let image_size = side(rows).saturating_mul(patch_size);
        VisionConfig::Vit { image_size, layers, width: channels, patch_size, head_width: 64.min(channels), mlp_width }
    } else {
        return Err(bad(&view.stored.path, "its shapes do not say what the image tower is: put model.json beside it"));
    };
    Ok(ModelConfig { name: String::new(), embed_dim, quick_gelu: true, vision, text })
}

/// Members of a numbered list, up to the first gap.
fn count(view: &View, list: &str, tensor: &str) -> usize {
    (0..1000).take_while(|n| view.find(&format!("{list}.{n}.{tensor}")).is_some()).count()
}

/// The inner width of the blocks where it is not four times the outer.
fn mlp(view: &View, width: i64) -> Option<i64> {
    let [inner, _] = view.shape("visual.transformer.resblocks.0.mlp.c_fc.weight")?;
    (inner != 4 * width).then_some(inner)
}

/// Side of a square grid of patches with one row in front.
fn side(rows: i64) -> i64 {
    ((rows - 1).max(0) as f64).sqrt().round() as i64
}

/// What open_clip's description adds to the shapes.
fn open_clip(value: &Value, config: &mut ModelConfig) {
    let model = value.get("model_cfg").unwrap_or(value);
    config.quick_gelu = model.get("quick_gelu").and_then(Value::as_bool).unwrap_or(false);
    if let (VisionConfig::Vit { head_width, .. }, Some(channels)) =
        (&mut config.vision, model.pointer("/vision_cfg/head_width").and_then(Value::as_i64))
    {
        *head_width = channels;
    }
    if let Some(heads) = model.pointer("/text_cfg/heads").and_then(Value::as_i64) {
        config.text.heads = heads;
    }
}

/// What Hugging Face's description adds to the shapes.
fn hugging_face(value: &Value, config: &mut ModelConfig) {
    let activation = value.pointer("/vision_config/hidden_act").or_else(|| value.pointer("/text_config/hidden_act"));
    config.quick_gelu = activation.and_then(Value::as_str).unwrap_or("quick_gelu") == "quick_gelu";
    let heads = |tower: &str| value.pointer(&format!("/{tower}/num_attention_heads")).and_then(Value::as_i64);
    if let (VisionConfig::Vit { head_width, width, .. }, Some(heads)) =
        (&mut config.vision, heads("vision_config").filter(|&heads| heads > 0))
    {
        *head_width = *width / heads;
    }
    if let Some(heads) = heads("text_config") {
        config.text.heads = heads;
    }
}

/// The file of weights in a folder that another library wrote, or diptych.
pub(crate) fn weights_in(folder: &Path) -> Option<std::path::PathBuf> {
    let names = [
        crate::clip::WEIGHTS_FILE,
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "open_clip_pytorch_model.bin",
        "pytorch_model.bin",
    ];
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

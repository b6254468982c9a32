//! What a model's tensors are called in files of other libraries, and where they lie otherwise there.
//!
//! Inside diptych names are OpenAI's, which open_clip shares. Hugging Face's `CLIPModel` has others, keeps queries, keys
//! and values apart and its projections transposed.

use crate::Error;
use crate::stored::{Entry, Stored};
use std::collections::HashSet;
use tch::Tensor;

/// Whose names the tensors of a file have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// OpenAI's and open_clip's.
    OpenAi,
    /// `CLIPModel` of Hugging Face's transformers; vision transformers only.
    HuggingFace,
}

/// What files hold beside the weights.
const NOT_WEIGHTS: [&str; 5] =
    ["input_resolution", "context_length", "vocab_size", "text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"];
/// The parts of OpenAI's `in_proj`, in the order of its rows.
const PARTS: [&str; 3] = ["q", "k", "v"];

/// Where a tensor of the model comes from: the rows of these tensors one below the other, perhaps transposed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipe {
    pub names: Vec<String>,
    pub transposed: bool,
}

/// Hugging Face's names for the tensor that diptych calls `name`; nothing when `CLIPModel` has no such tensor.
pub(crate) fn hugging_face(name: &str) -> Option<Recipe> {
    let plain = |text: String| Some(Recipe { names: vec![text], transposed: false });
    let fixed = match name {
        "logit_scale" => "logit_scale",
        "token_embedding.weight" => "text_model.embeddings.token_embedding.weight",
        "positional_embedding" => "text_model.embeddings.position_embedding.weight",
        "visual.class_embedding" => "vision_model.embeddings.class_embedding",
        "visual.conv1.weight" => "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding" => "vision_model.embeddings.position_embedding.weight",
        "text_projection" => return Some(Recipe { names: vec!["text_projection.weight".to_string()], transposed: true }),
        "visual.proj" => return Some(Recipe { names: vec!["visual_projection.weight".to_string()], transposed: true }),
        _ => "",
    };
    if !fixed.is_empty() {
        return plain(fixed.to_string());
    }
    let (tower, rest) = match name.strip_prefix("visual.") {
        Some(rest) => ("vision_model", rest),
        None => ("text_model", name),
    };
    // The misspelling is theirs.
    for (ours, theirs) in [("ln_pre.", "pre_layrnorm."), ("ln_post.", "post_layernorm."), ("ln_final.", "final_layer_norm.")] {
        if let Some(kind) = rest.strip_prefix(ours) {
            return plain(format!("{tower}.{theirs}{kind}"));
        }
    }
    let (layer, part) = rest.strip_prefix("transformer.resblocks.")?.split_once('.')?;
    let layer = format!("{tower}.encoder.layers.{layer}");
    if let Some(kind) = part.strip_prefix("attn.in_proj_") {
        let names = PARTS.map(|part| format!("{layer}.self_attn.{part}_proj.{kind}")).to_vec();
        return Some(Recipe { names, transposed: false });
    }
    let pairs = [
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("attn.out_proj.", "self_attn.out_proj."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ];
    pairs.iter().find_map(|(ours, theirs)| part.strip_prefix(ours).map(|kind| format!("{layer}.{theirs}{kind}"))).and_then(plain)
}

/// A file of weights seen through diptych's names.
pub(crate) struct View {
    pub stored: Stored,
    pub naming: Naming,
    /// What data-parallel training puts in front of every name.
    prefix: &'static str,
    /// Whether the text tower's names begin with `text.`, as in open_clip's models with a text tower of their own.
    text_prefix: bool,
}

impl View {
    pub fn new(stored: Stored) -> Self {
        let prefix = "module.";
        let prefix = if stored.entries.keys().all(|name| name.starts_with(prefix)) { prefix } else { "" };
        let has = |name: &str| stored.entries.contains_key(&format!("{prefix}{name}"));
        let text_prefix = has("text.token_embedding.weight");
        let naming = if has("text_model.embeddings.token_embedding.weight") { Naming::HuggingFace } else { Naming::OpenAi };
        View { stored, naming, prefix, text_prefix }
    }

    /// The places where the tensor `name` may lie, the likeliest first.
    fn recipes(&self, name: &str) -> Vec<Recipe> {
        if self.naming == Naming::HuggingFace {
            return hugging_face(name).into_iter().map(|recipe| self.prefixed(recipe)).collect();
        }
        let text = self.text_prefix && !name.starts_with("visual.") && !name.starts_with("logit_");
        let full = if text { format!("text.{name}") } else { name.to_string() };
        let mut recipes = vec![vec![full.clone()]];
        if let Some((attention, kind)) = full.split_once("in_proj_") {
            for joint in ["_proj.", "_proj_"] {
                recipes.push(PARTS.iter().map(|part| format!("{attention}{part}{joint}{kind}")).collect());
            }
        }
        recipes.into_iter().map(|names| self.prefixed(Recipe { names, transposed: false })).collect()
    }

    fn prefixed(&self, mut recipe: Recipe) -> Recipe {
        recipe.names.iter_mut().for_each(|name| name.insert_str(0, self.prefix));
        recipe
    }

    /// The place of the tensor that diptych calls `name`.
    pub fn find(&self, name: &str) -> Option<Recipe> {
        self.recipes(name).into_iter().find(|recipe| recipe.names.iter().all(|part| self.stored.entries.contains_key(part)))
    }

    /// Type and shape of the tensor that diptych calls `name`.
    pub fn entry(&self, name: &str) -> Option<Entry> {
        let recipe = self.find(name)?;
        let mut entry = self.stored.entries.get(&recipe.names[0])?.clone();
        for part in &recipe.names[1..] {
            let part = self.stored.entries.get(part)?;
            // Parts that do not fit are found out when they are joined.
            *entry.shape.first_mut()? += part.shape.first()?;
        }
        if recipe.transposed {
            entry.shape.reverse();
        }
        Some(entry)
    }

    /// Sizes of the tensor that diptych calls `name`, when it has `N` dimensions.
    pub fn shape<const N: usize>(&self, name: &str) -> Option<[i64; N]> {
        self.entry(name)?.shape.try_into().ok()
    }

    /// Reads the tensor that diptych calls `name`, in the file's type.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor, Error> {
        let recipe = self.find(name).unwrap_or(Recipe { names: vec![name.to_string()], transposed: false });
        let parts = recipe.names.iter().map(|part| self.stored.tensor(part)).collect::<Result<Vec<_>, _>>()?;
        let whole = match parts.as_slice() {
            [one] => one.shallow_clone(),
            many => Tensor::f_cat(many, 0).map_err(|error| {
                crate::stored::bad(&self.stored.path, format!("tensors {} do not fit together: {error}", recipe.names.join(", ")))
            })?,
        };
        Ok(if recipe.transposed { whole.transpose(0, 1) } else { whole })
    }

    /// The first name of the file that none of `names` stands for and that is a weight.
    pub fn unknown<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<String> {
        let known: HashSet<String> = names.filter_map(|name| self.find(name)).flat_map(|recipe| recipe.names).collect();
        // TorchScript keeps the causal mask too, which is made anew here.
        let plain =
            |name: &str| name.ends_with("attn_mask") || name.strip_prefix(self.prefix).is_some_and(|name| NOT_WEIGHTS.contains(&name));
        self.stored.entries.keys().find(|name| !known.contains(*name) && !plain(name)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hugging_faces_names() {
        let one = |name: &str| hugging_face(name).expect("a name").names[0].clone();
        assert_eq!(one("visual.ln_pre.bias"), "vision_model.pre_layrnorm.bias");
        assert_eq!(one("ln_final.weight"), "text_model.final_layer_norm.weight");
        assert_eq!(one("transformer.resblocks.11.mlp.c_fc.bias"), "text_model.encoder.layers.11.mlp.fc1.bias");
        assert_eq!(one("visual.transformer.resblocks.0.attn.out_proj.weight"), "vision_model.encoder.layers.0.self_attn.out_proj.weight");
        let split = hugging_face("visual.transformer.resblocks.3.attn.in_proj_bias").expect("a name");
        assert_eq!(split.names[2], "vision_model.encoder.layers.3.self_attn.v_proj.bias");
        assert!(hugging_face("visual.proj").expect("a name").transposed);
        assert_eq!(hugging_face("visual.layer1.0.conv1.weight"), None);
    }
}

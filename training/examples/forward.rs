//! Features, logits and gradients of a model for inputs from a file: what `make interop` compares with Python's libraries.
//!
//! `cargo run --release -p diptych -p training --example forward -- WEIGHTS INPUT.safetensors OUTPUT.safetensors [train]`
//!
//! INPUT holds `images` [n, 3, side, side], `ids` [n, length] and `pull` [n, n]. OUTPUT holds `image`, `text`, `logits`, with batch norm as
//! in use, and the gradients of the sum of logits times `pull` as `grad.NAME`, with batch norm as in training when `train` is given.

use std::path::Path;
use tch::{Device, Kind, Tensor};
use training::{Clip, set_threads};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (train, paths) = match arguments.split_last() {
        Some((last, paths)) if last == "train" => (true, paths),
        _ => (false, arguments.as_slice()),
    };
    let [weights, input, output] = paths else { return Err("expected: WEIGHTS INPUT.safetensors OUTPUT.safetensors [train]".into()) };
    set_threads(None);
    let model = Clip::open(Path::new(weights), Device::Cpu)?;
    let input = Tensor::read_safetensors(input)?;
    let find =
        |name: &str| input.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor.shallow_clone()).ok_or(format!("no {name}"));
    let (images, ids) = (find("images")?, find("ids")?);
    let features = |train: bool| {
        let (image, text) = (model.encode_image(&images, train), model.encode_text(&ids));
        let logits = image.matmul(&text.tr()) * model.logit_scale().exp();
        (image, text, logits)
    };
    let (image, text, logits) = tch::no_grad(|| features(false));
    let mut out = vec![("image".to_string(), image), ("text".to_string(), text), ("logits".to_string(), logits)];
    let (_, _, logits) = features(train);
    (logits * find("pull")?).sum(Kind::Float).backward();
    out.extend(model.parameters().into_iter().map(|(name, tensor)| (format!("grad.{name}"), tensor.grad())));
    if train {
        out.extend(model.buffers());
    }
    Tensor::write_safetensors(&out, output)?;
    Ok(())
}

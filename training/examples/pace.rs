//! Seconds of a model's forward passes, one for each line read, so that a script can take turns with another program.
//!
//! `cargo run --release -p diptych -p training --example pace -- MODEL BATCH fp32|bf16|fp16`; then each line `image`
//! or `text N` (texts of N tokens) is answered with the seconds of one pass. benches/models.py compares them with open_clip's.

use std::io::{BufRead, Write};
use std::time::Instant;
use tch::{Kind, Tensor};
use training::{Clip, DeviceChoice, END, ModelConfig, Precision, START, set_threads};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, batch, precision] = arguments.as_slice() else { return Err("expected: MODEL BATCH fp32|bf16|fp16".into()) };
    let (batch, precision) = (batch.parse::<i64>()?, precision.parse::<Precision>()?);
    let device = DeviceChoice::Auto.choose()?.device;
    set_threads(None);
    let _no_gradients = tch::no_grad_guard();
    let config = ModelConfig::find(name)?;
    let model = Clip::new(&config, device, 0)?.for_inference(precision);
    let side = config.vision.image_size();
    let images = Tensor::randn([batch, 3, side, side], (Kind::Float, device));
    let texts = |tokens: i64| {
        let ids = Tensor::randint_low(1, 40_000, [batch, tokens], (Kind::Int64, device));
        let _ = ids.narrow(1, 0, 1).fill_(i64::from(START));
        let _ = ids.narrow(1, tokens - 1, 1).fill_(i64::from(END));
        ids
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let ids = line.strip_prefix("text ").map(|tokens| tokens.parse()).transpose()?.map(texts);
        let begin = Instant::now();
        let features = ids.map_or_else(|| model.encode_image(&images, false), |ids| model.encode_text(&ids));
        if let tch::Device::Cuda(number) = device {
            tch::Cuda::synchronize(number as i64);
        }
        writeln!(out, "{} {}", begin.elapsed().as_secs_f64(), features.double_value(&[0, 0]))?;
        out.flush()?;
    }
    Ok(())
}

//! Samples a second of a model's forward and backward pass, without loading and without the optimiser.
//!
//! `cargo run --release -p diptych -p training --example throughput -- small-resnet 256 bf16 32`

use std::time::Instant;
use tch::{Kind, Tensor};
use training::{Clip, DeviceChoice, END, ModelConfig, Precision, START, set_threads};

/// Tokens of each text: what a sentence about a picture has.
const TOKENS: i64 = 16;
/// Steps that are timed, after one that is not.
const STEPS: i64 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, batch, precision, side] = arguments.as_slice() else {
        return Err("expected: MODEL BATCH fp32|bf16|fp16 IMAGE_SIZE".into());
    };
    let (batch, precision, side) = (batch.parse::<i64>()?, precision.parse::<Precision>()?, side.parse::<i64>()?);
    let device = DeviceChoice::Auto.choose()?.device;
    set_threads(None);
    let config = ModelConfig::find(name)?.with_image_size(side)?;
    let model = Clip::new(&config, device, 0)?.with_precision(precision);
    let images = Tensor::randn([batch, 3, side, side], (Kind::Float, device));
    let ids = Tensor::randint_low(1, 40_000, [batch, TOKENS], (Kind::Int64, device));
    let _ = ids.narrow(1, 0, 1).fill_(i64::from(START));
    let _ = ids.narrow(1, TOKENS - 1, 1).fill_(i64::from(END));
    let target = Tensor::arange(batch, (Kind::Int64, device));
    let mut spent = [0.0; 3];
    for step in 0..=STEPS {
        let mut marks = vec![Instant::now()];
        let mut mark = || {
            if let tch::Device::Cuda(number) = device {
                tch::Cuda::synchronize(number as i64);
            }
            marks.push(Instant::now());
        };
        let pictures = model.encode_image(&images, true);
        mark();
        let texts = model.encode_text(&ids);
        mark();
        let logits = pictures.matmul(&texts.tr()) * model.logit_scale().exp();
        logits.cross_entropy_for_logits(&target).backward();
        mark();
        for (_, mut tensor) in model.parameters() {
            tensor.zero_grad();
        }
        if step > 0 {
            marks.windows(2).zip(&mut spent).for_each(|(pair, sum)| *sum += (pair[1] - pair[0]).as_secs_f64());
        }
    }
    let per_step = spent.map(|seconds| seconds / STEPS as f64);
    println!(
        "{name} {side} px, batch {batch}, {precision} on {device:?}: {:.0} samples/s ({:.3} s pictures, {:.3} s texts, {:.3} s backward)",
        batch as f64 / per_step.iter().sum::<f64>(),
        per_step[0],
        per_step[1],
        per_step[2],
    );
    Ok(())
}

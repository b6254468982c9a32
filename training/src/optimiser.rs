//! AdamW over flat buffers: all weights that share a rule lie in one tensor, so that a step is a few large operations
//! however many layers a model has. Knows nothing of models.

use tch::{Device, Kind, Tensor, no_grad};

/// Elements that each thread of a CPU works on at a time: 128 KiB of each of the six arrays, which stay in a core's cache
/// between operations, and the least that libtorch gives to a thread.
const BLOCK: i64 = 1 << 15;

/// The constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWSettings {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second mean.
    pub epsilon: f64,
    /// Decoupled weight decay, for tensors of two or more dimensions: gains, biases and the scale have none.
    pub weight_decay: f64,
    /// Gradients longer than this, over all weights together, are scaled down to it.
    pub clip_norm: Option<f64>,
}

impl AdamWSettings {
    /// The constants of CLIP's paper (table 18) for a transformer (`vit`) or a residual network as the image tower.
    pub fn clip(vit: bool, weight_decay: f64) -> Self {
        let (beta2, epsilon) = if vit { (0.98, 1e-6) } else { (0.999, 1e-8) };
        AdamWSettings { beta1: 0.9, beta2, epsilon, weight_decay, clip_norm: None }
    }
}

/// The optimiser, and the memory in which the weights lie from now on.
pub struct AdamW {
    settings: AdamWSettings,
    groups: Vec<Group>,
    steps: u64,
}

/// Weights of one rule: four flat tensors `[elements]`, of which the members' values are consecutive parts.
struct Group {
    decay: f64,
    members: Vec<(String, Tensor)>,
    weights: Tensor,
    gradients: Tensor,
    first: Tensor,
    second: Tensor,
}

impl Group {
    /// Moves the members' values into one buffer, which they view from then on.
    fn new(decay: f64, members: Vec<(String, Tensor)>) -> Option<Self> {
        let device = members.first()?.1.device();
        let _guard = tch::no_grad_guard();
        let flat: Vec<Tensor> = members.iter().map(|(_, tensor)| tensor.detach().reshape([-1])).collect();
        let weights = Tensor::cat(&flat, 0);
        let mut at = 0;
        for (_, tensor) in &members {
            let count = tensor.numel() as i64;
            tensor.shallow_clone().set_data(&weights.narrow(0, at, count).view(tensor.size().as_slice()));
            at += count;
        }
        let zeros = || Tensor::zeros([at], (Kind::Float, device));
        Some(Group { decay, members, gradients: zeros(), first: zeros(), second: zeros(), weights })
    }

    /// Weights, gradients, first and second moments, a block at a time.
    fn parts(&self) -> impl Iterator<Item = [Tensor; 4]> {
        let count = self.weights.numel() as i64;
        let on_cpu = self.weights.device() == Device::Cpu;
        let block = if on_cpu { BLOCK * i64::from(tch::get_num_threads().max(1)) } else { count.max(1) };
        (0..count).step_by(block as usize).map(move |at| {
            let part = |tensor: &Tensor| tensor.narrow(0, at, block.min(count - at));
            [part(&self.weights), part(&self.gradients), part(&self.first), part(&self.second)]
        })
    }
}

impl AdamW {
    /// Takes over the named parameters, which must be 32-bit and on one device.
    pub fn new(parameters: Vec<(String, Tensor)>, settings: AdamWSettings) -> Self {
        let (decayed, plain) = parameters.into_iter().partition(|(_, tensor)| tensor.dim() >= 2);
        let groups = [Group::new(settings.weight_decay, decayed), Group::new(0.0, plain)];
        AdamW { settings, groups: groups.into_iter().flatten().collect(), steps: 0 }
    }

    /// Computes the gradients of `loss` (a scalar), divided by `divisor`, and returns their length over all weights.
    pub fn backward(&mut self, loss: &Tensor, divisor: f64) -> f64 {
        let members: Vec<&Tensor> = self.groups.iter().flat_map(|group| group.members.iter().map(|(_, tensor)| tensor)).collect();
        let mut gradients = Tensor::run_backward(&[loss], &members, false, false).into_iter();
        no_grad(|| {
            let mut squares = 0.0;
            for group in &mut self.groups {
                let flat: Vec<Tensor> = group
                    .members
                    .iter()
                    .zip(&mut gradients)
                    // A weight that the loss does not depend on has no gradient at all.
                    .map(|((_, tensor), gradient)| if gradient.defined() { gradient } else { tensor.zeros_like() }.reshape([-1]))
                    .collect();
                let _ = Tensor::cat_out(&group.gradients, &flat, 0);
                if divisor != 1.0 {
                    let _ = group.gradients.g_mul_scalar_(1.0 / divisor);
                }
                squares += group.gradients.norm().double_value(&[]).powi(2);
            }
            squares.sqrt()
        })
    }

    /// One step against the gradients of the last [`AdamW::backward`], whose length is `norm`.
    pub fn step(&mut self, rate: f64, norm: f64) {
        self.steps += 1;
        let AdamWSettings { beta1, beta2, epsilon, clip_norm, .. } = self.settings;
        let steps = self.steps.min(i32::MAX as u64) as i32;
        let step_size = rate / (1.0 - beta1.powi(steps));
        // Both sides of `first / (sqrt(second) / root + epsilon)` are multiplied by the correction of the second moment.
        let root = (1.0 - beta2.powi(steps)).sqrt();
        // PyTorch's clip_grad_norm_, with its 1e-6.
        let shrink = clip_norm.map(|most| most / (norm + 1e-6)).filter(|&factor| factor < 1.0);
        no_grad(|| {
            for group in &self.groups {
                for [mut weights, mut gradients, mut first, mut second] in group.parts() {
                    if let Some(factor) = shrink {
                        let _ = gradients.g_mul_scalar_(factor);
                    }
                    if group.decay != 0.0 {
                        let _ = weights.g_mul_scalar_(1.0 - rate * group.decay);
                    }
                    let _ = first.lerp_(&gradients, 1.0 - beta1);
                    let _ = second.lerp_(&gradients.square(), 1.0 - beta2);
                    // The root of nothing is slow in Intel's library, and most rows of a table of tokens have moments of nothing;
                    // the least normal number in its place is lost beside epsilon.
                    let mut divisor = second.clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt_();
                    let _ = divisor.g_add_scalar_(epsilon * root).g_mul_scalar_(-1.0 / (step_size * root));
                    let _ = weights.addcdiv_(&first, &divisor);
                }
            }
        });
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Both moments of every weight as `NAME.exp_avg` and `NAME.exp_avg_sq`, PyTorch's names. They share memory with the
    /// optimiser: what is read into them is its state.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = Vec::new();
        for group in &self.groups {
            let mut at = 0;
            for (name, tensor) in &group.members {
                let count = tensor.numel() as i64;
                let view = |flat: &Tensor| flat.narrow(0, at, count).view(tensor.size().as_slice());
                state.push((format!("{name}.exp_avg"), view(&group.first)));
                state.push((format!("{name}.exp_avg_sq"), view(&group.second)));
                at += count;
            }
        }
        state
    }

    /// Sets the number of steps taken, when the state was read from a file.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(values: &[f32], shape: &[i64]) -> Tensor {
        Tensor::from_slice(values).reshape(shape).set_requires_grad(true)
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().reshape([-1])).expect("numbers")
    }

    /// The textbook update of one number, in double precision.
    fn by_hand(mut weight: f64, gradients: &[f64], rate: f64, settings: AdamWSettings) -> f64 {
        let (mut first, mut second) = (0.0, 0.0);
        for (i, gradient) in gradients.iter().enumerate() {
            first = settings.beta1 * first + (1.0 - settings.beta1) * gradient;
            second = settings.beta2 * second + (1.0 - settings.beta2) * gradient * gradient;
            let corrected = |moment: f64, beta: f64| moment / (1.0 - beta.powi(i as i32 + 1));
            weight *= 1.0 - rate * settings.weight_decay;
            weight -= rate * corrected(first, settings.beta1) / (corrected(second, settings.beta2).sqrt() + settings.epsilon);
        }
        weight
    }

    #[test]
    fn follows_the_closed_form_and_decays_matrices_only() {
        let settings = AdamWSettings::clip(true, 0.2);
        let matrix = parameter(&[0.5, -1.0, 2.0, 0.1], &[2, 2]);
        let gain = parameter(&[1.0, -2.0], &[2]);
        let unused = parameter(&[3.0], &[1, 1]);
        let named = [("w", &matrix), ("g", &gain), ("u", &unused)].map(|(name, tensor)| (name.to_string(), tensor.shallow_clone()));
        let mut optimiser = AdamW::new(named.into(), settings);
        for step in 1..=5 {
            // The gradient of every entry is the step's number, of the gain twice that.
            let loss = matrix.sum(Kind::Float) * f64::from(step) + gain.sum(Kind::Float) * f64::from(2 * step);
            let norm = optimiser.backward(&loss, 1.0);
            assert!((norm - (f64::from(step * step) * 12.0).sqrt()).abs() < 1e-4, "{norm}");
            optimiser.step(0.01, norm);
        }
        let expect = |tensor: &Tensor, before: &[f64], factor: f64, decay: f64| {
            let gradients: Vec<f64> = (1..=5).map(|step| factor * f64::from(step)).collect();
            for (after, before) in values(tensor).into_iter().zip(before) {
                let expected = by_hand(*before, &gradients, 0.01, AdamWSettings { weight_decay: decay, ..settings });
                assert!((f64::from(after) - expected).abs() < 1e-6, "{after} against {expected}");
            }
        };
        expect(&matrix, &[0.5, -1.0, 2.0, 0.1], 1.0, 0.2);
        expect(&gain, &[1.0, -2.0], 2.0, 0.0);
        expect(&unused, &[3.0], 0.0, 0.2);
    }

    #[test]
    fn clips_by_the_common_length() {
        let settings = AdamWSettings { clip_norm: Some(1.0), epsilon: 10.0, ..AdamWSettings::clip(true, 0.0) };
        let weight = parameter(&[0.0, 0.0], &[2]);
        let mut optimiser = AdamW::new(vec![("w".to_string(), weight.shallow_clone())], settings);
        let norm = optimiser.backward(&(&weight * Tensor::from_slice(&[6.0f32, 8.0])).sum(Kind::Float), 2.0);
        assert!((norm - 5.0).abs() < 1e-6);
        optimiser.step(1.0, norm);
        // With an epsilon this large the step is nearly rate * gradient / epsilon: 0.6 / 10.6 and 0.8 / 10.8.
        let after = values(&weight);
        assert!((after[0] + 0.6 / 10.6).abs() < 1e-5 && (after[1] + 0.8 / 10.8).abs() < 1e-5, "{after:?}");
    }

    #[test]
    fn state_restores_exactly_and_blocks_do_not_show() {
        let count = 40 * BLOCK + 1000;
        let make = || {
            let start = Tensor::arange(count, (Kind::Float, Device::Cpu)).sin().reshape([1, count]).set_requires_grad(true);
            let optimiser = AdamW::new(vec![("w".to_string(), start.shallow_clone())], AdamWSettings::clip(false, 0.1));
            (start, optimiser)
        };
        let advance = |weight: &Tensor, optimiser: &mut AdamW| {
            let norm = optimiser.backward(&weight.square().sum(Kind::Float), 1.0);
            optimiser.step(0.001, norm);
        };
        let (weight, mut optimiser) = make();
        advance(&weight, &mut optimiser);
        let saved: Vec<Tensor> = optimiser.state().iter().map(|(_, tensor)| tensor.copy()).collect();
        let halfway = weight.detach().copy();
        advance(&weight, &mut optimiser);
        let (other, mut resumed) = make();
        no_grad(|| other.shallow_clone().copy_(&halfway));
        resumed.state().iter_mut().zip(&saved).for_each(|((_, tensor), saved)| tensor.copy_(saved));
        resumed.set_steps(1);
        advance(&other, &mut resumed);
        assert_eq!(values(&weight), values(&other));
        assert_eq!(optimiser.state()[0].0, "w.exp_avg");
        let first = values(&weight);
        let expected = by_hand(1.0f64.sin(), &[2.0 * 1.0f64.sin()], 0.001, AdamWSettings::clip(false, 0.1));
        let expected = by_hand_next(expected, 1.0f64.sin());
        assert!((f64::from(first[1]) - expected).abs() < 1e-6);
    }

    /// The second of two steps on the square of a number, from scratch.
    fn by_hand_next(after_one: f64, start: f64) -> f64 {
        by_hand(start, &[2.0 * start, 2.0 * after_one], 0.001, AdamWSettings::clip(false, 0.1))
    }
}

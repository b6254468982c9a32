//! Loss scaling for half precision, whose smallest gradients would otherwise vanish.

use crate::Precision;
use serde::{Deserialize, Serialize};

/// The first factor, growth and patience are those of PyTorch's GradScaler.
const START: f64 = 65_536.0;
const PATIENCE: u64 = 2000;
/// Below this factor gradients overflow because the training has diverged, not because of the precision.
const LEAST: f64 = 1.0 / 16_384.0;

/// The factor on the loss, a power of two, which adapts when half precision is used and is 1 otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// What the loss is multiplied by before gradients are taken.
    pub factor: f64,
    /// Steps since the factor last changed; `None` for precisions that need no factor.
    calm: Option<u64>,
}

impl LossScale {
    /// The factor at the start of a training.
    pub fn new(precision: Precision) -> Self {
        match precision {
            Precision::Fp16 => LossScale { factor: START, calm: Some(0) },
            Precision::Fp32 | Precision::Bf16 => LossScale { factor: 1.0, calm: None },
        }
    }

    /// Learns from the length of a gradient. `Some(true)`: take the step; `Some(false)`: the factor was too large, leave
    /// this step out; `None`: the training has diverged.
    pub fn judge(&mut self, norm: f64) -> Option<bool> {
        let Some(calm) = &mut self.calm else { return norm.is_finite().then_some(true) };
        if norm.is_finite() {
            *calm += 1;
            if *calm >= PATIENCE {
                (self.factor, *calm) = (self.factor * 2.0, 0);
            }
            return Some(true);
        }
        (self.factor, *calm) = (self.factor / 2.0, 0);
        (self.factor >= LEAST).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_on_overflow_and_doubles_after_calm() {
        let mut scale = LossScale::new(Precision::Fp16);
        assert_eq!(scale.judge(f64::INFINITY), Some(false));
        assert_eq!(scale.factor, START / 2.0);
        (0..PATIENCE).for_each(|_| assert_eq!(scale.judge(1.0), Some(true)));
        assert_eq!(scale.factor, START);
        let verdicts: Vec<_> = (0..40).map(|_| scale.judge(f64::NAN)).collect();
        assert_eq!(verdicts.iter().position(Option::is_none), Some(30), "2^16 to 2^-14 in 30 halvings");
    }

    #[test]
    fn other_precisions_have_no_second_chance() {
        let mut scale = LossScale::new(Precision::Bf16);
        assert_eq!((scale.judge(1.0), scale.judge(f64::NAN), scale.factor), (Some(true), None, 1.0));
    }
}

//! The learning rate at each step: a linear warm-up, then a half cosine down to zero.

/// A learning rate as a function of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The rate reached at the end of the warm-up.
    pub peak: f64,
    /// Steps of warm-up; more than `steps` is the same as `steps`.
    pub warmup: u64,
    /// Optimiser steps in all.
    pub steps: u64,
}

impl Schedule {
    /// The rate for the 0-based `step`: `peak * (step + 1) / warmup` first, so that no step is wasted on a rate of zero,
    /// then `peak * (1 + cos(pi * (step - warmup) / (steps - warmup))) / 2`, as CLIP and open_clip have it.
    pub fn rate(&self, step: u64) -> f64 {
        let warmup = self.warmup.min(self.steps);
        if step < warmup {
            return self.peak * (step + 1) as f64 / warmup as f64;
        }
        let share = (step - warmup) as f64 / (self.steps - warmup).max(1) as f64;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_by_the_formula() {
        let schedule = Schedule { peak: 5e-4, warmup: 10, steps: 110 };
        let near = |step, expected: f64| assert!((schedule.rate(step) - expected).abs() < 1e-12, "step {step}: {}", schedule.rate(step));
        near(0, 5e-5);
        near(9, 5e-4);
        near(10, 5e-4);
        near(60, 2.5e-4);
        near(35, 5e-4 * 0.5 * (1.0 + 0.5f64.sqrt()));
        near(110, 0.0);
        near(500, 0.0);
    }

    #[test]
    fn odd_lengths_stay_finite() {
        for (warmup, steps) in [(0, 1), (1, 1), (5, 3), (0, 0)] {
            let schedule = Schedule { peak: 1.0, warmup, steps };
            assert!((0..10).all(|step| (0.0..=1.0).contains(&schedule.rate(step))), "{warmup} of {steps}");
        }
    }
}

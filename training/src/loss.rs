//! The contrastive loss of CLIP, over unit rows of both towers.

use tch::{Kind, TchError, Tensor};

/// How pairs of a batch that share their caption are seen by each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameCaption {
    /// As in CLIP: only a pair's own other half is right. Equal captions have equal rows, so this is exactly the same
    /// as spreading the target evenly over them, up to a constant (see the test): it asks all pictures of a caption to
    /// be equally near to it.
    #[default]
    Negatives,
    /// Each half is right with the other half of any pair of the same caption: the loss is the logarithm of their
    /// summed probability, which does not ask them to be equally near.
    Positives,
}

impl std::str::FromStr for SameCaption {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        serde_json::from_value(name.into()).map_err(|_| format!("{name:?} is not one of negatives, positives"))
    }
}

impl std::fmt::Display for SameCaption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == SameCaption::Negatives { "negatives" } else { "positives" })
    }
}

/// The mean of both directions' cross-entropies: picture to text and text to picture.
///
/// `images` and `texts` are unit rows `[batch, width]`; row `i` of both belongs together. `caption_of` `[batch]` numbers
/// the captions of the batch: rows of one number have the same text. `log_scale` is the logarithm of the factor put on
/// the products, a scalar that learns. Computed in fp32 whatever the towers computed in. A scalar; about ln(batch) at the
/// start of a training.
///
/// # Errors
/// libtorch's, when the shapes do not fit or memory runs out.
pub fn contrastive(
    images: &Tensor,
    texts: &Tensor,
    caption_of: &Tensor,
    log_scale: &Tensor,
    same: SameCaption,
) -> Result<Tensor, TchError> {
    let scaled = images.to_kind(Kind::Float) * log_scale.to_kind(Kind::Float).exp();
    let logits = scaled.f_matmul(&texts.to_kind(Kind::Float).transpose(0, 1))?;
    let both = [logits.f_log_softmax(1, Kind::Float)?, logits.f_log_softmax(0, Kind::Float)?];
    let one_way = |log_shares: &Tensor, dim: i64| match same {
        SameCaption::Negatives => Ok(log_shares.f_diagonal(0, 0, 1)?.mean(Kind::Float)),
        SameCaption::Positives => {
            let different = caption_of.unsqueeze(0).f_ne_tensor(&caption_of.unsqueeze(1))?;
            Ok::<_, TchError>(log_shares.f_masked_fill(&different, f64::NEG_INFINITY)?.logsumexp([dim], false).mean(Kind::Float))
        }
    };
    Ok((one_way(&both[0], 1)? + one_way(&both[1], 0)?) * -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn unit_rows(rows: i64, width: i64, seed: i64) -> Tensor {
        let values = (Tensor::arange(rows * width, (Kind::Float, Device::Cpu)) * 1.7 + seed as f64).sin().reshape([rows, width]);
        &values / values.norm_scalaropt_dim(2.0, [1], true)
    }

    fn value(x: &Tensor, y: &Tensor, captions: &[i64], same: SameCaption) -> f64 {
        contrastive(x, y, &Tensor::from_slice(captions), &Tensor::from(14.0f32.ln()), same).expect("a loss").double_value(&[])
    }

    #[test]
    fn equals_the_sum_written_out() {
        let (x, y) = (unit_rows(5, 8, 1), unit_rows(5, 8, 2));
        let at = |i: i64, j: i64| (x.get(i) * y.get(j)).sum(Kind::Float).double_value(&[]) * 14.0;
        let mut sum = 0.0;
        for i in 0..5 {
            sum -= at(i, i) - (0..5).map(|j| at(i, j).exp()).sum::<f64>().ln();
            sum -= at(i, i) - (0..5).map(|j| at(j, i).exp()).sum::<f64>().ln();
        }
        assert!((value(&x, &y, &[0, 1, 2, 3, 4], SameCaption::Negatives) - sum / 10.0).abs() < 1e-5);
        assert!((value(&x, &y, &[0, 1, 2, 3, 4], SameCaption::Positives) - sum / 10.0).abs() < 1e-5);
    }

    #[test]
    fn soft_targets_over_equal_captions_change_nothing() {
        let captions = [0i64, 1, 0, 0, 1, 2];
        let x = unit_rows(6, 8, 1).set_requires_grad(true);
        let y = unit_rows(3, 8, 2).index_select(0, &Tensor::from_slice(&captions));
        let scale = 14.0f32.ln();
        let index = Tensor::from_slice(&captions);
        let hard = contrastive(&x, &y, &index, &Tensor::from(scale), SameCaption::Negatives).expect("a loss");
        let logits = x.matmul(&y.transpose(0, 1)) * f64::from(scale.exp());
        let equal = index.unsqueeze(0).eq_tensor(&index.unsqueeze(1)).to_kind(Kind::Float);
        let targets = &equal / equal.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        let soft = (&targets * (logits.log_softmax(1, Kind::Float) + logits.log_softmax(0, Kind::Float))).sum(Kind::Float) * (-0.5 / 6.0);
        assert!((hard.double_value(&[]) - soft.double_value(&[])).abs() < 1e-5);
        let gradient = |loss: &Tensor| Tensor::run_backward(&[loss], &[&x], true, false).remove(0);
        assert!((gradient(&hard) - gradient(&soft)).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn positives_sum_the_probability_of_a_caption() {
        let (x, y) = (unit_rows(4, 8, 1), unit_rows(2, 8, 2).index_select(0, &Tensor::from_slice(&[0i64, 0, 1, 1])));
        let shares = |dim| (x.matmul(&y.transpose(0, 1)) * 14.0).softmax(dim, Kind::Double);
        let mut sum = 0.0;
        for i in 0..4i64 {
            let same = if i < 2 { [0, 1] } else { [2, 3] };
            sum -= same.iter().map(|&j| shares(1).double_value(&[i, j])).sum::<f64>().ln();
            sum -= same.iter().map(|&j| shares(0).double_value(&[j, i])).sum::<f64>().ln();
        }
        assert!((value(&x, &y, &[0, 0, 1, 1], SameCaption::Positives) - sum / 8.0).abs() < 1e-5);
    }
}

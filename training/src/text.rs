//! CLIP's text transformer.

use crate::TextConfig;
use crate::init::Init;
use crate::layers::{LayerNorm, Linear, Pass};
use crate::transformer::{BlockInit, BlockShape, Transformer};
use crate::vars::Vars;
use tch::Tensor;

pub(crate) struct TextTower {
    token_embedding: Tensor,
    positional_embedding: Tensor,
    transformer: Transformer,
    ln_final: LayerNorm,
    text_projection: Tensor,
}

impl TextTower {
    pub fn new(vars: &mut Vars, config: &TextConfig, embed_dim: i64, quick_gelu: bool) -> Self {
        let TextConfig { context_length, vocab_size, width, heads, layers } = *config;
        let blocks = BlockShape { width, mlp_width: 4 * width, heads, layers, quick_gelu, causal: true, init: BlockInit::Scaled };
        TextTower {
            positional_embedding: vars.parameter("positional_embedding".to_string(), &[context_length, width], Init::Normal(0.01)),
            text_projection: vars.parameter("text_projection".to_string(), &[width, embed_dim], Init::normal_over(width)),
            transformer: Transformer::new(vars, "transformer", blocks),
            token_embedding: vars.parameter("token_embedding.weight".to_string(), &[vocab_size, width], Init::Normal(0.02)),
            ln_final: LayerNorm::new(vars, "ln_final", width),
        }
    }

    /// `ids` [batch, length] (whole numbers) to [batch, embed_dim], not yet unit rows.
    ///
    /// A text is read off at its end token, the largest id, where it stands first. Later positions cannot reach that one
    /// through the causal mask, so columns beyond the batch's longest text may be left out.
    pub fn forward(&self, ids: &Tensor, pass: Pass) -> Tensor {
        let (batch, length) = (ids.size()[0], ids.size()[1]);
        let x = Tensor::embedding(&self.token_embedding, ids, -1, false, false) + self.positional_embedding.narrow(0, 0, length);
        let end = ids.argmax(1, false).view([batch, 1, 1]).expand([batch, 1, x.size()[2]], false);
        let at_end = self.transformer.forward(x, pass, |x| x.gather(1, &end, false).squeeze_dim(1));
        Linear::of(self.text_projection.tr(), None).forward(&self.ln_final.forward(&at_end), pass)
    }
}

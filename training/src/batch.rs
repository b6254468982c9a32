//! What the loader hands to the trainer.

use crate::Position;
use crate::buffer::Buffer;
use crossbeam_channel::Sender;
use std::collections::HashMap;
use tch::Tensor;

/// Texts are padded to a multiple of this many tokens, so that few shapes occur.
const TEXT_STEP: usize = 8;

/// A sample that could not be used and was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The archive and the offset.
    pub location: String,
    /// What is wrong with it.
    pub why: String,
}

/// A batch, or one rank's slice of it.
///
/// The memory of its pictures is used again when it is dropped: keep it until nothing that was computed from
/// [`Batch::pictures`] without a copy is needed any more.
pub struct Batch {
    /// The position after this batch, the same for all ranks.
    pub next: Position,
    /// Token ids of the distinct captions, `[texts, text_length]`, padded with 0; in order of first use.
    pub tokens: Vec<i64>,
    /// Tokens in a row of `tokens`: those of the batch's longest caption, rounded up.
    pub text_length: usize,
    /// The row of `tokens` that each picture belongs to, `[batch]`.
    pub caption_of: Vec<i64>,
    /// Samples that had to be replaced.
    pub damaged: Vec<Damaged>,
    /// The pictures; only ever gone while the batch is being dropped.
    pub(crate) buffer: Option<Buffer>,
    /// Where the buffer goes then.
    pub(crate) home: Sender<Buffer>,
}

impl Batch {
    /// Pictures, `[batch, side, side, 3]` on the CPU: normalised floats for training there, 8-bit colours for a GPU.
    pub fn pictures(&self) -> &Tensor {
        match &self.buffer {
            Some(buffer) => buffer.tensor(),
            None => unreachable!("a batch has its buffer until it is dropped"),
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // Without a loader the buffer is freed.
            let _ = self.home.send(buffer);
        }
    }
}

/// The distinct ones of `captions` in order of first use, and which of them each caption is.
pub(crate) fn distinct(captions: &[String]) -> (Vec<&str>, Vec<i64>) {
    let mut rows = HashMap::new();
    let mut distinct = Vec::new();
    let caption_of = captions
        .iter()
        .map(|caption| {
            *rows.entry(caption.as_str()).or_insert_with(|| {
                distinct.push(caption.as_str());
                distinct.len() as i64 - 1
            })
        })
        .collect();
    (distinct, caption_of)
}

/// Rows of ids as one block, short ones filled up with 0; and the length of a row, at most `most` unless a text is longer.
pub(crate) fn padded(texts: &[Vec<u32>], most: usize) -> (Vec<i64>, usize) {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let length = longest.next_multiple_of(TEXT_STEP).min(most).max(longest);
    let mut tokens = vec![0; texts.len() * length];
    for (row, text) in tokens.chunks_exact_mut(length.max(1)).zip(texts) {
        row.iter_mut().zip(text).for_each(|(to, &id)| *to = i64::from(id));
    }
    (tokens, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_captions_share_a_row() {
        let captions = ["a", "b", "a", "c", "b"].map(String::from);
        let (texts, caption_of) = distinct(&captions);
        assert_eq!((texts, caption_of), (vec!["a", "b", "c"], vec![0, 1, 0, 2, 1]));
    }

    #[test]
    fn rows_are_padded_to_few_lengths() {
        let texts = [vec![7; 3], vec![8; 9]];
        let (tokens, length) = padded(&texts, 77);
        assert_eq!((tokens.len(), length), (32, 16));
        assert_eq!(tokens[..5], [7, 7, 7, 0, 0]);
        assert_eq!(padded(&texts, 12).1, 12, "but no more than the context");
    }
}

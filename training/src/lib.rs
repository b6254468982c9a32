//! CLIP models, tokenizer, loader, trainer and evaluation.

//! The folder of a run: whether it may be used, and its description.

use crate::{Error, TrainOptions};
use shards::Meta;
use std::collections::BTreeMap;
use std::path::Path;

/// Makes `options.out` the folder of this run, or finds that it is already.
///
/// # Errors
/// `RunExists` when a run is there and resuming was not asked for; `Contradiction` when it was begun with other
/// properties; `Shards` when the folder is something else or cannot be written.
pub(crate) fn open(options: &TrainOptions) -> Result<Meta, Error> {
    let out = &options.out;
    let meta = options.meta()?;
    match Meta::read(out, "run")? {
        None => {
            // First the tokenizer, so that no run without its tokenizer is ever gone on with.
            if let Some(merges) = &options.merges {
                let bytes = std::fs::read(merges).map_err(shards::Error::io("read", merges))?;
                shards::write_atomic(&out.join(crate::MERGES_FILE), &bytes)?;
            }
            meta.write(out)?;
        }
        Some(_) if !options.resume => return Err(Error::RunExists { path: out.clone() }),
        Some(begun) => {
            agree(out, &begun.properties, &meta.properties)?;
            agree(out, &begun.parents, &meta.parents)?;
        }
    }
    Ok(meta)
}

/// Compares two sets of named values and tells of the first difference.
fn agree<V: PartialEq + ToString>(out: &Path, run: &BTreeMap<String, V>, asked: &BTreeMap<String, V>) -> Result<(), Error> {
    let text = |value: Option<&V>| value.map_or("none".to_string(), V::to_string);
    for name in run.keys().chain(asked.keys()) {
        let (run, asked) = (run.get(name), asked.get(name));
        if run != asked {
            return Err(Error::Contradiction { path: out.to_path_buf(), property: name.clone(), run: text(run), asked: text(asked) });
        }
    }
    Ok(())
}

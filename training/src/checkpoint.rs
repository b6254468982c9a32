//! Checkpoints of a run: folders that are whole or absent, from which a training goes on as if it had never stopped.
//!
//! `RUN/checkpoints/step-00001000/` holds `model.json`, `model.safetensors`, `optimiser.safetensors`, `state.json` and their `sums.json`. It is
//! written under a name that ends in `.part` and renamed when all of it is on disk; removed ones are renamed back first.

use crate::loader::{LOADER_VERSION, Position};
use crate::optimiser::AdamW;
use crate::scaling::LossScale;
use crate::{Clip, Error, MODEL_FILE, WEIGHTS_FILE, weights};
use serde::{Deserialize, Serialize};
use shards::{FORMAT_VERSION, SUMS, hash_file, sync_folder, write_atomic, write_json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Checkpoints kept: the last, and one more in case the disk damages it.
const KEPT: usize = 2;
const OPTIMISER: &str = "optimiser.safetensors";
const STATE: &str = "state.json";
const PREFIX: &str = "step-";
const PART: &str = ".part";

/// What a training knows besides its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of this format.
    pub version: u32,
    /// Steps done: batches taken.
    pub step: u64,
    /// Steps that the optimiser took; fewer where half precision left some out.
    pub optimiser_steps: u64,
    /// Where the next batch begins.
    pub position: Position,
    /// The order of samples that `position` is a place of ([`LOADER_VERSION`]).
    #[serde(default = "first_loader")]
    pub loader: u32,
    /// The factor on the loss.
    pub loss_scale: LossScale,
    /// Loss of the last step, for messages.
    pub loss: f64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Damaged samples replaced so far.
    pub damaged: u64,
    /// The flags of the run, for people.
    pub flags: serde_json::Value,
}

/// Checkpoints without this number are of the first order.
fn first_loader() -> u32 {
    1
}

/// The checkpoints of one run.
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints of the run in folder `run`. Sweeps what a killed program left half-written or half-removed.
    ///
    /// # Errors
    /// `Shards` when the folder cannot be made or swept.
    pub fn open(run: &Path) -> Result<Self, Error> {
        let folder = run.join("checkpoints");
        std::fs::create_dir_all(&folder).map_err(shards::Error::io("create folder", &folder))?;
        for path in list(&folder)? {
            if path.to_string_lossy().ends_with(PART) {
                std::fs::remove_dir_all(&path).map_err(shards::Error::io("remove", &path))?;
            }
        }
        Ok(Checkpoints { folder })
    }

    /// Writes a checkpoint and removes all but the last two; returns its folder.
    ///
    /// # Errors
    /// `Shards` on a full disk; earlier checkpoints are untouched then.
    pub fn save(&self, state: &State, model: &Clip, optimiser: &AdamW) -> Result<PathBuf, Error> {
        let path = self.folder.join(format!("{PREFIX}{:08}", state.step));
        let part = with_part(&path);
        if path.exists() {
            // Damaged: a whole one would have been gone on from, not written again.
            remove(&path)?;
        }
        model.save_folder(&part)?;
        weights::save(&part.join(OPTIMISER), &optimiser.state())?;
        let text = serde_json::to_vec_pretty(state).map_err(|error| damaged(&part, error.to_string()))?;
        write_atomic(&part.join(STATE), &text)?;
        write_json(&part.join(SUMS), &sums(&part)?)?;
        std::fs::rename(&part, &path).map_err(shards::Error::io("rename", &part))?;
        sync_folder(&self.folder)?;
        for old in whole(&self.folder)?.into_iter().rev().skip(KEPT) {
            remove(&old)?;
        }
        Ok(path)
    }

    /// The folder of the newest whole checkpoint and its state.
    ///
    /// # Errors
    /// As [`State::read`].
    pub fn latest(&self) -> Result<Option<(PathBuf, State)>, Error> {
        let newest = whole(&self.folder)?.pop();
        newest.map(|path| State::read(&path).map(|state| (path, state))).transpose()
    }
}

impl State {
    /// What a user must know before a run goes on whose samples came in another order than this program's: nothing is wrong
    /// with the weights, but the epoch that was begun is not finished as it would have been.
    pub fn order_changed(&self) -> Option<String> {
        (self.loader != LOADER_VERSION).then(|| {
            format!(
                "the checkpoint of step {} was made with order {} of samples, this program has order {LOADER_VERSION}: in epoch {} some samples will come twice and some not at all, and the weights will not be those of a run that was never stopped",
                self.step, self.loader, self.position.epoch
            )
        })
    }

    /// Reads the state of the checkpoint in `folder`.
    ///
    /// # Errors
    /// `Shards` when it cannot be read or is of another version, `Checkpoint` when it is damaged.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(STATE);
        let text = std::fs::read(&path).map_err(shards::Error::io("read", &path))?;
        let state: State = serde_json::from_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
        if state.version != FORMAT_VERSION {
            return Err(shards::Error::Version { path, found: state.version, expected: FORMAT_VERSION }.into());
        }
        Ok(state)
    }

    /// Puts the tensors of the checkpoint in `folder` into a model and optimiser of the same sizes.
    ///
    /// # Errors
    /// `Weights` and `Tensor` when the files are damaged or of other sizes.
    pub fn restore(&self, folder: &Path, model: &Clip, optimiser: &mut AdamW) -> Result<(), Error> {
        let mut tensors = model.parameters();
        tensors.extend(model.buffers());
        weights::load_into(&folder.join(WEIGHTS_FILE), &tensors)?;
        weights::load_into(&folder.join(OPTIMISER), &optimiser.state())?;
        optimiser.set_steps(self.optimiser_steps);
        Ok(())
    }
}

/// What [`Clip::open`] can read at `path`: a checkpoint's folder or a file of weights is taken as it is, a run's folder
/// gives its newest checkpoint.
///
/// # Errors
/// `Checkpoint` when it is neither, `Shards` when the folder cannot be listed.
pub fn find_checkpoint(path: &Path) -> Result<PathBuf, Error> {
    if path.is_file() || path.join(MODEL_FILE).exists() || crate::infer::weights_in(path).is_some() {
        return Ok(path.to_path_buf());
    }
    let newest = whole(&path.join("checkpoints"))?.pop();
    newest.ok_or_else(|| damaged(path, "neither a checkpoint nor a run that has one".to_string()))
}

fn damaged(path: &Path, why: String) -> Error {
    Error::Checkpoint { path: path.to_path_buf(), why }
}

/// The whole checkpoints in `folder`, oldest first.
fn whole(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.parse::<u64>().ok();
    let mut found: Vec<(u64, PathBuf)> = list(folder)?.into_iter().filter_map(|path| Some((step(&path)?, path))).collect();
    found.retain(|(_, path)| [MODEL_FILE, WEIGHTS_FILE, OPTIMISER, STATE].iter().all(|file| path.join(file).is_file()));
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>();
            Ok(paths.map_err(shards::Error::io("list", folder))?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(shards::Error::io("list", folder)(error).into()),
    }
}

/// BLAKE3 of each file of a checkpoint by name, for `verify`.
fn sums(folder: &Path) -> Result<BTreeMap<&'static str, String>, Error> {
    [MODEL_FILE, WEIGHTS_FILE, OPTIMISER, STATE].into_iter().map(|name| Ok((name, hash_file(&folder.join(name))?))).collect()
}

fn with_part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(PART);
    PathBuf::from(name)
}

/// Removes a checkpoint so that no half of it is ever found under its name.
fn remove(path: &Path) -> Result<(), Error> {
    let part = with_part(path);
    std::fs::rename(path, &part).map_err(shards::Error::io("rename", path))?;
    Ok(std::fs::remove_dir_all(&part).map_err(shards::Error::io("remove", &part))?)
}

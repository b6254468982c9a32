//! The training loop, on one page in reading order.

use crate::batch::Batch;
use crate::checkpoint::{Checkpoints, State};
use crate::events::EventWriter;
use crate::loader::{LOADER_VERSION, Loader, LoaderOptions, LoaderTimes, Tokenize};
use crate::loss::contrastive;
use crate::metrics::{Metrics, MetricsWriter};
use crate::optimiser::AdamW;
use crate::samples::Samples;
use crate::scaling::LossScale;
use crate::{CheckpointEvery, Clip, Error, MEAN, Position, STD, Tokenizer, TrainOptions, run};
use shards::{FORMAT_VERSION, Meta, Meter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tch::{Kind, Tensor};

/// Steps from one row of metrics to the next.
const ROW_STEPS: u64 = 10;
/// Damaged samples that are named; the rest is only counted.
const MAX_WARNINGS: u64 = 1000;
/// The largest factor on similarities, as in CLIP's paper.
const MAX_SCALE: f64 = 100.0;

/// What came of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSummary {
    /// Steps done, of all sessions.
    pub steps: u64,
    /// Steps of the whole training.
    pub planned: u64,
    /// Samples seen, of all sessions.
    pub samples: u64,
    /// Loss of the last step.
    pub loss: f64,
    /// Seconds of training, of all sessions.
    pub seconds: f64,
    /// Damaged samples replaced.
    pub damaged: u64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
}

impl TrainSummary {
    /// Whether all planned steps are done; not so when the time was up.
    pub fn finished(&self) -> bool {
        self.steps >= self.planned
    }
}

/// Trains a model, or goes on with it. Stopped anywhere and resumed, it ends with the same weights as if it had never
/// been stopped (on a CPU, with the same number of threads: sums of another order differ in the last bits).
///
/// # Errors
/// `Options`, `Model`; `Shards`, `NoSamples`, `Unreadable` for the corpus; `NoMerges`, `Merges` for the tokenizer;
/// `InUse`, `RunExists`, `Contradiction` for the folder; `Checkpoint`, `Weights`, `Tensor` when what is there to resume is damaged;
/// `Diverged` when the loss is no longer a number, whereupon the last checkpoint is the one before.
pub fn train(options: &TrainOptions, meter: &Meter) -> Result<TrainSummary, Error> {
    options.check()?;
    let tokenizer = match &options.merges {
        Some(path) => Tokenizer::read(path)?,
        None => Tokenizer::new()?,
    };
    tokenizer.fits(&options.model)?;
    train_with(options, Arc::new(move |text, most| tokenizer.encode(text, most)), meter)
}

/// [`train`] with any tokenizer.
fn train_with(options: &TrainOptions, tokenize: Tokenize, meter: &Meter) -> Result<TrainSummary, Error> {
    let samples = Arc::new(Samples::read(&options.manifests)?);
    let schedule = options.schedule(&samples);
    let epoch = samples.epoch_length();
    if options.batch_size as u64 > epoch {
        tracing::warn!("a batch of {} is larger than an epoch of {epoch} samples: some are their own negatives", options.batch_size);
    }
    let (meta, _ours) = run::open(options)?;
    let checkpoints = Checkpoints::open(&options.out)?;

    let model = Clip::new(&options.model, options.device, options.seed)?.with_precision(options.precision);
    let mut optimiser = AdamW::new(model.parameters(), options.optimiser());
    let (mut checkpoint, mut state) = match checkpoints.latest()? {
        Some((folder, state)) => {
            state.restore(&folder, &model, &mut optimiser)?;
            if let Some(warning) = state.order_changed().filter(|_| state.step < schedule.steps) {
                tracing::warn!("{warning}");
            }
            (folder, State { loader: LOADER_VERSION, ..state })
        }
        None => (PathBuf::new(), first_state(options, &meta)),
    };
    let mut log = Log::resume(options, samples.epoch_length(), &state)?;
    let loader_options = LoaderOptions {
        seed: options.seed,
        batch_size: options.batch_size,
        image_size: options.model.vision.image_size() as u32,
        augment: options.augment,
        context_length: options.model.text.context_length as usize,
        workers: options.workers,
        device: options.device,
        rank: (0, 1),
    };
    let mut loader = Loader::start(samples, tokenize, loader_options, state.position)?;
    meter.set_total(schedule.steps);
    meter.start_at(state.step);

    let (started, before) = (Instant::now(), state.seconds);
    let (mut saved_at, mut saved_step) = (started, state.step);
    while state.step < schedule.steps {
        // A batch, made by the loader's threads while the step before was computed.
        let waiting = Instant::now();
        let batch = loader.next_batch()?;
        log.waited += waiting.elapsed().as_secs_f64();
        for damaged in batch.damaged.iter().take(MAX_WARNINGS.saturating_sub(state.damaged) as usize) {
            tracing::warn!("replaced {}: {}", damaged.location, damaged.why);
        }

        // Both towers, each distinct caption once; the loss; the gradients.
        let (images, tokens, caption_of) = to_device(&batch, options);
        let image_rows = model.encode_image(&images, true);
        let text_rows = model.encode_text(&tokens).index_select(0, &caption_of);
        let loss = contrastive(&image_rows, &text_rows, &caption_of, &model.logit_scale(), options.same_caption)
            .map_err(Error::torch("compute the loss"))?;
        let norm = optimiser.backward(&(&loss * state.loss_scale.factor), state.loss_scale.factor);

        // The step, unless the numbers say otherwise.
        state.loss = loss.double_value(&[]);
        let rate = schedule.rate(state.step);
        match state.loss_scale.judge(norm).filter(|_| state.loss.is_finite()) {
            None => return Err(Error::Diverged { step: state.step, loss: state.loss, norm }),
            Some(true) => optimiser.step(rate, norm),
            Some(false) => tracing::info!("step {} left out: half precision overflowed", state.step),
        }
        let scale = tch::no_grad(|| model.logit_scale().clamp_(0.0, MAX_SCALE.ln()).exp().double_value(&[]));

        // What is remembered, shown and kept.
        state.step += 1;
        state.optimiser_steps = optimiser.steps();
        state.position = batch.next;
        state.damaged += batch.damaged.len() as u64;
        state.seconds = before + started.elapsed().as_secs_f64();
        let done = state.step == schedule.steps;
        let time_up = options.max_time.is_some_and(|most| started.elapsed() >= most);
        let save = match options.checkpoint_every {
            CheckpointEvery::Steps(steps) => state.step - saved_step >= steps,
            CheckpointEvery::Time(time) => saved_at.elapsed() >= time,
        } || done
            || time_up;
        log.add(&state, [rate, scale, norm], loader.times(), save, meter)?;
        meter.set(state.step);
        if save {
            checkpoint = checkpoints.save(&state, &model, &optimiser)?;
            (saved_at, saved_step) = (Instant::now(), state.step);
        }
        if time_up {
            break;
        }
    }
    Ok(TrainSummary {
        steps: state.step,
        planned: schedule.steps,
        samples: state.step * options.batch_size as u64,
        loss: state.loss,
        seconds: state.seconds,
        damaged: state.damaged,
        checkpoint,
    })
}

fn first_state(options: &TrainOptions, meta: &Meta) -> State {
    State {
        version: FORMAT_VERSION,
        step: 0,
        optimiser_steps: 0,
        position: Position::default(),
        loader: LOADER_VERSION,
        loss_scale: LossScale::new(options.precision),
        loss: 0.0,
        seconds: 0.0,
        damaged: 0,
        flags: serde_json::json!(meta.properties),
    }
}

/// Pictures `[batch, 3, side, side]`, normalised, with channels last in memory; tokens `[texts, length]`; the row of tokens
/// of each picture `[batch]`. To a GPU bytes travel, a quarter of what floats would be, and are normalised there. On a CPU the
/// pictures are the batch's own memory: `batch` must outlive the step.
fn to_device(batch: &Batch, options: &TrainOptions) -> (Tensor, Tensor, Tensor) {
    let device = options.device;
    let pictures = batch.pictures();
    let pixels = if pictures.kind() == Kind::Float {
        pictures.shallow_clone()
    } else {
        let constant = |value: fn(usize) -> f32| Tensor::from_slice(&[0, 1, 2].map(value)).to_device(device);
        // From pinned memory the copy need not be waited for. The batch is given back after the step's loss was read, which
        // waits for all that the GPU was told before.
        let bytes = pictures.to_device_(device, Kind::Uint8, true, false);
        bytes.to_kind(Kind::Float) * constant(|i| 1.0 / (255.0 * STD[i])) - constant(|i| MEAN[i] / STD[i])
    };
    let tokens = Tensor::from_slice(&batch.tokens).view([-1, batch.text_length as i64]).to_device(device);
    (pixels.permute([0, 3, 1, 2]), tokens, Tensor::from_slice(&batch.caption_of).to_device(device))
}

/// Metrics and events: sums since the last row.
struct Log {
    metrics: MetricsWriter,
    events: EventWriter,
    batch_size: f64,
    epoch_length: f64,
    since: Instant,
    waited: f64,
    /// The loader's times at the last row.
    loaded: LoaderTimes,
    losses: f64,
    steps: u64,
}

impl Log {
    fn resume(options: &TrainOptions, epoch_length: u64, state: &State) -> Result<Self, Error> {
        Ok(Log {
            metrics: MetricsWriter::resume(&options.out, state.step)?,
            events: EventWriter::resume(&options.out, state.step)?,
            batch_size: options.batch_size as f64,
            epoch_length: epoch_length as f64,
            since: Instant::now(),
            waited: 0.0,
            loaded: LoaderTimes::default(),
            losses: 0.0,
            steps: 0,
        })
    }

    /// Counts a step that has just been taken. Every [`ROW_STEPS`] steps and at checkpoints a row is written, so that a
    /// resumed run's rows are those of one that was never stopped.
    fn add(
        &mut self,
        state: &State,
        [lr, scale, grad_norm]: [f64; 3],
        loaded: LoaderTimes,
        checkpoint: bool,
        meter: &Meter,
    ) -> Result<(), Error> {
        self.losses += state.loss;
        self.steps += 1;
        if !checkpoint && !state.step.is_multiple_of(ROW_STEPS) {
            return Ok(());
        }
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let each = |seconds: f64| seconds / self.steps as f64;
        let row = Metrics {
            step: state.step,
            epoch: state.step as f64 * self.batch_size / self.epoch_length,
            loss: self.losses / self.steps as f64,
            lr,
            scale,
            grad_norm,
            samples_per_second: self.steps as f64 * self.batch_size / seconds,
            data_wait: self.waited / seconds,
            wait_seconds: each(self.waited),
            step_seconds: each((seconds - self.waited).max(0.0)),
            decode_seconds: each((loaded.decode - self.loaded.decode).as_secs_f64()),
            read_seconds: each((loaded.read - self.loaded.read).as_secs_f64()),
            seconds: state.seconds,
            damaged: state.damaged,
        };
        self.metrics.push(&row)?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let tags = [
            ("train/loss", row.loss),
            ("train/lr", lr),
            ("train/scale", scale),
            ("train/grad_norm", grad_norm),
            ("speed/samples_per_second", row.samples_per_second),
            ("speed/data_wait", row.data_wait),
            ("speed/wait_seconds", row.wait_seconds),
            ("speed/step_seconds", row.step_seconds),
            ("speed/decode_seconds", row.decode_seconds),
            ("speed/read_seconds", row.read_seconds),
        ];
        self.events.scalars(state.step, time, &tags)?;
        let waits = if row.data_wait >= 0.01 { format!(", {:.0} % waiting for data", 100.0 * row.data_wait) } else { String::new() };
        meter.say(format!("loss {:.3}, scale {scale:.1}, {:.0} samples/s{waits}", row.loss, row.samples_per_second));
        (self.since, self.waited, self.losses, self.steps, self.loaded) = (Instant::now(), 0.0, 0.0, 0, loaded);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::write_manifest;
    use crate::{Augment, ModelConfig, Precision, SameCaption, TextConfig, VisionConfig, find_checkpoint};
    use std::path::Path;
    use std::time::Duration;
    use tch::Device;

    const END: u32 = 259;

    fn tokenize() -> Tokenize {
        Arc::new(|text, most| {
            let ids = [258].into_iter().chain(text.bytes().map(u32::from));
            ids.take(most - 1).chain([END]).collect()
        })
    }

    fn model() -> ModelConfig {
        ModelConfig {
            name: "tiny".to_string(),
            embed_dim: 8,
            quick_gelu: false,
            vision: VisionConfig::SmallResnet { image_size: 8, layers: vec![1, 1], width: 4 },
            text: TextConfig { context_length: 24, vocab_size: 260, width: 8, heads: 2, layers: 1 },
        }
    }

    /// 24 pictures in batches of 8: three steps an epoch, twelve in all.
    fn options(folder: &Path, run: &str) -> TrainOptions {
        TrainOptions {
            epochs: 4.0,
            batch_size: 8,
            lr: 1e-2,
            warmup: 2,
            seed: 5,
            workers: 2,
            checkpoint_every: CheckpointEvery::Steps(4),
            ..TrainOptions::new(vec![folder.join("manifest.parquet")], model(), folder.join(run), Device::Cpu)
        }
    }

    fn run(options: &TrainOptions) -> Result<TrainSummary, Error> {
        train_with(options, tokenize(), &Meter::default())
    }

    fn corpus() -> tempfile::TempDir {
        // Tensors this small are not worth a second thread, which would only wait for those of other tests.
        crate::set_threads(Some(1));
        let dir = tempfile::tempdir().expect("a folder");
        write_manifest(dir.path(), 24, 10);
        dir
    }

    fn file(checkpoint: &Path, name: &str) -> Vec<u8> {
        std::fs::read(checkpoint.join(name)).expect("read")
    }

    /// Steps and losses, without times.
    fn losses(run: &Path) -> Vec<(u64, f64)> {
        Metrics::read(run).expect("read").iter().map(|row| (row.step, row.loss)).collect()
    }

    #[test]
    fn learns_and_leaves_a_model() {
        let dir = corpus();
        let meter = Meter::default();
        // A smaller step than the other tests take: so small a model falls into one place at theirs now and then.
        let long = TrainOptions { epochs: 30.0, lr: 4e-3, ..options(dir.path(), "run") };
        let summary = train_with(&long, tokenize(), &meter).expect("trained");
        assert!(summary.finished() && summary.steps == 90 && summary.samples == 720);
        assert_eq!((meter.done(), meter.total()), (90, 90));
        let rows = losses(&long.out);
        let last = rows[rows.len() - 5..].iter().map(|row| row.1).sum::<f64>() / 5.0;
        assert!(rows[0].1 > 2.0 && last < 1.8, "from ln 8 = 2.08 down: {rows:?}");
        let kept = std::fs::read_dir(long.out.join("checkpoints")).expect("listed").count();
        assert_eq!(kept, 2, "older checkpoints are removed");
        assert_eq!(find_checkpoint(&long.out).expect("found"), summary.checkpoint);
        assert_eq!(find_checkpoint(&summary.checkpoint).expect("found"), summary.checkpoint);
        assert_eq!(Clip::open(&summary.checkpoint, Device::Cpu).expect("loaded").config(), &long.model);
        assert!(matches!(find_checkpoint(dir.path()), Err(Error::Checkpoint { .. })));
    }

    #[test]
    fn a_resumed_run_is_the_uninterrupted_one() {
        let dir = corpus();
        let whole = run(&options(dir.path(), "whole")).expect("trained");
        // Stopped after every single step, because no time is allowed.
        let hasty = TrainOptions { max_time: Some(Duration::ZERO), resume: true, ..options(dir.path(), "hasty") };
        let mut sessions = 0;
        let last = loop {
            sessions += 1;
            let summary = run(&hasty).expect("trained");
            assert_eq!(summary.steps, sessions);
            if summary.finished() {
                break summary;
            }
        };
        assert_eq!(sessions, 12);
        for name in ["model.safetensors", "optimiser.safetensors"] {
            assert_eq!(file(&whole.checkpoint, name), file(&last.checkpoint, name), "{name}");
        }
        assert_eq!(whole.loss, last.loss);
        assert_eq!(losses(&hasty.out).len(), 12);
        assert_eq!(run(&hasty).expect("nothing left to do").checkpoint, last.checkpoint);
    }

    #[test]
    fn killed_between_files_of_a_checkpoint() {
        let dir = corpus();
        let whole = run(&options(dir.path(), "whole")).expect("trained");
        let killed = options(dir.path(), "killed");
        run(&killed).expect("trained");
        // As left by a kill while step 12 was written: no final name, metrics and events already ahead.
        let checkpoints = killed.out.join("checkpoints");
        let part = checkpoints.join("step-00000012.part");
        std::fs::rename(checkpoints.join("step-00000012"), &part).expect("renamed");
        std::fs::remove_file(part.join("state.json")).expect("removed");
        assert_eq!(Checkpoints::open(&killed.out).expect("opened").latest().expect("read").expect("one").1.step, 8);
        assert!(!part.exists(), "swept");
        let resumed = run(&TrainOptions { resume: true, ..killed.clone() }).expect("resumed");
        assert_eq!(file(&whole.checkpoint, "model.safetensors"), file(&resumed.checkpoint, "model.safetensors"));
        assert_eq!(losses(&killed.out), losses(&dir.path().join("whole")));
        // A folder with a final name that lacks a file is not taken either.
        std::fs::remove_file(resumed.checkpoint.join("optimiser.safetensors")).expect("removed");
        let again = run(&TrainOptions { resume: true, ..killed }).expect("resumed");
        assert_eq!(file(&whole.checkpoint, "optimiser.safetensors"), file(&again.checkpoint, "optimiser.safetensors"));
    }

    #[test]
    fn other_runs_are_not_overwritten() {
        let dir = corpus();
        let first = TrainOptions { epochs: 1.0, ..options(dir.path(), "run") };
        run(&TrainOptions { resume: true, ..first.clone() }).expect("nothing to resume is a fresh start");
        let held = std::fs::File::open(first.out.join("train.lock")).expect("there");
        held.try_lock().expect("locked");
        assert!(matches!(run(&first), Err(Error::InUse { .. })));
        drop(held);
        assert!(matches!(run(&first), Err(Error::RunExists { .. })));
        let other = run(&TrainOptions { resume: true, lr: 2e-2, ..first.clone() }).expect_err("refused").to_string();
        assert!(other.contains("lr 0.01") && other.contains("0.02"), "{other}");
        write_manifest(dir.path(), 32, 10);
        let other = run(&TrainOptions { resume: true, ..first }).expect_err("refused").to_string();
        assert!(other.contains("has manifest "), "{other}");
    }

    #[test]
    fn a_run_of_the_older_order_goes_on_with_a_warning() {
        let dir = corpus();
        let half = TrainOptions { max_time: Some(Duration::ZERO), ..options(dir.path(), "run") };
        let state = run(&half).expect("trained").checkpoint.join("state.json");
        let text = std::fs::read_to_string(&state).expect("read");
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("an object");
        assert_eq!(fields.remove("loader"), Some(LOADER_VERSION.into()));
        std::fs::write(&state, serde_json::to_vec(&fields).expect("text")).expect("written");
        let folder = state.parent().expect("a folder");
        let old = State::read(folder).expect("read");
        assert!(old.order_changed().expect("a warning").contains("order 1 of samples"));
        let summary = run(&TrainOptions { resume: true, max_time: None, ..half }).expect("resumed");
        assert!(summary.finished());
        assert_eq!(State::read(&summary.checkpoint).expect("read").order_changed(), None);
    }

    #[test]
    fn times_are_told_apart() {
        let dir = corpus();
        let short = options(dir.path(), "run");
        run(&short).expect("trained");
        for row in Metrics::read(&short.out).expect("read") {
            assert!(row.step_seconds > 0.0 && row.decode_seconds > 0.0 && row.wait_seconds >= 0.0, "{row:?}");
        }
    }

    #[test]
    fn divergence_stops_the_run_and_keeps_the_checkpoint() {
        let dir = corpus();
        let wild = TrainOptions { lr: 1e30, warmup: 0, checkpoint_every: CheckpointEvery::Steps(1), ..options(dir.path(), "run") };
        let error = run(&wild).expect_err("diverges");
        assert!(matches!(error, Error::Diverged { step: 1.., .. }), "{error}");
        assert!(Checkpoints::open(&wild.out).expect("opened").latest().expect("read").is_some());
    }

    #[test]
    fn every_option_runs() {
        let dir = corpus();
        for (i, (precision, augment, same_caption)) in
            [(Precision::Bf16, Augment::FlipShift, SameCaption::Positives), (Precision::Bf16, Augment::None, SameCaption::Negatives)]
                .into_iter()
                .enumerate()
        {
            let odd = TrainOptions {
                precision,
                augment,
                same_caption,
                clip_norm: Some(1.0),
                epochs: 0.7,
                ..options(dir.path(), &format!("run-{i}"))
            };
            assert_eq!(run(&odd).expect("trained").steps, 2, "the first of 2.1 batches' worth");
        }
        for bad in [
            TrainOptions { batch_size: 1, ..options(dir.path(), "bad") },
            TrainOptions { epochs: f64::NAN, ..options(dir.path(), "bad") },
            TrainOptions { lr: 0.0, ..options(dir.path(), "bad") },
            TrainOptions { manifests: vec![], ..options(dir.path(), "bad") },
        ] {
            assert!(matches!(bad.check(), Err(Error::Options { .. })));
            assert!(!bad.out.exists());
        }
    }
}

//! Tests of weights that other libraries wrote or shall read: archives of PyTorch, Hugging Face's names, broken files.
//!
//! The archives of `training/golden` hold the formula's weights, see [`crate::golden`].

use crate::{Choices, Clip, Error, Layout, ModelConfig, Naming, export, golden};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// The model that the archives hold, its weights from the formula.
fn archived() -> Clip {
    let json = r#"{ "name": "archive", "embed_dim": 8, "quick_gelu": true,
        "vision": { "kind": "vit", "image_size": 16, "layers": 2, "width": 16, "patch_size": 8, "head_width": 16 },
        "text": { "context_length": 16, "vocab_size": 20, "width": 8, "heads": 1, "layers": 2 } }"#;
    let config: ModelConfig = serde_json::from_str(json).expect("a description");
    let model = Clip::new(&config, Device::Cpu, 0).expect("built");
    golden::fill(&model);
    model
}

/// Largest difference of any weight.
fn distance(a: &Clip, b: &Clip) -> f64 {
    let tensors = |model: &Clip| model.parameters().into_iter().chain(model.buffers()).collect::<Vec<_>>();
    let pairs = tensors(a).into_iter().zip(tensors(b));
    pairs
        .map(|((name, a), (other, b))| {
            assert_eq!((&name, a.size()), (&other, b.size()));
            (a.detach() - b.detach()).abs().max().double_value(&[])
        })
        .fold(0.0, f64::max)
}

#[test]
fn archives_of_pytorch_come_back() {
    let model = archived();
    for (name, bound) in [("state.pt", 1e-6), ("training.pt", 1e-6), ("script.pt", 2e-3)] {
        let (found, understood) =
            Clip::open_as(&file(name), Device::Cpu, &Choices::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(distance(&found, &model) < bound, "{name}: {}", distance(&found, &model));
        let mut expected = model.config().clone();
        expected.name = found.config().name.clone();
        assert_eq!(found.config(), &expected, "{name}: what the shapes say");
        assert_eq!(understood.naming, Naming::OpenAi);
        assert_eq!(understood.kinds.contains(&"Half".to_string()), name == "script.pt", "{:?}", understood.kinds);
    }
}

#[test]
fn pickles_with_code_are_refused_and_not_run() {
    let message = Clip::open(&file("code.pt"), Device::Cpu).err().expect("refused").to_string();
    assert!(message.contains("posix.system") && message.contains("code.pt"), "{message}");
    assert!(!Path::new("/tmp/a-pickle-ran").exists());
}

#[test]
fn broken_archives_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("broken.pt");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        Clip::open(&path, Device::Cpu)
    };
    let model = archived();
    for name in ["state.pt", "script.pt"] {
        let whole = std::fs::read(file(name)).expect("read");
        for part in 0..20 {
            let cut = open(&whole[..whole.len() * part / 20]);
            assert!(matches!(cut, Err(Error::Weights { .. })), "{name} cut to {part} twentieths");
        }
        // A byte that is another one is noticed, or lies where nothing is read.
        let mut noticed = 0;
        for n in 0..200 {
            let mut bytes = whole.clone();
            bytes[whole.len() * n / 200 + n % 7] ^= 0x55;
            match open(&bytes) {
                Err(_) => noticed += 1,
                Ok(found) => assert!(distance(&found, &model) < 2e-3, "{name}, byte {n}"),
            }
        }
        assert!(noticed > 30, "{noticed} of 200 changes of {name} were noticed");
    }
}

#[test]
fn every_layout_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let model = archived();
    for (layout, name) in [(Layout::Diptych, "a"), (Layout::OpenClip, "b"), (Layout::HuggingFace, "c")] {
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).expect("made");
        export(&model, &folder, layout, Kind::Float).expect("written");
        let (again, understood) = Clip::open_as(&folder, Device::Cpu, &Choices::default()).expect("read");
        assert_eq!(distance(&again, &model), 0.0, "{layout:?}");
        assert_eq!(understood.naming == Naming::HuggingFace, layout == Layout::HuggingFace);
        // Without the note in the file the description beside it and the shapes must do.
        let mut config = again.config().clone();
        config.name = model.config().name.clone();
        assert_eq!(&config, model.config(), "{layout:?}");
        export(&model, &folder, layout, Kind::Half).expect("written");
        let half = Clip::open(&folder, Device::Cpu).expect("read");
        assert!(half.parameters().iter().all(|(_, tensor)| tensor.kind() == Kind::Float));
        assert!((1e-6..2e-3).contains(&distance(&half, &model)), "{layout:?} in 16 bits");
    }
    let resnet = Clip::new(&ModelConfig::find("small-resnet").expect("a model"), Device::Cpu, 0).expect("built");
    for layout in [Layout::OpenClip, Layout::HuggingFace] {
        let message = export(&resnet, dir.path(), layout, Kind::Float).expect_err("refused").to_string();
        assert!(message.contains("has no model with this image tower"), "{message}");
    }
}

#[test]
fn split_projections_are_joined_and_prefixes_dropped() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("split.safetensors");
    let model = archived();
    let mut tensors = Vec::new();
    for (name, tensor) in model.parameters() {
        let name = if name.starts_with("visual.") || name == "logit_scale" { name } else { format!("text.{name}") };
        match name.split_once("in_proj_") {
            Some((attention, kind)) => {
                let parts = ["q", "k", "v"].iter().zip(tensor.detach().chunk(3, 0));
                tensors.extend(parts.map(|(part, tensor)| (format!("module.{attention}{part}_proj.{kind}"), tensor)));
            }
            None => tensors.push((format!("module.{name}"), tensor.detach())),
        }
    }
    tensors.push(("module.context_length".to_string(), Tensor::from(16i64)));
    tensors.push(("module.text.attn_mask".to_string(), Tensor::zeros([16, 16], (Kind::Float, Device::Cpu))));
    crate::weights::save(&path, &tensors).expect("written");
    let found = Clip::open(&path, Device::Cpu).expect("read");
    assert_eq!(distance(&found, &model), 0.0);
    // One part of another width is no part.
    let wrong = tensors.iter_mut().find(|(name, _)| name.ends_with("0.attn.k_proj.weight")).expect("a part");
    wrong.1 = Tensor::zeros([8, 9], (Kind::Float, Device::Cpu));
    crate::weights::save(&path, &tensors).expect("written");
    assert!(Clip::open(&path, Device::Cpu).is_err());
}

#[test]
fn tables_of_positions_are_resized() {
    let larger = Choices { image_size: Some(32), quick_gelu: None };
    let (model, _) = Clip::open_as(&file("state.pt"), Device::Cpu, &larger).expect("read");
    let table = |model: &Clip| model.parameters().into_iter().find(|(name, _)| name == "visual.positional_embedding").expect("a table").1;
    let (small, large) = (table(&archived()), table(&model));
    assert_eq!((small.size(), large.size()), (vec![5, 16], vec![17, 16]));
    assert!(small.get(0).equal(&large.get(0)), "the row of the class stays");
    // Bicubic enlargement by 2 keeps the mean of a square nearly, and corners nearest to their own.
    let mean = |table: &Tensor| table.narrow(0, 1, table.size()[0] - 1).mean_dim([0i64].as_slice(), false, Kind::Float);
    assert!((mean(&small) - mean(&large)).abs().max().double_value(&[]) < 0.05);
    let corner = large.get(1);
    let nearest = (1..5).min_by_key(|&row| ((&corner - small.get(row)).square().sum(Kind::Float).double_value(&[]) * 1e6) as i64);
    assert_eq!(nearest, Some(1));
    assert!(Clip::open_as(&file("state.pt"), Device::Cpu, &Choices { image_size: Some(20), quick_gelu: None }).is_err());
}

#[test]
fn other_files_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("other.safetensors");
    let message = |tensors: &[(String, Tensor)]| {
        crate::weights::save(&path, tensors).expect("written");
        Clip::open(&path, Device::Cpu).err().expect("refused").to_string()
    };
    let alone = message(&[("embeddings.word_embeddings.weight".to_string(), Tensor::zeros([30, 8], (Kind::Float, Device::Cpu)))]);
    assert!(alone.contains("token_embedding.weight") && alone.contains("found nothing"), "{alone}");
    let parameters = || archived().parameters().into_iter().map(|(name, tensor)| (name, tensor.detach())).collect::<Vec<_>>();
    let mut wrong = parameters();
    wrong.iter_mut().find(|(name, _)| name == "ln_final.weight").expect("there").1 = Tensor::zeros([9], (Kind::Float, Device::Cpu));
    let wrong = message(&wrong);
    assert!(wrong.contains("ln_final.weight") && wrong.contains("[8]") && wrong.contains("[9]"), "{wrong}");
    let mut missing = parameters();
    missing.retain(|(name, _)| name != "visual.ln_post.bias");
    assert!(message(&missing).contains("visual.ln_post.bias"));
    let mut more = parameters();
    more.push(("visual.head.weight".to_string(), Tensor::zeros([2], (Kind::Float, Device::Cpu))));
    assert!(message(&more).contains("visual.head.weight"));
}

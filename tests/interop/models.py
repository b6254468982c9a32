#!/usr/bin/env python3
"""Models, weights and tokenizer against the installed open_clip and transformers: `make interop` runs it.

usage: models.py ROOT DIPTYCH FORWARD WORKDIR [PART...]      parts: counts tokens weights trained, names of the nine models; all without any

1. counts: parameters and entries of every shipped model that open_clip has too.
2. Each of the nine: the formula's weights saved by open_clip, read by diptych; features, logits and gradients in 32 bits, largest
   difference over largest number at most 1e-4 for every tensor; a gradient may differ more where open_clip's own does from one order
   of sums to another. Features of different inputs must differ.
3. weights: state dictionaries, TorchScript, half precision, transformers' folders, resized positions; and back into both libraries.
4. trained: what diptych trained gives the same logits in open_clip and transformers.
5. tokens: 10,000 strings.
"""
import gc
import json
import pathlib
import subprocess
import sys

import open_clip
import torch
from safetensors.torch import load_file, save_file

import formula
import tokens

ROOT, DIPTYCH, FORWARD, WORK = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
NINE = ["ViT-B-32", "ViT-B-16", "RN50", "RN101", "RN50x4", "RN50x16", "ViT-L-14", "ViT-L-14-336", "RN50x64"]
FAILED = []
BOUND = 1e-4
# Two samples of a rounding say how large it is, not how large another one may be.
SPREAD = 4


def run(program, *args, data=None):
    done = subprocess.run([program, *map(str, args)], cwd=WORK, capture_output=True, text=True, input=data)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, args))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def check(name, good, said):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {said}", flush=True)
    if not good:
        FAILED.append(name)


def error(a, b):
    most = float(b.abs().max())
    return float((a.double() - b.double()).abs().max()) / most if most else float(a.abs().max())


def counts():
    shown = {row["name"]: row for row in map(json.loads, run(DIPTYCH, "model", "show").splitlines())}
    wrong, seen = [], 0
    for name, ours in shown.items():
        config = open_clip.get_model_config(name)
        if config is None:
            continue
        with torch.device("meta"):
            model = open_clip.CLIP(**{key: value for key, value in config.items() if key != "quick_gelu"})
        numbers = sum(tensor.numel() for tensor in model.parameters())
        entries = len(model.state_dict())
        seen += 1
        if (numbers, entries) != (ours["parameters"], ours["entries"]):
            wrong.append(f"{name}: {ours['parameters']} in {ours['entries']}, expected {numbers} in {entries}")
    check("counts", seen >= 25 and not wrong, f"{seen} of {len(shown)} models are open_clip's too; {wrong or 'all equal'}")


def inputs(config, batch):
    side = config["vision"]["image_size"]
    images = torch.from_numpy(formula.images(batch, side))
    ids = torch.from_numpy(formula.ids(batch, config["text"]["context_length"], config["text"]["vocab_size"]))
    return images, ids


def features(model, images, ids):
    image, text = model.encode_image(images, normalize=True), model.encode_text(ids, normalize=True)
    return {"image": image, "text": text, "logits": model.logit_scale.exp() * image @ text.T}


def one_of_nine(name, batch=2):
    config = json.loads((ROOT / "training" / "models" / f"{name}.json").read_text())
    resnet = config["vision"]["kind"] == "resnet"
    model = open_clip.create_model(name, force_quick_gelu=True)
    formula.fill(model.state_dict())
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, WORK / "model.safetensors")
    images, ids = inputs(config, batch)
    if resnet:
        # The order of memory in which both compute: another order of sums lets other gradients through a ReLU here and there.
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    model.eval()
    theirs, alike = looked_at(model, images, ids)
    if alike >= 0.95:
        # The deepest nets, with weights from a formula, find these two pictures alike; others less so.
        images[1] = -images[0]
        theirs, alike = looked_at(model, images, ids)
    save_file({"images": images.contiguous(), "ids": ids, "pull": pull(len(ids))}, WORK / "input.safetensors")
    gradients = gradients_of(model, images, ids)
    noise = rounding(model, images, ids, gradients)
    theirs |= gradients
    del model, gradients
    gc.collect()
    run(FORWARD, "model.safetensors", "input.safetensors", "output.safetensors")
    ours = load_file(WORK / "output.safetensors")
    missing = set(theirs) ^ set(ours)
    # What is added to all keys of an attention changes nothing: its gradient is rounding alone.
    errors = sorted(((error(ours[key], theirs[key]), key) for key in theirs if not key.endswith("k_proj.bias")), reverse=True)
    own = lambda key: noise.get(key, 0)
    worst = ", ".join(f"{value:.1e} {key} (open_clip's own {own(key):.1e})" for value, key in errors[:2])
    # Written so that what is no number is above, too.
    above = [(value, key) for value, key in errors if not value <= BOUND]
    forward = max(error(ours[key], theirs[key]) for key in ("image", "text", "logits"))
    good = not missing and all(value <= SPREAD * own(key) for value, key in above) and forward <= BOUND and alike < 0.95
    check(name, good, f"{len(errors)} tensors, {len(above)} of them above {BOUND}, forward {forward:.1e}, worst {worst}; "
          f"largest cosine of different inputs {alike:.3f} {missing or ''}")
    for path in WORK.glob("*.safetensors"):
        path.unlink()


def looked_at(model, images, ids):
    """Features and logits, and the largest cosine of different pictures' or texts' features."""
    with torch.no_grad():
        found = {key: value.clone().contiguous() for key, value in features(model, images, ids).items()}
    return found, max(float((rows @ rows.T - torch.eye(len(rows))).max()) for rows in (found["image"], found["text"]))


def pull(batch):
    """Weights of the logits in the sum whose gradients are compared. The contrastive loss pulls alike features in opposite directions: what
    is left of its gradients is so small a difference of large numbers that 32 bits do not hold it to 1e-4 in a net of 100 layers."""
    return torch.from_numpy(formula.normals("pull", batch * batch).reshape(batch, batch))


def gradients_of(model, images, ids):
    model.zero_grad()
    (features(model, images, ids)["logits"] * pull(len(images))).sum().backward()
    return {f"grad.{key}": tensor.grad.clone(memory_format=torch.contiguous_format) for key, tensor in model.named_parameters()}


def rounding(model, images, ids, gradients):
    """How far open_clip's gradients are from themselves when sums are made in another order, on one thread or with pixels lying otherwise: a
    value that rounds to the other side of a ReLU's zero lets another gradient through, and behind a softmax that is nearly 0 and 1 a
    gradient is rounding alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    noise = {key: error(tensor, gradients[key]) for key, tensor in gradients_of(model, images, ids).items()}
    torch.set_num_threads(threads)
    model = model.to(memory_format=torch.contiguous_format)
    again = gradients_of(model, images.contiguous(), ids)
    return {key: max(noise[key], error(again[key], gradients[key])) for key in gradients}


def ours_of(path, images, ids):
    save_file({"images": images, "ids": ids, "pull": pull(len(ids))}, WORK / "input.safetensors")
    run(FORWARD, path, "input.safetensors", "output.safetensors")
    out = load_file(WORK / "output.safetensors")
    return {key: out[key] for key in ("image", "text", "logits")}


def same(name, theirs, ours, bound=BOUND):
    worst = max(error(ours[key], theirs[key].detach()) for key in ("image", "text", "logits"))
    check(name, worst <= bound, f"features and logits differ by {worst:.1e} of the largest")


SMALL = {"embed_dim": 64, "text_cfg": {"context_length": 77, "vocab_size": 600, "width": 128, "heads": 2, "layers": 2}}
VIT = {"image_size": 64, "layers": 2, "width": 128, "head_width": 64, "patch_size": 16}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}
CONFIG = {"vision": {"image_size": 64}, "text": SMALL["text_cfg"]}


def small(vision, quick=True):
    model = open_clip.CLIP(**SMALL, vision_cfg=vision, quick_gelu=quick)
    formula.fill(model.state_dict())
    return model.eval()


def weights():
    images, ids = inputs(CONFIG, 3)
    for name, vision in (("vit", VIT), ("resnet", RESNET)):
        model = small(vision)
        theirs = features(model, images, ids)
        torch.save(model.state_dict(), WORK / f"{name}.pt")
        same(f"{name}, state dictionary", theirs, ours_of(f"{name}.pt", images, ids))
        optimiser = torch.optim.AdamW(model.parameters())
        torch.save({"epoch": 1, "name": "x", "state_dict": {f"module.{key}": value for key, value in model.state_dict().items()},
                    "optimizer": optimiser.state_dict()}, WORK / f"{name}-training.pt")
        same(f"{name}, checkpoint of a distributed training", theirs, ours_of(f"{name}-training.pt", images, ids))
        traced = torch.jit.trace_module(model, {"encode_image": images[:1], "encode_text": ids[:1]}, check_trace=False)
        torch.jit.save(traced, WORK / f"{name}-script.pt")
        same(f"{name}, TorchScript", theirs, ours_of(f"{name}-script.pt", images, ids))
        # To the other libraries' folders and into them.
        run(DIPTYCH, "model", "convert", f"{name}.pt", "--to", "open-clip", "--out", f"{name}-open-clip")
        same(f"{name}, diptych to open_clip", features(open_clip.create_model(f"local-dir:{WORK}/{name}-open-clip").eval(), images, ids), theirs)
        same(f"{name}, open_clip's folder", theirs, ours_of(f"{name}-open-clip", images, ids))
        halved = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
        save_file(halved, WORK / f"{name}-half.safetensors")
        upcast = small(vision)
        upcast.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in halved.items()})
        same(f"{name}, half precision", features(upcast, images, ids), ours_of(f"{name}-half.safetensors", images, ids))
    transformers_folders(images, ids)
    resized()


def transformers_folders(images, ids):
    import transformers

    for quick in (True, False):
        theirs = features(small(VIT, quick), images, ids)
        torch.save(small(VIT, quick).state_dict(), WORK / "plain.pt")
        out = f"hugging-face-{quick}"
        run(DIPTYCH, "model", "convert", "plain.pt", "--to", "hugging-face", "--activation", "quick-gelu" if quick else "gelu", "--out", out)
        model = transformers.CLIPModel.from_pretrained(WORK / out).eval()
        same(f"diptych to transformers, quick {quick}", of_transformers(model, images, ids), theirs)
        model.save_pretrained(WORK / f"{out}-again")
        same(f"transformers to diptych, quick {quick}", theirs, ours_of(f"{out}-again", images, ids))


def of_transformers(model, images, ids):
    with torch.no_grad():
        # Their text tower reads off at the first end token, ours at the largest id: the same.
        out = model(input_ids=ids, pixel_values=images, attention_mask=None)
    return {"image": out.image_embeds, "text": out.text_embeds, "logits": out.logits_per_image}


def resized():
    model, larger = small(VIT), open_clip.CLIP(**SMALL, vision_cfg=VIT | {"image_size": 96}, quick_gelu=True).eval()
    state = dict(model.state_dict())
    open_clip.model.resize_pos_embed(state, larger)
    larger.load_state_dict(state)
    torch.save(model.state_dict(), WORK / "small.pt")
    run(DIPTYCH, "model", "convert", "small.pt", "--to", "diptych", "--image-size", 96, "--out", "large")
    images, ids = inputs({"vision": {"image_size": 96}, "text": SMALL["text_cfg"]}, 3)
    same("positions resized", features(larger, images, ids), ours_of("large", images, ids))


def trained():
    import PIL.Image
    import transformers

    for label, colour in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)]):
        for number in range(16):
            path = WORK / "pictures" / f"colour{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("RGB", (40, 40), tuple(min(255, part + number) for part in colour)).save(path)
    run(DIPTYCH, "import", "folder:pictures", "--split", "train", "--out", "imported")
    run(DIPTYCH, "tokenizer", "train", "--manifest", "imported/manifest.parquet", "--vocab-size", 530, "--out", "own.txt.gz")
    for name, own in (("clip-merges", []), ("own-merges", ["--tokenizer", "own.txt.gz"])):
        run(DIPTYCH, "train", "--manifest", "imported/manifest.parquet", "--model", "small-vit", "--epochs", 2, "--batch-size", 16, "--warmup", 2,
            "--precision", "fp32", "--device", "cpu", "--out", name, *own)
        shown = json.loads(run(DIPTYCH, "model", "show", name))
        images, ids = inputs({"vision": shown["model"]["vision"], "text": shown["model"]["text"]}, 4)
        ours = ours_of(next((WORK / name / "checkpoints").iterdir()), images, ids)
        for to in ("open-clip", "hugging-face"):
            run(DIPTYCH, "model", "convert", name, "--to", to, "--out", f"{name}-{to}")
        same(f"trained by diptych, {name}, in open_clip", ours, features(open_clip.create_model(f"local-dir:{WORK}/{name}-open-clip").eval(), images, ids))
        model = transformers.CLIPModel.from_pretrained(WORK / f"{name}-hugging-face").eval()
        same(f"trained by diptych, {name}, in transformers", ours, of_transformers(model, images, ids))


def strings():
    texts = tokens.strings(10_000)
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    ours = [json.loads(line) for line in run(DIPTYCH, "tokenizer", "encode", "--json", data=lines).splitlines()]
    theirs = tokens.expected(texts)
    wrong = [(text, a, b) for text, a, b in zip(texts, ours, theirs) if a != b]
    check("tokens", not wrong and len(ours) == len(texts), f"{len(texts)} strings, {len(set(texts))} different, {len(wrong)} differ {wrong[:2]}")
    if wrong:
        (WORK / "wrong.json").write_text(json.dumps(wrong))


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    parts = {"counts": counts, "tokens": strings, "weights": weights, "trained": trained}
    parts |= {name: (lambda name=name: one_of_nine(name)) for name in NINE}
    for name in sys.argv[5:] or parts:
        parts[name]()
    sys.exit(f"interop failed: {', '.join(FAILED)}" if FAILED else 0)


main()

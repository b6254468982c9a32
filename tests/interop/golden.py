#!/usr/bin/env python3
"""Writes training/golden/: figures of open_clip 3.3 that `make test` compares with, small archives of PyTorch, and token ids.

usage: golden.py ROOT        (in the environment that `make interop` makes; `make golden` calls it)
"""
import json
import os
import pathlib
import sys

import open_clip
import torch

import formula
import tokens

OUT = pathlib.Path(sys.argv[1]) / "training" / "golden"
TEXT = {"context_length": 16, "vocab_size": 200, "width": 32, "heads": 2, "layers": 2}
SMALL = {
    "small-vit": ({"kind": "vit", "image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32}, False),
    "small-vit-quick": ({"kind": "vit", "image_size": 48, "layers": 3, "width": 48, "patch_size": 16, "head_width": 16, "mlp_width": 120}, True),
    "small-resnet": ({"kind": "resnet", "image_size": 64, "layers": [1, 1, 1, 1], "width": 16}, True),
}


def build(description):
    """open_clip's model of a description of diptych's."""
    vision = {key: value for key, value in description["vision"].items() if key in ("image_size", "layers", "width", "patch_size", "head_width")}
    if "mlp_width" in description["vision"]:
        vision["mlp_ratio"] = description["vision"]["mlp_width"] / vision["width"]
    if description["vision"]["kind"] == "resnet":
        # Pool heads of 64 channels, at least one.
        vision |= {"patch_size": None, "head_width": min(64, 32 * vision["width"])}
    return open_clip.CLIP(description["embed_dim"], vision, description["text"], quick_gelu=description["quick_gelu"])


def figures(name, tensor):
    numbers = tensor.detach().double().flatten().numpy()
    signs = name + ".signs"
    negative = formula.fractions(signs, 0, len(numbers)) < 0.5
    total = float((numbers * (1 - 2 * negative)).sum()) / len(numbers) ** 0.5
    places = (fractions_from(formula.fnv(signs) ^ formula.np.uint64(1), 4) * len(numbers)).astype(int)
    return [float(f"{number:.9g}") for number in [abs(numbers).max(), total, *numbers[places]]]


def fractions_from(start, count):
    """As formula.fractions from a start that is no name's."""
    original = formula.fnv
    formula.fnv = lambda _: start
    try:
        return formula.fractions("", 0, count)
    finally:
        formula.fnv = original


def features(model, images, ids):
    image, text = model.encode_image(images, normalize=True), model.encode_text(ids, normalize=True)
    return image, text, model.logit_scale.exp() * image @ text.T


def golden(description, batch):
    model = build(description)
    formula.fill(model.state_dict())
    resnet = description["vision"]["kind"] == "resnet"
    images = torch.from_numpy(formula.images(batch, description["vision"]["image_size"]))
    ids = torch.from_numpy(formula.ids(batch, description["text"]["context_length"], description["text"]["vocab_size"]))
    model, images = model.double().eval(), images.double()
    with torch.no_grad():
        image, text, logits = features(model, images, ids)
    for rows in (image, text):
        alike = float((rows @ rows.T - torch.eye(batch)).max())
        assert alike < 0.95, f"{description['name']}: features of different inputs have a cosine of {alike}"
    model.train()
    products = features(model, images, ids)[2]
    target = torch.arange(batch)
    ((torch.nn.functional.cross_entropy(products, target) + torch.nn.functional.cross_entropy(products.T, target)) / 2).backward()
    rounded = lambda rows: [[float(f"{number:.9g}") for number in row] for row in rows.tolist()]
    return {
        "model": description, "batch": batch, "double": resnet, "image": rounded(image), "text": rounded(text), "logits": rounded(logits),
        "gradients": {name: figures(name, tensor.grad) for name, tensor in model.named_parameters()},
        "statistics": {name: figures(name, tensor) for name, tensor in model.named_buffers() if ".running_" in name},
    }


def archives(description):
    """The same weights as PyTorch writes them in several ways, and a pickle that would run a command."""
    model = build(description)
    formula.fill(model.state_dict())
    torch.save(model.state_dict(), OUT / "state.pt")
    prefixed = {"epoch": 3, "name": "run", "state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()},
                "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.98), "params": [0]}]}}
    torch.save(prefixed, OUT / "training.pt")
    half = model.half().eval()
    for name, tensor in half.named_parameters():
        if "ln_" in name or name == "logit_scale" or "embedding" in name:
            tensor.data = tensor.data.float()
    with torch.jit.optimized_execution(False):
        torch.jit.save(torch.jit.script(Holder(half).eval()), OUT / "script.pt")

    class Code:
        def __reduce__(self):
            return os.system, ("touch /tmp/a-pickle-ran",)

    torch.save({"visual.proj": Code()}, OUT / "code.pt")


class Holder(torch.nn.Module):
    """Weights under their names and nothing else: what a TorchScript archive keeps of a model, without its code."""

    def __init__(self, model):
        super().__init__()
        for name, tensor in list(model._parameters.items()) + list(model._buffers.items()):
            if tensor is not None and name != "attn_mask":
                self.register_buffer(name, tensor.detach())
        for name, child in model.named_children():
            self.add_module(name, Holder(child))

    def forward(self):
        return 0


def main():
    OUT.mkdir(exist_ok=True)
    for name, (vision, quick) in SMALL.items():
        description = {"name": name, "embed_dim": 24, "quick_gelu": quick, "vision": vision, "text": TEXT}
        write(name, golden(description, 3))
    archives({"name": "archive", "embed_dim": 8, "quick_gelu": True, "text": TEXT | {"vocab_size": 20, "width": 8, "heads": 1},
              "vision": {"kind": "vit", "image_size": 16, "layers": 2, "width": 16, "patch_size": 8, "head_width": 16}})
    for name in ("ViT-B-32", "RN50"):
        write(name, golden(json.loads((OUT.parent / "models" / f"{name}.json").read_text()), 2))
    tokens.write_golden(OUT / "tokens.jsonl")


def write(name, figures):
    (OUT / f"{name}.json").write_text(json.dumps(figures, separators=(",", ":")) + "\n")
    print(name, (OUT / f"{name}.json").stat().st_size, "bytes", flush=True)


main()

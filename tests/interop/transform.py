#!/usr/bin/env python3
"""The evaluation transform against torchvision's on real photographs.

usage: transform.py LOADER PHOTOS.tar WORKDIR

LOADER is the built example (cargo build --release -p training --example loader). The views of 224 and 64 pixels may differ from
torchvision's antialiased bicubic, on Pillow's pictures and on float tensors, by 1/255 on average at most.
"""
import pathlib
import subprocess
import sys
import tarfile

import numpy
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

PICTURES = 100


def views(picture: Image.Image, side: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The middle square by Pillow's 8-bit arithmetic, and by torch's floats."""
    by_pillow = F.center_crop(F.resize(picture, side, InterpolationMode.BICUBIC), [side, side])
    floats = torch.from_numpy(numpy.array(picture)).permute(2, 0, 1).float()
    by_torch = F.center_crop(F.resize(floats, side, InterpolationMode.BICUBIC, antialias=True).clamp(0, 255), [side, side])
    return numpy.array(by_pillow, dtype=numpy.float32), by_torch.permute(1, 2, 0).numpy()


def main(loader: str, photos: pathlib.Path, work: pathlib.Path) -> int:
    with tarfile.open(photos) as tar:
        members = [member for member in tar if member.isfile()][:PICTURES]
        tar.extractall(work, members=members)
    names = [str(work / member.name) for member in members]
    failed = 0
    for side in (224, 64):
        raw = subprocess.run([loader, "view", str(side), *names], check=True, capture_output=True).stdout
        ours = numpy.frombuffer(raw, dtype=numpy.uint8).reshape(len(names), side, side, 3).astype(numpy.float32)
        apart = numpy.zeros(2)
        worst = 0.0
        for view, name in zip(ours, names):
            # Decoders round differently; Pillow's pixels come from libjpeg-turbo, ours from a decoder in Rust.
            means = [numpy.abs(view - other).mean() for other in views(Image.open(name).convert("RGB"), side)]
            apart += numpy.array(means) / len(names)
            worst = max(worst, *means)
        print(f"{side} pixels, {len(names)} photographs: mean difference {apart[0]:.3f}/255 to Pillow, {apart[1]:.3f}/255 to torch, "
              f"worst picture {worst:.3f}/255")
        failed += apart.max() > 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])))

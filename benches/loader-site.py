#!/usr/bin/env python3
"""Photographs of different bytes for the loader's benchmark: each of photos.tar's in several random crops.

usage: loader-site.py PHOTOS.tar OUT [VARIANTS]

Writes OUT/site/*.jpg (JPEG, quality 90, 320 pixels on the shorter side) and OUT/list.csv with their addresses on loopback.
"""
import csv
import io
import pathlib
import random
import sys
import tarfile

from PIL import Image, ImageEnhance


def main(photos: pathlib.Path, out: pathlib.Path, variants: int, port: int) -> None:
    if (out / "complete").exists():
        return
    (out / "site").mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    with tarfile.open(photos) as tar, open(out / "list.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "caption"])
        for member in tar:
            if not member.isfile():
                continue
            picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            name = pathlib.Path(member.name).stem
            words = name.split("_", 1)[1].replace("_", " ")
            for variant in range(variants):
                width, height = picture.size
                share = draw.uniform(0.75, 1)
                w, h = int(width * share), int(height * draw.uniform(0.75, 1))
                left, top = draw.randint(0, width - w), draw.randint(0, height - h)
                view = picture.crop((left, top, left + w, top + h))
                scale = 320 / min(w, h)
                view = view.resize((max(320, round(w * scale)), max(320, round(h * scale))), Image.BICUBIC)
                view = ImageEnhance.Brightness(view).enhance(draw.uniform(0.8, 1.2))
                view.save(out / "site" / f"{name}-{variant}.jpg", quality=90)
                rows.writerow([f"http://127.0.0.1:{port}/{name}-{variant}.jpg", f"a photo of a {words}, number {variant}"])
    (out / "complete").touch()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int((sys.argv[3:] or ["16"])[0]), int((sys.argv[4:] or ["8938"])[0]))

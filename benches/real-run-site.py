#!/usr/bin/env python3
"""Builds the web site of the real run: pages that show CIFAR-10's training pictures and photographs, with captions.

usage: real-run-site.py DATA SITE

DATA holds cifar10.tar.xz (train/<class>/NNNN.jpg, test/...) and photos.tar (<WordNet id>_<class name>.JPEG).
SITE receives site/ (pages and pictures for a web server), test/ (CIFAR-10's test pictures) and names.txt (all class names).
"""
import html
import pathlib
import random
import sys
import tarfile

PHRASES = [
    "{}", "a {}", "the {}", "a photo of a {}", "a picture of a {}", "an image of the {}", "a small photo of the {}",
    "a blurry photo of a {}", "this is a {}", "one {} in a photo", "a low resolution picture of a {}", "my photo of the {}",
]
PER_PAGE = 100


def main(data: pathlib.Path, out: pathlib.Path) -> None:
    done = out / "complete"
    if done.exists():
        return
    site = out / "site"
    site.mkdir(parents=True, exist_ok=True)
    with tarfile.open(data / "cifar10.tar.xz") as tar:
        tar.extractall(out / "cifar")
    (root,) = [path.parent for path in (out / "cifar").rglob("train")]
    root.joinpath("train").rename(site / "cifar")
    root.joinpath("test").rename(out / "test")
    with tarfile.open(data / "photos.tar") as tar:
        tar.extractall(site / "photos")

    draw = random.Random(1)
    pictures = []
    names = set()
    for path in sorted(site.joinpath("cifar").rglob("*.jpg")):
        pictures.append((path, path.parent.name))
    for path in sorted(site.joinpath("photos").rglob("*.JPEG")):
        pictures.append((path, path.stem.split("_", 1)[1].replace("_", " ")))
    names.update(name for _, name in pictures)
    draw.shuffle(pictures)

    pages = [pictures[i : i + PER_PAGE] for i in range(0, len(pictures), PER_PAGE)]
    for number, page in enumerate(pages):
        images = "\n".join(
            f'<p><img src="/{path.relative_to(site).as_posix()}" alt="{html.escape(draw.choice(PHRASES).format(name))}"></p>'
            for path, name in page
        )
        site.joinpath(f"page{number}.html").write_text(f"<!doctype html><title>Page {number}</title>\n{images}\n")
    links = "\n".join(f'<a href="page{number}.html">page {number}</a>' for number in range(len(pages)))
    site.joinpath("index.html").write_text(f"<!doctype html><title>Pictures</title>\n{links}\n")
    out.joinpath("names.txt").write_text("".join(f"{name}\n" for name in sorted(names)))
    done.touch()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

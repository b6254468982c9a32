#!/usr/bin/env python3
"""Shards against the programs that read them: `make interop` runs it in virtual environments outside the tree.

usage: shards.py DIPTYCH WORKDIR PEERS

PEERS is a folder with wds-0.2/ and wds-1.0/ (webdataset, each on a path of its own), and where they could be installed energon/ (with
energon-deps/) and img/ (a virtual environment with img2dataset). The Python that runs this has torch, open_clip_torch, pyarrow, Pillow.

1. tar lists and unpacks every member.
2. webdataset 0.2 and 1.0 give the manifest's samples, each once, with its captions and pictures.
3. open_clip's trainer trains on them and reads sizes.json.
4. Megatron-Energon prepares and reads them.
5. After `diptych remove` all of them go on, without what was taken down.
6. What img2dataset downloads from a server on loopback is imported as a manifest and as a pool, and curated.
"""
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import threading

import pyarrow.parquet
from PIL import Image

DIPTYCH, WORK, PEERS = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
FAILED = []
SAMPLES = 96


def check(name, good, said):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {said}", flush=True)
    if not good:
        FAILED.append(name)


def run(*args, path=(), python=sys.executable, **more):
    """Runs a program in WORK; `path` goes before other Python packages."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]), OMP_NUM_THREADS="1")
    args = [python if arg == "python" else str(arg) for arg in args]
    return subprocess.run(args, cwd=WORK, capture_output=True, text=True, env=env, timeout=900, **more)


def diptych(*args):
    done = run(DIPTYCH, *args)
    if done.returncode:
        sys.exit(f"diptych {' '.join(map(str, args))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def pictures(folder):
    """Class folders of small pictures, all different."""
    draw = random.Random(7)
    for i in range(SAMPLES):
        place = folder / ["red fox", "grey wolf", "brown bear"][i % 3]
        place.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (64 + i, 80))
        image.putdata([(draw.randrange(256), (x * 7 + i) % 256, i) for x in range((64 + i) * 80)])
        image.save(place / f"{i:03}.jpg", quality=90)


def rows(folder):
    return pyarrow.parquet.read_table(WORK / folder / "manifest.parquet").to_pylist()


# What a webdataset of either version reads, as JSON lines: key, caption, captions of the record, size and hash of the pixels.
READER = """
import glob, hashlib, json, sys, webdataset
urls = sorted(glob.glob(sys.argv[1] + "/*.tar"))
kwargs = {"shardshuffle": False}
for sample in webdataset.WebDataset(urls, **kwargs).decode("pil"):
    picture = sample["jpg"]
    print(json.dumps([sample["__key__"], sample["txt"], sample["json"]["captions"], picture.size, hashlib.sha256(picture.tobytes()).hexdigest()]))
"""


def by_webdataset(version):
    done = run("python", "-c", READER, "shards", path=[PEERS / f"wds-{version}"])
    if done.returncode:
        check(f"webdataset {version}", False, done.stderr[-500:])
        return []
    return [json.loads(line) for line in done.stdout.splitlines()]


def expected():
    """The same, from the manifest and the bytes at its offsets."""
    found = []
    for row in rows("shards"):
        with open(WORK / "shards" / row["shard"], "rb") as tar:
            tar.seek(row["image_offset"])
            picture = Image.open(io.BytesIO(tar.read(row["image_length"]))).convert("RGB")
        found.append([row["sample_key"], row["captions"][0], row["captions"], list(picture.size), hashlib.sha256(picture.tobytes()).hexdigest()])
    return found


def webdatasets(when):
    truth = expected()
    for version in ["0.2", "1.0"]:
        found = by_webdataset(version)
        check(f"webdataset {version} {when}", found == truth, f"{len(found)} samples, the manifest has {len(truth)}")


def tar():
    members = 0
    for path in sorted((WORK / "shards").glob("*.tar")):
        listed = run("tar", "tvf", path)
        check(f"tar lists {path.name}", listed.returncode == 0 and not listed.stderr, listed.stderr or "quietly")
        members += len(listed.stdout.splitlines())
        unpacked = run("tar", "xOf", path, listed.stdout.splitlines()[1].split()[-1])
        check(f"tar unpacks {path.name}", unpacked.stdout in {row["captions"][0] for row in rows("shards")}, repr(unpacked.stdout))
    check("tar", members == 3 * SAMPLES, f"{members} members")


def open_clip(when):
    """One epoch of a small model; without --train-num-samples the trainer reads sizes.json."""
    done = run(
        "python", "-m", "open_clip_train.main", "--train-data", str(WORK / "shards" / "{00000..00003}.tar"), "--dataset-type", "webdataset",
        "--model", "ViT-S-32-alt", "--force-image-size", "64", "--batch-size", "8", "--epochs", "1", "--workers", "1", "--warmup", "1",
        "--precision", "fp32", "--device", "cpu", "--logs", "logs", "--log-every-n-steps", "1", "--name", when.replace(" ", "-"),
        path=[PEERS / "wds-1.0"],
    )
    said = done.stdout + done.stderr
    losses = [float(line.split("Loss:")[1].split()[0]) for line in said.splitlines() if "Train Epoch" in line and "Loss:" in line]
    good = done.returncode == 0 and losses and all(0 < loss < 20 for loss in losses)
    check(f"open_clip's trainer {when}", good, f"{len(losses)} steps, losses {losses[:3]}" if losses else said[-1500:])


ENERGON = """
import sys, json, pathlib
from megatron.energon import Cooker, DefaultTaskEncoder, WorkerConfig, basic_sample_keys, get_savable_loader, get_train_dataset, stateless
from megatron.energon.flavors.webdataset import BaseWebdatasetFactory
from megatron.energon import get_val_dataset, get_loader, SkipSample
worker = WorkerConfig(rank=0, world_size=1, num_workers=0)

@stateless
def cook(sample):
    return dict(**basic_sample_keys(sample), text=sample["txt"])

class Encoder(DefaultTaskEncoder):
    cookers = [Cooker(cook)]
    def batch(self, samples):
        return [sample["text"] for sample in samples]
    def encode_batch(self, batch):
        return batch

data = get_val_dataset(sys.argv[1], split_part="train", worker_config=worker, batch_size=1, task_encoder=Encoder())
for batch in get_loader(data):
    print(json.dumps(batch))
"""


def energon():
    path = [PEERS / "energon", PEERS / "energon-deps", PEERS / "wds-1.0"]
    if run("python", "-c", "import megatron.energon", path=path).returncode:
        print("left out: Megatron-Energon is not installed or cannot be imported by this Python")
        return
    done = run(
        "python", "-m", "megatron.energon.cli.main", "prepare", "--non-interactive", "--sample-type", "CrudeWebdataset", "--split-parts", "train:.*tar", "shards",
        path=path,
    )
    if done.returncode:
        check("Megatron-Energon prepares", False, (done.stdout + done.stderr)[-1500:])
        return
    done = run("python", "-c", ENERGON, "shards", path=path)
    found = sorted(text for line in done.stdout.splitlines() if line.startswith("[") for text in json.loads(line))
    truth = sorted(row["captions"][0] for row in rows("shards"))
    check("Megatron-Energon reads", found == truth, f"{len(found)} samples" if found else done.stderr[-1500:])


def removed():
    gone = rows("shards")[:10]
    hashes = [flag for row in gone for flag in ("--hash", row["image_id"])]
    diptych("remove", *hashes, "--shards", "shards")
    keys = {row["sample_key"] for row in rows("shards")}
    check("remove", len(keys) == SAMPLES - 10 and not keys & {row["sample_key"] for row in gone}, f"{len(keys)} samples are left")
    said = run(DIPTYCH, "verify", "shards")
    check("verify after it", said.returncode == 0, said.stdout or said.stderr)


def img2dataset():
    """A list with a missing picture, downloaded by img2dataset, imported in both ways."""
    python = PEERS / "img" / "bin" / "python"
    if not python.exists() or run(python, "-c", "import img2dataset").returncode:
        print("left out: img2dataset is not installed")
        return
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(WORK / "pictures"))
    http.server.SimpleHTTPRequestHandler.log_message = lambda *args: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files = sorted((WORK / "pictures").glob("*/*.jpg"))[:30]
    address = lambda path: f"http://127.0.0.1:{server.server_port}/{path.relative_to(WORK / 'pictures')}".replace(" ", "%20")
    lines = [f"{address(path)}\tpicture number {i} of an animal" for i, path in enumerate(files)]
    lines.append(f"http://127.0.0.1:{server.server_port}/nowhere.jpg\tnothing at all to see")
    (WORK / "list.tsv").write_text("url\tcaption\n" + "\n".join(lines) + "\n")
    (WORK / "download.py").write_text(DOWNLOAD)
    done = run(python, "download.py")
    if done.returncode:
        check("img2dataset downloads", False, (done.stdout + done.stderr)[-1500:])
        return
    diptych("import", "img2dataset:downloaded", "--out", "imported")
    found = {(row["image_url"], row["captions"][0]) for row in rows("imported")}
    truth = {tuple(line.split("\t")) for line in lines[:-1]}
    check("import img2dataset:", found == truth, f"{len(found)} pairs of {len(truth)}")
    diptych("import", "img2dataset:downloaded", "--corpus", "pool")
    diptych("curate", "--corpus", "pool", "--without", "min-side", "--without", "near-duplicate")
    outcomes = run(DIPTYCH, "sql", "--corpus", "pool", "--format", "csv", "-c", "select outcome, count(*) as n from candidates group by outcome order by n").stdout
    kept = len(rows("pool/selection/default"))
    check("import --corpus and curate", kept == len(truth) and "30" in outcomes and ",1" in outcomes, f"{kept} kept; {outcomes.split()}")
    said = run(DIPTYCH, "verify", "pool", "imported")
    check("verify of both", said.returncode == 0, said.stdout or said.stderr)


DOWNLOAD = """
from img2dataset import download
if __name__ == "__main__":
    download(url_list="list.tsv", input_format="tsv", url_col="url", caption_col="caption", output_format="webdataset", output_folder="downloaded",
             number_sample_per_shard=20, processes_count=1, thread_count=4, image_size=64, enable_wandb=False)
"""


def main():
    pictures(WORK / "pictures")
    diptych("import", "folder:pictures", "--split", "train", "--out", "set")
    diptych("shard", "--manifest", "set/manifest.parquet", "--out", "shards", "--shard-samples", "24")
    tar()
    webdatasets("as packed")
    open_clip("as packed")
    energon()
    removed()
    webdatasets("after a takedown")
    open_clip("after a takedown")
    img2dataset()
    if FAILED:
        sys.exit(f"{len(FAILED)} failed: {', '.join(FAILED)}")


main()

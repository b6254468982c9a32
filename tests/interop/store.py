#!/usr/bin/env python3
"""Shards in an object store that speaks S3 (moto's server, on loopback): `make interop-store` runs it.

usage: store.py DIPTYCH WORKDIR PORT        (with a Python that has moto[server], boto3 and Pillow)

1. `shard --out s3://...` puts the very bytes there that it writes to a folder.
2. `train` from there ends in the checkpoint that training from the folder ends in.
3. `import tar:s3://...` reads what others put there.
4. `verify` of the address finds no damage, and a flipped byte once there is one.
5. `remove` replaces the archive: the picture is gone, all other members are as they were, and the run that saw it is listed.
6. A bucket that is not there is named, and nothing is left.
"""
import io
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import time
import urllib.request

import boto3
from PIL import Image

DIPTYCH, WORK, PORT = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
KEYS = {"AWS_ACCESS_KEY_ID": "some", "AWS_SECRET_ACCESS_KEY": "thing", "AWS_REGION": "us-east-1"}
ENDPOINT = f"http://127.0.0.1:{PORT}"
ENV = {**os.environ, **KEYS, "AWS_ENDPOINT": ENDPOINT, "AWS_ALLOW_HTTP": "true", "OMP_NUM_THREADS": "1"}
FAILED = []


def check(name, good, said):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {said}", flush=True)
    if not good:
        FAILED.append(name)


def diptych(*args, good=True):
    done = subprocess.run([DIPTYCH, *map(str, args)], cwd=WORK, env=ENV, capture_output=True, text=True, timeout=900)
    if good and done.returncode:
        sys.exit(f"diptych {' '.join(map(str, args))}: exit {done.returncode}\n{done.stderr}")
    return done


def pack():
    """A tar of 96 captioned pictures, all different."""
    draw, out = random.Random(5), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for i in range(96):
            picture = io.BytesIO()
            small = Image.new("RGB", (6, 6))
            small.putdata([tuple(draw.randrange(256) for _ in range(3)) for _ in range(36)])
            small.resize((96, 80)).save(picture, "JPEG", quality=90)
            for kind, data in (("jpg", picture.getvalue()), ("txt", f"picture {i} of colours".encode())):
                info = tarfile.TarInfo(f"{i:04}.{kind}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def wait_for_server():
    for _ in range(100):
        try:
            urllib.request.urlopen(ENDPOINT, timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"no server at {ENDPOINT}")


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]


def main():
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", PORT], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_server()
        s3 = boto3.client("s3", endpoint_url=ENDPOINT, aws_access_key_id="some", aws_secret_access_key="thing", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        objects = lambda prefix: {o["Key"].rpartition("/")[2]: s3.get_object(Bucket="bucket", Key=o["Key"])["Body"].read()
                                  for o in s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])}
        s3.put_object(Bucket="bucket", Key="brought/00000.tar", Body=pack())

        diptych("import", "tar:s3://bucket/brought/00000.tar", "--out", "set")
        diptych("shard", "--manifest", "set/manifest.parquet", "--out", "local", "--holdout", "0.1")
        diptych("shard", "--manifest", "set/manifest.parquet", "--out", "s3://bucket/shards", "--holdout", "0.1")
        there, here = objects("shards/"), {path.name: path.read_bytes() for path in (WORK / "local").iterdir()}
        check("shard", there == here, f"{len(there)} objects, {len(here)} files")

        ends = []
        for name, place in (("far", "s3://bucket/shards"), ("near", "local")):
            diptych("train", "--manifest", f"{place}/manifest.parquet", "--model", "small-vit", "--out", f"runs/{name}", "--epochs", "1", "--batch-size", "16")
            ends.append({path.name: path.read_bytes() for path in sorted((WORK / "runs" / name / "checkpoints").glob("*/model.safetensors"))})
        check("train", bool(ends[0]) and ends[0] == ends[1], f"{len(ends[0])} checkpoints the same")

        whole = diptych("verify", "s3://bucket/shards")
        tar = there["00000.tar"]
        s3.put_object(Bucket="bucket", Key="shards/00000.tar", Body=tar[:700] + bytes([tar[700] ^ 1]) + tar[701:])
        spoilt = diptych("verify", "s3://bucket/shards", good=False)
        s3.put_object(Bucket="bucket", Key="shards/00000.tar", Body=tar)
        check("verify", "no damage" in whole.stderr and spoilt.returncode == 1 and "00000.tar" in spoilt.stdout, spoilt.stdout.strip().split("\n")[0])

        before = members(tar)
        listed = diptych("sql", "--shards", "local", "--format", "csv", "-c", "select image_id from shard_samples where split = 'train' limit 1").stdout
        said = diptych("remove", "--hash", listed.split()[-1], "--shards", "s3://bucket/shards", "--runs", "runs").stdout
        after = members(objects("shards/")["00000.tar"])
        gone = [i for i, (name, _) in enumerate(after) if "__removed__" in name]
        same = [pair for i, pair in enumerate(after) if i not in gone] == [pair for i, pair in enumerate(before) if i not in gone]
        erased = all(not any(after[i][1]) and len(after[i][1]) == len(before[i][1]) for i in gone)
        check("remove", bool(gone) and same and erased, f"{len(gone)} members of {len(after)} erased")
        check("runs", "far" in said, said.strip().replace("\n", "; "))

        lost = diptych("shard", "--manifest", "set/manifest.parquet", "--out", "s3://nowhere/shards", good=False)
        check("no bucket", lost.returncode == 1 and "nowhere" in lost.stderr, lost.stderr.strip()[-200:])
    finally:
        server.terminate()
        server.wait()
    sys.exit(f"failed: {', '.join(FAILED)}" if FAILED else 0)


main()

"""Pictures per second of processor time against img2dataset, on one list of photographs from nginx on loopback, in one run.

    fetch.py DIPTYCH PHOTOS.tar [--repeat N] [--rounds N] [--processes N] [--cpus 0,1]

Run it with the Python of a virtual environment that has img2dataset, numpy and OpenCV. Both sides make pictures of keep_ratio 256,
JPEG quality 95, in WebDataset tars with a Parquet table, from the same list (each photograph N times under names of its own, so that
both fetch each URL). img2dataset runs with a process for each core, as diptych uses all of them, and 32 threads in each, as its README
advises (--processes for another number); its processor time is that of all its processes. --cpus binds both sides to some processors, and
nginx to the others: where two processors are halves of one core, each is slower when both are busy, which costs most who uses both. Rounds alternate. Compared are the successes, and the pixels of the pictures of the first round: the median PSNR of
ours against theirs.
"""

import argparse
import glob
import io
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import cv2
import numpy as np

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000; types {{ image/jpeg jpg; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}/site; location ~ ^/r[0-9]+/(.*)$ {{ alias {folder}/site/$1; }} }}
}}
"""


def serve(photos, folder, port):
    site = folder / "site"
    site.mkdir()
    names = []
    with tarfile.open(photos) as tar:
        for member in tar:
            if member.isfile():
                name = f"{len(names):05}.jpg"
                (site / name).write_bytes(tar.extractfile(member).read())
                names.append(name)
    for path in [folder, site]:
        path.chmod(0o755)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    server = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    time.sleep(1)
    return server, names


def timed(command, folder):
    """Seconds on processors and by the wall, and the memory at most in MB, of a command with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    with open(folder / "said.txt", "w") as said:
        subprocess.run(command, check=True, stdout=said, stderr=said, env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return processor, time.monotonic() - begun, after.ru_maxrss / 1024


def pictures(pattern):
    """Pictures of tars by URL."""
    found = {}
    for path in sorted(glob.glob(pattern)):
        with tarfile.open(path) as tar:
            pending = {}
            for member in tar:
                stem, _, kind = member.name.rpartition(".")
                data = tar.extractfile(member).read()
                pending.setdefault(stem, {})[kind] = data
            for sample in pending.values():
                found[json.loads(sample["json"])["url"]] = sample["jpg"]
    return found


def psnr(ours, theirs):
    a = cv2.imdecode(np.frombuffer(ours, np.uint8), cv2.IMREAD_COLOR).astype(np.float64)
    b = cv2.imdecode(np.frombuffer(theirs, np.uint8), cv2.IMREAD_COLOR).astype(np.float64)
    if a.shape != b.shape:
        return None
    return 10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-9))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("diptych")
    parser.add_argument("photos")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--cpus", default=",".join(map(str, sorted(os.sched_getaffinity(0)))))
    parser.add_argument("--port", type=int, default=18934)
    parser.add_argument("--ours-only", action="store_true")
    flags = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp())
    ours, others = {int(cpu) for cpu in flags.cpus.split(",")}, os.sched_getaffinity(0)
    # A child inherits where it may run.
    os.sched_setaffinity(0, others - ours or others)
    server, names = serve(flags.photos, folder, flags.port)
    os.sched_setaffinity(0, ours)
    flags.processes = flags.processes or len(ours)
    result = {"photographs": len(names), "urls": len(names) * flags.repeat, "cpus": flags.cpus, "img2dataset_processes": flags.processes, "ours": [],
              "img2dataset": []}
    try:
        urls = [f"http://127.0.0.1:{flags.port}/r{round}/{name}" for round in range(flags.repeat) for name in names]
        rows = "".join(f"{url},photograph {n}\n" for n, url in enumerate(urls))
        (folder / "list.csv").write_text("url,caption\n" + rows)
        for _ in range(flags.rounds):
            shutil.rmtree(folder / "ours", ignore_errors=True)
            ours = [flags.diptych, "crawl", "--source", f"urls:{folder}/list.csv", "--corpus", str(folder / "ours"), "--allow-private",
                    "--host-rate", "0", "--host-connections", "32", "--image-size", "256", "--resize-mode", "keep_ratio",
                    "--resize-only-if-bigger", "false"]
            result["ours"].append(timed(ours, folder))
            if flags.ours_only:
                continue
            shutil.rmtree(folder / "theirs", ignore_errors=True)
            theirs = [str(pathlib.Path(sys.executable).parent / "img2dataset"), "--url_list", str(folder / "list.csv"), "--input_format",
                      "csv", "--url_col", "url", "--caption_col", "caption", "--output_folder", str(folder / "theirs"), "--output_format",
                      "webdataset", "--image_size", "256", "--resize_mode", "keep_ratio", "--encode_quality", "95", "--processes_count",
                      str(flags.processes), "--thread_count", "32", "--enable_wandb", "False"]
            result["img2dataset"].append(timed(theirs, folder))
        mine = pictures(f"{folder}/ours/pool/*.tar")
        result["ours_successes"] = len(mine)
        if not flags.ours_only:
            peers = pictures(f"{folder}/theirs/*.tar")
            values = [psnr(mine[url], peers[url]) for url in sorted(mine.keys() & peers.keys())]
            same = sorted(value for value in values if value is not None)
            result.update(img2dataset_successes=len(peers), same_successes=mine.keys() == peers.keys(), other_sides=values.count(None),
                          psnr_median=round(float(np.median(same)), 2), psnr_min=round(same[0], 2))
        for side in ("ours", "img2dataset"):
            speeds = sorted(len(urls) / processor for processor, _, _ in result[side])
            if speeds:
                result[f"{side}_per_cpu_second"] = [round(speed, 1) for speed in speeds]
        if result["img2dataset"]:
            middle = lambda side: result[f"{side}_per_cpu_second"][len(result[side]) // 2]
            result["times"] = round(middle("ours") / middle("img2dataset"), 2)
        for side in ("ours", "img2dataset"):
            result[side] = [{"cpu_s": round(a, 2), "wall_s": round(b, 2), "peak_mb": round(c)} for a, b, c in result[side]]
        print(json.dumps(result, indent=1))
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

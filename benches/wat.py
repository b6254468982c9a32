#!/usr/bin/env python3
"""The pairs of a WAT file by diptych and by a Python program on fastwarc and orjson, in one run; prints the ratio of their pace per core.

usage: wat.py DIPTYCH FILE.warc.wat.gz [ROUNDS=5]     (with the Python of an environment that has fastwarc and orjson)

FILE is one that benches/wat-file.py made of real pages. Both write every pair as a line of JSON to /dev/null; the rounds alternate, and
processor seconds of the whole process count (start of the interpreter included). The pairs of alt texts must be as many.
"""
import datetime
import gzip
import json
import os
import statistics
import subprocess
import sys

DIPTYCH, FILE, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wat-peer.py")


def processor(command, out):
    process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command}: status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def main():
    ours = [DIPTYCH, "pairs", "--source", f"wat:{FILE}"]
    theirs = [sys.executable, PEER, FILE]
    # Line by line: a child begins with its parent's memory, which its peak would count.
    alts = pairs = 0
    with subprocess.Popen(ours, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as listing:
        for line in listing.stdout:
            pairs += 1
            alts += json.loads(line)["field"] == "alt"
    counted = json.loads(subprocess.run(theirs, capture_output=True, check=True).stdout)
    size = sum(len(chunk) for chunk in iter(lambda file=gzip.open(FILE): file.read(1 << 20), b""))
    print(f"{datetime.date.today()}: {FILE}, {os.path.getsize(FILE) / 1e6:.0f} MB, {size / 1e6:.0f} MB unpacked")
    print(f"pairs of alt texts: diptych {alts} ({pairs} with titles), fastwarc + orjson {counted['pairs']}")
    times = {"diptych": [], "fastwarc + orjson": []}
    with open(os.devnull, "wb") as null:
        for _ in range(ROUNDS):
            for name, command in (("diptych", ours), ("fastwarc + orjson", theirs)):
                times[name].append(processor(command, null))
    medians = {}
    for name, runs in times.items():
        medians[name] = statistics.median(seconds for seconds, _ in runs)
        shown = " ".join(f"{seconds:.2f}" for seconds, _ in runs)
        print(f"{name}: {medians[name]:.2f} processor seconds (runs {shown}), {size / 1e6 / medians[name]:.0f} MB/s unpacked per core, peak {max(peak for _, peak in runs)} MiB")
    print(f"ratio: {medians['fastwarc + orjson'] / medians['diptych']:.2f}")


main()

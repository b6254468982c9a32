#!/usr/bin/env python3
"""The query list against decompression alone and wikiextractor, in one run; prints ratios and the memory curve.

usage: wordlist.py DIPTYCH DUMP.xml.bz2 [EXCERPT.xml.bz2]     (wikiextractor from the Python that runs this: 3.1.0)

DUMP is a large file that benches/wordlist-dump.py made; wikiextractor takes too long for it and is measured on EXCERPT, beside ours.
All run on the same cores (this process's affinity). Decompression alone is lbzip2 -n CORES, and bzip2 -d where it is not installed.
"""
import collections
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time


def measured(command, **options):
    """Seconds, processor seconds and peak MiB of a command, and its memory each second."""
    begin, curve = time.time(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    last = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.time() - last >= 1:
            last = time.time()
            try:
                text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                curve.append(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) // 1024)
            except (OSError, TypeError):
                pass
        time.sleep(0.01)
    if status:
        sys.exit(f"{command}: status {status}")
    return time.time() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, curve


def show(name, result, base=None):
    wall, cpu, peak, _ = result
    ratio = f", {wall / base[0]:.2f} times the wall and {cpu / base[1]:.2f} times the processor time" if base else ""
    print(f"{name}: {wall:.1f} s wall, {cpu:.1f} s processor, peak {peak} MiB{ratio}", flush=True)


def main():
    diptych, dump = sys.argv[1], sys.argv[2]
    excerpt = sys.argv[3] if len(sys.argv) > 3 else None
    cores = len(os.sched_getaffinity(0))
    print(f"{datetime.date.today()}, {cores} cores, {dump}: {os.path.getsize(dump)} bytes", flush=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(dump))) as folder:
        ours = [diptych, "wordlist", "--dump", dump, "--out", f"{folder}/queries.parquet"]
        show("bzip2 -d (one core)", bare := measured(["bzip2", "-dc", dump]))
        fast = measured(["lbzip2", "-d", "-n", str(cores), "-c", dump]) if shutil.which("lbzip2") else bare
        show(f"lbzip2 -d -n {cores}", fast)
        full = measured(ours)
        show("diptych wordlist, over bzip2", full, bare)
        show("diptych wordlist, over lbzip2", full, fast)
        print("its memory, MiB each 10 s:", *full[3][::10], flush=True)
        small = measured([*ours, "--memory", "64"])
        show("diptych wordlist --memory 64, over lbzip2", small, fast)
        print("its memory, MiB each 10 s:", *small[3][::10], flush=True)
        if excerpt:
            extract = [sys.executable, "-m", "wikiextractor.WikiExtractor", "-q", "--json", "--no-templates", "--processes", str(cores), "-o"]
            begin = time.time()
            measured([*extract, f"{folder}/texts", excerpt])
            counts = collections.Counter()
            for file in pathlib.Path(folder, "texts").rglob("wiki_*"):
                for line in file.open(encoding="utf-8"):
                    counts.update(re.findall(r"[^\W_]+(?:'[^\W_]+)*", json.loads(line)["text"].lower()))
            theirs = time.time() - begin
            mine = min(measured([diptych, "wordlist", "--dump", excerpt, "--min-count", "5", "--out", f"{folder}/q.parquet"])[0] for _ in range(3))
            print(f"{excerpt}: wikiextractor and a counter {theirs:.2f} s, diptych wordlist {mine:.2f} s: {theirs / mine:.1f} times as fast")


main()

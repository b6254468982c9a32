"""Captions a second per core against pyahocorasick, on the same entries and captions in one run.

    matching.py PROGRAM ENWIKI-EXCERPT.xml.bz2 [WORKDIR]

PROGRAM is `curation`'s example `matching`. Entries are the excerpt's words and the commonest rows of two to four of them, 500,000 in
all; captions are 300,000 stretches of 4 to 24 words of the same text, with its signs. Both sides start from the caption as it is,
space it after MetaCLIP's published rule (case counts), and end with the sorted ids of a caption, each once. The peer is the loop of
MetaCLIP's users: spaced text, `Automaton.iter`, a set. Rounds alternate; the medians are compared.
"""

import bz2
import collections
import json
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

import ahocorasick

ENTRIES, CAPTIONS = 500_000, 300_000


def texts(excerpt):
    """Lines of prose of the dump, roughly cleaned."""
    raw = bz2.open(excerpt, "rt", encoding="utf-8").read()
    for line in raw.splitlines():
        line = re.sub(r"<[^>]*>|&[a-z]+;|\[\[|\]\]|\{\{.*?\}\}|'''?|==+", " ", line)
        if len(line) > 60 and "|" not in line:
            yield " ".join(line.split())


def make(excerpt, folder):
    """Writes entries.txt and captions.txt."""
    rng = random.Random(1)
    lines = [line.split(" ") for line in texts(excerpt)]
    counts = collections.Counter()
    for words in lines:
        bare = [re.sub(r"[,.;:?!`\"()]", "", word) for word in words]
        for n in (1, 2, 3, 4):
            counts.update(" ".join(bare[i : i + n]) for i in range(len(bare) - n + 1) if all(bare[i : i + n]))
    single = [entry for entry, _ in counts.most_common() if " " not in entry]
    rows = [entry for entry, _ in counts.most_common() if " " in entry]
    entries = (single[:200_000] + rows)[:ENTRIES]
    long_lines = [words for words in lines if len(words) > 24]
    captions = []
    while len(captions) < CAPTIONS:
        words = rng.choice(long_lines)
        n = rng.randint(4, 24)
        at = rng.randrange(len(words) - n)
        captions.append(" ".join(words[at : at + n]))
    (folder / "entries.txt").write_text("\n".join(entries) + "\n")
    (folder / "captions.txt").write_text("\n".join(captions) + "\n")
    return entries, captions


def spaced(text):
    """The published spacing."""
    text = re.sub(r"([,.;:?!`])", r" \1 ", text)
    text = re.sub(r"[\t\n\r]", " ", text)
    return f" {text} "


def peer(automaton, captions):
    """Captions a second, matches, and the same sum as the program's."""
    begun = time.process_time()
    found = []
    for caption in captions:
        ids = sorted({index for _, index in automaton.iter(spaced(caption))})
        found.append(ids)
    speed = len(captions) / (time.process_time() - begun)
    matches = sum(map(len, found))
    total = 0
    for number, ids in enumerate(found, 1):
        for index in ids:
            total += number * 0x9E3779B9 * (2 * index + 1) & 0xFFFFFFFF
    return speed, matches, total


def main():
    program, excerpt = sys.argv[1:3]
    folder = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else pathlib.Path(tempfile.mkdtemp())
    entries, captions = make(excerpt, folder)
    begun = time.process_time()
    automaton = ahocorasick.Automaton()
    for index, entry in enumerate(entries):
        automaton.add_word(f" {entry} ", index)
    automaton.make_automaton()
    built = time.process_time() - begun
    ours, theirs, runs = [], [], []
    for _ in range(3):
        speed, matches, total = peer(automaton, captions)
        theirs.append(speed)
        said = subprocess.run(
            [program, str(folder / "entries.txt"), str(folder / "captions.txt"), "metaclip1"], check=True, capture_output=True, text=True
        )
        runs.append(json.loads(said.stdout))
        ours.append(runs[-1]["captions_per_second"])
        assert (runs[-1]["matches"], runs[-1]["sum"]) == (matches, total), (runs[-1], matches, total)
    ours, theirs = sorted(ours), sorted(theirs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({
        "entries": len(entries), "captions": len(captions), "matches": matches, "same_answers": True,
        "ours_captions_per_second": ours, "ours_build_seconds": sorted(run["build_seconds"] for run in runs),
        "ours_memory_mb": runs[0]["memory_mb"],
        "pyahocorasick_captions_per_second": [round(speed) for speed in theirs], "pyahocorasick_build_seconds": round(built, 2),
        "python_process_mb": round(memory), "times": round(ours[1] / theirs[1], 2),
    }, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The query list against Python peers: `make interop DATA=folder` runs it in a virtual environment outside the tree.

usage: wordlist.py DIPTYCH EXCERPT.xml.bz2 WORKDIR

1. Words: wikiextractor 3.1 and a plain tokenizer count the same dump. The thousand most frequent words must overlap by 97 %, and the
   median difference of their counts be 2 % at most.
2. Matching: captions are crawled (their pictures do not exist) with a list for each of the three rules; the queries found must be those
   of a plain loop written from the published description.
"""
import collections
import csv
import html
import io
import json
import pathlib
import re
import statistics
import subprocess
import sys
import unicodedata

DIPTYCH, EXCERPT, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
FAILED = []


def diptych(*args):
    done = subprocess.run([DIPTYCH, *map(str, args)], cwd=WORK, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"diptych {' '.join(map(str, args))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def check(name, good, said):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {said}")
    if not good:
        FAILED.append(name)


def extracted():
    """The texts of all articles as wikiextractor gives them. As plain text it leaves out all lists; its HTML has them, as ours."""
    out = WORK / "extracted"
    command = [sys.executable, "-m", "wikiextractor.WikiExtractor", "-q", "--json", "--html", "--no-templates", "--processes", "1", "-o", out, EXCERPT]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [plain(json.loads(line)["text"]) for file in sorted(out.rglob("wiki_*")) for line in file.open(encoding="utf-8")]


def plain(text):
    """What a reader sees of wikiextractor's HTML, which comes escaped; an anchor stands within a word, other tags between words."""
    text = re.sub(r"</?a\b[^>]*>", "", html.unescape(text))
    return html.unescape(re.sub(r"</?[a-z][^>]*>", " ", text))


def words(texts):
    ours = diptych("sql", "--corpus", "folded", "--format", "csv", "-c",
                   "select text, count from queries where source in ('word', 'number') order by count desc, text limit 1000")
    ours = {row["text"]: int(row["count"]) for row in csv.DictReader(io.StringIO(ours))}
    counts = collections.Counter()
    for text in texts:
        folded = unicodedata.normalize("NFKC", text).lower()
        counts.update(re.findall(r"[^\W_]+(?:['.][^\W_]+|(?<=[0-9]),(?=[0-9])[^\W_]+)*", folded))
    theirs = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:1000])
    both = ours.keys() & theirs.keys()
    check("most frequent words", len(both) >= 970, f"{len(both) / 10:.1f} % of the thousand most frequent are the same")
    differences = [abs(ours[word] - theirs[word]) / theirs[word] for word in both]
    check("counts", statistics.median(differences) <= 0.02, f"median difference {100 * statistics.median(differences):.2f} %")


CJK = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def published(caption):
    spaced = re.sub(r"([,.;:?!`])", r" \1 ", f" {caption} ")
    return re.sub(r"[\t\n\r]", " ", spaced)


def free(character):
    """Whether nothing need stand beside this end of an entry, by MetaCLIP 2's rule."""
    ascii_sign = character.isascii() and not character.isalnum() and not character.isspace()
    return bool(CJK.match(character)) or ascii_sign or unicodedata.category(character).startswith("P")


def plain_loop(rule, caption, entries):
    text = published(caption)
    if rule == "metaclip1":
        return {entry for entry in entries if f" {entry} " in text}
    edge = lambda character: "" if free(character) else " "
    return {entry for entry in entries if edge(entry[0]) + entry + edge(entry[-1]) in text}


def matching(texts):
    lines = [line.strip() for text in texts for line in text.split("\n")]
    captions = sorted({line[:160] for line in lines if len(line) > 40})[::12][:400]
    captions += ["東京タワーの夜, (cat) St. Louis", "A photo,of a cat; the U.S. Air-Force's \"plane\"", "red  car ... The the THE"]
    (WORK / "extra.txt").write_text("東京\nタワー\nSt. Louis\nred car\n(cat\ncat)\nThe\nU.S\n-Force\n...\n", encoding="utf-8")
    with (WORK / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "caption"])
        rows.writerows([f"http://127.0.0.1:9/{number}.jpg", caption] for number, caption in enumerate(captions))
    for rule in ["metaclip1", "metaclip2"]:
        diptych("wordlist", "--dump", EXCERPT, "--min-count", 5, "--match", rule, "--add", "extra.txt", "--out", f"{rule}.parquet")
        diptych("crawl", "--corpus", rule, "--queries", f"{rule}.parquet", "--source", "urls:captions.csv", "--allow-private", "--host-rate", 0)
        entries = diptych("sql", "--corpus", rule, "--format", "json", "-c", "select id, text from queries where cut = ''")
        entries = {row["id"]: row["text"] for row in map(json.loads, entries.splitlines())}
        pairs = diptych("sql", "--corpus", rule, "--format", "json", "-c", "select caption, query_ids from candidates")
        wrong, found, seen = [], 0, 0
        for row in map(json.loads, pairs.splitlines()):
            ours = {entries[query] for query in row["query_ids"]}
            wrong += [row["caption"]] if ours != plain_loop(rule, row["caption"], entries.values()) else []
            found, seen = found + len(ours), seen + 1
        check(f"matching by {rule}", not wrong and seen > 300, f"{seen} captions, {found} matches of {len(entries)} entries, {len(wrong)} captions differ {wrong[:2]}")


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    diptych("wordlist", "--dump", EXCERPT, "--min-count", 5, "--out", "folded/queries.parquet")
    texts = extracted()
    words(texts)
    matching(texts)
    sys.exit(f"interop failed: {', '.join(FAILED)}" if FAILED else 0)


main()

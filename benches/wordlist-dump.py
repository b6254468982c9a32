#!/usr/bin/env python3
"""A large dump made of a small one: its pages again and again, with some of their words changed, so that counts and vocabulary grow.

usage: wordlist-dump.py EXCERPT.xml.bz2 OUT.xml.bz2 GIGABYTES [--multistream]

Every copy replaces each 20th word of lower-case letters by one that only this copy has and each 50th by one of 200,000 others: distinct
words and pairs grow with the file, as they do in a real dump. The file is one bzip2 stream, as a -pages-articles.xml.bz2 is, or with
--multistream a stream for each 100 pages. The output is the same for the same arguments.
"""
import bz2
import random
import re
import subprocess
import sys

WORD = re.compile(r"(?<=[ \n])[a-z]{4,12}(?=[ ,.\n])")


def changed(page, copy, rng):
    def word(match):
        draw = rng.random()
        if draw < 0.05:
            return match[0] + "".join(chr(97 + int(digit)) for digit in str(copy))
        if draw < 0.07:
            return "x" + "".join(chr(97 + int(digit)) for digit in str(rng.randrange(200_000)))
        return match[0]

    return WORD.sub(word, page)


def main():
    excerpt, out, size = sys.argv[1], sys.argv[2], float(sys.argv[3]) * 1e9
    text = bz2.open(excerpt, "rt", encoding="utf-8").read()
    first, last = text.index("<page>"), text.rindex("</page>") + len("</page>\n")
    head, tail = text[:first], text[last:]
    pages = [page + "</page>\n" for page in text[first:last].split("</page>\n")[:-1]]
    multistream = "--multistream" in sys.argv
    with open(out, "wb") as file:
        packer = None if multistream else subprocess.Popen(["lbzip2", "-c"], stdin=subprocess.PIPE, stdout=file)

        def put(text):
            data = text.encode()
            if packer:
                packer.stdin.write(data)
            else:
                file.write(bz2.compress(data))
            return len(data)

        written, copy = put(head), 0
        while written < size:
            rng = random.Random(copy)
            again = [changed(page, copy, rng) for page in pages]
            written += sum(put("".join(again[at : at + 100])) for at in range(0, len(again), 100))
            copy += 1
        written += put(tail)
        if packer:
            packer.stdin.close()
            packer.wait()
    print(f"{written} bytes of XML, {copy} copies, {out}")


main()

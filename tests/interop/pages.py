#!/usr/bin/env python3
"""Images of real pages against an independent HTML5 parser: `make interop DATA=folder` runs it in a virtual environment outside the tree.

usage: pages.py DIPTYCH PAGES.tar.xz WORKDIR

The pages go into a WARC file, `diptych pairs` lists what it finds, and lexbor (through selectolax) with ada's URLs says what is there:
every `img` with an alt text must be found with the same absolute address and text. Where we differ on purpose the reason is counted:

- larger: another address of the same image is taken, from `srcset`, a `source` of its `picture`, or an attribute for lazy loading
- no-address: it has no address on the web, and none in the page that is an image
- too-many: a page gives 1,000 images
"""
import collections
import html
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import unicodedata

import ada_url
from selectolax.lexbor import LexborHTMLParser

DIPTYCH, PAGES, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
LAZY_SETS = ["data-srcset", "data-lazy-srcset", "srcset"]
LAZY = ["data-src", "data-original", "data-lazy-src", "data-lazy", "src"]


def caption(text):
    """diptych's form of captions (FORMAT.md)."""
    text = html.unescape(text)
    text = "".join(" " if c.isspace() or unicodedata.category(c) == "Cc" else c for c in unicodedata.normalize("NFC", text))
    return " ".join(text.split())[:1000].rstrip()


def canonical(url):
    """diptych's form of addresses, of one that the URL standard has parsed."""
    url = url.split("#")[0].removesuffix("?")

    def escape(match):
        byte = int(match[1], 16)
        plain = chr(byte)
        return plain if byte < 128 and (plain.isalnum() or plain in "-._~") else match[0].upper()

    return re.sub("%([0-9A-Fa-f]{2})", escape, url)


def absolute(text, base):
    """The canonical address on the web that `text` names, if it names one."""
    text = (text or "").strip()
    if not text or len(text) > 4096:
        return None
    try:
        url = ada_url.URL(text, base=base)
    except ValueError:
        return None
    if url.protocol not in ("http:", "https:") or not url.hostname:
        return None
    url.username = url.password = ""
    return canonical(url.href)


def sizes(srcset, base):
    """Addresses of a srcset: everything that may stand where one may."""
    return {absolute(part.rstrip(","), base) for part in re.split(r"\s+", srcset or "")} | {absolute(part.split()[0], base) for part in (srcset or "").split(",") if part.split()}


def others(node, base):
    """Other addresses at which the page offers the image."""
    found = set()
    for name in LAZY:
        found.add(absolute(node.attributes.get(name), base))
    for name in LAZY_SETS:
        found |= sizes(node.attributes.get(name), base)
    parent = node.parent
    while parent is not None and parent.tag not in ("picture", "body", "html"):
        parent = parent.parent
    if parent is not None and parent.tag == "picture":
        for source in parent.css("source"):
            for name in LAZY_SETS:
                found |= sizes(source.attributes.get(name), base)
    return found - {None}


def is_data_image(text):
    return (text or "").strip().lower().startswith("data:image/")


def warc(pages, path):
    with open(path, "wb") as file:
        for url, body in pages.items():
            message = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
            head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nContent-Length: {len(message)}\r\n\r\n"
            file.write(head.encode() + message + b"\r\n\r\n")


def main():
    pages = {}
    with tarfile.open(PAGES) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".html"):
                pages[f"https://{pathlib.Path(member.name).stem.lower()}.example.org/folder/page.html"] = tar.extractfile(member).read()
    warc(pages, WORK / "pages.warc")
    listed = subprocess.run([DIPTYCH, "pairs", "--source", f"warc:{WORK / 'pages.warc'}"], capture_output=True, check=True)
    ours = collections.defaultdict(set)
    for line in listed.stdout.splitlines():
        pair = json.loads(line)
        ours[pair["page_url"]].add((pair["url"], pair["caption"]))
    counts, failed = collections.Counter(), []
    for url, body in pages.items():
        tree = LexborHTMLParser(body.decode("utf-8", "replace"))
        bases = (absolute(node.attributes.get("href"), url) for node in tree.css("base"))
        base = next((found for found in bases if found), url)
        images = len({pair[0] for pair in ours[url]})
        for node in tree.css("img"):
            text = caption(node.attributes.get("alt") or "")
            if not text:
                continue
            counts["images with an alt text"] += 1
            src = absolute(node.attributes.get("src"), base)
            elsewhere = {address for address, said in ours[url] if said == text}
            if src and (src, text) in ours[url]:
                counts["same"] += 1
            elif elsewhere & others(node, base):
                counts["larger"] += 1
            elif not others(node, base) and is_data_image(node.attributes.get("src")):
                counts["in the page" if any(address.startswith("data:") for address in elsewhere) else "no-address"] += 1
            elif not others(node, base):
                counts["no-address"] += 1
            elif images >= 1000:
                counts["too-many"] += 1
            else:
                failed.append((url, node.attributes.get("src"), text, sorted(elsewhere)[:3]))
    print(f"{len(pages)} pages: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for failure in failed[:20]:
        print("FAIL", *failure)
    if failed or counts["same"] == 0:
        sys.exit(f"{len(failed)} images were not found as lexbor finds them")


main()

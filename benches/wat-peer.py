"""The pairs of a WAT file as a Python program finds them, with fastwarc and orjson: wat-peer.py FILE

What cc2dataset does, written anew: of each record with links, the images that have an alt text, their addresses resolved against the
page's base if it has one, http addresses only, and an MD5 of alt and address as identity. Prints seconds of CPU and the counts as JSON.
"""

import hashlib
import json
import sys
import time
from urllib.parse import urljoin

import orjson
from fastwarc.stream_io import FileStream, GZipStream
from fastwarc.warc import ArchiveIterator, WarcRecordType


def pairs(record):
    try:
        response = orjson.loads(record.reader.read())["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
        metadata = response["HTML-Metadata"]
        links = metadata["Links"]
    except (KeyError, ValueError):
        return []
    base = metadata.get("Head", {}).get("Base") or record.headers.get("WARC-Target-URI")
    found = []
    for link in links:
        if link.get("path") == "IMG@/src" and link.get("alt"):
            url = link.get("url") or ""
            if not url.startswith(("http://", "https://")):
                try:
                    url = urljoin(base, url)
                except ValueError:
                    continue
            if url.startswith(("http://", "https://")):
                found.append({"uid": hashlib.md5((link["alt"] + url).encode()).hexdigest(), "url": url, "alt": link["alt"]})
    return found


def main():
    begun, wall = time.process_time(), time.time()
    records = total = 0
    out = open("/dev/null", "wb")
    with open(sys.argv[1], "rb") as _:
        for record in ArchiveIterator(GZipStream(FileStream(sys.argv[1], "rb")), record_types=WarcRecordType.metadata):
            records += 1
            found = pairs(record)
            total += len(found)
            for pair in found:
                out.write(orjson.dumps(pair) + b"\n")
    print(json.dumps({"records": records, "pairs": total, "cpu_s": time.process_time() - begun, "wall_s": time.time() - wall}))


main()

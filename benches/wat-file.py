"""Writes a Common Crawl WAT file from real pages: wat-file.py PAGES_DIR OUT.warc.wat.gz [MIB=600]

Each page is parsed once (lexbor) into what Common Crawl's extractor writes: its head and all its links, in the page's order.
Then the pages are written again and again, each time as three records (request, response, metadata) with a gzip member each, under
another host and with a number in its addresses and alt texts, until the records have MIB mebibytes uncompressed.
"""

import sys
import zlib
from pathlib import Path

import orjson
from selectolax.lexbor import LexborHTMLParser

LINKS = [("a", "href"), ("area", "href"), ("img", "src"), ("iframe", "src"), ("embed", "src"), ("form", "action"), ("link", "href"), ("script", "src"), ("source", "src"), ("video", "src"), ("input", "src")]
MARK = "\x01"  # stands where the number of the copy goes


def marked(url):
    return url if url.startswith(("data:", "#", "javascript:")) else url + ("&" if "?" in url else "?") + "copy=" + MARK


def link(tag, attribute, node):
    attributes = node.attributes
    url = attributes.get(attribute)
    if url is None:
        return None
    entry = {"path": f"{tag.upper()}@/{attribute}", "url": marked(url)}
    for name in ("alt", "title", "rel", "target", "type", "srcset"):
        if attributes.get(name) is not None:
            entry[name] = attributes[name] + (" " + MARK if name == "alt" and attributes[name] else "")
    if tag == "a":
        entry["text"] = " ".join(node.text().split())[:500]
    return entry


def html_metadata(text):
    tree = LexborHTMLParser(text)
    names = dict(LINKS)
    head = {"Metas": [dict(node.attributes) for node in tree.css("meta")], "Link": [], "Scripts": []}
    title = tree.css_first("title")
    if title:
        head["Title"] = title.text()
    base = tree.css_first("base")
    if base and base.attributes.get("href"):
        head["Base"] = base.attributes["href"]
    links = []
    for node in tree.css(",".join(tag for tag, _ in LINKS)):
        entry = link(node.tag, names[node.tag], node)
        if entry:
            {"link": head["Link"], "script": head["Scripts"]}.get(node.tag, links).append(entry)
    return {"Head": head, "Links": links}


def envelope(kind, url, length, payload):
    return {
        "Container": {"Filename": "CC-MAIN-20260101000000-20260101030000-00000.warc.gz", "Compressed": True, "Offset": "80610308",
                      "Gzip-Metadata": {"Deflate-Length": str(length // 5), "Header-Length": "10", "Footer-Length": "8", "Inflated-CRC": "1106529533", "Inflated-Length": str(length)}},
        "Envelope": {"Payload-Metadata": payload, "Format": "WARC/1.0", "WARC-Header-Length": "357",
                     "WARC-Header-Metadata": {"WARC-Type": kind, "WARC-Date": "2026-01-01T01:58:10Z", "WARC-Record-ID": "<urn:uuid:292f457d-203c-42f2-a1b5-69a4dabefd4f>",
                                              "Content-Length": str(length), "Content-Type": f"application/http; msgtype={kind}", "WARC-IP-Address": "192.0.2.1", "WARC-Target-URI": url}},
    }


def records(name, text):
    url = f"https://site{MARK}.example.org/{name}.html"
    headers = {"User-Agent": "CCBot/2.0 (https://commoncrawl.org/faq/)", "Accept": "text/html", "Accept-Encoding": "br,gzip", "Host": f"site{MARK}.example.org"}
    yield url, envelope("request", url, 265, {"Actual-Content-Type": "application/http; msgtype=request", "HTTP-Request-Metadata": {"Request-Message": {"Method": "GET", "Path": f"/{name}.html", "Version": "HTTP/1.1"}, "Headers": headers}})
    response = {"Response-Message": {"Version": "HTTP/1.1", "Status": "200", "Reason": "OK"},
                "Headers": {"Content-Type": "text/html; charset=UTF-8", "Server": "nginx", "Vary": "Accept-Encoding", "Content-Length": str(len(text)), "Date": "Thu, 01 Jan 2026 01:58:10 GMT"},
                "HTML-Metadata": html_metadata(text), "Entity-Length": str(len(text)), "Entity-Digest": "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"}
    yield url, envelope("response", url, len(text), {"Actual-Content-Type": "application/http; msgtype=response", "HTTP-Response-Metadata": response, "Actual-Content-Length": str(len(text))})
    yield url, envelope("metadata", url, 200, {"Actual-Content-Type": "application/metadata-fields", "WARC-Metadata-Metadata": {"Metadata-Records": [{"Name": "fetchTimeMs", "Value": "340"}]}})


def main():
    pages, out, mib = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 600
    # JSON writes the mark as an escape; in addresses it stands as it is.
    templates = [(url, orjson.dumps(entry).replace(b"\\u0001", MARK.encode())) for page in sorted(pages.glob("**/*.html")) for url, entry in records(page.stem, page.read_text("utf-8", "replace"))]
    written, copy, packed = 0, 0, 0
    with open(out, "wb") as file:
        while written < mib << 20:
            copy += 1
            number = str(copy).encode()
            for url, template in templates:
                block = template.replace(MARK.encode(), number)
                head = (f"WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Target-URI: {url.replace(MARK, str(copy))}\r\nWARC-Date: 2026-01-02T00:00:00Z\r\n"
                        f"WARC-Record-ID: <urn:uuid:3d3f4785-c69a-4f8c-968c-d23302c55ef4>\r\nContent-Type: application/json\r\nContent-Length: {len(block)}\r\n\r\n").encode()
                record = head + block + b"\r\n\r\n"
                packer = zlib.compressobj(6, zlib.DEFLATED, 31)
                member = packer.compress(record) + packer.flush()
                file.write(member)
                written, packed = written + len(record), packed + len(member)
    print(f"{out}: {copy * len(templates)} records, {written / 1e6:.0f} MB, {packed / 1e6:.0f} MB packed", file=sys.stderr)


main()

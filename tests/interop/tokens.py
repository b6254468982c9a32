"""Strings of all scripts, emoji, HTML entities and broken Unicode, and the ids that open_clip gives them."""
import html.entities
import json
import random
import unicodedata

import ftfy.bad_codecs  # noqa: F401 (registers the encodings that keep unassigned bytes)

WORDS = """a photo of the red car on an old street with two dogs and cats it's don't we'll they've I'm he'd you're 'tis rock'n'roll O'Neill
naïve café déjà vu São Paulo Zürich Ærøskøbing Łódź Dvořák œuvre façade Straße ŒUVRE İstanbul ΟΔΥΣΣΕΥΣ Ελλάδα Москва Україна České
東京 北京 한국 서울 日本語 カメラ ｶﾒﾗ ＬＯＵＤ １２３ नमस्ते தமிழ் ไทย עברית العربية فارسی ქართული Հայերեն አማርኛ ភាសាខ្មែរ
100,000 3.14 24/7 #1 €5 £3 ½ m² 10°C 5′11″ @user http://example.org/a?b=c&d=e a_b-c.jpg C++ AT&T R&D 50% (c) © ® ™ — – … “x” ‘y’ «z»
ﬁne ﬂow ĳs ŉ Ǆ ǆ ﬅ ſt K Å Ω <b> </p> <start_of_text> <end_of_text> <END_OF_TEXT> <|endoftext|> 'ſ !!! ??? ... --- ''' \"\"\"""".split()
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "❤️", "☎", "🧑🏿‍🚀", "1️⃣", "🫠", "⁉️", "𝒜𝓑", "🄰", "𐍈", "𓀀", "𝟙"]
PAGES = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253", "sloppy-windows-1254",
         "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]
NAMES = sorted(html.entities.html5)
ASSIGNED = [chr(code) for code in range(0x80, 0x32000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")]
CONTROLS = [chr(code) for code in range(0x20)] + [chr(code) for code in range(0x7F, 0xA0)] + list("\ufeff\u200b\u200d\u2028\u2029\u206a\ufff9\ufffc\ufffd\u00a0\u3000\u202e")


def script(draw):
    """Letters that stand near each other in Unicode: mostly of one script."""
    start = draw.randrange(len(ASSIGNED))
    near = ASSIGNED[start:start + 120]
    return " ".join("".join(draw.choice(near) for _ in range(draw.randint(1, 8))) for _ in range(draw.randint(1, 6)))


def sentence(draw):
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 14)))


def entity(draw):
    name = draw.choice(NAMES)
    kind = draw.randrange(9)
    if kind == 0:
        return "&" + name.rstrip(";")
    if kind == 1:
        return "&" + name.upper()
    if kind == 2:
        return f"&#{draw.choice([0, 13, 27, 34, 38, 39, 59, 60, 128, 133, 150, 159, 55296, 64976, 65534, 65535, 1114112, 99999999999, draw.randrange(70000)])};"
    if kind == 3:
        return f"&#{draw.choice('xX')}{draw.choice([0x27, 0x3C, 0x85, 0xD800, 0xFFFE, 0x1F600, draw.randrange(0x30000)]):x}{draw.choice([';', '', ' ', 'g;'])}"
    if kind == 4:
        return "&amp;" + name
    if kind == 5:
        return "&amp;amp;" + draw.choice(["lt;", "quot;", "#39;", "eacute;"])
    return "&" + name


def misread(draw):
    """UTF-8 read as something else, once or twice, sometimes with bytes lost on the way."""
    text = draw.choice([sentence, sentence, script])(draw) + draw.choice(["", draw.choice(EMOJI), "’s", " “q” …", " à la"])
    for _ in range(draw.choice([1, 1, 1, 2])):
        data = text.encode("utf-8", "replace")
        kind = draw.randrange(8)
        if kind == 0:
            data = data.replace(b"\xa0", b" ")
        elif kind == 1:
            data = bytes(byte if byte < 0x80 or draw.random() > 0.1 else 0x1A for byte in data)
        elif kind == 2:
            data = text.encode("utf-16-be", "surrogatepass")
            units = [data[at:at + 2] for at in range(0, len(data), 2)]
            data = b"".join(chr(int.from_bytes(unit, "big")).encode("utf-8", "surrogatepass") for unit in units)
        elif kind == 3:
            data = data[: draw.randrange(len(data) + 1)]
        page = draw.choice(PAGES)
        text = data.decode(page, "replace")
        if draw.randrange(6) == 0:
            text = data.decode(page.removeprefix("sloppy-"), "replace")
    return text


def broken(draw):
    data = bytearray(sentence(draw).encode())
    for _ in range(draw.randint(1, 4)):
        data.insert(draw.randrange(len(data) + 1), draw.randrange(256))
    text = data.decode("utf-8", "replace")
    for _ in range(draw.randint(0, 4)):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + draw.choice(CONTROLS + ["\r\n", "\x1b[31m", "\x1b[0;٣m", "\x1b[", "e\u0301", "\u0323\u0307", "ﷺ", "ﾞ"]) + text[at:]
    return text


def mixed(draw):
    parts = [draw.choice([sentence, script, entity, misread, broken, lambda draw: draw.choice(EMOJI)])(draw) for _ in range(draw.randint(2, 5))]
    return draw.choice([" ", "", "\n", " <", "\u2028"]).join(parts)


def strings(count, seed=7):
    draw = random.Random(seed)
    kinds = [sentence, script, misread, broken, mixed, lambda draw: f"{sentence(draw)} {entity(draw)}{entity(draw)}",
             lambda draw: sentence(draw) + draw.choice(EMOJI) + draw.choice(EMOJI) + script(draw), lambda draw: "".join(draw.choice(ASSIGNED) for _ in range(draw.randint(0, 30)))]
    # What UTF-8 cannot carry cannot be in a caption.
    return [kinds[n % len(kinds)](draw).encode("utf-8", "replace").decode() for n in range(count)]


def expected(texts):
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    rows = []
    for text in texts:
        ids = [tokenizer.sot_token_id] + tokenizer.encode(text) + [tokenizer.eot_token_id]
        rows.append(ids if len(ids) <= 77 else ids[:76] + [tokenizer.eot_token_id])
    return rows


def write_golden(path):
    texts = strings(400, seed=11)
    path.write_text("".join(json.dumps([text, ids]) + "\n" for text, ids in zip(texts, expected(texts))))

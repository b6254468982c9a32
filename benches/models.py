#!/usr/bin/env python3
"""Forward passes of the nine models and the tokenizer against open_clip, in one run on the same cores; prints a table.

usage: models.py PACE TOKENS [MODEL...]      (from the Python of `make interop`; PACE and TOKENS are the programs of training/examples)

The two programs take turns, pass by pass, and the fastest pass of each counts. Pictures and texts are random; texts have 16 tokens, as a
sentence about a picture has. open_clip pads texts to 77 tokens, diptych to the longest of the batch: both are measured as they are
used, and the text tower at equal length (77) too. open_clip's bf16 is its own `pure_bf16`.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import open_clip
import torch

PACE, TOKENS, *CHOSEN = sys.argv[1:]
# Batches such that a pass takes a second or two on two cores.
BATCHES = {"ViT-B-32": 16, "ViT-B-16": 8, "RN50": 8, "RN101": 8, "RN50x4": 4, "RN50x16": 2, "ViT-L-14": 2, "ViT-L-14-336": 1, "RN50x64": 1}
ROUNDS = 4


class Ours:
    def __init__(self, name, batch, tokens, precision):
        command = [PACE, name, str(batch), str(tokens), precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def seconds(self, tower):
        self.process.stdin.write(tower + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    def __init__(self, name, batch, tokens, precision):
        self.model = open_clip.create_model(name, precision={"fp32": "fp32", "bf16": "pure_bf16"}[precision], force_quick_gelu=True).eval()
        side = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
        self.images = torch.randn(batch, 3, side, side, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
        self.ids = torch.zeros(batch, 77, dtype=torch.long)
        self.ids[:, :tokens] = torch.randint(1, 40000, (batch, tokens))
        self.ids[:, 0], self.ids[:, tokens - 1] = 49406, 49407

    @torch.no_grad()
    def seconds(self, tower):
        begin = time.perf_counter()
        self.model.encode_image(self.images) if tower == "image" else self.model.encode_text(self.ids)
        return time.perf_counter() - begin


def passes(name, batch, precision):
    """Fastest seconds of both, for pictures, texts as they are used, and texts of equal length."""
    out = {}
    theirs = Theirs(name, batch, 16, precision)
    for what, tower, tokens in (("image", "image", 16), ("text", "text", 16), ("text 77", "text", 77)):
        if tokens == 77:
            theirs = Theirs(name, batch, 77, precision)
        if what != "text":
            ours = Ours(name, batch, tokens, precision)
        best = [1e9, 1e9]
        for _ in range(ROUNDS + 1):
            for at, side in enumerate((ours, theirs)):
                # Threads of the other program spin for a moment after their last pass.
                time.sleep(0.25)
                best[at] = min(best[at], side.seconds(tower))
        out[what] = best
        if what != "image":
            ours.close()
    return out


def models():
    print("| model | batch | precision | pictures/s, diptych : open_clip | texts/s | texts/s at 77 tokens |\n|---|---|---|---|---|---|")
    for name in CHOSEN or BATCHES:
        for precision in ("fp32", "bf16"):
            batch = BATCHES[name]
            rates = [f"{batch / ours:.2f} : {batch / theirs:.2f} = {theirs / ours:.2f}" for ours, theirs in passes(name, batch, precision).values()]
            print(f"| {name} | {batch} | {precision} | {' | '.join(rates)} |", flush=True)


def tokens():
    from open_clip.tokenizer import SimpleTokenizer

    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "interop"))
    import tokens as strings

    draw = strings.random.Random(3)
    plain = [word for word in strings.WORDS if word.isascii() and "&" not in word and "<" not in word]
    sets = {
        "plain captions": [" ".join(draw.choice(plain) for _ in range(draw.randint(4, 16))) for _ in range(5000)],
        "all scripts, entities, broken": [text.replace("\n", " ").replace("\r", " ") for text in strings.strings(2000)],
    }
    print("\n| strings | diptych, strings/s on one core | open_clip | ratio |\n|---|---|---|---|")
    for name, texts in sets.items():
        tokenizer = SimpleTokenizer()
        tokenizer(texts[:200])
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(texts))
            file.flush()
            best = [0.0, 0.0]
            for _ in range(3):
                begin = time.perf_counter()
                [tokenizer.encode(text) for text in texts]
                best[1] = max(best[1], len(texts) / (time.perf_counter() - begin))
                said = subprocess.run([TOKENS, file.name, "3"], capture_output=True, text=True, check=True).stdout
                best[0] = max([best[0]] + [float(line.split()[0]) for line in said.splitlines()])
        print(f"| {name} | {best[0]:,.0f} | {best[1]:,.0f} | {best[0] / best[1]:.1f} |", flush=True)


def main():
    model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    print(f"{time.strftime('%Y-%m-%d')}, {len(os.sched_getaffinity(0))} cores of {model}, torch {torch.__version__}, open_clip {open_clip.__version__}, {torch.get_num_threads()} threads\n")
    if "none" not in CHOSEN:
        models()
    tokens()


if __name__ == "__main__":
    main()

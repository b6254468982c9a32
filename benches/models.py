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
ROUNDS = 3


class Ours:
    def __init__(self, name, batch, precision):
        command = [PACE, name, str(batch), precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def seconds(self, tokens):
        self.process.stdin.write(f"text {tokens}\n" if tokens else "image\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    def __init__(self, name, batch, precision):
        self.model = open_clip.create_model(name, precision={"fp32": "fp32", "bf16": "pure_bf16"}[precision], force_quick_gelu=True).eval()
        side = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
        self.images = torch.randn(batch, 3, side, side, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)

    @torch.no_grad()
    def seconds(self, tokens):
        ids = torch.zeros(len(self.images), 77, dtype=torch.long)
        ids[:, :tokens] = torch.randint(1, 40000, (len(ids), tokens))
        ids[:, 0], ids[:, tokens - 1] = 49406, 49407
        begin = time.perf_counter()
        self.model.encode_text(ids) if tokens else self.model.encode_image(self.images)
        return time.perf_counter() - begin


def passes(name, batch, precision):
    """Fastest seconds of both for pictures, texts of 16 tokens, texts of 77."""
    out = []
    ours, theirs = Ours(name, batch, precision), Theirs(name, batch, precision)
    for tokens in (0, 16, 77):
        best = [1e9, 1e9]
        for _ in range(ROUNDS):
            for at, side in enumerate((ours, theirs)):
                # Threads of the other program spin for a moment after their last pass.
                time.sleep(0.2)
                best[at] = min(best[at], side.seconds(tokens))
        out.append(best)
    ours.close()
    return out


def models():
    print("| model | batch | precision | pictures/s, diptych : open_clip | texts/s | texts/s at 77 tokens |\n|---|---|---|---|---|---|")
    for name in CHOSEN or BATCHES:
        for precision in ("fp32", "bf16"):
            batch = BATCHES[name]
            rates = [f"{batch / ours:.2f} : {batch / theirs:.2f} = {theirs / ours:.2f}" for ours, theirs in passes(name, batch, precision)]
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

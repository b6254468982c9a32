#!/usr/bin/env python3
"""Samples a second of Python's webdataset with open_clip's training transform, as open_clip's trainer puts them together.

usage: loader-peer.py SHARDS [SECONDS] [PROCESSES] [BATCH] [SIDE]

SHARDS is a folder of WebDataset tars. Prints one JSON object.
"""
import json
import pathlib
import sys
import time

import open_clip
import torch
import webdataset as wds


def main(folder: pathlib.Path, seconds: float, processes: int, batch: int, side: int) -> None:
    preprocess = open_clip.image_transform(side, is_train=True)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    urls = sorted(str(path) for path in folder.glob("*.tar"))
    # open_clip's pipeline (open_clip_train/data.py): resampled shards, a shuffle of 5,000 samples that starts at 1,000.
    pipeline = wds.DataPipeline(
        wds.ResampledShards(urls),
        wds.tarfile_to_samples(handler=wds.warn_and_continue),
        wds.shuffle(bufsize=5000, initial=1000),
        wds.decode("pilrgb", handler=wds.warn_and_continue),
        wds.rename(image="jpg;png;jpeg;webp", text="txt"),
        wds.map_dict(image=preprocess, text=lambda text: tokenizer(text)[0]),
        wds.to_tuple("image", "text"),
        wds.batched(batch, partial=False),
    )
    loader = iter(wds.WebLoader(pipeline, batch_size=None, shuffle=False, num_workers=processes, persistent_workers=True))
    # Each process fills its shuffle first; counting begins when all of them have brought two batches or more.
    for _ in range(2 * processes + 2):
        images, texts = next(loader)
    assert images.shape == (batch, 3, side, side) and images.dtype == torch.float32 and texts.shape[0] == batch
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        next(loader)
        done += batch
    took = time.perf_counter() - begin
    print(json.dumps({
        "samples_per_second": done / took, "samples": done, "seconds": took, "processes": processes, "batch": batch, "side": side,
        "webdataset": wds.__version__, "open_clip": open_clip.__version__, "torch": torch.__version__,
    }), flush=True)


if __name__ == "__main__":
    defaults = [15.0, 2, 256, 224]
    given = [type(default)(text) for default, text in zip(defaults, sys.argv[2:])]
    main(pathlib.Path(sys.argv[1]), *given, *defaults[len(given):])

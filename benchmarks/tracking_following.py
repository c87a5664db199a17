"""Targets followed, frames a second, against the encoder alone on the same search images.

Run: python -m benchmarks.tracking_following [--types correlation swintrack] [--batches 1 16]
[--recipe tiny|paper] [--frames N] [--repeats N] [--image HEIGHT WIDTH] [--device cpu|cuda]. The
encoder is the shipped MAE with `tiny`'s settings, or a new Swin-T with the published ones of
SwinTrack-Tiny; the fusion is untrained. The tracker's time is from the first frame to the
rows: decoding of JPEGs, crops, network, post-processing; the encoder's is for the search images
that the tracker gave it (and templates of their size), in the same batches. The pairs
are interleaved and their order alternates. On a CPU the time is the work of all threads, torch with
one and those that decode, which other programs do not lengthen; on a GPU it is wall time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from torch import Tensor

import backbones
from tasks.tracking.building import build
from tasks.tracking.following import follow
from tasks.tracking.matching import Matcher
from tasks.tracking.recipe import TrackingRecipe
from tasks.tracking.sequences import Frames
from tasks.tracking.task import Tracking


class Encoded(Frames):
    """Frames as JPEG files in memory: what is decoded, without a disk."""

    def __init__(self, length: int, size: tuple[int, int], seed: int) -> None:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (length, 12, 16, 3), np.uint8)
        frames = [cv2.resize(each, size[::-1], interpolation=cv2.INTER_CUBIC) for each in coarse]
        self._files = [cv2.imencode(".jpg", each)[1] for each in frames]

    def __len__(self) -> int:
        return len(self._files)

    def read(self, frame: int) -> Any:
        return cv2.imdecode(self._files[frame], cv2.IMREAD_COLOR_RGB)

    def name(self, frame: int) -> str:
        return str(frame)


SWIN_TINY = {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": 3, "window_size": 7}


def matcher(kind: str, name: str, device: str) -> Matcher:
    """The tracker of a `model.type`, with the settings of a recipe."""
    given = yaml.safe_load((Tracking.recipes / f"{name}.yaml").read_text())
    given["protocol"] = "frozen"
    given["model"] = given.get("model", {}) | {"type": kind}
    recipe = TrackingRecipe.model_validate(given)
    size = recipe.backbone.input_size
    if name == "tiny":
        encoder = backbones.load("mae_vit_micro", input_size=size)
    else:
        encoder = backbones.create("swin", SWIN_TINY, size, seed=0)
    model = build(encoder, recipe).to(device)
    model.initialise(0)
    return model.eval()


def batch(count: int, length: int, size: tuple[int, int], device: str) -> dict[str, Any]:
    """`count` sequences with a box in the middle."""
    height, width = size
    box = [width * 0.45, height * 0.4, width * 0.1, height * 0.2]
    return {
        "frames": [Encoded(length, size, seed) for seed in range(count)],
        "name": [str(k) for k in range(count)],
        "first": torch.tensor([box] * count, dtype=torch.float64),
        "index": torch.arange(count, device=device),
    }


def seen(model: Matcher, given: dict[str, Any]) -> list[Tensor]:
    """The search images that a tracker asks its encoder for, in the batches that it does."""
    found: list[Tensor] = []
    encoder = model.backbone
    assert encoder is not None
    kept = getattr(encoder, part(model))

    def noting(images: Tensor) -> Any:
        found.append(images)
        return kept(images)

    setattr(encoder, part(model), noting)
    follow(model, given)
    setattr(encoder, part(model), kept)
    return found


def part(model: Matcher) -> str:
    """The method that a tracker asks its encoder by: that for all maps where there are several."""
    assert model.backbone is not None
    return "encode" if len(model.backbone.feature_info) == 1 else "forward"


@torch.no_grad()
def encode(model: Matcher, images: list[Tensor]) -> None:
    """The encoder alone."""
    ask = getattr(model.backbone, part(model))
    for each in images:
        ask(each)


def seconds(work: Any, device: str) -> float:
    """Time of one call."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - began


def compare(kind: str, count: int, given: argparse.Namespace) -> None:
    """Print frames a second of both, medians and spread, and the quotient of the pairs."""
    device = given.device
    model = matcher(kind, given.recipe, device)
    data = batch(count, given.frames, tuple(given.image), device)
    images = seen(model, data)
    sides = {
        "tracker": lambda: follow(model, data),
        "encoder": lambda: encode(model, images),
    }
    for work in sides.values():
        seconds(work, device)
    pairs = []
    for repeat in range(given.repeats):
        order = list(sides) if repeat % 2 == 0 else list(reversed(sides))
        times = {name: seconds(sides[name], device) for name in order}
        pairs.append((times["tracker"], times["encoder"]))
    frames = count * (given.frames - 1)
    title = f"{kind:11} batch {count:2}"
    for name, taken in zip(sides, zip(*pairs, strict=True), strict=True):
        rates = sorted(frames / each for each in taken)
        print(
            f"{title} {name}: {statistics.median(rates):7.1f} frames/s "
            f"({rates[0]:.1f} to {rates[-1]:.1f})",
            flush=True,
        )
    quotients = sorted(alone / whole for whole, alone in pairs)
    crops = sum(len(each) for each in images) / frames
    print(
        f"{title} share: {statistics.median(quotients):.0%} "
        f"({quotients[0]:.0%} to {quotients[-1]:.0%}), {len(pairs)} pairs, "
        f"{crops:.1f} crops a frame",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--types", nargs="+", default=["correlation", "swintrack"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--recipe", choices=["tiny", "paper"], default="tiny")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--image", type=int, nargs=2, default=[360, 640])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for kind in given.types:
        for count in given.batches:
            compare(kind, count, given)


if __name__ == "__main__":
    main()

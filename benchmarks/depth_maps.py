"""Predicted depth maps: bytes a pixel of each `predictions.keep`, what rounding does to figures,
and the time that storing and measuring take.

Run: python -m benchmarks.depth_maps [--scenes N] [--repeats N]. Maps are made from microworld's as
MIM-Depth-Estimation's head would make them: logits at a quarter of the size with noise, twice
bilinearly enlarged, a 3x3 convolution, sigmoid times 10 m, mean of two (the flip test). `rough`
has noise in every pixel too. Of the truth 90 % of the pixels are known, `sparse` 5 %, as a laser
leaves. One core; times are medians of whole passes, in processor time, so that neighbours matter
less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tasks.depth import storage
from tasks.depth.metrics import evaluate
from tasks.depth.protocol import mask
from tasks.depth.recipe import MeasureRecipe
from tasks.depth.storage import Keep
from tasks.microworld.world import Microworld

Map = NDArray[np.float32]

# Noise of the logits at a quarter of the size, and in every pixel.
KINDS = {"smooth": (0.02, 0.0), "usual": (0.1, 0.0), "rough": (0.1, 0.01)}
KEEPS: tuple[Keep, ...] = ("float32", "uint16", "valid")
IMAGES, PIXELS = 654, 480 * 640
"""NYUv2's test split."""


def predicted(truth: Map, coarse: float, fine: float, seed: int) -> Map:
    """A map (h,w) in metres that a network might predict for a truth below 10 m."""
    rng = torch.Generator().manual_seed(seed)
    share = torch.from_numpy(truth / 10).clamp(0.02, 0.98)[None, None]
    low = functional.avg_pool2d(functional.avg_pool2d(share, 4), 3, 1, 1, count_include_pad=False)
    views = []
    for _ in range(2):
        logits = torch.logit(low) + coarse * torch.randn(low.shape, generator=rng)
        for _ in range(2):
            logits = functional.interpolate(logits, scale_factor=2, mode="bilinear")
        kernel = 0.05 * torch.randn(1, 1, 3, 3, generator=rng)
        kernel[..., 1, 1] += 1
        logits = functional.conv2d(logits, kernel / kernel.sum(), padding=1)
        views.append(torch.sigmoid(logits + fine * torch.randn(logits.shape, generator=rng)) * 10)
    found: Map = ((views[0] + views[1]) / 2)[0, 0].numpy()
    return found


class Maps:
    """The first scenes' truths as a data set, of which a share of the pixels is known."""

    def __init__(
        self, size: tuple[int, int], scenes: int, crop: str = "none", known: float = 0.9
    ) -> None:
        world, rng = Microworld("test", scenes, size=size), np.random.default_rng(0)
        self.whole = [world.depth(k) for k in range(scenes)]
        self.truths = [np.where(rng.random(size) < known, t, 0).astype("f4") for t in self.whole]
        measure = MeasureRecipe.model_validate({"crop": crop})
        self.recipe = SimpleNamespace(measure=measure)
        self.masks = [mask(truth, measure) for truth in self.truths]

    def __len__(self) -> int:
        return len(self.truths)

    def truth(self, index: int) -> Map:
        return self.truths[index]

    def name(self, index: int) -> str:
        return str(index)

    def rows(self, predictions: list[Map], keep: Keep) -> list[dict[str, Any]]:
        return [
            {
                "sample": k,
                "depth": storage.pack(p, keep, self.recipe.measure.max_depth, self.masks[k]),
            }
            for k, p in enumerate(predictions)
        ]


def median(pass_: Callable[[], Any], repeats: int) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        pass_()
        taken.append(1000 * (time.process_time() - begin))
    return statistics.median(taken)


def costs(name: str, maps: Maps) -> None:
    for kind, (coarse, fine) in KINDS.items():
        predictions = [predicted(t, coarse, fine, k) for k, t in enumerate(maps.whole)]
        exact = evaluate(maps.rows(predictions, "float32"), maps).metrics
        for keep in KEEPS:
            rows = maps.rows(predictions, keep)
            size = sum(len(row["depth"]) for row in rows) / sum(m.size for m in maps.whole)
            metrics = evaluate(rows, maps).metrics
            change = {n: abs(metrics[n].value - exact[n].value) for n in ("RMSE", "AbsRel", "d1")}
            words = ", ".join(f"{name} {value:.0e}" for name, value in change.items())
            total = size * IMAGES * PIXELS / 1e6
            print(f"{name} {kind:7}{keep:8} {size:.2f} bytes a pixel, {total:4.0f} MB; {words}")


def times(maps: Maps, repeats: int) -> None:
    coarse, fine = KINDS["usual"]
    predictions = [predicted(t, coarse, fine, k) for k, t in enumerate(maps.whole)]
    for keep in KEEPS:
        rows = maps.rows(predictions, keep)
        each = {
            "pack": lambda keep=keep: maps.rows(predictions, keep),
            "unpack": lambda rows=rows: [
                storage.unpack(row["depth"], valid=maps.masks[k]) for k, row in enumerate(rows)
            ],
            "evaluate": lambda rows=rows: evaluate(rows, maps),
        }
        spent = {name: median(pass_, repeats) / len(maps) for name, pass_ in each.items()}
        words = ", ".join(f"{name} {value:.1f}" for name, value in spent.items())
        print(f"480x640 {keep:8} ms an image: {words}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    large = Maps((480, 640), given.scenes, "nyu_eigen")
    print("bytes a pixel of the map; of NYUv2's test split; how far figures move")
    costs("480x640", large)
    costs("480x640 sparse", Maps((480, 640), given.scenes, known=0.05))
    costs("128x128", Maps((128, 128), 4 * given.scenes))
    times(large, given.repeats)


if __name__ == "__main__":
    main()

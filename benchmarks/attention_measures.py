"""Attention measures against a plain forward pass, and against the way of notebooks.

Run: python -m benchmarks.attention_measures [--repeats N] [--threads N] [--device cpu|cuda]
[--parts ...]. `encoders`: `measure` of all attention measures against `encode` with fused attention
off, a ViT-B/16 with random weights at 224 px and the smallest shipped encoder at 128. `notebook`:
the measures of one block on the same float32 tensors against full distance matrices and loops over
heads and pairs. `split`: each measure by itself, as a share of one block's forward pass. All pairs
are interleaved and their order alternates.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import backbones
from backbones import Backbone, WindowAttention
from benchmarks.pairs import pair
from harness.analysis.attention import measure, measures
from harness.analysis.attention.cleaning import clean, layout
from harness.analysis.attention.conventions import of_name
from harness.analysis.images import Images

EPSILON = 1e-8


class Noise(Images):
    """Drawn images, in memory."""

    def __init__(self, number: int, size: tuple[int, int]) -> None:
        self.name, self.sha256, self.size = "noise", "", size
        self._pixels = torch.rand(number, 3, *size, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, index: int) -> NDArray[np.uint8]:
        return (self._pixels[index].permute(1, 2, 0) * 255).byte().numpy()

    def batch(self, start: int, stop: int) -> Tensor:
        return self._pixels[start:stop]


def encoders(device: str) -> dict[str, tuple[Backbone, int, int]]:
    """Return backbone, number of images and batch size by name."""
    arch = {"embed_dim": 768, "depth": 12, "num_heads": 12, "patch_size": 16}
    base = backbones.create("vit", arch, 224, seed=0)
    small = backbones.load("simmim_vit_micro", input_size=128)
    return {
        "ViT-B/16, 224 px": (base.eval().to(device), 8, 4),
        "simmim_vit_micro, 128 px": (small.eval().to(device), 64, 16),
    }


def against_forward(device: str, repeats: int) -> None:
    """Print what measuring takes as a multiple of a forward pass."""
    for name, (backbone, number, batch) in encoders(device).items():
        images = Noise(number, backbone.input_size)
        for block in backbone.encoder.blocks:
            block.attn.fused_attn = False

        def measured(
            backbone: Backbone = backbone, images: Noise = images, batch: int = batch
        ) -> None:
            measure(backbone, images, batch_size=batch, device=device, advance=_silent)

        def plain(
            backbone: Backbone = backbone, images: Noise = images, batch: int = batch
        ) -> None:
            with torch.no_grad():
                for start in range(0, len(images), batch):
                    backbone.encode(images.batch(start, start + batch).to(device))

        pair(f"{name}, {number} images", measured, plain, repeats, device)


def _silent(number: int = 1, /, **_: object) -> None:
    pass


def one_block(device: str) -> WindowAttention:
    """Return the attention of 4 images in one block of a ViT-B/16."""
    backbone, _, batch = encoders(device)["ViT-B/16, 224 px"]
    images = Noise(batch, backbone.input_size).batch(0, batch).to(device)
    with torch.no_grad():
        return next(backbone.attention_in_windows(images))


def against_notebook(device: str, repeats: int) -> None:
    """Print what the measures of one block take as a share of the notebooks' way."""
    found = one_block(device)
    rule = of_name("rule")

    def ours() -> dict[str, Tensor]:
        figures = rule.figures(found)
        return {name: figures.heads[name] for name in KNOWN} | figures.pairs

    def theirs() -> dict[str, Tensor]:
        return notebook(found)

    one, other = ours(), theirs()
    for name, values in other.items():
        apart = (one[name] - values).abs().max() / values.abs().max()
        print(f"{name}: largest difference {float(apart):.1e} of the largest value")
    pair("one block, 4 images: against the notebooks' way", ours, theirs, repeats, device)


KNOWN = ("distance", "entropy", "nmi", "offset_x", "offset_y")


def notebook(found: WindowAttention) -> dict[str, Tensor]:
    """Return the same measures as notebooks have them: one after another on the whole tensor, a
    full matrix of distances, loops over heads and pairs of heads."""
    first = found.prefix
    weights = found.probabilities[:, 0, :, first:, first:]
    weights = weights / weights.sum(dim=-1, keepdim=True)
    positions = found.key_positions[0, first:]
    apart = positions.unsqueeze(0) - positions.unsqueeze(1)
    raised = (weights + EPSILON) / (weights + EPSILON).sum(dim=-1, keepdim=True)
    queries, heads = weights.shape[-1], weights.shape[1]
    shares = raised.mean(dim=-2, keepdim=True)
    information = (raised / queries * (raised / shares).log()).sum(dim=(-2, -1))
    of_keys = -(shares * shares.log()).sum(dim=(-2, -1))
    result = {
        "distance": torch.stack(
            [(weights[:, h] * apart.norm(dim=-1)).sum(-1).mean(-1) for h in range(heads)], dim=1
        ),
        "entropy": -(weights * (weights + EPSILON).log()).sum(-1).mean(-1),
        "nmi": information / (of_keys * torch.tensor(float(queries)).log()).sqrt(),
        "offset_x": (weights * apart[..., 0]).sum(-1).mean(-1),
        "offset_y": (weights * apart[..., 1]).sum(-1).mean(-1),
        "kl": weights.new_zeros(len(weights), heads, heads),
        "js": weights.new_zeros(len(weights), heads, heads),
    }
    for i in range(heads):
        for j in range(heads):
            if i != j:
                p, q = raised[:, i], raised[:, j]
                middle = (p + q) / 2
                result["kl"][:, i, j] = (p * (p / q).log()).sum(-1).mean(-1)
                both = p * (p / middle).log() + q * (q / middle).log()
                result["js"][:, i, j] = both.sum(-1).mean(-1) / 2
    return result


def split(device: str, repeats: int) -> None:
    """Print the time of every part, as a share of a twelfth of a forward pass."""
    backbone, _, batch = encoders(device)["ViT-B/16, 224 px"]
    images = Noise(batch, backbone.input_size).batch(0, batch).to(device)
    found = one_block(device)
    found = dataclasses.replace(found, probabilities=found.probabilities[:1])
    places = layout(found)
    patches = clean(found, places)
    of_rows = measures.row_entropies(patches.weights)
    shares = measures.key_shares(patches)
    parts: dict[str, Callable[[], object]] = {
        "layout": lambda: layout(found),
        "clean": lambda: clean(found, places),
        "entropies of rows": lambda: measures.row_entropies(patches.weights),
        "entropy, nmi, offset": lambda: (
            measures.key_shares(patches),
            measures.entropy_relative(of_rows, places),
            measures.nmi(shares, of_rows, places),
            measures.offset(shares, places),
        ),
        "distance": lambda: (measures.distance(patches), places.uniform_distance()),
        "kl": lambda: measures.kl(patches),
        "js": lambda: measures.js(patches, of_rows),
    }
    for block in backbone.encoder.blocks:
        block.attn.fused_attn = False

    def forward() -> None:
        with torch.no_grad():
            backbone.encode(images)

    share = len(backbone.encoder.blocks) * batch
    whole = _median(forward, repeats, device) / share
    for name, part in parts.items():
        seconds = _median(part, 5 * repeats, device)
        print(f"{name:<22} {1e3 * seconds:8.3f} ms: {seconds / whole:6.1%} of a block's forward")
    print(f"a block's forward pass {1e3 * whole:8.3f} ms an image")


def _median(call: Callable[[], object], repeats: int, device: str) -> float:
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", nargs="+", default=["encoders", "notebook", "split"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = {"encoders": against_forward, "notebook": against_notebook, "split": split}
    for part in given.parts:
        parts[part](given.device, given.repeats)


if __name__ == "__main__":
    main()

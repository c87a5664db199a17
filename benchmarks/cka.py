"""Minibatch CKA of all pairs of layers against the loop over pairs.

Run: python -m benchmarks.cka [--repeats N] [--threads N]. Features are drawn, 32 images a
minibatch: of 12 and 24 blocks of a ViT-B at 112 px (49 tokens of 768 channels) and of the smallest
shipped encoder (64 tokens of 192). The loop makes both Gram matrices of every pair anew and three
HSIC of each, in float32, as public code does (torch_cka, of PyTorch-Model-Compare); ours is in
float64. Pairs are interleaved and their order alternates. `--parts inspect`: the share of a
whole look at a ViT-B that is not its forward passes.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from benchmarks.attention_measures import Noise, encoders
from benchmarks.pairs import pair
from harness.analysis.grids import tokens
from harness.analysis.similarity import measure
from harness.analysis.similarity.cka import Minibatches, gram

MINIBATCH = 32
SHAPES = {
    "12 blocks of 49 x 768": (12, 49, 768),
    "24 blocks of 49 x 768": (24, 49, 768),
    "6 blocks of 64 x 192": (6, 64, 192),
}


def features(blocks: int, count: int, channels: int) -> list[Tensor]:
    """Features (m,N,C) of every block, each near to the one before."""
    random = torch.Generator().manual_seed(0)
    found = [torch.randn(MINIBATCH, count, channels, generator=random)]
    while len(found) < blocks:
        found.append(found[-1] + torch.randn(found[-1].shape, generator=random) / 2)
    return found


def together(layers: list[Tensor]) -> Tensor:
    """CKA of all pairs, as the package has it."""
    minibatches = Minibatches()
    minibatches.add([gram(each) for each in layers])
    return torch.from_numpy(minibatches.estimate()[0])


def looped(layers: list[Tensor]) -> Tensor:
    """CKA of all pairs, one pair after another."""
    found = torch.zeros(len(layers), len(layers))
    for i, x in enumerate(layers):
        k = _kernel(x)
        own = _hsic(k, k)
        for j, y in enumerate(layers):
            other = _kernel(y)
            found[i, j] = _hsic(k, other) / (own.sqrt() * _hsic(other, other).sqrt())
    return found


def _kernel(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    return (flat @ flat.T).fill_diagonal_(0)


def _hsic(k: Tensor, m: Tensor) -> Tensor:
    n = len(k)
    one = torch.ones(n, 1)
    trace = torch.trace(k @ m)
    total = (one.T @ k @ one) * (one.T @ m @ one) / ((n - 1) * (n - 2))
    cross = one.T @ k @ m @ one * 2 / (n - 2)
    return (trace + total - cross).squeeze() / (n * (n - 3))


def against_loop(repeats: int) -> None:
    """Print how much longer the loop takes."""
    for name, shape in SHAPES.items():
        layers = features(*shape)
        apart = float((together(layers) - looped(layers)).abs().max())
        print(f"{name}: largest difference {apart:.1e}")
        pair(f"{name}: loop against ours", lambda x=layers: looped(x),  # type: ignore[misc]
             lambda x=layers: together(x), repeats, "cpu")  # type: ignore[misc]  # fmt: skip


def against_forward(repeats: int) -> None:
    """Print what a look takes as a multiple of its forward passes, full and masked."""
    backbone, _, batch = encoders("cpu")["simmim_vit_micro, 128 px"]
    images = Noise(64, backbone.input_size)

    def look() -> None:
        measure(backbone, images, batch_size=batch, device="cpu", advance=lambda *_, **__: None)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(2):
                for start in range(0, len(images), batch):
                    tokens(backbone, images.batch(start, start + batch))

    pair("a look at simmim_vit_micro against its forward passes", look, forward, repeats, "cpu")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", nargs="+", default=["pairs", "inspect"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = {"pairs": against_loop, "inspect": against_forward}
    for part in given.parts:
        parts[part](given.repeats)


if __name__ == "__main__":
    main()

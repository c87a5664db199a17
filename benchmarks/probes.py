"""Fitting on cached features: many linear heads against one, nearest neighbours against a product.

Run: python -m benchmarks.probes [--repeats N] [--threads N] [--device cpu|cuda] [--parts ...].
All pairs are interleaved and their order alternates. Features and images are drawn; `images` adds
the encoder's one pass over them, a ViT-S/16 with random weights, to both sides.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import timm
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.pairs import pair
from tasks.classification.probes import grid
from tasks.classification.probes.contract import Labelled, Unwatched
from tasks.classification.probes.neighbours import Bank
from tasks.classification.probes.settings import DINOV2_RATES, GridRecipe

SAMPLES, WIDTH, CLASSES = 5000, 384, 20
QUERIES, ROWS, WIDE, K = 2000, 20_000, 768, 20
IMAGES, BATCH, EPOCHS = 32, 16, 10
RATES = (*DINOV2_RATES, 0.2, 0.5)


def recipes(epochs: int) -> tuple[GridRecipe, GridRecipe, int]:
    """Return the grid, one head of it and the number of heads in the grid."""
    given = {"epochs": epochs, "batch_size": 128}
    rates = {"learning_rates": RATES, "weight_decays": (0.0, 1e-4, 1e-2)}
    many = GridRecipe.model_validate(given | rates)
    one = {"learning_rates": (0.01,), "weight_decays": (1e-4,)}
    return many, GridRecipe.model_validate(given | one), len(grid.combinations(many))


def heads(device: str, repeats: int) -> None:
    """Print what 45 heads on one feature take as a multiple of one, and of 45 one by one."""
    drawn = torch.Generator().manual_seed(0)
    values = torch.randn(SAMPLES, WIDTH, generator=drawn).to(device)
    labels = torch.randint(CLASSES, (SAMPLES,), generator=drawn).to(device)
    data = Labelled({"pooled": values}, labels, CLASSES)
    many, one, count = recipes(epochs=2)

    def train(recipe: GridRecipe, times: int = 1) -> Callable[[], None]:
        def call() -> None:
            for _ in range(times):
                grid.train(data, recipe, 0, Unwatched())

        return call

    name = f"{count} heads, {one.epochs} epochs of {SAMPLES} x {WIDTH}, {CLASSES} classes"
    pair(f"{name}: in one pass against one head", train(many), train(one), repeats, device)
    pair(f"{name}: against one by one", train(many), train(one, count), repeats, device)


def images(device: str, repeats: int) -> None:
    """Print the same with the encoder's pass over the images on both sides."""
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.rand(IMAGES, 3, 224, 224, generator=drawn).to(device)
    labels = torch.randint(CLASSES, (IMAGES,), generator=drawn).to(device)
    encoder = timm.create_model("vit_small_patch16_224", num_classes=0).eval().to(device)
    many, one, count = recipes(EPOCHS)

    def train(recipe: GridRecipe) -> Callable[[], None]:
        def call() -> None:
            with torch.inference_mode():
                values = torch.cat([encoder(each) for each in torch.split(pixels, BATCH)])
            grid.train(Labelled({"pooled": values}, labels, CLASSES), recipe, 0, Unwatched())

        return call

    name = f"{count} heads, {EPOCHS} epochs, from {IMAGES} images"
    pair(f"{name}: against one head", train(many), train(one), repeats, device)


def neighbours(device: str, repeats: int) -> None:
    """Print what an exact search takes as a multiple of a product and its k largest."""
    drawn = torch.Generator().manual_seed(0)
    rows = torch.randn(ROWS, WIDE, generator=drawn).to(device)
    queries = torch.randn(QUERIES, WIDE, generator=drawn).to(device)
    units = [functional.normalize(each, dim=1) for each in (queries, rows)]

    def product() -> Tensor:
        return units[0] @ units[1].T

    def largest() -> Tensor:
        return product().topk(K, 1).indices

    def search() -> Tensor:
        return torch.cat([each[1] for each in Bank(rows).nearest(queries, K)])

    same = (search() == largest()).all(1).double().mean()
    print(f"rows with the neighbours of a bare product: {100 * float(same):.2f} %")
    name = f"{K} of {ROWS} x {WIDE} for {QUERIES}"
    pair(f"{name}: against a product", search, product, repeats, device)
    pair(f"{name}: against a product and its largest", search, largest, repeats, device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", nargs="+", default=["heads", "images", "neighbours"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = {"heads": heads, "images": images, "neighbours": neighbours}
    for part in given.parts:
        parts[part](given.device, given.repeats)


if __name__ == "__main__":
    main()

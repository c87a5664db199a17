"""The pipelines of classification: ours against timm's own, same augmentations, same files.

Run: python -m benchmarks.classification_pipeline --folder PHOTOS [--repeats N] [--images N].
The photographs below PHOTOS are brought to 500x375 once, as JPEG in a temporary folder. From those
files to batches of 32 at 224x224, one process, one thread: training with what SimMIM's and MAE's
fine-tuning do to images (mixing left out on both sides), evaluation with a central crop of a
resized image; decoding alone beside. Interleaved, by the clock of the process, so that others on
the machine count less.

`ours` ends with bytes and the places of rectangles: the model normalises and erases, where it is.
`timm` ends with normalised numbers, erased, as the publications' loaders do; `timm, bytes` with
bytes, as its loader with a GPU does. What the model does is beside them, on this core. `torch`:
ours with crops resized by torch (`augmentation.resampler`), by 1 of 255 unlike Pillow's here and
there. In training each side draws its own random numbers from the same distributions; in evaluation
all have to give the same pixels.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from PIL import Image
from timm.data import create_transform
from torch import Tensor

from tasks import images
from tasks.classification.augmentation import erasing, views
from tasks.classification.augmentation.settings import AugmentationRecipe

RECIPE = Path(__file__).parents[1] / "tasks/classification/recipes/paper-mae.yaml"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, BATCH = (224, 224), 32
PHOTOGRAPH = (500, 375)


def write(source: Path, target: Path, count: int) -> list[Path]:
    """Photographs of ImageNet's usual size; upright ones are turned."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not found:
        raise SystemExit(f"no JPEG files below {source}")
    made = []
    for path in found[:: max(1, len(found) // count)][:count]:
        with Image.open(path) as image:
            photograph = image.convert("RGB")
        if photograph.height > photograph.width:
            photograph = photograph.transpose(Image.Transpose.ROTATE_90)
        made.append(target / f"{len(made)}.jpg")
        photograph.resize(PHOTOGRAPH, Image.Resampling.LANCZOS).save(made[-1], quality=95)
    return made


Files = list[Path]
Bytes = tuple[np.ndarray, np.ndarray]


def ours(files: Files, recipe: AugmentationRecipe | None) -> Bytes:
    """A batch as the model gets it; without a recipe that of evaluation."""
    seen, erased = [], []
    for number, path in enumerate(files):
        image = images.read(path)
        if recipe is None:
            seen.append(views.test_view(image, SIZE, 0.875, "bicubic"))
            continue
        view, erase = views.train_view(image, SIZE, recipe, np.random.default_rng(number))
        seen.append(view)
        erased.append(erase)
    return np.stack(seen), np.array(erased)


def finished(given: Bytes) -> Tensor:
    """What the model does with a batch."""
    pixels, erase = given
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
    if len(erase):
        keys = torch.arange(len(pixels))
        batch = erasing.fill(batch, torch.from_numpy(erase), keys, MEAN, STD)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return batch.sub_(mean).div_(std)


def theirs(files: Files, transform: Callable[[Image.Image], Tensor]) -> Tensor:
    """A batch as timm's transforms and torch's collation give it."""
    batch = []
    for path in files:
        image = Image.open(path).convert("RGB")
        try:
            batch.append(transform(image))
        except ValueError:  # Pillow's posterize refuses 0 bits, 1 image in 650.
            batch.append(transform(image))
    return torch.stack(batch)


def decoding(files: Files) -> None:
    for path in files:
        images.read(path)


def rate(files: Files, side: Callable[[Files], object]) -> float:
    """Images in a second of one core."""
    start = time.process_time()
    for first in range(0, len(files), BATCH):
        side(files[first : first + BATCH])
    return len(files) / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, required=True, help="photographs, as JPEG")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=128)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    recipe = AugmentationRecipe.model_validate(yaml.safe_load(RECIPE.read_text())["augmentation"])
    fast = recipe.model_copy(update={"resampler": "torch"})
    augmented = {"auto_augment": "rand-m9-mstd0.5-inc1", "re_prob": 0.25, "re_mode": "pixel"}
    train = {"is_training": True, "interpolation": "bicubic", **augmented}
    test = {"interpolation": "bicubic", "crop_pct": 0.875}
    numbers, pixels = (
        [create_transform(224, **given, use_prefetcher=bare) for given in (train, test)]
        for bare in (False, True)
    )
    sides: dict[str, Callable[[Files], object]] = {
        "training, ours": lambda files: ours(files, recipe),
        "training, torch": lambda files: ours(files, fast),
        "training, timm": lambda files: theirs(files, numbers[0]),
        "training, timm, bytes": lambda files: theirs(files, pixels[0]),
        "evaluation, ours": lambda files: ours(files, None),
        "evaluation, timm": lambda files: theirs(files, numbers[1]),
        "evaluation, timm, bytes": lambda files: theirs(files, pixels[1]),
        "decoding alone": decoding,
    }
    with tempfile.TemporaryDirectory() as folder:
        files = write(options.folder, Path(folder), options.images)
        size = sum(path.stat().st_size for path in files) / len(files)
        print(f"{len(files)} photographs of {PHOTOGRAPH[0]}x{PHOTOGRAPH[1]}, {size / 1000:.0f} kB")
        few = files[:BATCH]
        same = ours(few, None)
        torch.testing.assert_close(finished(same), theirs(few, numbers[1]), rtol=0, atol=1e-5)
        drawn = ours(few, recipe)
        sides["the model's part alone"] = lambda files: finished(drawn)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(options.repeats + 1):
            for name, side in sides.items():
                found = rate(files, side)
                if number:  # The first round warms up.
                    rates[name].append(found)
    for name, values in rates.items():
        spread = f"({min(values):.0f} to {max(values):.0f})"
        print(f"{name:>23}: {statistics.median(values):5.0f} images/s {spread}")
    for name in ("training, ours", "training, torch", "evaluation, ours"):
        for base in ("timm", "timm, bytes"):
            other = rates[f"{name.split(',')[0]}, {base}"]
            ratios = [a / b for a, b in zip(rates[name], other, strict=True)]
            spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{name} against {base}: {statistics.median(ratios):.2f}x {spread}")


if __name__ == "__main__":
    main()

"""The pipelines of classification: ours against timm's own, same augmentations, same files.

Run: python -m benchmarks.classification_pipeline --folder PHOTOS [--repeats N] [--images N].
The photographs below PHOTOS are brought to 500x375 once, as JPEG in a temporary folder. From those
files to normalised batches of 32 at 224x224, one process, one thread: training with what SimMIM's
and MAE's fine-tuning do to images (mixing left out on both sides), evaluation with a central crop
of a resized image; decoding alone beside. Interleaved, by the clock of the process, so that others
on the machine count less; in training each side draws its own random numbers from the same
distributions, in evaluation both have to give the same pixels. `torch`: ours with crops resized by
torch (`augmentation.resampler`), which differ from Pillow's by 1 of 255 here and there.
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


def ours(files: list[Path], recipe: AugmentationRecipe | None) -> Tensor:
    """A batch as the model sees it; without a recipe that of evaluation."""
    seen, erased = [], []
    for number, path in enumerate(files):
        image = images.read(path)
        if recipe is None:
            seen.append(views.test_view(image, SIZE, 0.875, "bicubic"))
            continue
        view, erase = views.train_view(image, SIZE, recipe, np.random.default_rng(number))
        seen.append(view)
        erased.append(erase)
    batch = torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2).float().div_(255)
    if recipe is not None:
        keys = torch.arange(len(files))
        batch = erasing.fill(batch, torch.from_numpy(np.stack(erased)), keys, MEAN, STD)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return batch.sub_(mean).div_(std)


def theirs(files: list[Path], transform: Callable[[Image.Image], Tensor]) -> Tensor:
    """A batch as timm's loader gives it."""
    batch = []
    for path in files:
        image = Image.open(path).convert("RGB")
        try:
            batch.append(transform(image))
        except ValueError:  # Pillow's posterize refuses 0 bits, 1 image in 600.
            batch.append(transform(image))
    return torch.stack(batch)


def decoding(files: list[Path]) -> None:
    for path in files:
        images.read(path)


def rate(files: list[Path], side: Callable[[list[Path]], object]) -> float:
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
    training = create_transform(224, is_training=True, interpolation="bicubic", **augmented)
    evaluation = create_transform(224, interpolation="bicubic", crop_pct=0.875)
    sides: dict[str, Callable[[list[Path]], object]] = {
        "training, ours": lambda files: ours(files, recipe),
        "training, torch": lambda files: ours(files, fast),
        "training, timm": lambda files: theirs(files, training),
        "evaluation, ours": lambda files: ours(files, None),
        "evaluation, timm": lambda files: theirs(files, evaluation),
        "decoding alone": decoding,
    }
    with tempfile.TemporaryDirectory() as folder:
        files = write(options.folder, Path(folder), options.images)
        size = sum(path.stat().st_size for path in files) / len(files)
        print(f"{len(files)} photographs of {PHOTOGRAPH[0]}x{PHOTOGRAPH[1]}, {size / 1000:.0f} kB")
        few = files[:BATCH]
        torch.testing.assert_close(ours(few, None), theirs(few, evaluation), rtol=0, atol=1e-5)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(options.repeats + 1):
            for name, side in sides.items():
                found = rate(files, side)
                if number:  # The first round warms up.
                    rates[name].append(found)
    for name, values in rates.items():
        spread = f"({min(values):.0f} to {max(values):.0f})"
        print(f"{name:>17}: {statistics.median(values):5.0f} images/s {spread}")
    for name in ("training, ours", "training, torch", "evaluation, ours"):
        base = rates[f"{name.split(',')[0]}, timm"]
        ratios = [a / b for a, b in zip(rates[name], base, strict=True)]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name} is {statistics.median(ratios):.2f}x timm's {spread}")


if __name__ == "__main__":
    main()

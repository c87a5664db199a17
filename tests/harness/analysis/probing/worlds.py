"""Small data sets of the tasks, and an encoder that knows their answers in one of its blocks."""

from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from backbones import FeatureInfo
from harness import plugins
from harness.analysis.grids import Grid
from harness.analysis.probing import Source, Splits
from harness.analysis.probing.data import batches
from harness.analysis.probing.dense import DepthTarget, PoseTarget
from harness.options import RunOptions
from harness.recipes import resolve

SIDE, STRIDE = 32, 2
GRID = Grid(0, SIDE // STRIDE, SIDE // STRIDE, STRIDE)
COUNTS = {"training": 40, "selection": 16, "test": 20}


def splits(name: str, *sets: str, side: int = SIDE) -> Splits:
    """A task's splits of the embedded world in 32x32 pixels, brought to an input of `side`."""
    task = plugins.task(name)
    given = [f"backbone.input_size=[{side}, {side}]", f"data.size=[{SIDE}, {SIDE}]"]
    given += [f"data.count.{split}={count}" for split, count in COUNTS.items()]
    recipe = resolve(RunOptions(task=name, scale="tiny", sets=(*given, "data.workers=1", *sets)))
    task.prepare(recipe)
    return Splits(*(task.dataset(recipe, split) for split in ("training", "selection", "test")))


def source() -> Source:
    return Source(splits("classification", "data.labels=covered"), splits("depth"), splits("pose"))


def permuted(found: Splits) -> Splits:
    """Labels exchanged in what is fitted and chosen on, not in what is tested."""
    return Splits(found.training.permuted(1), found.selection.permuted(2), found.test)


class Planted:
    """Three blocks of tokens (B,1+256,C), a class token first. In the block `place` they hold the
    answers, mixed; in the others noise that depends on the image alone."""

    def __init__(self, found: Source, place: int, width: int = 96) -> None:
        self.place, self.width = place, width
        self.input_size = (SIDE, SIDE)
        self.spec = SimpleNamespace(name="planted")
        self.feature_info = (FeatureInfo(width, STRIDE),)
        generator = torch.Generator().manual_seed(0)
        self.mix = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
        self.answers: dict[bytes, Tensor] = {}
        for splits, told in (
            (found.classification, _classes),
            (found.depth, lambda batch: DepthTarget(found.depth).cells(batch, GRID)[0]),
            (found.pose, lambda batch: PoseTarget(found.pose).cells(batch, GRID)[0]),
        ):
            for split in splits or ():
                self._learn(split, told)

    def _learn(self, split: Any, told: Any) -> None:
        for batch in batches(split, 32):
            for image, answer in zip(batch["image"], told(batch), strict=True):
                self.answers[image.numpy().tobytes()] = answer.float()

    def blocks(self, images: Tensor) -> list[Tensor]:
        keys = [image.numpy().tobytes() for image in (images * 255).round().byte()]
        return [torch.stack([self._tokens(key, block) for key in keys]) for block in range(3)]

    def _tokens(self, key: bytes, block: int) -> Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(key + bytes([block])))
        noise = torch.randn(257, self.width, generator=generator)
        if block == self.place:
            answer = self.answers[key]
            noise *= 0.01
            noise[1:, : answer.shape[1]] += answer
        return noise @ self.mix


def _classes(batch: dict[str, Any]) -> Tensor:
    shown = torch.nn.functional.one_hot(batch["target"].long(), 40).float()
    return shown[:, None].expand(-1, 256, -1)

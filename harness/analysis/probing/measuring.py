"""All probes of all blocks; the images of each split go through the encoder once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from harness.analysis.grids import Grid, tokens
from harness.analysis.probing import pooled, ridge
from harness.analysis.probing.data import Source, Splits, batches
from harness.analysis.probing.dense import DepthTarget, PoseTarget, Target
from harness.analysis.probing.peaks import Peak, peak
from harness.analysis.rows import Found, Row, row
from harness.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones import Backbone
    from harness.console import Advance

    Scores = NDArray[np.float64]

PROBES = ("probe.knn", "probe.linear", "probe.depth", "probe.pose")
"""Rows of each block. Beside each, for the whole encoder: `_constant`, `_peak`, `_peak_low` and
`_peak_high`."""

LOWER_IS_BETTER = frozenset({"probe.depth"})
"""RMSE in metres; the others are shares in [0,1], higher is better."""

Blocks = list[tuple[Tensor, Grid]]


def measure(
    backbone: Backbone,
    *,
    source: Source,
    batch_size: int,
    device: torch.device,
    advance: Advance,
    seed: int = 0,
) -> Found:
    """How well fixed probes read classes, depth and poses from the tokens after every block.

    `probe.knn`, `probe.linear`: accuracy of the mean patch token (pooled.py). `probe.depth`: RMSE
    in metres, `probe.pose`: OKS, of ridge regressions of each token, beside a bias for each cell of
    the map (ridge.py, dense.py). A value is the mean over the test samples, its error their
    standard error. k, C and the ridge's strength are chosen on the selection split.
    `_constant`: the task's prediction without looking. `_peak`: (block + 1) / blocks of the best
    block, with the standard deviation and the 95 % interval (`_peak_low` to `_peak_high`) of a
    bootstrap over the test samples. `by_image` has the scores of the test samples, (n,blocks).

    Args:
        backbone: in evaluation mode, on `device`.
        source: what it is probed with.
        batch_size: images at a time; of no influence but for rounding.
        device: where the encoder lies.
        advance: told of images, `len(source)` in all.
        seed: of the bootstrap.

    Raises:
        LoadError, UserError: the encoder does not give its blocks, or not finite ones.
    """
    reader = _Reader(backbone, batch_size, device, advance)
    found: dict[str, tuple[Scores, Scores]] = {}
    notes: list[str] = []
    with torch.no_grad():
        if source.classification is not None:
            found |= _classes(reader, source.classification)
        if source.depth is not None:
            found["probe.depth"] = _dense(reader, DepthTarget(source.depth), "depth", notes)
        if source.pose is not None:
            found["probe.pose"] = _dense(reader, PoseTarget(source.pose), "pose", notes)
    rows: list[Row] = []
    for name, (scores, constant) in found.items():
        best = peak(scores, seed, name in LOWER_IS_BETTER)
        rows += _rows(name, scores, constant, best, reader.stages)
        notes.append(_said(name, scores, constant, best))
    by_image = {name: scores for name, (scores, _) in found.items()}
    return Found(tuple(rows), by_image, tuple(notes))


class _Reader:
    """Batches of a split with the tokens after every block.

    Attributes:
        stages: of each block, once a batch was read.
    """

    def __init__(
        self, backbone: Backbone, batch_size: int, device: torch.device, advance: Advance
    ) -> None:
        self.backbone, self.batch_size = backbone, batch_size
        self.device, self.advance = device, advance
        self.stages: list[int] = []

    def __call__(self, split: Any) -> Iterator[tuple[dict[str, Any], Blocks]]:
        """Yield one batch after the other, its tensors on the device."""
        for batch in batches(split, self.batch_size):
            placed = {
                name: value.to(self.device) if isinstance(value, Tensor) else value
                for name, value in batch.items()
            }
            found = tokens(self.backbone, placed["image"].float() / 255)
            for number, (values, _) in enumerate(found):
                if not bool(values.isfinite().all()):
                    raise UserError(
                        f"block {number} of {self.backbone.spec.name} gives values that are not "
                        f"finite, of image {int(placed['index'][0])} or one of its batch"
                    )
            self.stages = [grid.stage for _, grid in found]
            yield placed, found
            self.advance(len(placed["index"]))


def _classes(reader: _Reader, splits: Splits) -> dict[str, tuple[Scores, Scores]]:
    """Scores (n,blocks) of both classifiers and the constant's (n,)."""
    training, selection, test = (_means(reader, split) for split in splits)
    classes = int(splits.training.info.model["classes"])
    labels = pooled.Labels(training[1], selection[1], test[1], classes)
    constant = labels.constant()
    found = {}
    probes: tuple[tuple[str, Callable[..., Scores]], ...] = (
        ("probe.knn", pooled.neighbours),
        ("probe.linear", pooled.linear),
    )
    for name, probe in probes:
        each = [
            probe(*features, labels)
            for features in zip(training[0], selection[0], test[0], strict=True)
        ]
        found[name] = np.stack(each, 1), constant
    return found


def _means(reader: _Reader, split: Any) -> tuple[list[Tensor], Tensor]:
    """The mean patch tokens (n,C) float32 of every block, and the labels (n,)."""
    parts, labels = [], []
    for batch, blocks in reader(split):
        parts.append([values.double().mean(1).float().cpu() for values, _ in blocks])
        labels.append(batch["target"].long().cpu())
    return [torch.cat(each) for each in zip(*parts, strict=True)], torch.cat(labels)


def _dense(reader: _Reader, target: Target, name: str, notes: list[str]) -> tuple[Scores, Scores]:
    """Scores (n,blocks) of a ridge a block, and the constant's (n,)."""
    training = _moments(reader, target, target.splits.training)
    selection = _moments(reader, target, target.splits.selection)
    chosen = [
        ridge.choose(ridge.fit(one), other) for one, other in zip(training, selection, strict=True)
    ]
    edges = (ridge.STRENGTHS[0], ridge.STRENGTHS[-1])
    outer = [str(k) for k, each in enumerate(chosen) if each.strength in edges]
    if outer:
        notes.append(
            f"The best strength of the {name} probe lies at the edge of what was tried in block "
            f"{', '.join(outer)}."
        )
    parts = [
        np.stack(
            [
                target.score(batch, linear(values), grid)
                for linear, (values, grid) in zip(chosen, blocks, strict=True)
            ],
            1,
        )
        for batch, blocks in reader(target.splits.test)
    ]
    return np.concatenate(parts), target.constant()


def _moments(reader: _Reader, target: Target, split: Any) -> list[ridge.Moments]:
    found: list[ridge.Moments] = []
    for batch, blocks in reader(split):
        found = found or [ridge.Moments() for _ in blocks]
        goals: dict[Grid, tuple[Tensor, Tensor]] = {}
        for moments, (values, grid) in zip(found, blocks, strict=True):
            if grid not in goals:
                goals[grid] = target.cells(batch, grid)
            goal, known = goals[grid]
            moments.add(values, goal, known)
    return found


def _rows(name: str, scores: Scores, constant: Scores, best: Peak, stages: list[int]) -> list[Row]:
    count = len(scores)
    rows = [
        row(name, _mean(each), count, error=_error(each), block=block, stage=stage)
        for block, (each, stage) in enumerate(zip(scores.T, stages, strict=True))
    ]
    rows.append(row(f"{name}_constant", _mean(constant), count, error=_error(constant)))
    rows.append(row(f"{name}_peak", best.depth, count, error=best.error))
    rows.append(row(f"{name}_peak_low", best.low, count))
    rows.append(row(f"{name}_peak_high", best.high, count))
    return rows


def _said(name: str, scores: Scores, constant: Scores, best: Peak) -> str:
    way = "lower" if name in LOWER_IS_BETTER else "higher"
    return (
        f"{name} ({way} is better) is best after block {best.block}, "
        f"{_mean(scores[:, best.block]):.4f}, "
        f"at {best.depth:.2f} of the depth (95 % of resampled test images: {best.low:.2f} to "
        f"{best.high:.2f}); a constant prediction has {_mean(constant):.4f}."
    )


def _mean(scores: Scores) -> float:
    return float(scores.mean())


def _error(scores: Scores) -> float | None:
    return float(scores.std(ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else None

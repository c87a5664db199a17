"""The labelled images that blocks are probed with: the tasks' own data sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.engine.order import collate
from harness.options import RunOptions
from harness.recipes import resolve
from tasks.contract import TaskDataset

LIMIT = 1000
"""Images of a split, at most; of poses people."""

LABELS = "covered"
"""Of the objects: the coarse classes, by shape."""


class Splits(NamedTuple):
    """One task's images: probes are fitted on the first, their settings chosen on the second, and
    the third is looked at once."""

    training: Any
    selection: Any
    test: Any


@dataclass(frozen=True)
class Source:
    """What blocks are probed with.

    Attributes:
        classification: as `ClassificationDataset`, one label an image; None leaves `probe.knn` and
            `probe.linear` out.
        depth: as `DepthDataset`; None leaves `probe.depth` out.
        pose: as `PoseDataset`; None leaves `probe.pose` out.
    """

    classification: Splits | None = None
    depth: Splits | None = None
    pose: Splits | None = None

    def __len__(self) -> int:
        """Images that go through the encoder, all splits of all tasks."""
        parts = (self.classification, self.depth, self.pose)
        return sum(len(split) for splits in parts if splits is not None for split in splits)


def microworld(
    input_size: tuple[int, int],
    limit: int = LIMIT,
    labels: str = LABELS,
    workers: int | None = None,
) -> Source:
    """The embedded world as the tasks have it at scale `tiny`, 128x128 pixels, brought to an
    encoder's input size. What is not cached yet is rendered.

    Args:
        input_size: height and width.
        limit: images of a split, at most: its first ones.
        labels: of classification, as its `data.labels`.
        workers: processes that render.

    Raises:
        RecipeError: an unknown label set, or a limit below 1.
    """
    sets = [f"backbone.input_size=[{input_size[0]}, {input_size[1]}]", f"data.limit={limit}"]
    if workers is not None:
        sets.append(f"data.workers={workers}")
    return Source(
        classification=_splits("classification", [*sets, f"data.labels={labels}"]),
        depth=_splits("depth", sets),
        pose=_splits("pose", sets),
    )


def batches(dataset: TaskDataset, size: int) -> Iterator[dict[str, Any]]:
    """The samples as evaluation sees them, `size` at a time, with their `index`."""
    for start in range(0, len(dataset), size):
        stop = min(start + size, len(dataset))
        yield collate([dataset.item(k, None) | {"index": k} for k in range(start, stop)])


def _splits(task_name: str, sets: list[str]) -> Splits:
    from harness import plugins

    task = plugins.task(task_name)
    recipe = resolve(RunOptions(task=task_name, scale="tiny", sets=tuple(sets)))
    task.prepare(recipe)
    return Splits(
        task.dataset(recipe, "training"),
        task.dataset(recipe, "selection"),
        task.dataset(recipe, "test"),
    )

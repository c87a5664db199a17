"""A sequence with what was predicted for it, as pictures show it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import DataError
from tasks.tracking import rows as stored
from tasks.tracking.scoring.boxes import overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.contract import Row
    from tasks.tracking.sequences import Sequence

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Followed:
    """T frames.

    Attributes:
        sample: index of the sequence.
        sequence: frames and truth.
        boxes: (T,4) predicted x, y, width, height in pixels of the image.
        scores: (T,) in [0,1], NaN where there is none.
        centres: (T,4) boxes around which the search areas lay, NaN where there was none.
        maps: (T,h,w) scores of the search area's cells in 255ths; None where they were not kept.
        overlaps: (T,) IoU with the truth in [0,1]; NaN where the truth is not known or the target
            is absent.
    """

    sample: int
    sequence: Sequence
    boxes: Floats
    scores: Floats
    centres: Floats
    maps: NDArray[np.uint8] | None
    overlaps: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def counted(self) -> int:
        """Frames behind the mean overlap."""
        return int(np.isfinite(self.overlaps[1:]).sum())

    @property
    def mean(self) -> float:
        """Mean overlap, without the first frame's, which is given; NaN where there is none."""
        known = self.overlaps[1:][np.isfinite(self.overlaps[1:])]
        return float(known.mean()) if len(known) else nan


def followed(row: Row, dataset: Any) -> Followed:
    """A stored prediction beside its sequence. Of other programs' predictions, whose length a
    convention may leave free, boxes beyond the last frame are left out and missing ones are NaN.

    Raises:
        DataError: it is of no sequence of the data set.
    """
    sample = int(row["sample"])
    if not 0 <= sample < len(dataset.sequences):
        raise DataError(f"a prediction is of sample {sample}, which the data set lacks")
    sequence = dataset.sequences[sample]
    count = len(sequence)
    boxes = _of_length(stored.boxes(row), count)
    return Followed(
        sample,
        sequence,
        boxes,
        _of_length(np.array(row["scores"], np.float64), count),
        _of_length(stored.centres(row), count),
        stored.maps(row),
        overlaps(boxes, sequence),
    )


def _of_length(values: Floats, count: int) -> Floats:
    """The first `count` rows, NaN where there are fewer."""
    found = np.full((count, *values.shape[1:]), nan)
    found[: len(values)] = values[:count]
    return found


def named(rows: list[Row], dataset: Any, name: str) -> Followed:
    """The prediction for the sequence of this name.

    Raises:
        DataError: there is none; with the nearest names.
    """
    names = [sequence.name for sequence in dataset.sequences]
    if name not in names:
        near = get_close_matches(name, names, n=3, cutoff=0.0)
        raise DataError(
            f"there is no sequence `{name}` among {len(names)}; the nearest are "
            f"{', '.join(f'`{found}`' for found in near)}"
        )
    sample = names.index(name)
    for row in rows:
        if int(row["sample"]) == sample:
            return followed(row, dataset)
    raise DataError(f"there is no prediction for the sequence `{name}`")


def overlaps(boxes: Floats, sequence: Sequence) -> Floats:
    """(T,) IoU of predicted and true boxes; a predicted box that is NaN or empty has 0.

    NaN where the truth is not known or not labelled, or the target is absent.
    """
    truth = sequence.boxes
    found = overlap(boxes, truth)
    known = np.array(np.isfinite(truth).all(1))
    if sequence.absent is not None:
        known &= ~np.asarray(sequence.absent, bool)
    if not sequence.labelled:
        known[1:] = False
    return np.where(known, np.where(np.isfinite(found), found, 0), nan)

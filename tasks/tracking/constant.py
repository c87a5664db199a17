"""The control that does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tasks.model import TaskModel
from tasks.tracking.rows import row

if TYPE_CHECKING:
    from tasks.contract import Row


class StaysPut(TaskModel):
    """The box of the first frame in every frame."""

    trained: ClassVar[bool] = False

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        columns = batch["index"].tolist(), batch["name"], batch["frames"], batch["first"]
        rows = []
        for sample, name, frames, first in zip(*columns, strict=True):
            length = len(frames)
            nothing = np.full((length, 4), np.nan)
            boxes = np.tile(first.cpu().numpy(), (length, 1))
            rows.append(row(sample, name, boxes, nothing[:, 0], nothing))
        return rows

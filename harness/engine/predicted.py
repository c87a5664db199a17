"""Predictions of an evaluation that lasts, kept so that a killed one goes on where it was."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from results import ResultsError, predictions

if TYPE_CHECKING:
    from harness.console import Console
    from tasks.contract import Row
    from tasks.model import TaskModel

EVERY = 5.0
"""Seconds between two writes; a kill loses so much at most."""

_GLOB = "predicted-*.parquet"


def key(model: TaskModel) -> str:
    """Hash of what predicts: its class, and all that it holds."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()[:16]


def clear(folder: Path) -> None:
    """Remove what was kept, once the evaluation's outcome is written."""
    for file in folder.glob(_GLOB):
        file.unlink(missing_ok=True)


class Predicted:
    """What the processes of a run have predicted so far, in files of its folder.

    Args:
        folder: the run's; what it is named after decides everything but the weights.
        key: of what predicts; files of another are left alone.
        rank: of this process, which writes files of its own.
    """

    def __init__(self, folder: Path, key: str, rank: int) -> None:
        self._folder, self._key, self._rank = folder, key, rank
        self._pending: list[Row] = []
        self._written = time.monotonic()

    def before(self, console: Console) -> list[Row]:
        """What interrupted evaluations left, of all processes, a sample's rows once. A file that
        cannot be read counts for nothing, and the console is told."""
        found: dict[int, list[Row]] = {}
        for file in sorted(self._folder.glob(f"predicted-{self._key}-*.parquet")):
            try:
                rows = predictions.read_rows(file)
            except ResultsError as error:
                console.note(f"{error}: its samples are predicted again")
                continue
            new: dict[int, list[Row]] = {}
            for row in rows:
                new.setdefault(row["sample"], []).append(row)
            found = new | found
        return [row for rows in found.values() for row in rows]

    def add(self, rows: list[Row]) -> None:
        """Take the rows of a finished batch, and write them now and then."""
        self._pending.extend(rows)
        if time.monotonic() - self._written >= EVERY:
            self.write()

    def write(self) -> None:
        """Write what is not written yet."""
        if self._pending:
            self._folder.mkdir(parents=True, exist_ok=True)
            stamp = f"{self._rank}-{time.time_ns()}"
            name = f"predicted-{self._key}-{stamp}.parquet"
            predictions.write_rows(self._pending, self._folder / name)
            self._pending = []
        self._written = time.monotonic()

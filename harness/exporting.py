"""Predictions as a benchmark's server takes them."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import plugins, recipes, reopening
from harness.errors import UserError
from harness.gallery import refuse_another
from results import predictions, write_bytes
from results.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.options import RunOptions
    from tasks.contract import Row, Task

_MOMENT = (1980, 1, 1, 0, 0, 0)
"""Of every file in an archive, so that equal predictions give equal bytes."""


@dataclass(frozen=True)
class Written:
    """An archive, how many files are in it, and what has to be known of them."""

    file: Path
    count: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Predicted:
    """Predictions on a test split, and how long they took."""

    task: Task
    dataset: Any
    rows: list[Row]
    seconds: float | None


def submit(source: Path, out: Path, data_root: Path | None = None) -> Written:
    """Write the archive that the server of a test set takes.

    Args:
        source: record file of a run, or `evaluation.json` of `harness evaluate`.
        out: the archive; another file of that name is left there, and refused.
        data_root: folder of the data, where they no longer lie where the recipe says.

    Raises:
        UserError, DataError, RecipeError, ResultsError: what the user can mend.
    """
    if out.suffix != ".zip":
        raise UserError(f"servers take zip archives: give `{out}` a name that ends with .zip")
    opened = _evaluated if source.name == reopening.EVALUATION else _recorded
    found = opened(source, data_root)
    made = found.task.submission(found.rows, found.dataset, found.seconds)
    packed = archive(made.files)
    refuse_another(out, packed)
    write_bytes(out, packed)
    return Written(out, len(made.files), made.notes)


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of path -> content; equal files give equal bytes under the same zlib."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _MOMENT)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            packed.writestr(info, content)
    return buffer.getvalue()


def problems(file: Path, options: RunOptions) -> list[str]:
    """What the server of the options' data set would not take in an archive, a line each.

    Raises:
        UserError, DataError, RecipeError: what the user can mend.
    """
    task = plugins.task(options.task)
    if options.dataset is None:
        raise UserError("give the data set with --dataset")
    recipe = recipes.resolve_sections(options, task.served_as(options.dataset))
    task.prepare(recipe)
    return task.check_submission(file, task.dataset(recipe, "test"))


def _recorded(source: Path, data_root: Path | None) -> _Predicted:
    record = reopening.finished(source)
    task, dataset = reopening.test_data(record, source, data_root)
    seconds = record.cost.get("evaluation_seconds")
    return _Predicted(task, dataset, reopening.rows(record, source), seconds)


def _evaluated(source: Path, data_root: Path | None) -> _Predicted:
    try:
        kept = json.loads(read_bytes(source))
        task_name, values, data = kept["task"], kept["recipe"], kept["data"]["sha256"]
        sha256, seconds = kept["files"][reopening.PREDICTIONS], kept["seconds"]
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        raise UserError(
            f"`{source}` was not written by `harness evaluate` of this version"
        ) from None
    task, dataset = reopening.opened(task_name, values, data, source, data_root)
    rows = predictions.read_rows(source.parent / reopening.PREDICTIONS, sha256)
    runs = len({row.get("run", 0) for row in rows})
    if runs > 1:
        raise UserError(f"`{source}` has {runs} runs: a submission is made of one, evaluate one")
    return _Predicted(task, dataset, rows, seconds)

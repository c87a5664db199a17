"""What a record's figures were measured on, opened again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import plugins, recipes
from results import Record, ResultsError, predictions, read

if TYPE_CHECKING:
    from tasks.contract import Row, Task

PREDICTIONS = "predictions.parquet"
EVALUATION = "evaluation.json"


def finished(path: Path) -> Record:
    """The record of a finished run.

    Raises:
        ResultsError: the file cannot be read, or its run is not finished.
    """
    record = read(path)
    if record.status != "finished":
        raise ResultsError(f"`{path}` is of a run that is {record.status}: it has no predictions")
    return record


def test_data(record: Record, place: Path, data_root: Path | None = None) -> tuple[Task, Any]:
    """The task of a record and its test split.

    Args:
        place: the record file, for messages.
        data_root: folder of the data, where they no longer lie where the recipe says.

    Raises:
        ResultsError: the test data are others.
        RecipeError, DataError, UnknownNameError: the record's recipe or data cannot be had here.
    """
    sha256 = record.data.get("test", {}).get("sha256")
    return opened(record.task, record.recipe, sha256, place, data_root)


def opened(
    task_name: str,
    values: dict[str, Any],
    sha256: str | None,
    place: Path,
    data_root: Path | None = None,
) -> tuple[Task, Any]:
    """A task and the test split of a recipe's values, which must have the hash.

    Raises:
        ResultsError: the test data are others.
        RecipeError, DataError, UnknownNameError: as `test_data`.
    """
    if data_root is not None:
        values = values | {"data": values["data"] | {"root": str(data_root)}}
    recipe = recipes.load_resolved(task_name, values)
    task = plugins.task(task_name)
    task.prepare(recipe)
    dataset = task.dataset(recipe, "test")
    if dataset.info.sha256 != sha256:
        raise ResultsError(
            f"the test data of `{recipe.data.name}` are not those of `{place}`: their hash "
            "differs; give the right folder with --data-root"
        )
    return task, dataset


def rows(record: Record, place: Path) -> list[Row]:
    """The predictions beside a record file.

    Raises:
        ResultsError: it names none, or the file is not the one that it names.
    """
    if PREDICTIONS not in record.files:
        raise ResultsError(f"`{place}` names no `{PREDICTIONS}`: it has no predictions")
    return predictions.read_rows(place.parent / PREDICTIONS, record.files[PREDICTIONS])

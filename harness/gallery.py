"""Pictures of a record's predictions, written into a folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import reopening
from harness.errors import UserError
from results import Record
from results.files import write_bytes
from tasks.films import as_gif

if TYPE_CHECKING:
    from PIL.Image import Image

    from tasks.contract import Gallery, Row, Task


def gallery(path: Path, data_root: Path | None = None) -> Gallery:
    """Draw the predictions beside a record file.

    Args:
        path: the record file.
        data_root: folder of the data, where they no longer lie where the recipe says.

    Raises:
        ResultsError: the run is not finished, its predictions are not those that it names, or the
            test data are others.
        RecipeError, DataError, UnknownNameError: the record's recipe or data cannot be had here.
    """
    task, rows, dataset, words = _opened(path, data_root)
    return task.pictures(rows, dataset, words)


def film(path: Path, sequence: str, file: Path, data_root: Path | None = None) -> Path:
    """Write one sequence of a record's predictions: a film as `.gif`, a sheet as `.png`.

    Args:
        path: the record file.
        sequence: its name.
        file: what is written; what is there already is left there.
        data_root: as `gallery`.

    Raises:
        UserError: the file has another ending, or is there already and is another one.
        ResultsError, RecipeError, DataError, UnknownNameError: as `gallery`; also a task without
            sequences, a sequence that there is not.
        OSError: the file cannot be written.
    """
    ending = file.suffix.lower()
    if ending not in (".gif", ".png"):
        raise UserError(f"`{file}`: give a file that ends in .gif (a film) or .png (a sheet)")
    task, rows, dataset, words = _opened(path, data_root)
    if ending == ".gif":
        content = as_gif(task.film(rows, dataset, sequence, words))
    else:
        content = _png(task.film_sheet(rows, dataset, sequence, words))
    refuse_another(file, content)
    write_bytes(file, content)
    return file


def _opened(path: Path, data_root: Path | None) -> tuple[Task, list[Row], Any, str]:
    """Task, predictions, test split and title of a record file."""
    record = reopening.finished(path)
    rows = reopening.rows(record, path)
    task, dataset = reopening.test_data(record, path, data_root)
    return task, rows, dataset, title(record, len(dataset))


def title(record: Record, count: int) -> str:
    """Of which run a picture is, and of how many test samples."""
    control = f" (control {record.control})" if record.control else ""
    return (
        f"{record.backbone['name']}{control}: {record.task} on {record.dataset}, "
        f"{record.protocol}, scale {record.scale}, seed {record.seed}; test split, n={count}"
    )


def write(found: Gallery, folder: Path) -> list[Path]:
    """Write images as PNG and tables as CSV. A file that is there and would be another one ends it
    before anything is written: it may be of another run, or none of ours.

    Raises:
        UserError: it is so.
        OSError: a file cannot be written.
    """
    contents = {f"{stem}.png": _png(image) for stem, image in found.images.items()}
    contents |= {f"{stem}.csv": _csv(lines) for stem, lines in found.tables.items()}
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`{folder}` is a file: give a folder for the pictures")
    for name, content in contents.items():
        refuse_another(folder / name, content)
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return [folder / name for name in contents]


def refuse_another(path: Path, content: bytes) -> None:
    """Refuse to write over a file that is another one: it may be of another run, or none of ours.

    Raises:
        UserError: it is so.
    """
    if path.exists() and not (path.is_file() and path.read_bytes() == content):
        raise UserError(
            f"`{path}` is there already and is another one: remove it, or give another place"
        )


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _csv(lines: list[dict[str, Any]]) -> bytes:
    """Numbers are written so that reading gives them back exactly; None is blank."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()

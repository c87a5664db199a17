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

if TYPE_CHECKING:
    from PIL.Image import Image

    from tasks.contract import Gallery


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
    record = reopening.finished(path)
    rows = reopening.rows(record, path)
    task, dataset = reopening.test_data(record, path, data_root)
    return task.pictures(rows, dataset, title(record, len(dataset)))


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
    other = [n for n, new in contents.items() if (folder / n).exists() and not _is(folder / n, new)]
    if other:
        raise UserError(
            f"`{folder / other[0]}` is there already and is another one: remove it, or give "
            "another folder"
        )
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return [folder / name for name in contents]


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


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

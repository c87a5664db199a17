"""Predictions and scores as Parquet, curves as CSV: data that is scored again years later."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.files import ResultsError, read_bytes, write_bytes, write_text

if TYPE_CHECKING:
    import pyarrow


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> str:
    """Write predictions, one row each, all with the same keys; returns the file's sha256.

    Raises:
        ValueError: no rows, or rows with different keys.
    """
    if not rows:
        raise ValueError("there are no predictions to write")
    keys = list(rows[0])
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise ValueError(f"prediction {number} has the keys {list(row)}, the first one {keys}")
    return write_columns({key: [row[key] for row in rows] for key in keys}, path)


def write_columns(columns: Mapping[str, Sequence[Any]], path: Path) -> str:
    """Write a table of equally long columns; returns the file's sha256. Equal tables give equal
    bytes under the same version of pyarrow.

    Raises:
        ValueError: columns of different length, or of values without a common type.
    """
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    table = pyarrow.table({key: list(values) for key, values in columns.items()})
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    return write_bytes(path, buffer.getvalue())


def read_rows(path: Path, sha256: str | None = None) -> list[dict[str, Any]]:
    """Read predictions back, with the values that were written.

    Raises:
        ResultsError: missing, truncated, or not the file whose hash is given.
    """
    rows: list[dict[str, Any]] = _read(path, sha256).to_pylist()
    return rows


def read_columns(path: Path, sha256: str | None = None) -> dict[str, list[Any]]:
    """Read a table of columns back, with the values that were written.

    Raises:
        ResultsError: missing, truncated, or not the file whose hash is given.
    """
    columns: dict[str, list[Any]] = _read(path, sha256).to_pydict()
    return columns


def write_curves(rows: Sequence[Mapping[str, float]], path: Path) -> str:
    """Write one line a step; returns the file's sha256. Numbers are written so that reading gives
    them back exactly; a figure that a step lacks is left blank."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    if names:
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return write_text(path, text.getvalue())


def read_curves(path: Path, sha256: str | None = None) -> list[dict[str, float]]:
    """Read curves back, one dictionary a step.

    Raises:
        ResultsError: missing, malformed, or not the file whose hash is given.
    """
    try:
        text = read_bytes(path, sha256).decode()
        return [
            {name: float(value) for name, value in row.items() if value != ""}
            for row in csv.DictReader(io.StringIO(text), strict=True)
        ]
    except (ValueError, TypeError, csv.Error) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"`{path}` is no table of curves: {error}") from None


def _read(path: Path, sha256: str | None) -> pyarrow.Table:
    import pyarrow
    import pyarrow.parquet

    content = read_bytes(path, sha256)
    try:
        return pyarrow.parquet.read_table(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        words = " ".join(str(error).split())
        raise ResultsError(f"`{path}` is truncated or no Parquet file ({words})") from None

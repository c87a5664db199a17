"""Predictions and scores as Parquet, curves as CSV: data that is scored again years later."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.files import ResultsError, write_bytes, write_text


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> str:
    """Write predictions, one row each, all with the same keys; returns the file's sha256.

    Raises:
        ValueError: no rows, or rows with different keys.
    """
    if not rows:
        raise ValueError("there are no predictions to write")
    keys = list(rows[0])
    if any(list(row) != keys for row in rows):
        raise ValueError(f"predictions must all have the keys {keys}")
    return write_columns({key: [row[key] for row in rows] for key in keys}, path)


def write_columns(columns: Mapping[str, Sequence[Any]], path: Path) -> str:
    """Write a table of equally long columns; returns the file's sha256. Equal tables give equal
    bytes under the same version of pyarrow."""
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
    import pyarrow
    import pyarrow.parquet

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"cannot read `{path}`: {error.strerror}") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ResultsError(f"`{path}` is not the file that its record names: its hash differs")
    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    except pyarrow.ArrowException as error:
        raise ResultsError(f"`{path}` is no whole Parquet file: {error}") from None
    return rows


def write_curves(rows: Sequence[Mapping[str, float]], path: Path) -> str:
    """Write one line a step; returns the file's sha256. Numbers are written so that reading gives
    them back exactly."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return write_text(path, text.getvalue())

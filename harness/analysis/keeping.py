"""What was found, as files beside a record: `values.parquet` and `by_image.npz`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from harness.analysis.rows import Found, Row
from results import Record, ResultsError, predictions, write_bytes
from results.files import read_bytes

VALUES = "values.parquet"
BY_IMAGE = "by_image.npz"
_NOTES = "notes.json"


def write(found: Found, folder: Path) -> dict[str, str]:
    """Write what was found; returns file name -> sha256."""
    columns = {name: [getattr(row, name) for row in found.rows] for name in Row._fields}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **found.by_image)  # type: ignore[arg-type]
    notes = json.dumps(list(found.notes), ensure_ascii=False).encode()
    return {
        VALUES: predictions.write_columns(columns, folder / VALUES),
        BY_IMAGE: write_bytes(folder / BY_IMAGE, buffer.getvalue()),
        _NOTES: write_bytes(folder / _NOTES, notes),
    }


def read(record: Record, folder: Path) -> Found:
    """Read what an inspection found.

    Raises:
        ResultsError: a file is missing, truncated, or not the one that the record names.
    """
    missing = [name for name in (VALUES, BY_IMAGE, _NOTES) if name not in record.files]
    if missing:
        raise ResultsError(f"the record of cell {record.cell[:12]} names no {missing[0]}")
    columns = predictions.read_columns(folder / VALUES, record.files[VALUES])
    rows = tuple(Row(*values) for values in zip(*columns.values(), strict=True))
    content = read_bytes(folder / BY_IMAGE, record.files[BY_IMAGE])
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        by_image = {name: arrays[name] for name in arrays.files}
    notes = json.loads(read_bytes(folder / _NOTES, record.files[_NOTES]))
    return Found(rows, by_image, tuple(notes))

"""What the figures of two runs are paired by, as it lies beside their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results import Record
from results.predictions import read_columns

Columns = dict[str, list[Any]]

FILES = ("resampled.parquet", "per_sample.parquet")
"""The first that a record has."""


def scores_of(record: Record, output: Path) -> Columns | None:
    """The primary metric on resamples of the test set, or scores by sample; None where the run's
    folder is not below `output`.

    Raises:
        ResultsError: the file is not the one that the record names.
    """
    name = next((name for name in FILES if name in record.files), None)
    found = sorted(output.glob(f"{record.task}/*/{record.cell[:12]}/{name}"))
    return read_columns(found[0], record.files[name]) if found and name else None

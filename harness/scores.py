"""What the figures of two runs are paired by, as it lies beside their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import UserError
from results import Record
from results.predictions import read_columns

Columns = dict[str, list[Any]]

RESAMPLED, BY_SAMPLE = "resampled.parquet", "per_sample.parquet"


def scores_of(record: Record, output: Path) -> Columns | None:
    """The primary metric on resamples of the test set, or scores by sample; None where the run's
    folder is not below `output`.

    Raises:
        ResultsError: the file is not the one that the record names.
    """
    return _read(record, output, RESAMPLED if RESAMPLED in record.files else BY_SAMPLE)


def by_sample(record: Record, output: Path) -> Columns | None:
    """Scores by sample; None where there are none below `output`.

    Raises:
        ResultsError: the file is not the one that the record names.
    """
    return _read(record, output, BY_SAMPLE)


def place_of(record: Record, output: Path) -> Path | None:
    """The record's file below `output`, if it lies there."""
    found = sorted(output.glob(f"{record.task}/*/{record.cell[:12]}/record.json"))
    return found[0] if found else None


def run_of(record: Record, output: Path) -> Path:
    """The record's file below `output`.

    Raises:
        UserError: it does not lie there.
    """
    place = place_of(record, output)
    if place is None:
        raise UserError(
            f"the run of `{record.backbone['name']}`, seed {record.seed}, does not lie below "
            f"`{output}`: give the folder of the runs with --output"
        )
    return place


def _read(record: Record, output: Path, name: str) -> Columns | None:
    found = sorted(output.glob(f"{record.task}/*/{record.cell[:12]}/{name}"))
    known = record.files.get(name)
    return read_columns(found[0], known) if found and known else None

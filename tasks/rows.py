"""Stored predictions of which each sample has one."""

from __future__ import annotations

from tasks.contract import DataError, Row


def in_order(rows: list[Row], count: int) -> list[Row]:
    """The rows of `count` samples by sample, one each.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    found = {row["sample"]: row for row in rows}
    if len(found) != len(rows):
        raise DataError(f"{len(rows) - len(found)} of {len(rows)} predictions are doubled")
    missing = sorted(set(range(count)) - set(found))
    if missing:
        raise DataError(f"{len(missing)} of {count} samples have no prediction: {missing[:5]} ...")
    if len(found) != count:
        raise DataError(f"{len(found) - count} predictions are of samples that do not exist")
    return [found[k] for k in range(count)]

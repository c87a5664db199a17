"""How the terms of the loss went, in a table: averages over equal parts of the steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import Any

from results.curves import COLUMNS

Curve = dict[str, float]


def table(
    curves: Sequence[Curve], held_out: Sequence[Curve], noted: Collection[str], bins: int
) -> dict[str, list[Any]]:
    """Columns of a table in long form.

    `split` is `training` or `held_out`; `name` a term of the loss, `loss` for their sum, or, where
    `noted`, what stands beside them; `first` and `last` are steps, counted from 0, over which
    `value` is the mean; of held-out samples `value` is the figure after step `last`.

    Args:
        curves: a row a step, with `step`, `loss` and the terms.
        held_out: a row a time at which it was taken, with `step`.
        noted: names of what is no term of the loss.
        bins: number of equal parts; as many as there are steps, if there are fewer.
    """
    rows: list[tuple[str, str, bool, int, int, float]] = []
    count = min(bins, len(curves))
    for number in range(count):
        part = curves[ceil(number * len(curves) / count) : ceil((number + 1) * len(curves) / count)]
        first, last = int(part[0]["step"]), int(part[-1]["step"])
        for name in _names(part[0]):
            mean = sum(row[name] for row in part) / len(part)
            rows.append(("training", name, name in noted, first, last, mean))
    for row in held_out:
        step = int(row["step"])
        rows += [("held_out", name, name in noted, step, step, row[name]) for name in _names(row)]
    columns = zip(*rows, strict=True) if rows else ([] for _ in COLUMNS)
    return {name: list(column) for name, column in zip(COLUMNS, columns, strict=True)}


def _names(row: Curve) -> list[str]:
    return [name for name in row if name not in ("step", "lr")]

"""How two encoders' losses went while they were trained, from what lies beside their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import plugins
from harness.errors import UserError
from harness.scores import place_of
from results import Record, curves, predictions
from results.statistics import Interval

NAME = "dynamics.parquet"
Ratios = dict[str, tuple[Interval, Interval, Interval]]


@dataclass(frozen=True)
class Curves:
    """Two encoders' curves.

    Attributes:
        a, b: their names.
        seeds: those of both.
        terms: of training and of held-out samples.
        ratios: `split: name` -> the task's quotients of terms, of a, of b, and the difference.
    """

    a: str
    b: str
    seeds: tuple[int, ...]
    terms: list[curves.Term]
    ratios: Ratios

    @property
    def listed(self) -> str:
        """The seeds, in words."""
        return ", ".join(map(str, self.seeds))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        terms = [
            {
                "split": term.split,
                "name": term.name,
                "areas": {span: _bounds(each) for span, each in term.areas.items()},
                "a_reaches_final_of_b": _reach(term.a_reaches),
                "b_reaches_final_of_a": _reach(term.b_reaches),
            }
            for term in self.terms
        ]
        ratios = {name: _bounds(each) for name, each in self.ratios.items()}
        return {"a": self.a, "b": self.b, "seeds": self.seeds, "terms": terms, "ratios": ratios}


def between(a: str, b: str, groups: dict[str, tuple[Record, ...]], output: Path) -> Curves:
    """The curves of two encoders.

    Args:
        groups: name -> records by seed, the same seeds for both.
        output: folder of the runs.

    Raises:
        UserError: a run was not trained by steps, or does not lie below `output`.
        ResultsError: a table is not the one that its record names, or lacks a term.
    """
    first, second = ([_table(record, output) for record in groups[name]] for name in (a, b))
    found = curves.terms(first, second)
    ratios: Ratios = {}
    for name, (above, below) in plugins.task(groups[a][0].task).ratios.items():
        for split in dict.fromkeys(term.split for term in found):
            ratios[f"{split}: {name}"] = curves.ratio(first, second, above, below, split)
    return Curves(a, b, tuple(record.seed for record in groups[a]), found, ratios)


def _table(record: Record, output: Path) -> dict[str, Sequence[Any]]:
    place = place_of(record, output)
    if NAME not in record.files:
        raise UserError(
            f"cell {record.cell[:12]} has no curves: it was not trained by steps, or by a version "
            "before they were kept; run it anew into another --output"
        )
    if place is None:
        raise UserError(f"cell {record.cell[:12]} does not lie below `{output}` (--output)")
    table = predictions.read_columns(place.parent / NAME, record.files[NAME])
    if missing := [name for name in curves.COLUMNS if name not in table]:
        raise UserError(
            f"the curves of cell {record.cell[:12]} lack `{missing[0]}`: they were kept by another "
            "version; run it anew into another --output"
        )
    return dict(table)


def _reach(found: curves.Reach | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _bounds(each: tuple[Interval, Interval, Interval]) -> dict[str, Any]:
    names = ("a", "b", "difference")
    return {
        name: {"mean": found.mean, "low": found.low, "high": found.high}
        for name, found in zip(names, each, strict=True)
    }

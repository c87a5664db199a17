"""Metrics computed anew from stored predictions, held against the record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import reopening
from results import Record

TOLERANCE = 1e-12
"""Room for sums in another order; metrics are pure functions of the predictions."""


@dataclass(frozen=True)
class Figure:
    """A metric in the record and computed now; None where one of them lacks it."""

    name: str
    kept: float | None
    now: float | None

    @property
    def equal(self) -> bool:
        """Whether they agree to `TOLERANCE`, relative where the figure is above 1."""
        if self.kept is None or self.now is None:
            return self.kept is self.now
        return abs(self.kept - self.now) <= TOLERANCE * max(1.0, abs(self.kept))


@dataclass(frozen=True)
class Rescored:
    """Every metric and sampling error of a record beside what its predictions give now."""

    record: Record
    evaluator: str
    figures: tuple[Figure, ...]

    @property
    def equal(self) -> bool:
        """Whether every figure agrees."""
        return all(figure.equal for figure in self.figures)

    def lines(self) -> list[str]:
        """The figures in words."""
        width = max(len(figure.name) for figure in self.figures)
        lines = [
            f"{figure.name:<{width}}  record {_text(figure.kept)}  now {_text(figure.now)}"
            f"{'' if figure.equal else '  DIFFERS'}"
            for figure in self.figures
        ]
        lines.append(f"evaluator: record {self.record.evaluator}, now {self.evaluator}")
        differing = [figure.name for figure in self.figures if not figure.equal]
        lines.append(f"not the record's figures: {', '.join(differing)}" if differing else "equal")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cell": self.record.cell,
            "equal": self.equal,
            "evaluator": self.evaluator,
            "figures": {
                f.name: {"record": f.kept, "now": f.now, "equal": f.equal} for f in self.figures
            },
        }


def rescore(path: Path, data_root: Path | None = None) -> Rescored:
    """Evaluate the predictions beside a record file.

    Args:
        path: the record file.
        data_root: folder of the data, where they no longer lie where the recipe says.

    Raises:
        ResultsError: the run is not finished, its predictions are not those that it names, or the
            test data are others.
        RecipeError, DataError, UnknownNameError: the record's recipe or data cannot be had here.
    """
    record = reopening.finished(path)
    task, dataset = reopening.test_data(record, path, data_root)
    rows = reopening.rows(record, path)
    evaluation = task.evaluate(rows, dataset)
    kept = _figures(record.metrics)
    now = _figures(evaluation.metrics)
    names = list(dict.fromkeys([*kept, *now]))
    figures = tuple(Figure(name, kept.get(name), now.get(name)) for name in names)
    return Rescored(record, evaluation.evaluator, figures)


def _figures(metrics: Any) -> dict[str, float | None]:
    """Values and sampling errors by name."""
    found: dict[str, float | None] = {}
    for name, metric in metrics.items():
        found |= {name: metric.value, f"{name} error": metric.error}
    return found


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"

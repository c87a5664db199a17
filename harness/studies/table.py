"""The table of a study: a row a cell, with its interval and its difference to the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.console import measured
from harness.pace import duration
from harness.scores import Columns, scores_of
from harness.studies import curve
from harness.studies.executor import Outcome
from harness.studies.model import Study
from results import Record, ResultsError
from results.compare import compare, within_chance
from results.pairing import Scores
from results.statistics import Interval, interval


def line(outcome: Outcome) -> str:
    """What became of a run, in a line."""
    job = outcome.job
    said = f"exit code {outcome.code}, see above"
    if outcome.record is not None:
        record = Record.model_validate(outcome.record)
        said = f"{record.primary} {measured(record.figure())}"
    seconds = duration(outcome.seconds)
    return f"{job.cell}, seed {job.options.seed}: {outcome.status}, {said}, {seconds}"


def summary(study: Study, outcomes: Sequence[Outcome]) -> str:
    """The table as Markdown, one for each task, and what it says about chance.

    Differences are paired by seed and sample, to the study's reference or, in the table of another
    task, to its first cell; where two cells cannot be compared the table says so, and why.
    """
    scores = scores_in(outcomes)
    tables = []
    for cells in _by_task(study).values():
        groups = groups_of(cells, outcomes)
        tables.append([*_table(study, groups, scores), *curve.said(study, groups, scores)])
    return "\n".join([study.question, *(line for lines in tables for line in ["", *lines])])


def scores_in(outcomes: Sequence[Outcome]) -> Scores:
    """Where the scores of the study's runs are."""
    outputs = {
        outcome.record["cell"]: outcome.job.options.output
        for outcome in outcomes
        if outcome.record is not None
    }

    def scores(record: Record) -> Columns | None:
        return scores_of(record, outputs[record.cell])

    return scores


def _by_task(study: Study) -> dict[str | None, list[str]]:
    """The names of the cells of each task."""
    found: dict[str | None, list[str]] = {}
    for cell in study.cells:
        options = study.base | cell.options
        found.setdefault(options.get("task"), []).append(cell.name)
    return found


def groups_of(names: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, list[Record]]:
    """The finished records of each cell."""
    return {
        name: [
            Record.model_validate(outcome.record)
            for outcome in outcomes
            if outcome.job.cell == name and outcome.record is not None
        ]
        for name in names
    }


def _table(study: Study, groups: dict[str, list[Record]], scores: Scores) -> list[str]:
    reference = study.reference
    if reference not in groups:
        reference = next(iter(groups))
    beside = _Beside(groups[reference], scores, study.differing)
    rows = [
        _row(name, records, None if name == reference else beside)
        for name, records in groups.items()
    ]
    head = ["cell", "seeds", _metric(groups), "95 % interval", f"minus `{reference}`", "95 %", ""]
    lines = [_cells(head), _cells(["---"] * len(head)), *map(_cells, rows)]
    return [*lines, *_chance(groups, scores)]


@dataclass(frozen=True)
class _Beside:
    """What a row is compared with, and how."""

    records: list[Record]
    scores: Scores
    apart: tuple[str, ...]


def _row(name: str, records: list[Record], beside: _Beside | None) -> list[str]:
    if not records:
        return [name, "0", "", "", "", "", "no finished run"]
    figures = [record.figure() for record in records]
    found = interval(
        [figure.value for figure in figures],
        [figure.error for figure in figures],
        [figure.n for figure in figures],
    )
    row = [name, str(found.seeds), f"{found.mean:.4f}", _bounds(found)]
    if beside is None:
        return [*row, "", "", found.note]
    try:
        difference = compare(records, beside.records, beside.scores, beside.apart).difference
    except ResultsError as error:
        return [*row, "", "", str(error)]
    return [*row, f"{difference.mean:+.4f}", _bounds(difference), difference.note]


def _chance(groups: dict[str, list[Record]], scores: Scores) -> list[str]:
    """Whether training on permuted labels stayed within chance, where the study has all three."""
    by_control: dict[str | None, list[list[Record]]] = {}
    for records in groups.values():
        if records:
            by_control.setdefault(records[0].control, []).append(records)
    needed = [by_control.get(control) for control in ("permuted-labels", "constant", None)]
    if not all(found and len(found) == 1 for found in needed):
        return []
    permuted, constant, trained = (found[0] for found in needed if found)
    try:
        found = within_chance(permuted, constant, trained, scores)
    except ResultsError as error:
        return ["", f"permuted-labels: {error}"]
    verdict = "within chance" if found.within else "NOT within chance"
    bound = "unknown" if found.bound is None else f"{found.bound:.4f}"
    return [
        "",
        f"permuted-labels: {verdict}; upper 95 % bound of permuted - constant {bound}, "
        f"10 % of trained - constant {found.limit:.4f}",
    ]


def _metric(groups: dict[str, list[Record]]) -> str:
    names = sorted({record.primary for records in groups.values() for record in records})
    return ", ".join(names) or "figure"


def _bounds(found: Interval) -> str:
    if found.low is None or found.high is None:
        return "unknown"
    return f"[{found.low:.4f}, {found.high:.4f}]"


def _cells(values: Sequence[str]) -> str:
    return f"| {' | '.join(value.replace('|', '/') for value in values)} |"

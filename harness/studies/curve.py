"""A study's score over one of its settings: lines, their slopes, and the figure.

The slope of a line and its interval: results/slopes.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from results import Record, ResultsError
from results.slopes import Slope, difference, slope
from results.statistics import interval

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from harness.studies.model import Study, StudyCell
    from results.pairing import Scores
    from results.statistics import Interval
    from tasks.figures import Page

Groups = Mapping[str, Sequence[Record]]
"""Name of a cell -> its finished records."""

_WIDTH, _HEIGHT, _LEFT, _BELOW, _ROW = 2.9, 2.2, 0.5, 0.42, 0.17
"""Inches of a panel, what is left of it and below it, and a line of its legend."""


@dataclass(frozen=True)
class Line:
    """Cells that differ in the setting that goes across.

    Attributes:
        name: the values of what tells lines apart.
        cells: value -> name of the cell, ascending.
    """

    name: str
    cells: dict[float, str]

    def records(self, groups: Groups) -> dict[float, Sequence[Record]]:
        """Value -> records, of cells that have finished runs."""
        return {value: groups[cell] for value, cell in self.cells.items() if groups.get(cell)}


def lines(study: Study) -> dict[str | None, list[Line]]:
    """Task -> the lines of its cells; empty where the study has no curve.

    A cell that does not give one of the settings of `by` belongs to every line that is like it in
    the others: what has no layer removed is the beginning of every way of removing them.

    Raises:
        UserError: two cells at one place of a line.
    """
    if study.curve is None:
        return {}
    by_task: dict[str | None, list[StudyCell]] = {}
    for cell in study.cells:
        by_task.setdefault(study.value(cell, "task"), []).append(cell)
    return {task: _lines(study, cells) for task, cells in by_task.items()}


def said(study: Study, groups: Groups, scores: Scores) -> list[str]:
    """The slopes of the lines of a task, and what each has beside the first, as Markdown.

    Args:
        groups: the task's cells.
        scores: as `results.compare.compare` takes them.
    """
    found = [line for each in lines(study).values() for line in each if _of(line, groups)]
    if study.curve is None or not found:
        return []
    metric = ", ".join(sorted({r.primary for records in groups.values() for r in records}))
    head = ["line", "at", f"slope of {metric or 'figure'}", "95 %", f"minus `{found[0].name}`"]
    rows = [[*head, "95 %", ""], ["---"] * 7]
    rows += [_row(study, line, found[0], groups, scores) for line in found]
    title = f"Slopes over `{study.curve.over}`, of the least-squares line through the means:"
    return ["", title, "", *(f"| {' | '.join(row)} |" for row in rows)]


def draw(study: Study, groups: Groups, scores: Scores, folder: Path) -> list[Path]:
    """Write the figure as PNG and SVG in place of what is there; nothing where there is no curve or
    no finished run.

    Raises:
        OSError: naming the file that cannot be written.
    """
    from harness import png
    from results.files import write_bytes

    panels = {
        task: found
        for task, each in lines(study).items()
        if (found := [line for line in each if line.records(groups)])
    }
    if not panels:
        return []
    page = _page(study, panels, groups, scores)
    stem = png.stem(study.name)
    path = folder / f"{stem}.svg"
    written = png.write(page.image(), folder / f"{stem}.png")
    write_bytes(path, page.svg())
    return [written, path]


def _lines(study: Study, cells: Sequence[StudyCell]) -> list[Line]:
    assert study.curve is not None
    keys = {cell.name: tuple(study.value(cell, name) for name in study.curve.by) for cell in cells}
    wholes = [
        key
        for key in dict.fromkeys(keys.values())
        if not any(other != key and _fits(key, other) for other in keys.values())
    ]
    found = []
    for whole in wholes:
        name = ", ".join(str(value) for value in whole if value is not None) or study.curve.over
        line: dict[float, str] = {}
        for cell in cells:
            if not _fits(keys[cell.name], whole):
                continue
            at = float(study.value(cell, study.curve.over))
            if at in line:
                raise UserError(
                    f"`curve`: the cells `{line[at]}` and `{cell.name}` are both at "
                    f"{study.curve.over}={at:g} of the line `{name}`: tell them apart in `by`"
                )
            line[at] = cell.name
        found.append(Line(name, dict(sorted(line.items()))))
    return found


def _fits(key: tuple[Any, ...], whole: tuple[Any, ...]) -> bool:
    """Whether a key is like another one but for what it does not give."""
    return all(a is None or a == b for a, b in zip(key, whole, strict=True))


def _of(line: Line, groups: Groups) -> bool:
    return any(cell in groups for cell in line.cells.values())


def _row(study: Study, line: Line, first: Line, groups: Groups, scores: Scores) -> list[str]:
    own = line.records(groups)
    row = [line.name, ", ".join(f"{value:g}" for value in own) or "nothing"]
    missing = [f"no finished run of `{c}`" for c in line.cells.values() if not groups.get(c)]
    try:
        found = slope(own, scores, study.differing)
    except ResultsError as error:
        return [*row, "", "", "", "", "; ".join([str(error), *missing])]
    row += [f"{found.value.mean:+.4f}", _bounds(found.value)]
    if line is first:
        return [*row, "", "", _note(found, missing)]
    try:
        beside = difference(own, first.records(groups), scores, study.differing)
    except ResultsError as error:
        return [*row, "", "", "; ".join([str(error), *missing])]
    value = beside.value
    return [*row, f"{value.mean:+.4f}", _bounds(value), _note(beside, missing)]


def _note(found: Slope, missing: Sequence[str]) -> str:
    unpaired = f"samples are not paired: {found.unpaired}" if found.unpaired else ""
    return "; ".join(filter(None, [found.value.note, unpaired, *missing]))


def _page(
    study: Study, panels: Mapping[str | None, Sequence[Line]], groups: Groups, scores: Scores
) -> Page:
    from tasks.figures import SMALL, Page, text_style

    assert study.curve is not None
    rows = max(map(len, panels.values()))
    size = (len(panels) * (_LEFT + _WIDTH + 0.2), 0.25 + _HEIGHT + _BELOW + rows * _ROW)
    notes = (
        "Points: means over seeds; bars: 95 % intervals over seeds and test samples. In brackets: "
        "the slope of the least-squares line, with its interval.",
    )
    page = Page(study.name, "", size, notes)
    for number, (task, found) in enumerate(panels.items()):
        left = number * (_LEFT + _WIDTH + 0.2) + _LEFT
        axes = page.axes(left, 0.25, _WIDTH, _HEIGHT)
        _panel(axes, found, groups)
        axes.set_title(task or "", loc="left", **text_style(SMALL))
        axes.set_xlabel(study.curve.over, **text_style(SMALL))
        for rank, line in enumerate(found):
            top = 0.25 + _HEIGHT + _BELOW + rank * _ROW
            _entry(page, rank, _named(study, line, groups, scores), left, top)
    return page


def _panel(axes: Axes, found: Sequence[Line], groups: Groups) -> None:
    from harness.analysis.figures.sheet import framed, style
    from tasks.figures import SMALL, text_style

    places = sorted({at for line in found for at in line.cells})
    step = min((b - a for a, b in pairwise(places)), default=1.0)
    for rank, line in enumerate(found):
        # Beside each other: bars that cover each other cannot be told apart.
        aside = 0.08 * step * (rank - (len(found) - 1) / 2)
        means = {at: _mean(records) for at, records in line.records(groups).items()}
        middle = [each.mean for each in means.values()]
        half = [0.0 if each.high is None else each.high - each.mean for each in means.values()]
        axes.errorbar([at + aside for at in means], middle, half, elinewidth=0.8, **style(rank))
    framed(axes)
    some = next(iter(next(iter(found[0].records(groups).values()))))
    arrow = "↑" if some.figure().better == "higher" else "↓"
    axes.set_ylabel(f"{some.primary} {arrow}", **text_style(SMALL))
    axes.set_xticks(places)


def _entry(page: Page, rank: int, text: str, left: float, top: float) -> None:
    """A line of a panel's legend."""
    from harness.analysis.figures.sheet import style
    from tasks.figures import SMALL, shortened

    axes = page.axes(left, top, 0.4, _ROW)
    axes.plot([0, 0.5, 1], [0.5] * 3, markevery=[1], **style(rank))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    page.text(left + 0.45, top + 0.12, shortened(text, _WIDTH - 0.3, SMALL), SMALL)


def _named(study: Study, line: Line, groups: Groups, scores: Scores) -> str:
    try:
        found = slope(line.records(groups), scores, study.differing).value
    except ResultsError:
        return f"{line.name} (no slope)"
    return f"{line.name} ({found.mean:+.2g} {_bounds(found, '.2g')})"


def _mean(records: Sequence[Record]) -> Interval:
    figures = [record.figure() for record in records]
    return interval(
        [figure.value for figure in figures],
        [figure.error for figure in figures],
        [figure.n for figure in figures],
    )


def _bounds(found: Interval, form: str = ".4f") -> str:
    if found.low is None or found.high is None:
        return "unknown"
    return f"[{found.low:{form}}, {found.high:{form}}]"

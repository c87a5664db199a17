"""The page of an inspection: what is above and below what, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.captions import CAPTIONS, PAIRS
from harness.analysis.markdown import code, linked, links, of_stem, with_error
from harness.analysis.ordering import (
    PARTS,
    Difference,
    Estimate,
    difference,
    differences,
    estimate,
    estimate_at,
    real,
)

if TYPE_CHECKING:
    from harness.analysis.inspected import Inspected

LAYERS = (
    "attention.distance",
    "attention.distance_relative",
    "attention.entropy",
    "attention.entropy_relative",
    "attention.kl",
    "attention.js",
    "attention.nmi",
    "attention.offset",
    "attention.prefix_mass",
    "similarity.effective_rank",
    "similarity.uniformity",
    "spectrum.high_frequency",
)
"""Measures that are told by thirds of the blocks."""
PROBES = ("probe.knn", "probe.linear", "probe.depth", "probe.pose")
_FIGURES = {
    "attention.kl": "attention-diversity",
    "attention.js": "attention-diversity",
    "similarity.effective_rank": "similarity-spread",
    "similarity.uniformity": "similarity-spread",
    **dict.fromkeys(PROBES, "probe"),
}
"""Measures that share a figure, and which."""

Say = Callable[[Sequence[tuple[Difference, bool]]], str]
"""A sentence from differences, of which each is known to be real or not."""


@dataclass(frozen=True)
class _Section:
    """What is said of a measure.

    Attributes:
        table: cells of its lines, headings first.
        statements: differences, at least one, and the sentence that they become.
        known: whether there is any standard error.
    """

    measure: str
    table: list[list[str]]
    statements: list[tuple[list[Difference], Say]] = field(default_factory=list)
    known: bool = True


def page(inspected: Sequence[Inspected], figures: Sequence[Path]) -> str:
    """Markdown; figures are linked by their names, as lying beside the page.

    A difference is told only where it is real by its standard error over the images, with Holm's
    correction over all differences of the page.

    Raises:
        ValueError: values of images that do not fit the rows.
    """
    sections = [
        *(_by_thirds(inspected, measure) for measure in LAYERS),
        *(_of_pairs(inspected, measure) for measure in PAIRS),
        *(_of_probe(inspected, measure) for measure in PROBES),
    ]
    told = [section for section in sections if len(section.table) > 1]
    every = [d for section in told for found, _ in section.statements for d in found]
    verdicts = iter(real(every))
    parts = [_head(inspected, sum(d.error is not None for d in every))]
    shown: set[str] = set()
    for section in told:
        stem = _FIGURES.get(section.measure, section.measure.replace(".", "-").replace("_", "-"))
        parts.append(_told(section, verdicts, links(figures, stem)))
        shown |= {path.name for path in of_stem(figures, stem)}
    others = [path for path in figures if path.name not in shown]
    if others:
        parts.append("## Other figures\n\n" + linked(others))
    parts += [*_notes(inspected), _SILENT]
    if any(section.measure in PROBES for section in told):
        parts[-1] += (
            "\n- The best block of a probe is chosen with the images that its score is of, which "
            "favours it."
        )
    return "\n\n".join(parts) + "\n"


def _head(inspected: Sequence[Inspected], known: int) -> str:
    names = list(dict.fromkeys(code(one.name) for one in inspected))
    numbers = sorted({row.n for one in inspected for f in one.found.values() for row in f.rows})
    images = " to ".join(dict.fromkeys(map(str, (numbers[0], numbers[-1])))) if numbers else "none"
    lines = [
        f"# Inspection of {', '.join(names)}",
        f"Images: {images}. Figures are means ± standard errors over images; blocks are numbered "
        "from 0; the early and late third are the first and last third of an encoder's own blocks.",
    ]
    if known:
        lines.append(
            f"Of the {known} differences below that have a standard error, those called above or "
            "below are real, all together, with 95 % confidence (t quantiles over the images, "
            "paired by image where each image's value was kept and else with the sum of both "
            "errors, Holm's correction). The others cannot be told apart: that is no proof that "
            "they are equal. In brackets: differences."
        )
    return "\n\n".join(lines)


_SILENT = """## What this does not say

- It speaks of these encoder files and of images like these, not of a training objective.
- Errors are over images: another training run of the same encoder would differ by more.
- Distances in pixels compare encoders of one input size; between families, the relative ones do.
- What an encoder attends to does not say what it is good for."""


def _told(section: _Section, verdicts: Iterable[bool], figure: str) -> str:
    caption = CAPTIONS[section.measure]
    unit = caption.axis.split(", ")[-1] if ", " in caption.axis else ""
    lines = [f"## {caption.heading}{f', {unit}' if unit else ''}", caption.note]
    lines[1] += f" {figure}" if figure else ""
    rule = ["---"] * len(section.table[0])
    table = [section.table[0], rule, *section.table[1:]]
    lines.append("\n".join(f"| {' | '.join(cells)} |" for cells in table))
    upcoming = iter(verdicts)
    said = [say([(d, next(upcoming)) for d in found]) for found, say in section.statements]
    if not section.known:
        said = ["No standard error is known, so no order is told."]
    if said:
        lines.append("\n".join(f"- {sentence}" for sentence in said))
    return "\n\n".join(lines)


def _by_thirds(inspected: Sequence[Inspected], measure: str) -> _Section:
    table = [["encoder", *PARTS]]
    found: dict[str, list[tuple[str, Estimate]]] = {part: [] for part in PARTS}
    along: list[Difference] = []
    for one in inspected:
        name, each = code(one.name), [estimate(one, measure, part) for part in PARTS]
        if each[0] is None:
            continue
        table.append([name, *("" if e is None else _number(e) for e in each)])
        for part, e in zip(PARTS, each, strict=True):
            found[part] += [] if e is None else [(name, e)]
        if each[1] is not None and each[2] is not None:
            along.append(difference((f"late {name}", each[2]), (f"early {name}", each[1])))
    order = {name: -e.value for name, e in found[PARTS[0]]}
    table[1:] = sorted(table[1:], key=lambda cells: order[cells[0]])
    told: list[tuple[list[Difference], Say]] = [
        (differences(found[part]), _orders(part)) for part in PARTS
    ]
    return _section(measure, table, [*told, (along, _along)])


def _section(
    measure: str, table: list[list[str]], told: list[tuple[list[Difference], Say]]
) -> _Section:
    """What there is to say; of values without any standard error only that."""
    statements = [(found, say) for found, say in told if found]
    if statements and not any(d.error is not None for found, _ in statements for d in found):
        return _Section(measure, table, known=False)
    return _Section(measure, table, statements)


def _orders(part: str) -> Say:
    def say(found: Sequence[tuple[Difference, bool]]) -> str:
        below: dict[str, list[str]] = {}
        for d, is_real in found:
            if is_real:
                below.setdefault(d.higher, []).append(f"{d.lower} ({_by(d)})")
        above = [f"{higher} is above {', '.join(lower)}" for higher, lower in below.items()]
        near = [
            f"{d.higher} and {d.lower} ({_by(d)})"
            for d, is_real in found
            if not is_real and d.error is not None
        ]
        alike = [f"cannot be told apart: {', '.join(near)}"] if near else []
        pairs = [f"{d.higher} and {d.lower}" for d, _ in found if d.error is None]
        return _sentence(part, [*above, *alike, *_unknown(pairs)])

    return say


def _along(found: Sequence[tuple[Difference, bool]]) -> str:
    words = [
        f"{_whose(d)} is {'higher' if d.higher.startswith('late ') else 'lower'} by {_by(d)}"
        for d, is_real in found
        if is_real
    ]
    return _sentence("late against early third", [*words, *_alike(found)])


def _unknown(names: Sequence[str]) -> list[str]:
    """What is said where no standard error is known."""
    return [f"no standard error, so no order, for {', '.join(names)}"] if names else []


def _of_pairs(inspected: Sequence[Inspected], measure: str) -> _Section:
    import numpy as np

    within = ".cka" in measure
    heading = "mean over pairs of different blocks" if within else "mean over pairs of blocks"
    table = [["encoder", heading, "lowest", "highest"]]
    for one in inspected:
        matrix = one.pairs(measure)
        counted = ~np.isnan(matrix.values)
        if within:
            counted &= matrix.blocks[:, None] != matrix.others[None, :]
        values = matrix.values[counted]
        name = code(one.name) + (f" and {code(one.other)}" if one.other else "")
        if len(values):
            cells = (values.mean(), values.min(), values.max())
            table.append([name, *(f"{cell:.3f}" for cell in cells)])
    return _Section(measure, table, known=False)


def _of_probe(inspected: Sequence[Inspected], measure: str) -> _Section:
    from harness.analysis.figures.lines import best_of

    table = [["encoder", "best block", "its score", "last block", "without looking"]]
    best: list[tuple[str, Estimate]] = []
    along: list[Difference] = []
    for one in inspected:
        rows, name = one.by_block(measure), code(one.name)
        place = best_of(rows, CAPTIONS[measure].lower)
        if place is None:
            continue
        top, last = (estimate_at(one, measure, at) for at in (place, len(rows) - 1))
        blind = ", ".join(with_error(r.value, r.error) for r in one.rows(f"{measure}_constant"))
        table.append([name, str(rows.blocks[place]), _number(top), _number(last), blind])
        best.append((name, top))
        if place != len(rows) - 1:
            along.append(difference((f"best {name}", top), (f"last {name}", last)))
    return _section(measure, table, [(differences(best), _orders("best block")), (along, _last)])


def _last(found: Sequence[tuple[Difference, bool]]) -> str:
    worse = [f"{_whose(d)} is worse by {_by(d)}" for d, is_real in found if is_real]
    return _sentence("last block against the best", [*worse, *_alike(found)])


def _alike(found: Sequence[tuple[Difference, bool]]) -> list[str]:
    """What is said of two parts of one encoder where they do not differ, as far as is known."""
    near = [
        f"{_whose(d)} ({_by(d)})" for d, is_real in found if not is_real and d.error is not None
    ]
    words = [f"cannot be told apart in {', '.join(near)}"] if near else []
    return [*words, *_unknown([_whose(d) for d, _ in found if d.error is None])]


def _whose(d: Difference) -> str:
    """The encoder, where both values are of one: what they are of is a word before its name."""
    return d.higher.split(" ", 1)[1]


def _sentence(about: str, words: Sequence[str]) -> str:
    return f"{about[0].upper()}{about[1:]}: {'; '.join(words)}."


def _number(e: Estimate) -> str:
    return with_error(e.value, e.error)


def _by(d: Difference) -> str:
    return with_error(d.value, d.error)


def _notes(inspected: Sequence[Inspected]) -> list[str]:
    lines = [
        f"- {code(one.name)}: {note}"
        for one in inspected
        for found in one.found.values()
        for note in found.notes
    ]
    return ["## Notes\n\n" + "\n".join(dict.fromkeys(lines))] if lines else []

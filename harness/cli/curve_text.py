"""What `harness compare --curves` says and writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.curves import Curves
    from results.curves import Reach
    from results.statistics import Interval


def write(found: Curves, folder: Path) -> Path:
    """Draw the curves into a folder; what is there of the same pair is replaced."""
    from harness import png
    from harness.curve_page import page

    return png.write(page(found), folder / f"curves-{png.stem(found.a)}-{png.stem(found.b)}.png")


def text(found: Curves) -> str:
    """Areas under the curves, when one reaches the other's final loss, and the ratios."""
    from harness.cli.output import columns

    a, b = found.a, found.b
    heads = ("split", "term", a, b, f"{a} - {b}", "first 25 %", "last 10 %")
    rows = [(*heads, f"{a} reaches {b}'s final", f"{b} reaches {a}'s final")]
    for term in found.terms:
        one, other, difference = term.areas["all"]
        rows.append(
            (
                term.split,
                term.name,
                f"{one.mean:.4f}",
                f"{other.mean:.4f}",
                _signed(difference),
                _signed(term.areas["first 25 %"][2]),
                _signed(term.areas["last 10 %"][2]),
                _reached(term.a_reaches),
                _reached(term.b_reaches),
            )
        )
    parts = [f"terms of the loss, mean over the training; seeds {found.listed}", columns(rows)]
    if found.ratios:
        ratios = [("ratio", a, b, f"{a} - {b}")]
        for name, (one, other, difference) in found.ratios.items():
            ratios.append((name, _said(one, ".4f"), _said(other, ".4f"), _signed(difference)))
        parts.append(columns(ratios))
    parts.append("in brackets: 95 % interval over seeds; reached: share of the training")
    return "\n\n".join(parts)


def _signed(found: Interval) -> str:
    return _said(found, "+.4f")


def _said(found: Interval, form: str) -> str:
    bounds = ""
    if found.low is not None and found.high is not None:
        bounds = f" [{found.low:{form}}, {found.high:{form}}]"
    return f"{found.mean:{form}}{bounds}"


def _reached(found: Reach | None) -> str:
    if found is None:
        return "-"
    reached = [share for share in found.runs if share is not None]
    if found.share is None:
        return "never" if not reached else f"{len(reached)} of {len(found.runs)} runs"
    return _said(found.share, ".2f")

"""What `harness compare --curves` says and writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.curves import Curves
    from results.curves import Reach
    from results.statistics import Interval


def write(found: Curves, folder: Path) -> Path:
    """Draw the curves into a folder; what is there of the same pair is replaced."""
    from harness.curves import draw

    names = (re.sub(r"[^\w.@-]+", "_", name) for name in (found.a, found.b))
    path = folder / f"curves-{'-'.join(names)}.png"
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part.png")
    draw(found).save(beside)
    beside.replace(path)
    return path


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
    parts = [f"terms of the loss, mean over the training; seeds {_listed(found)}", columns(rows)]
    if found.ratios:
        ratios = [("ratio", a, b, f"{a} - {b}")]
        for name, (one, other, difference) in found.ratios.items():
            ratios.append((name, _plain(one), _plain(other), _signed(difference)))
        parts.append(columns(ratios))
    parts.append("in brackets: 95 % interval over seeds; reached: share of the training")
    return "\n\n".join(parts)


def _signed(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:+.4f}"
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _plain(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:.4f}"
    return f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _reached(found: Reach) -> str:
    reached = [share for share in found.runs if share is not None]
    if found.share is None:
        return "never" if not reached else f"{len(reached)} of {len(found.runs)} runs"
    bounds = ""
    if found.share.low is not None and found.share.high is not None:
        bounds = f" [{found.share.low:.2f}, {found.share.high:.2f}]"
    return f"{found.share.mean:.2f}{bounds}"


def _listed(found: Curves) -> str:
    return ", ".join(map(str, found.seeds))

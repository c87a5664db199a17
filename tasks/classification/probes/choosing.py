"""How one of several candidates is chosen, and what is noted about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tasks.classification.probes.contract import Figure, Fitted, Split
from tasks.contract import RecipeError


def best(figures: Sequence[float | None]) -> int | None:
    """Return where the highest figure stands, of equal ones the first; None where all are void.

    None and NaN are void: a candidate that diverged never wins.
    """
    found: int | None = None
    highest = -math.inf
    for place, figure in enumerate(figures):
        if figure is not None and (figure > highest or (found is None and figure == highest)):
            found, highest = place, figure
    return found


def edges(chosen: Mapping[str, float], tried: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Return the settings whose best value may lie outside of what was tried.

    Args:
        chosen: setting -> chosen value.
        tried: setting -> all values; one that had no choice has no edge.

    Returns:
        Setting -> `lowest` or `highest`.
    """
    found = {}
    for name, values in tried.items():
        if len(values) > 1 and chosen[name] in (min(values), max(values)):
            found[name] = "lowest" if chosen[name] == min(values) else "highest"
    return found


def check_choice(selection: Split | None, candidates: int) -> None:
    """Refuse a choice without a split to choose on.

    Raises:
        RecipeError: for several candidates without a selection split.
    """
    if selection is None and candidates > 1:
        raise RecipeError(
            f"{candidates} candidates, but no selection split to choose one by: give one "
            "feature and one value a setting, or a selection split"
        )


def measured(fitted: Fitted, selection: Split | None, figure: Figure) -> float | None:
    """Return a candidate's figure on the selection split; None without a split, and where scores
    are not finite."""
    if selection is None:
        return None
    scores = fitted.scores(selection.features)
    return float(figure(scores, selection.labels)) if scores.isfinite().all() else None

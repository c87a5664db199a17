"""Evidence from looks inside encoders: their attention, and the similarity of their blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from backbones import LoadError
from harness.analysis.claims import bootstrap
from harness.analysis.claims.deciding import Estimate, Missing
from harness.analysis.claims.model import OF_HEADS, Attention, Role, Similarity
from harness.errors import UserError
from results.components import Part, half_width
from results.inspections import quarter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.claims.evidence import Evidence
    from harness.analysis.rows import Found

    Floats = NDArray[np.float64]

QUARTERS = {"first": 1, "second": 2, "third": 3, "last": 4}
FEWEST = 64
"""Images: of fewer the intervals are too narrow (docs/claims.md)."""


def attention(test: Attention, evidence: Evidence) -> Estimate | Missing:
    """A measure of attention, with an interval from resampled images."""
    found = _looked(test.roles, "attention", evidence)
    if isinstance(found, Missing):
        return found
    samples = []
    for role, each in zip(test.roles, found, strict=True):
        values = each.by_image.get(test.measure)
        why = _unfit(test, values)
        if values is None or why:
            return Missing(f"{evidence.names[role]}: {why}")
        samples.append(values)
    if len({len(values) for values in samples}) > 1:
        return Missing("the encoders were not looked at with the same images")

    def statistic(means: Sequence[Floats]) -> Floats:
        first, *other = (of_encoder(test, each) for each in means)
        if not other:
            return first
        return first - other[0] if test.sign == "-" else first / other[0]

    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = bootstrap.interval(statistic, samples)
    if not np.isfinite([value, low, high]).all():
        return Missing(f"a quotient of {test.measure} has 0 below its line")
    return Estimate(value, low, high, f"{len(samples[0])} images")


def of_encoder(test: Attention, means: Floats) -> Floats:
    """The test's value (R,) from means over images, (R,blocks,heads) or (R,blocks)."""
    parts = []
    for word in test.blocks.split(" / "):
        chosen = means[:, quarter(means.shape[1], QUARTERS[word])]
        parts.append(chosen if test.heads is None else _over_heads(chosen, test.heads))
    first, *other = (part.mean(axis=1) for part in parts)
    return np.asarray(first / other[0] if other else first)


def similarity(test: Similarity, evidence: Evidence) -> Estimate | Missing:
    """The mean over pairs of different blocks. The pairs come from the same minibatches: the error
    of their mean is at most the mean of their errors (Minkowski's inequality), which stands for it,
    and two encoders' errors are taken as independent."""
    found = _looked(test.roles, "similarity", evidence)
    if isinstance(found, Missing):
        return found
    values, parts = [], []
    for role, each in zip(test.roles, found, strict=True):
        rows = [r for r in each.rows if r.measure == test.measure and r.block != r.other_block]
        if not rows:
            return Missing(f"{evidence.names[role]}: no {test.measure} of two blocks")
        values.append(float(np.mean([row.value for row in rows])))
        errors = [row.error for row in rows if row.error is not None]
        batches = rows[0].n // evidence.minibatch
        if len(errors) < len(rows) or batches < 2:
            return Missing("CKA from one minibatch has no error: give more images with --n")
        parts.append(Part(float(np.mean(errors)) ** 2, batches - 1))
    value = values[0] - values[1] if len(values) > 1 else values[0]
    half = half_width(parts)
    return Estimate(value, value - half, value + half, f"{found[0].rows[0].n} images")


def _looked(roles: Sequence[Role], measure: str, evidence: Evidence) -> list[Found] | Missing:
    try:
        return [evidence.look(role, measure) for role in roles]
    except (UserError, LoadError) as error:
        return Missing(str(error))


def _unfit(test: Attention, values: Floats | None) -> str:
    """Why the values do not serve the test; empty where they do."""
    if values is None or values.ndim != (3 if test.measure in OF_HEADS else 2):
        return f"no {test.measure} of each image"
    if len(values) < FEWEST:
        return f"{len(values)} images, an interval needs {FEWEST}: give more with --n"
    for word in test.blocks.split(" / "):
        chosen = values[:, quarter(values.shape[1], QUARTERS[word])]
        if not chosen.shape[1]:
            return f"{values.shape[1]} blocks have no {word} quarter"
        # Blocks of fewer heads are filled up with NaN, in all images alike.
        empty = np.isnan(chosen)
        if (empty.any(axis=0) != empty.all(axis=0)).any():
            return f"{test.measure} is not known of every image"
        heads = (~empty).sum(axis=-1) if empty.ndim == 3 else ~empty
        if heads.min() < (2 if test.heads in ("range", "std") else 1):
            return f"blocks of {heads.min()} heads have no {test.heads or 'value'}"
    return ""


def _over_heads(values: Floats, how: str) -> Floats:
    """(R,B,H) -> (R,B); missing heads are NaN."""
    if how == "mean":
        return np.asarray(np.nanmean(values, axis=2))
    if how == "std":
        return np.asarray(np.nanstd(values, axis=2, ddof=1))
    low, high = np.nanmin(values, axis=2), np.nanmax(values, axis=2)
    return np.asarray({"min": low, "max": high, "range": high - low}[how])

"""The record of one look."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.analysis.asking import TASK, as_command
from harness.analysis.probing import LOWER_IS_BETTER
from harness.engine import surroundings
from harness.engine.recording import now
from results import Measured, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.asking import Inspection, Look
    from harness.analysis.encoders import Subject
    from harness.analysis.rows import Found, Row

PRIMARY = {
    "attention": "attention.distance",
    "similarity": "similarity.effective_rank",
    "spectrum": "spectrum.high_frequency",
    "probe": "probe.linear",
    "between": "similarity.between.pooled",
}
"""The figure of a measure that lists show: its mean over blocks and heads."""


def finished(
    asked: Inspection,
    look: Look,
    subjects: Sequence[Subject],
    identity: dict[str, Any],
    cell: str,
    found: Found,
) -> Record:
    """The record of a look that was taken; its files and wall time are still to come."""
    first = subjects[0]
    spec = first.backbone.spec
    time = now()
    figures = metrics(found)
    primary = PRIMARY[look.measure]
    images = identity["images"]
    return Record(
        kind="inspection",
        status="finished",
        # Another convention has names of its own, and may not have this measure.
        primary=primary if primary in figures else next(iter(figures)),
        metrics=figures,
        evaluator="harness.analysis",
        cell=cell,
        identity=identity,
        task=TASK,
        backbone={
            "name": " and ".join(subject.name for subject in subjects),
            "family": spec.family,
            "objective": spec.objective,
            "sha256": first.identity["sha256"],
            "licence": spec.licence,
            "data": spec.data,
            "notes": list(spec.notes),
        },
        dataset=images["name"],
        protocol=look.measure,
        variant=asked.convention if look.measure == "attention" else "",
        scale="",
        control=first.control,
        seed=0,
        recipe={},
        key_report=first.backbone.key_report.as_dict(),
        data={"images": images},
        cost={
            "peak_memory_bytes": surroundings.peak_memory_bytes(),
            "device": surroundings.device_name(),
        },
        versions=surroundings.versions(),
        git_commit=surroundings.git_commit(),
        command=as_command(asked),
        created=time,
        updated=time,
    )


def metrics(found: Found) -> dict[str, Measured]:
    """The values of blocks and heads by name, such as `attention.distance/block7/head3`, and under
    the measure's bare name the mean over all of them. Pairs and spectra stand in the files alone.

    The error of a mean is that of the images' means, where each image has its values; heads and
    blocks of one image are not independent.
    """
    own = [
        row
        for row in found.rows
        if row.other_block is None and row.other_head is None and row.frequency is None
    ]
    named = {_name(row): _measured(row.measure, row.value, row.error, row.n) for row in own}
    for measure in dict.fromkeys(row.measure for row in found.rows):
        if measure not in named:
            named[measure] = _whole(measure, found)
    return named


def _name(row: Row) -> str:
    block = "" if row.block is None else f"/block{row.block}"
    head = "" if row.head is None else f"/head{row.head}"
    return f"{row.measure}{block}{head}"


def _whole(measure: str, found: Found) -> Measured:
    rows = [row for row in found.rows if row.measure == measure]
    if measure in found.by_image:
        values = found.by_image[measure]
        with warnings.catch_warnings():
            # Encoders whose blocks have different numbers of heads are filled up with NaN.
            warnings.simplefilter("ignore", RuntimeWarning)
            blocks = np.nanmean(values, axis=2) if values.ndim == 3 else values
            each = np.nanmean(blocks, axis=1)
        error = float(each.std(ddof=1) / np.sqrt(len(each)))
        return _measured(measure, float(each.mean()), error, len(each))
    blocks = [row for row in rows if row.head is None and row.other_head is None] or rows
    pairs = [row for row in blocks if row.block != row.other_block] or blocks
    value = float(np.mean([row.value for row in pairs]))
    return _measured(measure, value, None, rows[0].n)


def _measured(measure: str, value: float, error: float | None, n: int) -> Measured:
    better: Literal["higher", "lower"] = "lower" if measure in LOWER_IS_BETTER else "higher"
    return Measured(value=value, error=error, n=n, better=better)

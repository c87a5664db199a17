"""Boxes to figures, as the benchmarks' own evaluators compute them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError, Evaluation, Metric, Row
from tasks.names import printable
from tasks.rows import in_order
from tasks.scoring.resampling import draws, standard_error
from tasks.tracking import rows as stored
from tasks.tracking.scoring import robustness
from tasks.tracking.scoring.conventions import EVALUATORS, PRIMARY, score
from tasks.tracking.scoring.figures import Ratio
from tasks.tracking.scoring.tracks import Track, known

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    from tasks.tracking.recipe import MeasureRecipe
    from tasks.tracking.sequences import Sequence

    Floats = NDArray[np.float64]


def evaluate(rows: list[Row], dataset: Any) -> Evaluation:
    """Score followed targets, one row a sequence (`tasks.tracking.rows`).

    Figures are those of `measure.convention` (`tasks.tracking.scoring`); which numbers of boxes it
    takes is the convention's as well: got10k as many as frames; otb and lasot cut to the shorter;
    pytracking cuts long ones and fills short ones up with zeros, but refuses these on LaSOT;
    trackingnet drops what is too much and counts what is missing as missed. `losses` and `frames to
    loss` are `scoring.robustness`'s. `<figure>/<attribute>` is a figure of the convention over the
    sequences with an attribute, where that is a number. `per_sample` has each figure of each
    sequence by itself, NaN where it has none.

    Errors are standard deviations over sequences drawn with replacement. `resampled` is there where
    frames are pooled, so that the primary figure is no mean over sequences.

    Args:
        rows: in any order.
        dataset: has `sequences`, in the order of its samples, `recipe.measure` and
            `recipe.data.name`.

    Raises:
        DataError: rows that are missing, doubled, of other sequences or without boxes; sequences
            whose truth only a server has; what the convention does not take; figures that are no
            numbers.
    """
    measure: MeasureRecipe = dataset.recipe.measure
    sequences, convention = dataset.sequences, measure.convention
    tracks = tracks_of(rows, dataset)
    scores = score(tracks, convention, dataset.recipe.data.name, measure.valid_only)
    figures = scores.figures | robustness.figures(tracks)
    primary = figures[PRIMARY[convention]]
    _refuse(figures, tracks)
    drawn = draws(len(sequences))
    metrics = {name: _metric(figure, drawn) for name, figure in figures.items()}
    return Evaluation(
        primary=PRIMARY[convention],
        metrics=metrics | _by_attribute(scores.figures, sequences, drawn),
        per_sample={"sample": [float(k) for k in range(len(tracks))]}
        | {name: figure.each().tolist() for name, figure in figures.items()},
        evaluator=EVALUATORS[convention],
        resampled=primary.at(drawn).tolist() if primary.pooled else None,
    )


def tracks_of(rows: list[Row], dataset: Any) -> list[Track]:
    """Boxes beside truth, by sample, as `scoring.conventions.score` takes them.

    Raises:
        DataError: as `evaluate`, for rows and sequences.
    """
    sequences: Listed[Sequence] = dataset.sequences
    if not sequences:
        raise DataError("there are no sequences: nothing can be measured")
    found = in_order(rows, len(sequences))
    _require_truth(sequences)
    bounded = dataset.recipe.measure.convention == "got10k"
    return [_track(row, each, bounded) for row, each in zip(found, sequences, strict=True)]


def _track(row: Row, sequence: Sequence, bounded: bool) -> Track:
    where = f"the prediction for sample {row['sample']}"
    if row["sequence"] != sequence.name:
        raise DataError(
            f"{where} is of the sequence `{printable(row['sequence'])}`, the data set has "
            f"`{printable(sequence.name)}` there: these are predictions on other data"
        )
    try:
        boxes = stored.boxes(row)
    except ValueError:
        raise DataError(f"{where} (`{printable(sequence.name)}`) is no list of boxes") from None
    if not len(boxes):
        raise DataError(f"{where} (`{printable(sequence.name)}`) has no boxes")
    return Track(
        sequence.name,
        sequence.boxes,
        boxes,
        sequence.frames.extent() if bounded else None,
        sequence.absent,
        sequence.cover,
        sequence.visible,
    )


def _require_truth(sequences: Listed[Sequence]) -> None:
    hidden = [sequence.name for sequence in sequences if not sequence.labelled]
    if hidden:
        raise DataError(
            f"{len(hidden)} of {len(sequences)} sequences have no boxes beyond the first, as "
            f"`{printable(hidden[0])}`: only the benchmark's server can measure; make the file for "
            "it with `harness export submission`"
        )


def _refuse(figures: dict[str, Ratio], tracks: Listed[Track]) -> None:
    """Refuse figures that are no numbers, with the first sequence that is to blame."""
    for name, figure in figures.items():
        if np.isfinite(figure.overall()):
            continue
        wrong = np.flatnonzero(~np.isfinite(figure.total))
        if not len(wrong):
            raise DataError(
                f"{name} is no number: no frame of {len(tracks)} sequences counts under this "
                "convention"
            )
        track = tracks[int(wrong[0])]
        raise DataError(
            f"{name} is no number for {len(wrong)} of {len(tracks)} sequences, and so for all of "
            f"them: {_why(track)}"
        )


def _why(track: Track) -> str:
    unknown = ~known(track.truth)
    for boxes, which in ((track.found, "predicted"), (track.truth, "true")):
        wrong = ~np.isfinite(boxes).all(axis=1)
        if which == "true" and unknown.all():
            break
        if wrong.any():
            return f"{track.label}, frame {int(wrong.argmax()) + 1}: the {which} box has a NaN"
    return f"no frame of {track.label} counts; leave it out"


def _by_attribute(
    figures: dict[str, Ratio], sequences: Listed[Sequence], drawn: Floats
) -> dict[str, Metric]:
    """Each figure over the sequences with each attribute."""
    names = sorted({name for sequence in sequences for name in sequence.attributes})
    found: dict[str, Metric] = {}
    for attribute in names:
        mask = np.array([attribute in sequence.attributes for sequence in sequences], np.float64)
        for name, figure in figures.items():
            metric = _metric(figure, drawn, mask)
            if np.isfinite(metric.value):
                found[f"{name}/{attribute}"] = metric
    return found


def _metric(figure: Ratio, drawn: Floats, mask: Floats | None = None) -> Metric:
    """The figure of all sequences, or of those that `mask` (S,) has a 1 for."""
    kept = np.ones(drawn.shape[1]) if mask is None else mask
    behind = int(np.count_nonzero(kept * figure.weight))
    error = standard_error(figure.at(drawn * kept)) if behind > 1 else None
    value = float(figure.at(kept[None])[0])
    return Metric(value, error, behind, "lower" if figure.lower else "higher")

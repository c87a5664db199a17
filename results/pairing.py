"""How far the sampling errors of two networks cancel out, from their scores on the same samples.

Scores are columns, `sample` among them: the primary metric on resamples of the test set where it is
no mean over samples (AP), and scores by sample elsewhere. The covariance of the sampling errors of
two runs is taken as r e1 e2, with r the correlation of their scores and e their standard errors;
where the metric is the mean of the scores that is the textbook's covariance of two means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Any

from results.files import ResultsError
from results.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

Columns = Mapping[str, Sequence[Any]]
Scores = Callable[[Record], Columns | None]
"""The columns that lie beside a record; None where they are not at hand."""


ROUNDING = 1e-12

DIFFERENCE = (1.0, -1.0)
"""The weights of two groups whose difference is asked for."""


@dataclass(frozen=True)
class Sampling:
    """Sampling errors of S differences, one a seed.

    Attributes:
        errors: (S,) standard error of each, None where it is not defined.
        shared: mean covariance between two seeds; None where it is not known.
        samples: number of samples, or of resamples where those are fewer.
        unpaired: why the errors could not be paired and were added up; empty where they were.
    """

    errors: tuple[float | None, ...]
    shared: float | None
    samples: int
    unpaired: str


def sampling(pairs: Sequence[tuple[Record, Record]], scores: Scores | None) -> Sampling:
    """The sampling errors of the figures of `a` minus those of `b`, from (a, b) of each seed.

    Raises:
        ResultsError: scores of different samples.
    """
    return of_groups([[a for a, _ in pairs], [b for _, b in pairs]], DIFFERENCE, scores)


def of_groups(
    groups: Sequence[Sequence[Record]], weights: Sequence[float], scores: Scores | None
) -> Sampling:
    """The sampling errors of the weighted sums of the figures of K groups, one a seed.

    Args:
        groups: K groups, each of S records in the order of their seeds.
        weights: (K,).

    Raises:
        ResultsError: scores of different samples.
    """
    import numpy as np

    records = [record for group in groups for record in group]
    seeds = range(len(groups[0]))
    count = min(record.figure().n for record in records)
    errors = [[record.figure().error for record in group] for group in groups]
    alone = tuple(_summed([each[seed] for each in errors], weights) for seed in seeds)
    known = [error for each in errors for error in each if error is not None]
    if len(known) < len(records):
        return Sampling(alone, None, count, "not every run has a sampling error")
    found = None if scores is None else aligned(records, scores)
    if found is None or isinstance(found, str):
        return Sampling(alone, None, count, found or "their scores are not at hand")
    paired = of_scores(found.values, np.array(known), count, weights)
    return paired or Sampling(
        alone, None, count, "their scores do not vary, though they have an error"
    )


def of_scores(
    values: Matrix, errors: Matrix, count: int, weights: Sequence[float] = DIFFERENCE
) -> Sampling | None:
    """The sampling errors of the weighted sums of the figures of K groups, one a seed; of the
    differences of two encoders by default.

    Args:
        values: (K S, N) scores on the same samples, the seeds of one group after those of another.
        errors: (K S,) standard errors of their figures.
        count: number of samples behind a figure.
        weights: (K,).

    Returns:
        None where a run has an error and its scores do not vary.
    """
    import numpy as np

    correlation = _correlation(values, errors)
    if correlation is None:
        return None
    # (S, K S): what each run counts for in the sum of each seed.
    parts = np.kron(np.asarray(weights)[None], np.eye(len(errors) // len(weights)))
    own = parts @ (correlation * np.outer(errors, errors)) @ parts.T
    root = np.sqrt(np.maximum(np.diag(own), 0))
    return Sampling(tuple(root.tolist()), _shared(own), min(count, values.shape[1]), "")


def _summed(errors: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The error of a weighted sum of independent figures."""
    known = [w * error for w, error in zip(weights, errors, strict=True) if error is not None]
    return hypot(*known) if len(known) == len(errors) else None


def _shared(own: Matrix) -> float | None:
    """Mean covariance between two seeds (S, S); None of one seed."""
    import numpy as np

    count = len(own)
    if count < 2:
        return None
    return float((own.sum() - np.trace(own)) / (count * (count - 1)))


@dataclass(frozen=True)
class Aligned:
    """Scores of several runs on the same samples: `column`, (N,) samples in ascending order, and
    (runs, N) values, without the samples that one of them has no score of."""

    column: str
    samples: tuple[Any, ...]
    values: Matrix


def aligned(records: Sequence[Record], scores: Scores) -> Aligned | str:
    """The column that stands for the primary metric, of all records; else why there is none.

    Raises:
        ResultsError: scores of different samples, or several of one.
    """
    import numpy as np

    found: list[Columns] = []
    for record in records:
        columns = scores(record)
        if columns is None:
            return f"the scores of {_who(record)} are not at hand"
        found.append(columns)
    names = {_column(columns, records[0].primary) for columns in found}
    (name, *others) = names
    if others or name is None:
        return f"their scores have no column that stands for {records[0].primary}"
    samples = _same_samples(records, found)
    rows = [
        np.asarray(columns[name], float)[np.argsort(np.asarray(columns["sample"]), kind="stable")]
        for columns in found
    ]
    values = np.stack(rows)
    whole = np.isfinite(values).all(axis=0)
    if whole.sum() < 2:
        return "they have scores on fewer than two samples in common"
    kept = tuple(sample for sample, keep in zip(samples, whole, strict=True) if keep)
    return Aligned(name, kept, values[:, whole])


def _same_samples(records: Sequence[Record], found: Sequence[Columns]) -> list[Any]:
    first = sorted(found[0]["sample"])
    if len(set(first)) < len(first):
        raise ResultsError(f"cannot compare: {_who(records[0])} has several scores of one sample")
    for record, columns in zip(records[1:], found[1:], strict=True):
        here = sorted(columns["sample"])
        if here != first:
            common = len(set(here) & set(first))
            raise ResultsError(
                "cannot compare: the per-sample scores are not of the same samples: "
                f"{_who(records[0])} has {len(first)}, {_who(record)} has {len(here)}, "
                f"{common} in common"
            )
    return first


def _correlation(values: Matrix, errors: Matrix) -> Matrix | None:
    """(runs, runs) correlation of scores (runs, N), 0 for a run without error whose scores are all
    the same; None where scores are the same and there is an error."""
    import numpy as np

    still = np.ptp(values, axis=1) == 0
    # The deviation of equal numbers is not 0 to the last digit.
    if (still & (errors > ROUNDING * np.abs(values[:, 0]))).any():
        return None
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1))
    centred = centred / np.where(still, 1.0, length)[:, None]
    return np.asarray(centred @ centred.T)


def _column(scores: Columns, primary: str) -> str | None:
    """The column that stands for the primary metric: of its name, `correct`, or the only one."""
    others = [name for name in scores if name != "sample"]
    for name in (primary, "correct"):
        if name in others:
            return name
    return others[0] if len(others) == 1 else None


def _who(record: Record) -> str:
    control = f"@{record.control}" if record.control else ""
    return f"`{record.backbone['name']}{control}` (seed {record.seed})"

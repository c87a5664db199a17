"""The records that a task and the engine exchange, and the errors that a task raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

    from tasks.model import TaskModel

Split = Literal["training", "selection", "test"]
SPLITS: tuple[Split, ...] = ("training", "selection", "test")

Row = dict[str, Any]
"""One prediction: flat, of numbers, strings, bytes and lists of these; `sample` is the index in the
data set. Rows are stored as Parquet, so every row of a run has the same keys and types."""


class DataError(ValueError):
    """Data that the user can mend: missing, malformed, truncated. The message is one line."""


class RecipeError(ValueError):
    """A setting that the user can mend: unknown, of the wrong type, out of range."""


class DependencyError(ValueError):
    """A package that the task needs is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Term:
    """One term of a loss, as a sum and the number that it is divided by.

    Kept apart because the divisor must be that of the whole batch, which under several processes
    none of them sees: the engine adds `count` over the processes before it divides.
    """

    total: Tensor
    count: Tensor

    @property
    def value(self) -> Tensor:
        """The term, where this process sees the whole batch."""
        return self.total / self.count


@dataclass(frozen=True)
class Pooled:
    """A term of a loss that is a function of sums over the whole batch, such as a root of them.

    Attributes:
        sums: (K,), which the engine adds up over the processes.
        finish: the term as a function of the whole batch's sums, differentiable.
    """

    sums: Tensor
    finish: Callable[[Tensor], Tensor]

    @property
    def value(self) -> Tensor:
        """The term, where this process sees the whole batch."""
        return self.finish(self.sums)


@dataclass(frozen=True)
class Note:
    """A figure that is noted beside the loss and is no part of it: a quotient as in `Term`."""

    total: Tensor
    count: Tensor


Loss = Mapping[str, Term | Pooled | Note]
"""The terms that are added up to the loss, and what is noted beside them."""


@dataclass(frozen=True)
class Ragged:
    """An array whose first dimension differs from sample to sample, as a value of an item: a batch
    holds a list of tensors in its place."""

    values: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Handle:
    """An object as a value of an item: a batch holds a list of them, as they are, in its place. It
    is picklable and no dataclass, which Lightning would take apart."""

    value: Any


@dataclass(frozen=True)
class Metric:
    """A figure with its sampling error.

    Attributes:
        value: the figure, in the community's unit and range.
        error: standard error over the samples of the test set, or None where none is defined.
        n: number of samples behind it.
        better: which direction is better.
    """

    value: float
    error: float | None
    n: int
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True)
class Evaluation:
    """What a task's metrics say about a set of predictions.

    Attributes:
        primary: the name of the metric that ranks encoders.
        metrics: every figure by its name.
        per_sample: columns of equal length, one entry a test sample, `sample` (its index) among
            them: what a paired comparison of two encoders needs.
        evaluator: the implementation that computed the figures, with its version.
        resampled: the primary metric on resamples of the test set, where it is no mean of
            per-sample scores; the same draws for everybody, so that two encoders can be compared
            draw by draw.
    """

    primary: str
    metrics: dict[str, Metric]
    per_sample: dict[str, list[float]]
    evaluator: str
    resampled: list[float] | None = None


@dataclass(frozen=True)
class DataInfo:
    """What a data set says of itself; it goes into the record and the cell's identity.

    Attributes:
        name: the data set's name.
        split: which part of it this is.
        count: number of samples used.
        sha256: hash of everything that decides the samples (manifest, annotations, file list).
        licence: terms of the data, in a word or two.
        skipped: reason -> number of samples that were left out.
        model: what the model must know (classes, joints, flip pairs ...), JSON-able.
        facts: what a reader of the record wants to know besides, JSON-able.
    """

    name: str
    split: Split
    count: int
    sha256: str
    licence: str
    skipped: dict[str, int] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def part(self, count: int, sha256: str) -> DataInfo:
        """What a part of it says of itself."""
        return replace(self, count=count, sha256=sha256)


@dataclass(frozen=True)
class Gallery:
    """What a run's predictions look like, for a reader.

    Attributes:
        images: file stem -> picture.
        tables: file stem -> lines of a table, all with the same keys.
        notes: what is left out, and why, a line each.
    """

    images: dict[str, Image]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """What another program predicted.

    Attributes:
        runs: rows of each of its runs, which a task may count together; one run mostly.
        notes: how the files were taken, and what was left out, a line each.
    """

    runs: tuple[list[Row], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What a benchmark's server takes.

    Attributes:
        files: path in the archive -> content.
        notes: what has to be known of them, a line each.
    """

    files: dict[str, bytes]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """A model that was published whole: its encoder and the task's own layers.

    Attributes:
        model: as published.
        recipe: the one asked for, with what follows from the file.
        figures: metric -> the published figure on the recipe's data; empty where none is known.
        notes: what has to be known of these figures, a line each.
    """

    model: TaskModel
    recipe: Any
    figures: dict[str, float]
    notes: tuple[str, ...] = ()

"""What an inspection measures: rows of a table, and what each image gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEASURES = ("attention", "similarity", "spectrum", "probe")
"""What `harness inspect --measure` knows."""


class Row(NamedTuple):
    """One measured value.

    Attributes:
        measure: such as `attention.distance`: what stands before the dot is one of MEASURES. By
            another convention than ours it says so, as `attention.distance@lite`: units differ.
        block: from 0; None for what belongs to the whole encoder.
        stage: of the block, 0 in encoders without stages.
        head: from 0; None for the whole block.
        other_block, other_head: the second of a pair.
        frequency: of a spectrum, as a share of pi, in [0,1].
        value: the mean over images, or the estimate.
        error: its standard error over images; None where none is defined.
        n: number of images.
    """

    measure: str
    block: int | None
    stage: int
    head: int | None
    other_block: int | None
    other_head: int | None
    frequency: float | None
    value: float
    error: float | None
    n: int


def row(
    measure: str,
    value: float,
    n: int,
    *,
    error: float | None = None,
    block: int | None = None,
    stage: int = 0,
    head: int | None = None,
    other_block: int | None = None,
    other_head: int | None = None,
    frequency: float | None = None,
) -> Row:
    """A row by names; what is left out does not apply."""
    return Row(measure, block, stage, head, other_block, other_head, frequency, value, error, n)


@dataclass(frozen=True)
class Found:
    """What one measure found in one encoder.

    Attributes:
        rows: the values.
        by_image: measure -> (n, blocks, heads) float64 or, of what has no heads, (n, blocks): the
            value of each image, by which encoders are compared.
        notes: what the reader must know, such as a mean mass on prefix tokens; whole sentences.
    """

    rows: tuple[Row, ...]
    by_image: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def by(self, convention: str) -> Found:
        """The same under names that say by which convention it was measured."""
        rows = tuple(row._replace(measure=f"{row.measure}@{convention}") for row in self.rows)
        by_image = {f"{name}@{convention}": values for name, values in self.by_image.items()}
        return Found(rows, by_image, self.notes)

"""What an inspection found in one encoder, as figures and words take it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.analysis.rows import Found, Row

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]


class Columns(NamedTuple):
    """Rows side by side, in the order of their blocks and heads.

    Attributes:
        blocks, stages, heads: (R,); heads are -1 for whole blocks.
        values: (R,), and their standard `errors`, NaN where there is none.
        n: (R,) numbers of images.
    """

    blocks: Numbers
    stages: Numbers
    heads: Numbers
    values: Floats
    errors: Floats
    n: Numbers

    def __len__(self) -> int:
        return len(self.values)


class Matrix(NamedTuple):
    """Values of pairs of blocks.

    Attributes:
        blocks, others: (R,) and (C,), the numbers of the blocks down and across.
        values: (R,C), NaN for pairs without a row.
        stages, other_stages: (R,) and (C,); those of `others` are known where the pairs are of one
            encoder, and else -1.
    """

    blocks: Numbers
    others: Numbers
    values: Floats
    stages: Numbers
    other_stages: Numbers


class Spectrum(NamedTuple):
    """Of one block: (F,) frequencies as shares of pi, ascending, their values, standard `errors`,
    NaN where there is none, and `n`, numbers of images."""

    block: int
    frequencies: Floats
    values: Floats
    errors: Floats
    n: Numbers


@dataclass(frozen=True)
class Inspected:
    """One encoder, or a pair of them.

    Attributes:
        name: of the encoder.
        found: what each measure found, by the names in MEASURES.
        other: the second encoder of a pair, whose blocks are the rows' `other_block`.
    """

    name: str
    found: Mapping[str, Found]
    other: str | None = None

    def rows(self, measure: str) -> list[Row]:
        """All rows of a measure such as `attention.distance`; none where it was not taken."""
        found = self.found.get(measure.split(".")[0])
        return [] if found is None else [row for row in found.rows if row.measure == measure]

    def by_head(self, measure: str) -> Columns:
        """The rows of single heads."""
        rows = self.rows(measure)
        return _columns(row for row in rows if row.head is not None and row.other_head is None)

    def by_block(self, measure: str) -> Columns:
        """The rows of whole blocks."""
        rows = self.rows(measure)
        return _columns(row for row in rows if row.head is None and row.other_block is None)

    def pairs(self, measure: str) -> Matrix:
        """The rows of pairs of blocks. Within one encoder on the same images they are symmetric:
        there a pair without a row has the value of the reversed one."""
        import numpy as np

        rows = [row for row in self.rows(measure) if row.other_block is not None]
        symmetric = measure.startswith(("similarity.cka.", "similarity.cka_full."))
        across: Iterable[int] = (int(row.other_block or 0) for row in rows)
        down: Iterable[int] = (int(row.block or 0) for row in rows)
        blocks, others = sorted(set(down)), sorted(set(across))
        if symmetric:
            blocks = others = sorted({*blocks, *others})
        values = np.full((len(blocks), len(others)), np.nan)
        for row in rows:
            place = blocks.index(int(row.block or 0)), others.index(int(row.other_block or 0))
            values[place] = row.value
            if symmetric and np.isnan(values[place[::-1]]):
                values[place[::-1]] = row.value
        known = {row.block: row.stage for row in rows}
        seconds = {} if "between" in measure else known
        return Matrix(
            np.array(blocks, np.int64),
            np.array(others, np.int64),
            values,
            np.array([known.get(block, -1) for block in blocks], np.int64),
            np.array([seconds.get(block, -1) for block in others], np.int64),
        )

    def spectra(self, measure: str) -> list[Spectrum]:
        """The spectrum of each block that has one, in their order."""
        import numpy as np

        found: dict[int, list[tuple[float, float, float, int]]] = {}
        for row in self.rows(measure):
            if row.block is not None and row.frequency is not None:
                error = np.nan if row.error is None else row.error
                found.setdefault(row.block, []).append((row.frequency, row.value, error, row.n))
        columns = {block: np.array(sorted(points)).T for block, points in sorted(found.items())}
        return [
            Spectrum(block, frequencies, values, errors, n.astype(np.int64))
            for block, (frequencies, values, errors, n) in columns.items()
        ]

    def by_image(self, measure: str) -> Floats | None:
        """(n,blocks): the value of each image, the mean over heads, of the blocks of `by_block`;
        None where none was kept.

        Raises:
            ValueError: values of other blocks than those of the rows.
        """
        import numpy as np

        kind = measure.split(".")[0]
        values = self.found[kind].by_image.get(measure) if kind in self.found else None
        if values is None:
            return None
        # A block that this measure has no row of is in the array all the same.
        numbers = {r.block for r in self.found[kind].rows if r.block is not None}
        if values.shape[1] != len(numbers):
            raise ValueError(
                f"{self.name}: {len(numbers)} blocks have rows, but {values.shape[1]} blocks have "
                f"values of {measure} by image"
            )
        places = [sorted(numbers).index(block) for block in self.by_block(measure).blocks]
        values = values[:, places]
        if values.ndim == 2:
            return values
        # Blocks of fewer heads are filled up with NaN.
        there = ~np.isnan(values)
        return np.asarray(np.where(there, values, 0).sum(axis=2) / np.maximum(1, there.sum(axis=2)))


def borders(blocks: Numbers, stages: Numbers) -> list[float]:
    """The places between blocks where another stage begins, such as 1.5; stages -1 are unknown."""
    pairs = sorted(set(zip(blocks.tolist(), stages.tolist(), strict=True)))
    return [
        (block + following) / 2
        for (block, stage), (following, next_stage) in pairwise(pairs)
        if stage != next_stage and min(stage, next_stage) >= 0
    ]


def _columns(rows: Iterable[Row]) -> Columns:
    import numpy as np

    ordered = sorted(
        (row for row in rows if row.block is not None and row.frequency is None),
        key=lambda row: (row.block, -1 if row.head is None else row.head),
    )
    whole = [(r.block, r.stage, -1 if r.head is None else r.head, r.n) for r in ordered]
    blocks, stages, heads, n = np.array(whole, np.int64).reshape(-1, 4).T
    errors = [np.nan if row.error is None else row.error for row in ordered]
    values = np.array([row.value for row in ordered], np.float64)
    return Columns(blocks, stages, heads, values, np.array(errors, np.float64), n)

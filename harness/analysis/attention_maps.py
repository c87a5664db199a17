"""The attention of one image as pictures take it: where its queries and keys lie, and the weights.

W windows, N heads, Q queries and K keys in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones.contract import WindowAttention

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int32]
    Flags = NDArray[np.bool_]


class Lattice(NamedTuple):
    """Patches in rows and columns.

    Attributes:
        xs, ys: centres of the columns and rows, input pixels.
        cells: (W,T) the place of each token, row by row; -1 for tokens without one.
    """

    xs: Floats
    ys: Floats
    cells: Numbers


@dataclass(frozen=True)
class Maps:
    """What chosen heads of one block do in one image.

    Attributes:
        block, stage: as in WindowAttention.
        heads: N numbers.
        weights: (W,N,Q,K) as the network has them.
        queries, keys: (W,Q,2) and (W,K,2), as in WindowAttention.
        allowed: (W,Q,K).
        prefix: tokens without a place that come first in each window.
    """

    block: int
    stage: int
    heads: tuple[int, ...]
    weights: Floats
    queries: Floats
    keys: Floats
    allowed: Flags
    prefix: int

    @classmethod
    def of(cls, found: WindowAttention, image: int = 0, heads: Sequence[int] | None = None) -> Maps:
        """Those of one image of a batch, of all heads or of chosen ones.

        Raises:
            UserError: a head that the block does not have.
        """
        from harness.errors import UserError

        number = found.probabilities.shape[2]
        chosen = tuple(range(number) if heads is None else heads)
        if not chosen or not all(0 <= head < number for head in chosen):
            listed = ", ".join(map(str, chosen)) or "none"
            raise UserError(
                f"block {found.block} has {number} heads, numbered from 0; heads {listed} were "
                "asked for"
            )
        weights = found.probabilities[image][:, list(chosen)].double().cpu().numpy()
        queries = found.query_positions.double().cpu().numpy()
        keys = found.key_positions.double().cpu().numpy()
        allowed = found.allowed.cpu().numpy()
        return cls(found.block, found.stage, chosen, weights, queries, keys, allowed, found.prefix)

    def seen(self) -> Flags:
        """(W,Q,K): the keys that a picture has: allowed, and with a place."""
        return self.allowed & (self.key_lattice().cells >= 0)[:, None, :]

    def query_lattice(self) -> Lattice:
        """Where the queries are that may attend to anything."""
        return _lattice(self.queries, np.asarray(self.allowed.any(axis=2)), self.prefix)

    def key_lattice(self) -> Lattice:
        """Where the keys are that any query may attend to."""
        return _lattice(self.keys, np.asarray(self.allowed.any(axis=1)), self.prefix)

    def peaks(self) -> Floats:
        """(W,N,Q): the greatest weight on keys that a picture has; 0 where there is none."""
        return np.asarray(np.where(self.seen()[:, None], self.weights, 0).max(axis=3))

    def prefix_mass(self) -> Floats:
        """(W,N,Q): the weight on prefix tokens."""
        return np.asarray(self.weights[..., : self.prefix].sum(axis=3))

    def map_of(self, head: int, x: float, y: float) -> Floats:
        """(rows,columns) of the key lattice: the weights of the query nearest to a place in input
        pixels, NaN for keys that it may not attend to."""
        window, query = self.query_at(x, y)
        keys, there = self.key_lattice(), self.seen()[window, query]
        found = np.full(len(keys.ys) * len(keys.xs), np.nan)
        weights = self.weights[window, self.heads.index(head), query]
        found[keys.cells[window, there]] = weights[there]
        return found.reshape(len(keys.ys), len(keys.xs))

    def query_at(self, x: float, y: float) -> tuple[int, int]:
        """Window and number of the query nearest to a place in input pixels."""
        away = ((self.queries - (x, y)) ** 2).sum(axis=2)
        away = np.where(self.query_lattice().cells >= 0, away, np.inf)
        window, query = np.unravel_index(int(away.argmin()), away.shape)
        return int(window), int(query)


@dataclass(frozen=True)
class Panel:
    """An image and what an encoder attends to in it.

    Attributes:
        name: of the encoder.
        image: (H,W,3) uint8, as the encoder takes it, so that its pixels are those of the maps.
        maps: of the blocks to show.
    """

    name: str
    image: NDArray[np.uint8]
    maps: tuple[Maps, ...]


def edges(centres: Floats, length: float) -> list[float]:
    """The sides of cells from their centres: half-way between them, and as far out at the ends,
    but within the image."""
    if len(centres) == 1:
        return [0.0, length]
    inner = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[0] - inner[0], 2 * centres[-1] - inner[-1]
    return [max(0.0, float(ends[0])), *inner.tolist(), min(length, float(ends[1]))]


def _lattice(positions: Floats, used: Flags, prefix: int) -> Lattice:
    placed = used & ~np.isnan(positions).any(axis=2)
    placed[:, :prefix] = False
    xs, columns = np.unique(positions[placed][:, 0], return_inverse=True)
    ys, rows = np.unique(positions[placed][:, 1], return_inverse=True)
    cells = np.full(placed.shape, -1, np.int32)
    cells[placed] = rows * len(xs) + columns
    return Lattice(xs, ys, cells)

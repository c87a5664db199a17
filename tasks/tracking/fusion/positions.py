"""What the places of query and key add to their attention, in two images that are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

Grid = tuple[int, int]


class Positions(nn.Module):
    """Of tokens i and j at cells (y,x) of the template's or the search image's grid, a head of d
    channels adds to the attention of query i on key j

        q(n(p_i)) . k(n(p_j)) / sqrt(d) + b[image of i, image of j, y_i - y_j, x_i - x_j]

    with learned p (a row's plus a column's), LayerNorm n and maps q and k of each image's own: the
    untied positions of TUPE (Ke et al. 2021), as SwinTrack has them in two dimensions, and its
    relative bias b.

    Args:
        template, search: rows and columns of the two grids.
        dim: channels over all heads.
        heads: number of heads.
        of_template: whether the template's tokens are queries too; keys are those of both images.
    """

    index: Tensor

    def __init__(
        self, template: Grid, search: Grid, dim: int, heads: int, *, of_template: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.template = _Places(template, dim, queries=of_template)
        self.search = _Places(search, dim, queries=True)
        index, entries = relative_index(template, search, of_template)
        self.register_buffer("index", index, persistent=False)
        self.table = nn.Parameter(torch.zeros(entries, heads))
        self._held: Tensor | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, what is added is computed once: weights must stay as they are."""
        self._held = self()
        try:
            yield
        finally:
            self._held = None

    def forward(self) -> Tensor:
        """(1,heads,Q,K), the template's tokens first, in raster order."""
        if self._held is not None:
            return self._held
        places = (self.template, self.search)
        normed = [each.normed() for each in places]
        keys = [each.key(x) for each, x in zip(places, normed, strict=True)]
        queries = [
            each.query(x) for each, x in zip(places, normed, strict=True) if each.query is not None
        ]
        q, k = self._by_head(torch.cat(queries)), self._by_head(torch.cat(keys))
        absolute = (q * q.shape[-1] ** -0.5) @ k.transpose(1, 2)
        relative = functional.embedding(self.index, self.table).permute(2, 0, 1)
        added: Tensor = absolute + relative
        return added[None]

    def _by_head(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.heads, -1).transpose(0, 1)


class _Places(nn.Module):
    """The learned places of a grid's cells, and what is made of them."""

    def __init__(self, grid: Grid, dim: int, *, queries: bool) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(grid[0], dim))
        self.columns = nn.Parameter(torch.zeros(grid[1], dim))
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim) if queries else None
        self.key = nn.Linear(dim, dim)

    def normed(self) -> Tensor:
        """(h*w,dim)."""
        normed: Tensor = self.norm(self.rows[:, None] + self.columns)
        return normed.flatten(0, 1)


def relative_index(template: Grid, search: Grid, of_template: bool) -> tuple[Tensor, int]:
    """Which entry of the table is for a query (row) and a key (column): each pairing of images has
    entries of its own, one for every offset in cells that occurs.

    Returns:
        (Q,K) int64, and the number of entries.
    """
    rows, entries = [], 0
    for of_query in (template, search) if of_template else (search,):
        blocks = []
        for of_key in (template, search):
            blocks.append(entries + _offsets(of_query, of_key))
            entries += (of_query[0] + of_key[0] - 1) * (of_query[1] + of_key[1] - 1)
        rows.append(torch.cat(blocks, dim=1))
    return torch.cat(rows), entries


def _offsets(of_query: Grid, of_key: Grid) -> Tensor:
    """(Q,K) number of the offset in rows and columns, from 0, row by row of offsets."""
    down, across = (
        torch.arange(q)[:, None] - torch.arange(k) + k - 1
        for q, k in zip(of_query, of_key, strict=True)
    )
    width = of_query[1] + of_key[1] - 1
    numbers = down[:, None, :, None] * width + across[None, :, None, :]
    return numbers.flatten(2).flatten(0, 1)

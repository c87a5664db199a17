"""The nearest rows by cosine similarity: exact, in memory that does not grow with their number.

A product in single precision proposes somewhat more rows than are asked for; their similarities
are computed again in double precision, summed in an order that depends on the width alone. Where
the rounding of the product cannot have hidden a nearer row, the answer stands. Else a product in
double precision proposes, and where even that leaves a doubt, as with many equal rows, all rows
are compared. So neither chunks nor devices nor threads move a neighbour, and of rows that are
equally near those with the lowest numbers are taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

QUERIES, ROWS = 512, 8192
"""Queries and rows in one product; the similarities of one take 16 MiB."""

SPARE = 12
"""Rows proposed beside those that are asked for."""

_TINY = torch.finfo(torch.float64).tiny


class Bank:
    """Rows to search among.

    Args:
        rows: (N,D) float32, kept as they are; a row of zeros has similarity 0 to all.
        chunk: queries and rows in one product. It is of no influence on what is found.
    """

    def __init__(self, rows: Tensor, chunk: tuple[int, int] = (QUERIES, ROWS)) -> None:
        self.rows, self.chunk = rows, chunk
        self.norms = torch.cat([_norms(part) for part in rows.split(chunk[1])])
        # What is multiplied at once in double precision: of the size of a cache, on a CPU.
        self.elements = 1 << (18 if rows.device.type == "cpu" else 24)

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, queries: Tensor, k: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, part by part of the queries, the similarities (n,k) float64 and numbers (n,k) of
        the k nearest rows, nearest first and of equal ones the lowest number first.

        Args:
            queries: (M,D) float32, on any device; what is yielded is on the bank's.
            k: no more than there are rows.
        """
        if not 1 <= k <= len(self):
            raise ValueError(f"{k} nearest of {len(self)} rows")
        for part in queries.split(self.chunk[0]):
            yield self._nearest(part.to(self.rows.device), k)

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        norms, proposed = _norms(queries), min(k + SPARE, len(self))
        similarities = norms.new_empty(len(queries), k)
        numbers = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
        open_ = torch.arange(len(queries), device=queries.device)
        # Under TF32 and its like the error of a single-precision product is another one.
        single = torch.get_float32_matmul_precision() == "highest"
        for precision in (torch.float32, torch.float64) if single else (torch.float64,):
            some, size = queries[open_], norms[open_]
            last, rows = self._propose(_unit(some, size, precision), proposed)
            found, rows = self._rank(some, size, rows)
            sure = found[:, k - 1] > last + self._error(precision)
            if proposed == len(self):
                sure = torch.ones_like(sure)
            similarities[open_[sure]] = found[sure, :k]
            numbers[open_[sure]] = rows[sure, :k]
            open_ = open_[~sure]
            if not len(open_):
                return similarities, numbers
        for query in open_:
            found = self._compare(queries[query], norms[query])
            values, rows = torch.sort(found, descending=True, stable=True)
            similarities[query], numbers[query] = values[:k], rows[:k]
        return similarities, numbers

    def _propose(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return the lowest approximate similarity (n,) of the proposed rows, and their numbers
        (n,count); no other row has a higher one."""
        values = queries.new_empty(len(queries), 0)
        numbers = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
        for start in range(0, len(self), self.chunk[1]):
            some = slice(start, start + self.chunk[1])
            product = queries @ _unit(self.rows[some], self.norms[some], queries.dtype).T
            highest, places = product.topk(min(count, product.shape[1]), 1)
            values = torch.cat([values, highest], 1)
            numbers = torch.cat([numbers, places + start], 1)
            if values.shape[1] > count:
                values, places = values.topk(count, 1)
                numbers = numbers.gather(1, places)
        return values.amin(1).double(), numbers

    def _rank(self, queries: Tensor, norms: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return similarities (n,m) and numbers (n,m) of the rows (n,m), nearest first."""
        rows = rows.sort(1).values
        parts = max(1, self.elements // max(1, rows.shape[1] * queries.shape[1]))
        found = []
        for query, size, some in zip(
            queries.split(parts), norms.split(parts), rows.split(parts), strict=True
        ):
            dots = _sum(query.double().unsqueeze(1) * self.rows[some])
            found.append(dots / (size.unsqueeze(1) * self.norms[some]).clamp_(min=_TINY))
        values, places = torch.sort(torch.cat(found), dim=1, descending=True, stable=True)
        return values, rows.gather(1, places)

    def _compare(self, query: Tensor, norm: Tensor) -> Tensor:
        """Return the similarities (N,) of all rows to one query (D,)."""
        parts = max(1, self.elements // len(query))
        dots = [_sum(query.double() * some) for some in self.rows.split(parts)]
        return torch.cat(dots) / (norm * self.norms).clamp_(min=_TINY)

    def _error(self, precision: torch.dtype) -> float:
        """Return twice the most by which rounding moves a product of unit rows: D additions and
        multiplications and the rounding of what goes in (Higham 2002, 3.1)."""
        return (self.rows.shape[1] + 8) * torch.finfo(precision).eps


def _sum(values: Tensor) -> Tensor:
    """Return the sum over the last dimension, which is used up: halves are added until one value is
    left, so that the order is the same for every shape and device."""
    while (width := values.shape[-1]) > 1:
        half = (width + 1) // 2
        values[..., : width - half] += values[..., half:]
        values = values[..., :half]
    return values[..., 0]


def _norms(rows: Tensor) -> Tensor:
    return _sum(rows.double().square()).sqrt()


def _unit(rows: Tensor, norms: Tensor, precision: torch.dtype) -> Tensor:
    inverse = norms.reciprocal().where(norms > 0, 0.0).to(precision)
    return rows.to(precision) * inverse.unsqueeze(1)

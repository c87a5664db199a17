"""McNemar's exact test: are two networks right on equally many of the same images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class McNemar:
    """Images that exactly one of two networks has right.

    Attributes:
        a_only, b_only: number of images that only `a`, only `b` has right.
        n: number of images.
        p: two-sided exact p value: how often so unequal a split, or a more unequal one, comes of
            fair coins (McNemar, Psychometrika 12, 1947, with the binomial distribution). It speaks
            of these two networks on images like these, not of other seeds.
    """

    a_only: int
    b_only: int
    n: int
    p: float

    @property
    def differ(self) -> float:
        """Share of images that exactly one has right."""
        return (self.a_only + self.b_only) / self.n


def mcnemar(a: Sequence[float], b: Sequence[float]) -> McNemar:
    """Compare two networks that are right (1) or wrong (0) on the same images, (N,) each.

    Raises:
        ValueError: not as many of both, none at all, or other values.
    """
    from scipy.special import bdtr

    if len(a) != len(b) or not len(a):
        raise ValueError(f"needs as many images of both, at least one; got {len(a)} and {len(b)}")
    if not set(a) | set(b) <= {0, 1}:
        raise ValueError("needs 1 for right and 0 for wrong")
    a_only = sum(x > y for x, y in zip(a, b, strict=True))
    b_only = sum(y > x for x, y in zip(a, b, strict=True))
    both = a_only + b_only
    p = min(1.0, 2 * float(bdtr(min(a_only, b_only), both, 0.5))) if both else 1.0
    return McNemar(a_only, b_only, len(a), p)

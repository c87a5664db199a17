"""Where along the depth of an encoder a probe is best."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 1000


class Peak(NamedTuple):
    """The block with the best mean.

    Attributes:
        block: from 0; of equal ones the first.
        depth: (block + 1) / blocks, in (0,1].
        low, high: the middle 95 % of `depth` over resamples of the test samples.
        error: standard deviation of `depth` over them.
    """

    block: int
    depth: float
    low: float
    high: float
    error: float


def peak(scores: NDArray[np.float64], seed: int, lower: bool = False) -> Peak:
    """The peak of scores (n,blocks) of n test samples, with a bootstrap over these (Efron and
    Tibshirani 1993, chapter 13: percentiles), the same samples for all blocks.

    The probes are not fitted anew: the interval covers test samples, not training.

    Args:
        lower: whether lower scores are better.
    """
    signed = -scores if lower else scores
    count, blocks = signed.shape
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)
    drawn = ((weights @ signed).argmax(1) + 1) / blocks
    block = int(signed.mean(0).argmax())
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return Peak(block, (block + 1) / blocks, float(low), float(high), float(drawn.std(ddof=1)))

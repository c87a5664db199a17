"""Stochastic depth (Huang et al., 2016) whose draws belong to samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backbones.randomness import uniform


class SampleKeys:
    """The keys of the batch at hand, shared by all `DropPath` of an encoder."""

    def __init__(self) -> None:
        self.values: Tensor | None = None


class DropPath(nn.Module):
    """Leave a residual branch out for some samples and scale it up for the others.

    With sample keys the draw is a function of (key, stream) alone, so it depends neither on the
    order nor on the size of the batch; without them it comes from torch's generator.
    """

    def __init__(self, rate: float, stream: int, keys: SampleKeys) -> None:
        super().__init__()
        self.rate = rate
        self.stream = stream
        self.keys = keys

    def forward(self, branch: Tensor) -> Tensor:
        """Return `branch` (B, ...) times 0 or 1/(1-rate) for each sample; in evaluation, itself."""
        if self.rate == 0 or not self.training:
            return branch
        kept = self._draw(branch) >= self.rate
        scale = kept.to(branch.dtype) / (1 - self.rate)
        return branch * scale.view(-1, *[1] * (branch.ndim - 1))

    def _draw(self, branch: Tensor) -> Tensor:
        keys = self.keys.values
        if keys is None:
            return torch.rand(len(branch), device=branch.device)
        if len(keys) != len(branch):
            raise ValueError(
                f"expected a batch of {len(keys)} samples, as many as set_sample_keys was given; "
                f"got {len(branch)}"
            )
        return uniform(keys.to(branch.device), self.stream)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"


def rates(last: float, depth: int) -> list[float]:
    """Rates growing linearly from 0 at the first block to `last` at the last one."""
    return [last * i / max(depth - 1, 1) for i in range(depth)]

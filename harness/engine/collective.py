"""What several processes must agree on to act as one: sums, and batch statistics."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


def world_size() -> int:
    """Number of processes of this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather(rows: list[Any]) -> list[Any]:
    """The rows of all processes, on process 0; an empty list on the others."""
    if world_size() == 1:
        return rows
    parts: list[Any] | None = [None] * world_size() if rank() == 0 else None
    dist.gather_object(rows, parts)
    return [row for part in parts or [] for row in part]


def of_first(thing: T) -> T:
    """What process 0 has, on all processes."""
    if world_size() == 1:
        return thing
    shared = [thing]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


class _Sum(torch.autograd.Function):
    """Sum over processes. The gradient of a sum that all of them use is the sum of theirs."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def sum_over_processes(x: Tensor) -> Tensor:
    """Differentiable sum of `x` over processes."""
    if world_size() == 1:
        return x
    total: Tensor = _Sum.apply(x)
    return total


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the whole batch, on any back end: torch's
    SyncBatchNorm refuses gloo. x is (B,C,H,W)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            # Sums and counts of a half precision would be rounded, or overflow.
            exact = x if x.dtype == torch.float64 else x.float()
            return self._normalise(exact).to(x.dtype)

    def _normalise(self, x: Tensor) -> Tensor:
        count = torch.full((1,), x.numel() / x.shape[1], dtype=x.dtype, device=x.device)
        packed = torch.cat([x.sum((0, 2, 3)), count])
        packed = sum_over_processes(packed)
        n = packed[-1].detach()
        mean = packed[:-1] / n
        centred = x - mean[None, :, None, None]
        variance = sum_over_processes(centred.square().sum((0, 2, 3))) / n
        self._track(mean.detach(), variance.detach() * n / (n - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normed = centred * scale[None, :, None, None]
        return normed + self.bias[None, :, None, None] if self.affine else normed

    def _track(self, mean: Tensor, unbiased: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased, momentum)


def with_global_statistics(module: nn.Module) -> None:
    """Give every batch normalisation of `module` the statistics of the whole batch, in place;
    names, parameters and buffers stay."""
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = GlobalBatchNorm2d

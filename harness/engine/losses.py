"""The loss of a whole batch from the terms that each process has of its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine import collective
from tasks.contract import Loss, Note, Pooled, Term


@dataclass(frozen=True)
class Shared:
    """What all processes know of a step.

    Attributes:
        loss: what this process differentiates: gradients, averaged over processes, are those of
            the whole batch's loss.
        noted: (T,) value of each term and note for the whole batch, without gradient.
        flags: each flag's sum over processes.
    """

    loss: Tensor
    noted: Tensor
    flags: Tensor


def share(terms: Loss, flags: Sequence[float]) -> Shared:
    """Put a step's terms together over the processes.

    Args:
        terms: what the model's `loss` gives of this process's samples.
        flags: numbers that are summed on the way.
    """
    sums = {name: term for name, term in terms.items() if not isinstance(term, Pooled)}
    totals = [term.total.detach() for term in sums.values()]
    counts = [torch.as_tensor(term.count).to(term.total).detach() for term in sums.values()]
    like = _tensor(next(iter(terms.values()))).detach()
    packed = torch.stack([*totals, *counts, *like.new_tensor(list(flags))])
    packed = collective.sum_over_processes(packed)
    whole, divisors = packed[: len(sums)], packed[len(sums) : 2 * len(sums)]
    noted = dict(zip(sums, whole / divisors, strict=True))
    trained: list[Tensor] = []
    for quotient, divisor in zip(sums.values(), divisors, strict=True):
        if isinstance(quotient, Term):
            # Gradients are averaged over processes, hence the factor.
            trained.append(quotient.total * collective.world_size() / divisor)
    for name, term in terms.items():
        if isinstance(term, Pooled):
            # What all processes ask of the sums is added up on the way back: no factor.
            pooled = term.finish(collective.sum_over_processes(term.sums))
            noted[name] = pooled.detach().to(packed)
            trained.append(pooled)
    return Shared(
        loss=torch.stack(trained).sum(),
        noted=torch.stack([noted[name] for name in terms]),
        flags=packed[2 * len(sums) :],
    )


def _tensor(term: Term | Pooled | Note) -> Tensor:
    return term.sums if isinstance(term, Pooled) else term.total

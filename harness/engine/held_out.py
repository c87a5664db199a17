"""The loss of held-out samples while a model is trained, without gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.engine.order import collate
from tasks.contract import Note, Pooled

if TYPE_CHECKING:
    from tasks.contract import TaskDataset
    from tasks.model import TaskModel
    from tasks.recipe import TaskRecipe


class HeldOut:
    """The first samples of the selection split, and the times at which their loss is taken: after
    each of `points` equal parts of the steps. Under several processes each takes it of them all.

    It draws from no generator, and changes neither parameters nor batch statistics.
    """

    def __init__(self, dataset: TaskDataset, recipe: TaskRecipe, stop: int) -> None:
        self.points, self.stop = min(recipe.dynamics.points, stop), stop
        count = min(recipe.dynamics.samples, len(dataset)) if self.points else 0
        self._batches = [
            _batch(dataset, range(first, min(first + recipe.train.batch_size, count)))
            for first in range(0, count, recipe.train.batch_size)
        ]

    def due(self, step: int) -> bool:
        """Whether a part of the steps has ended with `step`, counted from 1."""
        return step * self.points // self.stop > (step - 1) * self.points // self.stop

    @torch.no_grad()
    def measure(self, model: TaskModel, device: torch.device) -> dict[str, float]:
        """The loss and its terms over all the samples; the model is left in evaluation mode."""
        model.eval()
        sums: dict[str, Tensor] = {}
        last: Mapping[str, Any] = {}
        for batch in self._batches:
            moved = {name: _moved(value, device) for name, value in batch.items()}
            model.set_sample_keys(moved["sample_key"])
            last = model.loss(moved | {"batch_key": 0})
            for name, term in last.items():
                parts = term.sums if isinstance(term, Pooled) else _quotient(term)
                sums[name] = sums[name] + parts if name in sums else parts
        found = {
            name: float(term.finish(sums[name]))
            if isinstance(term, Pooled)
            else float(sums[name][0] / sums[name][1])
            for name, term in last.items()
        }
        trained = [value for name, value in found.items() if not isinstance(last[name], Note)]
        return {"loss": sum(trained)} | (found if len(found) > 1 else {})


def _batch(dataset: TaskDataset, indices: range) -> dict[str, Any]:
    return collate(
        [dataset.held_out(index) | {"index": index, "sample_key": index} for index in indices]
    )


def _quotient(term: Any) -> Tensor:
    return torch.stack([term.total, torch.as_tensor(term.count).to(term.total)])


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, list):
        return [each.to(device) for each in value]
    return value.to(device)

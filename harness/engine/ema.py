"""Averaged weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Average:
    """Exponential moving average of a module's parameters and floating-point buffers.

    The decay is min(decay, (1 + n) / (10 + n)) at the n-th update, so that a short run is not an
    average with its own start (the correction of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the module as it is now."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in module.state_dict().items():
            mean = self.values[name]
            if mean.is_floating_point():
                mean.lerp_(value.to(mean), 1 - decay)
            else:
                mean.copy_(value)

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {"values": self.values, "updates": self.updates}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.updates = state["updates"]
        for name, value in self.values.items():
            value.copy_(state["values"][name])

"""One encoder at a second input size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from backbones.arguments import as_size
from backbones.contract import Backbone, FeatureInfo
from backbones.droppath import DropPath
from backbones.errors import LoadError
from backbones.families import family as family_of

Size = tuple[int, int]


def at_size(backbone: Backbone, input_size: int | Size) -> Resized:
    """The same encoder at another input size, for tasks that look at images of two.

    Its parameters are those of `backbone`, whatever becomes of them: gradients of both uses add up.
    Position tables are brought from the size that `backbone` runs at to the other one by the
    family's published rule at each call; gradients flow through that, too.

    Raises:
        LoadError: the family has no rule for the size, or is another package's.
    """
    return Resized(backbone, as_size(input_size, "input_size"))


class Resized:
    """See `at_size`. No module, so that a network that has it counts each parameter once.

    Attributes:
        input_size: (H,W) that it takes.
        feature_info: of each map that `forward` gives, finest first.
    """

    input_size: Size
    feature_info: tuple[FeatureInfo, ...]

    def __init__(self, backbone: Backbone, input_size: Size) -> None:
        if backbone.spec.package is not None:
            raise LoadError(
                f"{backbone.spec.name} is of {backbone.spec.package}: how it goes to a second "
                "input size is not known"
            )
        self._backbone, self.input_size = backbone, input_size
        self._family = family_of(backbone.spec.family)
        self._arch = backbone.arch_as_run()
        spec = dataclasses.replace(backbone.spec, arch=self._arch)
        last = max((m.rate for m in backbone.modules() if isinstance(m, DropPath)), default=0.0)
        self._twin = self._family.build(spec, input_size, last, ())
        self.feature_info = self._twin.feature_info
        own = self._shared()
        self._tables = [
            name for name, p in self._twin.named_parameters() if p.shape != own[name].shape
        ]
        fitted = self._fitted(own)
        for name, parameter in self._twin.named_parameters():
            if name in fitted and fitted[name].shape != parameter.shape:
                height, width = input_size
                raise LoadError(
                    f"{backbone.spec.name} at {height}x{width}: no rule brings {name} from "
                    f"{tuple(own[name].shape)} to {tuple(parameter.shape)}"
                )
        self._release()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """As `Backbone.forward`."""
        return cast("tuple[Tensor, ...]", self._call("forward", images))

    __call__ = forward

    def encode(self, images: Tensor) -> Tensor:
        """As `Backbone.encode`."""
        return cast(Tensor, self._call("encode", images))

    def _call(self, method: str, images: Tensor) -> Any:
        backbone, twin = self._backbone, self._twin
        if (twin.mean.device, twin.mean.dtype) != (backbone.mean.device, backbone.mean.dtype):
            twin.to(backbone.mean)
        self._follow_mode()
        twin.set_sample_keys(backbone._state.sample_keys.values)
        own = self._shared()
        return functional_call(_Method(twin, method), _prefixed(own | self._fitted(own)), (images,))

    def _shared(self) -> dict[str, Tensor]:
        """What the second network takes from the first: parameters, and buffers that are stored or
        say how images are normalised."""
        backbone, names = self._backbone, dict(self._twin.named_parameters())
        stored = self._backbone.state_dict(keep_vars=True)
        found = {name: value for name, value in stored.items() if name in names}
        buffers = dict(self._twin.named_buffers())
        for name, value in backbone.named_buffers():
            if name in ("mean", "std") or (name in stored and name in buffers):
                found[name] = value
        missing = sorted(names.keys() - found.keys())
        if missing:
            raise LoadError(f"{backbone.spec.name} has no {missing[0]} to share")
        return found

    def _fitted(self, own: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tables at the second size."""
        if not self._tables:
            return {}
        tables = {name: own[name] for name in self._tables}
        # Rounded to a half precision, positions would not be what the rule gives.
        with torch.autocast(self._backbone.mean.device.type, enabled=False):
            return dict(self._family.fit(tables, self._arch, self.input_size).tensors)

    def _follow_mode(self) -> None:
        """Modules in training or evaluation as those of the first network are, and batch norms with
        the statistics that theirs have, of this process or of all."""
        first = dict(self._backbone.named_modules())
        for name, module in self._twin.named_modules():
            other = first.get(name, self._backbone)
            module.training = other.training
            if isinstance(module, nn.BatchNorm2d):
                module.__class__ = type(other)

    def _release(self) -> None:
        """Give the second network's own values back: none of them is ever read."""
        for parameter in self._twin.parameters():
            parameter.data = torch.empty(0)


class _Method(nn.Module):
    """A method of a network, as `functional_call` wants it."""

    def __init__(self, network: Backbone, method: str) -> None:
        super().__init__()
        self.network = network
        self._called: Callable[[Tensor], Any] = getattr(network, method)

    def forward(self, images: Tensor) -> Any:
        return self._called(images)


def _prefixed(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": value for name, value in values.items()}

"""One encoder at two input sizes, as trackers need it for templates and search images.

The network is built anew at the second size, without parameters of its own: it runs with those of
the first. Only tables that depend on the size (positions, relative biases) are computed, at each
forward, by the family's published rule. All of these rules are linear in the table, along its last
axis but one; so each is one matrix, which is read off the family's `fit` by giving it unit tables,
and gradients of both sizes reach the one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from backbones import entries, outside
from backbones.arguments import Size, as_size
from backbones.contract import Backbone, FeatureInfo
from backbones.droppath import DropPath
from backbones.dropping import ALL_USED
from backbones.errors import LoadError
from backbones.families import family as family_of
from backbones.undrawn import undrawn

_APART = 0x632BE59BD9B4E019
"""Added to sample keys, so that the noise at the second size is not that at the first: odd and far
from 0, for keys may be neighbours."""
_CHUNK = 1024
_TOLERANCE = 1e-4

Fit = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]


class Resized:
    """An encoder at another input size, with the parameters of the first; see `at_size`.

    No module, so that whoever holds both has one set of parameters, under the first's names. It
    follows the first in training or evaluation mode, device, values and kinds of batch norms.

    Attributes:
        input_size: (H,W) that it takes.
        feature_info: of each map that `forward` gives, finest first.
    """

    input_size: Size
    feature_info: tuple[FeatureInfo, ...]

    def __init__(self, first: Backbone, network: Backbone, rules: Mapping[str, Tensor]) -> None:
        self.input_size, self.feature_info = network.input_size, network.feature_info
        self._first, self._network, self._rules = first, network, dict(rules)
        own = dict(network.named_modules())
        self._modules = [(own[n], each) for n, each in first.named_modules() if n in own]
        self._places = [(name, *_place(network, name)) for name in network.state_dict()]
        self._empty()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps (B,C_i,H/s_i,W/s_i) of images (B,3,H,W); see `Backbone.forward`."""
        with self._filled() as network:
            maps: tuple[Tensor, ...] = network(images)
        return maps

    __call__ = forward

    def encode(self, images: Tensor) -> Tensor:
        """Return the last map (B,C,h,w) after the final norm; see `Backbone.encode`."""
        with self._filled() as network:
            return network.encode(images)

    @contextmanager
    def _filled(self) -> Iterator[Backbone]:
        self._follow()
        shared = self._first.state_dict(keep_vars=True)
        try:
            for name, store, leaf in self._places:
                value = shared[name]
                store[leaf] = self._table(name, value) if name in self._rules else value
            yield self._network
        finally:
            self._empty()

    def _table(self, name: str, table: Tensor) -> Tensor:
        # Rounded to a half precision, positions would not be what the file's rule gives.
        with torch.autocast(table.device.type, enabled=False):
            return self._rules[name].to(table.dtype) @ table

    def _empty(self) -> None:
        for _, store, leaf in self._places:
            store[leaf] = None

    def _follow(self) -> None:
        first, network = self._first, self._network
        for own, other in self._modules:
            own.training = other.training
            if isinstance(own, nn.BatchNorm2d):
                own.__class__ = other.__class__
        mean = first.mean
        if (network.mean.device, network.mean.dtype) != (mean.device, mean.dtype):
            _move_buffers(network, mean)
            self._rules = {name: rule.to(mean.device) for name, rule in self._rules.items()}
        keys = first.sample_keys
        network.set_sample_keys(None if keys is None else keys + _APART)


def at_size(backbone: Backbone, input_size: int | Size) -> Resized:
    """Return the same encoder at a second input size.

    What it gives is what `backbones.load` gives at that size, to 1e-6 where a table is resized from
    that of the file's own size. A table that was resized when the first was loaded is resized from
    there once more.

    Args:
        backbone: the first; all parameters stay its own, and gradients of both uses reach them.
        input_size: side, or (height, width).

    Raises:
        LoadError: the family has no rule for a table at that size, or the encoder is of no family
            and cannot be had at that size from the package that offers it.
    """
    size = as_size(input_size, "input_size")
    try:
        return _of_package(backbone, size) if backbone.spec.package else _of_family(backbone, size)
    except LoadError as error:
        height, width = size
        name = backbone.spec.name
        raise LoadError(f"{name} cannot also run at {height}x{width} pixels: {error}") from error


def _of_family(first: Backbone, size: Size) -> Resized:
    family, arch = family_of(first.spec.family), first.arch_for(size)
    with undrawn():
        network = family.build(replace(first.spec, arch=arch), size, _drop_path(first), ())
    _same_rates(first, network)
    tensors = _shared(first, network)
    rules = _rules(tensors, network, lambda found: family.fit(found, arch, size).tensors)
    return Resized(first, network.eval(), rules)


def _of_package(first: Backbone, size: Size) -> Resized:
    """What the package offers under the same name, if it is the same at the first's own size."""
    offer = entries.outside(first.spec.name)
    if offer is None:
        raise LoadError("the package that offers it is not there any more")

    def made(size: Size) -> Resized:
        network = outside.load(offer, size, _drop_path(first), ALL_USED, {}, ())
        _same_rates(first, network)
        return Resized(first, network, _rules(_shared(first, network), network, dict))

    if not _alike(first, made(first.input_size)):
        raise LoadError(f"this one was loaded with other settings than {offer.who} has by itself")
    return made(size)


@torch.no_grad()
def _alike(first: Backbone, again: Resized) -> bool:
    """Whether both give the same map of an image of the first's size."""
    image = torch.rand(1, 3, *first.input_size, generator=torch.Generator().manual_seed(0))
    image = image.to(first.mean)
    training = first.training
    try:
        first.eval()
        return torch.equal(again.encode(image), first.encode(image))
    finally:
        first.train(training)


def _shared(first: Backbone, network: Backbone) -> dict[str, Tensor]:
    """The first's tensors under the names of the network, float32 as files have them.

    Raises:
        LoadError: it lacks one.
    """
    state = {name: value.detach().cpu() for name, value in first.state_dict().items()}
    state |= {name: value.float() for name, value in state.items() if value.is_floating_point()}
    if missing := [name for name in network.state_dict() if name not in state]:
        raise LoadError(f"at that size it has parameters that it lacks now: {', '.join(missing)}")
    return {name: state[name] for name in network.state_dict()}


def _rules(tensors: dict[str, Tensor], network: Backbone, fit: Fit) -> dict[str, Tensor]:
    """The matrix (M,N) of each table (...,N,C) that `fit` changes to (...,M,C).

    Raises:
        LoadError: what `fit` gives is not of the network's shapes, or not linear in the table.
    """
    fitted = fit(tensors)
    rules: dict[str, Tensor] = {}
    alike: dict[tuple[object, ...], Tensor] = {}
    for name, target in network.state_dict().items():
        table, value = tensors[name], fitted[name]
        if value.shape != target.shape:
            raise LoadError(
                f"no published rule brings {name} from {tuple(table.shape)} to "
                f"{tuple(target.shape)}"
            )
        if value is table:
            continue
        kind = (name.rpartition(".")[2], table.shape[:-1], value.shape[:-1])
        if kind not in alike:
            alike[kind] = _matrix(name, tensors, fit)
        rules[name] = alike[kind]
        if (rules[name] @ table - value).abs().max() > _TOLERANCE * table.abs().max():
            raise LoadError(f"its family's rule for {name} is not linear in the table")
    return rules


def _matrix(name: str, tensors: dict[str, Tensor], fit: Fit) -> Tensor:
    """What `fit` does to a table, (M,N) float32."""
    table = tensors[name]
    count = table.shape[-2]
    columns = []
    for start in range(0, count, _CHUNK):
        units = torch.eye(count, dtype=torch.float64)[:, start : start + _CHUNK]
        columns.append(fit({**tensors, name: units.expand(*table.shape[:-2], -1, -1)})[name])
    return torch.cat(columns, dim=-1)[(0,) * (table.ndim - 2)].float()


def _move_buffers(network: Backbone, like: Tensor) -> None:
    for module in network.modules():
        for leaf, buffer in module._buffers.items():
            if buffer is not None:
                kind = like.dtype if buffer.is_floating_point() else buffer.dtype
                module._buffers[leaf] = buffer.to(like.device, kind)


def _place(network: Backbone, name: str) -> tuple[dict[str, Any], str]:
    """Where a parameter or buffer is kept: the dictionary, and its name there.

    Raises:
        LoadError: a recurrent layer, which keeps its parameters in a list besides.
    """
    path, _, leaf = name.rpartition(".")
    owner = network.get_submodule(path)
    if isinstance(owner, nn.RNNBase):
        raise LoadError(f"{path} is recurrent, and such layers cannot be shared")
    return owner._parameters if leaf in owner._parameters else owner._buffers, leaf


def _drop_path(first: Backbone) -> float:
    return max((m.rate for m in first.modules() if isinstance(m, DropPath)), default=0.0)


def _same_rates(first: Backbone, network: Backbone) -> None:
    rates = {name: m.rate for name, m in first.named_modules() if isinstance(m, DropPath)}
    for name, module in network.named_modules():
        if isinstance(module, DropPath):
            module.rate = rates.get(name, 0.0)

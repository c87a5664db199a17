"""Whatever timm can describe and no other family here serves, as timm's own network.

Maps are what timm's `forward_intermediates` gives: the last of each stride, finest first, without
the final norm; `encode` is the last with it. A network of one stride has one map, as `encode` gives
it. `pooled` is what timm's `forward_head` gives its classifier, which may have another width than
the maps (`pooled_width`).

Input sizes that the coarsest stride does not divide: the normalised image is padded with zeros at
the right and the bottom to whole cells, and maps are cut to ceil(H/s) x ceil(W/s). Networks whose
tables belong to one input size are refused at any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, cast

import timm
import torch
from timm.layers.drop import DropPath as TimmDropPath
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import AttentionMap, Backbone, BackboneSpec, Masked, Output
from backbones.droppath import DropPath, SampleKeys
from backbones.errors import LoadError
from backbones.families.arch import check_head, from_dict
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.timm_probe import build, check_drop_path, facts, probe, shapes
from backbones.layer_rules import check_rule

_ATTENTIVE = ("vit", "beit", "eva", "swin", "swinv2", "hiera")


@dataclass(frozen=True)
class TimmArch:
    """A network of timm's.

    Attributes:
        model: timm's name, with its tag where it has one.
        image_size: of the images that its tables belong to, where it has any.
        num_classes: of its classifier; 0 if it has none.
        timm_version: of the timm that it was first built with.
    """

    model: str
    image_size: Size = (224, 224)
    num_classes: int = 0
    timm_version: str = timm.__version__


class TimmFamily(Family):
    """See the module."""

    name = "timm_network"
    keys = frozenset(f.name for f in dataclasses.fields(TimmArch))
    parts = frozenset({"head"})
    fresh = frozenset()

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        arch = _completed(given)
        known = facts(arch.model)
        notes: tuple[str, ...] = (f"timm's own {known.kind}, of timm {timm.__version__}",)
        if arch.timm_version != timm.__version__:
            notes += (f"first built with timm {arch.timm_version}, which may have another network",)
        return Described(dataclasses.asdict(arch), notes)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        return dataclasses.asdict(_completed({"image_size": input_size, **arch}))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """As Family says; there is no rule by which any network could be shortened."""
        if drop_last:
            what = "no blocks can be dropped here (drop_last)"
            raise _only_elsewhere(arch["model"], what, (*_ATTENTIVE, "convnext"))
        return dict(arch), ()

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        """As Family says; tables of another input size are not converted."""
        shape = from_dict(TimmArch, arch)
        known = facts(shape.model)
        own, wanted = known.padded(shape.image_size), known.padded(input_size)
        if own != wanted:
            before = shapes(shape.model, shape.num_classes, own)
            after = shapes(shape.model, shape.num_classes, wanted)
            if tables := [name for name in before if after.get(name) != before[name]]:
                height, width = shape.image_size
                raise LoadError(
                    f"timm's {shape.model} has tables for {height}x{width} pixels "
                    f"({tables[0]} and {len(tables) - 1} more), and no published rule is known "
                    f"for {input_size[0]}x{input_size[1]}; load it at its own size: "
                    f"--set backbone.input_size=[{height},{width}]"
                )
        return Fitted(dict(tensors))

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = from_dict(TimmArch, spec.arch)
        check_head(arch.num_classes, keep)
        padded = facts(arch.model).padded(input_size)
        if padded != input_size:
            (height, width), (rows, columns) = input_size, padded
            note = (
                f"{height}x{width} pixels are padded to {rows}x{columns}, whole cells of the "
                "coarsest map; timm's own network, which pads layer by layer, gives other values"
            )
            spec = dataclasses.replace(spec, notes=(*spec.notes, note))
        return TimmBackbone(spec, arch, input_size, drop_path, keep)


class TimmBackbone(Backbone):
    """A network of timm's under `encoder`, its classifier under `head` where it was kept."""

    encoder: Any
    head: nn.Module | None

    def __init__(
        self,
        spec: BackboneSpec,
        arch: TimmArch,
        input_size: Size,
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        super().__init__(spec, input_size)
        self.arch = arch
        self.facts = facts(arch.model)
        if "head" in keep and len(self.facts.classifiers) != 1:
            several = ", ".join(self.facts.classifiers) or "none"
            raise LoadError(f"timm's {arch.model} has no single classifier to keep: {several}")
        self.probe = probe(arch.model, arch.num_classes, self.facts.padded(input_size))
        levels = self.probe.levels
        self.feature_info = tuple(self.probe.places[i] for i in levels)
        self.encoder, head = self._network(drop_path)
        self.head = head if "head" in keep else None
        self._replace_classifiers(self.encoder, self.head)
        replaced = tie_drop_path(self.encoder, drop_path, self._state.sample_keys)
        check_drop_path(arch.model, replaced, drop_path)

    def _network(self, drop_path: float) -> tuple[Any, nn.Module | None]:
        """Return timm's network, and its classifier if it has exactly one."""
        size = self.facts.padded(self.input_size)
        network = build(self.arch.model, self.arch.num_classes, size, drop_path)
        names = self.facts.classifiers
        return network, network.get_submodule(names[0]) if len(names) == 1 else None

    def _replace_classifiers(self, network: nn.Module, head: nn.Module | None) -> None:
        for name in self.facts.classifiers:
            owner, _, leaf = name.rpartition(".")
            stand_in = nn.Identity() if head is None else Elsewhere(head)
            setattr(network.get_submodule(owner), leaf, stand_in)

    @property
    def pooled_width(self) -> int:
        """As the contract says; not everywhere that of the last map."""
        return self.probe.pooled_width

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if len(self.probe.levels) == 1:
            return (self.encode(images),)
        maps = self._maps(images, norm=False)
        return tuple(maps[i] for i in self.probe.levels)

    def encode(self, images: Tensor) -> Tensor:
        return self._maps(images, norm=True)[-1]

    def pooled(self, images: Tensor) -> Tensor:
        features = self.encoder.forward_features(self._input(images))
        return cast(Tensor, self.encoder.forward_head(features, pre_logits=True))

    def blocks(self, images: Tensor) -> list[Tensor]:
        """Return the map (B,C,h,w) at every place where timm gives one, before the final norm.

        In a network of one stride that is after every block, without prefix tokens; in others after
        every stage, the stem too where timm counts it.
        """
        return self._maps(images, norm=False)

    def logits(self, images: Tensor) -> Tensor:
        if self.head is None:
            raise self.missing("head")
        features = self.encoder.forward_features(self._input(images))
        return cast(Tensor, self.encoder.forward_head(features))

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        raise _only_elsewhere(self.arch.model, "there is no attention to look at here", _ATTENTIVE)

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        what = "no input can be masked here"
        raise _only_elsewhere(self.arch.model, what, (*_ATTENTIVE, "convnext"))

    def _input(self, images: Tensor) -> Tensor:
        height, width = self.facts.padded(self.input_size)
        right, bottom = width - self.input_size[1], height - self.input_size[0]
        return functional.pad(self.normalised(images), (0, right, 0, bottom))

    def _maps(self, images: Tensor, norm: bool) -> list[Tensor]:
        found = self.encoder.forward_intermediates(
            self._input(images), norm=norm, intermediates_only=True
        )
        cut = []
        for x, info in zip(found, self.probe.places, strict=True):
            rows, columns = (-(-side // info.stride) for side in self.input_size)
            cut.append(x[:, :, :rows, :columns])
        return cut

    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        """As the contract says, by the network's own `group_matcher`: the numbers are those of
        `timm.optim.param_groups_layer_decay`. Under a pre-training rule everything is in the last
        layer, since nothing is scaled there."""
        names = [name for name, _ in self.named_parameters()]
        if check_rule(rule).endswith("pretrain"):
            return dict.fromkeys(names, self.last_layer)
        layers = {self.facts.in_backbone(n): layer for n, layer in self.probe.layers.items()}
        return {name: layers.get(name, self.last_layer) for name in names}

    @property
    def last_layer(self) -> int:
        return max(self.probe.layers.values())

    def no_decay_names(self, rule: str | None = None) -> set[str]:
        """As the contract says; in fine-tuning what the network itself exempts, too."""
        exempt = super().no_decay_names(rule)
        if check_rule(rule).endswith("pretrain") or not hasattr(self.encoder, "no_weight_decay"):
            return exempt
        patterns = [f"encoder.{pattern}" for pattern in self.encoder.no_weight_decay()]
        names = [name for name, _ in self.named_parameters()]
        return exempt | {n for n in names if any(fnmatch(n, pattern) for pattern in patterns)}

    def unused_names(self, output: Output) -> set[str]:
        names = {name for name, _ in self.named_parameters()}
        reached = self.probe.reached.get("pooled" if output == "logits" else output, frozenset())
        used = {f"encoder.{name}" for name in reached}
        if output == "logits":
            used |= {name for name in names if name.startswith("head.")}
        return names - used

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew, as timm does on building the network; buffers too, such as
        running means, are as new."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network, head = self._network(0.0)
        if self.head is not None and head is not None:
            self.head.load_state_dict(head.state_dict())
        self._replace_classifiers(network, None)
        self.encoder.load_state_dict(network.state_dict())
        self.seal()


class Elsewhere(nn.Module):
    """Stands for a module that another one owns: runs it, but does not show its parameters."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._held = (module,)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the module gives."""
        return cast(Tensor, self._held[0](x))


def tie_drop_path(network: nn.Module, drop_path: float, keys: SampleKeys) -> int:
    """Put our drop path in timm's places, at timm's rates; return how many there were.

    Some networks have a rate by default, which 0 overrides. Branches that share one module of
    timm's share the draws of a sample.
    """
    found = [
        (owner, leaf, child.drop_prob)
        for owner in network.modules()
        for leaf, child in owner._modules.items()
        if isinstance(child, TimmDropPath)
    ]
    for stream, (owner, leaf, rate) in enumerate(found):
        setattr(owner, leaf, DropPath(float(rate) if drop_path else 0.0, stream, keys))
    return len(found)


def _completed(given: Arch) -> TimmArch:
    """Return the architecture; what is not given is as published."""
    known = facts(from_dict(TimmArch, given).model)
    published = {"image_size": known.image_size, "num_classes": known.num_classes}
    return from_dict(TimmArch, {**published, **given})


def _only_elsewhere(model: str, what: str, families: tuple[str, ...]) -> LoadError:
    return LoadError(
        f"{model} is timm's own network, {what}; take an encoder of a family that has it: "
        f"{', '.join(families)}"
    )

"""timm's networks by their names: how one is built, and what it says of itself.

What has to be known beforehand (maps, strides, which parameter reaches which output) is asked of a
network on torch's meta device, which has shapes and no values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from timm.models import group_parameters
from timm.optim._param_groups import auto_group_layers
from torch import Tensor, nn

from backbones.arguments import Colour, as_colour
from backbones.contract import FeatureInfo
from backbones.errors import LoadError
from backbones.families.contract import Size

_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What timm's code raises where a network does not fit what is asked of it."""


@dataclass(frozen=True)
class Facts:
    """What timm says of a name.

    Attributes:
        kind: the class of the network.
        classifiers: names of the modules that give class scores; usually one.
        num_classes: of the published file.
        image_size: of its training images.
        mean, std: of its input.
        unit: side in input pixels of a cell of the coarsest map.
        computed: buffers that are no part of the state dict, though older files may have them.
    """

    kind: str
    classifiers: tuple[str, ...]
    num_classes: int
    image_size: Size
    mean: Colour
    std: Colour
    unit: int
    computed: frozenset[str]

    def in_backbone(self, name: str) -> str:
        """Return the name in our Backbone of a tensor that timm has under `name`."""
        for number, classifier in enumerate(self.classifiers):
            if name.startswith(f"{classifier}."):
                owner = f"head.{number}" if len(self.classifiers) > 1 else "head"
                return owner + name.removeprefix(classifier)
        return f"encoder.{name}"

    def padded(self, size: Size) -> Size:
        """Return a size in whole cells of the coarsest map."""
        height, width = (side + -side % self.unit for side in size)
        return height, width


@dataclass(frozen=True)
class Probe:
    """How a network runs at a size.

    Attributes:
        places: of all maps that timm gives, in the order of running.
        levels: numbers of the places that are the last of their stride.
        pooled_width: numbers in a pooled vector.
        reached: "forward", "encode" or "pooled" -> the parameters that it depends on, as timm has
            them.
        layers: parameter under timm's name -> layer number.
    """

    places: tuple[FeatureInfo, ...]
    levels: tuple[int, ...]
    pooled_width: int
    reached: dict[str, frozenset[str]]
    layers: dict[str, int]


def is_known(name: str) -> bool:
    """Whether timm has a network of that name, and weights where the name has a tag."""
    # `is_model` looks at what comes before the tag alone.
    return name in timm.list_models(pretrained=True) or ("." not in name and timm.is_model(name))


def build(name: str, classes: int, size: Size | None = None, drop_path: float = 0.0) -> Any:
    """Return timm's network, with a classifier in any case.

    Args:
        name: timm's, with or without a tag.
        classes: of the classifier; one where the file has none.
        size: of its input, for the networks that depend on it; timm's own where None.
        drop_path: stochastic depth at the last block, spread over the others by timm's rule.

    Raises:
        LoadError: timm has no such network, or it cannot be had like this.
    """
    if not is_known(name):  # such as hf-hub:..., for which timm would go to the network
        raise LoadError(f"timm has no model {name!r}")
    options: dict[str, Any] = {"num_classes": classes or 1}
    if drop_path:
        options["drop_path_rate"] = drop_path
    try:
        return _sized(name, options, size)
    except _FAILURES as error:
        if "drop_path_rate" in str(error):
            raise _without_drop_path(name) from error
        where = f" for {size[0]}x{size[1]} pixels" if size else ""
        raise LoadError(f"timm cannot build {name}{where}: {_line(error)}") from error


def _sized(name: str, options: dict[str, Any], size: Size | None) -> Any:
    if size is not None:
        side = size[0] if size[0] == size[1] else size
        try:
            return timm.create_model(name, pretrained=False, img_size=side, **options)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
    return timm.create_model(name, pretrained=False, **options)


def _without_drop_path(name: str) -> LoadError:
    return LoadError(f"timm's {name} has no drop path; leave it out: --set backbone.drop_path=0")


def check_drop_path(name: str, replaced: int, drop_path: float) -> None:
    """Raise LoadError where there is nothing that drop path could act on."""
    if drop_path and not replaced:
        raise _without_drop_path(name)


@cache
def shapes(name: str, classes: int, size: Size | None) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of the state dict, under timm's names.

    Raises:
        LoadError: see `build`.
    """
    return {key: tuple(value.shape) for key, value in _on_meta(name, classes, size).items()}


@cache
def facts(name: str) -> Facts:
    """Return what timm says of a name.

    Raises:
        LoadError: there is no such network, or it is not one of images, or timm does not say what
            its maps are.
    """
    network = _network_on_meta(name, 1, None)
    cfg = network.pretrained_cfg
    infos = getattr(network, "feature_info", None)
    if not infos or not hasattr(network, "forward_intermediates"):
        raise _refused(name, network, "timm does not say what its maps are")
    channels, height, width = cfg["input_size"]
    if channels != 3:
        raise _refused(name, network, f"its input is {cfg['input_size']}, no colour image")
    classifier = cfg.get("classifier") or ()
    held = network.state_dict()
    return Facts(
        kind=type(network).__name__,
        classifiers=(classifier,) if isinstance(classifier, str) else tuple(classifier),
        num_classes=cfg["num_classes"],
        image_size=(height, width),
        mean=as_colour(cfg["mean"], "mean"),
        std=as_colour(cfg["std"], "std"),
        unit=int(max(info["reduction"] for info in infos)),
        computed=frozenset(key for key, _ in network.named_buffers() if key not in held),
    )


@cache
def probe(name: str, classes: int, size: Size) -> Probe:
    """Run a network without values.

    Args:
        name: timm's.
        classes: see `build`.
        size: (H,W) in whole cells of the coarsest map.

    Raises:
        LoadError: it cannot be run on images of this size alone, or has other maps than timm says.
    """
    network = _network_on_meta(name, classes, size)
    images = torch.empty(1, 3, *size, device="meta")
    try:
        with torch.enable_grad():
            maps = network.forward_intermediates(images, intermediates_only=True)
            normed = network.forward_intermediates(images, norm=True, intermediates_only=True)
            pooled = network.forward_head(network.forward_features(images), pre_logits=True)
    except _FAILURES as error:
        where = f"it cannot be run on images of {size[0]}x{size[1]} pixels"
        raise _refused(name, network, f"{where}: {_line(error)}") from error
    if not isinstance(pooled, Tensor) or pooled.ndim != 2:
        raise _refused(name, network, "timm gives no vector for its classifier")
    places = _places(name, network, maps, size)
    last = {info.stride: number for number, info in enumerate(places)}
    levels = tuple(last.values())
    seen = [normed[-1]] if len(levels) == 1 else [maps[number] for number in levels]
    outputs = {"forward": seen, "encode": [normed[-1]], "pooled": [pooled]}
    return Probe(
        places=places,
        levels=levels,
        pooled_width=pooled.shape[1],
        reached={key: _reached(values, network) for key, values in outputs.items()},
        layers=_layers(network),
    )


def _places(name: str, network: Any, maps: list[Tensor], size: Size) -> tuple[FeatureInfo, ...]:
    """Return channels and stride of each map, as timm says and the maps show."""
    said = [(info["num_chs"], info["reduction"]) for info in network.feature_info]
    found = [_described(x, size) for x in maps]
    strides = [stride for _, stride in said]
    if found != said or strides != sorted(strides):
        told = f"maps of (channels, stride) {said}, found {[tuple(x.shape[1:]) for x in maps]}"
        raise _refused(name, network, f"timm says {told} for {size[0]}x{size[1]} pixels")
    return tuple(FeatureInfo(channels, stride) for channels, stride in said)


def _described(x: Tensor, size: Size) -> tuple[int, int] | None:
    """Return channels and stride of a map (B,C,h,w); None where its cells are not square."""
    if x.ndim != 4 or 0 in x.shape:
        return None
    stride = size[0] // x.shape[2]
    fits = (x.shape[2] * stride, x.shape[3] * stride) == size
    return (x.shape[1], stride) if fits else None


def _reached(outputs: Iterable[Tensor], network: nn.Module) -> frozenset[str]:
    """Return the parameters in the graph of the outputs."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    waiting: list[Any] = [output.grad_fn for output in outputs]
    seen: set[Any] = set()
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(names[id(node.variable)])
        waiting += [parent for parent, _ in node.next_functions]
    return frozenset(found)


def _layers(network: Any) -> dict[str, int]:
    """Return the layers as `timm.optim.param_groups_layer_decay` numbers them."""
    if not hasattr(network, "group_matcher"):
        numbered: Any = auto_group_layers
        return dict(numbered(network))
    return dict(group_parameters(network, network.group_matcher(coarse=False), reverse=True))


def _on_meta(name: str, classes: int, size: Size | None) -> dict[str, Tensor]:
    state: dict[str, Tensor] = _network_on_meta(name, classes, size).state_dict()
    return state


def _network_on_meta(name: str, classes: int, size: Size | None) -> Any:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build(name, classes, size).eval()


def _refused(name: str, network: nn.Module, why: str) -> LoadError:
    return LoadError(
        f"timm:{name} is a {type(network).__name__} of a kind that no family here serves: {why}"
    )


def _line(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(str(error).split())}"[:300]

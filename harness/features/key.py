"""What features are of: everything that decides their values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.features.errors import FeatureError

FORMAT = 1
"""Of the files; a change of the layout, or of what an output's name means, is a new one."""

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""The number formats in which features are kept."""

DIGITS = 16
"""Of a hash, in the names of folders."""

_DECIDING = (
    *("encoder-harness", "torch", "torchvision", "timm"),
    *("pillow", "opencv-python-headless", "numpy"),
)


def software() -> dict[str, str]:
    """The packages that decide features, each with major and minor version.

    A fix release is held not to change what an encoder gives; a package that is not installed is
    left out.
    """
    found = {}
    for package in _DECIDING:
        try:
            found[package] = ".".join(version(package).split("+")[0].split(".")[:2])
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class FeatureKey:
    """What decides the values of features, JSON-able throughout.

    The device is not part of it: a processor and a GPU give the same features but for rounding, as
    they give the same result of a cell. What made the features is kept beside them (`Origin`).

    Attributes:
        encoder: sha256 of the encoder's parameters (`Backbone.parameters_sha256`).
        arch: the encoder as it is run: architecture, input size, mean and std.
        data: sha256 of the split (`DataInfo.sha256`).
        transform: what the task does to an image before the encoder sees it.
        outputs: names of the tensors kept of an image, such as "pooled" or "mean@-2".
        dtype: number format in which they are kept: float32, float16 or bfloat16.
        precision: number format in which the encoder computes: 32, bf16 or 16.
        software: of the packages that decide the values.
        format: of the files.

    Raises:
        FeatureError: no outputs, or a number format that is not kept.
    """

    encoder: str
    arch: Mapping[str, Any]
    data: str
    transform: Mapping[str, Any]
    outputs: tuple[str, ...]
    dtype: str = "float32"
    precision: str = "32"
    software: Mapping[str, str] = field(default_factory=software)
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.dtype not in BYTES:
            raise FeatureError(
                f"features are kept as {', '.join(BYTES)}, not as `{self.dtype}`; choose one"
            )
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise FeatureError(
                f"expected different outputs of the encoder, got {list(self.outputs)}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The key as what JSON knows: equal for keys that stand for the same features."""
        plain: dict[str, Any] = json.loads(canonical(asdict(self)))
        return plain | {"outputs": sorted(self.outputs)}

    def sha256(self, count: int) -> str:
        """The hash of the features of the first `count` samples, 64 hex digits."""
        return hashlib.sha256(canonical([self.as_dict(), count]).encode()).hexdigest()


@dataclass(frozen=True)
class Origin:
    """For a person who looks at the cache, no part of what features are.

    Attributes:
        encoder: name of the encoder.
        dataset: name of the data set.
        split: part of it.
        device: what computes the features, such as "cpu" or the name of a GPU.
    """

    encoder: str = "?"
    dataset: str = "?"
    split: str = "?"
    device: str = "?"


def canonical(thing: Any) -> str:
    """JSON that is the same for the same content.

    Raises:
        TypeError, ValueError: it is nothing that JSON knows, or a number that is not finite.
    """
    return json.dumps(
        thing, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )

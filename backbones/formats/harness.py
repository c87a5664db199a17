"""Our own layout: safetensors under the names of the Backbone, with a JSON object as metadata."""

from __future__ import annotations

import json
from typing import Any

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed

KEY = "harness"
VERSION = 1
_NEEDED = ("version", "family", "arch", "objective", "mean", "std", "licence", "data")


class HarnessFormat(Format):
    """See the module."""

    name = "harness"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        return "the metadata of this harness" if KEY in checkpoint.metadata else None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        said = _metadata(checkpoint)
        return Parsed(
            family=said["family"],
            tensors=dict(checkpoint.tensors),
            origin={name: name for name in checkpoint.tensors},
            dropped={},
            arch=said["arch"],
            objective=said["objective"],
            mean=_three(said["mean"]),
            std=_three(said["std"]),
            licence=said["licence"],
            data=said["data"],
            name=said.get("name"),
            evidence=said.get("evidence"),
        )


def _metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    try:
        said = json.loads(checkpoint.metadata[KEY])
    except (KeyError, json.JSONDecodeError) as error:
        raise LoadError(f"{checkpoint.path} has no readable metadata of this harness") from error
    missing = [key for key in _NEEDED if key not in said]
    if missing:
        raise LoadError(f"{checkpoint.path}: its metadata lacks {', '.join(missing)}")
    if said["version"] > VERSION:
        raise LoadError(
            f"{checkpoint.path} was written by a newer version (layout {said['version']}, "
            f"this one reads {VERSION}); update the harness"
        )
    return dict(said)


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue

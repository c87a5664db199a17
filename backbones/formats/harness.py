"""Our own layout: safetensors under the names of the Backbone, with a JSON object as metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backbones.arguments import as_colour, as_whole
from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed

KEY = "harness"
VERSION = 1
_TEXTS = ("family", "objective", "licence", "data")
_NEEDED = ("version", "arch", "mean", "std", *_TEXTS)


class HarnessFormat(Format):
    """See the module."""

    name = "harness"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        return "the metadata of this harness" if KEY in checkpoint.metadata else None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        try:
            said = _metadata(checkpoint.metadata)
            mean, std = (as_colour(said[key], key) for key in ("mean", "std"))
        except LoadError as error:
            raise LoadError(f"{checkpoint.path}: metadata of this harness: {error}") from error
        return Parsed(
            family=said["family"],
            tensors=dict(checkpoint.tensors),
            origin={name: name for name in checkpoint.tensors},
            dropped={},
            arch=said["arch"],
            objective=said["objective"],
            mean=mean,
            std=std,
            licence=said["licence"],
            data=said["data"],
            name=said.get("name"),
            evidence=said.get("evidence"),
        )


def _metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        said = json.loads(metadata[KEY])
    except (KeyError, ValueError, RecursionError) as error:
        raise LoadError("there is none that is JSON; save the encoder again") from error
    _check(said, dict, "the whole")
    if missing := [key for key in _NEEDED if key not in said]:
        raise LoadError(f"lacks {', '.join(missing)}; save the encoder again")
    if as_whole(said["version"], "version", least=1) > VERSION:
        raise LoadError(
            f"written by a newer version (layout {said['version']}, this one reads {VERSION}); "
            "update the harness"
        )
    _check(said["arch"], dict, "arch")
    _check(said.get("evidence"), dict | None, "evidence")
    _check(said.get("name"), str | None, "name")
    for key in _TEXTS:
        _check(said[key], str, key)
    return dict(said)


def _check(value: Any, kind: Any, what: str) -> None:
    if not isinstance(value, kind):
        raise LoadError(
            f"{what}: expected {_IN_WORDS[kind]}, got {value!r}; save the encoder again"
        )


_IN_WORDS = {
    dict: "an object of JSON",
    dict | None: "an object of JSON or null",
    str: "text",
    str | None: "text or null",
}

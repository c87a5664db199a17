"""Weights from a file for an encoder that brings its own network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backbones import files
from backbones.contract import Backbone
from backbones.keys import KeyReport, assign


def fill(backbone: Backbone, path: str | Path) -> None:
    """Copy a file into an encoder, whole or not at all, and note hash and key report.

    Args:
        backbone: its state dict named as the file's tensors are: `encoder.*`, `head.*` ...
        path: a checkpoint, as `backbones.load` reads them; no code in it ever runs.

    Raises:
        LoadError: the file cannot be read; a tensor or a parameter has no counterpart, or one of
            another shape.
    """
    checkpoint = files.read(Path(path))
    assign(backbone, checkpoint.tensors, frozenset(), str(path))
    checkpoint.require_unchanged()
    backbone.spec = replace(backbone.spec, sha256=checkpoint.sha256)
    backbone.key_report = KeyReport(
        format="own",
        reason="names are those of the encoder",
        total=len(checkpoint.tensors),
        used=tuple(checkpoint.tensors),
        converted={},
        dropped={},
        created=(),
        beside=checkpoint.beside,
    )
    backbone.seal()

"""Which records may be put side by side: those of one setting."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from results.record import Record

AXES = ("backbone", "told", "seed", "control")
"""Entries of a record's identity in which runs of one setting may differ."""


def setting(record: Record) -> dict[str, Any]:
    """All that two runs must share before their figures are compared: task, data, recipe,
    protocol, scale and metric, but neither encoder nor seed nor control."""
    shared = {name: value for name, value in record.identity.items() if name not in AXES}
    return shared | {
        "task": record.task,
        "dataset": record.dataset,
        "protocol": record.protocol,
        "scale": record.scale,
        "primary": record.primary,
    }


def key(values: Mapping[str, Any]) -> str:
    """One text for equal settings."""
    return json.dumps(values, sort_keys=True)


def encoder(record: Record) -> str:
    """What tells encoders apart: the file; for one of another package the hash of name, package
    with version, and file, or parameters where it has none; else the name where there is no file.
    """
    found = record.identity.get("backbone")
    if isinstance(found, Mapping):
        # Parameters that a file was fitted with to one input size are no other encoder.
        idle = "parameters" if found.get("sha256") else "sha256"
        kept = {name: value for name, value in found.items() if name != idle}
        return hashlib.sha256(key(kept).encode()).hexdigest()
    return str(record.backbone.get("sha256") or record.backbone["name"])


def differences(a: Mapping[str, Any], b: Mapping[str, Any], apart: Sequence[str] = ()) -> list[str]:
    """Every entry in which two settings differ, as `recipe.train.steps: 200, 100`, but those named
    `apart`: an entry, or a section with all that is in it, as `recipe.model`."""
    first, second = _flat(a), _flat(b)
    names = sorted(
        name
        for name in first.keys() | second.keys()
        if not any(name == part or name.startswith(f"{part}.") for part in apart)
    )
    return [
        f"{name}: {first.get(name, 'absent')}, {second.get(name, 'absent')}"
        for name in names
        if first.get(name) != second.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted name -> value as JSON text."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, sort_keys=True)
    return flat

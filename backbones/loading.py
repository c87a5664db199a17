"""From a name or a file to an encoder: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from backbones import fetch, files
from backbones.contract import Backbone, BackboneSpec
from backbones.entries import Entry
from backbones.errors import LoadError
from backbones.families import family as family_of
from backbones.families.arch import check_keys
from backbones.families.contract import Family, Fitted, Size
from backbones.formats import recognise
from backbones.formats.contract import IMAGENET_MEAN, IMAGENET_STD, Parsed
from backbones.keys import KeyReport, assign

_COMMON = frozenset({"format", "mean", "std"})
"""What `arch` may give beside the fields of the family."""


def load(
    name_or_path: str | Path,
    input_size: int | Size | None = None,
    drop_path: float = 0.0,
    drop_last: int = 0,
    arch: Mapping[str, Any] | None = None,
    keep: Collection[str] = (),
) -> Backbone:
    """Load an encoder.

    Args:
        name_or_path: a name in the catalogue, `timm:<name>.<tag>`, or a checkpoint file.
        input_size: side, or (height, width), of the images that it will get; the file's own where
            None. Position tables follow the family's published rule.
        drop_path: stochastic depth at the last block, growing linearly from 0 at the first.
        drop_last: number of blocks removed from the end; drop path grows over those that stay.
        arch: what neither the file nor a published rule tells, or what is to differ from it; beside
            the family's fields `mean`, `std` and `format`. What is given wins.
        keep: "head" and "decoder", which are dropped otherwise.

    Returns:
        The encoder in evaluation mode, on the CPU, float32, its `key_report` and `spec` complete.

    Raises:
        LoadError: for whatever the user can mend.
    """
    located = fetch.locate(str(name_or_path))
    checkpoint = files.read(located.path)
    overrides = {**located.arch, **(arch or {})}
    wanted = overrides.pop("format", located.entry.format if located.entry else None)
    layout, reason = recognise(checkpoint, wanted)
    parsed = layout.parse(checkpoint)
    family = family_of(parsed.family)
    check_keys(overrides, family.keys | _COMMON)
    parsed = replace(
        parsed,
        mean=_colour(overrides.pop("mean", parsed.mean), "mean"),
        std=_colour(overrides.pop("std", parsed.std), "std"),
    )
    described = family.describe(parsed.tensors, {**parsed.arch, **overrides})
    tensors, dropped = _select(parsed, family, keep, str(located.path))
    shape, gone = family.shorten(described.arch, drop_last)
    for name in [n for n in tensors if n.startswith(gone)] if gone else []:
        dropped.setdefault(f"drop_last={drop_last}", []).append(parsed.origin[name])
        del tensors[name]
    size = _size(input_size, shape["image_size"])
    fitted = family.fit(tensors, shape, size)
    given = tuple(f"{key}={value} as given" for key, value in (arch or {}).items())
    notes = dict.fromkeys(checkpoint.notes + parsed.notes + described.notes + given)
    spec = _spec(located.name, located.entry, checkpoint.sha256, parsed, shape, tuple(notes))
    _check_rate(drop_path)
    backbone = _build(family, spec, size, drop_path, keep)
    created = assign(backbone, fitted.tensors, family.fresh, str(located.path))
    backbone.key_report = _report(
        layout.name, reason, len(checkpoint.tensors), parsed, tensors, fitted, dropped, created,
        checkpoint.beside,
    )  # fmt: skip
    backbone.seal()
    return backbone.eval()


def create(
    family: str,
    arch: Mapping[str, Any],
    input_size: int | Size,
    seed: int,
    drop_path: float = 0.0,
    keep: Collection[str] = (),
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> Backbone:
    """Build an encoder without weights, initialised by its family's published rule.

    Args:
        family: "vit" or "beit", or what an entry point adds.
        arch: at least embed_dim, depth and patch_size; see the family's architecture.
        input_size: side, or (height, width), of its images.
        seed: of the initialisation; torch's global generator is left alone.
        drop_path: stochastic depth at the last block.
        keep: "decoder" for masked pre-training.
        mean, std: of the input.

    Raises:
        LoadError: an unknown family, or an architecture that does not hang together.
    """
    kind = family_of(family)
    _check_keep(kind, keep)
    size = _size(input_size, None)
    shape = kind.complete(arch, size, keep)
    _check_rate(drop_path)
    spec = BackboneSpec(
        name=f"new {family}",
        family=family,
        objective="none",
        sha256=None,
        licence="none",
        data="none",
        mean=_colour(mean, "mean"),
        std=_colour(std, "std"),
        evidence=None,
        arch=shape,
    )
    backbone = _build(kind, spec, size, drop_path, keep)
    backbone.initialise(seed)
    return backbone.eval()


def _build(
    family: Family, spec: BackboneSpec, size: Size, drop_path: float, keep: Collection[str]
) -> Backbone:
    # Modules draw initial values when they are made: these are overwritten, and must not move the
    # generator of the process.
    with torch.random.fork_rng(devices=[]):
        return family.build(spec, size, drop_path, keep)


def _select(
    parsed: Parsed, family: Family, keep: Collection[str], where: str
) -> tuple[dict[str, torch.Tensor], dict[str, list[str]]]:
    """Leave out the parts that are not kept; say which tensors of the file that were."""
    _check_keep(family, keep)
    tensors = dict(parsed.tensors)
    dropped = {rule: list(names) for rule, names in parsed.dropped.items()}
    for part in sorted(family.parts):
        names = [name for name in tensors if name.startswith(f"{part}.")]
        if part in keep and not names:
            raise LoadError(f"{where} has no {part} to keep")
        if part not in keep and names:
            dropped[_RULES.get(part, part)] = [parsed.origin[name] for name in names]
            tensors = {name: value for name, value in tensors.items() if name not in names}
    return tensors, dropped


_RULES = {"decoder": "decoder and mask token, not kept", "head": "classifier, not kept"}


def _report(
    layout: str,
    reason: str,
    total: int,
    parsed: Parsed,
    tensors: Collection[str],
    fitted: Fitted,
    dropped: dict[str, list[str]],
    created: list[str],
    beside: tuple[str, ...],
) -> KeyReport:
    # A tensor that went through two rules is counted under the last one.
    rule_of = {name: rule for rule, names in fitted.converted.items() for name in names}
    converted: dict[str, list[str]] = {}
    for name, rule in rule_of.items():
        converted.setdefault(rule, []).append(parsed.origin[name])
    used = tuple(parsed.origin[name] for name in tensors if name not in rule_of)
    return KeyReport(
        format=layout,
        reason=reason,
        total=total,
        used=used,
        converted={rule: tuple(names) for rule, names in converted.items()},
        dropped={rule: tuple(names) for rule, names in dropped.items()},
        created=tuple(created),
        beside=beside,
    )


def _spec(
    name: str,
    entry: Entry | None,
    sha256: str,
    parsed: Parsed,
    arch: dict[str, Any],
    notes: tuple[str, ...],
) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        family=parsed.family,
        objective=entry.objective if entry else parsed.objective,
        sha256=sha256,
        licence=entry.licence if entry else parsed.licence,
        data=entry.data if entry else parsed.data,
        mean=parsed.mean,
        std=parsed.std,
        evidence=_evidence(entry) or parsed.evidence,
        arch=arch,
        notes=notes,
    )


def _evidence(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None or not entry.shipped:
        return None
    path = entry.shipped_path.with_name("evidence.json")
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _check_keep(family: Family, keep: Collection[str]) -> None:
    wrong = sorted(set(keep) - family.parts)
    if isinstance(keep, str) or wrong:
        raise LoadError(f"keep: expected some of {', '.join(sorted(family.parts))}, got {keep!r}")


def _check_rate(drop_path: float) -> None:
    if not 0 <= drop_path < 1:
        raise LoadError(f"drop_path: expected a rate from 0 to below 1, got {drop_path}")


def _size(given: int | Size | None, own: Size | None) -> Size:
    value: Any = own if given is None else given
    pair = (value, value) if isinstance(value, int) else tuple(value or ())
    if len(pair) != 2 or not all(isinstance(v, int) and v > 0 for v in pair):
        raise LoadError(f"input_size: expected pixels or (height, width), got {given!r}")
    return pair[0], pair[1]


def _colour(values: Any, what: str) -> tuple[float, float, float]:
    numbers = tuple(float(v) for v in values)
    if len(numbers) != 3 or (what == "std" and min(numbers) <= 0):
        raise LoadError(f"{what}: expected three numbers (std above 0), got {values!r}")
    return numbers[0], numbers[1], numbers[2]

"""From a name or a file to an encoder: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backbones import entries, fetch, files, outside
from backbones.account import Account
from backbones.arguments import (
    Colour,
    Size,
    as_colour,
    as_fields,
    as_rate,
    as_size,
    check_keep,
)
from backbones.contract import Backbone, BackboneSpec
from backbones.download import Progress
from backbones.dropping import ALL_USED, Drop, DropMode, as_drop, drawn
from backbones.entries import Entry
from backbones.errors import LoadError
from backbones.families import family as family_of
from backbones.families.arch import check_keys
from backbones.families.contract import Family
from backbones.fetch import Located
from backbones.files import Checkpoint
from backbones.formats import recognise
from backbones.formats.contract import IMAGENET_MEAN, IMAGENET_STD, TASK_PARTS, Parsed
from backbones.keys import assign
from backbones.undrawn import undrawn

_COMMON = frozenset({"format", "mean", "std"})
"""What `arch` may give beside the fields of the family."""


def load(
    name_or_path: str | Path,
    input_size: int | Size | None = None,
    drop_path: float = 0.0,
    drop_last: int = 0,
    arch: Mapping[str, Any] | None = None,
    keep: Collection[str] = (),
    progress: Progress | None = None,
    drop_mode: DropMode = "removed",
    seed: int = 0,
) -> Backbone:
    """Load an encoder.

    Args:
        name_or_path: a name in the catalogue, `timm:<name>.<tag>`, a name that another package
            offers (`backbones.outside`), or a checkpoint file.
        input_size: side, or (height, width), of the images that it will get; the file's own where
            None. Position tables follow the family's published rule.
        drop_path: stochastic depth at the last block, growing linearly from 0 at the first.
        drop_last: number of blocks dropped from the end, or in encoders with stages from the end
            of the last stage but one.
        arch: what neither the file nor a published rule tells, or what is to differ from it; beside
            the family's fields `mean`, `std` and `format`. What is given wins, also over the
            catalogue, whose mean, std and pooling win over the layout's.
        keep: "head" and "decoder", which are dropped otherwise; "depth", the depth decoder of a
            file of MIM-Depth-Estimation, whose tensors are then `kept` beside the encoder.
        progress: called with (bytes so far, bytes in all or None) where the file is downloaded.
        drop_mode: "removed": the network is shorter by the blocks dropped, and drop path grows over
            those that stay; "reinitialised": it is as long as before, and the blocks dropped are
            drawn anew by the family's published initialisation.
        seed: of those draws.

    Returns:
        The encoder in evaluation mode, on the CPU, float32, its `key_report` and `spec` complete.

    Raises:
        LoadError: for whatever the user can mend.
    """
    rate = as_rate(drop_path, "drop_path")
    drop = as_drop(drop_last, drop_mode, seed)
    given = as_fields(arch)
    if offer := entries.outside(str(name_or_path)):
        wished = None if input_size is None else as_size(input_size, "input_size")
        return outside.load(offer, wished, rate, drop, given, keep)
    located = fetch.locate(str(name_or_path), progress)
    checkpoint = files.read(located.path, located.fingerprint)
    return of_checkpoint(located, checkpoint, input_size, rate, drop, given, keep)


def of_checkpoint(
    located: Located,
    checkpoint: Checkpoint,
    input_size: int | Size | None = None,
    drop_path: float = 0.0,
    drop: Drop = ALL_USED,
    arch: Mapping[str, Any] = MappingProxyType({}),
    keep: Collection[str] = (),
) -> Backbone:
    """Build the encoder of a file that has been found and read; see `load`.

    Raises:
        LoadError: as `load` does.
    """
    overrides = {**located.arch, **arch}
    wanted = overrides.pop("format", located.entry.format if located.entry else None)
    layout, reason = recognise(checkpoint, wanted)
    parsed = layout.parse(checkpoint)
    family = family_of(parsed.family)
    stated = located.entry.overrides(family.keys) if located.entry else {}
    overrides = {**stated, **overrides}
    check_keep(keep, family.parts | TASK_PARTS)
    for key, why in family.foreign.items():
        if key in overrides:
            raise LoadError(f"{key}: {why}")
    check_keys(overrides, family.keys | _COMMON)
    said = tuple(f"{key}={value} as given" for key, value in arch.items())
    said += _other_than_implied(parsed, {k: v for k, v in stated.items() if k not in arch})
    parsed = _coloured(parsed, overrides.pop("mean", None), overrides.pop("std", None))
    described = family.describe(parsed.tensors, {**parsed.arch, **overrides})
    shape, gone = drop.apply(family, described.arch)
    account = Account(parsed)
    account.keep(keep, family.parts, str(located.path))
    account.drop(gone, drop.rule)
    for rule, prefixes in described.dropped.items():
        account.drop(prefixes, rule)
    size = as_size(shape["image_size"] if input_size is None else input_size, "input_size")
    fitted = family.fit(account.tensors, shape, size)
    notes = dict.fromkeys(located.notes + checkpoint.notes + parsed.notes + described.notes + said)
    name = located.entry.name if located.entry else parsed.name or located.name
    spec = _spec(name, located.entry, checkpoint.sha256, parsed, shape, tuple(notes))
    backbone = _build(family, spec, size, drop_path, keep)
    # A table for all blocks may have been copied to those that are drawn anew.
    tensors = {n: value for n, value in fitted.tensors.items() if not n.startswith(gone)}
    anew = drawn(_build(family, spec, size, drop_path, keep), gone, drop.seed) if drop.anew else {}
    fresh = family.fresh | described.fresh
    created = assign(backbone, tensors | anew, fresh, str(located.path)) + list(anew)
    checkpoint.require_unchanged()
    backbone.key_report = account.report(layout.name, reason, fitted.converted, created, checkpoint)
    backbone.kept = account.kept
    backbone.seal()
    return backbone.eval()


def create(
    family: str,
    arch: Mapping[str, Any],
    input_size: int | Size,
    seed: int,
    drop_path: float = 0.0,
    keep: Collection[str] = (),
    mean: Colour = IMAGENET_MEAN,
    std: Colour = IMAGENET_STD,
) -> Backbone:
    """Build an encoder without weights, initialised by its family's published rule.

    Args:
        family: a name in `backbones.families`, or what an entry point adds.
        arch: at least embed_dim, depth (depths) and patch_size; see the family's architecture.
        input_size: side, or (height, width), of its images.
        seed: of the initialisation; torch's global generator is left alone.
        drop_path: stochastic depth at the last block.
        keep: "decoder" for masked pre-training.
        mean, std: of the input.

    Raises:
        LoadError: an unknown family, a value of the wrong type or range, or an architecture that
            does not hang together.
    """
    kind = family_of(family)
    check_keep(keep, kind.parts)
    size = as_size(input_size, "input_size")
    rate = as_rate(drop_path, "drop_path")
    shape = kind.complete(as_fields(arch), size, keep)
    spec = BackboneSpec(
        name=f"new {family}",
        family=family,
        objective="none",
        sha256=None,
        licence="none",
        data="none",
        mean=as_colour(mean, "mean"),
        std=as_colour(std, "std"),
        evidence=None,
        arch=shape,
    )
    backbone = _build(kind, spec, size, rate, keep)
    backbone.initialise(seed)
    return backbone.eval()


def _coloured(parsed: Parsed, mean: Any, std: Any) -> Parsed:
    """Let given mean and std win; else say where they are from."""
    if mean is None and std is None:
        note = (parsed.colour_note,) if parsed.colour_note else ()
        return replace(parsed, notes=parsed.notes + note)
    return replace(
        parsed,
        mean=parsed.mean if mean is None else as_colour(mean, "mean"),
        std=parsed.std if std is None else as_colour(std, "std"),
    )


def _other_than_implied(parsed: Parsed, stated: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes on what the catalogue states and the layout does not, or says otherwise."""
    implied = {**parsed.arch, "mean": parsed.mean, "std": parsed.std}
    return tuple(
        f"{key}={value} by the catalogue"
        for key, value in stated.items()
        if implied.get(key) != value
    )


def _build(
    family: Family, spec: BackboneSpec, size: Size, drop_path: float, keep: Collection[str]
) -> Backbone:
    with undrawn():
        return family.build(spec, size, drop_path, keep)


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

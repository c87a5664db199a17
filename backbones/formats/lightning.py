"""Checkpoints of Lightning: a known layout under the name that the module has for its encoder.

The prefix (`model.`, `encoder.`, `backbone.`, `net.` or any other) is taken off, and what lies
under others (heads, losses, metrics) is dropped. A file that is of a known layout as it stands
never comes here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats import formats
from backbones.formats.contract import Format, Parsed

_MARK = "pytorch-lightning_version"
_PREFIX = re.compile(r"(?:[^.]+\.){1,4}")
"""Encoders lie no deeper, say model._orig_mod.module.backbone.*"""


class LightningFormat(Format):
    """See the module."""

    name = "lightning"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        if _MARK not in checkpoint.beside:
            return None
        found = _encoders(checkpoint)
        if len(found) > 1:
            raise LoadError(
                f"{checkpoint.path}: expected one encoder, found {len(found)}, under "
                f"{', '.join(found)}; save the state_dict() of the one that is meant and give that"
            )
        for prefix, (layout, reason) in found.items():
            return f"{_MARK}, and under {prefix} {layout.name}: {reason}"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        found = _encoders(checkpoint)
        if len(found) != 1:
            raise LoadError(
                f"{checkpoint.path}: expected one encoder of a known layout under a prefix, found "
                f"{', '.join(found) or 'none'}; save the state_dict() of the encoder and give that"
            )
        [(prefix, (layout, _))] = found.items()
        parsed = layout.parse(_under(prefix, checkpoint))
        dropped = {rule: _with(prefix, names) for rule, names in parsed.dropped.items()}
        rest = [name for name in checkpoint.tensors if not name.startswith(prefix)]
        if rest:
            dropped[f"modules of Lightning's beside {prefix}*"] = rest
        return replace(
            parsed,
            origin={new: prefix + old for new, old in parsed.origin.items()},
            joined={new: tuple(_with(prefix, olds)) for new, olds in parsed.joined.items()},
            dropped=dropped,
            notes=(*parsed.notes, f"prefix {prefix} taken off, then read as {layout.name}"),
        )


def _encoders(checkpoint: Checkpoint) -> dict[str, tuple[Format, str]]:
    """Return the prefixes under which a known layout lies, with that and its reason.

    Of prefixes within each other the outermost counts: an encoder with its decoder is of another
    layout than the encoder alone.
    """
    known = [layout for name, layout in formats().items() if name != LightningFormat.name]
    found: dict[str, tuple[Format, str]] = {}
    for prefix in _prefixes(checkpoint.tensors):
        if prefix.startswith(tuple(found)):
            continue
        inner = _under(prefix, checkpoint)
        for layout in known:
            if (reason := layout.recognise(inner)) is not None:
                found[prefix] = layout, reason
                break
    return found


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return all beginnings of names that end in a dot, short ones first."""
    found: dict[str, None] = {}
    for name in names:
        whole = _PREFIX.match(name)
        parts = whole[0].split(".")[:-1] if whole else []
        found |= dict.fromkeys(".".join(parts[: n + 1]) + "." for n in range(len(parts)))
    return sorted(found, key=lambda prefix: prefix.count("."))


def _under(prefix: str, checkpoint: Checkpoint) -> Checkpoint:
    tensors: dict[str, Tensor] = {
        name.removeprefix(prefix): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(prefix)
    }
    return replace(checkpoint, tensors=tensors)


def _with(prefix: str, names: Iterable[str]) -> list[str]:
    return [prefix + name for name in names]

"""Query, key and value, which some publishers keep apart and timm's networks join."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from backbones.formats.contract import Renaming

QKV = ("query", "key", "value")


def join(
    parts: Mapping[str, Mapping[str, str]], tensors: Mapping[str, Tensor], renaming: Renaming
) -> None:
    """Join the three parts of each layer. A layer that is not whole is passed on as it is.

    Args:
        parts: joined name in the Backbone -> part -> name in the file.
        tensors: of the file.
        renaming: where to.
    """
    for new, names in parts.items():
        kinds = {(tensors[name].shape, tensors[name].dtype) for name in names.values()}
        whole = set(names) == set(QKV) and len(kinds) == 1
        if whole and all(shape for shape, _ in kinds):
            renaming.join({names[part]: tensors[names[part]] for part in QKV}, new)
        else:  # not a whole layer: refused under their own names
            for name in names.values():
                renaming.take(name, f"encoder.{name}", tensors[name])

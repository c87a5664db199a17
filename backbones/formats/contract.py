"""What a layout of published checkpoints must offer.

A layout is one file with a `Format`, entered in `backbones.formats` (or, from outside, under the
entry point group `harness.formats`). It renames tensors to the names of a family's Backbone and
leaves their values alone, but may join several into one, or lay one out anew by a named rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint

JOINED = "query, key and value joined"
"""The rule in the key report."""

TASK_PARTS = frozenset({"depth"})
"""Networks of a task that a file may hold beside its encoder, which `keep` can name."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Parsed:
    """A checkpoint in the names of its family.

    Attributes:
        family: name of the family.
        tensors: name in the Backbone -> value, with every part that the file has.
        origin: name in the Backbone -> name in the file.
        joined: name in the Backbone -> names in the file, where several of them are joined.
        laid_out: name in the Backbone -> rule by which the values were laid out anew.
        dropped: rule -> names in the file of tensors that no Backbone needs.
        beside: part out of `TASK_PARTS` -> name in the file -> value.
        arch: fields of the architecture that the layout implies.
        objective: what it was pre-trained for.
        mean, std: of the input.
        colour_note: where they are from, if the file does not tell.
        notes: what the file does not say and which rule supplied it.
        licence, data, name, evidence: where the file tells.
    """

    family: str
    tensors: dict[str, Tensor]
    origin: dict[str, str]
    dropped: dict[str, list[str]]
    arch: dict[str, Any]
    objective: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    colour_note: str | None = None
    notes: tuple[str, ...] = ()
    licence: str = "unknown"
    data: str = "unknown"
    name: str | None = None
    evidence: dict[str, Any] | None = None
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    laid_out: dict[str, str] = field(default_factory=dict)
    beside: dict[str, dict[str, Tensor]] = field(default_factory=dict)


@dataclass
class Renaming:
    """Collects what becomes of each tensor while a layout is read."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    laid_out: dict[str, str] = field(default_factory=dict)

    def take(self, old: str, new: str, value: Tensor) -> None:
        """Take a tensor over under a new name.

        Raises:
            LoadError: another tensor has that name already.
        """
        if new in self.tensors:
            raise LoadError(
                f"the file's {self.origin[new]} and {old} are both read as {new}, expected one of "
                "them; save the file without the other"
            )
        self.tensors[new] = value
        self.origin[new] = old

    def join(self, parts: Mapping[str, Tensor], new: str) -> None:
        """Take tensors over as one, end to end along their first axis.

        Raises:
            LoadError: another tensor has that name already.
        """
        self.take(", ".join(parts), new, torch.cat(list(parts.values())))
        self.joined[new] = tuple(parts)

    def lay_out(self, old: str, new: str, value: Tensor, rule: str) -> None:
        """Take a tensor over whose values were laid out anew, by a named rule.

        Raises:
            LoadError: another tensor has that name already.
        """
        self.take(old, new, value)
        self.laid_out[new] = rule

    def drop(self, old: str, rule: str) -> None:
        """Leave a tensor out, by a named rule."""
        self.dropped.setdefault(rule, []).append(old)


class Format(ABC):
    """One layout."""

    name: str

    @abstractmethod
    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the content shows this layout, or None."""

    @abstractmethod
    def parse(self, checkpoint: Checkpoint) -> Parsed:
        """Rename the tensors. Names that the layout does not know are passed on as they are,
        under `encoder.`, for loading to refuse them.

        Raises:
            LoadError: the file does not fit this layout.
        """

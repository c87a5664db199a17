"""What a family of architectures must offer, for `backbones.load` to serve it.

A family is one file with a `Family` and a `Backbone` of its own, entered in `backbones.families`
(or, from outside, under the entry point group `harness.backbones`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from backbones.contract import Backbone, BackboneSpec

Tensors = Mapping[str, Tensor]
Arch = Mapping[str, Any]
Size = tuple[int, int]


@dataclass(frozen=True)
class Described:
    """An architecture, and which part of it came from a rule instead of the file.

    Attributes:
        arch: every field.
        notes: what a rule supplied, and which.
        dropped: rule -> prefixes of tensors that this architecture has no use for.
        fresh: parameters that the file need not have, beside those of the family.
    """

    arch: dict[str, Any]
    notes: tuple[str, ...]
    dropped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fitted:
    """Tensors in the shapes of the model, and by which rule some were changed.

    Attributes:
        tensors: name in the model -> value.
        converted: rule -> names of the tensors that went into it, each under one rule.
    """

    tensors: dict[str, Tensor]
    converted: dict[str, list[str]] = field(default_factory=dict)


class Family(ABC):
    """One family. Tensors are named as in its Backbone: `encoder.*`, `decoder.*`, `head.*` ...

    Attributes:
        name: as in `backbones.families`.
        keys: the fields of its architecture, which a user may give to override.
        parts: what `keep` can name.
        fresh: parameters that a file need not have.
        foreign: fields of another family's architecture that may well be asked for here -> why
            there are none.
    """

    foreign: ClassVar[Mapping[str, str]] = MappingProxyType({})

    name: str
    keys: frozenset[str]
    parts: frozenset[str]
    fresh: frozenset[str]

    @abstractmethod
    def describe(self, tensors: Tensors, given: Arch) -> Described:
        """Return the whole architecture of a file.

        Args:
            tensors: of the file, under the names of the model.
            given: what the layout or the user says; it wins over what is read off.

        Raises:
            LoadError: something that neither the file, nor `given`, nor a published rule tells.
        """

    @abstractmethod
    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        """Return the whole architecture of a new encoder, from what is given and the defaults.

        Raises:
            LoadError: a missing or wrong field.
        """

    @abstractmethod
    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the architecture without its last blocks, and the prefixes of their parameters.

        Raises:
            LoadError: no block would be left.
        """

    @abstractmethod
    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        """Convert tensors for another input size or form, by the family's published rule.

        Raises:
            LoadError: a table that the rule cannot resize.
        """

    @abstractmethod
    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        """Return the model, its parameters not yet of any meaning."""

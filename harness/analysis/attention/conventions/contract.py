"""What a convention is: how attention becomes numbers, in the way of one code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from backbones import WindowAttention

    Heads = Mapping[str, NDArray[np.float64]]
    """Measure -> (n,heads): `Figures.heads` of all images."""


@dataclass(frozen=True)
class Figures:
    """The figures of some images in one block, float64, by measure such as `distance`.

    Attributes:
        heads: (B,heads) each.
        pairs: (B,heads,heads) each, the diagonal without meaning.
        block: (B,) each.
    """

    heads: dict[str, Tensor] = field(default_factory=dict)
    pairs: dict[str, Tensor] = field(default_factory=dict)
    block: dict[str, Tensor] = field(default_factory=dict)


def joined(parts: Sequence[Figures]) -> Figures:
    """Return the figures of all images of the parts, in their order."""
    heads, pairs, block = (
        {name: torch.cat([each[name] for each in kind]) for name in kind[0]}
        for kind in zip(*((part.heads, part.pairs, part.block) for part in parts), strict=True)
    )
    return Figures(heads, pairs, block)


class Convention(ABC):
    """A way to measure attention."""

    @abstractmethod
    def figures(self, found: WindowAttention) -> Figures:
        """Return the figures of these images.

        Raises:
            UserError: attention that the convention is not defined for.
        """

    def finished(self, heads: Heads) -> Heads:
        """Return what is reported of one block, once all images are seen: (n,heads) by measure,
        each of which has what is reported of the head as its mean over images."""
        return heads

    @abstractmethod
    def notes(self, blocks: Sequence[Heads]) -> tuple[str, ...]:
        """Return whole sentences on what was measured, from `Figures.heads` of every block."""

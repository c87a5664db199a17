"""Blocks of a file that are not used: left out, or in their place as if never trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from backbones.arguments import as_whole
from backbones.contract import Backbone
from backbones.errors import LoadError
from backbones.families.contract import Arch, Family

DropMode = Literal["removed", "reinitialised"]


@dataclass(frozen=True)
class Drop:
    """The last blocks of a network, as `Family.shorten` counts them.

    Attributes:
        last: how many.
        mode: "removed": the network ends without them; "reinitialised": it keeps them, drawn anew.
        seed: of those draws.
    """

    last: int = 0
    mode: DropMode = "removed"
    seed: int = 0

    @property
    def anew(self) -> bool:
        """Whether blocks are drawn anew."""
        return self.last > 0 and self.mode == "reinitialised"

    @property
    def rule(self) -> str:
        """The rule under which the key report has the file's tensors of these blocks."""
        return f"{'reinitialised by ' if self.anew else ''}drop_last={self.last}"

    def asked(self) -> dict[str, Any]:
        """Return the arguments of `load` that say this, without what is so by default."""
        if not self.anew:
            return {"drop_last": self.last} if self.last else {}
        return {"drop_last": self.last, "drop_mode": self.mode, "seed": self.seed}

    def apply(self, family: Family, arch: Arch) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the architecture of what stays, and the prefixes of the blocks that the file's
        values are not used for.

        Raises:
            LoadError: no block would be left, or there is no rule for this network.
        """
        shorter, prefixes = family.shorten(arch, self.last)
        return (dict(arch) if self.anew else shorter), prefixes


ALL_USED = Drop()


def as_drop(last: Any, mode: Any, seed: int) -> Drop:
    """Return what `load` is asked for.

    Raises:
        LoadError: a value of another type or range.
    """
    if mode not in get_args(DropMode):
        modes = " or ".join(get_args(DropMode))
        raise LoadError(f"drop_mode: expected {modes}, got {mode!r}")
    return Drop(as_whole(last, "drop_last"), mode, seed)


def drawn(network: Backbone, prefixes: tuple[str, ...], seed: int) -> dict[str, Tensor]:
    """Initialise a network by its family's published rule, and return its tensors under these
    prefixes: values for the same places of a network like it."""
    network.initialise(seed)
    return {n: value for n, value in network.state_dict().items() if n.startswith(prefixes)}

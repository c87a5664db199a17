"""The account of a checkpoint: what became of every tensor, and of every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbones.errors import LoadError

if TYPE_CHECKING:
    from torch import Tensor, nn


_SHOWN = 8
"""Parameters created that `KeyReport.line` names."""


@dataclass(frozen=True)
class KeyReport:
    """What became of the tensors of a file. Names of tensors are the file's own.

    Attributes:
        format: the layout that was recognised.
        reason: by what.
        total: number of tensors in the file's state dict.
        used: taken with the values that the file has.
        converted: rule -> tensors whose values were changed on the way.
        dropped: rule -> tensors that were left out.
        created: parameters of the model that the file does not have, at their initial values.
        beside: what lies beside the state dict in the file and is not weights (optimizer, ...).
    """

    format: str
    reason: str
    total: int
    used: tuple[str, ...]
    converted: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, tuple[str, ...]]
    created: tuple[str, ...]
    beside: tuple[str, ...] = ()

    @classmethod
    def of_nothing(cls) -> KeyReport:
        """Return the report of an encoder that comes from no file."""
        return cls("none", "freshly initialised", 0, (), {}, {}, ())

    def line(self) -> str:
        """Return the report in one line; of many parameters created it names the first."""
        parts = [f"{self.format}: {self.total} tensors", f"{len(self.used)} used"]
        parts += [f"{len(names)} converted ({rule})" for rule, names in self.converted.items()]
        parts += [f"{len(names)} dropped ({rule})" for rule, names in self.dropped.items()]
        if self.created:
            names = ", ".join(self.created[:_SHOWN])
            more = len(self.created) - _SHOWN
            names += f" and {more} more" if more > 0 else ""
            parts.append(f"{len(self.created)} created ({names})")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for a record: counts, and names of all that was not simply used."""
        return {
            "format": self.format,
            "reason": self.reason,
            "total": self.total,
            "used": len(self.used),
            "converted": {rule: list(names) for rule, names in self.converted.items()},
            "dropped": {rule: list(names) for rule, names in self.dropped.items()},
            "created": list(self.created),
            "beside": list(self.beside),
        }


def assign(
    module: nn.Module, tensors: Mapping[str, Tensor], fresh: frozenset[str], where: str
) -> list[str]:
    """Copy `tensors` into the parameters and buffers of `module`, whole or not at all.

    Args:
        module: the model, its state dict named as `tensors` are.
        tensors: name -> value.
        fresh: parameters that may stay as initialised where the file lacks them, those of one
            module together.
        where: the file, for the message.

    Returns:
        The names that stayed as initialised.

    Raises:
        LoadError: a tensor without a parameter, a parameter without a tensor, another shape, or
            numbers of another type (integers, say) where the parameter is floating point.
    """
    state = module.state_dict()
    begun = {_owner(name) for name in tensors}
    free = {name for name in fresh if _owner(name) not in begun}
    created = sorted(name for name in state if name not in tensors and name in free)
    missing = [name for name in state if name not in tensors and name not in free]
    unexpected = [name for name in tensors if name not in state]
    pairs = [(name, tensors[name], state[name]) for name in tensors if name in state]
    reshaped = [
        f"{name} (file {tuple(found.shape)}, model {tuple(own.shape)})"
        for name, found, own in pairs
        if found.shape != own.shape
    ]
    retyped = [
        f"{name} (file {found.dtype}, model {own.dtype})"
        for name, found, own in pairs
        if own.is_floating_point() and not found.is_floating_point()
    ]
    problems = {
        "not in the model": unexpected,
        "not in the file": missing,
        "other shape": reshaped,
        "other type": retyped,
    }
    said = [f"{what}: {', '.join(names)}" for what, names in problems.items() if names]
    if said:
        raise LoadError(f"{where} does not fit its architecture; " + "; ".join(said))
    module.load_state_dict({name: tensors.get(name, state[name]) for name in state})
    return created


def _owner(name: str) -> str:
    """Return the name of the module whose parameter it is."""
    return name.rpartition(".")[0]

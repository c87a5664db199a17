"""Names of classes as they stand in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.figures import SMALL, drawable, shortened


@dataclass(frozen=True)
class Names:
    """The names of all classes."""

    full: Sequence[str]

    def short(self, number: int, inches: float, size: float = SMALL) -> str:
        """A class's name, no wider than that; `class N` where the font lacks a letter."""
        name = self.full[number]
        return shortened(name, inches, size) if drawable(name) else f"class {number}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of names that cannot be drawn."""
        lacking = sum(not drawable(name) for name in self.full)
        if not lacking:
            return ()
        return (
            f"{lacking} of {len(self.full)} class names have letters that the pictures' font "
            "lacks: they are shown as `class N`, their number in classes.csv",
        )

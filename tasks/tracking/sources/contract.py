"""What a data set's layout says, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.contract import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.tracking.sources.building import Found
    from tasks.tracking.sources.places import Place


class MissingError(DataError):
    """A file or folder of the expected layout is not there."""


Part = Literal["train", "val", "test"]
"""What a data set calls its splits."""


@dataclass(frozen=True)
class Layout:
    """A data set as it is published.

    Attributes:
        title: its name, with the year.
        expected: the files below the root.
        source: where they come from.
        licence: terms, in a word or two.
        counts: part -> number of sequences that was published; None where nothing was.
        find: the sequences of a part below the root, unread, in the data set's own order; of vot
            the year's folder.
        notes: what is odd about it and is kept, a line each.
    """

    title: str
    expected: str
    source: str
    licence: str
    counts: Mapping[Part, int | None]
    find: Callable[[Place, Part], list[Found]]
    notes: tuple[str, ...] = ()

    @property
    def how_to_get(self) -> str:
        """The layout and where the files come from, for messages."""
        return (
            f"expected below the data root: {self.expected}; any folder may be a zip archive of "
            f"its name; get it: {self.source}"
        )

"""Looking through a pickle before it is read: what it claims, nests and asks for."""

from __future__ import annotations

import pickletools
from typing import IO, Any

from backbones.errors import LoadError

MOST_TUPLES = 10_000
"""Within one value, written out; checkpoints have a few. The hash of a tuple is computed by going
through all of it: nested a million times it ends the process, and doubled forty times it never
ends."""

_PUT = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_CHANGEABLE = {pickletools.pylist, pickletools.pydict, pickletools.pyset}
"""These have no hash, nor has what holds them."""


def names_in(pickled: IO[bytes]) -> set[str]:
    """Follow one pickle to its end without doing anything that it says.

    Args:
        pickled: where a pickle begins; left where it ends. Its `read` must not allocate more than
            there is: io.BytesIO and mmap do not.

    Returns:
        The "module name" of all that it asks for in the way of protocol 2.

    Raises:
        LoadError: it nests tuples beyond any use.
        Exception: of whatever kind where it is damaged or claims more bytes than there are.
    """
    names: set[str] = set()
    tuples: list[int] = []  # of each value on the stack: how many are in it
    memo: dict[int, int] = {}
    marks: list[int] = []
    argument: Any
    for code, argument, _ in pickletools.genops(pickled):
        if code.name in _PUT:
            memo[len(memo) if code.name == "MEMOIZE" else int(argument)] = tuples[-1]
        elif code.name in _GET:
            tuples.append(memo[int(argument)])
        elif code.name == "MARK":
            marks.append(len(tuples))
        else:
            if code.name == "GLOBAL":
                names.add(str(argument))
            taken = _take(code.stack_before, tuples, marks)
            tuples += [_count(made, taken) for made in code.stack_after]
    return names


def _take(kinds: list[pickletools.StackObject], tuples: list[int], marks: list[int]) -> list[int]:
    """Remove from the stack what a code takes from it."""
    if pickletools.markobject in kinds:
        # All above the mark, and the container below it which that goes into.
        first = marks.pop() - kinds.index(pickletools.markobject)
    else:
        first = len(tuples) - len(kinds)
    if first < 0:
        raise ValueError("it takes from an empty stack")
    taken = tuples[first:]
    del tuples[first:]
    return taken


def _count(made: pickletools.StackObject, taken: list[int]) -> int:
    """Return the number of tuples in a value, itself included."""
    if made in _CHANGEABLE:
        return 0
    count = sum(taken) + (made in (pickletools.pytuple, pickletools.pyfrozenset))
    if count > MOST_TUPLES:
        raise LoadError(
            f"nests tuples in tuples, more than {MOST_TUPLES} in one value, which no checkpoint "
            "does; files that may end the process or never end are refused"
        )
    return count

"""What `harness inspect` is asked for, and the single looks that it makes of that."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path

from harness.analysis import images
from harness.analysis.rows import MEASURES
from harness.errors import UserError

TASK = "inspection"
"""The `task` of the records, and the folder that they lie in."""
BETWEEN = "between"
"""The measure `similarity` of two encoders beside each other."""


@dataclass(frozen=True)
class Inspection:
    """What is asked for.

    Attributes:
        names: as `encoders.open_subject` takes them.
        measures: of MEASURES.
        source: `microworld` or a folder of images.
        count: of images; None for the default.
        input_size: side in pixels; None for each encoder's own.
        convention: of attention.
        pool: whether two encoders of different grids are compared after pooling to a common one.
        minibatch: images in one of CKA's.
        batch_size: images that go through an encoder at once; changes speed, never values.
        workers: processes; likewise.
        output: folder of the runs.
        table: URL of the results table; SQLite in the output by default.
    """

    names: tuple[str, ...]
    measures: tuple[str, ...] = MEASURES
    source: str = images.MICROWORLD
    count: int | None = None
    input_size: int | None = None
    convention: str = "rule"
    pool: bool = False
    minibatch: int = 32
    batch_size: int = 16
    workers: int = 1
    output: Path = Path("runs")
    table: str | None = None


@dataclass(frozen=True)
class Look:
    """One measure of one encoder, or of two beside each other: one record."""

    measure: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.measure} of {' and '.join(self.names)}"


_FLAGS = {"source": "--images", "count": "--n", "table": "--results"}


def as_command(asked: Inspection) -> str:
    """The command line that asks for exactly this."""
    words, plain = ["harness", "inspect", *asked.names], Inspection(())
    for field in fields(asked):
        value = getattr(asked, field.name)
        if field.name == "names" or value == getattr(plain, field.name):
            continue
        flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        if field.name == "measures":
            words += [word for measure in value for word in ("--measure", measure)]
        else:
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def looks(asked: Inspection) -> list[Look]:
    """The looks that answer what is asked, pairs first: where two encoders cannot be compared it is
    said before anything was computed.

    Raises:
        UserError: no name, or one twice.
    """
    if not asked.names:
        raise UserError("name an encoder, or several")
    if doubled := sorted({name for name in asked.names if asked.names.count(name) > 1}):
        raise UserError(f"`{doubled[0]}` is named twice")
    pairs = list(combinations(asked.names, 2)) if "similarity" in asked.measures else []
    each = [Look(measure, (name,)) for name in asked.names for measure in asked.measures]
    return [*(Look(BETWEEN, pair) for pair in pairs), *each]

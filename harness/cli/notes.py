"""What the packages warn a person of, as one line on stderr in place of Python's two."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

NOTES = {("backbones", "RefusedOffer")}
"""Package and class of every warning that is meant for whoever typed the command; recognised by
name, as errors are (`harness.cli.errors`), so that nothing heavy is imported."""


@contextmanager
def noted() -> Iterator[None]:
    """Print such warnings as notes while the body runs, each line once, by the first process."""
    told: set[str] = set()
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if (category.__module__.partition(".")[0], category.__name__) not in NOTES:
            before(message, category, filename, lineno, file, line)
        elif str(message) not in told and _first_process():
            told.add(str(message))
            print(f"note: {message}", file=sys.stderr)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _first_process() -> bool:
    from harness.console import is_main_process

    return is_main_process()

"""`harness inspect`: looks at encoders, in this process or in several, put together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TYPE_CHECKING

import results
from harness.analysis import images
from harness.analysis.asking import BETWEEN, TASK, Inspection, Look, looks
from harness.analysis.inspected import Inspected
from harness.analysis.looking import carry_out
from harness.console import Console

if TYPE_CHECKING:
    from harness.analysis.rows import Found
    from results import Record


def inspect(asked: Inspection, console: Console) -> tuple[list[Inspected], list[Record]]:
    """Look inside encoders; what was looked at before is read.

    Returns:
        Each encoder with what was found in it, in the order of the names, then each pair; the
        records of all looks.

    Raises:
        UserError, LoadError, DataError, ResultsError: what the user can mend.
    """
    wanted = looks(asked)
    table = results.Table(asked.table or asked.output / "results.sqlite")
    console.header("harness inspect", _header(asked))
    found: dict[Look, tuple[Record, Found]] = {}
    for look, record, what in _carried_out(asked, wanted, console):
        table.put(record)
        found[look] = record, what
    return _gathered(wanted, found), [found[look][0] for look in wanted]


def _header(asked: Inspection) -> list[tuple[str, str]]:
    count = asked.count or f"{images.DEFAULT}, or all of a folder that has fewer"
    return [
        ("encoders", ", ".join(asked.names)),
        ("measures", ", ".join(asked.measures)),
        ("images", f"{asked.source}, {count}"),
        ("records", str(asked.output / TASK)),
    ]


def _carried_out(
    asked: Inspection, wanted: Sequence[Look], console: Console
) -> Iterator[tuple[Look, Record, Found]]:
    """Each look with its record, as soon as it is there."""
    if asked.workers <= 1 or len(wanted) == 1:
        for look in wanted:
            yield look, *carry_out(asked, look, console)
        return
    context = get_context("spawn")
    share = (asked.workers,)
    with (
        console.phase("inspect", len(wanted), "looks") as advance,
        ProcessPoolExecutor(asked.workers, context, _share_threads, share) as pool,
    ):
        waiting = {pool.submit(_in_worker, asked, look): look for look in wanted}
        try:
            for future in as_completed(waiting):
                advance()
                yield waiting[future], *future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _share_threads(workers: int) -> None:
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def _in_worker(asked: Inspection, look: Look) -> tuple[Record, Found]:
    return carry_out(asked, look, Console(quiet=True))


def _gathered(wanted: Sequence[Look], found: dict[Look, tuple[Record, Found]]) -> list[Inspected]:
    """The looks at one encoder, or at one pair, together."""
    gathered: dict[tuple[str, ...], dict[str, Found]] = {}
    labels: dict[tuple[str, ...], list[str]] = {}
    for look in sorted(wanted, key=lambda look: len(look.names)):
        record, what = found[look]
        measure = "similarity" if look.measure == BETWEEN else look.measure
        gathered.setdefault(look.names, {})[measure] = what
        identity = record.identity
        labels[look.names] = [identity[k]["name"] for k in ("backbone", "other") if k in identity]
    return [
        Inspected(labels[names][0], measures, *labels[names][1:])
        for names, measures in gathered.items()
    ]

"""Pictures of what one encoder has right and another has wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import png, reopening
from harness.scores import run_of
from results import Record
from results.agreement import Agreement

if TYPE_CHECKING:
    from tasks.contract import Row, Task

SHOWN = 16


def draw(
    names: tuple[str, str],
    records: tuple[Sequence[Record], Sequence[Record]],
    found: Agreement,
    output: Path,
    folder: Path,
    data_root: Path | None = None,
) -> list[Path]:
    """Two pictures, `A-right-B-wrong.png` and the other way round, of at most 16 images each: what
    the one that is wrong predicts for them, in the first seed, beside the truth. Where there are no
    such images there is no picture.

    Raises:
        UserError: the runs do not lie below `output`.
        ResultsError: their predictions or test data are others than those of the record.
        RecipeError, DataError: the record's data cannot be had here.
    """
    cases = (
        (names[0], names[1], records[1], found.a_right_b_wrong),
        (names[1], names[0], records[0], found.b_right_a_wrong),
    )
    written: list[Path] = []
    opened: tuple[Task, Any] | None = None
    for right, wrong, runs, samples in cases:
        if not samples:
            continue
        (record,) = (run for run in runs if run.seed == found.seeds[0])
        place = run_of(record, output)
        # Runs that are compared have the same test data.
        opened = opened or reopening.test_data(record, place, data_root)
        path = folder / f"{png.stem(right)}-right-{png.stem(wrong)}-wrong.png"
        _draw(reopening.rows(record, place), samples[:SHOWN], opened, path)
        written.append(path)
    return written


def _draw(
    rows: Sequence[Row], samples: Sequence[int], opened: tuple[Task, Any], path: Path
) -> None:
    from PIL import Image

    from tasks.captions import PICTURED

    task, dataset = opened
    by_sample = {int(row["sample"]): row for row in rows}
    # A task's picture has one line of samples, and no more than so many.
    found = [by_sample[sample] for sample in samples]
    strips = [task.draw(found[k:][:PICTURED], dataset) for k in range(0, len(found), PICTURED)]
    width, height = max(strip.width for strip in strips), sum(strip.height for strip in strips)
    sheet, top = Image.new("RGB", (width, height), "white"), 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    png.write(sheet, path)

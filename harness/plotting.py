"""Plots of several runs in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import png, reopening
from harness.scores import run_of
from results import Record


def draw(
    groups: Mapping[str, Sequence[Record]],
    output: Path,
    folder: Path,
    data_root: Path | None = None,
) -> list[Path]:
    """What a task plots of its models; what is there of the same names is replaced.

    Args:
        groups: name -> its records, all of one setting.
        output: folder of the runs.

    Raises:
        UserError: the runs do not lie below `output`.
        ResultsError: their predictions or test data are others than those of the record.
        RecipeError, DataError: the records' data cannot be had here, or cannot be plotted.
    """
    places = {name: [(each, run_of(each, output)) for each in g] for name, g in groups.items()}
    runs = {name: [reopening.rows(*each) for each in several] for name, several in places.items()}
    # Runs that are compared have the same test data.
    first = next(iter(places.values()))[0]
    task, dataset = reopening.test_data(*first, data_root)
    return [
        png.write(image, folder / f"{stem}.png")
        for stem, image in task.plots(runs, dataset).items()
    ]

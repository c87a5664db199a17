"""What the servers of GOT-10k and TrackingNet take, and a check of a file against it.

GOT-10k (got-10k/toolkit, experiments/got10k.py, `_record` and `report`):
`SEQUENCE/SEQUENCE_001.txt` with a box x,y,width,height a line, three decimals and commas; a further
file for each repetition of a tracker that is not deterministic; `SEQUENCE/SEQUENCE_time.txt` with
the seconds of each frame, eight decimals, a column a repetition. TrackingNet (visionml/pytracking,
util_scripts/pack_trackingnet_results.py; SilvioGiancola/TrackingNet-devkit, metrics.py):
`SEQUENCE.txt`, two decimals and commas, in no folder. Both in a zip archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import DataError, RecipeError, Row, Submission
from tasks.tracking import rows as stored
from tasks.tracking.submitted import GOT10K, TRACKINGNET

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tasks.tracking.data import TrackingDataset
    from tasks.tracking.sequences import Sequence

    Floats = NDArray[np.float64]

SEQUENCES = {"got10k": 180, "trackingnet": 511}
"""Of the test set that a server knows the boxes of."""


def submission(rows: list[Row], dataset: TrackingDataset, seconds: float | None) -> Submission:
    """The files that the server of `dataset` takes.

    Trackers here are deterministic, so there is one repetition. GOT-10k asks for each frame's time;
    what is known is the time of all, so each frame gets the mean.

    Args:
        rows: of each sequence.
        seconds: that all frames took.

    Raises:
        DataError: rows that are missing, doubled, of other sequences or of another length.
        RecipeError: the data set has no server, or is not the part that the server knows; GOT-10k
            without seconds.
    """
    server = server_of(dataset)
    boxes = _boxes(rows, dataset.sequences)
    count = len(boxes)
    notes = []
    if count != SEQUENCES[server]:
        notes.append(f"{count} of {SEQUENCES[server]} sequences: the server takes the whole set")
    if server == "trackingnet":
        files = {f"{name}.txt": _lines(found, "%.2f") for name, found in boxes.items()}
        return Submission(files, tuple(notes))
    frames = sum(map(len, boxes.values()))
    if seconds is None:
        raise RecipeError(
            "GOT-10k's server takes the time of each frame, and how long prediction took is not "
            "recorded: predict again with this version"
        )
    mean = seconds / frames
    notes.append(
        f"times: {mean:.6f} s for every frame, the mean of {frames} frames in {seconds:.1f} s, as "
        "sequences are followed together"
    )
    files = {}
    for name, found in boxes.items():
        files[f"{name}/{name}_001.txt"] = _lines(found, "%.3f")
        files[f"{name}/{name}_time.txt"] = _lines(np.full((len(found), 1), mean), "%.8f")
    return Submission(files, tuple(notes))


def check(file: Path, dataset: TrackingDataset) -> list[str]:
    """What the server of `dataset` would not take in an archive, a line each.

    Raises:
        DataError: it is no zip archive.
        RecipeError: the data set has no server, or is not the part that the server knows.
    """
    form = GOT10K if server_of(dataset) == "got10k" else TRACKINGNET
    return form.problems(file, dataset.sequences)


def served(name: str) -> dict[str, Any]:
    """Values of `data` in the recipe of the part of a data set that its server knows.

    Raises:
        RecipeError: it has none.
    """
    if name not in SEQUENCES:
        raise RecipeError(
            f"`{name}` has no server that takes predictions; {' and '.join(SEQUENCES)} have"
        )
    return {"name": name, "version": "test" if name == "got10k" else ""}


def server_of(dataset: TrackingDataset) -> str:
    """The data set's name, where it has a server.

    Raises:
        RecipeError: it has none, or is not the part that the server knows.
    """
    data = dataset.recipe.data
    served(data.name)
    if data.name == "got10k" and data.version != "test":
        raise RecipeError(
            "GOT-10k's server takes its test split, and these are val: give the folder of `harness "
            "evaluate --checkpoint RUN --dataset got10k --set data.version=test`"
        )
    return data.name


def _boxes(rows: list[Row], sequences: list[Sequence]) -> dict[str, Floats]:
    """Sequence -> (T,4), in the data set's order."""
    if sorted(row["sample"] for row in rows) != list(range(len(sequences))):
        raise DataError(
            f"there are {len(rows)} predictions for {len(sequences)} sequences: of each one is "
            "expected"
        )
    found = {}
    for row in sorted(rows, key=lambda row: int(row["sample"])):
        sequence, boxes = sequences[row["sample"]], stored.boxes(row)
        if row["sequence"] != sequence.name or boxes.shape != (len(sequence), 4):
            raise DataError(
                f"the prediction of `{row['sequence']}` with {len(boxes)} boxes is not of "
                f"`{sequence.name}` with {len(sequence)} frames"
            )
        if not np.isfinite(boxes).all():
            frame = int((~np.isfinite(boxes)).any(1).argmax())
            raise DataError(f"the box of frame {frame + 1} of `{sequence.name}` is not finite")
        found[sequence.name] = boxes
    return found


def _lines(table: Floats, form: str) -> bytes:
    """A row a line, commas between its numbers, as numpy.savetxt writes them."""
    return "".join(",".join(form % value for value in row) + "\n" for row in table).encode()

"""Result folders of other trackers, in the layouts of three toolkits.

got10k (got-10k/toolkit, experiments/got10k.py): `<sequence>/<sequence>_001.txt` with commas, a file
for each repetition, `<sequence>_time.txt` beside. pytracking (visionml/pytracking,
evaluation/running.py): `<sequence>.txt`, tabs or commas, mostly whole numbers; the files of all
data sets lie in one folder, each repetition in one whose name ends with `_000`, `_001` ...
lasot: `<sequence>.txt` with commas, as LaSOT's authors publish results and as got-10k/toolkit
writes those of OTB.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError, Predictions, RecipeError, Row
from tasks.names import printable
from tasks.tracking import lines
from tasks.tracking.rows import row

if TYPE_CHECKING:
    from tasks.tracking.data import TrackingDataset
    from tasks.tracking.recipe import Convention
    from tasks.tracking.sequences import Sequence

Files = Mapping[str, Path]
"""Sequence -> file of its boxes."""

_RUN = re.compile(r"_\d{3}$")
_BESIDE = re.compile(r"_(time|object_presence_scores|all_scores|all_boxes)$")
SHOWN = 3
"""So many names stand in a message."""


@dataclass(frozen=True)
class Found:
    """The files of a tracker.

    Attributes:
        layout: whose.
        runs: of each repetition.
        notes: what was left out, a line each.
    """

    layout: str
    runs: tuple[Files, ...]
    notes: tuple[str, ...] = ()


def read(folder: Path, dataset: TrackingDataset, layout: str | None = None) -> Predictions:
    """A tracker's boxes for the sequences of `dataset`, as rows without scores.

    Files need not be as long as their sequences, but under GOT-10k's convention, whose toolkit
    refuses others; a NaN is taken where the convention counts it as a miss, not under GOT-10k's,
    of which it makes every figure NaN, nor under pytracking's, which refuses it. Coordinates are
    those of the benchmark's own annotations.

    Args:
        folder: of one tracker, or one setting of it.
        layout: `got10k`, `pytracking` or `lasot`; the one that the files have where left out.

    Raises:
        DataError: files that are missing, of no sequence, or cannot be read, by name and line.
        RecipeError: there is no such layout.
    """
    sequences = {sequence.name: sequence for sequence in dataset.sequences}
    whole = dataset.recipe.data.limit is None
    found = find(folder, list(sequences), layout, whole)
    convention = dataset.recipe.measure.convention
    runs = tuple(_rows(files, sequences, convention) for files in found.runs)
    several = f", {len(runs)} repetitions" if len(runs) > 1 else ""
    said = f"boxes of `{folder}`, read in the layout of {found.layout}{several}"
    return Predictions(runs, (said, *found.notes))


def find(
    folder: Path, names: Collection[str], layout: str | None = None, whole: bool = True
) -> Found:
    """The files of the sequences `names` in a tracker's folder.

    Args:
        layout: as for `read`.
        whole: whether the sequences are all that the data set has, so that others are surplus.

    Raises:
        DataError: files that are missing, or of no sequence where the layout has no others.
        RecipeError: there is no such layout.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder `{folder}`: give the one with the tracker's boxes")
    if layout is not None and layout not in LAYOUTS:
        raise RecipeError(f"there is no layout `{layout}`; there is {', '.join(LAYOUTS)}")
    return LAYOUTS[layout or recognised(folder, names)](folder, names, whole)


def recognised(folder: Path, names: Collection[str]) -> str:
    """The layout that a tracker's files have: by their places and, where these are alike, by tabs
    between the numbers, names as pytracking spells them or times beside, which lasot has not.

    Raises:
        DataError: they have none.
    """
    if any((folder / name).is_dir() for name in names):
        return "got10k"
    for name in names:
        path = _spelled(folder, name)
        if path.is_file():
            times = path.with_name(f"{path.stem}_time.txt")
            with path.open("rb") as opened:
                tabs = b"\t" in opened.readline(1000)
            return "pytracking" if tabs or times.exists() or path.stem != name else "lasot"
    if _run_folders(folder):
        return "pytracking"
    raise DataError(
        f"`{folder}` has no boxes of these sequences: give the folder of one tracker, with "
        "`SEQUENCE/SEQUENCE_001.txt` (got10k), `SEQUENCE.txt` (pytracking, lasot) or folders of "
        f"runs `..._000` (pytracking); a sequence is `{printable(next(iter(names), ''))}`"
    )


def _got10k(folder: Path, names: Collection[str], whole: bool) -> Found:
    known = set(names)
    entries = _listed(folder)
    surplus = [path for path in entries if path.name not in known] if whole else []
    runs: dict[str, list[Path]] = {}
    for name in names:
        place = folder / name
        files = _listed(place) if place.is_dir() else []
        fitting = re.compile(rf"{re.escape(name)}_(\d+)\.txt")
        runs[name] = [path for path in files if fitting.fullmatch(path.name)]
        beside = f"{name}_time.txt"
        surplus += [path for path in files if path not in runs[name] and path.name != beside]
    _require({name for name, files in runs.items() if not files}, folder, "{0}/{0}_001.txt")
    _refuse(surplus)
    counts = Counter(len(files) for files in runs.values())
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        name = next(name for name, files in runs.items() if len(files) != usual)
        raise DataError(
            f"`{folder / name}` has {len(runs[name])} repetitions, other sequences {usual}: the "
            "same number of each is counted together"
        )
    several = range(next(iter(counts)))
    return Found("got10k", tuple({name: runs[name][run] for name in names} for run in several))


def _pytracking(folder: Path, names: Collection[str], whole: bool) -> Found:
    folders = _run_folders(folder) or [folder]
    settings = sorted({_RUN.sub("", place.name) for place in folders})
    if len(settings) > 1 and folders != [folder]:
        raise DataError(
            f"`{folder}` has runs of several settings, {', '.join(settings)}: give a folder of one"
        )
    runs, others = [], set()
    for place in folders:
        files = {name: path for name in names if (path := _spelled(place, name)).is_file()}
        _require(set(names) - set(files), place, "{0}.txt")
        runs.append(files)
        stems = {path.stem for path in place.glob("*.txt") if not _BESIDE.search(path.stem)}
        others |= stems - {path.stem for path in files.values()}
    left = f"{len(others)} files of other sequences in the folder are left out"
    return Found("pytracking", tuple(runs), (left,) if others else ())


def _lasot(folder: Path, names: Collection[str], whole: bool) -> Found:
    files = {name: folder / f"{name}.txt" for name in names}
    _require({name for name, path in files.items() if not path.is_file()}, folder, "{0}.txt")
    if whole:
        expected = set(files.values())
        # got-10k/toolkit puts the times of OTB into a folder of this name.
        expected.add(folder / "times")
        _refuse([path for path in _listed(folder) if path not in expected])
    return Found("lasot", (files,))


LAYOUTS: dict[str, Callable[[Path, Collection[str], bool], Found]] = {
    "got10k": _got10k,
    "pytracking": _pytracking,
    "lasot": _lasot,
}


def _rows(files: Files, sequences: Mapping[str, Sequence], convention: Convention) -> list[Row]:
    return [
        _row(sample, sequence, files[name], convention)
        for sample, (name, sequence) in enumerate(sequences.items())
    ]


def _row(sample: int, sequence: Sequence, path: Path, convention: Convention) -> Row:
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    missing = convention not in ("got10k", "pytracking")
    boxes = lines.boxes(content, str(path), missing=missing)
    if convention == "got10k" and len(boxes) != len(sequence):
        raise DataError(
            f"`{path}` has {len(boxes)} boxes for the {len(sequence)} frames of `{sequence.name}`: "
            "GOT-10k's convention takes as many as frames"
        )
    nothing = np.full((len(boxes), 4), np.nan)
    return row(sample, sequence.name, boxes, nothing[:, 0], nothing)


def _run_folders(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.is_dir() and _RUN.search(path.name)]


def _spelled(folder: Path, name: str) -> Path:
    """A sequence's file in pytracking, which writes `uav_` before UAV123's names and an underscore
    before the number of one of several targets, also of OTB's Human4, whose first has no boxes."""
    plain = folder / f"{name}.txt"
    spellings = [f"uav_{name}", name.replace(".", "_"), *(["Human4_2"] * (name == "Human4"))]
    others = [folder / f"{spelling}.txt" for spelling in spellings]
    return next((path for path in (plain, *others) if path.is_file()), plain)


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _require(missing: Collection[str], folder: Path, form: str) -> None:
    if missing:
        first = min(missing)
        more = f", nor for {len(missing) - 1} more sequences" if len(missing) > 1 else ""
        raise DataError(
            f"`{folder / form.format(first)}` is missing: there are no boxes for "
            f"`{printable(first)}`{more}"
        )


def _refuse(surplus: list[Path]) -> None:
    if surplus:
        shown = ", ".join(f"`{printable(str(path))}`" for path in surplus[:SHOWN])
        more = f" and {len(surplus) - SHOWN} more" if len(surplus) > SHOWN else ""
        raise DataError(f"{shown}{more}: of no sequence of the data set; move it elsewhere")

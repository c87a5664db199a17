"""Result folders as the toolkits write them give the toolkits' figures."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks.contract import Row
from tasks.tracking import rows as stored
from tasks.tracking.result_files import read

conventions = pytest.importorskip("tasks.tracking.scoring.conventions")
tracks = pytest.importorskip("tasks.tracking.scoring.tracks")

FIXTURES = Path(__file__).parents[2] / "fixtures/metrics"


class Named:
    """A sequence of which name and length are known."""

    def __init__(self, name: str, length: int) -> None:
        self.name, self.length = name, length

    def __len__(self) -> int:
        return self.length


class Reference:
    """A toolkit's boxes and what it said of them."""

    def __init__(self, convention: str, names: list[str]) -> None:
        self.convention, self.names = convention, names
        folder = FIXTURES / f"tracking_{convention}"
        self.boxes = np.load(folder / "boxes.npz")
        listed = json.loads((folder / "sequences.json").read_text())
        every = listed if isinstance(listed, list) else listed.values()
        self.facts = {facts["name"]: facts for facts in every}

    @property
    def data(self) -> Any:
        sequences = [Named(name, len(self.boxes[f"truth/{name}"])) for name in self.names]
        recipe = SimpleNamespace(
            data=SimpleNamespace(limit=None), measure=SimpleNamespace(convention=self.convention)
        )
        return SimpleNamespace(sequences=sequences, recipe=recipe)

    def predicted(self, name: str) -> Any:
        return self.boxes[f"prediction/{name}"]

    def scores(self, rows: list[Row], dataset: str) -> dict[str, float]:
        found = [self._track(row) for row in rows]
        scores = conventions.score(found, self.convention, dataset)
        return {name: float(figure.overall()) for name, figure in scores.figures.items()}

    def _track(self, row: Row) -> Any:
        name = row["sequence"]
        facts = self.facts[name]
        cover = np.array(facts["cover"]) if "cover" in facts else None
        extent = tuple(facts["image"]) if "image" in facts else None
        truth = self.boxes[f"truth/{name}"]
        return tracks.Track(name, truth, stored.boxes(row), extent, cover=cover)


def expected(convention: str) -> Any:
    return json.loads((FIXTURES / f"tracking_{convention}/expected.json").read_text())


def test_a_folder_of_the_got10k_toolkit(tmp_path: Path) -> None:
    said = expected("got10k")["got10k"]["walks"]
    reference = Reference("got10k", list(said["per_sequence"]))
    for name in reference.names:
        (tmp_path / name).mkdir()
        np.savetxt(tmp_path / name / f"{name}_001.txt", reference.predicted(name), "%.17g", ",")
    (rows,) = read(tmp_path, reference.data).runs
    found = reference.scores(rows, "got10k")
    for name, theirs in (("AO", "ao"), ("SR.5", "sr50"), ("SR.75", "sr75")):
        assert found[name] == pytest.approx(said["overall"][theirs], abs=1e-9)


def test_a_folder_of_pytracking_with_files_too_long_and_too_short(tmp_path: Path) -> None:
    said = expected("pytracking")["groups"]["otb_all/all_frames"]
    reference = Reference("pytracking", said["sequences"])
    lengths = [
        len(reference.predicted(name)) - len(reference.boxes[f"truth/{name}"])
        for name in reference.names
    ]
    assert min(lengths) < 0 < max(lengths)
    for name in reference.names:
        whole = reference.predicted(name).astype(int)
        np.savetxt(tmp_path / f"{name}.txt", whole, "%d", "\t")
    (rows,) = read(tmp_path, reference.data).runs
    found = reference.scores(rows, "otb100")
    # The reference's curves are float32.
    for name in ("AUC", "OP50", "OP75"):
        assert found[name] == pytest.approx(said["overall"]["saved"][name], abs=2e-5)

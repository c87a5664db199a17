"""Verdicts from the losses of runs while they were trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import results
from harness.analysis.claims.deciding import Estimate, Missing
from harness.analysis.claims.judging import Trial, judge
from harness.curves import NAME
from results import Record, predictions
from tests.harness.analysis.claims.stand_ins import claims, evidence, run
from tests.results.test_curves import table

AREA = {
    "evidence": "area",
    "task": "pose",
    "term": "box",
    "span": "first 25 %",
    "of": "mim - supervised",
    "below": 0,
}
REACH = {
    "evidence": "reach",
    "task": "pose",
    "term": "loss",
    "of": "mim - supervised",
    "below": 0,
}
Loss = Callable[[float, int], float]


def trained(output: Path, backbone: str, loss: Loss) -> list[Record]:
    """Three runs with their curves below the folder of the runs."""
    found = []
    for seed in range(3):
        record = run(backbone, seed, 0.5)
        folder = output / "pose" / backbone / record.cell[:12]

        def at(t: float, seed: int = seed) -> float:
            return loss(t, seed)

        digest = predictions.write_columns(table(100, 50, loss=at, box=at), folder / NAME)
        record = record.model_copy(update={"files": {NAME: digest}})
        results.write(record, folder)
        found.append(record)
    return found


def fast(t: float, seed: int) -> float:
    return 1 / (1 + 20 * t) + seed / 1000


def slow(t: float, seed: int) -> float:
    return 1 / (1 + 4 * t) + seed * t / 1000


def only(test: dict[str, Any], records: list[Record], output: Path) -> Trial:
    (judged,) = judge(claims(test), evidence(records=records, output=output))
    (trial,) = judged.tests
    return trial


def test_the_loss_that_falls_sooner_has_the_smaller_area(tmp_path: Path) -> None:
    records = trained(tmp_path, "one", fast) + trained(tmp_path, "two", slow)
    found = only(AREA, records, tmp_path)
    assert found.verdict == "holds"
    assert isinstance(found.found, Estimate) and found.found.note.startswith("3 seeds")
    assert only(AREA | {"of": "supervised - mim"}, records, tmp_path).verdict == "does not hold"
    assert only(AREA | {"span": "last 10 %"}, records, tmp_path).verdict == "holds"


def test_equal_losses_are_undecided(tmp_path: Path) -> None:
    records = trained(tmp_path, "one", slow) + trained(tmp_path, "two", slow)
    assert only(AREA, records, tmp_path).verdict == "undecided"
    assert only(REACH, records, tmp_path).verdict == "undecided"


def test_the_common_level_is_the_higher_of_the_final_losses(tmp_path: Path) -> None:
    records = trained(tmp_path, "one", fast) + trained(tmp_path, "two", slow)
    found = only(REACH, records, tmp_path)
    assert found.verdict == "holds"
    # The slow one ends near 1 / 4.8 and is there at 0.95; the fast one where 1 + 20 t = 4.8.
    assert isinstance(found.found, Estimate)
    assert found.found.value == pytest.approx(0.19 - 0.95, abs=0.02)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    records = trained(tmp_path, "one", fast) + trained(tmp_path, "two", slow)
    found = only(AREA | {"term": "mask"}, records, tmp_path).found
    assert found == Missing("no term mask of training; there is loss, box")
    found = only(AREA, records, tmp_path / "elsewhere").found
    assert isinstance(found, Missing) and "--output" in found.why
    found = only(AREA, records[:3], tmp_path).found
    assert isinstance(found, Missing) and "for s in 0 1 2" in found.command


def test_curves_that_another_version_kept_are_said_to_be_so(tmp_path: Path) -> None:
    records = trained(tmp_path, "one", fast) + trained(tmp_path, "two", slow)
    columns = table(100, 50, loss=lambda t: t, box=lambda t: t)
    del columns["noted"]
    folder = tmp_path / "pose" / "one" / records[0].cell[:12]
    digest = predictions.write_columns(columns, folder / NAME)
    records[0] = records[0].model_copy(update={"files": {NAME: digest}})
    results.write(records[0], folder)
    found = only(AREA, records, tmp_path)
    assert isinstance(found.found, Missing)
    assert "lack `noted`" in found.found.why and "run it anew" in found.found.why

"""A study over a setting: its lines, their slopes in the table, the figure, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.options import RunOptions
from harness.studies.curve import draw, lines
from harness.studies.executor import Outcome
from harness.studies.model import Job, Study, expand, read
from harness.studies.table import groups_of, scores_in, summary
from results import Record

CURVE = {"over": "backbone.drop_last", "by": ["backbone", "backbone.drop_mode"]}
SHIPPED = Path(__file__).parents[3] / "studies/drop-layers.yaml"


def cells(*modes: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for backbone in ("simmim", "supervised"):
        found.append(
            {"name": f"{backbone} 0", "backbone": backbone, "set": {"backbone.drop_last": 0}}
        )
        for mode in modes:
            for count in (1, 2):
                sets = {"backbone.drop_last": count, "backbone.drop_mode": mode}
                name = f"{backbone} {mode} {count}"
                found.append({"name": name, "backbone": backbone, "set": sets})
    return found


def study(given: list[dict[str, Any]], **other: Any) -> Study:
    base = {"task": "pose", "set": {"data.limit": 5}}
    values = {"name": "drop layers", "question": "?", "base": base, "cells": given}
    return Study.model_validate(values | {"curve": CURVE} | other)


STUDY = study(cells("removed", "reinitialised"))


def outcome(cell: str, seed: int, value: float) -> Outcome:
    backbone, *mode, count = cell.split()
    recipe = {"backbone": {"drop_last": int(count)}}
    if mode == ["reinitialised"]:
        recipe["backbone"]["drop_mode"] = mode[0]  # type: ignore[assignment]
    record = Record.model_validate(
        {
            "status": "finished",
            "primary": "AP",
            "metrics": {"AP": {"value": value, "error": 0.001, "n": 100}},
            "cell": f"{cell} {seed}".encode().hex().ljust(64, "0")[:64],
            "identity": {"seed": seed, "recipe": recipe},
            "task": "pose",
            "backbone": {"name": backbone, "sha256": backbone[:1].encode().hex().ljust(64, "0")},
            "dataset": "microworld",
            "protocol": "frozen",
            "scale": "tiny",
            "seed": seed,
            "recipe": recipe,
            "created": "2026-01-01T00:00:00+00:00",
            "updated": "2026-01-01T00:00:00+00:00",
        }
    )
    job = Job(cell, RunOptions(seed=seed, output=Path("nowhere")))
    return Outcome(job, record.model_dump(mode="json"), 0, 61)


def outcomes() -> list[Outcome]:
    fall = {"simmim removed": 0.1, "simmim reinitialised": 0.2, "supervised removed": 0.0}
    return [
        outcome(cell.name, seed, 0.5 + 0.01 * seed - fall.get(line, 0.05) * int(count))
        for cell in STUDY.cells
        for line, _, count in [cell.name.rpartition(" ")]
        for seed in (0, 1, 2)
    ]


def test_what_gives_no_mode_begins_every_line() -> None:
    (found,) = lines(STUDY).values()
    assert [line.name for line in found] == [
        "simmim, removed",
        "simmim, reinitialised",
        "supervised, removed",
        "supervised, reinitialised",
    ]
    assert found[1].cells == {
        0.0: "simmim 0",
        1.0: "simmim reinitialised 1",
        2.0: "simmim reinitialised 2",
    }


def test_the_table_has_slopes_and_their_differences() -> None:
    text = summary(STUDY, outcomes())
    _, _, slopes = text.partition("Slopes over `backbone.drop_last`")
    rows = {
        row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ")
        for row in slopes.splitlines()
        if row.startswith("| s")
    }
    assert rows["simmim, removed"][1:3] == ["0, 1, 2", "-0.1000"]
    assert rows["simmim, reinitialised"][4] == "-0.1000"
    assert rows["supervised, removed"][4] == "+0.1000"
    low, high = (float(b) for b in rows["supervised, removed"][5].strip("[]").split(", "))
    assert low < 0.1 < high
    assert "what differs" not in text, "cells are compared across the field that is the question"


def test_what_is_missing_is_said() -> None:
    text = summary(STUDY, [o for o in outcomes() if o.job.cell != "simmim reinitialised 2"])
    (row,) = [row for row in text.splitlines() if row.startswith("| simmim, reinitialised |")]
    assert "no finished run of `simmim reinitialised 2`" in row
    assert "one line is at 0, 1, the other at 0, 1, 2" in row


def test_the_figure_is_written_twice_the_same(tmp_path: Path) -> None:
    kept = outcomes()
    groups = groups_of([cell.name for cell in STUDY.cells], kept)
    first = draw(STUDY, groups, scores_in(kept), tmp_path / "a")
    assert [path.name for path in first] == ["drop_layers.png", "drop_layers.svg"]
    again = draw(STUDY, groups, scores_in(kept), tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert draw(STUDY, {}, scores_in([]), tmp_path / "c") == []
    assert not (tmp_path / "c").exists()


def test_studies_without_a_curve_have_neither() -> None:
    plain = study(cells("removed"), curve=None)
    assert lines(plain) == {}
    assert "Slopes" not in summary(plain, [])


def test_a_curve_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a number in every cell, in `x` it is None"):
        study([*cells("removed"), {"name": "x"}])
    twice = study([*cells("removed"), {**cells("removed")[1], "name": "again"}])
    with pytest.raises(UserError, match=r"both at backbone\.drop_last=1 of the line"):
        lines(twice)


def test_the_study_that_ships_is_one() -> None:
    found = read(SHIPPED)
    assert {task: len(several) for task, several in lines(found).items()} == {"pose": 4, "depth": 4}
    assert all(set(line.cells) == {0, 1, 2, 4} for each in lines(found).values() for line in each)
    assert len(expand(found)) == 84

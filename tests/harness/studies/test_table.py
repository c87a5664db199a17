"""The table of a study: intervals, paired differences, and no silent gap."""

from __future__ import annotations

from pathlib import Path

from harness.options import RunOptions
from harness.studies.executor import Outcome
from harness.studies.model import Job, Study
from harness.studies.table import line, summary
from results import Record
from results.predictions import write_columns

VALUES = {
    ("trained", None): (0.50, 0.52, 0.54),
    ("constant", "constant"): (0.10, 0.10, 0.10),
    ("permuted", "permuted-labels"): (0.10, 0.11, 0.10),
}
STUDY = Study.model_validate(
    {"name": "s", "question": "does it learn?", "cells": [{"name": n} for n, _ in VALUES]}
)


def outcome(cell: str, control: str | None, seed: int, value: float, steps: int = 5) -> Outcome:
    record = Record.model_validate(
        {
            "status": "finished",
            "primary": "AP",
            "metrics": {"AP": {"value": value, "error": 0.001, "n": 100}},
            "cell": f"{seed:02d}{len(cell):02d}".ljust(64, "0"),
            "identity": {"seed": seed, "control": control, "recipe": {"steps": steps}},
            "task": "pose",
            "backbone": {"name": "b", "sha256": "0" * 64},
            "dataset": "microworld",
            "protocol": "finetune",
            "scale": "tiny",
            "control": control,
            "seed": seed,
            "recipe": {"steps": steps},
            "created": "2026-01-01T00:00:00+00:00",
            "updated": "2026-01-01T00:00:00+00:00",
        }
    )
    job = Job(cell, RunOptions(seed=seed, output=Path("nowhere")))
    return Outcome(job, record.model_dump(mode="json"), 0, 61)


def all_outcomes() -> list[Outcome]:
    return [
        outcome(cell, control, seed, value)
        for (cell, control), values in VALUES.items()
        for seed, value in enumerate(values)
    ]


def rows(text: str) -> dict[str, list[str]]:
    """The table's rows by their first cell."""
    lines = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| ")]
    return {cells[0]: cells for cells in lines}


def test_a_line_says_what_became_of_a_run() -> None:
    said = line(outcome("trained", None, 1, 0.5))
    assert said == "trained, seed 1: finished, AP 0.5000 ± 0.0010 ↑  n=100, 1 min 01 s"
    failed = Outcome(Job("trained", RunOptions()), None, 2, 3)
    assert line(failed) == "trained, seed 0: failed, exit code 2, see above, 3 s"


def test_means_and_paired_differences_have_intervals() -> None:
    found = rows(summary(STUDY, all_outcomes()))
    assert found["trained"][1:3] == ["3", "0.5200"]
    low, high = (float(bound) for bound in found["trained"][3].strip("[]").split(", "))
    # Three seeds: s = 0.02 and t(2) = 4.303 make half an interval of 0.0497; the small sampling
    # error moves that by a hundredth. A normal quantile would give 0.0226.
    assert 0.0485 < (high - low) / 2 < 0.0510
    assert found["constant"][4] == "-0.4200"
    low, high = (float(bound) for bound in found["constant"][5].strip("[]").split(", "))
    assert low < -0.42 < high < 0


def test_chance_is_judged_where_its_three_groups_are_there() -> None:
    assert "permuted-labels: within chance" in summary(STUDY, all_outcomes())
    better = [
        outcome("permuted", "permuted-labels", o.job.options.seed, 0.2)
        if o.job.cell == "permuted"
        else o
        for o in all_outcomes()
    ]
    assert "permuted-labels: NOT within chance" in summary(STUDY, better)
    assert "permuted-labels:" not in summary(STUDY, all_outcomes()[:6])


def test_differences_are_paired_by_resampled_figures(tmp_path: Path) -> None:
    """Two figures that rise and fall together over the same draws have no sampling error left."""
    kept = []
    for cell, shift in (("trained", 0.0), ("permuted", 0.1)):
        for seed in (0, 1):
            made = outcome(cell, None, seed, 0.5 + shift)
            draws = [0.5 + shift + 0.001 * (-1) ** draw for draw in range(200)]
            record = Record.model_validate(made.record)
            folder = tmp_path / f"pose/b/{record.cell[:12]}"
            columns = {"sample": list(range(200)), "AP": draws}
            digest = write_columns(columns, folder / "resampled.parquet")
            values = record.model_copy(update={"files": {"resampled.parquet": digest}})
            job = Job(cell, RunOptions(seed=seed, output=tmp_path))
            kept.append(Outcome(job, values.model_dump(mode="json"), 0, 61))
    low, high = (float(b) for b in rows(summary(STUDY, kept))["permuted"][5].strip("[]").split(","))
    assert high - low < 1e-9
    unpaired = [o for o in all_outcomes() if o.job.cell != "constant"]
    low, high = (
        float(b) for b in rows(summary(STUDY, unpaired))["permuted"][5].strip("[]").split(",")
    )
    assert high - low > 1e-3


def test_what_is_missing_or_cannot_be_compared_is_said() -> None:
    without = [o for o in all_outcomes() if o.job.cell != "constant"]
    assert rows(summary(STUDY, without))["constant"][-1] == "no finished run"
    gap = all_outcomes()[:-1]
    assert "run the missing ones" in rows(summary(STUDY, gap))["permuted"][-1]
    other = [*all_outcomes()[:-1], outcome("permuted", "permuted-labels", 2, 0.1, steps=9)]
    assert "recipe.steps" in rows(summary(STUDY, other))["permuted"][-1]


def test_each_task_has_a_table_and_a_reference_of_its_own() -> None:
    cells = [
        {"name": f"{task} {name}", "task": task}
        for task in ("pose", "depth")
        for name in ("random", "other")
    ]
    study = Study.model_validate({"name": "s", "question": "what for?", "cells": cells})
    values = {"pose random": 0.1, "pose other": 0.3, "depth random": 2.0, "depth other": 1.5}
    kept = [outcome(name, None, seed, v) for name, v in values.items() for seed in (0, 1)]
    text = summary(study, kept)
    found = rows(text)
    assert found["pose other"][4] == "+0.2000"
    assert found["depth other"][4] == "-0.5000"
    assert text.count("| cell | seeds |") == 2


def test_what_is_the_question_may_differ() -> None:
    kept = [outcome("trained", None, seed, 0.5) for seed in (0, 1)]
    kept += [outcome("constant", None, seed, 0.2, steps=9) for seed in (0, 1)]
    assert "recipe.steps: 5, 9" in summary(STUDY, kept) or "recipe.steps: 9, 5" in summary(
        STUDY, kept
    )
    asked = STUDY.model_copy(update={"apart": ("recipe.steps",)})
    assert rows(summary(asked, kept))["constant"][4] == "-0.3000"
    other = STUDY.model_copy(update={"apart": ("recipe.step",)})
    assert "recipe.steps" in rows(summary(other, kept))["constant"][-1]
    mixed = [*kept[:3], outcome("constant", None, 1, 0.2, steps=8)]
    assert "recipe.steps" in rows(summary(asked, mixed))["constant"][-1], "one row is one setting"

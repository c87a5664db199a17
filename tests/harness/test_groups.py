"""A group of data sets: each is run, a missing one is named and never averaged over."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.group import run_group
from harness.errors import UserError
from harness.groups import members, run_members
from harness.options import RunOptions
from results import Record
from tasks.classification.datasets.catalogue import KORNBLITH12
from tasks.contract import DataError
from tests.results.records import make

OPTIONS = RunOptions(task="classification", dataset="kornblith12", data_root=Path("sets"))


def finished(value: float, error: float | None) -> Record:
    return make(value=value, error=error)


def test_the_twelve_lie_in_folders_of_their_names() -> None:
    found = members(OPTIONS)
    assert tuple(found) == KORNBLITH12
    assert len(found) == 12
    assert found["dtd"] == replace(OPTIONS, dataset="dtd", data_root=Path("sets/dtd"))
    assert members(replace(OPTIONS, dataset="dtd")) == {}


def test_the_mean_is_that_of_all_sets() -> None:
    cells = {name: replace(OPTIONS, dataset=name) for name in ("a", "b")}
    figures = {"a": finished(0.5, 0.03), "b": finished(0.7, 0.04)}
    found = run_members("both", cells, lambda options: figures[str(options.dataset)])
    assert found.mean == pytest.approx((0.6, math.hypot(0.03, 0.04) / 2))
    figures["b"] = finished(0.7, None)
    found = run_members("both", cells, lambda options: figures[str(options.dataset)])
    assert found.mean == (pytest.approx(0.6), None)


def test_a_missing_set_leaves_the_others_be_and_there_is_no_mean() -> None:
    cells = {name: replace(OPTIONS, dataset=name) for name in ("a", "b", "c")}

    def run(options: RunOptions) -> Record:
        if options.dataset == "b":
            raise DataError("no folder b")
        return finished(0.5, 0.1)

    found = run_members("three", cells, run)
    assert list(found.records) == ["a", "c"]
    assert found.missing == {"b": "no folder b"}
    assert found.mean is None
    assert found.as_dict()["mean"] is None


def test_a_group_takes_one_device(tmp_path: Path) -> None:
    """The other processes would begin with the first set whichever the first process is at."""
    given = replace(OPTIONS, devices=2, output=tmp_path)
    with pytest.raises(UserError, match="leave --devices out"):
        run_group(given, members(given), dry_run=True, json=False)


def test_a_dry_run_names_every_set_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = replace(OPTIONS, data_root=tmp_path, output=tmp_path, scale="smoke")
    with pytest.raises(UserError, match="12 of 12"):
        run_group(given, members(given), dry_run=True, json=False)
    out = capsys.readouterr().out
    assert all(
        any(line.startswith(f"{name} ") for line in out.splitlines()) for name in KORNBLITH12
    )

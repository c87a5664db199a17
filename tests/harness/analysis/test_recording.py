"""What a record says of a look, and what is kept beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.analysis import keeping, recording
from harness.analysis.asking import Inspection, Look, as_command, looks
from harness.analysis.rows import Found, row
from harness.errors import UserError
from results import Record, ResultsError


def found() -> Found:
    values = np.array([[[1.0, 3.0], [5.0, np.nan]], [[3.0, 5.0], [9.0, np.nan]]])
    rows = (
        row("attention.distance", 2.0, 2, error=1.0, block=0, head=0),
        row("attention.distance", 4.0, 2, error=1.0, block=0, head=1),
        row("attention.distance", 7.0, 2, error=2.0, block=1, stage=1, head=0),
        row("attention.kl", 0.5, 2, block=0, head=0, other_head=1),
        row("spectrum.amplitude", -1.0, 2, block=0, frequency=0.5),
    )
    return Found(rows, {"attention.distance": values}, ("A note.",))


def test_metrics_name_blocks_and_heads_and_the_whole() -> None:
    metrics = recording.metrics(found())
    assert metrics["attention.distance/block1/head0"].value == 7.0
    # Means of the images: (1+3)/2 and 5 give 3.5, (3+5)/2 and 9 give 6.5.
    whole = metrics["attention.distance"]
    assert whole.value == pytest.approx(5.0)
    assert whole.error == pytest.approx(1.5)
    assert whole.n == 2


def test_pairs_and_spectra_are_no_metrics_but_their_mean_is() -> None:
    metrics = recording.metrics(found())
    assert [name for name in metrics if name.startswith("attention.kl")] == ["attention.kl"]
    assert metrics["spectrum.amplitude"].value == -1.0


def test_a_mean_over_pairs_of_blocks_leaves_out_each_with_itself() -> None:
    rows = tuple(
        row("similarity.cka.pooled", 1.0 if i == j else 0.5, 8, block=i, other_block=j)
        for i in range(3)
        for j in range(3)
    )
    assert recording.metrics(Found(rows))["similarity.cka.pooled"].value == 0.5


def test_files_give_back_what_was_found(tmp_path: Path) -> None:
    files = keeping.write(found(), tmp_path)
    again = keeping.read(_record(files), tmp_path)
    assert again.rows == found().rows
    assert again.notes == found().notes
    assert np.array_equal(
        again.by_image["attention.distance"], found().by_image["attention.distance"], equal_nan=True
    )
    assert keeping.write(found(), tmp_path) == files


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    files = keeping.write(found(), tmp_path)
    path = tmp_path / keeping.BY_IMAGE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ResultsError, match="truncated or changed"):
        keeping.read(_record(files), tmp_path)


def test_pairs_are_looked_at_first() -> None:
    asked = Inspection(("a", "b", "c"), ("attention", "similarity"))
    wanted = looks(asked)
    assert wanted[:3] == [Look("between", pair) for pair in (("a", "b"), ("a", "c"), ("b", "c"))]
    assert len(wanted) == 3 + 6
    with pytest.raises(UserError, match="`a` is named twice"):
        looks(replace(asked, names=("a", "b", "a")))


def test_the_command_says_what_was_asked() -> None:
    asked = Inspection(("a", "b c"), ("attention",), "my images", 12, pool=True)
    assert as_command(asked) == (
        "harness inspect a 'b c' --measure attention --images 'my images' --n 12 --pool"
    )


def _record(files: dict[str, str]) -> Record:
    time = "2026-01-01T00:00:00+00:00"
    return Record(
        kind="inspection",
        status="running",
        primary="attention.distance",
        cell="0" * 64,
        identity={},
        task="inspection",
        backbone={"name": "a"},
        dataset="microworld",
        protocol="attention",
        scale="",
        seed=0,
        recipe={},
        files=files,
        created=time,
        updated=time,
    )

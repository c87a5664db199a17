"""Predictions, scores and curves come back exactly, and broken files are refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from results import ResultsError, predictions

ROWS = [
    {"sample": 0, "file": "a.jpg", "points": [0.1, 2 / 3], "score": 1e-320, "labels": [1, 2]},
    {"sample": 1, "file": "ü", "points": [-0.0, 1e300], "score": 0.1 + 0.2, "labels": []},
]


def test_rows_come_back_exactly_and_as_the_same_bytes(tmp_path: Path) -> None:
    first = predictions.write_rows(ROWS, tmp_path / "a.parquet")
    back = predictions.read_rows(tmp_path / "a.parquet", first)
    assert back == ROWS
    assert math.copysign(1, back[1]["points"][0]) == -1
    assert predictions.write_rows(back, tmp_path / "b.parquet") == first
    changed = [ROWS[0], {**ROWS[1], "score": math.nextafter(ROWS[1]["score"], 1)}]  # type: ignore[type-var]
    assert predictions.write_rows(changed, tmp_path / "c.parquet") != first


def test_arrays_are_kept_at_their_precision(tmp_path: Path) -> None:
    row = {"sample": np.int64(3), "map": np.float32([0.1, 0.7]), "score": np.float32(0.3)}
    predictions.write_rows([row], tmp_path / "a.parquet")
    (back,) = predictions.read_rows(tmp_path / "a.parquet")
    assert back["map"] == [float(np.float32(0.1)), float(np.float32(0.7))]
    assert back["score"] == float(np.float32(0.3))


def test_rows_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prediction 1"):
        predictions.write_rows([{"sample": 0}, {"sample": 1, "x": 2}], tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="no predictions"):
        predictions.write_rows([], tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_columns_keep_what_is_not_a_number(tmp_path: Path) -> None:
    digest = predictions.write_columns(
        {"sample": [0.0, 1.0], "oks": [0.5, math.nan]}, tmp_path / "a"
    )
    back = predictions.read_columns(tmp_path / "a", digest)
    assert back["sample"] == [0.0, 1.0]
    assert back["oks"][0] == 0.5
    assert math.isnan(back["oks"][1])


def test_broken_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    digest = predictions.write_rows(ROWS, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 101):
        path.write_bytes(whole[:length])
        for expected in (None, digest):
            with pytest.raises(ResultsError, match="truncated") as caught:
                predictions.read_rows(path, expected)
            assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    with pytest.raises(ResultsError, match="not the file that its record names"):
        predictions.read_rows(path, "0" * 64)
    with pytest.raises(ResultsError, match="cannot read"):
        predictions.read_rows(tmp_path / "nowhere")


def test_curves_come_back_exactly(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": math.inf, "lr": 1e-9}]
    digest = predictions.write_curves(rows, tmp_path / "curves.csv")
    assert predictions.read_curves(tmp_path / "curves.csv", digest) == rows
    predictions.write_curves([], tmp_path / "none.csv")
    assert predictions.read_curves(tmp_path / "none.csv") == []
    (tmp_path / "bad.csv").write_text("step,loss\n1,much\n")
    with pytest.raises(ResultsError, match="much"):
        predictions.read_curves(tmp_path / "bad.csv")

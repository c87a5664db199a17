"""`harness compare` as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from scipy import stats

import results
from harness import plugins
from harness.cli.main import call
from results import Record, Table, predictions
from tasks.contract import DataInfo
from tasks.recipe import TaskRecipe
from tests.results.records import make

N = 40
RECIPE = {
    "task": "guess",
    "scale": "tiny",
    "backbone": {"input_size": [8, 8]},
    "data": {},
    "optimizer": {"lr": 0.1},
    "schedule": {},
    "train": {"batch_size": 2, "steps": 1},
}
TEST_DATA = "d" * 64


class Guess:
    """A task without a network, which notes what it draws."""

    Recipe = TaskRecipe
    plotted = False

    def __init__(self) -> None:
        self.drawn: list[list[dict[str, Any]]] = []

    def prepare(self, recipe: Any) -> None:
        assert isinstance(recipe, TaskRecipe)

    def dataset(self, recipe: Any, split: str) -> Any:
        return SimpleNamespace(info=DataInfo("microworld", "test", N, TEST_DATA, "none"))

    def draw(self, rows: list[dict[str, Any]], dataset: Any) -> Image.Image:
        self.drawn.append(rows)
        return Image.new("RGB", (4, 4))


def right(name: str, seed: int) -> list[float]:
    """`poor` misses the first half, others every tenth image; and most of them one more by seed."""
    if name == "poor":
        missed = {*range(N // 2), (23, 36, 9)[seed]}
    else:
        missed = {*range(9, N, 10), (21, 28, 35)[seed]}
    return [float(i not in missed) for i in range(N)]


def run(name: str, seed: int, folder: Path, control: str | None = None, **fields: Any) -> Record:
    """A finished run with its files, in the table."""
    correct = right(name, seed)
    base = make(name, seed, sum(correct) / N, 0.05, n=N, task="guess", control=control)
    recipe = RECIPE | {"train": {"batch_size": 2, "steps": fields.pop("steps", 1)}}
    place = folder / "guess" / name / base.cell[:12]
    rows = [{"sample": i, "by": f"{name} {seed}"} for i in range(N)]
    files = {
        "predictions.parquet": predictions.write_rows(rows, place / "predictions.parquet"),
        "per_sample.parquet": predictions.write_columns(
            {"sample": [float(i) for i in range(N)], "correct": correct},
            place / "per_sample.parquet",
        ),
    }
    changes = {
        "recipe": recipe,
        "identity": base.identity | {"recipe": recipe},
        "files": files,
        "data": {"test": {"sha256": TEST_DATA}},
    }
    record = base.model_copy(update=changes | fields)
    results.write(record, place)
    Table(folder / "results.sqlite").put(record)
    return record


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user who has two encoders with three seeds, and controls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(plugins.TASKS, "guess", f"{__name__}:Guess")
    plugins.task.cache_clear()
    for seed in range(3):
        run("good", seed, tmp_path / "runs")
        run("poor", seed, tmp_path / "runs")
        run("poor", seed, tmp_path / "runs", control="constant")
    return tmp_path / "runs"


def said(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert call(["compare", *words, "--task", "guess"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def found(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(said([*words, "--json"], capsys))


def refused(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert call(["compare", *words, "--task", "guess"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err


def test_two_encoders(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(["good", "poor"], capsys)
    lines = out.splitlines()
    assert lines[0] == (
        "guess / microworld / finetune / tiny: AP (higher is better), seeds 0, 1, 2, n=40"
    )
    assert "good - poor: +0.3" in out and ": separated" in out
    assert "share of its variance: seeds " in out
    (first,) = [line.split() for line in lines if line.startswith("0 ")]
    # `poor` misses 0 to 19 and 23, of them `good` 9 and 19; `good` misses 21, 29 and 39 alone.
    p = stats.binomtest(3, 22, 0.5).pvalue
    assert first[3:] == ["+0.4000", "55.0", "%", "19", "3", f"{p:.4f}"]
    assert "exactly one is right on " in out


def test_json_is_one_object_with_everything(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = found(["good", "poor"], capsys)
    assert (whole["metric"], whole["better"], whole["seeds"]) == ("AP", "higher", [0, 1, 2])
    assert [(e["name"], e["rank"]) for e in whole["encoders"]] == [("good", 1), ("poor", 2)]
    (pair,) = whole["pairs"]
    values = [e["values"] for e in whole["encoders"]]
    means = [sum(v) / 3 for v in values]
    assert pair["difference"] == pytest.approx(means[0] - means[1])
    assert pair["low"] < pair["difference"] < pair["high"]
    assert pair["p"] == pair["p_holm"] < 0.05 and pair["separated"] and pair["samples_paired"]
    assert set(pair["variance"]) == {"seeds", "samples"}
    images = pair["images"]
    assert [test["seed"] for test in images["mcnemar"]] == [0, 1, 2]
    assert images["differ"] == pytest.approx(sum(t["differ"] for t in images["mcnemar"]) / 3)
    wrong = {i for i in range(N) if right("good", 0)[i] > right("poor", 0)[i]}
    assert set(images["a_right_b_wrong"]) == wrong
    assert set(images["b_right_a_wrong"]) == {
        i for i in range(N) if right("poor", 0)[i] > right("good", 0)[i]
    }
    assert whole["closest"] is None


def test_turned_round_everything_is_turned(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (there,), (back,) = (
        found(names, capsys)["pairs"] for names in (["good", "poor"], ["poor", "good"])
    )
    assert back["difference"] == pytest.approx(-there["difference"])
    assert (back["low"], back["high"]) == (
        pytest.approx(-there["high"]),
        pytest.approx(-there["low"]),
    )
    assert back["images"]["a_right_b_wrong"] == there["images"]["b_right_a_wrong"]
    assert back["p"] == pytest.approx(there["p"])


def test_several_encoders(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["good", "poor", "poor@constant"]
    whole = found(names, capsys)
    ranks = {e["name"]: (e["rank"], e["tied_with"]) for e in whole["encoders"]}
    assert ranks == {
        "good": (1, []),
        "poor": (2, ["poor@constant"]),
        "poor@constant": (2, ["poor"]),
    }
    assert whole["closest"] == ["poor", "poor@constant"]
    out = said(names, capsys)
    assert "2=    poor" in out and "p (Holm)" in out
    assert "closest, poor and poor@constant: the means are equal" in out


def test_pictures_show_what_the_wrong_one_says(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(["good", "poor", "--pictures", "seen"], capsys)
    assert "seen/good-right-poor-wrong.png" in out
    assert {path.name for path in Path("seen").iterdir()} == {
        "good-right-poor-wrong.png",
        "poor-right-good-wrong.png",
    }
    task: Any = plugins.task("guess")
    # A line of six holds no more, so that the sixteen take three.
    assert [len(rows) for rows in task.drawn] == [6, 6, 4, 3]
    with Image.open("seen/good-right-poor-wrong.png") as drawn:
        assert drawn.size == (4, 3 * 4)
    first, second = [row for rows in task.drawn[:3] for row in rows], task.drawn[3]
    (pair,) = found(["good", "poor"], capsys)["pairs"]
    assert {row["by"] for row in first} == {"poor 0"}
    assert [row["sample"] for row in first] == pair["images"]["a_right_b_wrong"][:16]
    assert len(first) == 16
    assert {row["by"] for row in second} == {"good 0"}


def test_one_seed_says_that_only_the_sampling_error_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("good", "poor"):
        run(name, 0, tmp_path / "runs")
    out = said(["good", "poor"], capsys)
    assert "one seed: only the sampling error is known" in out
    assert "not separated" in out
    assert "not known from one: run more" in out


def test_runs_that_lie_elsewhere_are_compared_without_their_samples(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["good", "poor", "--results", f"sqlite:///{runs}/results.sqlite", "--output", "none"]
    out = said(words, capsys)
    assert "samples are not paired, which widens the interval" in out
    assert "are not at hand below `none` (--output)" in out
    (pair,) = found(words, capsys)["pairs"]
    (paired,) = found(["good", "poor"], capsys)["pairs"]
    assert pair["high"] - pair["low"] > paired["high"] - paired["low"]
    assert pair["images"] is None and "not at hand" in pair["why_no_images"]
    assert "nothing can be drawn" in refused([*words, "--pictures", "seen"], capsys)


def test_names(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = make("good").backbone["sha256"][:8]
    by_hash, by_name = (found([name, "poor"], capsys)["pairs"] for name in (digits, "good"))
    assert by_hash[0]["difference"] == by_name[0]["difference"]
    assert "there is good, poor, poor@constant" in refused(["good", "best"], capsys)
    assert "name at least two" in refused(["good"], capsys)
    assert "are the same runs" in refused(["good", digits], capsys)


def test_several_settings_are_refused_until_one_is_taken(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = found(["good", "poor"], capsys)
    for seed in range(3):
        for name in ("good", "poor"):
            run(name, seed, runs, cell=f"{seed}{name[0]}".encode().hex().ljust(64, "0"), steps=9)
    err = refused(["good", "poor"], capsys)
    assert "`good` has runs of 2 settings" in err
    assert "recipe.train.steps: " in err and "--where section.field=value" in err
    for where in ("train.steps=1", "recipe.train.steps=1", "train.steps=1e0"):
        assert found(["good", "poor", "--where", where], capsys) == before
    assert "no finished run" in refused(["good", "poor", "--where", "train.steps=2"], capsys)
    assert "no finished run" in refused(["good", "poor", "--protocol", "frozen"], capsys)
    assert "did you mean `train.steps`" in refused(
        ["good", "poor", "--where", "train.step=1"], capsys
    )
    assert "needs the form" in refused(["good", "poor", "--where", "train.steps"], capsys)


def test_two_files_of_one_name_are_told_apart_by_their_hash(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        twin = make("twin", seed)
        run("twin", seed, runs, backbone=twin.backbone | {"name": "good"})
    err = refused(["good", "poor"], capsys)
    digits = sorted(make(name).backbone["sha256"][:12] for name in ("good", "twin"))
    assert (
        f"stands for 2 encoders: give the first digits of a hash in its place, of {digits[0]}, "
        in err
    )
    assert found(digits, capsys)["seeds"] == [0, 1, 2]


def test_what_is_not_paired_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("more", 0, runs)
    err = refused(["good", "more"], capsys)
    assert "`good` has the seeds [0, 1, 2], `more` [0]; run the missing ones" in err
    for seed in range(3):
        run("long", seed, runs, steps=9)
    assert "what differs is recipe.train.steps: 1, 9" in refused(["good", "long"], capsys)
    found(["good", "poor"], capsys)
    place = next((runs / "guess" / "good").glob("*/per_sample.parquet"))
    place.write_bytes(place.read_bytes()[:-9])
    assert "truncated" in refused(["good", "poor"], capsys)


def test_the_task_must_be_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["compare", "good", "poor"]) == 2
    assert "--task" in capsys.readouterr().err

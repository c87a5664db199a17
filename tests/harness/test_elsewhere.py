"""Boxes of another tracker on the command line, and archives for servers: written, checked."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import results
from harness.cli.main import call
from results import predictions
from tasks.contract import Evaluation, Metric, Row
from tasks.tracking.task import Tracking
from tests.results.records import make
from tests.tasks.tracking.standing_by import NAMES, Standing, boxes


def evaluation(rows: list[Row], dataset: Any) -> Evaluation:
    """How large boxes are: a figure that depends on each of them."""
    sizes = [float(np.reshape(row["boxes"], (-1, 4))[:, 2:].mean()) for row in rows]
    metric = Metric(float(np.mean(sizes)), 0.5, len(rows))
    samples = [float(row["sample"]) for row in rows]
    return Evaluation("AO", {"AO": metric}, {"sample": samples, "AO": sizes}, "sizes")


@pytest.fixture(autouse=True)
def stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sequences in the place of every data set, and a metric of no meaning."""
    monkeypatch.setattr(Tracking, "dataset", lambda self, recipe, split: Standing(recipe))
    monkeypatch.setattr(Tracking, "evaluate", lambda self, rows, dataset: evaluation(rows, dataset))
    monkeypatch.setattr(Tracking, "prepare", lambda self, recipe, progress=None: None)
    monkeypatch.setattr(Tracking, "draw", lambda self, rows, dataset: Image.new("RGB", (8, 8)))


@pytest.fixture
def tracker(tmp_path: Path) -> Path:
    """The folder of a tracker in LaSOT's layout."""
    folder = tmp_path / "tracker"
    folder.mkdir()
    for sample, name in enumerate(NAMES):
        np.savetxt(folder / f"{name}.txt", boxes(sample), "%.6f", ",")
    return folder


def said(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = call([str(word) for word in words])
    return code, *capfd.readouterr()


def evaluated(
    capfd: pytest.CaptureFixture[str], tracker: Path, *more: object
) -> tuple[dict[str, Any], Path]:
    """What is printed, and the folder that is written."""
    output = tracker.parent / "evaluations"
    words = ["evaluate", "--task", "tracking", "--boxes", tracker, "--output", output, "--json"]
    code, out, _ = said(capfd, *words, *more)
    assert code == 0
    found = json.loads(out)
    return found, output / "tracking" / found["evaluation"][:12]


def test_boxes_are_scored_by_the_data_sets_convention(
    tracker: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found, folder = evaluated(capfd, tracker, "--dataset", "lasot", "--data-root", "there")
    expected = evaluation([{"sample": i, "boxes": boxes(i)} for i in range(3)], None)
    assert found["metrics"]["AO"]["value"] == pytest.approx(expected.metrics["AO"].value, abs=1e-6)
    assert found["recipe"]["measure"]["convention"] == "lasot"
    assert found["recipe"]["data"]["name"] == "lasot"
    assert found["recipe"]["data"]["root"] == "there"
    assert found["predictions"]["name"] == "tracker"
    rows = predictions.read_rows(folder / "predictions.parquet")
    assert [row["sequence"] for row in rows] == list(NAMES)
    written = json.loads((folder / "evaluation.json").read_text())
    assert written["metrics"] == found["metrics"] and "checkpoint" not in written
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json",
        "per_sample.parquet",
        "picture.png",
        "predictions.parquet",
    }


@pytest.mark.parametrize(
    ("dataset", "convention"),
    [
        ("got10k", "got10k"),
        ("otb2013", "otb"),
        ("uav123", "otb"),
        ("trackingnet", "trackingnet"),
        ("folder", "got10k"),
        ("vot", "got10k"),
        ("microworld", "got10k"),
    ],
)
def test_each_data_set_has_its_convention(
    tracker: Path, capfd: pytest.CaptureFixture[str], dataset: str, convention: str
) -> None:
    found, _ = evaluated(capfd, tracker, "--dataset", dataset)
    assert found["recipe"]["measure"]["convention"] == convention


def test_another_convention_can_be_asked_for(
    tracker: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = ("--set", "measure.convention=pytracking")
    found, _ = evaluated(capfd, tracker, "--dataset", "lasot", *other)
    assert found["recipe"]["measure"]["convention"] == "pytracking"


def test_the_folder_is_one_of_what_was_scored(
    tracker: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, first = evaluated(capfd, tracker)
    _, again = evaluated(capfd, tracker)
    assert first == again
    file = tracker / "bird.txt"
    file.write_text(file.read_text().replace("1", "2"))
    code, _, _ = said(
        capfd, "evaluate", "--task", "tracking", "--boxes", tracker, "--output", first.parents[1]
    )
    assert code == 0
    assert len(list(first.parent.iterdir())) == 2


def test_repetitions_count_together(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = tmp_path / "tracker"
    for sample, name in enumerate(NAMES):
        (tracker / name).mkdir(parents=True)
        for run in range(2):
            file = tracker / name / f"{name}_{run + 1:03d}.txt"
            np.savetxt(file, boxes(sample, run), "%.6f", ",")
    found, folder = evaluated(capfd, tracker, "--dataset", "got10k")
    each = [
        evaluation([{"sample": i, "boxes": boxes(i, run)} for i in range(3)], None)
        for run in (0, 1)
    ]
    mean = sum(run.metrics["AO"].value for run in each) / 2
    assert found["metrics"]["AO"]["value"] == pytest.approx(mean, abs=1e-6)
    assert found["evaluator"] == "sizes, mean of 2 runs"
    rows = predictions.read_rows(folder / "predictions.parquet")
    assert [(row["run"], row["sample"]) for row in rows] == [
        (r, i) for r in (0, 1) for i in range(3)
    ]
    code, _, err = said(capfd, "export", "submission", folder, "--out", tmp_path / "a.zip")
    assert code == 2 and "has 2 runs: a submission" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either `--checkpoint`, a model, or `--boxes`"),
        (["--boxes", "x", "--checkpoint", "y"], "give either `--checkpoint`"),
        (["--checkpoint", "x", "--layout", "got10k"], "`--layout` goes with `--boxes DIR`"),
        (["--boxes", "x", "--backbone", "y"], "`--boxes` needs no encoder"),
        (["--boxes", "x"], "there is no folder `x`"),
        (["--boxes", "x", "--dataset", "davis"], "there is no data set `davis`"),
    ],
)
def test_what_does_not_go_together_is_refused(
    capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, out, err = said(capfd, "evaluate", "--task", "tracking", *words)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_a_task_without_such_files_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capfd, "evaluate", "--task", "depth", "--boxes", "x")
    assert code == 2
    assert "the task `depth` reads no predictions of other programs" in err


def finished(folder: Path, **cost: float) -> Path:
    """A record of tracking on GOT-10k's test split, with predictions beside."""
    from harness.options import RunOptions
    from harness.recipes import resolve_sections

    served = Tracking().served_as("got10k")
    recipe = resolve_sections(RunOptions(task="tracking", dataset="got10k"), served)
    rows = [
        {"sample": i, "sequence": name, "boxes": boxes(i).ravel().tolist()}
        for i, name in enumerate(NAMES)
    ]
    files = {"predictions.parquet": predictions.write_rows(rows, folder / "predictions.parquet")}
    made = make(
        task="tracking",
        recipe=recipe.model_dump(mode="json"),
        data={"test": {"sha256": "5" * 64}},
        files=files,
        cost=cost,
    )
    return results.write(made, folder)


def test_a_record_becomes_an_archive_that_passes_the_check(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path / "run", evaluation_seconds=6.0)
    out = tmp_path / "new" / "got.zip"
    code, told, _ = said(capfd, "export", "submission", tmp_path / "run", "--out", out)
    assert code == 0
    assert told.splitlines()[0] == f"{out}: 6 files"
    assert "note: times: 0.500000 s for every frame, the mean of 12 frames in 6.0 s" in told
    first = out.read_bytes()
    said(capfd, "export", "submission", tmp_path / "run" / "record.json", "--out", out)
    assert out.read_bytes() == first
    other = tmp_path / "photographs.zip"
    other.write_bytes(b"of somebody")
    code, _, err = said(capfd, "export", "submission", tmp_path / "run", "--out", other)
    assert code == 2 and "is there already and is another one" in err
    assert other.read_bytes() == b"of somebody"
    with zipfile.ZipFile(out) as archive:
        assert archive.read("bird/bird_time.txt") == b"0.50000000\n" * 5
    code, told, _ = said(capfd, "export", "check", out, "--dataset", "got10k")
    assert (code, told) == (0, f"{out}: as the server of got10k takes it\n")


def test_every_problem_is_a_line_and_the_exit_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path / "run", evaluation_seconds=6.0)
    out = tmp_path / "got.zip"
    said(capfd, "export", "submission", tmp_path / "run", "--out", out)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("readme.md", "mine")
    code, told, err = said(capfd, "export", "check", out, "--dataset", "got10k")
    assert (code, told) == (2, "`readme.md` is none of the set's files\n")
    assert err == f"error: `{out}` has 1 problem: the server would not take it\n"
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(12):
            archive.writestr(f"{number}.txt", "")
    code, told, err = said(capfd, "export", "check", out, "--dataset", "got10k")
    assert (code, len(told.splitlines())) == (2, 10)
    assert "has 13 problems, 3 of them not shown" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["submission", "nothing", "--out", "a.zip"], "there is no record `nothing`"),
        (["submission", "run", "--out", "a.tar"], "give `a.tar` a name that ends with .zip"),
        (["submission", "run", "--out", "a.zip"], "how long prediction took is not recorded"),
        (["check", "a.zip", "--dataset", "lasot"], "`lasot` has no server that takes predictions"),
        (["check", "a.zip", "--dataset", "davis"], "`davis` has no server"),
        (["check", "a.zip", "--dataset", "got10k"], "cannot read `a.zip`: No such file"),
        (["check", "run", "--dataset", "got10k", "--task", "pose"], "the task `pose` knows no"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    finished(tmp_path / "run")
    code, out, err = said(capfd, "export", *words)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_boxes_of_others_become_an_archive_for_trackingnet(
    tracker: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found, folder = evaluated(capfd, tracker, "--dataset", "trackingnet")
    assert found["metrics"] == {}
    assert found["notes"][1].startswith("nothing is measured: `standing` has no truth for its test")
    out = tracker.parent / "net.zip"
    for source in (folder, folder / "evaluation.json"):
        assert said(capfd, "export", "submission", source, "--out", out)[0] == 0
    assert said(capfd, "export", "check", out, "--dataset", "trackingnet")[0] == 0
    (folder / "evaluation.json").write_text("{}")
    code, _, err = said(capfd, "export", "submission", folder, "--out", out)
    assert code == 2 and "was not written by `harness evaluate` of this version" in err

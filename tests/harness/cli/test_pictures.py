"""`harness show record --pictures`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import results
from harness.cli.main import call
from results import predictions

NAMES = {"accuracy.png", "confusion.png", "worst.png", "mistakes.png", "classes.csv"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The record file of a run at scale smoke, and its cache."""
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        options = ["--task", "classification", "--scale", "smoke", "--output", str(folder / "runs")]
        assert call(["run", *options]) == 0
        (record,) = (folder / "runs").glob("*/*/*/record.json")
        yield record


def draw(record: Path, folder: Path, *more: str) -> int:
    return call(["show", "record", str(record), "--pictures", str(folder), *more])


def changed(record: Path, folder: Path, **fields: Any) -> Path:
    """The run with other fields in its record."""
    found = results.read(record)
    rows = predictions.read_rows(record.with_name("predictions.parquet"))
    predictions.write_rows(rows, folder / "predictions.parquet")
    return results.write(found.model_copy(update=fields), folder)


def test_pictures_and_table_are_those_of_the_predictions(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(run, tmp_path / "new/folder") == 0
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == NAMES
    assert {path.name for path in (tmp_path / "new/folder").iterdir()} == NAMES
    for name in NAMES - {"classes.csv"}:
        with Image.open(tmp_path / "new/folder" / name) as picture:
            assert picture.format == "PNG" and min(picture.size) > 300
    text = (tmp_path / "new/folder/classes.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    assert ",".join(lines[0]) == "number,class,n,correct,accuracy,error,low,high,taken_for,times"
    figure = results.read(run).metrics["accuracy"]
    assert sum(int(line["n"]) for line in lines) == figure.n
    assert sum(int(line["correct"]) for line in lines) / figure.n == figure.value
    for line in lines:
        assert float(line["accuracy"]) == int(line["correct"]) / int(line["n"])

    # Again: the same files; another run's, or somebody's own, are not written over.
    assert draw(run, tmp_path / "new/folder", "--json") == 0
    assert {Path(file).name for file in json.loads(capsys.readouterr().out)["files"]} == NAMES
    (tmp_path / "own").mkdir()
    (tmp_path / "own/worst.png").write_text("mine")
    assert draw(run, tmp_path / "own") == 2
    assert "is there already and is another one" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["worst.png"]
    assert (tmp_path / "own/worst.png").read_text() == "mine"


def test_what_cannot_be_drawn_is_said_in_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results.read(run)
    data = found.data | {"test": found.data["test"] | {"sha256": "0" * 64}}
    hashes = found.files | {"predictions.parquet": "0" * 64}
    cases = {
        "run that is interrupted: it has no predictions": {"status": "interrupted"},
        "their hash differs": {"data": data},
        "is not the file that its record names": {"files": hashes},
        "names no `predictions.parquet`": {"files": {}},
    }
    for number, (said, fields) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert draw(changed(run, folder, **fields), tmp_path / "out") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    (tmp_path / "file").write_text("")
    assert draw(run, tmp_path / "file") == 2
    assert "is a file: give a folder" in capsys.readouterr().err
    assert call(["show", "record", str(run), "--data-root", str(tmp_path)]) == 2
    assert "goes with `--pictures DIR`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_task_without_pictures_of_its_own_has_its_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness import plugins

    task, picture = plugins.task("pose"), Image.new("RGB", (3, 3))
    monkeypatch.setattr(task, "draw", lambda rows, dataset: picture)
    found = task.pictures([], None, "a run")
    assert found.images == {"samples": picture} and not found.tables and not found.notes

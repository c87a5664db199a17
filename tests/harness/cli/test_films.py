"""`harness show record --sequence` and the plots of `harness compare --pictures`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import results
from harness import plugins
from harness.cli.main import call
from results import Record, Table, predictions
from tasks.contract import DataInfo, Row
from tasks.recipe import TaskRecipe
from tests.harness.cli.test_compare import RECIPE, TEST_DATA
from tests.results.records import make
from tests.tasks.tracking.following import Followable, prediction, sequence


class Watched(Followable):
    def __len__(self) -> int:
        return len(self.sequences)


class Watch:
    """Tracking's pictures without its network and data."""

    Recipe = TaskRecipe
    plotted = True

    def prepare(self, recipe: Any) -> None:
        pass

    def dataset(self, recipe: Any, split: str) -> Watched:
        info = DataInfo("painted", "test", 2, TEST_DATA, "none")
        return Watched([sequence("car"), sequence("cart", 20)], info=info)

    def film(self, *given: Any) -> Any:
        from tasks.tracking.film import film

        return film(*given)

    def film_sheet(self, *given: Any) -> Any:
        from tasks.tracking.film import sheet

        return sheet(*given)

    def plots(self, *given: Any) -> Any:
        from tasks.tracking.plots import plots

        return plots(*given)


def rows(lag: float) -> list[Row]:
    found = Watch().dataset(None, "test").sequences
    return [prediction(k, each, lag) for k, each in enumerate(found)]


def run(name: str, seed: int, folder: Path, lag: float) -> Path:
    """The record file of a finished run."""
    base = make(name, seed, 0.5, 0.05, n=2, task="watch")
    place = folder / "watch" / name / base.cell[:12]
    scores = {"sample": [0.0, 1.0], "overlap": [0.6 - lag / 10, 0.5 - lag / 20]}
    files = {
        "predictions.parquet": predictions.write_rows(rows(lag), place / "predictions.parquet"),
        "per_sample.parquet": predictions.write_columns(scores, place / "per_sample.parquet"),
    }
    changes = {
        "recipe": RECIPE | {"task": "watch"},
        "identity": base.identity | {"recipe": RECIPE | {"task": "watch"}},
        "files": files,
        "data": {"test": {"sha256": TEST_DATA}},
    }
    record: Record = base.model_copy(update=changes)
    Table(folder / "results.sqlite").put(record)
    return results.write(record, place)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(plugins.TASKS, "watch", f"{__name__}:Watch")
    plugins.task.cache_clear()
    return tmp_path / "runs"


@pytest.fixture
def record(runs: Path) -> Path:
    return run("good", 0, runs, 0.1)


def show(record: Path, *words: str) -> int:
    return call(["show", "record", str(record), *words])


def refused(capsys: pytest.CaptureFixture[str], record: Path, *words: str) -> str:
    assert show(record, *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err


def test_a_film_and_a_sheet(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(record, "--sequence", "car", "--out", "new/car.gif") == 0
    assert capsys.readouterr().out.strip() == "new/car.gif"
    with Image.open("new/car.gif") as film:
        assert (film.format, film.n_frames) == ("GIF", 10)
    assert show(record, "--sequence", "car", "--out", "new/car.PNG", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"files": ["new/car.PNG"]}
    with Image.open("new/car.PNG") as sheet:
        assert sheet.format == "PNG"
    # The same again is no other file.
    assert show(record, "--sequence", "car", "--out", "new/car.gif") == 0


def test_what_cannot_be_filmed_is_said_in_one_line(
    record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, record, "--sequence", "cat", "--out", "a.gif")
    assert "no sequence `cat` among 2; the nearest are `cart`, `car`" in said
    for name in ("a.mp4", "a", "gif"):
        said = refused(capsys, record, "--sequence", "car", "--out", name)
        assert "ends in .gif (a film) or .png (a sheet)" in said
    assert "go together" in refused(capsys, record, "--sequence", "car")
    assert "go together" in refused(capsys, record, "--out", "a.gif")
    words = ("--sequence", "car", "--out", "a.gif", "--pictures", "seen")
    assert "does not go with `--pictures DIR`" in refused(capsys, record, *words)
    Path("own.gif").write_text("mine")
    said = refused(capsys, record, "--sequence", "car", "--out", "own.gif")
    assert "`own.gif` is there already and is another one" in said
    assert Path("own.gif").read_text() == "mine"
    assert not Path("a.gif").exists() and not Path("seen").exists()


def test_a_task_without_sequences_says_so() -> None:
    from tasks.contract import RecipeError

    task = plugins.task("pose")
    for draw in (task.film, task.film_sheet):
        with pytest.raises(RecipeError, match="the task `pose` has no sequences"):
            draw([], None, "car", "a run")
    assert not task.plotted and plugins.task("tracking").plotted


def test_encoders_are_plotted_together(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[list[Row]]] = {}
    there = Watch.plots

    def plots(self: Watch, found: Any, dataset: Any) -> Any:
        seen.update(found)
        return there(self, found, dataset)

    monkeypatch.setattr(Watch, "plots", plots)
    for seed in range(2):
        run("good", seed, runs, 0.1 + seed / 10)
        run("poor", seed, runs, 1.0 + seed / 10)
    words = ["compare", "good", "poor", "--task", "watch", "--pictures", "seen"]
    assert call(words) == 0
    out, err = capsys.readouterr()
    assert err == "" and "picture: `seen/success.png`" in out
    assert {path.name for path in Path("seen").iterdir()} == {"success.png"}
    assert {name: len(each) for name, each in seen.items()} == {"good": 2, "poor": 2}
    assert list(seen["poor"][1][1]["boxes"]) == rows(1.1)[1]["boxes"]
    table = f"sqlite:///{runs}/results.sqlite"
    assert call([*words, "--results", table, "--output", "none"]) == 2
    assert "does not lie below `none`" in capsys.readouterr().err

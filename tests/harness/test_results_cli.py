"""`harness results`, `rescore` and `report` as a user calls them."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import results
from harness import plugins
from harness.cli.main import call
from results import Record, Table, predictions
from tasks.contract import DataInfo, Evaluation, Metric
from tasks.recipe import TaskRecipe
from tests.results.records import make


class Scores:
    """A task without a network: a row's score is its share of the metric."""

    Recipe = TaskRecipe
    test_data = "d" * 64
    factor = 1.0

    def prepare(self, recipe: Any) -> None:
        assert isinstance(recipe, TaskRecipe)

    def dataset(self, recipe: Any, split: str) -> Any:
        return SimpleNamespace(info=DataInfo("microworld", "test", 3, self.test_data, "none"))

    def evaluate(self, rows: list[dict[str, Any]], dataset: Any) -> Evaluation:
        value = self.factor * sum(row["score"] for row in rows) / len(rows)
        return Evaluation("AP", {"AP": Metric(value, 0.01, len(rows))}, {}, "scores 1")


RECIPE = {
    "task": "scores",
    "scale": "tiny",
    "backbone": {"input_size": [8, 8]},
    "data": {},
    "optimizer": {"lr": 0.1},
    "schedule": {},
    "train": {"batch_size": 2, "steps": 1},
}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a user who has two encoders with three seeds, one run unfinished."""
    monkeypatch.chdir(tmp_path)
    table = Table("sqlite:///runs/results.sqlite")
    found = [make("mae", seed, 0.2 + seed / 100, 0.001) for seed in range(3)]
    found += [make("simmim", seed, 0.3 + seed / 100, 0.001) for seed in range(3)]
    found.append(make("simmim", 3, status="interrupted", reason="SIGTERM", step=50))
    for record in found:
        folder = Path("runs") / record.task / record.backbone["name"] / record.cell[:12]
        results.write(record, folder)
        table.put(record)
    return tmp_path / "runs"


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of a run of `Scores`."""
    monkeypatch.setitem(plugins.TASKS, "scores", f"{__name__}:Scores")
    plugins.task.cache_clear()
    rows = [{"sample": index, "score": score} for index, score in enumerate((0.1, 0.2, 0.6))]
    digest = predictions.write_rows(rows, tmp_path / "predictions.parquet")
    record = make(
        value=(0.1 + 0.2 + 0.6) / 3,
        n=3,
        task="scores",
        recipe=RECIPE,
        data={"test": {"sha256": Scores.test_data}},
        files={"predictions.parquet": digest},
        evaluator="scores 1",
    )
    return results.write(record, tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_list(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["results", "list"]) == 0
    lines = said(capsys).splitlines()
    assert len(lines) == 8
    assert any("simmim" in line and "AP 0.3200 ± 0.0010" in line for line in lines)
    assert any("interrupted" in line for line in lines)
    assert call(["results", "list", "--backbone", "mae", "--task", "pose", "--json"]) == 0
    rows = json.loads(said(capsys))
    assert {row["backbone"] for row in rows} == {"mae"}
    assert sorted(row["value"] for row in rows) == [0.2, 0.2 + 1 / 100, 0.22]
    assert call(["results", "list", "--task", "depth"]) == 0
    assert said(capsys) == "no runs\n"


def test_show(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = make("mae", 1, 0.2 + 1 / 100, 0.001)
    assert call(["results", "show", record.cell[:12], "--json"]) == 0
    assert Record.model_validate_json(said(capsys)) == record
    path = next((runs / "pose" / "mae").glob(f"{record.cell[:12]}/record.json"))
    assert call(["results", "show", str(path), "--json"]) == 0
    assert Record.model_validate_json(said(capsys)) == record
    assert call(["results", "show", record.cell]) == 0
    assert "seed: 1" in said(capsys)
    assert call(["results", "show", "zzz"]) == 2
    assert call(["results", "show", ""]) == 2


def test_export(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("csv", "json", "parquet"):
        assert call(["results", "export", "--format", form, "--out", f"all.{form}"]) == 0
    with Path("all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    flat = predictions.read_rows(Path("all.parquet"))
    whole = [Record.model_validate(item) for item in json.loads(Path("all.json").read_text())]
    assert len(rows) == len(flat) == len(whole) == 7
    assert whole == Table("sqlite:///runs/results.sqlite").records()
    assert [row["AP"] for row in flat] == [float(r["AP"]) if r["AP"] else None for r in rows]


def test_sync_and_report_rebuild_the_same(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["report", "--out", "before.md"]) == 0
    (runs / "results.sqlite").unlink()
    assert call(["report"]) == 2
    assert "harness results sync" in capsys.readouterr().err
    assert call(["results", "sync"]) == 0
    assert "7 records" in said(capsys)
    assert call(["report"]) == 0
    assert said(capsys).encode() == Path("before.md").read_bytes()
    assert "| 1 | simmim | 0.3100" in Path("before.md").read_text()


def test_sync_names_what_it_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = sorted(runs.rglob("record.json"))[0]
    broken.write_text("{")
    assert call(["results", "sync", str(runs), "--results", "sqlite:///new.sqlite"]) == 2
    err = capsys.readouterr().err
    assert str(broken) in err.splitlines()[-1]
    assert "Traceback" not in err
    assert len(Table("sqlite:///new.sqlite").records()) == 6
    assert call(["results", "sync", "nowhere"]) == 2
    assert not Path("nowhere").exists()


def test_a_newer_table_is_exit_code_2(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(runs / "results.sqlite") as connection:
        connection.execute("UPDATE about SET schema_version = 99")
    connection.close()
    for words in (["results", "list"], ["report"], ["results", "sync"]):
        assert call(words) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert "update harness" in err


def test_rescoring_gives_the_record_again(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["rescore", str(scored)]) == 0
    assert said(capsys).splitlines()[-1] == "equal"
    assert call(["rescore", str(scored.parent), "--json"]) == 0
    assert json.loads(said(capsys))["equal"] is True


@pytest.mark.parametrize(("factor", "code"), [(1 + 1e-14, 0), (1 + 1e-10, 1), (2.0, 1)])
def test_other_figures_are_exit_code_1(
    scored: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    factor: float,
    code: int,
) -> None:
    monkeypatch.setattr(Scores, "factor", factor)
    assert call(["rescore", str(scored)]) == code
    assert ("DIFFERS" in said(capsys)) is bool(code)


def test_rescoring_refuses_what_is_not_the_records(
    scored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Scores, "test_data", "e" * 64)
    assert call(["rescore", str(scored)]) == 2
    assert "test data" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setitem(plugins.TASKS, "scores", f"{__name__}:Scores")
    file = scored.parent / "predictions.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    assert call(["rescore", str(scored)]) == 2
    assert "truncated" in capsys.readouterr().err
    results.write(make(status="failed"), scored.parent)
    assert call(["rescore", str(scored)]) == 2
    assert "failed" in capsys.readouterr().err

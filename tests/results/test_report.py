"""The leaderboard depends on the records alone, and ranks only what is comparable."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import results
from results import Record, Table
from results.report import leaderboard, render, sections
from results.settings import encoder
from tests.results.records import make


def records() -> list[Record]:
    """Two encoders that are tied, one that is worse, and all that cannot be ranked."""
    found = [make("simmim", seed, 0.30 + seed / 100, 0.002) for seed in range(3)]
    found += [make("mae", seed, 0.301 + seed / 101, 0.002) for seed in range(3)]
    found += [make("moco|v3", seed, 0.10 + seed / 100, 0.002) for seed in range(3)]
    found += [make("simmim", seed, 0.08, control="constant") for seed in range(3)]
    found.append(make("mae", 3, status="failed", reason="the loss is\nnan", step=7))
    found.append(make("mae", 4, status="running"))
    found.append(make("simmim", 0, 0.99, steps=500))
    found.append(make("simmim", 0, 0.5, task="depth", better="lower"))
    return found


def text(found: list[Record]) -> str:
    return render(sections(found))


def row(shown: str, start: str) -> str:
    (line,) = [line for line in shown.splitlines() if line.startswith(start)]
    return line


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    shown = set()
    for number in range(4):
        table = Table(f"sqlite:///{tmp_path}/{number}.sqlite")
        shuffled = records()
        random.Random(number).shuffle(shuffled)
        if number == 3:
            for index, record in enumerate(shuffled):
                results.write(record, tmp_path / "runs" / str(index))
            table.sync(tmp_path / "runs")
        else:
            for record in shuffled:
                table.put(record)
        shown.add(leaderboard(table))
    assert len(shown) == 1
    shuffled = records()
    random.Random(9).shuffle(shuffled)
    assert text(shuffled) in shown


def test_tied_encoders_share_a_rank() -> None:
    shown = text(records())
    assert "| 1= | mae | 0.3109 [" in shown
    assert "| 1= | simmim | 0.3100 [" in shown
    assert "| 3 | moco\\|v3 | 0.1100 [" in shown
    assert ", n=3" in shown


def test_what_is_not_ranked_is_shown_with_its_reason() -> None:
    shown = text(records())
    assert row(shown, "| mae | 3 |").endswith("| failed at step 7: the loss is nan |")
    assert "running at step 100" in row(shown, "| mae | 4 |")
    assert row(shown, "| simmim | 0, 1, 2 | 0.0800").endswith("| control: constant |")
    assert "recipe.train.steps: 500, 100" in row(shown, "| simmim | 0 | 0.9900")


def test_one_seed_says_what_is_not_known() -> None:
    shown = text(records())
    assert "## depth / microworld / finetune / tiny: AP ↓" in shown
    assert "one seed: only the sampling error is known" in shown
    two = text([make("a", 0, 0.9, 0.001), make("b", 0, 0.1, 0.001)])
    assert "| 1= | a |" in two
    assert "| 1= | b |" in two


def test_lower_is_better_where_the_metric_says_so() -> None:
    found = [
        make(name, seed, value + seed / 1000, 0.001, better="lower")
        for name, value in (("a", 0.5), ("b", 0.2))
        for seed in range(3)
    ]
    lines = [line for line in text(found).splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    assert [line.split(" | ")[1] for line in lines] == ["b", "a"]


def test_two_files_of_one_name_are_told_apart() -> None:
    other = make("mine", 0, 0.2).backbone | {"sha256": "f" * 64}
    twin = make("other", 0, 0.4).model_copy(update={"backbone": other})
    shown = text([make("mine", 0, 0.2), twin])
    assert "mine (ffffffff)" in shown
    assert shown.count("| mine (") == 4


@pytest.mark.parametrize("found", [[], [make(status="running")]])
def test_nothing_to_rank(found: list[Record]) -> None:
    shown = text(found)
    assert shown.endswith("\n")
    assert "| rank |" not in shown


def test_versions_of_a_package_are_two_encoders_and_input_sizes_are_not() -> None:
    def offered(package: str, sha256: str | None, parameters: str) -> Record:
        found = make("mycnn")
        identity = {"name": "mycnn", "package": package, "sha256": sha256, "parameters": parameters}
        return found.model_copy(
            update={
                "identity": found.identity | {"backbone": identity},
                "backbone": {"name": "mycnn", "sha256": sha256},
            }
        )

    first = encoder(offered("mycnn 1.0", "file", "at 128 px"))
    assert first == encoder(offered("mycnn 1.0", "file", "at 224 px"))
    assert first != encoder(offered("mycnn 1.1", "file", "at 128 px"))
    assert first != encoder(offered("mycnn 1.0", "other", "at 128 px"))
    drawn = encoder(offered("mycnn 1.0", None, "seed 0"))
    assert drawn != encoder(offered("mycnn 1.0", None, "seed 1"))

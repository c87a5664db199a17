"""What was found inside encoders, beside their scores in the leaderboard."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from results import Record, ResultsError, Table
from results.inspections import Wanted, column, parse, quarter
from results.report import leaderboard, render, sections
from tests.results.records import make, sha

NAMES = ("a", "b", "c", "d", "e", "f")


def inspection(backbone: str, values: dict[str, float], n: int = 256, size: int = 96) -> Record:
    """The record of a look inside an encoder, as `harness inspect` leaves it."""
    identity = {
        "measure": "attention",
        "version": 1,
        "backbone": {"name": backbone, "sha256": sha(backbone), "parameters": sha("p")},
        "input_size": [size, size],
        "images": {"name": "microworld", "n": n, "sha256": sha(f"{size}")},
        "convention": "rule",
    }
    figures = {name: {"value": value, "error": None, "n": n} for name, value in values.items()}
    return make(
        backbone,
        kind="inspection",
        task="inspection",
        protocol="attention",
        primary=next(iter(values)),
        metrics=figures,
        identity=identity,
        cell=sha(json.dumps(identity)),
    )


def kl(last: float, blocks: int = 4) -> dict[str, float]:
    values = {f"attention.kl/block{block}": float(block) for block in range(blocks - 1)}
    return values | {f"attention.kl/block{blocks - 1}": last, "attention.kl": 9.0}


def runs() -> list[Record]:
    """Six encoders, the later the better, on two tasks; of depth less is better."""
    found = []
    for place, name in enumerate(NAMES):
        for seed in range(2):
            found.append(make(name, seed, 0.1 * place + seed / 1000))
            found.append(make(name, seed, 1 - 0.1 * place, task="depth", better="lower"))
    return found


def line(shown: str, start: str) -> str:
    (found,) = [line for line in shown.splitlines() if line.startswith(start)]
    return found


def shown(looks: list[Record], wanted: str = "inspect") -> str:
    records = [*runs(), *looks]
    random.Random(1).shuffle(records)
    return render(sections(records), column(records, parse(wanted)))


@pytest.mark.parametrize(
    ("depth", "second", "last"),
    [
        (12, [3, 4, 5], [9, 10, 11]),
        (24, [*range(6, 12)], [*range(18, 24)]),
        (4, [1], [3]),
        (6, [1, 2], [4, 5]),
        (2, [0], [1]),
        (3, [], [2]),
        (1, [], []),
    ],
)
def test_a_block_belongs_to_the_quarter_of_its_middle(
    depth: int, second: list[int], last: list[int]
) -> None:
    assert (quarter(depth, 2), quarter(depth, 4)) == (second, last)
    assert sorted(b for which in (1, 2, 3, 4) for b in quarter(depth, which)) == [*range(depth)]


def test_a_column_stands_beside_the_scores_with_its_correlation() -> None:
    text = shown([inspection(name, kl(0.5 + place)) for place, name in enumerate(NAMES)])
    assert line(text, "| encoder |").startswith(
        "| encoder | attention.kl, mean over the last quarter of blocks | depth /"
    )
    assert line(text, "| c | ").startswith("| c | 2.5000 | 0.8000")
    for task in ("depth", "pose"):
        row = line(text, f"| {task} / microworld / finetune / tiny: AP")
        assert "| 6 | +1.00 | 0.003 | rests on 6 encoders; at -1 and 1" in row
    assert "256 images of microworld, convention rule." in text


def test_below_five_encoders_there_is_no_interval_and_it_says_so() -> None:
    values = dict(zip(NAMES[:4], (1.0, 3.0, 2.0, 4.0), strict=True))
    text = shown([inspection(name, kl(value)) for name, value in values.items()])
    assert "| 4 | +0.80 | 0.333 | rests on 4 encoders, too few for an interval |" in text
    assert line(text, "| f | ").startswith("| f | - (not inspected) |")


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        ("inspect:attention.kl:first", 0.0),
        ("inspect:attention.kl:2", 2.0),
        ("inspect:attention.kl:all", (0 + 1 + 2 + 7) / 4),
        ("inspect:attention.kl", 7.0),
    ],
)
def test_where_it_is_taken(wanted: str, value: float) -> None:
    found = column([inspection("a", kl(7.0))], parse(wanted))
    assert found.values == {sha("a"): pytest.approx(value)}


def test_encoders_that_were_looked_at_in_another_way_have_no_value() -> None:
    looks = [inspection(name, kl(1.0)) for name in NAMES[:3]]
    looks += [inspection("d", kl(1.0), size=224), inspection("e", kl(1.0), n=8)]
    looks += [inspection("a", kl(2.0), size=128)]
    found = column(looks, Wanted("attention.kl", "last"))
    assert set(found.values) == {sha("b"), sha("c"), sha("d")}
    assert found.missing[sha("e")] == "inspected in another way only"
    assert "input_size" in found.missing[sha("a")]
    assert found.about.endswith("; 1 other ways are left out")


@pytest.mark.parametrize("text", ["inspects", "inspect:", "inspect:a:b", "inspect:a:last:1", ""])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ResultsError, match=r"MEASURE\[:last"):
        parse(text)


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ResultsError, match="harness inspect"):
        column(runs(), parse("inspect"))
    looks = [inspection("a", kl(1.0))]
    with pytest.raises(ResultsError, match=r"no inspection has `probe.knn`; there is attention"):
        column(looks, parse("inspect:probe.knn"))
    with pytest.raises(ResultsError, match="it has the blocks 0 to 3"):
        column(looks, parse("inspect:attention.kl:4"))
    whole = [inspection("a", {"similarity.cka.tokens": 0.5})]
    with pytest.raises(ResultsError, match=r"inspect:similarity\.cka\.tokens:all"):
        column(whole, parse("inspect:similarity.cka.tokens"))


def test_without_it_the_leaderboard_is_what_it_was(tmp_path: Path) -> None:
    table = Table(f"sqlite:///{tmp_path}/a.sqlite")
    for record in runs():
        table.put(record)
    before = leaderboard(table)
    for name in NAMES:
        table.put(inspection(name, kl(1.0)))
    assert leaderboard(table) == before
    beside = leaderboard(table, "inspect")
    assert beside != before and leaderboard(table, "inspect") == beside
